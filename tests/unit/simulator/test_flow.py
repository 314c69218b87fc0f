"""Cases without memory: what a window shows does not depend on who looks, when, or whether the simulator restarted."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from ioc.clock import ICT, FrozenClock
from ioc.simulator.case import DAY, Changes
from ioc.simulator.flow import Flow
from ioc.simulator.province import Province
from ioc.simulator.rhythm import CITIZEN
from ioc.simulator.stream import Script, Step

SCRIPTS = [
    Script(6, (Step(0, "open"), Step(1, "seen"), Step(4, "done"))),
    Script(3, (Step(0, "open"), Step(9, "done"), Step(12, "open"), Step(30, "done!"))),
    Script(1, (Step(1, "seen"), Step(0, "open", told=2))),
]
NOW = datetime(2026, 11, 18, 15, 0, tzinfo=ICT)


def flow_of(rate: float = 1.0, seed: int = 7, started: datetime = NOW, *, nights: bool = False) -> Flow:
    province = Province(seed=seed, rate=rate, clock=FrozenClock(NOW), started=started)
    return province.flow("x", "cases", SCRIPTS, CITIZEN, share=1.0, thin_per_day=100, nights=nights)


def rows(changes: Changes) -> list[tuple[float, int, int, int]]:
    return list(zip(changes.told.tolist(), changes.letter.tolist(), changes.cases.number.tolist(), changes.step.tolist(), strict=True))


NOW_S = NOW.timestamp()


@pytest.mark.parametrize(("rate", "nights", "back"), [(0.1, False, 12 * DAY), (3.0, True, 1.3 * DAY)])
def test_it_finds_by_inversion_what_looking_through_all_cases_finds(rate: float, nights: bool, back: float) -> None:
    flow = flow_of(rate, nights=nights)
    for since, until in ((NOW_S - 600, NOW_S), (NOW_S - 90_000, NOW_S - 89_000)):
        everyone = flow._bulk.between(until - back, until)  # no case takes longer
        for latest in (False, True):
            looked_through = rows(Changes.join([flow._of(1, everyone, since, until, latest)]))
            assert rows(Changes.join([flow._inverted(flow._bulk, since, until, latest)])) == looked_through
            assert len(looked_through) > 20


def test_it_shows_the_same_changes_in_one_window_as_in_many() -> None:
    flow = flow_of()
    cuts = [NOW_S - 3000, NOW_S - 2900, NOW_S - 1000, NOW_S - 999, NOW_S]
    many = [row for a, b in pairwise(cuts) for row in rows(flow.changes(a, b, latest=False))]
    assert many == rows(flow.changes(cuts[0], cuts[-1], latest=False))
    assert len(many) == len(set(many)) > 500


def test_it_lists_each_case_once_with_its_newest_change() -> None:
    flow = flow_of()
    newest: dict[tuple[int, int], tuple[float, int]] = {}
    for told, letter, number, step in rows(flow.changes(0, NOW_S, latest=False)):
        newest[letter, number] = (told, step)
    listed = {(letter, number): (told, step) for told, letter, number, step in rows(flow.changes(0, NOW_S))}
    assert listed == newest


def test_it_goes_on_with_the_same_story_after_a_restart() -> None:
    before, after = flow_of(), flow_of(started=NOW + timedelta(minutes=20))
    later = NOW_S + 1800
    window = (max(before.full_since, after.full_since), later)
    assert rows(before.changes(*window)) == rows(after.changes(*window))
    for case in before.cases(before.changes(NOW_S - 60, NOW_S)):
        assert after.find(case.ref, NOW_S) == case


def test_it_tells_another_story_for_another_seed() -> None:
    assert rows(flow_of(seed=7).changes(NOW_S - 600, NOW_S)) != rows(flow_of(seed=8).changes(NOW_S - 600, NOW_S))


def test_it_has_a_bounded_history_at_any_rate() -> None:
    for rate in (0.01, 1.0, 1000.0):
        assert 500 < len(flow_of(rate).changes(0, NOW_S)) < 12_000


def test_it_changes_as_often_as_the_rate_says() -> None:
    flow = flow_of(rate=0.3, started=NOW - timedelta(days=9))
    changes = flow.changes(NOW_S - 7 * DAY, NOW_S, latest=False)
    assert len(changes) == pytest.approx(0.3 * 7 * DAY, rel=0.1)


def test_it_finds_a_case_by_its_reference_and_nothing_else() -> None:
    flow = flow_of()
    case = flow.cases(flow.changes(NOW_S - 100, NOW_S))[-1]
    assert flow.find(case.ref, NOW_S) == case
    assert flow.find(case.ref, case.told[0] - 1) is None
    for wrong in ("", "T", "X12", case.ref.lower(), case.ref + "é", "T" + "Z" * 40, "BZZZZZZZZZZZZ", "L0", "T-1"):
        assert flow.find(wrong, NOW_S) is None


def test_it_lists_what_was_opened_newest_first() -> None:
    flow = flow_of()
    opened = flow.opened(NOW_S - 3 * DAY, NOW_S - DAY, NOW_S)
    at = opened.opened()
    assert (np.diff(at) <= 0).all() and at.min() >= NOW_S - 3 * DAY and at.max() <= NOW_S - DAY
    assert len(opened) > 150
    states = {case.ref: case for case in flow.cases(flow.changes(0, NOW_S))}
    assert all(states[case.ref] == case for case in flow.cases(opened) if case.ref in states)


def test_it_brings_late_cases_when_asked() -> None:
    flow = flow_of()
    flow.inject_late(NOW_S + 1, 30)
    assert [case for case in flow.cases(flow.changes(NOW_S, NOW_S)) if case.ref[0] == "L"] == []
    late = [case for case in flow.cases(flow.changes(NOW_S, NOW_S + 1)) if case.ref[0] == "L"]
    assert 20 <= len(late) <= 30  # the script that tells of "seen" first tells of it an hour later
    assert all(DAY <= NOW_S + 1 - case.opened <= 60 * DAY for case in late)
    assert all(flow.find(case.ref, NOW_S + 1) == case for case in late)
    assert {case.ref for case in late} <= {case.ref for case in flow.cases(flow.opened(NOW_S - 61 * DAY, NOW_S, NOW_S + 1))}


def test_it_corrects_known_cases_when_asked() -> None:
    flow = flow_of()
    before = {case.ref: case for case in flow.cases(flow.changes(0, NOW_S))}
    assert flow.inject_corrections(NOW_S + 1, 25) == 25
    again = [case for case in flow.cases(flow.changes(NOW_S, NOW_S + 1)) if case.ref in before and case.corrections > before[case.ref].corrections]
    assert len(again) == 25
    assert all(case.changed == NOW_S + 1 and case.what == before[case.ref].what and case.opened == before[case.ref].opened for case in again)
    assert all(flow.find(case.ref, NOW_S + 1) == case for case in again)
    assert len(flow.changes(NOW_S - 60, NOW_S + 1, latest=False)) >= len(flow.changes(NOW_S - 60, NOW_S + 1))


def test_it_runs_faster_without_dating_anything_ahead() -> None:
    clock = FrozenClock(NOW)
    province = Province(rate=1.0, speed=600, clock=clock)
    flow = province.flow("x", "cases", SCRIPTS, CITIZEN, share=1.0, thin_per_day=100, nights=True)
    assert province.wall(province.story(NOW + timedelta(seconds=33))) == NOW + timedelta(seconds=33)
    clock.tick(minutes=5)  # 50 hours of the story
    born = flow.cases(flow.opened(province.story(NOW), province.now(), province.now()))
    assert all(province.wall(case.changed) <= clock() for case in born)
    assert sum(case.what == "done" for case in born) > len(born) / 2
    assert len(flow.changes(province.story(NOW), province.now(), latest=False)) == pytest.approx(300, rel=0.25)  # a second, by the wall


def test_it_keeps_the_same_pace_on_a_sunday_night_when_steady() -> None:
    night = datetime(2026, 11, 15, 3, 0, tzinfo=ICT)
    province = Province(rate=2.0, steady=True, clock=FrozenClock(night), started=night - timedelta(hours=3))
    flow = province.flow("x", "cases", SCRIPTS, CITIZEN, share=0.5, thin_per_day=100)
    assert len(flow.changes(province.now() - 7200, province.now(), latest=False)) == pytest.approx(7200, rel=0.1)
