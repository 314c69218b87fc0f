-- Facts, what they add up to, and how far they were read. Frozen once shipped.

-- Every event as it came, one row each. For an observation the newest `version` of an identity counts; for a case or
-- an asset each field's newest value counts (see case_state, asset_state). Partitioned by `time` where the server can.
CREATE TABLE event (
    feed        text        NOT NULL,
    kind        smallint    NOT NULL,  -- 1 observation, 2 case, 3 asset
    subject     text        NOT NULL,
    metric      text        NOT NULL DEFAULT '',  -- observations only, here and below until `doubt`
    period      text        NOT NULL DEFAULT '',
    time        timestamptz NOT NULL,  -- when it was so
    key         uuid        NOT NULL,  -- digest of the CloudEvents source and id
    content     uuid        NOT NULL,  -- digest of the content: same key, other content = a contradiction
    received_at timestamptz NOT NULL,  -- when we learnt it
    version     timestamptz NOT NULL,  -- when the source published this value
    value       numeric,
    area        text,
    deleted     boolean     NOT NULL DEFAULT false,
    id          text        NOT NULL,
    source      text        NOT NULL,
    data        jsonb       NOT NULL   -- the event's data, whole
);

-- Recognises a repeated event, finds all versions of an observation, all events of a case.
CREATE UNIQUE INDEX event_identity ON event (feed, subject, metric, period, time, key);
-- "as it looked then", the ticker, the last raw events of an explanation.
CREATE INDEX event_received ON event (feed, received_at DESC);

-- Each field is its newest known value by (time, key); `versions` maps "time|key" of an event to the bits of the fields
-- that are its (see ioc/store/rollup.py). Where opened_at is unknown, first_at stands for it.
CREATE TABLE case_state (
    feed          text        NOT NULL,
    subject       text        NOT NULL,
    status        text        NOT NULL DEFAULT 'open',  -- open -> paused -> open -> closed -> open (reopened)
    native_status text,
    outcome       text,
    category      text,
    title         text,
    area          text,
    agency        text,
    channel       text,
    level         text,
    opened_at     timestamptz,
    due_at        timestamptz,
    closed_at     timestamptz,
    rating        smallint,
    lat           double precision,
    lon           double precision,
    doubt         text,
    deleted       boolean     NOT NULL DEFAULT false,
    dims          jsonb       NOT NULL DEFAULT '{}',
    first_at      timestamptz NOT NULL,  -- oldest event's time
    updated_at    timestamptz NOT NULL,  -- newest event's time
    versions      jsonb       NOT NULL,
    PRIMARY KEY (feed, subject)
);
-- What becomes overdue next, and what of today's due cases already is.
CREATE INDEX case_due ON case_state (feed, due_at) WHERE status = 'open' AND NOT deleted;
-- The map and the ticker: open cases, newest first.
CREATE INDEX case_open ON case_state (feed, opened_at DESC) WHERE status <> 'closed' AND NOT deleted;

CREATE TABLE asset_state (
    feed       text        NOT NULL,
    subject    text        NOT NULL,
    kind       text        NOT NULL DEFAULT '',
    name       text,
    area       text,
    state      text        NOT NULL DEFAULT 'unknown',
    lat        double precision,
    lon        double precision,
    doubt      text,
    deleted    boolean     NOT NULL DEFAULT false,
    dims       jsonb       NOT NULL DEFAULT '{}',
    first_at   timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    versions   jsonb       NOT NULL,
    PRIMARY KEY (feed, subject)
);

-- Exact sums of the current observations: a row per thing and local day. `day` is the province's calendar day.
CREATE TABLE rollup_observation (
    feed       text        NOT NULL,
    metric     text        NOT NULL,
    period     text        NOT NULL,
    day        date        NOT NULL,
    subject    text        NOT NULL,
    area       text,
    n          bigint      NOT NULL,  -- observations with a value
    total      numeric     NOT NULL,
    last_time  timestamptz NOT NULL,
    last_value numeric,
    PRIMARY KEY (feed, metric, period, day, subject)
);

