"""The routes about logins: where an operator is logged in, and how that is ended."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Router, get, post
from litestar.exceptions import PermissionDeniedException
from litestar.params import PathParameter

from services.operator.domain.accounts import AccountRefused
from services.operator.domain.decisions import Operator
from services.operator.transports.events import EventHub
from services.operator.transports.login import COOKIE, Door
from services.operator.transports.parameters import Req
from services.operator.transports.problems import as_problem, problems
from shared.contract.accounts import ACCOUNT_NAME
from shared.contract.sessions import SESSION_ID, session_key
from shared.timestamps import format_time

SessionId = Annotated[
    str, PathParameter(pattern=f"^{SESSION_ID.pattern}$", description="the login, as lists of them name it")
]

_ADMINS = "only admins may see where others are logged in"
_GONE = "there is no such login: it has ended"
_NO_ACCOUNT = "there is no such account"


class SessionDetail(msgspec.Struct, kw_only=True):
    """A login. ``used``: when it was used last, to some minutes; ``browser``: in a few words, "" where it did
    not say; ``this``: the one that asks. Times are RFC 3339.
    """

    id: str
    began: str
    used: str
    browser: str
    this: bool


class SessionList(msgspec.Struct):
    """The one that was used last is the first."""

    sessions: list[SessionDetail]


def _command(missing: str, forbidden: str = "") -> dict[str, Any]:
    return {"status_code": 200, "responses": problems(missing=missing, forbidden=forbidden)}


@get("/me/sessions", responses=problems(missing=""))
async def my_sessions(request: Req, operator: Operator, door: Door) -> SessionList:
    """Where you are logged in."""
    return await _listed(request, door, operator.name)


@post("/me/sessions/{session:str}/end", **_command(_GONE))
async def end_mine(
    session: SessionId, request: Req, operator: Operator, door: Door, hub: EventHub
) -> SessionList:
    """End a login of yours. Its console says so within five seconds. Those that are left."""
    await _end(door, hub, operator.name, session)
    return await _listed(request, door, operator.name)


@post("/me/sessions/end-others", **_command(""))
async def end_my_others(request: Req, operator: Operator, door: Door, hub: EventHub) -> SessionList:
    """End all logins of yours except this one."""
    await _end_all(request, door, hub, operator.name)
    return await _listed(request, door, operator.name)


@get("/accounts/{name:str}/sessions", responses=problems(missing=_NO_ACCOUNT, forbidden=_ADMINS))
async def sessions_of(name: str, request: Req, operator: Operator, door: Door) -> SessionList:
    """Where an account is logged in, for admins."""
    _check(operator, name)
    return await _listed(request, door, name)


@post("/accounts/{name:str}/sessions/{session:str}/end", **_command(_GONE, _ADMINS))
async def end_one_of(
    name: str, session: SessionId, request: Req, operator: Operator, door: Door, hub: EventHub
) -> SessionList:
    """End a login of an account. Those that are left."""
    _check(operator, name)
    await _end(door, hub, name, session)
    return await _listed(request, door, name)


@post("/accounts/{name:str}/sessions/end-all", **_command(_NO_ACCOUNT, _ADMINS))
async def end_all_of(name: str, request: Req, operator: Operator, door: Door, hub: EventHub) -> SessionList:
    """End all logins of an account; of your own account all except this one."""
    _check(operator, name)
    await _end_all(request, door, hub, name)
    return await _listed(request, door, name)


def session_routes() -> Router:
    """All of these."""
    return Router(
        path="/api",
        route_handlers=[my_sessions, end_mine, end_my_others, sessions_of, end_one_of, end_all_of],
        exception_handlers={Exception: as_problem},
    )


def _check(operator: Operator, name: str) -> None:
    if operator.role != "admin":
        raise PermissionDeniedException(_ADMINS)
    if not ACCOUNT_NAME.fullmatch(name):
        raise AccountRefused("missing", _NO_ACCOUNT)


async def _end(door: Door, hub: EventHub, account: str, session: str) -> None:
    if not await door.accounts.sessions.end(account, session):
        raise AccountRefused("missing", _GONE)
    hub.ask()


async def _end_all(request: Req, door: Door, hub: EventHub, account: str) -> None:
    this = _own(request)
    for id, _ in await door.accounts.sessions_of(account):
        if f"{account}.{id}" != this:
            await door.accounts.sessions.end(account, id)
    hub.ask()


async def _listed(request: Req, door: Door, account: str) -> SessionList:
    this = _own(request)
    return SessionList(
        [
            SessionDetail(
                id=id,
                began=format_time(session.began),
                used=format_time(session.used),
                browser=session.browser,
                this=f"{account}.{id}" == this,
            )
            for id, session in await door.accounts.sessions_of(account)
        ]
    )


def _own(request: Req) -> str | None:
    return session_key(request.cookies.get(COOKIE, ""))
