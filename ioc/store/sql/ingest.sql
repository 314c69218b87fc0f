-- The transaction of a batch, in the order of ioc/store/writer.py.

-- name: staging
-- One row an event whose identity is looked up; emptied at every commit.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    ord int, feed text, kind smallint, subject text, metric text, period text, time timestamptz, key uuid, content uuid,
    received_at timestamptz, version timestamptz, value numeric, area text, deleted boolean, id text, source text, data jsonb
) ON COMMIT DELETE ROWS

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
INSERT INTO rollup_observation AS r (feed, metric, period, day, subject, area, n, total, last_time, last_value, said)
SELECT * FROM unnest(%(feed)s::text[], %(metric)s::text[], %(period)s::text[], %(day)s::date[], %(subject)s::text[], %(area)s::text[],
                     %(n)s::bigint[], %(total)s::numeric[], %(last_time)s::timestamptz[], %(last_value)s::numeric[], %(said)s::jsonb[])
ON CONFLICT (feed, metric, period, day, subject) DO UPDATE SET
    n = r.n + excluded.n,
    total = r.total + excluded.total,
    area = CASE WHEN excluded.last_time >= r.last_time THEN excluded.area ELSE r.area END,
    last_value = CASE WHEN excluded.last_time >= r.last_time THEN excluded.last_value ELSE r.last_value END,
    said = CASE WHEN excluded.last_time >= r.last_time THEN excluded.said ELSE r.said END,
    last_time = greatest(r.last_time, excluded.last_time)

-- name: refresh_last
-- After a correction or a withdrawal: the newest standing value of those days, read again.
UPDATE rollup_observation r SET last_time = l.time, last_value = l.value, area = l.area, said = l.said
FROM unnest(%(feed)s::text[], %(metric)s::text[], %(period)s::text[], %(day)s::date[], %(subject)s::text[],
            %(start)s::timestamptz[], %(end)s::timestamptz[]) AS k(feed, metric, period, day, subject, start, stop)
CROSS JOIN LATERAL (
    SELECT c.time, c.value, c.area, c.said FROM (
        SELECT DISTINCT ON (e.time) e.time, e.value, e.area, e.deleted, CASE WHEN e.data ?| '{qualifier,doubt,attributes}' THEN e.data - '{metric,value,area,period,deleted,lat,lon}'::text[] END AS said FROM event e
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

-- name: alone
-- One writer at a time changes the case rollups of a feed, until it commits: MERGE, unlike ON CONFLICT, expects that nobody
-- else inserts the same row. It finds each row once, where adding and then dropping what became empty found it twice.
SELECT pg_advisory_xact_lock(%(what)s, k) FROM unnest(%(feeds)s::int[]) AS k

-- name: add_cases
MERGE INTO rollup_case r
USING unnest(%(feed)s::text[], %(measure)s::text[], %(day)s::date[], %(area)s::text[], %(dims)s::jsonb[], %(n)s::bigint[], %(n_due)s::bigint[], %(n_on_time)s::bigint[], %(seconds)s::numeric[], %(n_rated)s::bigint[], %(rating)s::bigint[])
     AS k(feed, measure, day, area, dims, n, n_due, n_on_time, seconds, n_rated, rating)
ON r.feed = k.feed AND r.measure = k.measure AND r.day = k.day AND r.area = k.area AND r.dims = k.dims
WHEN MATCHED AND r.n + k.n = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET n = r.n + k.n, n_due = r.n_due + k.n_due, n_on_time = r.n_on_time + k.n_on_time, seconds = r.seconds + k.seconds, n_rated = r.n_rated + k.n_rated, rating = r.rating + k.rating
WHEN NOT MATCHED THEN INSERT (feed, measure, day, area, dims, n, n_due, n_on_time, seconds, n_rated, rating) VALUES (k.feed, k.measure, k.day, k.area, k.dims, k.n, k.n_due, k.n_on_time, k.seconds, k.n_rated, k.rating)

-- name: add_totals
MERGE INTO rollup_total r
USING unnest(%(feed)s::text[], %(measure)s::text[], %(day)s::date[], %(dims)s::jsonb[], %(n)s::bigint[], %(n_due)s::bigint[], %(n_on_time)s::bigint[], %(seconds)s::numeric[], %(n_rated)s::bigint[], %(rating)s::bigint[])
     AS k(feed, measure, day, dims, n, n_due, n_on_time, seconds, n_rated, rating)
ON r.feed = k.feed AND r.measure = k.measure AND r.day = k.day AND r.dims = k.dims
WHEN MATCHED AND r.n + k.n = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET n = r.n + k.n, n_due = r.n_due + k.n_due, n_on_time = r.n_on_time + k.n_on_time, seconds = r.seconds + k.seconds, n_rated = r.n_rated + k.n_rated, rating = r.rating + k.rating
WHEN NOT MATCHED THEN INSERT (feed, measure, day, dims, n, n_due, n_on_time, seconds, n_rated, rating) VALUES (k.feed, k.measure, k.day, k.dims, k.n, k.n_due, k.n_on_time, k.seconds, k.n_rated, k.rating)

-- name: add_durations
MERGE INTO rollup_duration r
USING unnest(%(feed)s::text[], %(day)s::date[], %(area)s::text[], %(tenths)s::int[], %(n)s::bigint[])
     AS k(feed, day, area, tenths, n)
ON r.feed = k.feed AND r.day = k.day AND r.area = k.area AND r.tenths = k.tenths
WHEN MATCHED AND r.n + k.n = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET n = r.n + k.n
WHEN NOT MATCHED THEN INSERT (feed, day, area, tenths, n) VALUES (k.feed, k.day, k.area, k.tenths, k.n)

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

-- name: alive
-- Lengthen the last stretch in which a feed was heard of, or begin another; a sign older than that stretch is no news.
WITH heard AS (
    SELECT h.feed, h.at, h.gap_s, (SELECT max(since) FROM feed_alive a WHERE a.feed = h.feed) AS since
    FROM unnest(%(feed)s::text[], %(at)s::timestamptz[], %(gap_s)s::float8[]) AS h(feed, at, gap_s)
), lengthened AS (
    UPDATE feed_alive a SET until = greatest(a.until, h.at) FROM heard h
    WHERE a.feed = h.feed AND a.since = h.since AND h.at >= a.since AND h.at <= a.until + make_interval(secs => h.gap_s)
    RETURNING a.feed
)
INSERT INTO feed_alive AS a (feed, since, until)
SELECT feed, at, at FROM heard h WHERE (h.since IS NULL OR h.at > h.since) AND NOT EXISTS (SELECT FROM lengthened l WHERE l.feed = h.feed)
ON CONFLICT (feed, since) DO NOTHING

-- name: assign
-- On assignment: where to go on. A topic with another id is another topic: it starts again at its beginning.
INSERT INTO consumer_offset AS o (topic, partition, topic_id, next_offset, feed) VALUES (%(topic)s, %(partition)s, %(topic_id)s, 0, %(feed)s)
ON CONFLICT (topic, partition) DO UPDATE SET
    next_offset = CASE WHEN o.topic_id = excluded.topic_id THEN o.next_offset ELSE 0 END,
    topic_id = excluded.topic_id
RETURNING next_offset
