-- How figures were reported is asked for spans of years, and most values say nothing: without this, each question walks
-- through every day that was ever measured. Frozen once shipped.
CREATE INDEX rollup_observation_said ON rollup_observation (feed, metric, period, day) WHERE said IS NOT NULL;
