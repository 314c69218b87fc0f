-- rollup_case summed over areas and agencies: what province-wide numbers read, a few hundred rows a day however many
-- cases there are. Kept in the same transaction from the same deltas. Frozen once shipped.
CREATE TABLE rollup_total (
    feed       text    NOT NULL,
    measure    text    NOT NULL,  -- as in rollup_case, here and below
    day        date    NOT NULL,
    dims       jsonb   NOT NULL,  -- without agency
    n          bigint  NOT NULL,
    n_due      bigint  NOT NULL,
    n_on_time  bigint  NOT NULL,
    seconds    numeric NOT NULL,
    n_rated    bigint  NOT NULL,
    rating     bigint  NOT NULL,
    PRIMARY KEY (feed, measure, day, dims)
);
INSERT INTO rollup_total (feed, measure, day, dims, n, n_due, n_on_time, seconds, n_rated, rating)
SELECT feed, measure, day, dims - 'agency', sum(n), sum(n_due), sum(n_on_time), sum(seconds), sum(n_rated), sum(rating)
FROM rollup_case GROUP BY 1, 2, 3, 4;
