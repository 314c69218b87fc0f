"""Pages and scenes: what is where, what a snapshot fills, what a wrong scene says."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dash.development.base_component import Component

from dashboards.app import made, page_at
from dashboards.context import Context
from dashboards.document import document
from dashboards.figures.parts import to_json
from dashboards.figures.tile import titled
from dashboards.leaders import kpi as kpi_page
from dashboards.leaders import page as leaders_page
from dashboards.maps.panel import PARTS
from dashboards.operations import page as operations_page
from dashboards.state import State
from dashboards.wall import page as wall_page
from dashboards.wall.scene import load, read
from dashboards.words import LANGS, Lang
from ioc.errors import UserError
from ioc.live import Render, Snapshot, failed_jobs
from tests.browser import province

ROOT = Path(__file__).parents[2]
CONTEXT = Context(province.config(), province.AREAS, province.catalogue(), "1")
SCENES = load(ROOT / "dashboards" / "scenes", ["overview", "incidents", "education", "song-cong"], CONTEXT.kpis)


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    tree = to_json(tree)
    if isinstance(tree, list):
        for item in tree:
            yield from nodes(item)
    elif isinstance(tree, dict) and "props" in tree:
        yield tree["props"]
        yield from nodes(tree["props"].get("children"))


def ids(page: Component) -> list[str]:
    return [props["id"] for props in nodes(page) if "id" in props]


def pages(lang: Lang) -> list[tuple[Component, Render]]:
    one, all_ = [SCENES["overview"]], list(SCENES.values())
    return [
        (wall_page.layout(one, CONTEXT, lang), wall_page.render(one, CONTEXT, lang)),
        (wall_page.layout(all_, CONTEXT, lang), wall_page.render(all_, CONTEXT, lang)),
        (leaders_page.layout(CONTEXT, State(lang)), leaders_page.render(CONTEXT, State(lang))),
        (operations_page.layout(CONTEXT, lang), operations_page.render(CONTEXT, lang)),
        (kpi_page.layout("incidents_open", CONTEXT, State(lang)), kpi_page.render("incidents_open", CONTEXT, State(lang))),
    ]


@pytest.mark.parametrize("lang", LANGS)
def test_it_sends_only_to_places_that_are_on_the_page(lang: Lang) -> None:
    for page, render in pages(lang):
        places = ids(page)
        assert len(places) == len(set(places))
        sent = render(province.snapshot())
        assert sent and sent.keys() <= {*places, *PARTS}
        assert json.dumps(sent)


def test_it_renders_the_same_snapshot_the_same_way() -> None:
    for _, render in pages("vi"):
        assert render(province.snapshot()) == render(province.snapshot())


@pytest.mark.parametrize("lang", LANGS)
def test_what_it_draws_again_and_what_it_keeps_make_the_screen_it_would_draw_from_nothing(lang: Lang) -> None:
    folder = ROOT / "dashboards" / "scenes"
    every = list(load(folder, sorted(path.stem for path in folder.glob("*.yaml")), CONTEXT.kpis).values())
    shot, dice = province.snapshot(), random.Random(7)
    of_area = {kpi: dict.fromkeys(values, 3.0) for kpi, values in shot.by_area.items()}
    later = province.NOW + timedelta(days=1)
    moments = [
        shot, province.snapshot(2, values={"incidents_open": 1}), province.snapshot(3, states={"health": "lost"}), msgspec.structs.replace(shot, seq=4, by_area=of_area),
        msgspec.structs.replace(shot, seq=5, points=province.points(dice)), msgspec.structs.replace(shot, seq=6, courses={}), msgspec.structs.replace(shot, seq=7, ticker=[]),
        msgspec.structs.replace(shot, seq=8, parts={}), msgspec.structs.replace(shot, seq=9, now=later), msgspec.structs.replace(shot, seq=10, feeds=[]), shot,
    ]  # fmt: skip
    kept, before = wall_page.render(every, CONTEXT, lang), {}
    leaders = leaders_page.render(CONTEXT, State(lang))
    for moment in moments:
        sent = kept(moment)
        assert sent == wall_page.render(every, CONTEXT, lang)(moment)
        assert moment is shot or moment.seq == 8 or sent != before, f"nothing of moment {moment.seq} is on the wall"
        before = sent
        assert leaders(moment) == leaders_page.render(CONTEXT, State(lang))(moment)


def test_what_did_not_change_is_the_drawing_of_before() -> None:
    draw = wall_page.render(list(SCENES.values()), CONTEXT, "vi")
    kpi = SCENES["education"].tiles[0]
    shot = province.snapshot()
    first, second = draw(shot), draw(province.snapshot(2, values={kpi: 1}, by_area=shot.by_area, points=shot.points))
    again = {name for name in first if name.startswith(("tile-", "chart-")) and second[name] is not first[name]}
    assert again == {name for name in first if kpi in name} != set()
    assert all(second[name] is first[name] for name in ("map-incidents", "map-outlines", "ticker"))


def test_it_shows_every_kpi_of_the_overview_to_leaders_and_leads_to_all_others() -> None:
    page = leaders_page.layout(CONTEXT, State("vi"))
    assert {f"tile-{kpi}" for kpi in CONTEXT.overview} <= set(ids(page))
    others = CONTEXT.kpis.keys() - set(CONTEXT.overview)
    assert others
    links = {str(props.get("href")).partition("?")[0] for props in nodes(page)}
    assert {f"/kpi/{kpi}" for kpi in others} <= links


def test_it_puts_at_least_twelve_tiles_a_map_and_the_ticker_on_the_overview() -> None:
    found = list(nodes(wall_page.layout([SCENES["overview"]], CONTEXT, "vi")))
    assert sum("data-kpi" in props for props in found) >= 12
    assert any(props.get("data-map") == "incidents_open" for props in found)
    assert any(props.get("data-scene") == "overview" for props in found)
    assert {"ticker", "feeds", "link-lost"} <= {props.get("id") for props in found}


def test_the_latest_events_of_a_scene_are_those_of_its_tiles_feeds_the_newest_first() -> None:
    shot = province.snapshot()
    lines = {name: [props["data-feed"] for props in nodes(one) if "data-feed" in props] for name, one in tickers(shot).items()}
    newest = [item.feed for item in shot.ticker]
    assert lines == {"overview": newest[: SCENES["overview"].ticker], "incidents": ["incident-reports"] * 3}
    others = msgspec.structs.replace(shot, ticker=[item for item in shot.ticker if item.feed != "incident-reports"])
    assert [props["data-feed"] for props in nodes(tickers(others)["incidents"]) if "data-feed" in props] == [item.feed for item in others.ticker]
    assert "no event yet" in str(wall_page.render([SCENES["incidents"]], CONTEXT, "en")(msgspec.structs.replace(shot, ticker=[]))["ticker"])


def tickers(shot: Snapshot) -> dict[str, Any]:
    return {props["props"]["data-for"]: props for props in wall_page.render(list(SCENES.values()), CONTEXT, "vi")(shot)["ticker"]["children"]}


def test_a_scene_of_a_part_of_the_province_shows_that_parts_tiles() -> None:
    both = [SCENES["overview"], SCENES["song-cong"]]
    assert wall_page.of_parts(both) == {"song-cong": SCENES["song-cong"].tiles}
    shown = province.snapshot()
    part = {kpi: msgspec.structs.replace(t, value=7.0) for kpi, t in shown.parts["song-cong"].items()}
    props = wall_page.render(both, CONTEXT, "vi")(msgspec.structs.replace(shown, parts={"song-cong": part}))
    assert props["tile-incidents_open"]["data-value"] == "214"
    assert props["tile-incidents_open-song-cong"]["data-value"] == "7"


def test_it_derives_letters_from_viewing_distance_and_pixel_pitch() -> None:
    config = province.config()
    far = config.model_copy(update={"scenes": config.scenes.model_copy(update={"viewing_distance_m": 8.0, "pixel_pitch_mm": 0.634})})
    root = next(nodes(wall_page.layout([SCENES["overview"]], Context(far, province.AREAS, province.catalogue(), "1"), "vi")))
    assert (root["style"]["--letter"], root["style"]["--letter-least"]) == ("73.19px", "58.68px")


def test_it_names_file_and_line_of_an_area_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("title: {vi: a, en: a}\narea: nowhere\ntiles: [incidents_open]\n")
    with pytest.raises(UserError, match=r"s\.yaml: line 2: no area is called 'nowhere'"):
        read(tmp_path / "s.yaml", CONTEXT.kpis, areas=CONTEXT.parts)


@pytest.mark.parametrize(
    ("path", "found"),
    [("/", "leaders:vi"), ("/wall", "wall:vi"), ("/wall/overview", "wall/overview:vi"), ("/operations", "operations:vi"), ("/kpi/incidents_open", "kpi/incidents_open:vi")],
)
def test_it_finds_the_page_of_an_address(path: str, found: str) -> None:
    assert next(nodes(page_at(path, "", CONTEXT, SCENES)))["data-view"] == found


def test_the_address_carries_area_and_period_of_a_page() -> None:
    page = page_at("/", "?lang=en&area=song-cong&period=month", CONTEXT, SCENES)
    assert next(nodes(page))["data-view"] == "leaders:en?song-cong@month"
    links = [props["href"] for props in nodes(page) if "href" in props]
    assert "/?lang=en&area=song-cong&period=quarter" in links  # another period of the same area
    assert "/api/kpis.csv?lang=en&area=song-cong&period=month" in links  # the file says what the screen says
    assert "/?lang=vi&area=song-cong&period=month" in links  # the other language shows the same


def test_a_page_of_an_area_and_a_period_shows_their_tiles_and_leads_on_in_the_same_state() -> None:
    found = made("leaders:vi?song-cong@month", CONTEXT)
    assert found
    render, _, of_parts = found
    assert list(of_parts) == ["song-cong@month"]
    shown = province.snapshot()
    part = {kpi: msgspec.structs.replace(t, value=7.0) for kpi, t in shown.tiles.items()}
    props = render(msgspec.structs.replace(shown, parts={"song-cong@month": part}))
    assert props["tile-incidents_open"]["data-value"] == "7"
    assert "/kpi/incidents_open?lang=vi&area=song-cong&period=month" in json.dumps(props["tile-incidents_open"])


@pytest.mark.parametrize("name", ["leaders:vi?nowhere", "leaders:vi?@never", "kpi/nowhere:vi", "kpi/incidents_open:fr", "leaders:vi?@2026-12-31..2026-01-01"])
def test_there_is_no_page_of_what_is_not_there(name: str) -> None:
    assert made(name, CONTEXT) is None


@pytest.mark.parametrize(
    ("search", "says"),
    [("?area=5443", "did a spreadsheet drop the leading zero of 05443?"), ("?period=2026-13-01", "period='2026-13-01' is none"), ("?period=1026-01-01..2026-01-01", "at most ten years")],
)
def test_an_address_that_makes_no_sense_is_answered_by_a_sentence(search: str, says: str) -> None:
    assert says in str(to_json(page_at("/", search, CONTEXT, SCENES)))


def test_what_needs_attention_stands_first_alarms_before_the_rest() -> None:
    props = leaders_page.render(CONTEXT, State("vi"))(province.snapshot())
    lines = [node for node in nodes(props["attention"]["children"]) if "data-attention" in node]
    statuses = [province.snapshot().tiles[node["data-attention"]].status for node in lines]
    assert 0 < len(lines) <= leaders_page.MOST and set(statuses) <= {"alarm", "watch"}
    assert statuses == sorted(statuses)  # "alarm" before "watch"


def test_a_figure_of_a_month_is_not_called_todays() -> None:
    t = province.snapshot().tiles["dossiers_received_today"]
    assert titled(t, "vi") == "Hồ sơ tiếp nhận trong ngày"
    month = msgspec.structs.replace(t, period=msgspec.structs.replace(t.period, start=t.period.end - timedelta(days=30)))
    assert (titled(month, "vi"), titled(month, "en")) == ("Hồ sơ tiếp nhận", "Dossiers received")


@pytest.mark.parametrize("path", ["/nowhere", "/wall/nowhere", "/kpi/nowhere"])
def test_it_says_when_there_is_no_such_page(path: str) -> None:
    page = page_at(path, "?lang=en", CONTEXT, SCENES)
    assert "data-view" not in next(nodes(page))
    assert "There is no" in str(to_json(page))


def test_it_says_that_the_embedded_broker_forgets() -> None:
    render = operations_page.render(CONTEXT, "vi")
    assert "Apache Kafka" in str(render(province.snapshot())["ops-note"])


SCENE = "title: {vi: A, en: B}\ntiles:\n  - dossiers_open\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SCENE + "  - dossiers_opne\n", r"line 4: no KPI is called 'dossiers_opne'"),
        (SCENE + "  - dossiers_open\n", r"line 4: 'dossiers_open' is on the scene twice"),
        (SCENE + "map:\n  kpi: nothing\n", r"line 5: no KPI is called 'nothing'"),
        (SCENE + "charts:\n  - {chart: trend, kpi: nothing}\n", r"line 5: no KPI is called 'nothing'"),
        (SCENE + "charts:\n  - {chart: pie, kpi: dossiers_open}\n", r"line 5: charts\.0\.chart: Input should be 'trend'"),
        (SCENE + "charts:\n  - {chart: trend, kpis: [dossiers_open]}\n", r"line 5: charts\.0: .*a trend is of one KPI: write kpi: NAME"),
        (SCENE + "charts:\n  - {chart: flow, kpi: dossiers_open}\n", r"line 5: charts\.0: .*flow is of several KPIs"),
        (SCENE + "charts:\n  - chart: bars\n    kpis: [dossiers_open, attendance_rate]\n", r"line 6: bars compare KPIs of one unit"),
        (SCENE + "charts:\n  - {chart: flow, kpis: [dossiers_received_today, dossiers_resolved_today]}\n", r"line 5: a flow needs a KPI of what lies there now"),
        (SCENE + "charts:\n  - {chart: calendar, kpi: grdp_growth_rate}\n", r"line 5: a calendar shows days, and grdp_growth_rate is of a year"),
        (SCENE + "tickers: 3\n", r"line \d+: tickers: Extra inputs are not permitted"),
        (SCENE + "schedule: {hours: 8-17}\n", r"line 4: schedule.hours"),
        (SCENE + "schedule: {days: [monday]}\n", r"line 4: schedule.days"),
        (SCENE + "dwell_s: 1\n", r"line 4: dwell_s: Input should be greater than or equal to 5"),
        (SCENE + "columns: many\n", r"line 4: columns: Input should be a valid integer"),
        ("title: {vi: A, en: B}\ntiles: []\n", r"line 2: tiles: List should have at least 1 item"),
        ("- a\n", r"line 1: a scene is a mapping"),
        ("title: [\n", r"not valid YAML"),
    ],
)
def test_it_names_file_and_line_of_a_wrong_scene(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=says) as caught:
        read(path, CONTEXT.kpis)
    assert str(path) in str(caught.value)


def test_it_names_file_and_line_of_a_map_of_a_feed_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SCENE + "map:\n  kpi: dossiers_open\n  feeds: [health, helth]\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"mine\.yaml: line 6: no feed is called 'helth'"):
        read(path, CONTEXT.kpis, {"health"})


def test_it_says_which_scene_is_not_there() -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml: the scene cannot be read.*scenes\.use"):
        load(ROOT / "dashboards" / "scenes", ["nowhere"], CONTEXT.kpis)
    with pytest.raises(UserError, match=r"scenes\.use is empty"):
        load(ROOT / "dashboards" / "scenes", [], CONTEXT.kpis)


def test_an_office_page_waits_for_no_style_sheet_before_its_first_paint() -> None:
    """What is drawn first needs the page and nothing else; fonts are asked for at once, scripts only when the page is read."""
    written = document(page_at("/", "?lang=vi", CONTEXT, SCENES), "IOC", "vi")
    head = written.partition("</head>")[0]
    assert '<link rel="stylesheet"' not in head and head.count("<script ") == head.count("<script defer ") > 0
    assert 'url("/assets/fonts/noto-sans-latin-wdth-normal.woff2")' in head and 'url("fonts' not in head and "/*" not in head
    assert ".tile-link" in head and head.count("{") == head.count("}")


@pytest.mark.parametrize(("lang", "says"), [("vi", "“gửi báo cáo nhanh buổi sáng” không xong lúc 06:30:00"), ("en", "“mailing the morning brief” failed at 06:30:00")])
def test_a_job_that_failed_is_told_on_the_operations_page_without_what_only_its_log_may_say(lang: Lang, says: str) -> None:
    said = "2026-11-19T23:30:00+00:00 failed: mail.example:587 did not take the letter: an@example: 550 no"
    failed = failed_jobs([{"info": {"outcomes": {"brief": said, "ledger": "2026-11-19T23:07:00+00:00 3 values published"}}}, {"info": None}])
    shown = msgspec.structs.replace(province.snapshot(), services=province.snapshot().services | {"failed_jobs": failed})
    drawn = operations_page.render(CONTEXT, lang)(shown)
    assert says in str(drawn["ops-note"]) and "550" not in str(drawn) and "ledger" not in str(drawn["ops-note"])
    assert failed_jobs([{"info": {"outcomes": {"brief": "2026-11-19T23:31:00+00:00 the brief of 2026-11-20 went to 2"}}}]) == []
