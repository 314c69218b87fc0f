"""A sparkline as inline SVG: one line, its last point marked, no axis. Gaps stay gaps."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from dashboards.figures.parts import Theme

# Line colours by theme; an image cannot inherit the page's colours. Both have 3:1 against their tile.
INK: dict[Theme, str] = {"dark": "#9aa7b4", "light": "#5b6673"}
DOT: dict[Theme, str] = {"dark": "#e8edf2", "light": "#14202b"}


def spark(points: Sequence[float | None], label: str, theme: Theme = "dark", width: int = 120, height: int = 32) -> Component | None:
    """Return the line of `points` (oldest first), or None when fewer than two are known. Size in CSS pixels."""
    known = [value for value in points if value is not None]
    if len(known) < 2:
        return None
    svg = _svg(points, min(known), max(known), theme, width, height)
    data = base64.b64encode(svg.encode()).decode()
    return html.Img(src=f"data:image/svg+xml;base64,{data}", alt=label, className="spark")


_PAD = 4


def place_x(i: int, n: int, width: int) -> float:
    """Return where the point `i` of `n` stands on a line of this width, in its pixels."""
    return round(_PAD + i * (width - 2 * _PAD) / (n - 1), 1)


def _svg(points: Sequence[float | None], low: float, high: float, theme: Theme, width: int, height: int) -> str:
    spread = high - low

    def place(i: int, value: float) -> tuple[float, float]:
        share = 0.5 if spread == 0 else (value - low) / spread
        return place_x(i, len(points), width), round(height - _PAD - share * (height - 2 * _PAD), 1)

    pieces: list[list[tuple[float, float]]] = [[]]
    for i, value in enumerate(points):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(place(i, value))
    lines = "".join(
        f'<polyline points="{" ".join(f"{x},{y}" for x, y in piece)}" fill="none" stroke="{INK[theme]}" stroke-width="2.5" stroke-linejoin="round" stroke-linecap="round"/>'
        for piece in pieces
        if piece
    )
    x, y = next(piece[-1] for piece in reversed(pieces) if piece)
    dot = f'<circle cx="{x}" cy="{y}" r="3.5" fill="{DOT[theme]}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">{lines}{dot}</svg>'
