-- What the screens and /healthz show besides KPIs.

-- name: feeds
SELECT o.feed, max(o.as_of) AS as_of, max(o.received_at) AS received_at, max(o.checked_at) AS checked_at,
       sum(o.events)::bigint AS events, sum(o.duplicates)::bigint AS duplicates, sum(o.lag)::bigint AS lag
FROM consumer_offset o GROUP BY o.feed

-- name: dead_letter_counts
SELECT feed, count(*) AS n FROM dead_letter GROUP BY feed

-- name: cursors
SELECT feed, polls, records, errors, last_poll_at, last_ok_at, last_error, last_cause, shape_changes, shape_change, shape_changed_at,
       bytes_read, doubtful, errors_by_type FROM connector_cursor

-- name: services
SELECT name, instance, started_at, seen_at, info FROM service WHERE seen_at > %(since)s ORDER BY name, instance

-- name: ticker
-- The latest case events, so many of each feed, the newest first by when it was so (a clock that runs ahead does not
-- stay on top: by when we learnt it at the latest); the state says what the case is now. A case without a title
-- (an encounter, an enrolment) is counted, never listed. {moment}: received_at, or time where lateness is not asked.
SELECT e.feed, e.subject, s.title, coalesce(s.category, '') AS category, s.status, s.area,
       e.time, e.received_at
FROM unnest(%(feeds)s::text[]) AS f(feed)
CROSS JOIN LATERAL (
    SELECT * FROM (
        SELECT DISTINCT ON (subject) feed, subject, time, received_at FROM (
            SELECT feed, subject, time, received_at FROM event
            WHERE feed = f.feed AND kind = 2 AND {moment} > %(since)s AND {moment} <= %(until)s ORDER BY {moment} DESC, time DESC LIMIT 60
        ) latest ORDER BY subject, {moment} DESC
    ) one ORDER BY least(time, received_at) DESC LIMIT %(limit)s
) e
JOIN {cases} s ON s.feed = e.feed AND s.subject = e.subject
WHERE NOT s.deleted AND s.title IS NOT NULL
ORDER BY least(e.time, e.received_at) DESC, e.received_at DESC, e.feed, e.subject

-- name: open_cases
-- Open cases that have a place: newest first, so that a flood keeps what is new.
SELECT feed, subject, title, coalesce(category, '') AS category,
       CASE WHEN status = 'open' AND due_at <= %(now)s THEN 'overdue' ELSE status END AS state,
       area, lat, lon, coalesce(opened_at, first_at) AS since, coalesce(level, '') AS level, shape, '' AS picture
FROM {cases}
WHERE status <> 'closed' AND NOT deleted AND title IS NOT NULL AND lat IS NOT NULL AND lon IS NOT NULL
ORDER BY opened_at DESC NULLS LAST LIMIT %(limit)s

-- name: assets
SELECT feed, subject, coalesce(name, '') AS title, kind AS category, state, area, lat, lon, NULL::timestamptz AS since, '' AS level, NULL::jsonb AS shape, coalesce(dims ->> 'picture', '') AS picture
FROM {assets}
WHERE NOT deleted AND lat IS NOT NULL AND lon IS NOT NULL AND state <> 'retired'
ORDER BY feed, subject LIMIT %(limit)s

-- name: dead_letters
SELECT id, feed, cause, message, field, repair, record, connector, first_at, last_at, times, replayed_at
FROM dead_letter WHERE (%(feed)s::text IS NULL OR feed = %(feed)s) ORDER BY last_at DESC LIMIT %(limit)s

-- name: doubts
-- Facts marked as doubtful, newest arrival first; `metrics` of a formula, NULL for all.
SELECT feed, subject, metric, time, received_at, area, value, data ->> 'unit' AS unit, data ->> 'doubt' AS doubt
FROM event
WHERE data ? 'doubt' AND data ->> 'doubt' IS NOT NULL AND feed = ANY(%(feeds)s::text[]) AND received_at > %(since)s AND received_at <= %(until)s
  AND (%(metrics)s::text[] IS NULL OR metric = '' OR metric = ANY(%(metrics)s::text[]))
ORDER BY received_at DESC LIMIT %(limit)s

-- name: dead_letter_causes
SELECT feed, cause, field, count(*) AS n, sum(times)::bigint AS times, max(last_at) AS last_at,
       (array_agg(message ORDER BY last_at DESC))[1] AS message, (array_agg(repair ORDER BY last_at DESC))[1] AS repair
FROM dead_letter GROUP BY feed, cause, field ORDER BY max(last_at) DESC LIMIT %(limit)s
