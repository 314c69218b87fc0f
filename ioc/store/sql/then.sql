-- What was so at an earlier instant, or was known at one: the stored rollups and states, corrected for the events that
-- were not known yet. The cost follows what has changed since, not the history. All of it is temporary and rolled back.

-- name: case_keys
-- Cases that are stored otherwise than they were: heard of since, or (facts about the time after `at` left out) moved since.
CREATE TEMPORARY TABLE then_case_key AS
SELECT DISTINCT feed, subject FROM event WHERE feed = ANY(%(feeds)s::text[]) AND kind = 2 AND received_at > %(known_at)s
UNION
SELECT feed, subject FROM case_state
WHERE %(truncate)s::boolean AND feed = ANY(%(feeds)s::text[])
  AND (updated_at > %(at)s::timestamptz OR opened_at > %(at)s::timestamptz OR closed_at > %(at)s::timestamptz)

-- name: asset_keys
CREATE TEMPORARY TABLE then_asset_key AS
SELECT DISTINCT feed, subject FROM event WHERE feed = ANY(%(feeds)s::text[]) AND kind = 3 AND received_at > %(known_at)s
UNION
SELECT feed, subject FROM asset_state WHERE %(truncate)s::boolean AND feed = ANY(%(feeds)s::text[]) AND updated_at > %(at)s::timestamptz

-- name: observation_keys
CREATE TEMPORARY TABLE then_observation_key AS
SELECT DISTINCT feed, metric, period, (time AT TIME ZONE %(zone)s::text)::date AS day, subject
FROM event WHERE feed = ANY(%(feeds)s::text[]) AND kind = 1 AND received_at > %(known_at)s
UNION
SELECT feed, metric, period, day, subject FROM rollup_observation
WHERE %(truncate)s::boolean AND feed = ANY(%(feeds)s::text[]) AND last_time > %(at)s::timestamptz

-- name: stored_states
-- The stored state of those cases, or assets.
SELECT s.* FROM {state} s JOIN pg_temp.{keys} k USING (feed, subject)

-- name: known_events
-- What was known of those cases, or assets, one after the other.
SELECT e.feed, e.subject, e.time, e.key, e.data::text
FROM event e JOIN pg_temp.{keys} k USING (feed, subject)
WHERE e.kind = {kind} AND e.received_at <= %(known_at)s
ORDER BY e.feed, e.subject

-- name: deltas
CREATE TEMPORARY TABLE then_delta (LIKE rollup_case);
CREATE TEMPORARY TABLE then_delta_total (LIKE rollup_total);
CREATE TEMPORARY TABLE then_delta_duration (LIKE rollup_duration);
CREATE TEMPORARY TABLE then_case (
    feed text, subject text, status text, outcome text, category text, area text, agency text, channel text, level text,
    due_at timestamptz, deleted boolean, dims jsonb
);
CREATE TEMPORARY TABLE then_asset (
    feed text, subject text, kind text, area text, state text, deleted boolean, name text, lat double precision, lon double precision,
    dims jsonb
);
CREATE TEMPORARY TABLE then_seen (
    feed text, subject text, status text, title text, category text, level text, area text, due_at timestamptz, opened_at timestamptz,
    lat double precision, lon double precision, deleted boolean, first_at timestamptz, shape jsonb
)

-- name: observations
-- Of all versions known of an observation the newest stands; what stands adds up as at ingest.
CREATE TEMPORARY TABLE then_observation AS
SELECT v.feed, v.metric, v.period, v.day, v.subject, (array_agg(v.area ORDER BY v.time DESC))[1] AS area,
       count(*) AS n, sum(v.value) AS total, max(v.time) AS last_time, (array_agg(v.value ORDER BY v.time DESC))[1] AS last_value,
       (array_agg(v.said ORDER BY v.time DESC))[1] AS said
