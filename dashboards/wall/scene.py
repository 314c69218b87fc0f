"""A scene: which tiles, which map, how many lines of events, when and for how long. Read from YAML, checked, wrong lines named."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ioc.config import Words, line_of
from ioc.errors import UserError
from ioc.kpi.catalogue import Kpi

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_OURS = Path(__file__).parent.parent / "scenes"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SceneMap(_Model):
    kpi: str = Field(description="KPI whose value by commune colours the map.")
    incidents: bool = Field(True, description="Draw the open incidents.")
    assets: bool = Field(True, description="Draw facilities and schools.")
    feeds: list[str] = Field(default_factory=list, description="Draw only cases and assets of these feeds; without it, of all.")
    chips: Literal["vn_aqi"] | None = Field(None, description="Write the KPI's value of each commune on a chip in the colours of VN_AQI (QĐ 1459/QĐ-TCMT).")
    points: Literal["auto", "points", "clusters", "heat"] = Field(
        "auto", description="Draw places one by one (points), neighbours as a number (clusters), or how many lie where (heat); auto: points up to 2,000 of a kind, else clusters."
    )
    view: Literal["area", "country"] = Field("area", description="What the map looks at: the scene's area (the province without one), or the country.")


class Chart(_Model):
    """A chart beside the tiles. trend, calendar and ranking are of one KPI; flow and bars of several."""

    chart: Literal["trend", "calendar", "ranking", "flow", "bars"]
    kpi: str | None = Field(None, description="The KPI of a trend, calendar or ranking.")
    kpis: list[str] = Field(default_factory=list, max_length=12, description="The KPIs of a flow (came, lies there, went) or of bars (one unit).")
    title: Words | None = Field(None, description="Of bars and flow; without it, what the KPIs' titles have in common.")
    most: int = Field(8, ge=1, le=20, description="Areas of a ranking.")
    order: Literal["highest", "lowest"] = Field("highest", description="Which areas a ranking shows.")

    @property
    def of(self) -> list[str]:
        """The KPIs it shows."""
        return [self.kpi] if self.kpi else self.kpis

    @model_validator(mode="after")
    def _shape(self) -> Chart:
        single = self.chart in ("trend", "calendar", "ranking")
        if single and (self.kpi is None or self.kpis):
            raise ValueError(f"a {self.chart} is of one KPI: write kpi: NAME")
        if not single and (self.kpi is not None or len(self.kpis) < 2):
            raise ValueError(f"{self.chart} is of several KPIs: write kpis: [NAME, NAME]")
        return self


class Schedule(_Model):
    """When a scene is shown; outside it the wall goes on to the next one."""

    hours: str = Field("00:00-24:00", pattern=r"^([01]\d|2[0-4]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d$", description="From-to, the province's time; '22:00-05:00' goes over midnight.")
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(default_factory=list, description="Days of the week; none means all.")


class Scene(_Model):
    """One scene of the wall. `name` is the file's name without .yaml."""

    name: str
    title: Words
    area: str | None = Field(None, description="Show this part of the province: a commune's code, or a group of province.groups.")
    tiles: list[str] = Field(min_length=1, max_length=40, description="KPIs in reading order.")
    columns: int = Field(3, ge=1, le=12, description="Columns of tiles.")
    columns_wide: int = Field(4, ge=1, le=20, description="Columns of tiles on a wall wider than 21:9.")
    charts: list[Chart] = Field(default_factory=list, max_length=6, description="Charts in a row below the tiles.")
    cameras: list[str] = Field(default_factory=list, max_length=6, description="Stills of these cameras in a row below the tiles; stills.cameras of config.yaml names them.")
    map: SceneMap | None = None
    ticker: int = Field(3, ge=0, le=12, description="Lines of latest events, of the feeds of the scene's tiles; 0 for none.")
    feeds: bool = Field(True, description="Show the strip of feeds.")
    dwell_s: float | None = Field(None, ge=5, le=86_400, description="How long it stays; scenes.dwell_s of config.yaml without it.")
    schedule: Schedule = Schedule()
    skip_when_empty: bool = Field(True, description="Left out while none of its tiles has a value.")

    def rows(self, columns: int) -> int:
        return -(-len(self.tiles) // columns)


def load(folder: Path, names: list[str], known: Mapping[str, Kpi], feeds: Container[str] | None = None, areas: Container[str] | None = None, cameras: Container[str] | None = None) -> dict[str, Scene]:
    """Return the scenes called `names` from `folder`, in that order; raise `UserError` with file and line.

    `known`: the KPIs in use; `feeds`, `areas`, `cameras`: those of the configuration (None: not checked).

    A relative folder that does not exist from where the program runs is looked for beside this package.
    """
    if not folder.is_dir() and not folder.is_absolute():
        folder = _OURS
    if not names:
        raise UserError("scenes.use is empty: name at least one scene, such as 'overview'")
    return {name: read(folder / f"{name}.yaml", known, feeds, areas, cameras) for name in names}


def read(path: Path, known: Mapping[str, Kpi], feeds: Container[str] | None = None, areas: Container[str] | None = None, cameras: Container[str] | None = None) -> Scene:
    """Return the scene in `path`; raise `UserError` naming the file, the line and the repair."""
    if not NAME.fullmatch(path.stem):
        raise UserError(f"{path}: a scene's file is named with small letters, digits and single dashes")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise UserError(f"{path}: the scene cannot be read: {exc.strerror}; scenes.use names it") from exc
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise UserError(f"{path}: not valid YAML: {exc}") from exc
    if not isinstance(raw, dict):
        raise UserError(f"{path}: line 1: a scene is a mapping with 'title:' and 'tiles:'")
    try:
        scene = Scene(name=path.stem, **raw)
    except ValidationError as exc:
        problems = [f"line {line_of(text, e['loc'])}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()]
        raise UserError(f"{path}: " + "; ".join(problems)) from exc
    except TypeError as exc:
        raise UserError(f"{path}: line 1: {exc}; the keys of a scene are texts, and its name is its file's") from exc
    _check(path, text, scene, known)
    for i, feed in enumerate(scene.map.feeds if scene.map and feeds is not None else []):
        if feeds is not None and feed not in feeds:
            raise UserError(f"{path}: line {line_of(text, ('map', 'feeds', i))}: no feed is called {feed!r}; config.yaml names the feeds")
    for i, camera in enumerate(scene.cameras if cameras is not None else []):
        if cameras is not None and camera not in cameras:
            raise UserError(f"{path}: line {line_of(text, ('cameras', i))}: no camera is called {camera!r}; stills.cameras of config.yaml names them")
    if areas is not None and scene.area is not None and scene.area not in areas:
        raise UserError(f"{path}: line {line_of(text, ('area',))}: no area is called {scene.area!r}; write a commune's code, or a group of province.groups in config.yaml")
    return scene


def _check(path: Path, text: str, scene: Scene, known: Mapping[str, Kpi]) -> None:
    for i, kpi in enumerate(scene.tiles):
        line = line_of(text, ("tiles", i))
        if kpi not in known:
            raise UserError(f"{path}: line {line}: no KPI is called {kpi!r}; `ioc kpi list` shows them")
        if kpi in scene.tiles[:i]:
            raise UserError(f"{path}: line {line}: {kpi!r} is on the scene twice")
    for i, chart in enumerate(scene.charts):
        _check_chart(path, text, chart, i, known)
    if scene.map and scene.map.kpi not in known:
        raise UserError(f"{path}: line {line_of(text, ('map', 'kpi'))}: no KPI is called {scene.map.kpi!r}; `ioc kpi list` shows them")


def _check_chart(path: Path, text: str, chart: Chart, i: int, known: Mapping[str, Kpi]) -> None:
    for j, kpi in enumerate(chart.of):
        if kpi not in known:
            where = ("charts", i, "kpi") if chart.kpi else ("charts", i, "kpis", j)
            raise UserError(f"{path}: line {line_of(text, where)}: no KPI is called {kpi!r}; `ioc kpi list` shows them")
    line = line_of(text, ("charts", i, "kpi" if chart.kpi else "kpis"))
    found = [known[kpi] for kpi in chart.of]
    if chart.chart == "calendar" and found[0].period not in ("day", "now"):
        raise UserError(f"{path}: line {line}: a calendar shows days, and {found[0].kpi} is of a {found[0].period}; write chart: trend")
    if chart.chart == "bars" and len(units := dict.fromkeys(kpi.unit for kpi in found)) > 1:
        raise UserError(f"{path}: line {line}: bars compare KPIs of one unit, and these have {' and '.join(units)}; make a chart of each")
    if chart.chart == "flow" and not any(kpi.kind == "count_now" for kpi in found):
        raise UserError(f"{path}: line {line}: a flow needs a KPI of what lies there now (kind count_now), after what came and before what went")
