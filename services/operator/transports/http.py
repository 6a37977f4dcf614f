"""The operators' API: routes, and how what can go wrong is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
import structlog
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from services.operator.accounts import Unavailable
from services.operator.desk import Desk, DeskError
from services.operator.domain.decisions import Operator
from services.operator.domain.desk import View
from services.operator.handlers import Busy, CommandRefused, Handlers, NoSuchState, NotFound
from services.operator.transports import schemas
from services.operator.transports.events import EventHub
from services.operator.transports.login import COOKIE, Door, TooMany
from services.operator.transports.pages import OfflineSwagger, pages
from shared.contract.subjects import SESSION_HOURS
from shared.contract.visible import cleaned
from shared.eventlog.errors import Full, IdReused, LogError
from shared.service.health import VERSION

log = structlog.get_logger()

#: The largest request (bytes).
MAX_BODY = 64 * 1024

Req = Request[Any, Any, Any]
#: Raises unless the login still stands: for what takes a while, before it takes effect.
Still = Callable[[], Awaitable[None]]
Id = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$", description="the conversation")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="at most so many conversations")]
Before = Annotated[int | None, QueryParameter(ge=0, description="the `next` of the page before")]


def _answers(*statuses: int) -> dict[int, ResponseSpec]:
    """The problems of a route, for its description."""
    told = {
        401: "not logged in",
        404: "no such conversation",
        409: "someone else has the conversation, or was quicker",
        422: "what was asked cannot be done",
        429: "too many failed logins",
        503: "not ready, or the log is out of reach: try again after `Retry-After`",
    }
    return {
        status: ResponseSpec(schemas.ProblemDetail, generate_examples=False, description=told[status])
        for status in (*statuses, 503)
    }


_OPEN: dict[str, Any] = {"status_code": 200, "security": []}
_COMMAND: dict[str, Any] = {"status_code": 200, "responses": _answers(401, 404, 409)}


@post("/api/login", responses=_answers(401, 429), **_OPEN)
async def login(data: JSONBody[schemas.Login], request: Req, door: Door) -> Response[schemas.Me]:
    """Log in: sets the session's cookie."""
    address = request.client.host if request.client else ""
    entered = await door.log_in(data.name, data.password, address)
    if entered is None:
        raise NotAuthorizedException("name or password is wrong")
    token, operator = entered
    me = schemas.Me(operator.name, operator.display)
    return Response(me, cookies=[_cookie(request, token, SESSION_HOURS * 3600)])


@post("/api/logout", **_OPEN)
async def logout(request: Req, door: Door, hub: EventHub) -> Response[schemas.Done]:
    """Log out: ends the session everywhere."""
    if token := request.cookies.get(COOKIE):
        await door.accounts.log_out(token)
        hub.ask()
    return Response(schemas.Done(), cookies=[_cookie(request, "", 0)])


@get("/api/me", responses=_answers(401))
async def me(operator: Operator) -> schemas.Me:
    """Who is logged in."""
    return schemas.Me(operator.name, operator.display)


@get("/api/conversations", responses=_answers(401))
async def conversations(
    operator: Operator, desk: Desk, view: View = "queue", limit: Limit = 100, before: Before = None
) -> schemas.ConversationPage:
    """A list: the queue (who waits longest first), mine, live or resolved (the latest first)."""
    page = desk.page(view, operator.name, limit, before)
    return schemas.ConversationPage([schemas.row(summary) for summary in page.conversations], page.next)


@get("/api/conversations/{id:str}", responses=_answers(401, 404))
async def conversation(id: Id, operator: Operator, handlers: Handlers, still: Still) -> schemas.Detail:
    """A conversation with what was said since the visitor last began anew."""
    messages: list[msgspec.Raw] = []
    async for _ in handlers.pace.through(
        await handlers.transcript(id), lambda line: messages.append(schemas.message(line))
    ):
        pass
    await still()  # a long one takes a while
    summary = await handlers.find(id)
    return schemas.detail(summary, messages, await handlers.states(summary.state.progress.version))


@post("/api/conversations/{id:str}/claim", **_COMMAND)
async def claim(id: Id, operator: Operator, handlers: Handlers, still: Still, door: Door) -> schemas.Row:
    """Take the conversation over: from here on the bot is silent. From another operator only where that
    account was removed or disabled: nobody is left alone with one who cannot come back.
    """
    try:
        return schemas.row(await handlers.claim(id, operator, still))
    except CommandRefused as refused:
        owner = refused.why.operator
        if not owner or await door.accounts.find(owner) is not None:
            raise
    return schemas.row(await handlers.take_over(id, operator, owner, still))


@post("/api/conversations/{id:str}/say", status_code=200, responses=_answers(401, 404, 409, 422))
async def say(
    id: Id, data: JSONBody[schemas.Say], operator: Operator, handlers: Handlers, still: Still
) -> schemas.Row:
    """Say something to the visitor."""
    text = cleaned(data.text)
    if not text:
        raise HTTPException("there is nothing to say", status_code=422)
    if len(data.text.encode()) > schemas.MAX_TEXT:
        raise HTTPException(f"the text is longer than {schemas.MAX_TEXT} bytes", status_code=422)
    return schemas.row(await handlers.say(id, operator, text, data.id, still))


@post("/api/conversations/{id:str}/typing", **_COMMAND)
async def typing(id: Id, operator: Operator, handlers: Handlers) -> schemas.Done:
    """Show the visitor that the operator is typing."""
    await handlers.type(id, operator)
    return schemas.Done()


