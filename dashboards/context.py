"""What every page is built from: configuration, areas, scenes, and the names that come with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from dashboards.maps.geometry import extent, shapes
from dashboards.words import Lang, pick
from ioc.areas import Areas
from ioc.config import Config
from ioc.kpi.catalogue import Catalogue, Kpi, Theme, in_use


@dataclass(frozen=True)
class Context:
    """`kpis`: the KPIs in use by id, in the catalogue's order. `version`: ours, for the one reload after an update."""

    config: Config
    areas: Areas
    catalogue: Catalogue
    version: str

    @cached_property
    def kpis(self) -> dict[str, Kpi]:
        return {kpi.kpi: kpi for kpi in in_use(self.catalogue, self.config)}

    @cached_property
    def themes(self) -> list[tuple[Theme, list[str]]]:
        """Each theme that is in use, with the ids of its KPIs; in the order of the feeds in the configuration."""
        order = {feed.feed: i for i, feed in enumerate(self.config.feeds)}
        found = [(theme, [kpi.kpi for kpi in theme.kpis if kpi.kpi in self.kpis]) for theme in self.catalogue.themes]
        return sorted(((t, kpis) for t, kpis in found if kpis), key=lambda pair: min(order[f] for k in pair[1] for f in self.kpis[k].feeds))

    @cached_property
    def overview(self) -> list[str]:
        """The KPIs that the first page shows; the others are found under their theme, by their page."""
        return [name for name, kpi in self.kpis.items() if kpi.overview]

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.config.timezone)

    def feed_titles(self, lang: Lang) -> dict[str, str]:
        return {feed.feed: pick(feed.title, lang) for feed in self.config.feeds}

    @cached_property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The parts of the province that a KPI can be asked of, with their communes' codes: its communes and its groups of them."""
        return {code: (code,) for code in self.areas.communes} | {g.group: tuple(g.communes) for g in self.config.province.groups}

    def province(self, lang: Lang) -> str:
        return pick(self.config.province.name, lang)

    @cached_property
    def shapes(self) -> dict[str, Any]:
        """The communes' GeoJSON, computed once."""
        return shapes(self.areas, self.config.province.boundaries)

    def extent(self, area: str | None) -> list[float]:
        """West, south, east, north of a part of the province, or (None) of all of it; computed once for each."""
        if area is None:
            return list(self.shapes["bounds"])
        if area not in self._extents:
            self._extents[area] = extent(self.shapes, self.parts[area])
        return self._extents[area]

    @cached_property
    def _extents(self) -> dict[str, list[float]]:
        return {}
