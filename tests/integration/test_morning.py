"""The morning brief as a letter: at its hour, once a day whatever is restarted, again after a failure, with its A4."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pypdf
import pytest
from psycopg_pool import ConnectionPool
from pydantic import ValidationError

from dashboards.leaders.brief import letter
from ioc import cli, config, reload
from ioc import jobs as jobs_module
from ioc.clock import FrozenClock
from ioc.config import Brief, Config, Database, Smtp
from ioc.jobs import Jobs
from ioc.mail import Letter
from ioc.store.auditlog import entries
from tests.smtp_sink import Sink

ROOT = Path(__file__).parents[2]
HOUR = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)  # 06:30 of the 24th in Thái Nguyên
TO = ["chu.tich@example.gov.vn", "van.phong@example.gov.vn"]
MakeJobs = Callable[..., Jobs]


def short(*_: Any) -> Letter:
    return Letter("Báo cáo", "Nội dung")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(HOUR)


@pytest.fixture
def make(database: str, sink: Sink, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeJobs]:
    """Make the jobs of a process that just started."""
    monkeypatch.chdir(ROOT)
    brief = Brief(to=TO, smtp=Smtp(host="127.0.0.1", port=sink.port, security="none", sender="ioc@example.gov.vn"))
    settings = config.load(ROOT / "config.yaml").model_copy(update={"database": Database(dsn=database), "brief": brief})
    with ConnectionPool(database, min_size=1, max_size=6, open=True) as pool:
        yield lambda compose=short: Jobs(settings, pool, clock, compose)


def test_the_letter_carries_the_text_and_the_a4_of_the_brief(make: MakeJobs, sink: Sink) -> None:
    jobs = make(letter)
    jobs.brief()
    ((to, message),) = sink.letters
    assert to == TO and message["To"] == ", ".join(TO) and message["Subject"] == "Thái Nguyên: báo cáo nhanh 24/11/2026"
    body = message.get_body(("plain",))
    assert body is not None and "Báo cáo nhanh buổi sáng" in body.get_content() and "NGÀY HÔM QUA, 23/11/2026" in body.get_content()
    (paper,) = message.iter_attachments()
    assert (paper.get_content_type(), paper.get_filename()) == ("application/pdf", "brief-20261124.pdf")
    assert "Báo cáo nhanh buổi sáng" in pypdf.PdfReader(io.BytesIO(paper.get_payload(decode=True))).pages[0].extract_text()  # type: ignore[arg-type]
    assert "went to 2" in jobs.outcomes["brief"]


@pytest.mark.parametrize(("after", "sent"), [(timedelta(seconds=-1), 0), (timedelta(0), 1), (timedelta(hours=5, minutes=59), 1), (timedelta(hours=6), 0)])
def test_it_goes_at_its_hour_late_rather_than_never_but_not_in_the_evening(make: MakeJobs, sink: Sink, clock: FrozenClock, after: timedelta, sent: int) -> None:
    clock.at = HOUR + after
    make().brief()
    assert len(sink.letters) == sent


def test_it_goes_once_a_day_whatever_is_restarted_and_again_the_next_day(make: MakeJobs, sink: Sink, clock: FrozenClock) -> None:
    jobs = make()
    for minute in range(3):
        clock.at = HOUR + timedelta(minutes=minute)
        jobs.brief()
        make().brief()  # a process that knows nothing of the first
    assert len(sink.letters) == 1
    clock.at = HOUR + timedelta(days=1)
    jobs.brief()
    assert len(sink.letters) == 2 and len({message["Message-ID"] for _, message in sink.letters}) == 2


def test_two_processes_at_the_same_instant_send_one_letter(make: MakeJobs, sink: Sink) -> None:
    together = threading.Barrier(2)

    def send(jobs: Jobs) -> None:
        together.wait()
        jobs.brief()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(send, (make(), make())))
    assert len(sink.letters) == 1


def test_a_failure_is_told_in_one_line_and_tried_again_with_growing_pauses(make: MakeJobs, sink: Sink, clock: FrozenClock, database: str) -> None:
    jobs, tries = make(), []
    sink.broken = True
    for minute in range(16):
        clock.at = HOUR + timedelta(minutes=minute)
        before = jobs.outcomes.get("brief")
        jobs.brief()
        if jobs.outcomes.get("brief") != before:
            tries.append(minute)
    assert tries == [0, 1, 3, 7, 15] and sink.letters == []
    assert "failed: 127.0.0.1" in jobs.outcomes["brief"] and "451 try again later" in jobs.outcomes["brief"] and "\n" not in jobs.outcomes["brief"]
    with psycopg.connect(database) as conn:
        assert conn.execute("SELECT count(*) FROM letter_sent").fetchone() == (0,) and entries(conn, action="export") == []
    sink.broken = False
    clock.at = HOUR + timedelta(minutes=31)
    jobs.brief()
    assert len(sink.letters) == 1
    with psycopg.connect(database) as conn:
        (row,) = entries(conn, action="export")
        assert (row["actor"], row["subject"], row["detail"]) == ("ioc", "brief 2026-11-24", {"to": TO})


def test_a_mailbox_that_is_not_there_keeps_the_letter_from_nobody_else(make: MakeJobs, sink: Sink) -> None:
    sink.refuses = {TO[0]}
    jobs = make()
    jobs.brief()
    assert [to for to, _ in sink.letters] == [[TO[1]]]
    assert f"went to 1; the server refused {TO[0]}" in jobs.outcomes["brief"]
    sink.refuses = set(TO)
    make().brief()
    assert len(sink.letters) == 1  # it went out; those refused are told, not tried for ever


def test_a_password_that_is_nowhere_is_told_by_its_name(make: MakeJobs, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIEF_PASSWORD", raising=False)
    jobs = make()
    assert jobs._morning is not None and jobs._config.brief is not None
    smtp = jobs._config.brief.smtp.model_copy(update={"user": "ioc", "secret": "BRIEF_PASSWORD"})
    jobs._morning._brief = jobs._config.brief.model_copy(update={"smtp": smtp})
    jobs.brief()
    assert "the secret BRIEF_PASSWORD is neither" in jobs.outcomes["brief"] and sink.letters == []


def test_without_a_brief_in_the_configuration_nothing_is_scheduled(make: MakeJobs, sink: Sink) -> None:
    jobs = make()
    assert "brief" in {job.id for job in jobs.schedule().get_jobs()}
    plain = Jobs(jobs._config.model_copy(update={"brief": None}), jobs._pool, jobs._clock, short)
    plain.brief()
    assert "brief" not in {job.id for job in plain.schedule().get_jobs()} and sink.letters == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"at": "25:00"}, "at"), ({"to": []}, "to"), ({"to": ["chủ tịch"]}, "to"), ({"smtp": {"host": "x", "sender": "a@b", "user": "u"}}, "user and secret"), ({"smtp": {"host": "x"}}, "sender")],
)
def test_a_mistake_in_the_configuration_is_refused(wrong: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {"to": TO, "smtp": {"host": "x", "sender": "a@b"}}
    assert Config(brief=good | {"at": 630}).brief.at == "10:30"  # type: ignore[union-attr,arg-type] # as YAML reads it without quotes
    with pytest.raises(ValidationError, match=says):
        Config(brief=good | wrong)


def test_the_command_of_jobs_hands_over_whoever_writes_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ioc` itself knows no page: the letter is written in dashboards, and comes in by the command line."""
    handed: dict[str, Any] = {}
    monkeypatch.setattr(reload, "serve", lambda work, stop: work("config", "until"))
    monkeypatch.setattr(jobs_module, "run", lambda *given, **named: handed.update(given=given, **named))
    monkeypatch.setattr(cli, "_stop_on_signals", lambda: None)
    cli.jobs()
    assert handed == {"given": ("config", "until"), "compose": letter}
