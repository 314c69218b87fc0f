-- Everything once more from raw events, into temporary relations of the stored ones' shape, and what differs.

-- name: events
SELECT feed, subject, time, key, received_at, id, data::text FROM event
WHERE kind = {kind}
ORDER BY feed COLLATE "C", subject COLLATE "C"

-- name: states
SELECT * FROM {state} ORDER BY feed COLLATE "C", subject COLLATE "C"

-- name: parts
-- What cases contribute, a row a case and measure, or sums of some.
CREATE TEMPORARY TABLE part_case (LIKE rollup_case) ON COMMIT DROP;
CREATE TEMPORARY TABLE part_duration (LIKE rollup_duration) ON COMMIT DROP;
CREATE TEMPORARY TABLE then_case_state (
    feed text, subject text, status text, outcome text, category text, area text, agency text, channel text, level text,
    due_at timestamptz, deleted boolean, dims jsonb
) ON COMMIT DROP;
CREATE TEMPORARY TABLE then_asset_state (
    feed text, subject text, kind text, area text, state text, deleted boolean, name text, lat double precision, lon double precision,
    dims jsonb
) ON COMMIT DROP

-- name: sum_parts
CREATE TEMPORARY TABLE then_rollup_case ON COMMIT DROP AS
SELECT feed, measure, day, area, dims, sum(n)::bigint AS n, sum(n_due)::bigint AS n_due, sum(n_on_time)::bigint AS n_on_time, sum(seconds) AS seconds,
       sum(n_rated)::bigint AS n_rated, sum(rating)::bigint AS rating
FROM part_case GROUP BY feed, measure, day, area, dims HAVING sum(n) <> 0;
CREATE TEMPORARY TABLE then_rollup_total ON COMMIT DROP AS
SELECT feed, measure, day, dims - 'agency' AS dims, sum(n)::bigint AS n, sum(n_due)::bigint AS n_due, sum(n_on_time)::bigint AS n_on_time,
       sum(seconds) AS seconds, sum(n_rated)::bigint AS n_rated, sum(rating)::bigint AS rating
FROM then_rollup_case GROUP BY feed, measure, day, dims - 'agency';
CREATE TEMPORARY TABLE then_rollup_duration ON COMMIT DROP AS
SELECT feed, day, area, tenths, sum(n)::bigint AS n FROM part_duration GROUP BY feed, day, area, tenths HAVING sum(n) <> 0;
CREATE INDEX ON then_rollup_case (feed, measure, day);
CREATE INDEX ON then_rollup_total (feed, measure, day);
CREATE INDEX ON then_rollup_duration (feed, day, area);
ANALYZE then_rollup_case;
ANALYZE then_rollup_total;
ANALYZE then_rollup_duration

-- name: sum_observations
-- Days before `horizon` are taken as stored: their events may be past their retention.
CREATE TEMPORARY TABLE then_rollup_observation ON COMMIT DROP AS
SELECT v.feed, v.metric, v.period, v.day, v.subject, (array_agg(v.area ORDER BY v.time DESC))[1] AS area,
       count(*) AS n, sum(v.value) AS total, max(v.time) AS last_time, (array_agg(v.value ORDER BY v.time DESC))[1] AS last_value,
       (array_agg(v.said ORDER BY v.time DESC))[1] AS said
FROM (
    SELECT DISTINCT ON (e.feed, e.subject, e.metric, e.period, e.time)
           e.feed, e.metric, e.period, (e.time AT TIME ZONE %(zone)s::text)::date AS day, e.subject, e.time, e.area, e.value, e.deleted,
           CASE WHEN e.data ?| '{qualifier,doubt,attributes}' THEN e.data - '{metric,value,area,period,deleted,lat,lon}'::text[] END AS said
    FROM event e LEFT JOIN unnest(%(feeds)s::text[], %(horizons)s::date[]) AS h(feed, day) ON h.feed = e.feed
    WHERE e.kind = 1 AND (h.day IS NULL OR (e.time AT TIME ZONE %(zone)s::text)::date >= h.day)
    ORDER BY e.feed, e.subject, e.metric, e.period, e.time, e.version DESC, e.key DESC
) v
WHERE NOT v.deleted AND v.value IS NOT NULL
GROUP BY v.feed, v.metric, v.period, v.day, v.subject
UNION ALL
SELECT r.feed, r.metric, r.period, r.day, r.subject, r.area, r.n, r.total, r.last_time, r.last_value, r.said
FROM rollup_observation r JOIN unnest(%(feeds)s::text[], %(horizons)s::date[]) AS h(feed, day) ON h.feed = r.feed AND r.day < h.day

