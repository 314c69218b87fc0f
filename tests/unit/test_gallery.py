"""The gallery shows every figure in every state, with words in both languages, by the figures themselves."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from dashboards.context import Context
from dashboards.figures.numbers import unit_word
from dashboards.figures.parts import to_json
from dashboards.gallery import page, samples
from dashboards.state import State
from dashboards.wall.scene import Chart
from dashboards.words import LANGS, Lang
from ioc.kpi.tile import STATES, Status
from tests.browser import province

CONTEXT = Context(province.config(), province.AREAS, province.catalogue(), "1")


def nodes(node: Any) -> list[dict[str, Any]]:
    """Return the properties of every component of a tree."""
    if isinstance(node, list):
        return [found for item in node for found in nodes(item)]
    if not isinstance(node, dict):
        return []
    return [node["props"], *nodes(node["props"].get("children"))]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("theme", ["", "dark", "light"])
def test_it_shows_every_freshness_with_every_status_on_wall_and_pages(lang: Lang, theme: str) -> None:
    found = nodes(to_json(page.layout(CONTEXT, State(lang, more=(("theme", theme),)))))
    tiles = {props["id"]: props for props in found if "tile" in str(props.get("className")).split()}
    for place in ("wall", "page"):
        for state in STATES:
            for status in get_args(Status):
                drawn = tiles[f"tile-{place}_{state}_{status}"]
                assert (drawn["data-state"], drawn["data-status"]) == (state, status)
                assert ("tile-empty" in drawn["className"]) == (state == "never")
    ids = [props["id"] for props in found if props.get("id")]
    assert sorted(ids) == sorted(set(ids))
    assert {props["data-theme"] for props in found if "board" in str(props.get("className"))} == ({theme} if theme else {"dark", "light"})


def test_it_shows_every_kind_of_chart_full_empty_and_with_one_point_or_zeros() -> None:
    found = nodes(to_json(page.layout(CONTEXT, State("vi"))))
    charts = [props for props in found if "data-chart" in props]
    for kind in get_args(Chart.model_fields["chart"].annotation):
        states = [props["data-state"] for props in charts if props["data-chart"] == kind]
        assert len(states) >= 3 and "never" in states and "live" in states, kind


def test_its_samples_are_as_long_as_they_say() -> None:
    for lang in LANGS:
        assert len(getattr(samples.LONG_LABEL, lang)) >= 120
        assert len(unit_word(samples.LONG_UNIT, lang)) >= 60
    names = [s.name for s in (*samples.states(), *samples.values())]
    assert len(names) == len(set(names)) and all(re.fullmatch("[a-z_]+", name) for name in names)


def test_an_unknown_theme_is_as_used() -> None:
    assert to_json(page.layout(CONTEXT, State("vi", more=(("theme", "pink"),))))["props"]["data-theme"] == "light"
