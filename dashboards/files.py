"""What is on a page as a file, as CSV, XLSX and PDF: the overview, a KPI's page, a comparison, changes, brief, search, operations. The brief also as the text of a letter.

Numbers in CSV and XLSX are the tile's, nothing rounded; a PDF says what the screen says, word for word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import fastapi
from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboards.context import Context
from dashboards.figures.numbers import clock_time_s, in_words, number, period_words, signed
from dashboards.figures.picker import part_name, unit_names
from dashboards.figures.ranking import ordered
from dashboards.figures.tile import shown_value, titled, versus
from dashboards.figures.trend import points
from dashboards.leaders import brief as brief_page
from dashboards.leaders import changes as changes_page
from dashboards.leaders import compare as compare_page
from dashboards.leaders import kpi as kpi_page
from dashboards.leaders import notes
from dashboards.leaders import search as search_page
from dashboards.operations import paper as operations_paper
from dashboards.pdf import Paper, Part, Table, as_pdf
from dashboards.state import State, read
from dashboards.words import Lang, pick, say
from ioc.kpi.export import Cell, as_csv, as_xlsx, cell_time
from ioc.kpi.geography import estimated
from ioc.kpi.tile import Tile
from ioc.kpi.words import in_words as formula_in_words
from ioc.live import FeedView, Snapshot

TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
Paged: TypeAlias = Callable[[State, str], Paper]  # of a page's state and a KPI ("" where the page is of none)
Tabled: TypeAlias = Callable[[State, str], list[list[Cell]]]
LETTER = "text/plain; charset=utf-8"
_WIDTHS = (52, 42, 46, 24, 26, 36, 24, 18)  # of a row of a tile on paper, in mm, in the order of _head


class Questions(compare_page.Questions, brief_page.Questions, notes.Questions, Protocol):
    def doubted(self) -> list[dict[str, Any]]: ...
    def letters(self) -> list[dict[str, Any]]: ...


def serve(api: fastapi.FastAPI, context: Context, desk: Questions, clock: Callable[[], datetime], shown: Callable[[], Snapshot]) -> None:
    """Add the files to the application. `shown`: what the screens show now."""

    def add(path: str, name: str, summary: str, paper: Paged | None = None, table: Tabled | None = None) -> None:
        """Serve `path`.pdf, the page on paper, and `path`.csv and .xlsx, its table; `name`: what the file is called, {kpi} in it the KPI's."""
        for form in TYPES:
            if paper if form == "pdf" else table:
                api.add_api_route(f"{path}.{form}", file_as(form, name, paper, table, of_one="{kpi}" in path), methods=["GET"], summary=summary.format(form=form))

    def file_as(form: str, name: str, paper: Paged | None, table: Tabled | None, *, of_one: bool) -> Callable[..., Response]:
        def file_of(kpi: str, request: Request) -> Response:
            if kpi not in context.kpis:
                raise HTTPException(404, f"no KPI is called {kpi!r}; see /api/kpis")
            return made(kpi, request)

        def file(request: Request) -> Response:
            return made("", request)

        def made(kpi: str, request: Request) -> Response:
            state, called = read(request.url.query, context), name.format(kpi=kpi)
            if form == "pdf":
                assert paper
                body = as_pdf(paper(state, kpi))
            else:
                assert table
                body = as_csv(table(state, kpi), state.lang) if form == "csv" else as_xlsx(table(state, kpi), kpi or called)
            stamp = f"{clock().astimezone(context.zone):%Y%m%d-%H%M}"
            return Response(body, media_type=TYPES[form], headers={"Content-Disposition": f'attachment; filename="{called}-{stamp}.{form}"', "Cache-Control": "no-store"})

        return file_of if of_one else file

    def letter(request: Request) -> Response:
        state = read(request.url.query, context)
        return Response(brief_page.text(brief_page.write(context, state, desk), context, state.lang), media_type=LETTER, headers={"Cache-Control": "no-store"})

    def operations(state: State, _kpi: str) -> Paper:
        snapshot = shown()
        return operations_paper.paper(listed(snapshot, state), snapshot, context, state.lang)

    def listed(snapshot: Snapshot, state: State) -> list[operations_paper.Listed]:
        return operations_paper.listed(snapshot, desk.doubted(), desk.letters(), context, state.lang)

    def found(state: State, _kpi: str) -> list[list[Cell]]:
        head, rows = search_page.table(search_page.matches(context, state), state.lang)
        return [[*row] for row in (head, *rows)]

    api.add_api_route("/api/brief.txt", letter, methods=["GET"], summary="The morning brief as the text of a letter; ?lang=")
    add("/api/kpis", "ioc", "All KPIs on A4; ?lang=, area=, period= as on the page", lambda state, _: overview_paper(context, state, desk, clock()))
    add(
        "/api/kpis/{kpi}/areas", "{kpi}", "One KPI and its communes as {form}",
        lambda state, kpi: kpi_paper(kpi, context, state, desk, clock(), shown().feeds), lambda state, kpi: areas_table(kpi, context, state, desk),
    )  # fmt: skip
    add("/api/kpis/{kpi}/trend", "{kpi}-trend", "One KPI over its last periods as {form}", table=lambda state, kpi: trend_table(kpi, context, state, desk))
    add(
        "/api/changes", "changes", "What changed since yesterday as {form}; ?lang=",
        lambda state, _: changes_page.paper(desk.changes(), context, state.lang), lambda state, _: changes_page.table(desk.changes(), context, state.lang),
    )  # fmt: skip
    add(
        "/api/brief", "brief", "The morning brief as {form}; ?lang=",
        lambda state, _: brief_page.paper(brief_page.write(context, state, desk), context, state.lang), lambda state, _: brief_page.table(brief_page.write(context, state, desk), context, state.lang),
    )  # fmt: skip
    add(
        "/api/operations", "operations", "The page of operations as {form}; ?lang=",
        operations, lambda state, _: operations_paper.sheet(listed(shown(), state), context, state.lang),
    )  # fmt: skip
    add("/api/search", "search", "What a search found as {form}; ?q=", lambda state, _: search_page.paper(search_page.matches(context, state), context, state), found)
    add(
        "/api/compare", "compare", "Areas compared as {form}; ?kpis=a,b&areas=c,d&sort=-a",
        lambda state, _: compare_paper(compare_page.compare(context, state, desk), context, state, clock()),
        lambda state, _: compare_table(compare_page.compare(context, state, desk), context, state),
    )  # fmt: skip


