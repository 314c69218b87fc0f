-- What editors noted on a KPI. Frozen once shipped.
CREATE TABLE note (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kpi        text        NOT NULL,
    area       text        NOT NULL DEFAULT '',  -- a commune or a group; '' is the province
    day        date,                             -- what it is about; NULL: the KPI as such
    body       text        NOT NULL,
    author     text        NOT NULL,
    written_at timestamptz NOT NULL,
    version    integer     NOT NULL DEFAULT 1,   -- grows with every change; whoever changes says which one he saw
    changed_by text        NOT NULL DEFAULT '',
    changed_at timestamptz,
    removed_by text        NOT NULL DEFAULT '',
    removed_at timestamptz                       -- removed notes are kept, and shown to nobody
);
CREATE INDEX note_kpi ON note (kpi) WHERE removed_at IS NULL;