-- Exact counts of the current cases. `measure`:
--   opened  day = local day of opened_at
--   closed  day = local day of closed_at
--   open    day = local day of due_at, 9999-12-31 without one: status open (the clock runs)
--   paused  day = 9999-12-31: status paused
CREATE TABLE rollup_case (
    feed       text    NOT NULL,
    measure    text    NOT NULL,
    day        date    NOT NULL,
    area       text    NOT NULL,  -- '' where unknown
    dims       jsonb   NOT NULL,  -- category, agency, channel, level, outcome and the feed's own dims, where known
    n          bigint  NOT NULL,
    n_due      bigint  NOT NULL,  -- of those, with a due date
    n_on_time  bigint  NOT NULL,  -- closed at or before it
    seconds    numeric NOT NULL,  -- closed_at - opened_at, summed
    n_rated    bigint  NOT NULL,
    rating     bigint  NOT NULL,  -- summed
    PRIMARY KEY (feed, measure, day, area, dims)
);

-- Time to resolve, for medians: how many cases closed on `day` took `tenths` tenths of an hour (rounded up).
CREATE TABLE rollup_duration (
    feed   text    NOT NULL,
    day    date    NOT NULL,
    area   text    NOT NULL,  -- '*' is the whole province
    tenths integer NOT NULL,
    n      bigint  NOT NULL,
    PRIMARY KEY (feed, day, area, tenths)
);

-- How far each partition was read, in the same transaction as what was read; and what was counted on the way.
-- Offsets belong to a topic's id: a topic that was recreated starts again.
CREATE TABLE consumer_offset (
    topic        text        NOT NULL,
    partition    integer     NOT NULL,
    topic_id     text        NOT NULL,
    next_offset  bigint      NOT NULL,
    feed         text        NOT NULL,
    events       bigint      NOT NULL DEFAULT 0,
    duplicates   bigint      NOT NULL DEFAULT 0,
    lag          bigint,                 -- records in the partition not yet read, when last read
    as_of        timestamptz,  -- newest time of a fact
    received_at  timestamptz,  -- newest arrival of a fact
    checked_at   timestamptz,  -- newest sign of life of the source, which had nothing new to say
    PRIMARY KEY (topic, partition)
);

CREATE TABLE dead_letter (
    id         text        PRIMARY KEY,
    feed       text        NOT NULL,
    cause      text        NOT NULL,
    message    text        NOT NULL,
    field      text        NOT NULL DEFAULT '',
    repair     text        NOT NULL DEFAULT '',
    record     text        NOT NULL DEFAULT '',
    connector  text        NOT NULL DEFAULT '',
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    times      bigint      NOT NULL DEFAULT 1,
    replayed_at timestamptz
);
CREATE INDEX dead_letter_feed ON dead_letter (feed, last_at DESC);

-- Where a connector will go on, and how its last polls went. The cursor is written after the broker acknowledged.
CREATE TABLE connector_cursor (
    feed          text        PRIMARY KEY,
    cursor        jsonb       NOT NULL DEFAULT '{}',
    topic_id      text        NOT NULL DEFAULT '',  -- the topic the records went into
    saved_at      timestamptz NOT NULL,
    polls         bigint      NOT NULL DEFAULT 0,
    records       bigint      NOT NULL DEFAULT 0,
    errors        bigint      NOT NULL DEFAULT 0,
    last_poll_at  timestamptz,
    last_ok_at    timestamptz,
    last_error    text        NOT NULL DEFAULT '',
    last_error_at timestamptz
);

CREATE TABLE token (
    name       text        PRIMARY KEY,
    role       text        NOT NULL,  -- source, screen, viewer
    hash       text        NOT NULL,  -- SHA-256 of the random token; the token itself is shown once
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

-- Signs of life of our own processes (connect, ingest, jobs, web), each instance every few seconds.
CREATE TABLE service (
    name       text        NOT NULL,
    instance   text        NOT NULL,  -- host:pid
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    info       jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (name, instance)
);