-- name: index_observations
CREATE INDEX ON then_rollup_observation (feed, metric, period, day);
ANALYZE then_rollup_observation

-- name: different
-- Rows that are stored otherwise than recomputed, or on one side only.
SELECT to_jsonb(s) AS stored, to_jsonb(r) AS recomputed
FROM {stored} s FULL JOIN {recomputed} r ON {same_key}
WHERE {differs}
ORDER BY {order}
LIMIT %(limit)s

-- name: size
SELECT count(*) FROM {relation}

-- name: first_case_event
-- The first event of the cases that a row of a rollup counts: those with its day, area and dims.
SELECT e.id, e.subject, e.time, e.received_at
FROM case_state c
JOIN event e ON e.feed = c.feed AND e.subject = c.subject AND e.kind = 2
WHERE c.feed = %(feed)s AND NOT c.deleted AND (%(area)s::text IS NULL OR coalesce(c.area, '') = %(area)s)
  AND (%(dims)s::jsonb IS NULL OR jsonb_strip_nulls(jsonb_build_object(
        'category', c.category, 'agency', c.agency, 'channel', c.channel, 'level', c.level, 'outcome', c.outcome)) || c.dims @> %(dims)s::jsonb)
  AND CASE %(measure)s
        WHEN 'opened' THEN (coalesce(c.opened_at, c.first_at) AT TIME ZONE %(zone)s::text)::date = %(day)s
        WHEN 'closed' THEN c.status = 'closed' AND (coalesce(c.closed_at, c.updated_at) AT TIME ZONE %(zone)s::text)::date = %(day)s
        WHEN 'open' THEN c.status = 'open' AND coalesce((c.due_at AT TIME ZONE %(zone)s::text)::date, '9999-12-31') = %(day)s
        ELSE c.status = 'paused' END
ORDER BY e.received_at, e.time LIMIT 1

-- name: first_observation_event
SELECT e.id, e.subject, e.time, e.received_at FROM event e
WHERE e.kind = 1 AND e.feed = %(feed)s AND e.subject = %(subject)s AND e.metric = %(metric)s AND e.period = %(period)s
  AND (e.time AT TIME ZONE %(zone)s::text)::date = %(day)s
ORDER BY e.received_at, e.time LIMIT 1

-- name: first_event_of_day
-- Where no event accounts for a row: the feed's first event of that day, to begin the search at.
SELECT e.id, e.subject, e.time, e.received_at FROM event e
WHERE e.feed = %(feed)s AND e.time >= %(day)s::date::timestamp AT TIME ZONE %(zone)s::text AND e.time < (%(day)s::date + 1)::timestamp AT TIME ZONE %(zone)s::text
ORDER BY e.time LIMIT 1

-- name: counted
-- What ingest counted beside what is there, and the oldest fact there ever was (events past their retention are gone).
SELECT coalesce(o.feed, e.feed) AS feed, coalesce(o.events, 0)::bigint AS counted, o.as_of, coalesce(e.events, 0)::bigint AS stored, e.as_of AS newest,
       least(e.oldest, (SELECT min(first_at) FROM case_state c WHERE c.feed = o.feed), (SELECT min(first_at) FROM asset_state a WHERE a.feed = o.feed),
             (SELECT min(day) FROM rollup_observation r WHERE r.feed = o.feed)::timestamp AT TIME ZONE %(zone)s::text) AS oldest
FROM (SELECT feed, sum(events) AS events, max(as_of) AS as_of FROM consumer_offset GROUP BY feed) o
FULL JOIN (SELECT feed, count(*) AS events, max(time) AS as_of, min(time) AS oldest FROM event GROUP BY feed) e ON e.feed = o.feed
