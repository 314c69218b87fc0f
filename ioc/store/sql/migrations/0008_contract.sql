-- What a source's records look like, what is counted of it, and doubtful values by feed. Frozen once shipped.
ALTER TABLE connector_cursor
    ADD COLUMN shape            jsonb NOT NULL DEFAULT '{}',  -- ioc/connect/shape.py
    ADD COLUMN shape_change     text  NOT NULL DEFAULT '',    -- the last change, in words
    ADD COLUMN shape_changed_at timestamptz,
    ADD COLUMN shape_changes    bigint NOT NULL DEFAULT 0,
    ADD COLUMN bytes_read       bigint NOT NULL DEFAULT 0,
    ADD COLUMN doubtful         bigint NOT NULL DEFAULT 0,
    ADD COLUMN errors_by_type   jsonb  NOT NULL DEFAULT '{}'; -- type of error -> polls that ended so
-- The operations page's and an explanation's question: what was doubtful lately?
CREATE INDEX event_doubt ON event (feed, received_at DESC) WHERE data ? 'doubt';
