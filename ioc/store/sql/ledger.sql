-- The ledger of published values: what stood, what stands, and why it changed.

-- name: lock
-- One process keeps the ledger at a time.
SELECT pg_try_advisory_xact_lock(hashtext('ioc ledger'))

-- name: published
SELECT kpi, first, last, value, formula, formula_version, published_at FROM published_value

-- name: publish
INSERT INTO published_value (kpi, first, last, value, formula, formula_version, published_at)
SELECT kpi, first, last, value, formula, version, %(at)s
FROM unnest(%(kpi)s::text[], %(first)s::date[], %(last)s::date[], %(value)s::float8[], %(formula)s::text[], %(version)s::int[])
    AS n(kpi, first, last, value, formula, version)
ON CONFLICT (kpi, first, last) DO UPDATE SET
    value = excluded.value, formula = excluded.formula, formula_version = excluded.formula_version, published_at = excluded.published_at

-- name: restate
INSERT INTO restatement (kpi, first, last, restated_at, was, became, since, reason, why)
VALUES (%(kpi)s, %(first)s, %(last)s, %(at)s, %(was)s, %(became)s, %(since)s, %(reason)s, %(why)s)

-- name: arrived_since
-- Of the facts a formula may count, those that arrived after a value was published: how many there are, how many of them
-- are of its period, the first of these, and the newest document among them.
SELECT count(*), count(*) FILTER (WHERE own), (array_agg(id ORDER BY received_at) FILTER (WHERE own))[1],
       (array_agg(data -> 'attributes' ->> 'source' ORDER BY version DESC) FILTER (WHERE own AND data -> 'attributes' ? 'source'))[1],
       max(version) FILTER (WHERE own)
FROM (
    SELECT e.id, e.received_at, e.data, e.version,
           CASE e.kind WHEN 1 THEN e.metric = ANY(%(metrics)s::text[]) AND e.time >= %(start)s AND e.time < %(end)s
                WHEN 2 THEN coalesce(c.deleted OR (c.opened_at >= %(start)s AND c.opened_at < %(end)s) OR (c.closed_at >= %(start)s AND c.closed_at < %(end)s), false)
                ELSE true END AS own
    FROM event e LEFT JOIN case_state c ON e.kind = 2 AND c.feed = e.feed AND c.subject = e.subject
    WHERE e.feed = ANY(%(feeds)s::text[]) AND e.received_at > %(since)s AND e.kind = ANY(%(kinds)s::int[])
) f

-- name: restatements
SELECT first, last, restated_at, was, became, since, reason, why, kpi, CASE WHEN p.published_at = r.restated_at THEN p.formula_version END AS formula_version
FROM restatement r LEFT JOIN published_value p USING (kpi, first, last)
WHERE kpi = %(kpi)s AND restated_at <= %(at)s ORDER BY restated_at DESC, first DESC LIMIT %(limit)s

-- name: restated_since
SELECT first, last, restated_at, was, became, since, reason, why, kpi, CASE WHEN p.published_at = r.restated_at THEN p.formula_version END AS formula_version
FROM restatement r LEFT JOIN published_value p USING (kpi, first, last)
WHERE restated_at > %(since)s ORDER BY restated_at DESC, kpi, first DESC LIMIT %(limit)s