FROM (
    SELECT DISTINCT ON (k.feed, k.metric, k.period, k.day, k.subject, e.time) k.*, e.time, e.area, e.value, e.deleted,
           CASE WHEN e.data ?| '{qualifier,doubt,attributes}' THEN e.data - '{metric,value,area,period,deleted,lat,lon}'::text[] END AS said
    FROM pg_temp.then_observation_key k
    JOIN event e ON e.feed = k.feed AND e.subject = k.subject AND e.metric = k.metric AND e.period = k.period
        AND e.time >= k.day::timestamp AT TIME ZONE %(zone)s::text AND e.time < (k.day + 1)::timestamp AT TIME ZONE %(zone)s::text
    WHERE e.kind = 1 AND e.received_at <= %(known_at)s AND (NOT %(truncate)s::boolean OR e.time <= %(at)s)
    ORDER BY k.feed, k.metric, k.period, k.day, k.subject, e.time, e.version DESC, e.key DESC
) v
WHERE NOT v.deleted AND v.value IS NOT NULL
GROUP BY v.feed, v.metric, v.period, v.day, v.subject

-- name: views
-- Relations of the stored ones' shape, as they were.
CREATE TEMPORARY VIEW then_rollup_case AS
SELECT * FROM rollup_case UNION ALL SELECT * FROM pg_temp.then_delta;
CREATE TEMPORARY VIEW then_rollup_total AS
SELECT * FROM rollup_total UNION ALL SELECT * FROM pg_temp.then_delta_total;
CREATE TEMPORARY VIEW then_rollup_duration AS
SELECT * FROM rollup_duration UNION ALL SELECT * FROM pg_temp.then_delta_duration;
CREATE TEMPORARY VIEW then_rollup_observation AS
SELECT feed, metric, period, day, subject, area, n, total, last_time, last_value, said FROM rollup_observation r
WHERE NOT EXISTS (
    SELECT FROM pg_temp.then_observation_key k
    WHERE (k.feed, k.metric, k.period, k.day, k.subject) = (r.feed, r.metric, r.period, r.day, r.subject)
)
UNION ALL SELECT feed, metric, period, day, subject, area, n, total, last_time, last_value, said FROM pg_temp.then_observation;
CREATE TEMPORARY VIEW then_case_state AS
SELECT feed, subject, status, outcome, category, area, agency, channel, level, due_at, deleted, dims FROM case_state s
WHERE NOT EXISTS (SELECT FROM pg_temp.then_case_key k WHERE (k.feed, k.subject) = (s.feed, s.subject))
UNION ALL SELECT * FROM pg_temp.then_case;
CREATE TEMPORARY VIEW then_asset_state AS
SELECT feed, subject, kind, area, state, deleted, name, lat, lon, dims FROM asset_state s
WHERE NOT EXISTS (SELECT FROM pg_temp.then_asset_key k WHERE (k.feed, k.subject) = (s.feed, s.subject))
UNION ALL SELECT * FROM pg_temp.then_asset

-- name: seen
-- Cases as a screen shows them one by one: of `then_case_state` it asks more than a KPI does.
CREATE TEMPORARY VIEW then_seen_case AS
SELECT feed, subject, status, title, category, level, area, due_at, opened_at, lat, lon, deleted, first_at, shape FROM case_state s
WHERE NOT EXISTS (SELECT FROM pg_temp.then_case_key k WHERE (k.feed, k.subject) = (s.feed, s.subject))
UNION ALL SELECT * FROM pg_temp.then_seen

-- name: feed_times
-- Newest fact and newest arrival known then, among the arrivals since `since` (NULL: all); and when the source, with or
-- without news, had last been heard of: within a stretch without a gap it was live throughout.
SELECT f.feed, e.as_of, e.received_at, a.checked_at, e.events
FROM unnest(%(feeds)s::text[]) AS f(feed)
CROSS JOIN LATERAL (
    SELECT max(e.time) AS as_of, max(e.received_at) AS received_at, count(*) AS events FROM event e
    WHERE e.feed = f.feed AND e.received_at <= %(known_at)s AND (%(since)s::timestamptz IS NULL OR e.received_at > %(since)s::timestamptz)
        AND (NOT %(truncate)s::boolean OR e.time <= %(at)s)
) e
LEFT JOIN LATERAL (
    SELECT least(a.until, %(at)s::timestamptz) AS checked_at FROM feed_alive a WHERE a.feed = f.feed AND a.since <= %(at)s ORDER BY a.since DESC LIMIT 1
) a ON true
WHERE e.events > 0 OR a.checked_at IS NOT NULL
