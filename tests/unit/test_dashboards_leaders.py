"""The leaders' further pages and their files: what changed, areas compared, search, PDF; all say the same number."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from html import escape
from typing import Any

import msgspec
import openpyxl
import pypdf
import pytest

from dashboards import files
from dashboards.context import Context
from dashboards.document import to_html
from dashboards.figures.numbers import number
from dashboards.figures.tile import shown_value, tile
from dashboards.figures.trend import points
from dashboards.leaders import brief as brief_page
from dashboards.leaders import changes as changes_page
from dashboards.leaders import compare as compare_page
from dashboards.leaders import kpi as kpi_page
from dashboards.leaders import notes as notes_page
from dashboards.leaders import search as search_page
from dashboards.leaders.search import entries, search
from dashboards.operations import paper as operations_paper
from dashboards.pdf import as_pdf
from dashboards.state import State, read
from dashboards.words import Lang, pick, say
from ioc import rights
from ioc.causes import in_words as because_of
from ioc.doubts import in_words
from ioc.errors import Problem, UserError
from ioc.kpi.asked import Asked, geography_of
from ioc.kpi.changes import Changes, far, moves, statuses
from ioc.kpi.export import SHEET_ROWS, Cell, as_csv, as_xlsx, cell_time
from ioc.kpi.geography import estimated, names_of
from ioc.kpi.notes import Note
from ioc.kpi.tile import Delta, Quality, Target, Tile, Words
from ioc.rights import Identity
from tests.browser import province

CONTEXT = Context(province.config(), province.AREAS, province.catalogue(), "1")
SHOWN = province.snapshot()
COMMUNES = ("05443", "05455", "05467")
NOTES = [
    Note(2, "incidents_opened_today", "05443", date(2026, 11, 18), "Mưa lớn <b>cả ngày</b>", "an", SHOWN.now, 1),
    Note(1, "incidents_opened_today", "", None, "Nguồn đổi cách ghi", "binh", SHOWN.now, 2, "chi", SHOWN.now),
]


class Desk:
    """Answers from the made-up afternoon."""

    def tiles(self, asked: Asked, kpis: Iterable[str] | None = None) -> dict[str, Tile]:
        return {kpi: tile for kpi, tile in SHOWN.tiles.items() if kpis is None or kpi in kpis}

    def by_area(self, kpi: str, period: str = "", geography: str = "") -> dict[str, float | None]:
        if geography:
            return {code: float(i) for i, code in enumerate(names_of(province.AREAS, geography_of(geography)))}
        return SHOWN.by_area[kpi]

    def notes(self, kpi: str, area: str = "") -> list[Note]:
        return NOTES

    def note_added(self, kpi: str, area: str, day: date | None, body: str) -> Note:
        raise AssertionError

    def note_changed(self, kpi: str, number: int, version: int, day: date | None, body: str) -> Note:
        raise Problem("note_changed", "changed", name="binh")

    def note_removed(self, kpi: str, number: int, version: int) -> None:
        raise Problem("note_gone", "gone")

    def doubted(self) -> list[dict[str, Any]]:
        return DOUBTS

    def letters(self) -> list[dict[str, Any]]:
        return LETTERS

    def changes(self) -> Changes:
        return province.changes(SHOWN)


class Morning(Desk):
    """Asked of a day, it answers as if that day were over."""

    def tiles(self, asked: Asked, kpis: Iterable[str] | None = None) -> dict[str, Tile]:
        found = super().tiles(asked, kpis)
        return {k: msgspec.structs.replace(t, period=msgspec.structs.replace(t.period, complete=True)) for k, t in found.items()} if asked.period else found


def text_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages).replace("\u00a0", " ").split())


def compared(**more: str) -> compare_page.Comparison:
    asked = {"kpis": "incidents_open,dossiers_on_time_rate", "areas": ",".join(COMMUNES)} | more
    return compare_page.compare(CONTEXT, State("vi", more=tuple(sorted(asked.items()))), Desk())


def test_a_status_that_got_worse_comes_before_one_that_got_better_and_an_unknown_one_is_no_change() -> None:
    now = {kpi: msgspec.structs.replace(SHOWN.tiles[kpi], status=status) for kpi, status in (("incidents_open", "good"), ("incidents_overdue", "alarm"), ("dossiers_open", "unknown"))}
    then = {kpi: msgspec.structs.replace(t, status="watch") for kpi, t in now.items()}
    assert [(c.tile.kpi, c.worse) for c in statuses(now, then)] == [("incidents_overdue", True), ("incidents_open", False)]


@pytest.mark.parametrize(
    ("value", "was", "unit", "is_far"),
    [(130, 100, "{case}", True), (129, 100, "{case}", False), (4, 1, "{case}", False), (0, 8, "{case}", True), (95.1, 90.0, "%", True), (94.9, 90.0, "%", False), (13.0, 10.0, "h", True)],
)
def test_a_move_is_large_by_share_and_by_size(value: float, was: float, unit: str, is_far: bool) -> None:
    assert far(value, was, unit) is is_far


def test_a_day_that_still_runs_is_not_held_against_a_whole_one() -> None:
    day = msgspec.structs.replace(SHOWN.tiles["emergency_encounters_today"], value=96.0, spark=[60.0] * 13 + [96.0])
    assert moves([day]) == []
    whole = msgspec.structs.replace(day, period=msgspec.structs.replace(day.period, complete=True))
    (found,) = moves([whole])
    assert (found.was, found.worse) == (60.0, whole.better == "down")


def test_every_change_leads_to_the_page_of_its_number() -> None:
    found = province.changes(SHOWN)
    page = to_html(changes_page.layout(CONTEXT, State("vi"), found))
    assert found.statuses and found.moves and found.silent
    for change in (*found.statuses, *found.moves):
        assert f'data-change="{change.rule}" data-kpi="{change.tile.kpi}"' in page and f'href="/kpi/{change.tile.kpi}?lang=vi"' in page


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_every_sentence_of_the_brief_says_its_tiles_number_and_leads_to_it(lang: Lang) -> None:
    state = State(lang)
    found = brief_page.write(CONTEXT, state, Morning())
    page, paper, letter = to_html(brief_page.layout(CONTEXT, state, found)), text_of(as_pdf(brief_page.paper(found, CONTEXT, lang))), brief_page.text(found, CONTEXT, lang)
    assert [heading for heading, sentences in found.parts if not sentences] == []
    for sentence in [s for _, sentences in found.parts for s in sentences]:
        assert sentence.text in letter.replace("\u00a0", " ") or sentence.text in letter
        assert escape(sentence.text) in page and sentence.path.partition("?")[0] in page
    told = [s for heading, sentences in found.parts if heading != files.say("changes.restated", lang) for s in sentences]  # that are of the ledger
    for sentence in [s for s in told if s.kpi]:
        assert shown_value(SHOWN.tiles[sentence.kpi], lang) in sentence.text and f"[{sentence.kpi}]" in paper
    assert found.day == (SHOWN.now - timedelta(days=1)).astimezone(CONTEXT.zone).date()


def test_the_brief_says_which_way_a_day_went_and_whether_the_target_is_met() -> None:
    rate = msgspec.structs.replace(SHOWN.tiles["dossiers_on_time_rate"], value=98.5, target=Target(98.0), delta=Delta(-1.5, "previous_period"))
    same = msgspec.structs.replace(SHOWN.tiles["dossiers_received_today"], value=12.0, delta=Delta(0.0, "same_weekday"), target=None)
    over = [msgspec.structs.replace(t, period=msgspec.structs.replace(t.period, complete=True), better="up") for t in (rate, same)]
    told = [s.text.replace("\u00a0", " ") for s in brief_page._of_theme(over, State("vi"))]
    assert told[0].endswith("98,5%, giảm 1,5 điểm % so với ngày trước đó; đạt mục tiêu 98,0%.")
    assert told[1].endswith("12 hồ sơ, bằng cùng thứ tuần trước.")
    assert list(brief_page._of_theme([msgspec.structs.replace(rate, value=None)], State("vi"))) == []


def test_an_old_alarm_is_not_told_as_if_it_held() -> None:
    alarm = msgspec.structs.replace(SHOWN.tiles["incidents_overdue"], status="alarm", value=9.0)
    for state, told in (("live", 1), ("late", 1), ("stale", 0), ("lost", 0)):
        t = msgspec.structs.replace(alarm, quality=msgspec.structs.replace(alarm.quality, state=state))
        assert len(brief_page._alarms([t], State("vi"))) == told


def test_areas_are_sorted_by_the_column_asked_for_those_without_a_value_last() -> None:
    values = SHOWN.by_area["incidents_open"]
    for sort, reverse in (("incidents_open", False), ("-incidents_open", True)):
        found = compared(sort=sort)
        assert found.rows[0].area == ""  # the province stands first
        shown = [row.values["incidents_open"] for row in found.rows[1:]]
        assert shown == sorted((values[code] or 0 for code in COMMUNES), reverse=reverse)
    none = next(code for code, value in values.items() if value is None)
    assert compared(areas=f"{none},05443", sort="incidents_open").rows[-1].area == none


@pytest.mark.parametrize(
    ("more", "says"),
    [({"kpis": "nothing"}, "“nothing”"), ({"areas": "5443"}, "leading zero of 05443"), ({"kpis": ",".join(list(CONTEXT.kpis)[:7])}, "nhiều nhất 6")],
)
def test_a_comparison_of_what_is_not_there_is_refused_in_a_sentence(more: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        compared(**more)


@pytest.mark.parametrize("text", ["hồ sơ đúng hạn", "ho so dung han", "HO SO  DUNG HAN", "resolved on time"])
def test_search_finds_with_and_without_diacritics_in_both_languages(text: str) -> None:
    assert "/kpi/dossiers_on_time_rate?lang=vi" in [entry.href for entry in search(text, entries(CONTEXT, State("vi")))]


def test_search_finds_communes_and_feeds_and_nothing_for_nothing() -> None:
    among = entries(CONTEXT, State("en", period="month"))
    assert search("phan dinh phung", among)[0].href == "/?lang=en&area=05443&period=month"
    assert "feed" in [entry.kind for entry in search("e-documents", among)]
    assert search(" ", among) == [] and search("xyzzy", among) == []


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_printed_overview_says_every_number_as_the_screen_does(lang: str) -> None:
    state = State("vi" if lang == "vi" else "en")
    said = text_of(as_pdf(files.overview_paper(CONTEXT, state, Desk(), SHOWN.now)))
    for t in SHOWN.tiles.values():
        assert shown_value(t, state.lang).replace("\u00a0", " ") in said, t.kpi
        assert f"v{t.formula_version}" in said
    assert "ệ" in said or lang == "en"  # Vietnamese letters survive


def test_a_row_on_paper_says_beside_the_number_what_its_tile_says() -> None:
    t = msgspec.structs.replace(
        SHOWN.tiles["dossiers_received_today"], value=1284.0, delta=Delta(68.0, "previous_period", fair=False), target=Target(1500.0, date(2026, 12, 31)), status="watch",
        quality=Quality("stale", ["public-services"]), doubts=[Words("số lớn bất thường", "unusually large")],
    )  # fmt: skip
    row = [cell.replace("\u00a0", " ") for cell in files._row(t, CONTEXT, SHOWN.now, "vi")]
    assert row[1:5] == ["1.284 hồ sơ", "+68 so với hôm qua (cả ngày)", "1.500 hồ sơ đến 31/12/2026", "chú ý; thiếu 1 nguồn; Cần hỏi lại nguồn"] and row[6].endswith(" (cũ)")
    tile_ = " ".join(to_html(tile(t, "vi", SHOWN.now, CONTEXT.zone, {}, "page")).replace("\u00a0", " ").split())
    assert all(words in tile_ for words in ("+68", "so với hôm qua (cả ngày)", "đến 31/12/2026", "thiếu 1 nguồn", "Cần hỏi lại nguồn", "cũ"))
    reported = msgspec.structs.replace(t, value=230_000.0, written="gần 230.000 hồ sơ", qualifier="at_most", quality=Quality("live"))
    assert files._row(reported, CONTEXT, SHOWN.now, "vi")[1] == "gần 230.000 hồ sơ" and "at most" in files._row(reported, CONTEXT, SHOWN.now, "en")[1]
    never = files._row(msgspec.structs.replace(t, as_of=None, value=None, quality=Quality("never")), CONTEXT, SHOWN.now, "vi")
    assert (never[1], never[4], never[6]) == ("chưa có dữ liệu", "", "")


def test_a_comparison_is_the_same_on_the_screen_in_csv_and_on_paper() -> None:
    state, found = State("vi"), compared()
    page = to_html(compare_page._table(found, CONTEXT, state))
    rows = list(csv.reader(io.StringIO(as_csv(files.compare_table(found, CONTEXT, state), "vi").decode("utf-8-sig")), delimiter=";"))
    said = text_of(as_pdf(files.compare_paper(found, CONTEXT, state, SHOWN.now)))
    for row, cells in zip(found.rows, rows[1:], strict=False):
        for place, (kpi, value) in enumerate(row.values.items()):
            assert value is not None and float(cells[2 + place].replace(",", ".")) == value
            assert f'data-kpi="{kpi}" data-value="{value:g}"' in page
            shown = files.in_words(value, found.tiles[kpi].unit, "vi", found.tiles[kpi].decimals)
            assert shown in page and shown.replace("\u00a0", " ") in said


def test_a_spreadsheet_of_a_million_rows_is_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"more than 100000 rows do not fit a spreadsheet; ask for CSV"):
        as_xlsx([["x"]] * (SHEET_ROWS * 10), "x")


def test_paper_of_a_kpi_ranks_the_communes_and_says_the_formula_and_its_version() -> None:
    said = text_of(as_pdf(files.kpi_paper("incidents_open", CONTEXT, State("vi"), Desk(), SHOWN.now + timedelta(seconds=1), SHOWN.feeds)))
    kpi = CONTEXT.kpis["incidents_open"]
    assert f"Phiên bản công thức {kpi.version}, từ {kpi.since:%d/%m/%Y}" in said
    assert said.count("phản ánh") > 80  # a row a commune


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_course_of_a_kpi_is_the_same_on_its_page_on_paper_and_as_a_table(lang: Lang) -> None:
    state = State(lang)
    for kpi in ("incidents_opened_today", "dossiers_on_time_rate"):
        t = SHOWN.tiles[kpi]
        props = kpi_page.render(kpi, CONTEXT, state)(SHOWN)
        drawn = to_html(props["kpi-trend"]["children"])
        said = text_of(as_pdf(files.kpi_paper(kpi, CONTEXT, state, Desk(), SHOWN.now, SHOWN.feeds)))
        rows = sheet(files.trend_table(kpi, CONTEXT, state, Desk()), kpi)
        assert [row[say("paper.value", lang)] for row in rows] == t.spark and rows[-1][say("paper.value", lang)] == t.value
        assert rows[-1][say("paper.to", lang)] == datetime(2026, 11, 20) and rows[-2][say("paper.to", lang)] == datetime(2026, 11, 19)
        assert {(row[say("paper.unit", lang)], row[say("paper.as_of", lang)], row[say("paper.version", lang)]) for row in rows} == {(t.unit, cell_time(t.as_of, CONTEXT.zone), t.formula_version)}
        told = points(t, kpi_page.spans(CONTEXT.kpis[kpi], t, CONTEXT, state), lang)
        assert len(told) == len(t.spark) and told[0][0] == say("so_far", lang, period="20/11/2026")
        for name, text in told:
            assert f"{name} {text}".replace("\u00a0", " ") in said and escape(name) in drawn and text in drawn
        for part in ("kpi-facts", "kpi-sources"):
            page = to_html(props[part]["children"])
            words = [a or b for a, b in re.findall(r"<dd>([^<]+)</dd>|<span>([^<]+)</span>", page)]
            assert words and all(word.replace("\u00a0", " ") in said for word in words), part
        assert f'href="/api/kpis/{kpi}/trend.xlsx?lang={lang}"' in to_html(kpi_page.layout(kpi, CONTEXT, state))
    few = msgspec.structs.replace(SHOWN.tiles["incidents_open"], spark=[None] * 13 + [3.0])
    assert points(few, kpi_page.spans(CONTEXT.kpis["incidents_open"], few, CONTEXT, state), lang) == []


# -- the geography until 30 June 2025 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("geography", ["districts", "former"])
def test_a_comparison_of_former_units_names_them_all_and_marks_what_is_estimated(lang: Lang, geography: str) -> None:
    state = State(lang, geography=geography, more=(("kpis", "incidents_open"),))
    found = compare_page.compare(CONTEXT, state, Desk())
    page = to_html(compare_page.layout(CONTEXT, state, found))
    names, unsure = names_of(province.AREAS, geography_of(geography)), estimated(province.AREAS, geography_of(geography))
    assert [row.area for row in found.rows] == ["", *names] and {row.area for row in found.rows if row.estimated} == unsure
    assert page.count("~ ") == len(unsure) + 1  # and once in the note that says what it means
    assert 'href="/compare?lang=' in page and f"geography={geography}" in page
    if lang == "vi":
        assert all(escape(name) in page for name in names.values())
    rows = files.compare_table(found, CONTEXT, state)
    assert len({len(row) for row in rows}) == 1 and [row[-1] for row in rows[2 : 2 + len(names)]] == [files.say("ops.yes", lang) if code in unsure else "" for code in names]
    assert "~" in text_of(as_pdf(files.compare_paper(found, CONTEXT, state, SHOWN.now)))


@pytest.mark.parametrize("geography", ["", "districts"])
def test_a_number_that_is_not_exact_says_so_in_a_comparison_and_among_its_areas(geography: str) -> None:
    bound = msgspec.structs.replace(SHOWN.tiles["incidents_open"], value=230.0, qualifier="at_most")

    class Bounded(Desk):
        def tiles(self, asked: Asked, kpis: Iterable[str] | None = None) -> dict[str, Tile]:
            return super().tiles(asked, kpis) | {"incidents_open": bound}

    state = State("vi", geography=geography, more=(("kpis", "incidents_open,dossiers_on_time_rate"),))
    found = compare_page.compare(CONTEXT, state, Bounded())
    page = to_html(compare_page.layout(CONTEXT, state, found)).replace("\u00a0", " ")
    assert page.count("tối đa 230 phản ánh") == 1 and "tối đa 230 phản ánh" in text_of(as_pdf(files.compare_paper(found, CONTEXT, state, SHOWN.now)))
    rows = files.compare_table(found, CONTEXT, state)
    assert rows[-1][1:4] == ["Mức chính xác", "tối đa", ""] and len({len(row) for row in rows}) == 1
    assert "Mức chính xác" not in [row[1] for row in files.compare_table(compared(), CONTEXT, State("vi"))]
    head, whole, *units = files.areas_table("incidents_open", CONTEXT, state, Bounded())
    assert whole[head.index("Mức chính xác")] == "tối đa" and {row[head.index("Mức chính xác")] for row in units} == {""}


def test_columns_stand_in_the_order_of_the_address_whatever_order_they_are_answered_in() -> None:
    for kpis in ("incidents_open,dossiers_on_time_rate", "dossiers_on_time_rate,incidents_open"):
        found = compared(kpis=kpis)
        assert list(found.tiles) == kpis.split(",") and all(list(row.values) == kpis.split(",") for row in found.rows)


def test_the_address_carries_the_geography_and_one_that_is_none_is_refused() -> None:
    state = read("?lang=en&geography=districts&kpis=incidents_open", CONTEXT)
    assert state.geography == "districts" and "geography=districts" in state.href("/compare")
    assert read("?geography=today", CONTEXT).geography == ""
    with pytest.raises(UserError, match="geography='provinces' is none; write today, districts, former"):
        read("?geography=provinces", CONTEXT)
    with pytest.raises(UserError, match="05443 không phải đơn vị của địa giới này"):
        compare_page.compare(CONTEXT, State("vi", geography="districts", more=(("areas", "05443"),)), Desk())


def test_the_ranking_of_a_kpi_can_be_of_former_districts_and_a_median_has_none() -> None:
    state = State("vi", geography="districts")
    name = kpi_page.ranked("incidents_open", state)
    shown = msgspec.structs.replace(SHOWN, by_area={name: Desk().by_area("incidents_open", "", "districts")})
    made = kpi_page.render("incidents_open", CONTEXT, state)(shown)["kpi-ranking"]["children"]
    text = to_html(made)
    assert name == "incidents_open~districts" and kpi_page.view_name("incidents_open", state) == "kpi/incidents_open:vi?~districts"
    assert "Huyện Phú Bình" in text and "~ " in text and "href=" not in text  # of a former unit there is no page
    median = kpi_page.render("incidents_median_hours", CONTEXT, state)(SHOWN)["kpi-ranking"]["children"]
    assert "không cộng được theo nơi" in to_html(median)


# -- notes --------------------------------------------------------------------------------------------------------------


def noted(kpi: str = "incidents_opened_today") -> notes_page.Noted:
    return notes_page.gather(kpi, State("vi"), Desk())


def test_notes_stand_on_the_page_as_text_and_the_dated_ones_on_the_trend() -> None:
    page = to_html(kpi_page.layout("incidents_opened_today", CONTEXT, State("vi"), noted()))
    assert "Mưa lớn &lt;b&gt;cả ngày&lt;/b&gt;" in page and "18/11/2026 · Phường Phan Đình Phùng" in page
    assert page.count("data-mark=") == 1 and 'href="#note-2"' in page  # 18 November is the third column from the right
    place = 100 * (14 - 3 + 0.5) / 14
    assert f"left:{place:.2f}%" in page


def test_forms_are_drawn_for_editors_and_removing_for_the_author_and_administrators() -> None:
    def drawn(role: str, name: str) -> str:
        before = rights.current()
        rights.act_as(Identity(name, role, "person"))  # type: ignore[arg-type]
        try:
            return to_html(notes_page.section("incidents_opened_today", CONTEXT, State("vi"), noted()))
        finally:
            rights.act_as(before)

    assert "<form" not in drawn("operator", "dung") and "an · " in drawn("operator", "dung")
    assert drawn("editor", "an").count('value="remove"') == 1 and drawn("admin", "chi").count('value="remove"') == 2
    assert drawn("editor", "an").count("<textarea") == 3  # two to change, one to add
    anonymous = to_html(notes_page.section("incidents_opened_today", CONTEXT, State("vi"), noted()))
    assert "<form" not in anonymous and "chi" not in anonymous.replace("chiều", "")


def test_a_refused_form_comes_back_with_what_was_typed_also_when_its_note_is_gone() -> None:
    state = State("vi")
    typed = notes_page.act("incidents_opened_today", 1, {"body": "Chữ của tôi", "version": "1"}, state, Desk())
    assert typed is not None and "binh vừa sửa" in typed.problem and typed.body == "Chữ của tôi"
    gone = notes_page.act("incidents_opened_today", 9, {"what": "remove", "body": "Chữ khác"}, state, Desk())
    page = to_html(notes_page.section("incidents_opened_today", CONTEXT, state, notes_page.gather("incidents_opened_today", state, Desk(), gone)))
    assert "vừa được gỡ bỏ" in page and "Chữ khác" in page


def test_the_paper_of_a_kpi_has_its_notes() -> None:
    said = text_of(as_pdf(files.kpi_paper("incidents_opened_today", CONTEXT, State("vi"), Desk(), SHOWN.now, SHOWN.feeds)))
    assert "18/11/2026 · Phường Phan Đình Phùng · Mưa lớn" in said and "Nguồn đổi cách ghi" in said


# -- what was restated --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_restated_value_is_told_on_the_page_of_changes_on_paper_and_in_the_brief(lang: Lang) -> None:
    found = province.changes(SHOWN)
    (restated,) = found.restated
    page = to_html(changes_page.layout(CONTEXT, State(lang), found))
    assert f'data-change="restated" data-kpi="{restated.tile.kpi}" data-value="62" data-was="61"' in page and escape(restated.line.why[lang]) in page
    paper = text_of(as_pdf(changes_page.paper(found, CONTEXT, lang)))
    for words in (restated.line.why[lang].split(";")[0], "61", "62", *(files.say(f"changes.{part}", lang) for part in ("statuses", "restated", "silent"))):
        assert words in paper
    for change in (*found.statuses, *found.moves):
        assert shown_value(change.tile, lang).replace("\u00a0", " ") in paper, change.tile.kpi
    brief = brief_page.write(CONTEXT, State(lang), Morning())
    assert any(restated.line.why[lang] in sentence.text and sentence.kpi == restated.tile.kpi for _, sentences in brief.parts for sentence in sentences)


def sheet(rows: list[list[Cell]], title: str) -> list[dict[str, Any]]:
    """Return the rows of a workbook by the names in its head."""
    head, *lines = openpyxl.load_workbook(io.BytesIO(as_xlsx(rows, title))).active.iter_rows(values_only=True)  # type: ignore[union-attr]
    return [dict(zip([str(name) for name in head], line, strict=True)) for line in lines]


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_changes_as_a_table_say_what_the_page_says_with_numbers_and_times_as_such(lang: Lang) -> None:
    found = province.changes(SHOWN)
    (restated,) = found.restated
    page = to_html(changes_page.layout(CONTEXT, State(lang), found))
    rows = sheet(changes_page.table(found, CONTEXT, lang), "changes")
    kind, code, was, is_, was_at, is_at = (say(word, lang) for word in ("changes.kind", "paper.code", "changes.was", "changes.is", "changes.was_at", "changes.is_at"))
    assert len(rows) == len(found.statuses) + len(found.moves) + len(found.restated) + len(found.silent)
    assert all(escape(row[kind]) in page for row in rows) and all(f'href="/api/changes.{form}?lang={lang}"' in page for form in files.TYPES)
    for change, row in zip((*found.statuses, *found.moves), rows, strict=False):
        assert (row[code], row[was], row[is_], row[is_at]) == (change.tile.kpi, change.was, change.tile.value, cell_time(change.tile.as_of, CONTEXT.zone))
        assert row[say("paper.status", lang)] == (say(f"status.{change.tile.status}", lang) if change.rule == "status" else None)
    assert rows[0][was_at] == cell_time(found.since, CONTEXT.zone) and rows[len(found.statuses)][was_at] == datetime(2026, 11, 12)
    line, row = restated.line, next(row for row in rows if row[kind] == say("changes.restated", lang))
    assert (row[code], row[was], row[is_], row[say("paper.unit", lang)], row[say("kpi.why", lang)]) == (restated.tile.kpi, 61, 62, restated.tile.unit, line.why[lang])
    assert (row[say("paper.from", lang)], row[say("paper.to", lang)], row[say("paper.area", lang)]) == (datetime(2026, 11, 18), datetime(2026, 11, 18), CONTEXT.province(lang))
    assert (row[was_at], row[is_at], row[say("paper.version", lang)]) == (cell_time(line.since, CONTEXT.zone), cell_time(line.restated_at, CONTEXT.zone), 3)
    assert [row[code] for row in rows[-len(found.silent):]] == [silent.feed for silent in found.silent]
    assert as_csv(changes_page.table(found, CONTEXT, lang), lang).decode("utf-8-sig").count("\r\n") == len(rows) + 1


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_restated_values_that_are_not_shown_are_counted_and_the_table_has_them(lang: Lang) -> None:
    some = province.changes(SHOWN)
    many = msgspec.structs.replace(some, restated=some.restated * (changes_page.MOST + 1))
    more = say("changes.more", lang, n=1)
    page = to_html(changes_page.layout(CONTEXT, State(lang), many))
    assert page.count('data-change="restated"') == changes_page.MOST and more in page and f'<span class="count">{changes_page.MOST + 1}</span>' in page
    assert more in text_of(as_pdf(changes_page.paper(many, CONTEXT, lang))) and more not in to_html(changes_page.layout(CONTEXT, State(lang), some))
    assert len(changes_page.table(many, CONTEXT, lang)) == len(changes_page.table(some, CONTEXT, lang)) + changes_page.MOST

    class Restating(Morning):
        def changes(self) -> Changes:
            return many

    told = next(sentences for heading, sentences in brief_page.write(CONTEXT, State(lang), Restating()).parts if heading == say("changes.restated", lang))
    assert len(told) == brief_page.RESTATED + 1 and told[-1].text == say("changes.more", lang, n=len(many.restated) - brief_page.RESTATED)


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_brief_as_a_table_has_a_row_a_sentence_with_its_number(lang: Lang) -> None:
    found = brief_page.write(CONTEXT, State(lang), Morning())
    page, rows = to_html(brief_page.layout(CONTEXT, State(lang), found)), sheet(brief_page.table(found, CONTEXT, lang), "brief")
    sentences = [(heading, s) for heading, some in found.parts for s in some]
    assert [(row[say("brief.part", lang)], row[say("brief.sentence", lang)], row[say("paper.code", lang)] or "") for row in rows] == [(heading, s.text, s.kpi) for heading, s in sentences]
    assert all(f'href="/api/brief.{form}?lang={lang}"' in page for form in (*files.TYPES, "txt"))
    told = [row for row in rows if row[say("paper.code", lang)] and row[say("brief.part", lang)] != say("changes.restated", lang)]  # that are of the ledger
    assert len(told) > 20
    for row in told:
        t = SHOWN.tiles[row[say("paper.code", lang)]]
        if row[say("brief.part", lang)] == say("changes.statuses", lang):
            continue  # of the instants compared
        assert (row[say("paper.value", lang)], row[say("paper.unit", lang)], row[say("paper.version", lang)]) == (t.value, t.unit, t.formula_version)
        assert row[say("paper.as_of", lang)] == cell_time(t.as_of, CONTEXT.zone)
    (restated,) = (row for row in rows if row[say("brief.part", lang)] == say("changes.restated", lang))
    line = province.changes(SHOWN).restated[0].line
    assert (restated[say("paper.value", lang)], restated[say("paper.as_of", lang)], restated[say("paper.version", lang)]) == (62, cell_time(line.restated_at, CONTEXT.zone), 3)
    silent = [row for row in rows if row[say("brief.part", lang)] == say("changes.silent", lang)]
    assert silent and all(row[say("paper.value", lang)] is None for row in silent) and any(row[say("paper.as_of", lang)] for row in silent)


DOUBTS: list[dict[str, Any]] = [
    {
        "feed": "health", "subject": "s-7", "metric": "beds", "time": SHOWN.now, "received_at": SHOWN.now, "area": None, "value": Decimal("12000.5"), "unit": "{bed}",
        "doubt": "outside", "why": in_words("outside")._asdict(),
    },
]  # fmt: skip
LETTERS: list[dict[str, Any]] = [{"feed": "health", "cause": "bad_time", "why": because_of("bad_time")._asdict(), "message": "date is 'x'", "field": "date", "repair": None, "times": 1270, "last_at": SHOWN.now}]


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_page_of_operations_is_the_same_as_a_sheet_and_on_paper(lang: Lang) -> None:
    tables = operations_paper.listed(SHOWN, DOUBTS, LETTERS, CONTEXT, lang)
    rows = list(csv.reader(io.StringIO(as_csv(operations_paper.sheet(tables, CONTEXT, lang), lang).decode("utf-8-sig")), delimiter=";"))
    said = text_of(as_pdf(operations_paper.paper(tables, SHOWN, CONTEXT, lang)))
    assert len([row for row in rows if any(row)]) == len(SHOWN.feeds) + 2 + 6 and as_xlsx(operations_paper.sheet(tables, CONTEXT, lang), "operations")
    for feed in SHOWN.feeds:
        row = next(row for row in rows if row[0] == pick(feed.title, lang))
        assert row[6] == str(feed.events) and number(feed.events, lang) in said
    assert ("điểm nằm ngoài tỉnh" if lang == "vi" else "the point lies outside the province") in said
    assert ("12.000,5 bed" if lang == "vi" else "12,000.5 bed") in said
    cells = next(row for row in operations_paper.sheet(tables, CONTEXT, lang) if row[1] == "s-7 · beds")
    assert cells[2:4] == [12000.5, "{bed}"] and cells[5] == cell_time(SHOWN.now, CONTEXT.zone)
    assert ("1.270" if lang == "vi" else "1,270") in said and [f"{getattr(because_of('bad_time'), lang)} (bad_time)", "date is 'x'", "date", "", "1270"] in [row[1:6] for row in rows]
    none = operations_paper.listed(SHOWN, [], [], CONTEXT, lang)
    assert text_of(as_pdf(operations_paper.paper(none, SHOWN, CONTEXT, lang))).count(say("changes.none", lang)) == 2


def test_a_search_is_the_same_on_the_screen_and_on_paper() -> None:
    state = State("vi", more=(("q", "ho so dung han"),))
    page = to_html(search_page.layout(CONTEXT, state))
    matches = search_page.matches(CONTEXT, state)
    _, rows = search_page.table(matches, "vi")
    said = text_of(as_pdf(search_page.paper(matches, CONTEXT, state)))
    assert rows and all(name in page and name in said for _, name, _ in rows) and "dossiers_on_time_rate" in [code for _, _, code in rows]
    assert 'href="/api/search.pdf?lang=vi&amp;q=ho+so+dung+han"' in page
    assert "/api/search" not in to_html(search_page.layout(CONTEXT, State("vi"))) and text_of(as_pdf(search_page.paper([], CONTEXT, State("vi"))))
