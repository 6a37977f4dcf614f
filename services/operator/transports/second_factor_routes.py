"""The routes about the second factor of accounts: one's own, and for admins how it is taken off."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
import segno
from litestar import Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody

from services.operator.desk_state import DeskState
from services.operator.domain import second_factor as domain
from services.operator.domain.decisions import Operator
from services.operator.transports import schemas
from services.operator.transports.events import EventHub
from services.operator.transports.login import Door, Entered, caller_of, session_cookie
from services.operator.transports.parameters import Req
from services.operator.transports.problems import as_problem, problems
from shared.contract.subjects import SESSION_HOURS

Said = TypeVar("Said")

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=domain.MAX_CODE, examples=["123456"])]
Password = Annotated[str, msgspec.Meta(max_length=1024, examples=["correct horse battery"])]

_NOT_YOURS = "password: this is not your password"


class SecondFactorState(msgspec.Struct, kw_only=True):
    """``since`` is RFC 3339; ``recovery_codes``: how many are left; ``demanded``: it must be on."""

    on: bool
    since: str | None
    recovery_codes: int
    demanded: bool


class BeginSecondFactor(msgspec.Struct, forbid_unknown_fields=True):
    password: Password


class SecondFactorSecret(msgspec.Struct):
    """What an app is told: ``qr`` is an image of ``uri``, as a data URI; ``secret`` is for who types it."""

    secret: str
    uri: str
    qr: str


class ConfirmSecondFactor(msgspec.Struct, forbid_unknown_fields=True):
    code: Code


class ChangeSecondFactor(msgspec.Struct, forbid_unknown_fields=True):
    """``code`` is one that the app shows, or a recovery code."""

    password: Password
    code: Code


class RecoveryCodes(msgspec.Struct):
    """They are shown this once. Each lets you in once, instead of a code of your app."""

    codes: list[str]


def _command(conflict: str, invalid: str) -> dict[str, Any]:
    return {"status_code": 200, "responses": problems(conflict, invalid, missing="")}


@get("/me/second-factor", responses=problems(missing=""))
async def second_factor(enrolling: Operator, door: Door) -> SecondFactorState:
    """Whether your account has a second factor."""
    found = await door.accounts.account(enrolling.name)
    second = found and found[0].second
    return SecondFactorState(
        on=bool(second),
        since=second.since if second else None,
        recovery_codes=len(second.recovery) if second else 0,
        demanded=door.accounts.demands_second(enrolling.role),
    )


@post(
    "/me/second-factor/begin",
    **_command("this account has a second factor: take it off first", _NOT_YOURS),
)
async def begin(
    data: JSONBody[BeginSecondFactor], request: Req, enrolling: Operator, door: Door
) -> SecondFactorSecret:
    """Get a secret for an authenticator app. It counts once you have confirmed it, within ten minutes."""
    secret = await door.begin_second(enrolling.name, data.password, caller_of(request))
    if secret is None:
        raise HTTPException(_NOT_YOURS, status_code=422)
    uri = domain.app_uri(secret, enrolling.name, request.url.hostname or "")
    qr = segno.make(uri, error="m", micro=False).svg_data_uri(scale=4, dark="#000", light="#fff")
    return SecondFactorSecret(domain.shown_secret(secret), uri, qr)


@post(
    "/me/second-factor/confirm",
    **_command(
        "this account has a second factor: take it off first",
        "code: it is wrong, or was used already; take the next one that your app shows",
    ),
)
async def confirm(
    data: JSONBody[ConfirmSecondFactor], request: Req, enrolling: Operator, door: Door, hub: EventHub
) -> Response[RecoveryCodes]:
    """Confirm it with a code that the app shows. Your other logins end; this one goes on."""
    done = await door.confirm_second(enrolling.name, data.code, caller_of(request))
    if done is None:
        raise HTTPException("somebody else has changed this account just now: look again", status_code=409)
    hub.ask()
    return _with_cookie(request, RecoveryCodes(done[1]), done[0])


@post("/me/second-factor/recovery-codes", **_command("this account has no second factor", _NOT_YOURS))
async def recovery_codes(
    data: JSONBody[ChangeSecondFactor], request: Req, operator: Operator, door: Door, hub: EventHub
) -> Response[RecoveryCodes]:
    """Get new recovery codes; those of before count no more. Your other logins end."""
    done = await door.change_second(operator.name, data.password, data.code, caller_of(request), off=False)
    if done is None:
        raise HTTPException(_NOT_YOURS, status_code=422)
    hub.ask()
    return _with_cookie(request, RecoveryCodes(done[1]), done[0])


@post("/me/second-factor/off", **_command("this account has no second factor", _NOT_YOURS))
async def take_off(
    data: JSONBody[ChangeSecondFactor],
    request: Req,
    operator: Operator,
    door: Door,
    hub: EventHub,
    desk_state: DeskState,
) -> Response[schemas.LoggedIn]:
    """Log in with the password alone from now on. Your other logins end."""
    done = await door.change_second(operator.name, data.password, data.code, caller_of(request), off=True)
    if done is None:
        raise HTTPException(_NOT_YOURS, status_code=422)
    hub.ask()
    me = schemas.logged_in(
        operator, desk_state.chosen(operator.name), door.accounts.demands_second(operator.role)
    )
    return _with_cookie(request, me, done[0])


def second_factor_routes() -> Router:
    """All of these."""
    return Router(
        path="/api",
        route_handlers=[second_factor, begin, confirm, recovery_codes, take_off],
        exception_handlers={Exception: as_problem},
    )


def _with_cookie(request: Req, body: Said, entered: Entered) -> Response[Said]:
    return Response(body, cookies=[session_cookie(request, entered[0], SESSION_HOURS * 3600)])
