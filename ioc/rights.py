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
