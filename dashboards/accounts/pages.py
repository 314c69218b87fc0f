"""The pages of accounts as HTML text. Pure: values in, text out; `ioc/signin.py` answers the requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from dash import html
from dash.development.base_component import Component

from dashboards.accounts.markup import button, done_note, field, hidden, problem_note, refusal, table
from dashboards.context import Context
from dashboards.document import document
from dashboards.figures import frame
from dashboards.figures.numbers import clock_time_s
from dashboards.state import State
from dashboards.words import Lang, as_lang, known_or, pick, say
from ioc.rights import PERSON_ROLES

_SECRET = {"old": "account.old", "password": "login.password", "again": "account.again"}  # fields that are typed anew -> their label
_TYPED = ("period", "value", "area", "document", "reason", "day", "body", "name", "title")  # fields whose text a reader knows again
_SCREEN_AGAIN_S = 15  # a wall that was refused asks again: a right that is granted shows without a hand on it


class Pages:
    """Every page of accounts, in the languages of the screens."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def language(self, asked: str | None) -> Lang:
        return as_lang(asked, self._context.config.language)

    # -- no ----------------------------------------------------------------------------------------------------------

    def screen(self, lang: str) -> str:
        """A wall without a right: never a login form, and it heals by itself."""
        lang_ = self.language(lang)
        body = html.Main(
            [html.H1(say("link.denied", lang_)), html.P(say("link.denied.note", lang_)), html.P(self._context.province(lang_), className="province")],
            className="refused-screen", role="alert", id="link-denied-page",
        )  # fmt: skip
        drawn = document(body, say("link.denied", lang_), lang_).replace('data-theme="light"', 'data-theme="dark"', 1)
        return drawn.replace("<head>", f'<head><meta http-equiv="refresh" content="{_SCREEN_AGAIN_S}">', 1)

    def person(self, lang: str) -> str:
        lang_ = self.language(lang)
        return self._page([html.H1(say("no_right", lang_)), html.P(say("no_right.note", lang_)), html.A(say("nav.back", lang_), href=f"/?lang={lang_}")], lang_, "no_right", "/")

    def away(self, lang: str, address: str, form: Mapping[str, str]) -> str:
        """While the database is away. `form`: what was posted there, {} for nothing: it is given back, to be sent again; but no password is."""
        lang_ = self.language(lang)
        back = {name: value for name, value in form.items() if name not in _SECRET}
        typed = [value for name, value in back.items() if name in _TYPED and value.strip()]
        secret = [field(say(word, lang_), name, "password", required=True, maxLength=200, autoComplete="off") for name, word in _SECRET.items() if name in form]
        again = html.Form(
            [*[hidden(name, value) for name, value in back.items()], *secret, html.Button(say("away.again", lang_), type="submit", className="button button-main")],
            method="post", action=address, className="form",
        )  # fmt: skip
        kept = [html.P(say("away.kept", lang_)), *[html.Pre(text, className="note-lost") for text in typed], again]
        reload = html.A(say("away.reload", lang_), href=address, className="button button-main")
        content = html.Div([html.H1(say("away", lang_)), html.P(say("away.note", lang_), role="alert", id="away"), *(kept if form else [reload])], className="card form-card")
        return self._page([content], lang_, "away", "/")

    # -- signing in ------------------------------------------------------------------------------------------------

    def login(self, lang: str, *, after: str, name: str = "", problem: str = "", provider: bool = False) -> str:
        lang_ = self.language(lang)
        settings = self._context.config.web.oidc
        parts: list[Component] = [html.H1(say("login.title", lang_)), *problem_note(problem)]
        if provider and settings:
            parts.append(html.A(pick(settings.title, lang_), href=f"/oidc/start?{urlencode({'next': after})}", className="button button-main"))
        parts.append(
            html.Form(
                [
                    hidden("next", after),
                    hidden("lang", lang_),
                    field(say("login.name", lang_), "name", value=name, autoComplete="username", autoFocus=not name, required=True, maxLength=64, spellCheck="false", autocapitalize="none"),
                    field(say("login.password", lang_), "password", "password", autoComplete="current-password", autoFocus=bool(name), required=True, maxLength=200),
                    html.Button(say("login.submit", lang_), type="submit", className="button button-main"),
                ],
                method="post",
                action="/login",
                className="form",
            )
        )
        parts.append(html.P(say("login.help", lang_), className="form-note"))
        return self._page([html.Div(parts, className="card form-card")], lang_, "login.title", "/login", next=after)

    def welcome(self, lang: str, key: str, *, owner: str | None, name: str = "", problem: str = "") -> str:
        """The page of a one-time link. `owner`: whose ('': the first administrator, who chooses a name; None: no good link)."""
        lang_ = self.language(lang)
        if owner is None:
            content: list[Component] = [html.H1(say("welcome.over", lang_)), html.P(say("problem.link", lang_))]
        else:
            first = [html.P(say("welcome.first", lang_)), field(say("login.name", lang_), "name", value=name, required=True, maxLength=64, autoComplete="username", autoFocus=True, spellCheck="false", autocapitalize="none")]
            mine = [html.P(say("welcome.of", lang_, name=owner))]
            content = [
                html.H1(say("welcome.title", lang_)),
                *problem_note(problem),
                html.Form(
                    [hidden("lang", lang_), *(mine if owner else first), *_new_password(lang_), html.Button(say("welcome.submit", lang_), type="submit", className="button button-main")],
                    method="post", action=f"/welcome/{key}", className="form",
                ),
            ]  # fmt: skip
        return self._page([html.Div(content, className="card form-card")], lang_, "welcome.title", f"/welcome/{key}")

    # -- one's own ---------------------------------------------------------------------------------------------------

    def account(self, lang: str, *, name: str, role: str, local: bool, sessions: Sequence[Mapping[str, Any]], now: datetime, problem: str = "", done: str = "") -> str:
        lang_ = self.language(lang)
        change = html.Form(
            [
                hidden("lang", lang_),
                field(say("account.old", lang_), "old", "password", autoComplete="current-password", required=True, maxLength=200),
                *_new_password(lang_),
                html.Button(say("account.change", lang_), type="submit", className="button"),
            ],
            method="post", action="/account/password", className="form",
        )  # fmt: skip
        rows = [html.Tr([html.Td(self._time(s["created_at"], now, lang_)), html.Td(self._time(s["seen_at"], now, lang_)), html.Td(s["address"]), html.Td(s["agent"], className="agent")]) for s in sessions]
        content = [
            html.Div([html.H1(name), html.Div(say(f"role.{role}", lang_), className="summary"), button("/logout", say("account.logout", lang_), lang_)], className="page-title"),
            *problem_note(problem),
            *done_note(done, lang_),
            html.Section([html.H2(say("account.password", lang_)), html.Div(change if local else html.P(say("account.elsewhere", lang_)), className="card form-card")]),
            html.Section(
                [
                    html.H2(say("account.sessions", lang_)),
                    table([say(f"account.{word}", lang_) for word in ("since", "seen", "address", "browser")], rows),
                    button("/account/logout-everywhere", say("account.logout_everywhere", lang_), lang_),
                ]
            ),
        ]
        return self._page(content, lang_, "account.title", "/account", current="account")

    # -- administration ----------------------------------------------------------------------------------------------

    def users(self, lang: str, *, accounts: Sequence[Mapping[str, Any]], now: datetime, link: tuple[str, str] | None = None, problem: str = "", done: str = "") -> str:
        lang_ = self.language(lang)
        heads = [say(f"users.{word}", lang_) for word in ("name", "role", "via", "last", "state", "what")]
        create = html.Form(
            [
                hidden("lang", lang_),
                field(say("users.name", lang_), "name", required=True, maxLength=64, autoComplete="off", spellCheck="false", autocapitalize="none"),
                field(say("users.person", lang_), "title", maxLength=100, autoComplete="off"),
                html.Div([html.Label(say("users.role", lang_), htmlFor="role"), _roles("viewer", lang_, id="role")], className="field"),
                html.Button(say("users.create", lang_), type="submit", className="button button-main"),
            ],
            method="post", action="/admin/users", className="form form-row",
        )  # fmt: skip
        shown = []
        if link:
            shown = [html.Div([html.P(say("users.link", lang_, name=link[0])), html.Code(link[1], className="one-time", id="one-time-link")], className="notice", role="status")]
        content = [
            html.Div([html.H1(say("users.title", lang_)), html.A(say("log.title", lang_), href=f"/admin/log?lang={lang_}")], className="page-title"),
            *problem_note(problem), *done_note(done, lang_), *shown,
            table(heads, [self._user(account, now, lang_) for account in accounts]),
            html.Section([html.H2(say("users.new", lang_)), html.Div(create, className="card")]),
        ]  # fmt: skip
        return self._page(content, lang_, "users.title", "/admin/users", current="users")

    def _user(self, account: Mapping[str, Any], now: datetime, lang: Lang) -> Component:
        name, off = account["name"], account["disabled_at"] is not None
        state = "disabled" if off else "waiting" if account["password_at"] is None and not account["issuer"] else "active"
        role = html.Form(
            [hidden("lang", lang), _roles(account["role"], lang, **{"aria-label": f"{say('users.role', lang)} {name}"}), html.Button(say("users.save", lang), type="submit", className="button")],
            method="post", action=f"/admin/users/{name}/role", className="inline",
        )  # fmt: skip
        buttons = [button(f"/admin/users/{name}/{'enable' if off else 'disable'}", say("users.enable" if off else "users.disable", lang), lang)]
        if not account["issuer"]:
            buttons.insert(0, button(f"/admin/users/{name}/invite", say("users.invite", lang), lang))
        return html.Tr(
            [
                html.Th([name, html.Small(account["title"])] if account["title"] else name, scope="row"),
                html.Td(say(f"role.{account['role']}", lang) if account["issuer"] else role),
                html.Td(say("users.provider" if account["issuer"] else "users.here", lang)),
                html.Td(self._time(account["last_login_at"], now, lang), className="time"),
                html.Td(say(f"users.{state}", lang)),
                html.Td(html.Div(buttons, className="inline")),
            ],
            **{"data-account": name, "data-account-state": state},
        )

    def log(self, lang: str, *, rows: Sequence[Mapping[str, Any]], problems: Sequence[Mapping[str, Any]] | None, head: str, action: str, actor: str, now: datetime) -> str:
        """The audit log, newest first. `problems`: what checking the chain found; None when it was not checked."""
        lang_ = self.language(lang)
        heads = [say(f"log.{word}", lang_) for word in ("seq", "at", "actor", "action", "subject", "detail", "address")]
        verdict = html.P(say("log.intact", lang_, head=head[:24]), className="form-note") if problems == [] else html.A(say("log.check", lang_), href=f"/admin/log?check=1&lang={lang_}")
        found = [html.Div([html.P(say("log.broken", lang_)), html.Ul([html.Li(str(p["problem"])) for p in problems])], className="notice", role="alert")] if problems else []
        narrow = html.Form(
            [
                hidden("lang", lang_),
                field(say("log.actor", lang_), "actor", value=actor, maxLength=64),
                field(say("log.action", lang_), "action", value=action, maxLength=40),
                html.Button(say("log.narrow", lang_), type="submit", className="button"),
            ],
            method="get", action="/admin/log", className="form form-row",
        )  # fmt: skip
        older = []
        if len(rows) >= 100:
            query = urlencode({"before": rows[-1]["seq"], "action": action, "actor": actor, "lang": lang_})
            older = [html.A(say("log.older", lang_), href=f"/admin/log?{query}", className="button")]
        content = [
            html.Div([html.H1(say("log.title", lang_)), html.A(say("users.title", lang_), href=f"/admin/users?lang={lang_}")], className="page-title"),
            *found, verdict, narrow, table(heads, [self._entry(row, now, lang_) for row in rows]), *older,
        ]  # fmt: skip
        return self._page(content, lang_, "log.title", "/admin/log", current="log")

    def _entry(self, row: Mapping[str, Any], now: datetime, lang: Lang) -> Component:
        detail = ", ".join(f"{key}: {value}" for key, value in row["detail"].items())
        return html.Tr(
            [
                html.Td(str(row["seq"]), className="number"),
                html.Td(self._time(row["at"], now, lang), className="time"),
                html.Td([row["actor"], html.Small(known_or(f"role.{row['role']}", lang, row["role"]))]),
                html.Td(known_or(f"log.{row['action']}", lang, row["action"])),
                html.Td(row["subject"]), html.Td(detail, className="detail"), html.Td(row["address"]),
            ],
            **{"data-seq": str(row["seq"]), "data-action": row["action"]},
        )  # fmt: skip

    # -- pieces ------------------------------------------------------------------------------------------------------

    def problem(self, lang: str, word: str, sentence: str, values: Mapping[str, object]) -> str:
        """A refusal in the language of the page; `sentence` where the screens have none."""
        return refusal(self.language(lang), word, sentence, values)

    def _time(self, at: datetime | None, now: datetime, lang: Lang) -> str:
        return clock_time_s(at, now, self._context.zone, lang) or "–"

    def _page(self, content: list[Component], lang: Lang, title: str, path: str, current: str = "form", **more: str) -> str:
        state = State(lang, more=tuple(more.items()))
        return document(frame.page(content, self._context, state, view="", path=path, current=current), f"{say(title, lang)} · {self._context.province(lang)}", lang)


def _new_password(lang: Lang) -> list[Component]:
    rule: dict[str, Any] = {"minLength": 12, "maxLength": 200, "required": True, "autoComplete": "new-password"}
    return [field(say("account.new", lang), "password", "password", note=say("account.rule", lang), **rule), field(say("account.again", lang), "again", "password", **rule)]


def _roles(chosen: str, lang: Lang, **more: Any) -> Component:
    return html.Select([html.Option(say(f"role.{role}", lang), value=role, **({"selected": True} if role == chosen else {})) for role in PERSON_ROLES], name="role", **more)
