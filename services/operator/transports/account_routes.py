"""The routes about accounts: an operator's own password, and for admins everybody's account."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get, post
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.params import JSONBody

from services.operator.answers import CannedAnswers
from services.operator.desk_state import DeskState
from services.operator.domain import accounts as domain
from services.operator.domain.decisions import Operator
from services.operator.saved_views import SavedViews
from services.operator.transports import schemas
from services.operator.transports.events import EventHub
from services.operator.transports.login import Door, caller_of, session_cookie
from services.operator.transports.parameters import Req
from services.operator.transports.problems import as_problem, problems
from shared.contract.accounts import ACCOUNT_NAME, LEAST_PASSWORD, MAX_DISPLAY, NO_PASSWORD, Account
from shared.contract.roles import Role
from shared.contract.subjects import SESSION_HOURS
from shared.timestamps import format_time

Password = Annotated[
    str, msgspec.Meta(min_length=LEAST_PASSWORD, max_length=1024, examples=["correct horse battery"])
]
AccountName = Annotated[str, msgspec.Meta(pattern=f"^{ACCOUNT_NAME.pattern}$", examples=["ada"])]

_ADMINS = "only admins may look after accounts"
_LAST = "ada is the last admin who may log in: make another one first"


class AccountDetail(msgspec.Struct):
    """``disabled``: nobody can log in with it. ``second_factor``: a code is asked for, too. ``password``: it
    has one; ``sign_on``: it logs in by single sign-on. ``created`` is RFC 3339.
    """

    name: str
    display: str
    role: Role
    disabled: bool
    second_factor: bool
    password: bool
    sign_on: bool
    created: str


class AccountList(msgspec.Struct):
    """By name."""

    accounts: list[AccountDetail]


class MakeAccount(msgspec.Struct, forbid_unknown_fields=True):
    """``display`` is the name that visitors see; without it they see ``name``. ``sign_on``: it has no
    password, and logs in by single sign-on.
    """

    name: AccountName
    password: Password | None = None
    sign_on: bool = False
    display: Annotated[str, msgspec.Meta(max_length=MAX_DISPLAY, examples=["Ada"])] = ""
    role: Role = "operator"


class GivePassword(msgspec.Struct, forbid_unknown_fields=True):
    password: Password


class GiveRole(msgspec.Struct, forbid_unknown_fields=True):
    role: Role


class ChangePassword(msgspec.Struct, forbid_unknown_fields=True):
    """``current`` is the password until now."""

    current: Annotated[str, msgspec.Meta(max_length=1024)]
    password: Password


def _command(conflict: str = _LAST, missing: str = "there is no such account") -> dict[str, Any]:
    return {"status_code": 200, "responses": problems(conflict, "", missing, _ADMINS)}


@post(
    "/me/password",
    status_code=200,
    responses=problems(invalid="current: this is not your password", missing=""),
)
async def change_password(
    data: JSONBody[ChangePassword],
    request: Req,
    operator: Operator,
    door: Door,
    hub: EventHub,
    desk_state: DeskState,
) -> Response[schemas.LoggedIn]:
    """Change your password. All other logins of yours end; this one goes on, with a new cookie."""
    entered = await door.change_password(operator.name, data.current, data.password, caller_of(request))
    if entered is None:
        raise HTTPException("current: this is not your password", status_code=422)
    hub.ask()
    token, now = entered
    me = schemas.logged_in(now, desk_state.chosen(now.name))
    return Response(me, cookies=[session_cookie(request, token, SESSION_HOURS * 3600)])


@get("/accounts", responses=problems(missing="", forbidden=_ADMINS))
async def accounts(operator: Operator, door: Door) -> AccountList:
    """All accounts, for admins."""
    if operator.role != "admin":
        raise PermissionDeniedException(_ADMINS)
    return await _all(door)


@post("/accounts", **_command("there is an account ada already", missing=""))
async def make(data: JSONBody[MakeAccount], operator: Operator, door: Door) -> AccountList:
    """Make an account."""
    if operator.role != "admin":  # before the password is hashed, which costs much
        raise PermissionDeniedException(_ADMINS)
    if not data.display.isprintable():
        raise HTTPException("display: only characters that can be printed", status_code=422)
    if (data.password is None) != data.sign_on:
        raise HTTPException("password: give one, or say sign_on, not both", status_code=422)
    hash = NO_PASSWORD if data.password is None else await door.accounts.hashed(data.password)
    created = format_time(time.time_ns())
    account = Account(data.name, data.display.strip() or data.name, hash, created, data.role)
    await door.accounts.change(operator.name, data.name, domain.make(account))
    return await _all(door)


@post("/accounts/{name:str}/password", **_command())
async def give_password(
    name: str, data: JSONBody[GivePassword], operator: Operator, door: Door, hub: EventHub
) -> AccountList:
    """Give an account another password. Its logins end."""
    if operator.role != "admin":
        raise PermissionDeniedException(_ADMINS)
    hash = await door.accounts.hashed(data.password)
    return await _change(name, domain.give_password(hash), operator, door, hub)


@post("/accounts/{name:str}/role", **_command())
async def give_role(
    name: str, data: JSONBody[GiveRole], operator: Operator, door: Door, hub: EventHub
) -> AccountList:
    """Let an account do more, or less. Its logins end."""
    return await _change(name, domain.give_role(data.role), operator, door, hub)


@post("/accounts/{name:str}/disable", **_command())
async def disable(name: str, operator: Operator, door: Door, hub: EventHub) -> AccountList:
    """Let nobody log in with an account until it is enabled. Its logins end."""
    return await _change(name, domain.enable(False), operator, door, hub)


@post("/accounts/{name:str}/enable", **_command())
async def enable(name: str, operator: Operator, door: Door, hub: EventHub) -> AccountList:
    """Let a disabled account log in again, with the same password."""
    return await _change(name, domain.enable(True), operator, door, hub)


@post("/accounts/{name:str}/sign-on", **_command())
async def sign_on(name: str, operator: Operator, door: Door, hub: EventHub) -> AccountList:
    """Let an account log in by single sign-on instead of its password: whoever comes next under its name has
    it. Its logins end.
    """
    return await _change(name, domain.let_sign_on, operator, door, hub)


@post("/accounts/{name:str}/second-factor-off", **_command("this account has no second factor"))
async def second_factor_off(name: str, operator: Operator, door: Door, hub: EventHub) -> AccountList:
    """Let an account log in with the password alone, when the second factor is lost. Its logins end."""
    return await _change(name, domain.take_off_second, operator, door, hub)


@post("/accounts/{name:str}/remove", **_command())
async def remove(
    name: str, operator: Operator, door: Door, hub: EventHub, canned: CannedAnswers, saved: SavedViews
) -> AccountList:
    """Remove an account for good, with its own canned answers and views. Its logins end."""
    left = await _change(name, domain.remove, operator, door, hub)
    await canned.forget(name)  # whoever has an account of this name later is somebody else
    await saved.forget(name)
    return left


def account_routes() -> Router:
    """All of these."""
    return Router(
        path="/api",
        route_handlers=[
            change_password,
            accounts,
            make,
            give_password,
            give_role,
            disable,
            enable,
            remove,
            *(second_factor_off, sign_on),
        ],
        exception_handlers={Exception: as_problem},
    )


async def _change(
    name: str, change: domain.AccountChange, operator: Operator, door: Door, hub: EventHub
) -> AccountList:
    if not ACCOUNT_NAME.fullmatch(name):
        raise domain.AccountRefused("missing", "there is no such account")
    await door.accounts.change(operator.name, name, change)
    hub.ask()
    return await _all(door)


async def _all(door: Door) -> AccountList:
    return AccountList(
        [
            AccountDetail(
                *(each.name, each.display, each.role, each.disabled, each.second is not None),
                *(each.has_password, each.signs_on, each.created),
            )
            for each in await door.accounts.list()
        ]
    )
