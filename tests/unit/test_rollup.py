"""Folding events into states: any order, any repetition, the same state; rollups are differences of contributions."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from ioc.events import Case
from ioc.store.rollup import CASE_FIELDS, NO_DAY, CaseDeltas, State, case_contributions, fold, version_of

T0 = datetime(2026, 11, 22, 8, tzinfo=UTC)


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.just(UNSET), values)


times = st.integers(0, 20).map(lambda h: T0 + timedelta(hours=h))
cases = st.builds(
    Case,
    status=maybe(st.sampled_from(["open", "paused", "closed"])),
    category=maybe(st.sampled_from(["a", "b", None])),
    area=maybe(st.sampled_from(["05443", "01840", None])),
    opened_at=maybe(st.one_of(times, st.none())),
    due_at=maybe(st.one_of(times, st.none())),
    closed_at=maybe(st.one_of(times, st.none())),
    rating=maybe(st.one_of(st.integers(1, 5), st.none())),
    deleted=maybe(st.booleans()),
    dims=maybe(st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2"]))),
)
events = st.lists(st.tuples(times, st.text("0123456789abcdef", min_size=4, max_size=4), cases), min_size=1, max_size=8, unique_by=lambda e: (e[0], e[1]))


def seen(state: State) -> object:
    return ({n: state.get(n) for n in CASE_FIELDS}, state.first_at, state.updated_at, sorted(state.masks.items()))


@given(events, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same_state(history: list[tuple[datetime, str, Case]], rng: random.Random) -> None:
    shuffled = history * rng.randint(1, 3)
    rng.shuffle(shuffled)
    assert seen(fold(CASE_FIELDS, shuffled)) == seen(fold(CASE_FIELDS, history))


@given(events)
def test_each_field_is_its_newest_known_value(history: list[tuple[datetime, str, Case]]) -> None:
    state = fold(CASE_FIELDS, history)
    for name in CASE_FIELDS:
        known = [(at, key, getattr(data, name)) for at, key, data in history if getattr(data, name) is not UNSET]
        if known:
            assert state.values[name] == max(known, key=lambda k: (k[0], k[1]))[2]
        else:
            assert name not in state.values


@given(events, st.integers(0, 8))
def test_a_rollup_reached_in_steps_equals_the_whole(history: list[tuple[datetime, str, Case]], cut: int) -> None:
    stepwise, whole = CaseDeltas(), CaseDeltas()
    first = fold(CASE_FIELDS, history[:cut]) if history[:cut] else None
    last = fold(CASE_FIELDS, history)
    stepwise.add("f", first, 1)
    stepwise.add("f", first, -1)
    stepwise.add("f", last, 1)
    whole.add("f", last, 1)
    assert sorted(stepwise.changed_cases()) == sorted(whole.changed_cases())
    assert sorted(stepwise.changed_durations()) == sorted(whole.changed_durations())


@given(events)
def test_a_state_survives_the_store(history: list[tuple[datetime, str, Case]]) -> None:
    import json

    state = fold(CASE_FIELDS, history)
    row = {n: state.get(n) for n in CASE_FIELDS} | {"versions": json.loads(state.dump_versions()), "first_at": state.first_at, "updated_at": state.updated_at}
    again = State.load(CASE_FIELDS, row)
    assert seen(again) == seen(state)


def closed(**changes: object) -> State:
    case = Case(status="closed", opened_at=T0, due_at=T0 + timedelta(hours=1), closed_at=T0 + timedelta(minutes=50), rating=4, area="05443", category="k")
    state = State(CASE_FIELDS)
    state.apply(version_of(T0, "a"), T0, case)
    for name, value in changes.items():
        state.apply(version_of(T0 + timedelta(seconds=1), "b"), T0, Case(**{name: value}))  # type: ignore[arg-type]
    return state


def test_a_closed_case_counts_as_opened_and_closed_with_its_time_and_rating() -> None:
    rows, durations = case_contributions("f", closed())
    key = ("05443", '{"category": "k"}')
    assert rows == {
        ("f", "opened", date(2026, 11, 22), *key): (1, 1, 0, Decimal(0), 0, 0),
        ("f", "closed", date(2026, 11, 22), *key): (1, 1, 1, Decimal(3000), 1, 4),
    }
    assert durations == {("f", date(2026, 11, 22), "05443", 9): 1, ("f", date(2026, 11, 22), "*", 9): 1}


def test_a_deleted_case_counts_nowhere() -> None:
    assert case_contributions("f", closed(deleted=True)) == ({}, {})


def test_days_are_those_of_the_province() -> None:
    late = datetime(2026, 11, 22, 17, 30, tzinfo=UTC)  # half past midnight on the 23rd in Thái Nguyên
    state = State(CASE_FIELDS)
    state.apply(version_of(late, "a"), late, Case(status="open", opened_at=late))
    rows, _ = case_contributions("f", state)
    assert {key[1:3] for key in rows} == {("opened", date(2026, 11, 23)), ("open", NO_DAY)}


def test_a_paused_case_is_not_open_and_never_due() -> None:
    state = State(CASE_FIELDS)
    state.apply(version_of(T0, "a"), T0, Case(status="paused", opened_at=T0, due_at=T0))
    rows, _ = case_contributions("f", state)
    assert {key[1:3] for key in rows} == {("opened", date(2026, 11, 22)), ("paused", NO_DAY)}


def test_an_event_without_opening_time_opens_the_case_when_it_was_first_heard_of() -> None:
    state = fold(CASE_FIELDS, [(T0 + timedelta(days=1), "b", Case(status="closed")), (T0, "a", Case(status="open"))])
    rows, _ = case_contributions("f", state)
    assert {key[1:3] for key in rows} == {("opened", date(2026, 11, 22)), ("closed", date(2026, 11, 23))}


def test_a_case_that_is_said_not_to_have_begun_counts_nowhere_until_it_does() -> None:
    planned = (T0, "a", Case(status="open", opened_at=None))
    begun = (T0 + timedelta(hours=1), "b", Case(opened_at=T0 + timedelta(hours=1)))
    assert case_contributions("f", fold(CASE_FIELDS, [planned])) == ({}, {})
    rows, _ = case_contributions("f", fold(CASE_FIELDS, [begun, planned]))
    assert {key[1] for key in rows} == {"opened", "open"}