# What a tile says, word for word as the screen does.


def shown_period(t: Tile, context: Context, lang: Lang) -> str:
    if t.kind == "count_now":
        return say("now", lang)
    start, end = (at.astimezone(context.zone).date() for at in (t.period.start, t.period.end))
    words = period_words(start, end, lang)
    return words if t.period.complete else say("so_far", lang, period=words)


def _row(t: Tile, context: Context, now: datetime, lang: Lang) -> list[str]:
    parts = f" ({number(t.numerator, lang)}/{number(t.denominator, lang)})" if t.kind == "ratio" and t.numerator is not None and t.denominator is not None else ""
    change = f"{signed(t.delta.value, t.unit, lang, t.decimals)} {versus(t, t.delta, lang, 'page')}" if t.delta and t.value is not None else ""
    target = in_words(t.target.value, t.unit, lang, t.decimals) if t.target else ""
    if t.target and t.target.due:
        target = say("paper.due", lang, value=target, date=f"{t.target.due:%d/%m/%Y}")
    as_of = clock_time_s(t.as_of, now, context.zone, lang)
    if t.as_of and t.quality.state != "live":
        as_of += f" ({say(f'state.{t.quality.state}', lang)})"
    return [titled(t, lang), shown_value(t, lang) + parts, change, target, _status(t, lang), shown_period(t, context, lang), as_of, f"v{t.formula_version}"]


def _status(t: Tile, lang: Lang) -> str:
    """Return how the value stands, and what a reader must know of it: feeds that are missing, what the guard asks."""
    if t.as_of is None:
        return ""
    n = len(t.quality.missing_sources)
    rated = say("few", lang, n=t.judged_from) if t.judged_from is not None else say(f"status.{t.status}", lang) if t.status != "unknown" and t.value is not None else ""
    return "; ".join(filter(None, (rated, say("missing", lang, n=n) if n else "", say("doubt", lang) if t.doubts and t.value is not None else "")))


