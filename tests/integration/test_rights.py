"""Every address of the application for every role: routes, Dash's own, callbacks, live views; origins and headers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dash
import psycopg
import pytest
from fastapi.testclient import TestClient
from starlette.routing import Mount
from starlette.websockets import WebSocketDisconnect

from ioc import auth, config, rights, web
from ioc.accounts import people, sessions
from ioc.config import Broker, Config, Database
from ioc.health import Health
from ioc.store.auditlog import entries

ROOT = Path(__file__).parents[2]
FILLED = {
    "{feed}": "incident-reports", "{kpi}": "incidents_open", "{form}": "csv", "{name}": "nobody.here", "{what}": "role", "{key}": "x", "{number}": "0",
    "{package_name}": "dash", "{fingerprinted_path:path}": "deps/polyfill.js",
}  # fmt: skip
FILES = {"* /assets": "/assets/live.js", "* /api/docs-static": "/api/docs-static/swagger-ui.css", "* /pydeck-static": "/pydeck-static/index.js"}
HTML = {"Accept": "text/html"}
HERE = {"Origin": "http://127.0.0.1"}


@pytest.fixture
def settings(database: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Health, "broker_reachable", lambda self: False)  # there is none here, and looking for it takes long
    nowhere = Broker(bootstrap="127.0.0.1:1", kind="kafka")
    return config.load(ROOT / "config.yaml").model_copy(update={"database": Database(dsn=database), "broker": nowhere})


@pytest.fixture
def public(settings: Config) -> Iterator[TestClient]:
    with browser(settings) as client:
        yield client


@pytest.fixture
def closed(settings: Config) -> Iterator[TestClient]:
    with browser(settings.model_copy(update={"web": settings.web.model_copy(update={"public": False})})) as client:
        yield client


def browser(settings: Config, base: str = "http://127.0.0.1", address: str = "10.1.2.3") -> TestClient:
    return TestClient(web.build(settings), base_url=base, client=(address, 50000), follow_redirects=False)


class Callers:
    """Headers of every kind of caller."""

    def __init__(self, dsn: str) -> None:
        self.conn = psycopg.connect(dsn, autocommit=True)
        now = datetime.now(UTC)
        self.tokens = {role: auth.create(self.conn, f"a-{role}", role, now) for role in rights.TOKEN_ROLES}
        for role in rights.PERSON_ROLES:
            people.create(self.conn, f"{role}.an", role, now)
        self.revoked = auth.create(self.conn, "gone", "screen", now)
        auth.revoke(self.conn, "gone", now)

    def person(self, role: str) -> dict[str, str]:
        return {"Cookie": f"ioc_session={sessions.begin(self.conn, f'{role}.an', datetime.now(UTC))}", **HERE}

    def all(self) -> dict[str, tuple[rights.Identity, dict[str, str]]]:
        """Callers by name; people with a session of their own for this request."""
        found: dict[str, tuple[rights.Identity, dict[str, str]]] = {"nobody": (rights.NOBODY, {}), "revoked": (rights.NOBODY, {"Authorization": f"Bearer {self.revoked}"})}
        for role in rights.TOKEN_ROLES:
            found[f"token {role}"] = (rights.Identity("x", role, "token"), {"Authorization": f"Bearer {self.tokens[role]}"})
        for role in rights.PERSON_ROLES:
            found[f"person {role}"] = (rights.Identity("x", role, "person"), self.person(role))
        return found


@pytest.fixture
def callers(database: str) -> Iterator[Callers]:
    made = Callers(database)
    yield made
    made.conn.close()


def routes(client: TestClient) -> list[str]:
    """Return every route of the application as the table of rights names it."""
    found = []
    for route in client.app.routes:  # type: ignore[attr-defined]
        if isinstance(route, Mount):
            found.append(f"* {route.path}")
        elif getattr(route, "methods", None):
            found += [f"{method} {route.path}" for method in route.methods if method != "HEAD"]
        else:
            found.append(f"WS {route.path}")
    return found


def address(key: str) -> tuple[str, str]:
    method, _, path = key.partition(" ")
    if key in FILES:
        return "GET", FILES[key]
    path = "/wall" if path == "{path:path}" else path
    for name, value in FILLED.items():
        path = path.replace(name, value)
    return method, path


def refused(answer: Any) -> bool:
    return answer.status_code in (401, 403) or (answer.status_code == 303 and answer.headers["location"].startswith("/login?next="))


def test_every_route_has_its_line_in_the_table_and_every_line_a_route(public: TestClient) -> None:
    assert sorted(set(routes(public))) == sorted(rights.ROUTES)


def test_every_route_lets_in_whom_its_line_says_and_nobody_else(closed: TestClient, callers: Callers) -> None:
    wrong = []
    index = closed.get("/wall", headers=callers.person("viewer")).text
    suite = index[index.index("/_dash-component-suites/") :].split('"')[0]
    for key in routes(closed):
        if key.startswith("WS"):
            continue
        method, path = address(key)
        path = suite if path.startswith("/_dash-component-suites/") else path
        line = rights.ROUTES[key]
        access = rights.of_page(path) if line == "page" else line
        for name, (identity, headers) in callers.all().items():
            body = {"content": json.dumps({"output": "page.children", "outputs": {"id": "page", "property": "children"}, "inputs": [{"id": "url", "property": "pathname", "value": "/"}, {"id": "url", "property": "search", "value": ""}], "changedPropIds": []})} if key.startswith("POST /_dash") else {}
            answer = closed.request(method, path, headers=headers | {"Content-Type": "application/json"}, **body)  # type: ignore[arg-type]
            let_in = access == "open" or rights.may(identity, access)
            # Signing in with an empty form fails with 401, which is the page speaking and not the gate.
            if refused(answer) == let_in and not (key == "POST /login" and answer.status_code == 401) and not (key == "GET /oidc/callback" or key == "GET /oidc/start"):
                wrong.append((key, name, answer.status_code))
            assert answer.status_code < 500, (key, name, answer.text)
    assert wrong == []


def test_who_may_do_what_as_it_was_decided(public: TestClient, closed: TestClient, callers: Callers) -> None:
    """The table itself, said once more by hand: whoever loosens it must say so here."""
    want = {
        "GET /admin/users": {"person admin"},
        "GET /admin/log": {"person admin"},
        "POST /admin/users": {"person admin"},
        "GET /metrics": {"token viewer", "person viewer", "person operator", "person editor", "person admin"},
        "GET /account": {"person viewer", "person operator", "person editor", "person admin"},
        "GET /operations": {"token viewer", "person viewer", "person operator", "person editor", "person admin"},
        "GET /api/kpis.csv": {"token viewer", "person viewer", "person operator", "person editor", "person admin"},
        "GET /wall": {"token screen", "token viewer", "person viewer", "person operator", "person editor", "person admin"},
        "GET /_reload-hash": set(),
    }
    for key, may in want.items():
        method, path = key.split(" ")
        assert {name for name, (_, headers) in callers.all().items() if not refused(closed.request(method, path, headers=headers))} == may, key
    event = {"Content-Type": "application/cloudevents+json"}
    posting = {name for name, (_, headers) in callers.all().items() if not refused(closed.post("/api/events/incident-reports", content="{", headers=headers | event))}
    assert posting == {"token source"}
    anybody = {path for path in ("/", "/wall", "/operations", "/api/kpis/incidents_open", "/admin/users", "/account", "/metrics") if not refused(public.get(path))}
    assert anybody == {"/", "/wall", "/operations", "/api/kpis/incidents_open"}
    assert refused(public.get("/api/kpis/incidents_open", headers={"Authorization": f"Bearer {callers.revoked}"}))


def test_an_address_without_a_line_is_refused(settings: Config, callers: Callers) -> None:
    site = web.build(settings)
    site.router.routes.insert(0, type(site.routes[0])("/new", lambda request: None))  # type: ignore[call-arg]
    with TestClient(site) as client:
        assert client.get("/new", headers=callers.person("admin")).status_code == 403


def test_every_callback_that_runs_here_has_its_line(public: TestClient) -> None:
    running = {output for output, callback in dash.get_app().callback_map.items() if "callback" in callback}
    assert running and running == set(rights.CALLBACKS)


def test_callbacks_ask_for_the_right_of_the_page_they_draw(closed: TestClient, callers: Callers) -> None:
    def drawn(path: str, headers: dict[str, str], output: str = "page.children") -> bool:
        body = {"output": output, "outputs": {"id": "page", "property": "children"}, "changedPropIds": [], "inputs": [{"id": "url", "property": "pathname", "value": path}, {"id": "url", "property": "search", "value": ""}]}
        answer = closed.post("/_dash-update-component", json=body, headers=headers)
        assert answer.status_code in (200, 401, 403)
        return answer.status_code == 200

    for path in ("/", "/wall", "/wall/health", "/operations", "/kpi/incidents_open"):
        for name, (identity, headers) in callers.all().items():
            assert drawn(path, headers) == rights.may(identity, rights.of_page(path)), (path, name)
    assert not drawn("/", callers.person("admin"), "something.else")
    assert closed.post("/_dash-update-component", content="{", headers=callers.person("admin")).status_code == 403
    assert closed.post("/_dash-update-component", content="x" * 1_100_000, headers=callers.person("admin")).status_code == 413


def test_live_views_ask_for_the_right_of_their_page_and_other_websockets_are_shut(closed: TestClient, callers: Callers) -> None:
    views = closed.app.state.parts.hub.views  # type: ignore[attr-defined]
    assert [name for name in views if rights.of_view(name) == "never"] == []
    for view in ("wall:vi", "leaders:en", "operations:vi", "kpi/incidents_open:vi", "leaders:vi%3F@month"):
        for name, (identity, headers) in callers.all().items():
            with closed.websocket_connect(f"/live?view={view}", headers={k: v for k, v in headers.items() if k != "Origin"}) as ws:
                if rights.may(identity, rights.of_view(view)):
                    assert ws.receive_json()["snapshot"], (view, name)
                else:
                    with pytest.raises(WebSocketDisconnect) as shut:
                        ws.receive_json()
                    assert shut.value.code == 4403, (view, name)
    for headers in ({}, {"Cookie": callers.person("admin")["Cookie"]}):
        with pytest.raises(WebSocketDisconnect), closed.websocket_connect("/_dash-ws-callback", headers=headers):
            pass


def test_the_wall_never_shows_a_login_page(closed: TestClient, callers: Callers) -> None:
    for path in ("/wall", "/wall/health", "/wall?token=ioc_wrong", f"/wall?token={callers.revoked}"):
        answer = closed.get(path, headers=HTML)
        assert answer.status_code == 403 and "Màn hình chưa được cấp quyền" in answer.text and "<form" not in answer.text
        assert 'http-equiv="refresh"' in answer.text
    assert "has not been granted" in closed.get("/wall?lang=en", headers=HTML).text
    office = closed.get("/operations?lang=en", headers=HTML)
    assert office.status_code == 303 and office.headers["location"] == "/login?next=%2Foperations%3Flang%3Den&lang=en"
    assert "Bạn chưa có quyền" in closed.get("/admin/users", headers=HTML | callers.person("viewer")).text


def test_a_screens_token_moves_from_its_address_into_a_cookie(closed: TestClient, callers: Callers) -> None:
    first = closed.get(f"/wall/health?token={callers.tokens['screen']}&lang=en", headers=HTML)
    assert first.status_code == 303 and first.headers["location"] == "/wall/health?lang=en"
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "ioc_token=" in cookie
    assert closed.get("/wall/health?lang=en", headers=HTML).status_code == 200  # the client kept the cookie
    auth.revoke(callers.conn, "a-screen", datetime.now(UTC))
    closed.app.state.parts.guard.forget()  # type: ignore[attr-defined]
    assert closed.get("/wall/health?lang=en", headers=HTML).status_code == 403


# -- origins -----------------------------------------------------------------------------------------------------------


def test_what_changes_state_is_taken_from_our_own_pages_only(public: TestClient, callers: Callers) -> None:
    cookie = callers.person("admin")["Cookie"]
    changing = [address(key) for key in routes(public) if key.split(" ")[0] not in ("GET", "WS", "*")]
    assert len(changing) > 5
    for method, path in changing:
        for said in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {}):
            answer = public.request(method, path, headers={"Cookie": cookie, **said})
            assert answer.status_code == 403 and "did not come from a page of this server" in answer.text, (path, said)
    assert public.post("/login", headers={"Origin": "https://evil.example"}).status_code == 403  # not even to log somebody in
    assert public.post("/admin/users", headers={"Cookie": cookie, **HERE}, data={"name": "binh", "role": "viewer"}).status_code == 200
    assert public.post("/admin/users", headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}, data={"name": "binh2", "role": "viewer"}).status_code == 200


def test_an_origin_that_is_named_may_and_a_browser_without_cookies_may_not_from_elsewhere(settings: Config, callers: Callers) -> None:
    named = settings.model_copy(update={"web": settings.web.model_copy(update={"origins": ["https://ioc.example.vn"]})})
    with browser(named) as client:
        cookie = callers.person("admin")["Cookie"]
        assert client.post("/admin/users", headers={"Cookie": cookie, "Origin": "https://ioc.example.vn"}, data={"name": "binh", "role": "viewer"}).status_code == 200
        with client.websocket_connect("/live?view=wall:vi", headers={"Origin": "https://ioc.example.vn"}) as ws:
            assert ws.receive_json()["snapshot"]
        with client.websocket_connect("/live?view=wall:vi", headers={"Origin": "https://evil.example"}) as ws, pytest.raises(WebSocketDisconnect) as shut:
            ws.receive_json()
        assert shut.value.code == 4401
    token = {"Authorization": f"Bearer {callers.tokens['source']}", "Content-Type": "application/cloudevents+json"}
    with browser(settings) as client:
        assert client.post("/api/events/incident-reports", content="{", headers=token).status_code == 400  # a program with a token: no browser


def test_an_export_is_written_down_with_who_took_it(public: TestClient, callers: Callers) -> None:
    for headers in ({}, callers.person("viewer"), {"Authorization": f"Bearer {callers.tokens['viewer']}"}):
        assert public.get("/api/kpis.csv?lang=vi&area=05443", headers=headers).status_code == 200
    rows = entries(callers.conn, action="export")
    assert [(row["actor"], row["role"], row["address"]) for row in rows] == [("a-viewer", "viewer", "10.1.2.3"), ("viewer.an", "viewer", "10.1.2.3"), ("public", "nobody", "10.1.2.3")]
    assert rows[0]["subject"] == "/api/kpis.csv" and rows[0]["detail"] == {"lang": "vi", "area": "05443"}
    assert set(rights.ROUTES) >= rights.EXPORTS


# -- headers -----------------------------------------------------------------------------------------------------------


def test_every_page_carries_the_headers_and_no_script_of_its_own(public: TestClient, callers: Callers) -> None:
    admin = callers.person("admin")
    pages = [*(address(key)[1] for key in routes(public) if key.startswith("GET") and key != "GET /metrics"), "/operations", "/kpi/incidents_open", "/login?lang=en", "/nothing", "/account"]
    for path in pages:
        for headers in (HTML, HTML | admin):
            answer = public.get(path, headers=headers)
            policy = answer.headers["content-security-policy"]
            scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
            assert "'unsafe-inline'" not in scripts and "'unsafe-eval'" not in scripts, path
            assert "frame-ancestors 'self'" in policy and "object-src 'none'" in policy and "form-action 'self'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin" and answer.headers["x-frame-options"] == "SAMEORIGIN"
            assert "strict-transport-security" not in answer.headers
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert answer.headers["cache-control"] == "no-store", path
                shown = re.sub(r"<!--.*?-->", "", answer.text, flags=re.DOTALL)
                for opened, script in re.findall(r"<script([^>]*)>(.*?)</script>", shown, flags=re.DOTALL):
                    if " src=" not in opened and "json" not in opened:
                        assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in scripts, path
                assert " onclick=" not in answer.text and "javascript:" not in answer.text


def test_behind_tls_browsers_are_told_to_stay_there_and_cookies_are_secure(settings: Config, callers: Callers) -> None:
    with browser(settings, base="https://ioc.example.vn") as client:
        assert client.get("/", headers=HTML).headers["strict-transport-security"] == "max-age=31536000"
        old = datetime.now(UTC) - timedelta(minutes=20)
        made = sessions.begin(callers.conn, "admin.an", old)
        assert client.get("/account", headers=HTML | {"Cookie": f"ioc_session={made}"}).status_code == 303  # over TLS only the cookie of TLS counts
        answer = client.get("/account", headers=HTML | {"Cookie": f"__Host-ioc_session={made}"})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-ioc_session=") and all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))
        assert made not in cookie


def test_metrics_are_for_this_machine_itself_not_for_a_proxy_on_it(settings: Config) -> None:
    with browser(settings, address="127.0.0.1") as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/metrics", headers={"Host": "ioc.example.vn"}).status_code == 401
        assert client.get("/metrics", headers={"X-Forwarded-For": "10.9.9.9"}).status_code == 401
    with browser(settings, address="10.1.2.3") as client:
        assert client.get("/metrics").status_code == 401
