"""Who may do what: the roles, and one table of every address, page, callback and live view with what it asks for.

`ioc/gate.py` keeps it at the server, for all of them alike; what stands in no table is refused. A new route, page,
callback or view needs a line here: a test walks the application and fails for what has none.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Role: TypeAlias = Literal["nobody", "source", "screen", "viewer", "operator", "editor", "admin", "system"]
PersonRole: TypeAlias = Literal["viewer", "operator", "editor", "admin"]
TokenRole: TypeAlias = Literal["source", "screen", "viewer"]
PERSON_ROLES: tuple[PersonRole, ...] = get_args(PersonRole)
TOKEN_ROLES: tuple[TokenRole, ...] = get_args(TokenRole)

# What an address asks for:
#   open        nothing
#   show        to look: screens and people; everybody where `web.public` is on
#   read        to look closer and take away (exports, operations): people; everybody where `web.public` is on
#   person      a signed-in person, whatever the role
#   operate     acknowledge, assign: operator and above
#   edit        enter figures, annotate: editor and above
#   administer  accounts, the audit log: admin
#   post        send events: source
#   measure     /metrics: the machine itself, or a person's or viewer's right
#   never       nobody; it is there because a library made it
Access: TypeAlias = Literal["open", "show", "read", "person", "operate", "edit", "administer", "post", "measure", "never"]

_PEOPLE = frozenset[Role](PERSON_ROLES)
MAY: dict[Access, frozenset[Role]] = {
    "open": frozenset(get_args(Role)),
    "show": _PEOPLE | {"screen"},
    "read": _PEOPLE,
    "person": _PEOPLE,
    "operate": _PEOPLE - {"viewer"},
    "edit": frozenset({"editor", "admin"}),
    "administer": frozenset({"admin"}),
    "post": frozenset({"source"}),
    "measure": _PEOPLE,
    "never": frozenset(),
}
PUBLIC: frozenset[Access] = frozenset({"open", "show", "read"})

# Every address of the application: "METHOD path" ("*": a folder of files, "WS": a websocket), as the route is written.
# "page": what the page at the path asks for (PAGES).
ROUTES: dict[str, Access | Literal["page"]] = {
    "GET /healthz": "open",
    "GET /metrics": "measure",
    "GET /api/openapi.json": "read",
    "GET /api/docs": "read",
    "GET /api/docs/start.js": "read",
    "* /api/docs-static": "open",
    "GET /api/kpis": "show",
    "GET /api/kpis/{kpi}": "show",
    "GET /api/kpis/{kpi}/areas": "show",
    "GET /api/kpis/{kpi}/explain": "show",
    "GET /api/kpis/{kpi}/restatements": "show",
    "GET /api/kpis/{kpi}/agencies": "show",
    "GET /api/kpis/{kpi}/notes": "show",
    "GET /api/kpis.csv": "read",
    "GET /api/kpis.xlsx": "read",
    "GET /api/kpis.pdf": "read",
    "GET /api/kpis/{kpi}/areas.csv": "read",
    "GET /api/kpis/{kpi}/areas.xlsx": "read",
    "GET /api/kpis/{kpi}/areas.pdf": "read",
    "GET /api/kpis/{kpi}/trend.csv": "read",
    "GET /api/kpis/{kpi}/trend.xlsx": "read",
    "GET /api/kpis/{kpi}/records.csv": "read",
    "GET /api/kpis/{kpi}/records.xlsx": "read",
    "GET /api/changes.csv": "read",
    "GET /api/changes.xlsx": "read",
    "GET /api/changes.pdf": "read",
    "GET /api/operations.csv": "read",
    "GET /api/operations.xlsx": "read",
    "GET /api/operations.pdf": "read",
    "GET /api/search.csv": "read",
    "GET /api/search.xlsx": "read",
    "GET /api/search.pdf": "read",
    "GET /api/compare.csv": "read",
    "GET /api/compare.xlsx": "read",
    "GET /api/compare.pdf": "read",
    "GET /api/brief.csv": "read",
    "GET /api/brief.xlsx": "read",
    "GET /api/brief.pdf": "read",
    "GET /api/brief.txt": "read",
    "GET /api/dead-letters": "read",
    "GET /api/doubts": "read",
    "POST /api/events/{feed}": "post",
    "GET /api/entries": "edit",
    "POST /api/entries": "edit",
    "POST /api/entries/{number}/approve": "edit",
    "POST /api/entries/{number}/reject": "edit",
    "WS /live": "open",  # by view: VIEWS
    "* /assets": "open",
    "* /pydeck-static": "open",
    "GET /map/areas.json": "show",
    "GET /map/country.svg": "show",
    "GET /stills/{camera}": "show",
    "GET /": "show",
    "GET /kpi/{kpi}": "show",
    "POST /kpi/{kpi}/notes": "edit",
    "POST /kpi/{kpi}/notes/{number}": "edit",
    "GET /compare": "show",
    "GET /changes": "show",
    "GET /brief": "show",
    "GET /search": "show",
    "GET /gallery": "show",
    "GET /operations": "read",
    "GET /operations/entries": "edit",
    "POST /operations/entries": "edit",
    "POST /operations/entries/{number}/{what}": "edit",
    "GET {path:path}": "page",
    "GET /_dash-component-suites/{package_name}/{fingerprinted_path:path}": "open",
    "GET /_dash-layout": "show",
    "GET /_dash-dependencies": "show",
    "POST /_dash-update-component": "show",  # and by callback: CALLBACKS
    "GET /_reload-hash": "never",
    "GET /_favicon.ico": "open",
    "WS /_dash-ws-callback": "never",
    "GET /login": "open",
    "POST /login": "open",
    "POST /logout": "person",
    "GET /welcome/{key}": "open",
    "POST /welcome/{key}": "open",
    "GET /oidc/start": "open",
    "GET /oidc/callback": "open",
    "GET /account": "person",
    "POST /account/password": "person",
    "POST /account/logout-everywhere": "person",
    "GET /admin/users": "administer",
    "POST /admin/users": "administer",
    "POST /admin/users/{name}/{what}": "administer",
    "GET /admin/log": "administer",
}

# What takes figures away as a file: each is written into the audit log, by the gate.
EXPORTS: frozenset[str] = frozenset(route for route in ROUTES if route.endswith((".csv", ".xlsx", ".pdf", ".txt")))

# The pages Dash draws, by how their path begins (the first line that fits counts).
PAGES: tuple[tuple[str, Access], ...] = (
    ("/wall", "show"),
    ("/kpi/", "show"),
    ("/operations", "read"),
    ("/", "show"),
)

# Dash's callbacks that run here, by their output. "page": what the page at the path asks for.
CALLBACKS: dict[str, Access | Literal["page"]] = {"page.children": "page"}

# The views of the live link, by how their name begins.
VIEWS: tuple[tuple[str, Access], ...] = (
    ("wall", "show"),
    ("leaders:", "show"),
    ("kpi/", "show"),
    ("operations:", "read"),
)


def of_page(path: str) -> Access:
    """Return what the page at `path` asks for."""
    return next(access for begins, access in PAGES if path.startswith(begins)) if path.startswith("/") else "never"


def of_view(name: str) -> Access:
    """Return what a view of the live link asks for."""
    return next((access for begins, access in VIEWS if name.startswith(begins)), "never")


@dataclass(frozen=True)
class Identity:
    """Who asks. `name` is what the audit log says; `kind`: a person, a token, nobody, or our own program."""

    name: str
    role: Role
    kind: Literal["person", "token", "nobody", "program"] = "token"
    address: str = ""


NOBODY = Identity("", "nobody", "nobody")
SYSTEM = Identity("ioc", "system", "program")
_current: ContextVar[Identity] = ContextVar("identity", default=NOBODY)


def current() -> Identity:
    """Return who sent the request (or typed the command) that is being answered."""
    return _current.get()


def act_as(identity: Identity) -> None:
    """Answer from here on, in this request or program, for `identity`."""
    _current.set(identity)


def may(identity: Identity, access: Access, *, public: bool = False) -> bool:
    """Say whether `identity` has a right. `public`: everybody may look (`web.public`)."""
    if access == "person":
        return identity.kind == "person"
    return identity.role in MAY[access] or (public and access in PUBLIC)
