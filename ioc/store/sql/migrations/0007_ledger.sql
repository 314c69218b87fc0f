-- What was published of a period that is over, and how it was restated since. Frozen once shipped.
CREATE TABLE published_value (
    kpi             text        NOT NULL,
    first           date        NOT NULL,  -- of the period, here and below; both days included
    last            date        NOT NULL,
    value           double precision,      -- NULL: withdrawn
    formula         text        NOT NULL,
    formula_version integer     NOT NULL,
    published_at    timestamptz NOT NULL,  -- when this value was first seen
    PRIMARY KEY (kpi, first, last)
);
CREATE TABLE restatement (
    kpi         text        NOT NULL,
    first       date        NOT NULL,
    last        date        NOT NULL,
    restated_at timestamptz NOT NULL,
    was         double precision,
    became      double precision,
    since       timestamptz NOT NULL,  -- since when the value it was had stood
    reason      text        NOT NULL,  -- formula, report, late, moved, unknown
    why         jsonb       NOT NULL,  -- {vi, en}
    PRIMARY KEY (kpi, first, last, restated_at)
);
