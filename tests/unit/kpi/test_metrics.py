"""A metric that is misspelt in the catalogue is refused with file, line and those there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ioc.areas import load as load_areas
from ioc.config import Config
from ioc.config import load as load_config
from ioc.errors import UserError
from ioc.kpi import catalogue, metrics
from ioc.kpi.engine import Engine
from tests.unit.kpi.test_catalogue import REPOSITORY, SHIPPED, TABLE, read

TITLE = {"vi": "a", "en": "a"}
TYPED = {"figures": {"grdp.growth": {"title": TITLE, "unit": "%", "period": "year"}, "insured.all": {"title": TITLE, "period": "year"}, "insured.checked": {"title": TITLE, "period": "year"}}}


def config(connector: str, options: dict[str, Any] | None = None) -> Config:
    return Config(feeds=[{"feed": "some-feed", "connector": connector, "title": TITLE, "options": options or {}}])


def observed(tmp_path: Path, metric: str) -> catalogue.Catalogue:
    return read(tmp_path, TABLE.replace("metric: grdp.growth", f"metric: {metric}"))


@pytest.mark.parametrize(
    ("connector", "metric", "says"),
    [
        ("tourism", "visitors.domestc", "no metric of the feed some-feed is called 'visitors.domestc'; its connector makes visitors.domestic"),
        ("portals", "visits", "its connector makes portal.up, portal.latency"),
        ("epidemics", "case.dengue", "its connector makes cases.$disease"),
    ],
)
def test_a_metric_a_connector_never_makes_is_refused_where_it_is_written(tmp_path: Path, connector: str, metric: str, says: str) -> None:
    with pytest.raises(UserError, match=says.replace("$", r"\$")) as caught:
        Engine(observed(tmp_path, metric), config(connector), load_areas("19"))
    assert "test.yaml: line 7: growth: " in str(caught.value)


def test_a_figure_nobody_may_type_is_refused_and_those_that_are_typed_are_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'grdp.grwth'; its connector makes grdp.growth"):
        Engine(observed(tmp_path, "grdp.grwth"), config("entry", TYPED), load_areas("19"))
    Engine(observed(tmp_path, "grdp.growth"), config("entry", TYPED), load_areas("19"))


@pytest.mark.parametrize("connector", ["push", "indicators", "gbfs"])
def test_what_a_source_names_itself_or_code_makes_is_not_known_beforehand(tmp_path: Path, connector: str) -> None:
    Engine(read(tmp_path, TABLE), config(connector), load_areas("19"))


def test_a_field_in_a_metrics_name_stands_for_any_text() -> None:
    assert metrics._fits("cases.dengue", "cases.$disease") and not metrics._fits("cases.", "cases.$disease") and not metrics._fits("casesxdengue", "cases.$disease")


def test_every_metric_the_province_reads_exists_as_far_as_that_is_known() -> None:
    loaded = load_config(REPOSITORY / "config.yaml")
    metrics.check(catalogue.in_use(SHIPPED, loaded), loaded)
    known = [feed.feed for feed in loaded.feeds if metrics.metrics_of(feed)]
    assert {"tourism", "portals", "cameras"} <= set(known)
