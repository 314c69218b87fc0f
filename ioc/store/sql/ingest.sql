-- The transaction of a batch, in the order of ioc/store/writer.py.

-- name: staging
-- One row an event whose identity is looked up; emptied at every commit.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    ord int, feed text, kind smallint, subject text, metric text, period text, time timestamptz, key uuid, content uuid,
    received_at timestamptz, version timestamptz, value numeric, area text, deleted boolean, id text, source text, data jsonb
) ON COMMIT DELETE ROWS

-- name: staging_cases
-- Changed states on their way into case_state.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_case_state (LIKE case_state) ON COMMIT DELETE ROWS

-- name: staging_assets
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_asset_state (LIKE asset_state) ON COMMIT DELETE ROWS

-- name: lock_offsets
SELECT topic, partition, topic_id, next_offset FROM consumer_offset
WHERE (topic, partition) IN (SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[]))
ORDER BY topic, partition FOR UPDATE

-- name: known
-- Events of the same identity that are already stored: repetitions, contradictions, earlier versions of an observation.
-- The bounds on time let the planner leave out chunks; the left join makes it look up each row, never walk through
-- `event`, however wrong its idea of a new chunk's size is (num_nulls: it would turn IS NOT NULL into an inner join).
SELECT i.ord, e.key, e.content, e.version, e.value, e.deleted
FROM incoming i
LEFT JOIN event e ON e.feed = i.feed AND e.subject = i.subject AND e.metric = i.metric AND e.period = i.period AND e.time = i.time
    AND e.time BETWEEN %(oldest)s AND %(newest)s
WHERE num_nulls(e.key) = 0

-- name: store
INSERT INTO event (feed, kind, subject, metric, period, time, key, content, received_at, version, value, area, deleted, id, source, data)
SELECT feed, kind, subject, metric, period, time, key, content, received_at, version, value, area, deleted, id, source, data
FROM incoming WHERE NOT ord = ANY(%(rejected)s)

-- name: add_observations
INSERT INTO rollup_observation AS r (feed, metric, period, day, subject, area, n, total, last_time, last_value)
SELECT * FROM unnest(%(feed)s::text[], %(metric)s::text[], %(period)s::text[], %(day)s::date[], %(subject)s::text[], %(area)s::text[],
                     %(n)s::bigint[], %(total)s::numeric[], %(last_time)s::timestamptz[], %(last_value)s::numeric[])
ON CONFLICT (feed, metric, period, day, subject) DO UPDATE SET
    n = r.n + excluded.n,
    total = r.total + excluded.total,
    area = CASE WHEN excluded.last_time >= r.last_time THEN excluded.area ELSE r.area END,
    last_value = CASE WHEN excluded.last_time >= r.last_time THEN excluded.last_value ELSE r.last_value END,
    last_time = greatest(r.last_time, excluded.last_time)

-- name: refresh_last
-- After a correction or a withdrawal: the newest standing value of those days, read again.
UPDATE rollup_observation r SET last_time = l.time, last_value = l.value, area = l.area
FROM unnest(%(feed)s::text[], %(metric)s::text[], %(period)s::text[], %(day)s::date[], %(subject)s::text[],
            %(start)s::timestamptz[], %(end)s::timestamptz[]) AS k(feed, metric, period, day, subject, start, stop)
CROSS JOIN LATERAL (
    SELECT c.time, c.value, c.area FROM (
        SELECT DISTINCT ON (e.time) e.time, e.value, e.area, e.deleted FROM event e
        WHERE e.feed = k.feed AND e.subject = k.subject AND e.metric = k.metric AND e.period = k.period
          AND e.time >= k.start AND e.time < k.stop
        ORDER BY e.time DESC, e.version DESC, e.key DESC
    ) c WHERE NOT c.deleted AND c.value IS NOT NULL ORDER BY c.time DESC LIMIT 1
) l
WHERE (r.feed, r.metric, r.period, r.day, r.subject) = (k.feed, k.metric, k.period, k.day, k.subject)

-- name: drop_empty_observations
DELETE FROM rollup_observation r
USING unnest(%(feed)s::text[], %(metric)s::text[], %(period)s::text[], %(day)s::date[], %(subject)s::text[]) AS k(feed, metric, period, day, subject)
WHERE (r.feed, r.metric, r.period, r.day, r.subject) = (k.feed, k.metric, k.period, k.day, k.subject) AND r.n = 0

-- name: add_cases
INSERT INTO rollup_case AS r (feed, measure, day, area, dims, n, n_due, n_on_time, seconds, n_rated, rating)
SELECT * FROM unnest(%(feed)s::text[], %(measure)s::text[], %(day)s::date[], %(area)s::text[], %(dims)s::jsonb[], %(n)s::bigint[],
                     %(n_due)s::bigint[], %(n_on_time)s::bigint[], %(seconds)s::numeric[], %(n_rated)s::bigint[], %(rating)s::bigint[])
