"""OpenID Connect: authorization code with PKCE; everything about the provider comes from its discovery document.

1. `start`: state, nonce and code verifier are made and kept (digest of the state only); the browser goes to the provider
2. the provider sends it back with a code; `finish` takes the kept login out (once), exchanges the code, and verifies the
   id token: signature by the provider's keys, issuer, audience, times within the clock skew, nonce
3. the role comes from a claim, at every login anew; who has none of the configured values is not let in
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ioc.accounts import login
from ioc.accounts.people import Conn, digest, known_name
from ioc.config import Oidc
from ioc.errors import Problem, Unavailable, UserError
from ioc.rights import PERSON_ROLES, Identity, PersonRole
from ioc.store.auditlog import audit

log = structlog.get_logger(__name__)

LOGIN_MIN = 10  # how long a login may take at the provider
DISCOVERY_S = 3600.0
_TIMEOUT_S = 10.0
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]  # no secret-key ones, no "none"


@dataclass(frozen=True)
class Person:
    """Whom the provider named, and the role its claim gives."""

    issuer: str
    subject: str
    name: str
    title: str
    role: PersonRole


class Provider:
    """One OpenID provider. Thread-safe; asks the provider only when somebody signs in."""

    def __init__(self, settings: Oidc, secret: Callable[[], str | None]) -> None:
        self._settings, self._secret = settings, secret
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._read_at = 0.0

    def start(self, conn: Conn, after: str, redirect_uri: str, now: datetime) -> tuple[str, str]:
        """Return the address at the provider to go to, and the state that the browser must bring back."""
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(self._discovered()["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier)
        conn.execute("INSERT INTO oidc_login (state, nonce, verifier, next, created_at) VALUES (%s, %s, %s, %s, %s)", (digest(state), nonce, verifier, after, now))
        return str(url), state

    def finish(self, conn: Conn, query: dict[str, str], state: str, redirect_uri: str, now: datetime) -> tuple[Person, str]:
        """Return who came back and where they were going. Raise `UserError` for what must not be let in."""
        kept = conn.execute("DELETE FROM oidc_login WHERE state = %s RETURNING nonce, verifier, next, created_at", (digest(query.get("state", "")),)).fetchone()
        if kept is None or not secrets.compare_digest(query.get("state", ""), state) or now - kept[3] > timedelta(minutes=LOGIN_MIN):
            raise Problem("oidc_begin", "this login was not begun in this browser, or too long ago; begin again")
        if query.get("error"):
            raise Problem("oidc_refused", f"the provider refused: {query['error'][:100]}")
        if query.get("iss") not in (None, self._settings.issuer):
            raise Problem("oidc_provider", "the answer came from another provider")
        nonce, verifier, after, _ = kept
        try:
            with self._client(redirect_uri) as client:
                answer = client.fetch_token(self._discovered()["token_endpoint"], code=query.get("code", ""), code_verifier=verifier, grant_type="authorization_code")
        except httpx.HTTPError as exc:
            raise Unavailable(f"the provider {self._settings.issuer} is away: {exc!r}") from exc
        except (AuthlibBaseError, ValueError) as exc:
            raise Problem("oidc_refused", f"the provider did not accept the login: {type(exc).__name__}") from exc
        return self._person(self._verified(str(answer.get("id_token", "")), nonce, now)), after

    # -- the provider ----------------------------------------------------------------------------------------------

    def _client(self, redirect_uri: str) -> Any:
        secret = self._secret()
        return OAuth2Client(
            self._settings.client_id, secret, scope=self._settings.scope, redirect_uri=redirect_uri, code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if secret else "none", timeout=_TIMEOUT_S, trust_env=False,
        )  # fmt: skip

    def _get(self, url: str) -> dict[str, Any]:
        try:
            answer = httpx.get(url, timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False)
            answer.raise_for_status()
            found = answer.json()
        except (httpx.HTTPError, ValueError) as exc:
            raise Unavailable(f"the provider {self._settings.issuer} is away: {exc!r}") from exc
        return dict(found)

    def _discovered(self) -> dict[str, Any]:
        with self._lock:
            if not self._metadata or time.monotonic() - self._read_at > DISCOVERY_S:
                found = self._get(self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
                if found.get("issuer") != self._settings.issuer:
                    raise UserError(f"web.oidc.issuer is {self._settings.issuer}, but its discovery document says {found.get('issuer')!r}; write it as it stands there")
                self._metadata, self._keys, self._read_at = found, None, time.monotonic()
            return self._metadata

    def _key_set(self, *, anew: bool = False) -> KeySet:
        address = str(self._discovered()["jwks_uri"])
        with self._lock:
            if self._keys is None or anew:
                self._keys = KeySet.import_key_set(self._get(address))  # type: ignore[arg-type]
            return self._keys

    # -- the id token ----------------------------------------------------------------------------------------------

    def _verified(self, id_token: str, nonce: str, now: datetime) -> dict[str, Any]:
        try:
            try:
                token = jwt.decode(id_token, self._key_set(), algorithms=_ALGORITHMS)
            except (JoseError, ValueError):
                token = jwt.decode(id_token, self._key_set(anew=True), algorithms=_ALGORITHMS)  # the provider may have changed its keys
            registry = jwt.JWTClaimsRegistry(
                now=int(now.timestamp()), leeway=self._settings.clock_skew_s,
                iss={"essential": True, "value": self._settings.issuer}, aud={"essential": True, "value": self._settings.client_id},
                exp={"essential": True}, iat={"essential": True}, sub={"essential": True}, nonce={"essential": True, "value": nonce},
            )  # fmt: skip
            registry.validate(token.claims)
        except (JoseError, ValueError) as exc:
            log.warning("an id token was refused", reason=f"{type(exc).__name__}: {exc}")
            raise Problem("oidc_proof", "the provider's answer could not be verified (signature, issuer, audience, time or nonce)") from exc
        claims = dict(token.claims)
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != self._settings.client_id:
            raise Problem("oidc_proof", "the provider's answer is for another program")
        return claims

    def _person(self, claims: dict[str, Any]) -> Person:
        found: Any = claims
        for part in self._settings.roles_claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        given = [self._settings.roles[value] for value in values if isinstance(value, str) and value in self._settings.roles]
        subject = str(claims["sub"])
        if not given:
            raise Problem("oidc_role", "the provider knows you, but gives you no role here; ask an administrator")
        role = max(given, key=PERSON_ROLES.index)
        return Person(self._settings.issuer, subject, str(claims.get(self._settings.name_claim) or subject), str(claims.get("name") or "")[:100], role)


def come_in(conn: Conn, person: Person, now: datetime, address: str) -> str:
    """Return the account of a person the provider named; make it the first time, bring its role up to date each time."""
    who = Identity("", "system", "program", address)
    with conn.transaction():
        row = conn.execute("SELECT name, role, disabled_at IS NULL FROM account WHERE issuer = %s AND subject = %s FOR UPDATE", (person.issuer, person.subject)).fetchone()
        if row is None:
            name = known_name(person.name)
            try:
                with conn.transaction():
                    conn.execute(
                        "INSERT INTO account (name, title, role, issuer, subject, created_at) VALUES (%s, %s, %s, %s, %s, %s)",
                        (name, person.title, person.role, person.issuer, person.subject, now),
                    )
            except psycopg.errors.UniqueViolation as exc:  # never let a provider take over an account by its name
                raise Problem("oidc_name", f"an account called {name!r} exists here already and is another one; ask an administrator", name=name) from exc
            audit(conn, "account", name, {"role": person.role, "via": "oidc"}, who=who, at=now)
        else:
            name, role, active = row
            if not active:
                raise Problem("disabled", "this account is disabled; ask an administrator")
            if role != person.role:
                conn.execute("UPDATE account SET role = %s WHERE name = %s", (person.role, name))
                audit(conn, "role", name, {"from": role, "to": person.role, "via": "oidc"}, who=who, at=now)
        login.welcome(conn, name, person.role, "oidc", now, address)
    return name
