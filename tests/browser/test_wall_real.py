"""The whole way on a clock of our own: facts in the database, the real server, the wall in the browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import uvicorn
from playwright.sync_api import Page, expect

from ioc import auth, web
from ioc.clock import ICT
from ioc.config import Web
from ioc.events import Case, make
from tests.browser.conftest import OpenPage
from tests.browser.screens import _free_port
from tests.browser.test_screens import REFUSE_WEBGL
from tests.integration.test_playback import NOON, REPORTS, SCHOOLS, PastAndPresent, a_day

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.postgres]

OPENED = "#tile-incidents_opened_today"
ATTENDING = "#tile-schools_reporting"


class Served(PastAndPresent):
    """A province whose clock is ours, with its web server."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = self.config.model_copy(update={"web": Web(port=self.port)})
        app = web.build(self.config, self.clock)
        self._server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=3))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self.conn.close()
        self.pool.close()


@pytest.fixture
def screens(database: str) -> Iterator[Served]:
    found = Served(database)
    yield found
    found.stop()


def colour(page: Page, tile: str) -> str:
    return str(page.locator(f"{tile} .tile-value").evaluate("node => getComputedStyle(node).color"))


def test_w05_w06_a_source_that_stops_is_grey_after_its_cadence_and_counted_as_missing(screens: Served, open_page: OpenPage) -> None:
    a_day(screens)
    cadence = timedelta(seconds=screens.config.feed(SCHOOLS).cadence_s)
    page = open_page("/wall/education", script=REFUSE_WEBGL)
    tile = page.locator(ATTENDING)
    screens.hear(SCHOOLS, NOON)  # and then the connector stops
    seen = []
    for silence, state, word in (
        (cadence + timedelta(seconds=5), "live", "mới"), (cadence + timedelta(seconds=6), "late", "trễ"),
        (3 * cadence + timedelta(seconds=6), "stale", "cũ"), (10 * cadence + timedelta(seconds=6), "lost", "mất"),
    ):  # fmt: skip
        screens.clock.at = NOON + silence
        expect(tile).to_have_attribute("data-state", state, timeout=40_000)
        expect(tile).to_contain_text(word)
        expect(tile.locator(".chip-time")).to_be_visible()  # as of when stays in sight
        if state in ("stale", "lost"):
            expect(tile).to_contain_text("thiếu 1 nguồn")
        seen.append(colour(page, ATTENDING))
    assert len(set(seen)) >= 3 and seen[0] != seen[1]  # grey as soon as it is late
    expect(page.locator("#tile-students_absent_unexcused")).to_have_attribute("data-state", "lost")
    screens.hear(SCHOOLS, screens.clock())
    expect(tile).to_have_attribute("data-state", "live", timeout=40_000)
    assert colour(page, ATTENDING) == seen[0]


def test_w10_a_revoked_token_darkens_the_screen_and_asks_nobody_to_log_in(screens: Served, open_page: OpenPage) -> None:
    with psycopg.connect(screens.config.database.dsn, autocommit=True) as conn:
        token = auth.create(conn, "wall-1", "screen", datetime.now(UTC))
        page = open_page(f"/wall/overview?token={token}", script=REFUSE_WEBGL)
        expect(page.locator("#link-denied")).to_be_hidden()
        auth.revoke(conn, "wall-1", datetime.now(UTC))
    expect(page.locator("#link-denied")).to_be_visible(timeout=40_000)
    expect(page.locator("#link-denied")).to_contain_text("Màn hình chưa được cấp quyền")
    expect(page.locator("#link-lost")).to_be_hidden()
    assert page.locator("input[type=password], form").count() == 0


def test_w23_midnight_new_year_leap_day_and_a_clock_set_wrong_and_right_again(screens: Served, open_page: OpenPage) -> None:
    def report(name: str) -> None:
        at = screens.clock()
        screens.put(REPORTS, make("/t", name, at, Case(opened_at=at, area="05443")), received=at)

    screens.clock.at = datetime(2027, 12, 31, 23, 59, 58, tzinfo=ICT)
    report("a")
    page = open_page("/wall/incidents", script=REFUSE_WEBGL)

    def shows(at: datetime, date: str, value: int) -> None:
        screens.clock.at = at
        expect(page.locator(OPENED)).to_have_attribute("data-value", str(value), timeout=40_000)
        expect(page.locator(".clock-date")).to_have_text(date, timeout=40_000)
        expect(page.locator(".clock-time")).to_contain_text(f"{at:%H:%M}", timeout=40_000)

    shows(datetime(2027, 12, 31, 23, 59, 59, tzinfo=ICT), "Thứ Sáu, 31/12/2027", 1)
    shows(datetime(2028, 1, 1, 0, 0, 1, tzinfo=ICT), "Thứ Bảy, 01/01/2028", 0)
    screens.clock.at = datetime(2028, 2, 29, 9, tzinfo=ICT)
    report("b")
    report("c")
    shows(datetime(2028, 2, 29, 9, 0, 1, tzinfo=ICT), "Thứ Ba, 29/02/2028", 2)
    shows(datetime(2028, 3, 1, 0, 0, 1, tzinfo=ICT), "Thứ Tư, 01/03/2028", 0)
    shows(datetime(2028, 2, 29, 23, 30, tzinfo=ICT), "Thứ Ba, 29/02/2028", 2)  # the server's clock was wrong, and is set back
    shows(datetime(2028, 3, 1, 0, 0, 1, tzinfo=ICT), "Thứ Tư, 01/03/2028", 0)  # midnight is not missed for it
    expect(page.locator("#link-lost")).to_be_hidden()
