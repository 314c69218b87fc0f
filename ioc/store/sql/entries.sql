-- Figures typed by people (ioc/entry).

-- name: enter
INSERT INTO entry (feed, figure, area, period, begins, length, value, unit, document, doubt, entered_by, entered_at)
VALUES (%(feed)s, %(figure)s, %(area)s, %(period)s, %(begins)s, %(length)s, %(value)s, %(unit)s, %(document)s, %(doubt)s, %(entered_by)s, %(entered_at)s)
RETURNING *

-- name: hold
SELECT * FROM entry WHERE id = %(id)s FOR UPDATE

-- name: decide
UPDATE entry SET status = %(status)s, decided_by = %(by)s, decided_at = %(at)s, reason = %(reason)s WHERE id = %(id)s RETURNING *

-- name: approved
-- What is to be published; another process may be at it.
SELECT * FROM entry WHERE status = 'approved' ORDER BY id FOR UPDATE SKIP LOCKED

-- name: published
UPDATE entry SET status = 'published', published_at = %(at)s WHERE id = %(id)s

-- name: list
SELECT * FROM entry WHERE (%(status)s::text IS NULL OR status = %(status)s) ORDER BY id DESC LIMIT %(limit)s
