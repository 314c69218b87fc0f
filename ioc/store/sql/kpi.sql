-- What KPIs read: rollups and current state, never a scan of raw events. Each block answers rows
-- (branch, bucket, area, sums); ioc/store/reader.py joins the blocks a question needs with UNION ALL into one statement.
-- Words in braces are composed there: relations, filters, grouping. Buckets are the windows of days, numbered from 1;
-- each window is its own index range (hence LATERAL ... OFFSET 0), so days outside of them cost nothing.

-- name: windows
-- One branch for each feed and measure: sums of the cases opened or closed in each window.
SELECT {branch}::int AS branch, w.i::int AS bucket, x.area, x.sums
FROM unnest(%(lo)s::date[], %(hi)s::date[]) WITH ORDINALITY AS w(lo, hi, i)
CROSS JOIN LATERAL (
    SELECT {area} AS area, ARRAY[{sums}]::numeric[] AS sums
    FROM {cases} r WHERE r.feed = {feed} AND r.measure = {measure} AND r.day BETWEEN w.lo AND w.hi{in_area}
    GROUP BY {grouping} OFFSET 0
) x

-- name: stock
-- What is open or paused now; of the open, what fell due before today. Rows of one case lie under one due day.
SELECT {branch}::int, 0, {area}, ARRAY[{sums}]::numeric[]
FROM {cases} r
WHERE r.feed = {feed} AND r.measure IN ('open', 'paused'){in_area}
GROUP BY {grouping}

-- name: due_today
-- The rest of what is overdue: due since midnight and until now. Read from the partial index case_due.
SELECT {branch}::int, 0, {area}, ARRAY[{sums}]::numeric[]
FROM {case_state} r
WHERE r.feed = {feed} AND r.status = 'open' AND NOT r.deleted AND r.due_at >= %(midnight)s AND r.due_at <= %(at)s{in_area}
GROUP BY {grouping}

-- name: distinct_values
-- How many different values a dim had among the cases of each window.
SELECT {branch}::int, w.i::int, x.area, ARRAY[x.n]::numeric[]
FROM unnest(%(lo)s::date[], %(hi)s::date[]) WITH ORDINALITY AS w(lo, hi, i)
CROSS JOIN LATERAL (
    SELECT d.area, count(*) AS n
    FROM (
        SELECT {area} AS area, r.dims ->> {dim} AS value
        FROM {cases} r WHERE r.feed = {feed} AND r.measure = {measure} AND r.day BETWEEN w.lo AND w.hi{in_area} AND {filter}
        GROUP BY {grouping} HAVING sum(r.n) > 0
    ) d
    WHERE d.value IS NOT NULL
    GROUP BY d.area OFFSET 0
) x

-- name: observations
SELECT {branch}::int, w.i::int, x.area, x.sums
FROM unnest(%(lo)s::date[], %(hi)s::date[]) WITH ORDINALITY AS w(lo, hi, i)
CROSS JOIN LATERAL (
    SELECT {area} AS area, ARRAY[{sums}]::numeric[] AS sums
    FROM {rollup_observation} r WHERE r.feed = {feed} AND r.metric = ANY({metrics}::text[]) AND r.period = {period} AND r.day BETWEEN w.lo AND w.hi{in_area}
    GROUP BY {grouping} OFFSET 0
) x

-- name: last_values
-- Each thing's newest value in each window; summed over the things, or the highest, or how many lie above a limit.
SELECT {branch}::int, w.i::int, x.area, x.sums
FROM unnest(%(lo)s::date[], %(hi)s::date[]) WITH ORDINALITY AS w(lo, hi, i)
CROSS JOIN LATERAL (
    SELECT {area} AS area, ARRAY[{sums}]::numeric[] AS sums
    FROM (
        SELECT DISTINCT ON (o.metric, o.subject) o.metric, o.subject, o.area, o.last_value
        FROM {rollup_observation} o WHERE o.feed = {feed} AND o.metric = ANY({metrics}::text[]) AND o.period = {period} AND o.day BETWEEN w.lo AND w.hi
        ORDER BY o.metric, o.subject, o.day DESC
    ) r
    WHERE true{in_area}
    GROUP BY {grouping} OFFSET 0
) x

-- name: assets
SELECT {branch}::int, 0, {area}, ARRAY[{sums}]::numeric[]
FROM {asset_state} r
WHERE r.feed = {feed} AND NOT r.deleted{in_area}
GROUP BY {grouping}