def _head(lang: Lang) -> list[str]:
    return [say(f"paper.{name}", lang) for name in ("indicator", "value", "change", "target", "status", "period", "as_of", "version")]


def _about(context: Context, state: State, now: datetime, tiles: Mapping[str, Tile]) -> list[str]:
    lang = state.lang
    newest = max((t.as_of for t in tiles.values() if t.as_of), default=None)
    local = now.astimezone(context.zone)
    geography = [say("paper.geography", lang, name=say(f"geography.{state.geography}", lang))] if state.geography else []
    return [
        say("paper.asked", lang, area=part_name(state.area, context, lang), period=say(f"period.{state.period or 'own'}", lang) if "-" not in state.period else state.period.replace("..", " – ")),
        say("paper.as_of_line", lang, as_of=clock_time_s(newest, now, context.zone, lang) or say("no_data", lang), made=f"{local:%H:%M %d/%m/%Y}"),
        *geography,
    ]


def _foot(context: Context, lang: Lang) -> str:
    return f"{context.province(lang)} · {say('centre', lang)}"


def overview_paper(context: Context, state: State, desk: Questions, now: datetime) -> Paper:
    lang = state.lang
    tiles = desk.tiles(state.asked)
    parts = [
        Part(pick(theme.title, lang), table=Table(_head(lang), [_row(tiles[kpi], context, now, lang) for kpi in kpis if kpi in tiles], _WIDTHS, (1, 2, 3)))
        for theme, kpis in context.themes
    ]
    return Paper(say("leaders.title", lang), _about(context, state, now, tiles), parts, _foot(context, lang), wide=True)


def kpi_paper(kpi: str, context: Context, state: State, desk: Questions, now: datetime, feeds: Sequence[FeedView]) -> Paper:
    """Return a KPI's page as A4, its parts in the order of the page. `feeds`: as the screens show them now."""
    lang = state.lang
    found = context.kpis[kpi]
    tiles = desk.tiles(state.asked, [kpi])
    t = tiles[kpi]
    sources = [[pick(f.title, lang), say(f"state.{f.state}", lang), clock_time_s(f.as_of, now, context.zone, lang)] for f in feeds if f.feed in t.source]
    titles = {feed.feed: feed.title for feed in context.config.feeds}
    words = formula_in_words(found, titles)  # type: ignore[arg-type] # a feed's title has both languages, as Words
    course = points(t, kpi_page.spans(found, t, context, state), lang)
    names, unsure = unit_names(context, state), estimated(context.areas, state.units)
    ranked = ordered(desk.by_area(kpi, state.period, state.geography))
    rows = [[names[code], say("estimated", lang, value=text) if code in unsure else text] for value, code in ranked for text in [in_words(value, found.unit, lang, found.decimals)]]
    noted = notes.sentences(desk.notes(kpi, state.area), context, lang)
    note = [say("estimated.note", lang)] if any(code in unsure for _, code in ranked) else []
    parts = [
        Part(sentences=[pick(found.description, lang)], table=Table(_head(lang), [_row(t, context, now, lang)], _WIDTHS, (1, 2, 3))),
        Part(sentences=[f"{name}: {text}" for name, text in kpi_page.facts(t, context, now, lang)]),
        Part(say("kpi.trend", lang), [] if course else [say("kpi.no_trend", lang)], Table([say("paper.period", lang), say("paper.value", lang)], course, (3, 1), (1,))),
        *([Part(say("notes", lang), noted)] if noted else []),
        Part(say("kpi.sources", lang), table=Table([say(word, lang) for word in ("paper.source", "ops.state", "ops.as_of")], sources, (3, 1, 1))),
        Part(say("kpi.explain", lang), [pick(words, lang), f"{say('kpi.version', lang)} {found.version}, {say('kpi.since', lang)} {found.since:%d/%m/%Y}"]),
        Part(say("geography.ranked" if state.geography else "kpi.ranking", lang), note, Table([say("picker.area", lang), say("paper.value", lang)], rows, (3, 1), (1,))),
    ]
    return Paper(pick(found.title, lang), _about(context, state, now, tiles), parts, _foot(context, lang), wide=True)


