"""Every figure of the five seed documents: entered through the indicators feed, shown as it is written, odd ones asked about.

`tests/golden/seed_figures.csv` names row, document, wording, indicator, period, KPI and what the guard is to ask. The whole
table (document, figure as written, what the tile shows, what the guard said) is docs/seed-figures.md; ACCEPT=1 writes it anew.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.indicators import simulated
from dashboards.figures.numbers import in_words, number
from dashboards.figures.tile import value_line
from ioc.areas import load as load_areas
from ioc.clock import ICT, FrozenClock
from ioc.config import Config
from ioc.connect import registry
from ioc.connect.commands._app import context_of
from ioc.connect.declared.figures import quantity, reference
from ioc.connect.preview import preview
from ioc.events import Event
from ioc.kpi import catalogue
from ioc.kpi.engine import Engine
from ioc.kpi.tile import Tile
from ioc.store.reader import Reader, snapshot
from ioc.store.writer import Record, Writer

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDEN = list(csv.DictReader((REPOSITORY / "tests" / "golden" / "seed_figures.csv").read_text(encoding="utf-8").splitlines()))
NOW = datetime(2023, 12, 1, 9, tzinfo=ICT)
FEED = "indicators"
WORDS = {"vi": "Chỉ tiêu", "en": "Indicators"}
CONFIG = Config(feeds=[{"feed": FEED, "connector": FEED, "title": WORDS, "url": "http://127.0.0.1:1", "retention_days": 3650}])
ENTERED = {(code, period, document): figure for code, _, period, figure, _, document in simulated.rows()}
TITLES = {short: title for short, (_, title) in simulated.DOCUMENTS.items()}
PUBLISHED = {short: datetime.fromisoformat(day).replace(tzinfo=ICT) for short, (day, _) in simulated.DOCUMENTS.items()}
UNITS = registry.get(FEED).declaration.fields["figure"].values  # type: ignore[attr-defined]


@pytest.fixture
def reader(database: str) -> Iterator[Reader]:
    """The spreadsheet read by the connector; each document's figures arrive on the day it was published."""
    connector = registry.get(FEED)
    found = preview(connector, context_of(connector, CONFIG, CONFIG.feeds[0]), simulated.workbook(simulated.rows()))
    assert not found.letters
    with psycopg.connect(database) as conn:
        writer = Writer(conn)
        start = writer.assign(f"ioc.{FEED}", 0, "1", FEED)
        records = [Record(f"ioc.{FEED}", 0, start + i, FEED, _published(event), event=event) for i, event in enumerate(found.events)]
        writer.write(records, {f"ioc.{FEED}": "1"})
    with snapshot(database) as reader:
        yield reader


def _published(event: Event) -> datetime:
    version = event.data.version  # type: ignore[union-attr]
    assert isinstance(version, datetime)
    return version


class Shown:
    """Tiles as they stood on the day after a document came out, of the period its figure is of."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.engine = Engine(catalogue.load(REPOSITORY / "dashboards" / "catalogue"), CONFIG, load_areas("19"), FrozenClock(NOW))
        self.tiles: dict[tuple[str, int], dict[str, Tile]] = {}

    def tile(self, row: dict[str, str]) -> Tile:
        year = reference(row["period"], "Kỳ").start.year
        key = row["document"], year
        if key not in self.tiles:
            at = PUBLISHED[row["document"]] + timedelta(days=1)
            days = (at.date().replace(year=year, month=1, day=1), at.date().replace(year=year, month=12, day=31))
            self.tiles[key] = self.engine.evaluate(self.reader, at=at, known_at=at, days=days)
        return self.tiles[key][row["kpi"]]


def text(component: Any) -> str:
    children = getattr(component, "children", component)
    return " ".join(text(child) for child in children) if isinstance(children, list) else str(children)


def squeezed(words: str) -> str:
    return re.sub(r"\s+", "", words)


def test_every_seed_figure_is_shown_as_written_and_the_odd_ones_are_asked_about(reader: Reader) -> None:
    shown = Shown(reader)
    wrong, table = [], []
    for row in GOLDEN:
        tile = shown.tile(row)
        figure = ENTERED[row["code"], row["period"], TITLES[row["document"]]]
        report = next(report for report in tile.reports if report.metric == row["code"])
        seen = re.sub(r" (?=[%/])", "", text(value_line(tile, "vi")))
        if tile.numerator is not None and tile.denominator is not None:
            seen += f" ({number(tile.numerator, 'vi')}/{number(tile.denominator, 'vi')})"
        said = "; ".join(words.vi for words in tile.doubts)
        table.append(f"| {row['row']} | {row['document']} | {row['written']} | {row['period']} | `{row['kpi']}` | {seen} | {said} |")
        read = quantity(figure, "Số liệu", UNITS)
        problems = [
            (report.written, figure) if report.written != figure else None,
            (report.document, TITLES[row["document"]]) if report.document != TITLES[row["document"]] else None,
            (report.period, row["period"]) if report.period != row["period"] else None,
            (report.published, PUBLISHED[row["document"]]) if report.published != PUBLISHED[row["document"]] else None,
            (report.qualifier, read.qualifier) if report.qualifier != read.qualifier else None,
            (seen, figure) if tile.written and squeezed(seen) != squeezed(figure) else None,
            (tile.value, read.value) if tile.written and Decimal(repr(tile.value)) != read.value else None,
            (said, row["guard"]) if (row["guard"] and row["guard"] not in said) or (not row["guard"] and said and row["kpi"] not in _ASKED) else None,
        ]
        wrong += [(row["document"], row["kpi"], problem) for problem in problems if problem]
    assert wrong == []
    page = HEAD + "".join(f"- **{short}**: {TITLES[short]}, {PUBLISHED[short]:%d/%m/%Y}\n" for short in TITLES) + COLUMNS + "\n".join(table) + "\n"
    if os.environ.get("ACCEPT"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page


PAGE = REPOSITORY / "docs" / "seed-figures.md"
HEAD = """# The figures of five documents

