"""The pages of offices as plain documents: the same components as everywhere, written as HTML, their values in them.

A phone draws such a page before it has read a line of script; `assets/paint.js` then brings in what the live link says.
The styles stand in the page: a file of their own would hold up the first paint until the whole page is parsed.
The wall, with its map, is drawn by Dash's own renderer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from dash.development.base_component import Component

from dashboards.figures.parts import to_json
from dashboards.words import Lang

_ASSETS = Path(__file__).parent / "assets"
STYLES = ("tokens.css", "office.css")
SCRIPTS = ("paint.js", "live.js", "picker.js", "explain.js")
_FONTS = ("fonts/noto-sans-latin-wdth-normal.woff2", "fonts/noto-sans-vietnamese-wdth-normal.woff2")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_NAMES = {"className": "class", "htmlFor": "for"}
_VOID = {"img", "br", "hr", "input", "wbr"}


def document(page: Component, title: str, lang: Lang, styles: Iterable[str] = STYLES, scripts: Iterable[str] = SCRIPTS) -> str:
    """Return the whole document of a page."""
    head = [
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        *(f'<link rel="preload" href="{_url(font)}" as="font" type="font/woff2" crossorigin>' for font in _FONTS),
        f"<style>{_styles(tuple(styles))}</style>",
        *(f'<script defer src="{_url(script)}"></script>' for script in scripts),
        '<link rel="icon" href="data:,">',
    ]
    theme = getattr(page, "data-theme", "light")
    return f'<!doctype html><html lang="{lang}" data-theme="{theme}"><head>{"".join(head)}</head><body>{to_html(page)}</body></html>'


@cache
def _styles(styles: tuple[str, ...]) -> str:
    """Return the style sheets without comments and indents; fonts are addressed from anywhere."""
    text = "".join((_ASSETS / style).read_text(encoding="utf-8") for style in styles)
    lines = (line.strip() for line in _COMMENT.sub("", text).replace('url("fonts/', 'url("/assets/fonts/').splitlines())
    return "\n".join(line for line in lines if line)


@cache
def _url(asset: str) -> str:
    """The address of an asset, another one when its file is another."""
    if asset.startswith("fonts/"):
        return f"/assets/{asset}"  # as the style sheet names it
    return f"/assets/{asset}?m={(_ASSETS / asset).stat().st_mtime}"


def to_html(node: Any) -> str:
    """Return components, texts and lists of them as HTML."""
    return "".join(_pieces(to_json(node)))


def _pieces(node: Any) -> Iterable[str]:
    if node is None:
        return
    if isinstance(node, list):
        for item in node:
            yield from _pieces(item)
    elif isinstance(node, dict):
        tag = node["type"].lower()
        yield f"<{tag}{''.join(_attributes(node['props']))}>"
        if tag not in _VOID:
            yield from _pieces(node["props"].get("children"))
            yield f"</{tag}>"
    else:
        yield escape(str(node), quote=False)


def _attributes(props: dict[str, Any]) -> Iterable[str]:
    for name, value in sorted(props.items()):  # Dash keeps them in no order
        if name == "children" or value is None or value is False:
            continue
        written = _NAMES.get(name, name.lower())
        if value is True:
            yield f" {written}"
        else:
            text = ";".join(f"{key}:{item}" for key, item in value.items()) if name == "style" else str(value)
            yield f' {written}="{escape(text)}"'
