"""A formula that changes is a new version: what was in force under a version is frozen, and held against the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ioc.errors import UserError
from ioc.kpi import catalogue, frozen
from tests.unit.kpi.test_catalogue import GOOD, REPOSITORY, SHIPPED, TABLE, derived, read

FOLDER = REPOSITORY / "dashboards" / "catalogue"


def test_every_shipped_formula_is_frozen_as_it_is() -> None:
    known = frozen.read(FOLDER)
    unknown = [kpi.kpi for kpi in SHIPPED if known.get((kpi.kpi, kpi.version), ("",))[0] != frozen.digest(kpi)]
    assert not unknown, "run `ioc kpi freeze` and commit dashboards/catalogue/formulas.csv"


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        (GOOD, "measure: opened", "measure: closed"), (GOOD, "some-feed", "other-feed"), (GOOD, "measure: opened", "measure: opened, where: {category: a}"),
        (GOOD, 'unit: "{dossier}"', 'unit: "1"'), (GOOD, "period: day", "period: month"),
        (TABLE, "metric: grdp.growth", "metric: grdp.other"), (TABLE, "metric: grdp.growth,", "metric: grdp.growth, length: P9M,"), (TABLE, "of: insured.all", "of: insured.some"),
        (derived("{index: {a: 0.6, b: 0.4}}", "{dossier}", "index"), "0.6", "0.5"),
    ],
)  # fmt: skip
def test_a_changed_formula_of_the_same_version_is_refused_with_file_line_and_repair(tmp_path: Path, text: str, before: str, after: str) -> None:
    found = read(tmp_path, text)
    assert frozen.freeze(tmp_path, found) == len(list(found))
    assert frozen.freeze(tmp_path, read(tmp_path, text)) == 0  # unchanged, it is read, and nothing is added
    with pytest.raises(UserError, match=r"a changed formula is a new version: write version: 2, .* then run `ioc kpi freeze`") as caught:
        read(tmp_path, text.replace(before, after))
    assert re.search(r"test\.yaml: line \d+: \w+: version 1 was ", str(caught.value))


def test_a_new_version_may_change_it_and_the_old_one_stays_frozen(tmp_path: Path) -> None:
    frozen.freeze(tmp_path, read(tmp_path, GOOD))
    second = GOOD.replace("measure: opened", "measure: closed") + "    version: 2\n    history: [{version: 1, since: 2026-01-01, what: {vi: Cũ., en: Old.}}]\n"
    assert frozen.freeze(tmp_path, read(tmp_path, second)) == 1
    assert set(frozen.read(tmp_path)) == {("received", 1), ("received", 2)}
    with pytest.raises(UserError, match="received: version 2 was in force already; a version only grows"):
        read(tmp_path, GOOD)


def test_words_limits_and_targets_are_no_formula(tmp_path: Path) -> None:
    frozen.freeze(tmp_path, read(tmp_path, GOOD))
    read(tmp_path, GOOD.replace("Tiếp nhận", "Đã nhận").replace("better: up", "better: up\n    watch: 90\n    alarm: 80"))


@pytest.mark.parametrize(("text", "line"), [("a,b\n", 1), ("kpi,version,digest,formula\nreceived,one,x,y\n", 2)])
def test_a_list_that_was_typed_over_is_refused(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / frozen.FILE).write_text(text)
    with pytest.raises(UserError, match=rf"formulas\.csv: line {line}: .*take the file from its last commit"):
        read(tmp_path, GOOD)


def test_a_catalogue_without_a_list_is_not_held_to_one(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) and catalogue.load(tmp_path) and frozen.read(tmp_path) == {}