ON CONFLICT (feed, measure, day, area, dims) DO UPDATE SET
    n = r.n + excluded.n, n_due = r.n_due + excluded.n_due, n_on_time = r.n_on_time + excluded.n_on_time,
    seconds = r.seconds + excluded.seconds, n_rated = r.n_rated + excluded.n_rated, rating = r.rating + excluded.rating

-- name: drop_empty_cases
DELETE FROM rollup_case r
USING unnest(%(feed)s::text[], %(measure)s::text[], %(day)s::date[], %(area)s::text[], %(dims)s::jsonb[]) AS k(feed, measure, day, area, dims)
WHERE (r.feed, r.measure, r.day, r.area, r.dims) = (k.feed, k.measure, k.day, k.area, k.dims) AND r.n = 0

-- name: add_totals
INSERT INTO rollup_total AS r (feed, measure, day, dims, n, n_due, n_on_time, seconds, n_rated, rating)
SELECT * FROM unnest(%(feed)s::text[], %(measure)s::text[], %(day)s::date[], %(dims)s::jsonb[], %(n)s::bigint[], %(n_due)s::bigint[],
                     %(n_on_time)s::bigint[], %(seconds)s::numeric[], %(n_rated)s::bigint[], %(rating)s::bigint[])
ON CONFLICT (feed, measure, day, dims) DO UPDATE SET
    n = r.n + excluded.n, n_due = r.n_due + excluded.n_due, n_on_time = r.n_on_time + excluded.n_on_time,
    seconds = r.seconds + excluded.seconds, n_rated = r.n_rated + excluded.n_rated, rating = r.rating + excluded.rating

-- name: drop_empty_totals
DELETE FROM rollup_total r
USING unnest(%(feed)s::text[], %(measure)s::text[], %(day)s::date[], %(dims)s::jsonb[]) AS k(feed, measure, day, dims)
WHERE (r.feed, r.measure, r.day, r.dims) = (k.feed, k.measure, k.day, k.dims) AND r.n = 0

-- name: add_durations
INSERT INTO rollup_duration AS r (feed, day, area, tenths, n)
SELECT * FROM unnest(%(feed)s::text[], %(day)s::date[], %(area)s::text[], %(tenths)s::int[], %(n)s::bigint[])
ON CONFLICT (feed, day, area, tenths) DO UPDATE SET n = r.n + excluded.n

-- name: drop_empty_durations
DELETE FROM rollup_duration r
USING unnest(%(feed)s::text[], %(day)s::date[], %(area)s::text[], %(tenths)s::int[]) AS k(feed, day, area, tenths)
WHERE (r.feed, r.day, r.area, r.tenths) = (k.feed, k.day, k.area, k.tenths) AND r.n = 0

-- name: dead_letters
INSERT INTO dead_letter AS d (id, feed, cause, message, field, repair, record, connector, first_at, last_at, times)
SELECT * FROM unnest(%(id)s::text[], %(feed)s::text[], %(cause)s::text[], %(message)s::text[], %(field)s::text[], %(repair)s::text[],
                     %(record)s::text[], %(connector)s::text[], %(first_at)s::timestamptz[], %(last_at)s::timestamptz[], %(times)s::bigint[])
ON CONFLICT (id) DO UPDATE SET last_at = greatest(d.last_at, excluded.last_at), times = d.times + excluded.times

-- name: save_offsets
UPDATE consumer_offset o SET
    next_offset = k.next_offset,
    events = o.events + k.events,
    duplicates = o.duplicates + k.duplicates,
    lag = k.lag,
    as_of = greatest(o.as_of, k.as_of),
    received_at = greatest(o.received_at, k.received_at),
    checked_at = greatest(o.checked_at, k.checked_at)
FROM unnest(%(topic)s::text[], %(partition)s::int[], %(next_offset)s::bigint[], %(events)s::bigint[], %(duplicates)s::bigint[], %(lag)s::bigint[],
            %(as_of)s::timestamptz[], %(received_at)s::timestamptz[], %(checked_at)s::timestamptz[])
     AS k(topic, partition, next_offset, events, duplicates, lag, as_of, received_at, checked_at)
WHERE o.topic = k.topic AND o.partition = k.partition

-- name: assign
-- On assignment: where to go on. A topic with another id is another topic: it starts again at its beginning.
INSERT INTO consumer_offset AS o (topic, partition, topic_id, next_offset, feed) VALUES (%(topic)s, %(partition)s, %(topic_id)s, 0, %(feed)s)
ON CONFLICT (topic, partition) DO UPDATE SET
    next_offset = CASE WHEN o.topic_id = excluded.topic_id THEN o.next_offset ELSE 0 END,
    topic_id = excluded.topic_id
RETURNING next_offset
