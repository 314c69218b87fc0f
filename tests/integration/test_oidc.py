"""Signing in at an OpenID provider: a small real one, on this machine, that can be told to cheat."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import RSAKey

from ioc import config, web
from ioc.accounts import people
from ioc.config import Broker, Config, Database, Oidc
from ioc.health import Health
from ioc.store.auditlog import entries, verify

ROOT = Path(__file__).parents[2]
HTML = {"Accept": "text/html", "Origin": "http://127.0.0.1"}
SECRET = "a client's secret"


class Provider:
    """Discovery, keys, token endpoint. `claims`: what its id token says besides; `cheat`: what is wrong with it."""

    def __init__(self) -> None:
        self.key, self.other = (RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"}) for kid in ("one", "other"))
        self.claims: dict[str, Any] = {"sub": "u-1", "preferred_username": "Lan.Pham", "name": "Phạm Lan", "realm_access": {"roles": ["ioc-xem", "ioc-bien-tap", "khac"]}}
        self.cheat: dict[str, Any] = {}
        self.asked: dict[str, str] = {}  # of the authorization request
        self.took: dict[str, str] = {}  # of the token request
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/realms/tn"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def login(self, url: str) -> dict[str, str]:
        """What the browser brings back after signing in at `url`."""
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        return {"code": "the-code", "state": self.asked["state"]}

    def id_token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "ioc", "exp": now + 300, "iat": now, "nonce": self.asked["nonce"]} | self.claims | self.cheat
        key = self.other if self.cheat.get("key") else self.key
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, key)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def answer(self, body: Any, status: int = 200) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self) -> None:
                if self.path.endswith("/.well-known/openid-configuration"):
                    base = provider.issuer
                    self.answer({"issuer": provider.cheat.get("issuer", base), "authorization_endpoint": f"{base}/auth", "token_endpoint": f"{base}/token", "jwks_uri": f"{base}/keys"})
                else:
                    self.answer({"keys": [provider.key.as_dict(private=False)]})

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                provider.took = {name: values[0] for name, values in form.items()} | {"authorization": self.headers.get("Authorization", "")}
                challenge = base64.urlsafe_b64encode(hashlib.sha256(provider.took["code_verifier"].encode()).digest()).rstrip(b"=").decode()
                good = provider.took["code"] == "the-code" and challenge == provider.asked["code_challenge"] and provider.asked["code_challenge_method"] == "S256"
                self.answer({"access_token": "x", "token_type": "Bearer", "id_token": provider.id_token()} if good else {"error": "invalid_grant"}, 200 if good else 400)

        return Handler


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@pytest.fixture
def settings(database: str, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    monkeypatch.setattr(Health, "broker_reachable", lambda self: False)
    loaded = config.load(ROOT / "config.yaml")
    oidc = Oidc(issuer=provider.issuer, client_id="ioc", secret="OIDC_SECRET", roles_claim="realm_access.roles", roles={"ioc-xem": "viewer", "ioc-bien-tap": "editor", "ioc-quan-tri": "admin"})
    web_ = loaded.web.model_copy(update={"public": False, "oidc": oidc})
    return loaded.model_copy(update={"database": Database(dsn=database), "broker": Broker(bootstrap="127.0.0.1:1"), "web": web_})


@pytest.fixture
def site(settings: Config) -> Iterator[TestClient]:
    with TestClient(web.build(settings), base_url="http://127.0.0.1", follow_redirects=False, headers=HTML) as client:
        yield client


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as conn:
        yield conn


def signs_in(site: TestClient, provider: Provider, **changed: str) -> Any:
    site.app.state.parts.guard.forget()  # type: ignore[attr-defined]
    started = site.get("/oidc/start", params={"next": "/operations?lang=en"})
    assert started.status_code == 303, started.text
    return site.get("/oidc/callback", params=provider.login(started.headers["location"]) | changed)


def test_the_provider_names_a_person_and_its_claim_gives_the_role(site: TestClient, provider: Provider, db: psycopg.Connection[Any]) -> None:
    assert "/oidc/start?next=%2Foperations" in site.get("/login?next=/operations").text
    came = signs_in(site, provider)
    assert came.status_code == 303 and came.headers["location"] == "/operations?lang=en"
    assert provider.asked["redirect_uri"] == "http://127.0.0.1/oidc/callback" and provider.asked["response_type"] == "code" and "openid" in provider.asked["scope"]
    assert base64.b64decode(provider.took["authorization"].removeprefix("Basic ")).decode().startswith("ioc:")
    (account,) = people.accounts(db)
    assert (account["name"], account["title"], account["role"], account["issuer"]) == ("lan.pham", "Phạm Lan", "editor", provider.issuer)
    page = site.get("/account").text
    assert "nhà cung cấp danh tính" in page and 'name="old"' not in page  # there is no password to change here
    provider.claims["realm_access"] = {"roles": "ioc-quan-tri"}
    provider.claims["preferred_username"] = "renamed"
    assert signs_in(site, provider).status_code == 303
    assert site.get("/admin/users").status_code == 200
    assert [(a["name"], a["role"]) for a in people.accounts(db)] == [("lan.pham", "admin")]
    assert [row["detail"] for row in entries(db, action="role")] == [{"from": "editor", "to": "admin", "via": "oidc"}]
    assert SECRET not in json.dumps(entries(db), default=str) and verify(db).problems == []


@pytest.mark.parametrize(
    "cheat",
    [
        {"key": True}, {"iss": "https://evil.example"}, {"aud": "another"}, {"aud": ["ioc", "another"], "azp": "another"}, {"nonce": "replayed"},
        {"exp": time.time() - 120}, {"iat": time.time() + 3600}, {"sub": None},
    ],
)  # fmt: skip
def test_an_id_token_that_is_not_for_us_now_lets_nobody_in(site: TestClient, provider: Provider, db: psycopg.Connection[Any], cheat: dict[str, Any]) -> None:
    provider.cheat = {name: int(value) if isinstance(value, float) else value for name, value in cheat.items()}
    answer = signs_in(site, provider)
    assert answer.status_code == 401 and "Không xác minh được" in answer.text
    assert people.accounts(db) == [] and "ioc_session" not in site.cookies
    assert entries(db, action="login_failed")[0]["subject"] == "(oidc)"


def test_a_clock_that_is_a_little_off_is_no_reason(site: TestClient, provider: Provider) -> None:
    provider.cheat = {"exp": int(time.time()) - 30, "iat": int(time.time()) + 30}
    assert signs_in(site, provider).status_code == 303


def test_an_answer_that_was_not_asked_for_here_is_refused(site: TestClient, provider: Provider, db: psycopg.Connection[Any]) -> None:
    assert signs_in(site, provider, state="forged").status_code == 401
    started = site.get("/oidc/start")
    brought = provider.login(started.headers["location"])
    other = TestClient(site.app, base_url="http://127.0.0.1", follow_redirects=False, headers=HTML)
    assert other.get("/oidc/callback", params=brought).status_code == 401  # begun in another browser
    assert site.get("/oidc/callback", params=brought).status_code == 401  # and used up by that
    assert signs_in(site, provider, code="stolen").status_code == 401
    assert signs_in(site, provider, error="access_denied").status_code == 401
    assert signs_in(site, provider, iss="https://evil.example").status_code == 401
    assert people.accounts(db) == []


def test_who_has_no_role_is_disabled_or_has_anothers_name_is_told_so(site: TestClient, provider: Provider, db: psycopg.Connection[Any]) -> None:
    mine = dict(provider.claims)
    provider.claims = mine | {"realm_access": {"roles": ["khac"]}}
    assert "chưa được cấp vai trò" in signs_in(site, provider).text
    provider.claims = mine
    assert signs_in(site, provider).status_code == 303
    people.create(db, "chief", "admin", datetime.now(UTC))
    people.disable(db, "lan.pham", datetime.now(UTC))
    assert "đã bị khóa" in signs_in(site, provider).text
    provider.claims = mine | {"sub": "u-2", "preferred_username": "chief"}
    assert "đã có tài khoản khác tên chief" in signs_in(site, provider).text


def test_a_provider_that_is_away_or_another_one_is_said_and_passwords_go_on(site: TestClient, provider: Provider) -> None:
    provider.cheat = {"issuer": "https://evil.example"}
    assert site.get("/oidc/start").status_code == 401
    provider.close()
    away = site.get("/oidc/start")
    assert away.status_code == 503 and "Không liên lạc được" in away.text and 'name="password"' in away.text