def areas_table(kpi: str, context: Context, state: State, desk: Questions) -> list[list[Cell]]:
    """The province (or the area asked for) and every commune, or every unit of a former geography: a row each."""
    lang = state.lang
    t = desk.tiles(state.asked, [kpi])[kpi]
    start, end, as_of = (cell_time(at, context.zone) for at in (t.period.start, t.period.end, t.as_of))
    head: list[Cell] = [say(f"paper.{name}", lang) for name in ("code", "area", "value", "unit", "from", "to", "as_of", "version")]
    values = desk.by_area(kpi, state.period, state.geography)
    names, unsure = unit_names(context, state), estimated(context.areas, state.units)
    whole: list[Cell] = [state.area or context.areas.province, part_name(state.area, context, lang), t.value if t.as_of else None]
    rows = [whole]
    rows += [[code, name, values.get(code)] for code, name in names.items()]
    table = [head, *([*row, t.unit, start, end, as_of, t.formula_version] for row in rows)]
    if t.qualifier != "exact":  # known of the whole only, as on the page
        table = _with_column(table, [say("paper.qualifier", lang), _qualifier(t, lang), *("" for _ in names)])
    return _with_column(table, _estimates([False, *(code in unsure for code in names)], lang)) if state.geography else table


def trend_table(kpi: str, context: Context, state: State, desk: Questions) -> list[list[Cell]]:
    """The KPI over its last periods, oldest first: a row a period."""
    lang = state.lang
    t = desk.tiles(state.asked, [kpi])[kpi]
    head: list[Cell] = [say(f"paper.{name}", lang) for name in ("area", "from", "to", "value", "unit", "as_of", "version")]
    area, as_of = part_name(state.area, context, lang), cell_time(t.as_of, context.zone)
    return [head, *([area, first, last, value, t.unit, as_of, t.formula_version] for (first, last), value in zip(kpi_page.spans(context.kpis[kpi], t, context, state), t.spark, strict=True))]


def _with_column(table: list[list[Cell]], column: Iterable[str]) -> list[list[Cell]]:
    return [[*row, cell] for row, cell in zip(table, column, strict=True)]


def _estimates(unsure: Iterable[bool], lang: Lang) -> list[str]:
    """Return the column that says which rows are estimated."""
    return [say("paper.estimated", lang), *(say("ops.yes", lang) if mark else "" for mark in unsure)]


def _qualifier(t: Tile, lang: Lang) -> str:
    return say(t.qualifier, lang, value="").strip() if t.qualifier != "exact" else ""


def compare_table(found: compare_page.Comparison, context: Context, state: State) -> list[list[Cell]]:
    """A row an area, a column an indicator; units, as-of, versions and how exact the province's values are below."""
    lang = state.lang
    tiles = list(found.tiles.values())
    rows: list[list[Cell]] = [[say("paper.code", lang), say("paper.area", lang), *(titled(t, lang) for t in tiles)]]
    rows += [[row.area or context.areas.province, compare_page.row_name(row, context, state), *row.values.values()] for row in found.rows]
    rows += [["", say("paper.unit", lang), *(t.unit for t in tiles)], ["", say("paper.as_of", lang), *(cell_time(t.as_of, context.zone) for t in tiles)], ["", say("paper.version", lang), *(t.formula_version for t in tiles)]]
    if any(t.qualifier != "exact" for t in tiles):
        rows.append(["", say("paper.qualifier", lang), *(_qualifier(t, lang) for t in tiles)])
    below = len(rows) - 1 - len(found.rows)
    return _with_column(rows, _estimates([*(row.estimated for row in found.rows), *[False] * below], lang)) if state.geography else rows


def compare_paper(found: compare_page.Comparison, context: Context, state: State, now: datetime) -> Paper:
    lang = state.lang
    heads = [say("paper.area", lang), *(f"{titled(t, lang)}\n{compare_page.of_when(t, context, state)}" for t in found.tiles.values())]
    rows = [
        [compare_page.row_name(row, context, state), *(compare_page.shown(found.tiles[kpi], value, row, lang) for kpi, value in row.values.items())]
        for row in found.rows
    ]
    table = Table(heads, rows, (2, *(2 for _ in found.tiles)), range(1, len(heads)))
    return Paper(say("compare.title", lang), _about(context, state, now, found.tiles), [Part(table=table), Part(sentences=compare_page.notes(found, context, state))], _foot(context, lang), wide=len(found.tiles) > 3)


