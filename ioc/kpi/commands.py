"""`ioc kpi list|value|explain|docs|freeze` and what `ioc audit` runs."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ioc import areas, config
from ioc.clock import read_time, system_clock
from ioc.config import Config
from ioc.kpi import catalogue, frozen
from ioc.kpi.catalogue import Catalogue
from ioc.kpi.docs import markdown
from ioc.kpi.engine import Engine
from ioc.kpi.explain import explain as explain_
from ioc.kpi.tile import Tile, Words
from ioc.store.reader import snapshot

app = typer.Typer(no_args_is_help=True, help="Numbers: what there is, what they are now, where they come from.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AreaOption = Annotated[str | None, typer.Option("--area", help="Code of a commune or name of a group of communes (default: the whole province).")]
AtOption = Annotated[str | None, typer.Option("--at", help="As of this time, ISO 8601 with zone (default: now).")]
KnownOption = Annotated[str | None, typer.Option("--known-at", help="As it was known at this time (default: now).")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the KPIs in use: name, unit, period, title."""
    settings, found = _loaded()
    kpis = catalogue.in_use(found, settings)
    if as_json:
        rows = [
            {"kpi": k.kpi, "theme": k.theme, "title": k.title, "description": k.description, "kind": k.kind, "unit": k.unit, "period": k.period}
            | {"better": k.better, "watch": k.watch, "alarm": k.alarm, "judged_from": k.judged_from, "target": k.target, "feeds": k.feeds, "version": k.version, "since": k.since}
            for k in kpis
        ]
        _print(rows)
        return
    for kpi in kpis:
        typer.echo(f"{kpi.kpi:48} {kpi.unit:14} {kpi.period:8} {getattr(kpi.title, settings.language)}")


@app.command()
def value(
    kpis: Annotated[list[str] | None, typer.Argument(help="Names (default: all in use).")] = None,
    area: AreaOption = None,
    at: AtOption = None,
    known_at: KnownOption = None,
    as_json: Json = False,
) -> None:
    """Evaluate KPIs, the same way every screen does."""
    engine = _engine()
    with snapshot(engine.config.database.dsn) as reader:
        tiles = engine.evaluate(reader, kpis or None, area=area, at=_time(at, "--at") or system_clock(), known_at=_time(known_at, "--known-at"))
    if as_json:
        _print(list(tiles.values()))
        return
    for tile in tiles.values():
        typer.echo(_line(tile, engine.config.language))


@app.command()
def explain(
    kpi: Annotated[str, typer.Argument(help="Name of the KPI.")],
    area: AreaOption = None,
    at: AtOption = None,
    known_at: KnownOption = None,
    as_json: Json = False,
) -> None:
    """Say where a number comes from: words, SQL, parts, feeds, last raw events."""
    engine = _engine()
    with snapshot(engine.config.database.dsn) as reader:
        found = explain_(engine, reader, kpi, area=area, at=_time(at, "--at") or system_clock(), known_at=_time(known_at, "--known-at"))
    if as_json:
        _print(found)
        return
    language = engine.config.language
    typer.echo(f"{found['title'][language]}\n{found['description'][language]}\n")
    typer.echo(f"value {found['value']} {found['unit']} = {found['formula']['symbols']}")
    if found["denominator"] is not None:
        typer.echo(f"parts {found['numerator']:g} / {found['denominator']:g}")
    typer.echo(f"as of {found['as_of']}; version {found['formula']['version']} since {found['formula']['since']}\n{found['formula']['words'][language]}\n")
    for feed in found["feeds"]:
        typer.echo(f"feed {feed['feed']}: {feed['state']}, newest fact {feed['as_of']}, received {feed['received_at']}, {feed['events']} events")
    typer.echo(f"\n{found['formula']['sql']}\n\n{json.dumps(found['formula']['parameters'], ensure_ascii=False, default=str)}\n")
    for event in found["events"]:
        typer.echo(f"{event['received_at']}  {event['feed']}  {event['subject']}  {event['metric']}  {json.dumps(event['data'], ensure_ascii=False)}")


@app.command()
def docs(
    output: Annotated[Path | None, typer.Option("--output", help="Write here (default: print).")] = None,
) -> None:
    """Write the page on all KPIs from the catalogue."""
    settings, found = _loaded()
    text = markdown(found, {feed.feed: Words(feed.title.vi, feed.title.en) for feed in settings.feeds})
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


@app.command()
def freeze() -> None:
    """Note the formulas that are new, by version: from then on a changed formula without a new version is refused."""
    settings, found = _loaded()
    added = frozen.freeze(settings.kpis.catalogue, found)
    typer.echo(f"{added} formulas added to {settings.kpis.catalogue / frozen.FILE}")


def audit_command(*, as_json: bool = False) -> None:
    """Recompute everything from raw events; print the differences and exit with 1 when there is one."""
    from ioc.kpi.audit import audit

    engine = _engine()
    report = audit(engine.config.database.dsn, engine)
    if as_json:
        _print(report)
    else:
        for difference in report.differences:
            typer.echo(f"DIFFERENT {difference}")
        typer.echo(str(report))
    raise typer.Exit(1 if report.differences else 0)


def _loaded() -> tuple[Config, Catalogue]:
    settings = config.load()
    return settings, catalogue.load(settings.kpis.catalogue)


def _engine() -> Engine:
    settings, found = _loaded()
    return Engine(found, settings, areas.load(settings.province.code))


def _time(text: str | None, option: str) -> datetime | None:
    return None if text is None else read_time(text, f"{option} {text!r}")


def _line(tile: Tile, language: str) -> str:
    shown = "-" if tile.value is None else f"{tile.value:.{tile.decimals}f}"
    parts = f" ({tile.numerator:g}/{tile.denominator:g})" if tile.numerator is not None and tile.denominator is not None else ""
    as_of = tile.as_of.isoformat(timespec="seconds") if tile.as_of else "no fact yet"
    return f"{tile.kpi:48} {shown + parts:>24} {tile.unit:12} {tile.status:8} {tile.quality.state:6} {as_of}  {getattr(tile.title, language)}"


def _print(value: Any) -> None:
    typer.echo(msgspec.json.encode(value).decode())
