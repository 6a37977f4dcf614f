"""The routes of single sign-on. Browsers are sent through them: what they answer is a redirect.

They are not below /api, which no other site's page may ask for: here the provider sends people back. What
stands against forged answers is the state, which only the browser that began has the cookie of.
"""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from litestar import Response, Router, get
from litestar.datastructures import Cookie

from services.operator.buckets import Unavailable
from services.operator.domain.single_sign_on import PENDING_SECONDS, SignOnRefused
from services.operator.transports.events import EventHub
from services.operator.transports.login import Door, LoginOptions, TooMany, caller_of, session_cookie
from services.operator.transports.parameters import Req
from shared.contract.subjects import SESSION_HOURS

log = structlog.get_logger()

COOKIE = "switchboard_sso"
_PATH = "/login/sso"
#: More than that no answer of a provider has (characters).
_MAX_ANSWER = 16 * 1024


@get("/api/login/options", security=[])
async def login_options(door: Door) -> LoginOptions:
    """How operators log in here."""
    return door.options


@get(_PATH, include_in_schema=False)
async def begin(request: Req, door: Door) -> Response[None]:
    """To the provider."""
    if door.sign_on is None:
        return _to("/")
    try:
        address, cookie = await door.sign_on.begin()
    except SignOnRefused as refused:
        return _failed(request, refused)
    return _to(address, [_kept(request, cookie, PENDING_SECONDS)])


@get(f"{_PATH}/callback", include_in_schema=False)
async def callback(request: Req, door: Door, hub: EventHub) -> Response[None]:
    """Back from the provider."""
    if door.sign_on is None:
        return _to("/")
    query = request.url.query or ""
    try:
        if len(query) > _MAX_ANSWER:
            raise SignOnRefused("the provider's answer is too long")
        answer = {name: str(request.query_params.getall(name)[0]) for name in request.query_params}
        if any(len(request.query_params.getall(name)) > 1 for name in request.query_params):
            raise SignOnRefused("the provider's answer says something twice")
        token, _ = await door.sign_on_ends(answer, request.cookies.get(COOKIE, ""), caller_of(request))
    except TooMany:
        return _to("/?sso=wait", [_kept(request, "", 0)])
    except (SignOnRefused, Unavailable) as refused:
        return _failed(request, refused)
    hub.ask()  # where a role has changed, logins of before have ended
    return _to("/", [session_cookie(request, token, SESSION_HOURS * 3600), _kept(request, "", 0)])


def sign_on_routes() -> list[Any]:
    """All of these."""
    return [login_options, Router(path="/", route_handlers=[begin, callback])]


async def sign_off_address(door: Door, token: str) -> str:
    """Where a browser logs out at the provider, too; "" where that is not meant."""
    session = await door.accounts.sessions.find(token) if door.sign_on and door.options.logout else None
    if session is None or not session.sso or door.sign_on is None:
        return ""
    try:
        return await door.sign_on.logout_address()
    except SignOnRefused as refused:
        log.warning("single_sign_off_failed", why=str(refused))
        return ""


def _failed(request: Req, refused: Exception) -> Response[None]:
    """Strangers are told a name, by which the reason is found in the log."""
    name = secrets.token_hex(4)
    log.warning("single_sign_on_refused", reference=name, why=str(refused))
    return _to(f"/?sso={name}", [_kept(request, "", 0)])


def _to(address: str, cookies: list[Cookie] | None = None) -> Response[None]:
    return Response(None, status_code=303, headers={"Location": address}, cookies=cookies or [])


def _kept(request: Req, value: str, seconds: int) -> Cookie:
    """Lax: the provider's page sends the browser back, so that a strict cookie would not come along."""
    return Cookie(
        key=COOKIE,
        value=value,
        max_age=seconds,
        path=_PATH,
        httponly=True,
        samesite="lax",
        secure=request.scope["scheme"] == "https",
    )
