-- Figures typed by a person and approved by another one. Frozen once shipped.
CREATE TABLE entry (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed         text        NOT NULL,
    figure       text        NOT NULL,  -- the observation's metric
    area         text        NOT NULL DEFAULT '',  -- '' is the province
    period       text        NOT NULL,  -- as typed
    begins       date        NOT NULL,
    length       text        NOT NULL,  -- P1D, P1W, P1M, P3M, P1Y
    value        numeric,               -- NULL withdraws what was published
    unit         text        NOT NULL,
    document     text        NOT NULL,  -- where it stands: number and date of the report
    doubt        text        NOT NULL DEFAULT '',
    status       text        NOT NULL DEFAULT 'waiting',  -- waiting -> approved -> published | rejected
    entered_by   text        NOT NULL,
    entered_at   timestamptz NOT NULL,
    decided_by   text        NOT NULL DEFAULT '',
    decided_at   timestamptz,
    reason       text        NOT NULL DEFAULT '',
    published_at timestamptz,
    CHECK (decided_by = '' OR status = 'rejected' OR lower(decided_by) <> lower(entered_by))
);
CREATE INDEX entry_open ON entry (id) WHERE status IN ('waiting', 'approved');
