"""Formulas that were in force, by version: `formulas.csv` beside the catalogue. A formula that changed is a new version.

`ioc kpi freeze` adds what is new; a line, once there, stays. Reading the catalogue refuses a KPI whose formula is not what
its version was: two numbers of one version must be the same number. A catalogue without the file is not held to it.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from ioc.errors import UserError
from ioc.kpi.model import Kpi
from ioc.kpi.symbols import in_symbols
from ioc.store.reader import ObservationTerm

FILE = "formulas.csv"
_HEAD = ["kpi", "version", "digest", "formula"]
Frozen: TypeAlias = dict[tuple[str, int], tuple[str, str]]  # (KPI, version) -> (digest, formula in symbols)


def digest(kpi: Kpi) -> str:
    """Return what tells this formula from another one: its terms, their periods, its unit and period; no words, no limits."""
    lengths = [term.period for term in kpi.formula.terms if isinstance(term, ObservationTerm)] if not kpi.formula.derived else []
    said = json.dumps([in_symbols(kpi.formula), lengths, kpi.unit, kpi.period, kpi.latest], ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def read(folder: Path) -> Frozen:
    """Return what is frozen beside the catalogue, nothing where there is no such file; raise `UserError` with file and line."""
    path = folder / FILE
    if not path.exists():
        return {}
    found: Frozen = {}
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        if next(lines, None) != _HEAD:
            raise UserError(f"{path}: line 1: the columns are {', '.join(_HEAD)}; take the file from its last commit")
        for row in lines:
            if len(row) != len(_HEAD) or not row[1].isdigit():
                raise UserError(f"{path}: line {lines.line_num}: a line is {', '.join(_HEAD)}; take the file from its last commit")
            found[row[0], int(row[1])] = row[2], row[3]
    return found


def check(folder: Path, kpis: Iterable[Kpi], where: Mapping[str, tuple[Path, int]]) -> None:
    """Refuse a formula that changed while its version did not. `where`: KPI -> file and line it stands in."""
    frozen = read(folder)
    newest: dict[str, int] = {}
    for name, version in frozen:
        newest[name] = max(version, newest.get(name, 0))
    for kpi in kpis:
        path, line = where[kpi.kpi]
        was = frozen.get((kpi.kpi, kpi.version))
        if was is not None and was[0] != digest(kpi):
            raise UserError(
                f"{path}: line {line}: {kpi.kpi}: version {kpi.version} was {was[1]} and is now {in_symbols(kpi.formula)} (or another unit or period); "
                f"a changed formula is a new version: write version: {kpi.version + 1}, since: its date, and version {kpi.version} into history, then run `ioc kpi freeze`; or take the change back"
            )
        if newest.get(kpi.kpi, 0) > kpi.version:
            raise UserError(f"{path}: line {line}: {kpi.kpi}: version {newest[kpi.kpi]} was in force already; a version only grows")


def freeze(folder: Path, kpis: Iterable[Kpi]) -> int:
    """Add the formulas that are not frozen yet; return how many were added. What is there was checked when the catalogue was read."""
    frozen = read(folder)
    new = {(kpi.kpi, kpi.version): (digest(kpi), in_symbols(kpi.formula)) for kpi in kpis if (kpi.kpi, kpi.version) not in frozen}
    with (folder / FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HEAD)
        writer.writerows([name, version, *said] for (name, version), said in sorted((frozen | new).items()))
    return len(new)