What five public documents print, each entered through the spreadsheet of indicators (`connectors/indicators/`) with its period, publication and document, and
what the tile shows on the day after the document came out. The guard only asks: no figure is changed or held back. Written by
`ACCEPT=1 pytest tests/integration/test_seed_figures.py`, which fails when this page and the tiles differ. The pages of S0, S3 and S4 give no date of publication; theirs are assumed.

"""
COLUMNS = "\n| row | document | as written | period | KPI | the tile shows | the guard asks |\n|---|---|---|---|---|---|---|\n"
_ASKED = {row["kpi"] for row in GOLDEN if row["guard"]}


def test_a_ratio_shows_both_parts_and_what_its_source_printed(reader: Reader) -> None:
    tiles = Shown(reader).engine.evaluate(reader, ["insured_verified_share", "soc_trang_dti_half_share", "ha_giang_signing_agencies"], at=NOW)
    insured = tiles["insured_verified_share"]
    assert (insured.numerator, insured.denominator) == (1148705, 1190032)
    assert in_words(insured.value or 0, "%", "vi", 2) == "96,53%"
    half = tiles["soc_trang_dti_half_share"]
    assert ((half.numerator, half.denominator), in_words(half.value or 0, "%", "vi", 2), half.doubts) == ((12, 89), "13,48%", [])
    assert (tiles["ha_giang_signing_agencies"].numerator, tiles["ha_giang_signing_agencies"].denominator) == (18, 20)


def test_the_hidden_factor_of_a_report_is_a_number_of_its_own_and_asked_about_when_it_moves(reader: Reader) -> None:
    engine = Shown(reader).engine
    before = engine.evaluate(reader, ["documents_saved_each"], at=NOW, days=(date(2021, 1, 1), date(2021, 12, 31)))["documents_saved_each"]
    assert (round(before.value or 0), before.unit, before.qualifier) == (3947, "VND/{document}", "about")
    now = engine.evaluate(reader, ["documents_saved_each"], at=NOW)["documents_saved_each"]
    assert (round(now.value or 0), now.formula) == (3750, "documents_saved_year / documents_exchanged_year")
    assert {report.metric for report in now.reports} == {"document.saved", "document.exchanged"}
    assert [words.vi for words in now.doubts] == ["hệ số đổi từ 3.947 thành 3.750: cách tính có đổi không?"]


def test_one_rank_labelled_with_two_years_keeps_both_and_says_so(reader: Reader) -> None:
    engine = Shown(reader).engine
    first = PUBLISHED["S1"] + timedelta(days=1)
    then = engine.evaluate(reader, ["dti_rank"], at=first, known_at=first)["dti_rank"]
    assert (then.value, then.written, then.reports[0].document) == (12, "12/63", TITLES["S1"])
    now = engine.evaluate(reader, ["dti_rank"], at=NOW)["dti_rank"]
    assert (now.value, now.reports[0].period, now.reports[0].published) == (8, "2022", PUBLISHED["S4"])
    assert any("ghi kỳ 2021" in words.vi and "ghi kỳ 2022" in words.vi for words in now.doubts)
    assert (now.target and now.target.value, [t.value for t in now.targets]) == (15, [10])


def test_targets_by_level_stay_and_the_districts_is_retired(reader: Reader) -> None:
    tile = Shown(reader).engine.evaluate(reader, ["work_files_online_share"], at=NOW)["work_files_online_share"]
    assert tile.value is None
    assert tile.target is not None and tile.target.value == 90
    assert [(t.level, t.value, t.retired) for t in tile.targets] == [("district", 80, True), ("commune", 60, False)]
