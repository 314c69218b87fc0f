-- Notes of editors on KPIs (ioc/kpi/notes.py).

-- name: of_kpi
-- Those of an area come with those of the province; the province's page shows all.
SELECT id, kpi, area, day, body, author, written_at, version, changed_by, changed_at FROM note
WHERE kpi = %(kpi)s AND removed_at IS NULL AND (%(areas)s::text[] IS NULL OR area = ANY(%(areas)s::text[]))
ORDER BY coalesce(day, (written_at AT TIME ZONE 'UTC')::date) DESC, id DESC LIMIT %(limit)s

-- name: add
INSERT INTO note (kpi, area, day, body, author, written_at) VALUES (%(kpi)s, %(area)s, %(day)s, %(body)s, %(author)s, %(at)s)
RETURNING id, kpi, area, day, body, author, written_at, version, changed_by, changed_at

-- name: hold
SELECT id, kpi, area, day, body, author, written_at, version, changed_by, changed_at FROM note
WHERE id = %(id)s AND kpi = %(kpi)s AND removed_at IS NULL FOR UPDATE

-- name: change
UPDATE note SET body = %(body)s, day = %(day)s, version = version + 1, changed_by = %(by)s, changed_at = %(at)s WHERE id = %(id)s
RETURNING id, kpi, area, day, body, author, written_at, version, changed_by, changed_at

-- name: remove
UPDATE note SET removed_by = %(by)s, removed_at = %(at)s, version = version + 1 WHERE id = %(id)s
