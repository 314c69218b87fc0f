-- How the newest value of a day was reported: its qualifier, doubt and attributes (document, wording, reference period),
-- with unit and version. NULL where the source said nothing of the kind. Raw events go with their retention; a figure of
-- a report is shown, and must be explained, for years. Frozen once shipped.
ALTER TABLE rollup_observation ADD COLUMN said jsonb;
UPDATE rollup_observation r SET said = (
    SELECT CASE WHEN e.data ?| '{qualifier,doubt,attributes}' THEN e.data - '{metric,value,area,period,deleted,lat,lon}'::text[] END
    FROM event e
    WHERE (e.feed, e.subject, e.metric, e.period, e.time) = (r.feed, r.subject, r.metric, r.period, r.last_time)
    ORDER BY e.version DESC, e.key DESC LIMIT 1
);