@post("/api/conversations/{id:str}/handback", status_code=200, responses=_answers(401, 404, 409, 422))
async def handback(
    id: Id,
    operator: Operator,
    handlers: Handlers,
    still: Still,
    data: JSONBody[schemas.HandBack | None] = None,
) -> schemas.Row:
    """Let the bot go on, at `state` or where it was."""
    return schemas.row(await handlers.hand_back(id, operator, data.state if data else None, still))


@post("/api/conversations/{id:str}/transfer", status_code=200, responses=_answers(401, 404, 409, 422))
async def transfer(
    id: Id, data: JSONBody[schemas.Transfer], operator: Operator, handlers: Handlers, still: Still, door: Door
) -> schemas.Row:
    """Pass your conversation on: to another operator, or back to a queue."""
    if data.operator is None:
        return schemas.row(await handlers.put_back(id, operator, data.queue, still))
    if data.queue is not None:
        raise HTTPException("say who goes on, or in which queue it waits, not both", status_code=422)
    to = await door.accounts.find(data.operator)
    if to is None:
        raise HTTPException(f"there is no operator {data.operator!r} who may log in", status_code=422)
    return schemas.row(await handlers.transfer(id, operator, to, still))


@post("/api/conversations/{id:str}/resolve", **_COMMAND)
async def resolve(id: Id, operator: Operator, handlers: Handlers, still: Still) -> schemas.Row:
    """Close the conversation as done."""
    return schemas.row(await handlers.resolve(id, operator, still))


@get("/api/events", responses=_answers(401), media_type="text/event-stream")
async def events(operator: Operator, request: Req, door: Door, hub: EventHub) -> Stream:
    """Changes as they happen: `conversation` (its row), `message` (a new line), `typing`.

    The stream ends within five seconds of the login.
    """
    token = request.cookies.get(COOKIE, "")

    async def still_welcome() -> bool:
        return await door.accounts.who(token) == operator

    headers = {"X-Accel-Buffering": "no"}
    return Stream(hub.listen(still_welcome), media_type="text/event-stream", headers=headers)


def build(
    desk: Callable[[], Desk], hub: EventHub, handlers: Callable[[], Handlers], door: Callable[[], Door]
) -> Litestar:
    """The ASGI application."""

    async def operator(request: Req, door: Door) -> Operator:
        token = request.cookies.get(COOKIE)
        found = await door.accounts.who(token) if token else None
        if found is None:
            raise NotAuthorizedException("log in first")
        return found

    async def still(request: Req, door: Door) -> Still:
        async def confirm() -> None:
            await operator(request, door)

        return confirm

    return Litestar(
        route_handlers=[
            *(login, logout, me, conversations, conversation, events),
            *(claim, say, typing, handback, transfer, resolve),
            *pages(),
        ],
        dependencies={
            "desk": Provide(desk, sync_to_thread=False),
            "hub": Provide(lambda: hub, sync_to_thread=False),
            "handlers": Provide(handlers, sync_to_thread=False),
            "door": Provide(door, sync_to_thread=False),
            "operator": Provide(operator),
            "still": Provide(still),
        },
        exception_handlers={Exception: _problem},
        request_max_body_size=MAX_BODY,
        openapi_config=OpenAPIConfig(
            title="Switchboard: operator",
            version=VERSION,
            path="/docs",
            render_plugins=[OfflineSwagger()],
            components=Components(
                security_schemes={
                    "cookie": SecurityScheme(type="apiKey", name=COOKIE, security_scheme_in="cookie")
                }
            ),
            security=[{"cookie": []}],
        ),
        logging_config=None,
        debug=False,
    )


def _cookie(request: Req, value: str, seconds: int) -> Cookie:
    return Cookie(
        key=COOKIE,
        value=value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.scope["scheme"] == "https",
    )


def _problem(request: Req, error: Exception) -> Response[schemas.ProblemDetail]:
    """The answer to whatever went wrong; what is unforeseen goes to our log, never to the client."""
    status, problem, headers = 503, schemas.ProblemDetail(error=str(error)), {"Retry-After": "1"}
    match error:
        case NotFound():
            status, problem, headers = 404, schemas.ProblemDetail(error="no such conversation"), {}
        case CommandRefused(why=why):
            status, headers = 409, {}
            problem = schemas.ProblemDetail(
                error=why.error, operator=why.operator or None, operator_name=why.operator_name or None
            )
        case IdReused():
            status, headers = 409, {}
        case NoSuchState():
            status, headers = 422, {}
        case TooMany(seconds=seconds):
            status, headers = 429, {"Retry-After": str(seconds)}
        case Full():
            status = 507
        case DeskError():
            log.error("desk_unusable", error=str(error))
            problem = schemas.ProblemDetail(error="the lists cannot be read now, try again")
        case LogError() | Busy() | Unavailable():
            log.warning("out_of_reach", error=str(error))
            problem = schemas.ProblemDetail(error="the log does not answer in time, try again")
        case HTTPException():
            status, problem = error.status_code, schemas.ProblemDetail(error=_words(error))
            headers = dict(error.headers or {})
        case _:
            log.error("request_failed", exc_info=error)
            status, problem, headers = 500, schemas.ProblemDetail(error="internal error"), {}
    return Response(problem, status_code=status, headers=headers, media_type=MediaType.JSON)


def _words(error: HTTPException) -> str:
    """What a client may know of a bad request: which field, not which code."""
    if error.status_code >= 500:
        return "internal error"
    extra = error.extra if isinstance(error.extra, list) else []
    fields = [f"{item.get('key', '')}: {item.get('message', '')}" for item in extra if isinstance(item, dict)]
    return "; ".join(fields) or error.detail
