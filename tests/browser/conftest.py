"""A browser, and pages of our own screens in it that must stay quiet and stay at home.

Fixtures:
    chrome    Chromium, once a session
    screens   the screens on a server, fed by the test, fresh for each
    open_page opens an address; after the test: no console error, no request to another origin
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.screens import Screens

ARGS = [
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

# A cut link, a refused map and a refused form are what some tests are about; the browser says so in its own words.
EXPECTED = ("Failed to create WebGL context", "WebSocket connection to", "Failed to load resource: net::ERR_CONNECTION_", "GPU stall due to ReadPixels", "a status of 409")

# How long something may take is not what a test says: a busy machine draws late.
expect.set_options(timeout=40_000)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")  # its event loop must not outlive the browser tests
def chrome(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield found
        found.close()


@pytest.fixture(scope="module")  # its event loop must not outlive the browser tests
def server() -> Iterator[Screens]:
    found = Screens().start()
    yield found
    found.stop()


@pytest.fixture
def screens(server: Screens) -> Screens:
    return server.reset()


@pytest.fixture
def open_page(chrome: Browser, screens: Screens) -> Iterator[OpenPage]:
    problems: list[str] = []
    pages: list[Page] = []

    def complain(text: str) -> None:
        if not any(expected in text for expected in EXPECTED):
            problems.append(text)

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complain(message.text)

    def asked(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != f"127.0.0.1:{screens.port}":
            problems.append(f"a request left the server: {url}")

    def open_at(path: str, width: int = 1920, height: int = 1080, script: str = "", wait: bool = True) -> Page:
        page = chrome.new_page(viewport={"width": width, "height": height})
        pages.append(page)
        page.set_default_timeout(90_000)
        page.on("console", heard)
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("request", lambda request: asked(request.url))
        page.on("websocket", lambda socket: asked(socket.url.replace("ws:", "http:")))
        if script:
            page.add_init_script(script)
        page.goto(screens.url + path)
        if wait:
            page.wait_for_selector("html[data-live]", state="attached", timeout=40_000)
        return page

    yield open_at
    for page in pages:
        page.close()
    assert problems == []