-- name: median
-- Half of the cases closed in each window took this many hours or less (mean of the two middle ones), and how many they were.
SELECT {branch}::int, w.i::int, x.area, x.sums
FROM unnest(%(lo)s::date[], %(hi)s::date[]) WITH ORDINALITY AS w(lo, hi, i)
CROSS JOIN LATERAL (
    SELECT c.area, ARRAY[(min(c.tenths) FILTER (WHERE 2 * c.upto >= c.total) + min(c.tenths) FILTER (WHERE 2 * c.upto > c.total)) / 20.0,
                         max(c.total)]::numeric[] AS sums
    FROM (
        SELECT g.area, g.tenths, sum(g.n) OVER (PARTITION BY g.area ORDER BY g.tenths) AS upto, sum(g.n) OVER (PARTITION BY g.area) AS total
        FROM (
            SELECT nullif(r.area, '*') AS area, r.tenths, sum(r.n)::int AS n
            FROM {rollup_duration} r WHERE r.feed = {feed} AND r.day BETWEEN w.lo AND w.hi{in_area}
            GROUP BY 1, 2 HAVING sum(r.n) <> 0
        ) g
    ) c
    GROUP BY c.area OFFSET 0
) x

-- name: said
-- How figures were reported: of each day's newest value what its source said of it besides the number.
SELECT r.feed, r.metric, r.period, r.day, r.said
FROM unnest(%(feeds)s::text[], %(metrics)s::text[], %(periods)s::text[]) AS k(feed, metric, period)
JOIN {rollup_observation} r USING (feed, metric, period)
WHERE r.day BETWEEN %(lo)s AND %(hi)s AND r.said IS NOT NULL AND (%(areas)s::text[] IS NULL OR r.area = ANY(%(areas)s::text[]))
ORDER BY r.day, r.subject

-- name: first_day
-- The first day a feed has anything to say of: a look at the beginning of each stretch of the indexes, whatever their length.
WITH RECURSIVE metrics AS (
    (SELECT metric, period FROM rollup_observation WHERE feed = %(feed)s ORDER BY metric, period LIMIT 1)
    UNION ALL
    SELECT n.metric, n.period FROM metrics m CROSS JOIN LATERAL (
        SELECT r.metric, r.period FROM rollup_observation r
        WHERE r.feed = %(feed)s AND (r.metric, r.period) > (m.metric, m.period) ORDER BY r.metric, r.period LIMIT 1
    ) n
)
SELECT least(
    (SELECT min(f.day) FROM unnest('{opened,closed}'::text[]) AS k(measure)
     CROSS JOIN LATERAL (SELECT day FROM rollup_total WHERE feed = %(feed)s AND measure = k.measure ORDER BY day LIMIT 1) f),
    (SELECT min(f.day) FROM metrics m
     CROSS JOIN LATERAL (SELECT day FROM rollup_observation r WHERE r.feed = %(feed)s AND r.metric = m.metric AND r.period = m.period ORDER BY day LIMIT 1) f))

-- name: feeds
-- When each feed was last heard of, over its partitions.
SELECT feed, max(as_of) AS as_of, max(received_at) AS received_at, max(checked_at) AS checked_at, sum(events)::bigint AS events
FROM consumer_offset GROUP BY feed

-- name: next_due
-- The next instant at which an open case becomes overdue.
SELECT min(n.due_at) FROM unnest(%(feeds)s::text[]) AS f(feed)
CROSS JOIN LATERAL (
    SELECT c.due_at FROM case_state c
    WHERE c.feed = f.feed AND c.status = 'open' AND NOT c.deleted AND c.due_at > %(now)s
    ORDER BY c.due_at LIMIT 1
) n

-- name: recent_events
-- The last raw events of a feed that a formula may have counted, newest arrival first.
SELECT feed, subject, metric, time, received_at, id, source, data
FROM event
WHERE feed = %(feed)s AND kind = ANY(%(kinds)s::int[]) AND (metric = '' OR metric = ANY(%(metrics)s::text[])) AND received_at <= %(at)s
  AND (%(areas)s::text[] IS NULL OR area = ANY(%(areas)s::text[]))
ORDER BY received_at DESC LIMIT %(limit)s

-- name: records
-- The raw events a formula may have counted, of a span of time, the last received first: read through a cursor.
SELECT feed, subject, metric, time, received_at, area, value, data::text
FROM event
WHERE feed = %(feed)s AND kind = ANY(%(kinds)s::int[]) AND (metric = '' OR metric = ANY(%(metrics)s::text[]))
  AND time >= %(start)s AND time < %(end)s AND (%(areas)s::text[] IS NULL OR area = ANY(%(areas)s::text[]))
ORDER BY received_at DESC

-- name: count_records
-- How many of these there are, no further than `most`.
SELECT count(*) FROM (
    SELECT FROM event
    WHERE feed = %(feed)s AND kind = ANY(%(kinds)s::int[]) AND (metric = '' OR metric = ANY(%(metrics)s::text[]))
      AND time >= %(start)s AND time < %(end)s AND (%(areas)s::text[] IS NULL OR area = ANY(%(areas)s::text[]))
    LIMIT %(most)s
) e
