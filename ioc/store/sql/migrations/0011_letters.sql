-- Which letters went out: one for each kind and day. Frozen once shipped.
CREATE TABLE letter_sent (
    kind    text        NOT NULL,  -- brief
    day     date        NOT NULL,  -- the province's calendar day
    sent_at timestamptz NOT NULL,
    PRIMARY KEY (kind, day)
);
