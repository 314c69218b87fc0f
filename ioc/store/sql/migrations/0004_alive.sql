-- Stretches of time in which a source was heard of without a gap longer than its cadence allows: what looking back needs to
-- tell a quiet source from a silent one. A row a stretch, not a sign of life. Frozen once shipped.
CREATE TABLE feed_alive (
    feed  text        NOT NULL,
    since timestamptz NOT NULL,  -- first sign of life of the stretch
    until timestamptz NOT NULL,  -- last one so far
    PRIMARY KEY (feed, since)
);
