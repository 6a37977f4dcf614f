"""The REST door: a message is posted, its answer comes as server-sent events (docs/rest.md).

A session's id is the secret that lets its holder in. It is in no log line, metric, or error: those
name the conversation, which is derived from it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from time import time
from typing import Annotated, Any, cast
from urllib.parse import unquote

import structlog
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.enums import MediaType
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, Example, SecurityScheme
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter
from litestar.types import ASGIApp
from msgspec.structs import replace
from prometheus_client import Counter

from services.proxy.admission import Admission, Refusal
from services.proxy.domain.connect_params import flow_name, languages
from services.proxy.domain.limits import MAX_BODY, MAX_TEXT
from services.proxy.domain.tokens import BadToken, Holder, Tokens
from services.proxy.hub import Hub
from services.proxy.rest_sessions import Overtaken, RestSession, RestSessions, TurnOpen
from services.proxy.settings import ProxySettings
from services.proxy.transports import rest_schemas as wire
from services.proxy.transports.docs import pages
from services.proxy.transports.event_stream import EventStream
from services.proxy.transports.rest_middleware import RestMiddleware
from shared.contract.entry import EntryTooLarge
from shared.contract.facts import ConversationStarted
from shared.contract.subjects import conversation_of
from shared.contract.visible import cleaned
from shared.eventlog.errors import Full, LogError, Unknown
from shared.service.health import VERSION, Health, Receive, Scope, Send
from shared.service.pace import Pace

log = structlog.get_logger()

#: The door's name: part of how a conversation is derived from a secret. Fixed for ever.
DOOR = "rest"
#: What is served here; the rest of the proxy's paths is not this door's.
PREFIXES = ("/sessions/", "/docs", "/redoc", "/schema/openapi.json")

#: In the scope of a request in whose path slashes and percent signs of names are still encoded.
_ENCODED = "switchboard.encoded"

Req = Request[Any, Any, Any]
UserId = Annotated[str, PathParameter(min_length=1, max_length=256, description="who the visitor is to you")]
SessionId = Annotated[str, PathParameter(description="of the answer to the session's first message")]
LastEventId = Annotated[
    str, HeaderParameter(name="Last-Event-ID", description="go on after this event", required=False)
]
FlowName = Annotated[
    str,
    QueryParameter(pattern=r"^[A-Za-z0-9_.-]{0,64}$", description="the flow of a new session, by its name"),
]
Language = Annotated[str, QueryParameter(description="the language of a new session, as `de`")]


class NoSession(Exception):
    """There is no such session, or it is another user's."""


class TooMuch(Exception):
    """A limit is reached."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


class RestDoor:
    """An ASGI application; ``tokens`` says whether its clients must show one."""

    def __init__(
        self, hub: Hub, admission: Admission, tokens: Tokens, settings: ProxySettings, health: Health
    ) -> None:
        self._hub = hub
        self._admission = admission
        self._tokens = tokens
        self._flow = settings.rest_flow
        self._health = health
        self._rooms = RestSessions(hub, settings.turn_seconds)
        health.on_drain(self._rooms.notify)  # a stream that waits would hold up the end of the process
        admission.open.labels(DOOR)
        self._requests = Counter(
            "switchboard_rest_requests_total",
            "Requests by how they ended",
            ["status"],
            registry=health.registry,
        )
        self._gate = RestMiddleware(_build(self), admission, DOOR)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path") or b""
        if b"%2f" in raw.lower():  # decoded, it would make two parts of the path of one name
            scope = {**scope, "path": _apart(raw.decode("latin-1")), _ENCODED: True}
        await self._gate(scope, receive, send)

    def user(self, request: Req) -> str | None:
        """Whose token the request shows; None where none is asked for. Raises `BadToken`."""
        holder = self.holder(request)
        return holder.user if holder is not None else None

    def holder(self, request: Req) -> Holder | None:
        """The same, and until when that counts. Raises `BadToken`."""
        if not self._tokens.required:
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise BadToken("send a token: Authorization: Bearer ...")
        return self._tokens.holder(token.strip())

    async def begin(self, request: Req, new: wire.NewMessage, flow: str, language: str) -> str:
        """Begin a session with its first message; the session's id."""
        self._limit(self._admission.connect(self._address(request), DOOR))
        session = str(uuid.uuid4())
        conversation = conversation_of(session, DOOR)
        started = ConversationStarted(
            door=DOOR,
            flow=flow_name(flow, self._flow),
            language=languages(language, request.headers.get("accept-language", "")),
            user=new.user_id,
        )
        self._limit(self._admission.message(conversation, DOOR))
        room = self._rooms.new(conversation)
        try:
            await room.begin(str(uuid.uuid4()), started)
            await room.first(str(uuid.uuid4()), new.message)
        finally:
            self._rooms.leave(room)
        return session

    async def say(self, request: Req, new: wire.NewMessage, session: str) -> None:
        """One more message of the session."""
        room = await self.enter(request, session, new.user_id, current=False)
        try:
            self._limit(self._admission.message(room.conversation, DOOR))
            await room.say(str(uuid.uuid4()), new.message)
        finally:
            self._rooms.leave(room)

    async def enter(self, request: Req, session: str, user: str | None, current: bool = True) -> RestSession:
        """The session's room; `leave` must follow. Raises `NoSession`, the same for every reason."""
        conversation = conversation_of(session, DOOR)
        room = await self._rooms.enter(conversation, current)
        begun = room.turns.state.visit.begun
        if not room.turns.state.visit.started or begun.door != DOOR or user not in (None, begun.user):
            self._rooms.leave(room)
            # Whoever guesses is slowed down; whoever comes back to a session is not.
            self._limit(self._admission.connect(self._address(request), DOOR))
            raise NoSession
        return room

    def leave(self, room: RestSession) -> None:
        self._rooms.leave(room)

    async def stream(self, request: Req, session: str, last_event_id: str) -> EventStream:
        """The session's events from here on."""
        holder = self.holder(request)
        room = await self.enter(request, session, holder.user if holder is not None else None)
        address = self._address(request)
        refusal = self._admission.connect(address, DOOR) or self._admission.enter(
            DOOR, room.conversation, address
        )
        if refusal is not None:
            self._rooms.leave(room)
            raise TooMuch(refusal)

        def left() -> None:
            self._admission.leave(DOOR, room.conversation, address)
            self._rooms.leave(room)

        until = holder.until if holder is not None else None
        return EventStream(
            room,
            session,
            self._hub.epoch(room.conversation),
            last_event_id,
            lambda: self._health.draining,
            left,
            until,
        )

    def _address(self, request: Req) -> str:
        return self._admission.address(cast(Scope, request.scope))

    @property
    def pace(self) -> Pace:
        return self._hub.pace

    def count(self, status: int) -> None:
        self._requests.labels(str(status)).inc()

    def _limit(self, refusal: Refusal | None) -> None:
        if refusal is not None:
            raise TooMuch(refusal)


def _answers(*statuses: int) -> dict[int, ResponseSpec]:
    """The problems of a route, for its description."""
    told = {
        400: "not of the form that is described",
        401: "a token is required, and this is none that counts",
        403: "the token, or the page that asks, is not allowed here",
        404: "there is no such session, or it is another user's",
        409: "a turn is open: wait for its answer",
        413: "the message is too long",
        429: "a limit is reached: come back after `Retry-After` seconds",
        503: "the log is out of reach: try again after `Retry-After` seconds",
        507: "the log is full",
    }
    return {
        status: ResponseSpec(wire.Problem, generate_examples=False, description=told[status])
        for status in (*statuses, 401, 403, 429, 503)
    }


@post("/sessions/{user_id:str}/messages", status_code=200, responses=_answers(400, 404, 409, 413, 507))
async def send_message(
    user_id: UserId,
    data: JSONBody[wire.NewMessage],
    request: Req,
    flow: FlowName = "",
    lang: Language = "",
) -> wire.Accepted:
    """Send a message; its answer comes on the session's stream. Without `session_id` a session begins."""
    door = _door(request)
    holder = door.holder(request)
    user = holder.user if holder is not None else None
    user_id = unquote(user_id) if _ENCODED in request.scope else user_id
    if data.user_id != user_id:
        raise HTTPException("user_id is one in the path and another in the body", status_code=400)
    if user not in (None, user_id):
        raise HTTPException("the token is another user's", status_code=403)
    if cleaned(user_id) != user_id:
        raise HTTPException("user_id holds control characters, or nothing that shows", status_code=400)
    if len(data.message.encode()) > MAX_TEXT:
        raise HTTPException(f"the message is longer than {MAX_TEXT // 1024} KiB", status_code=413)
    data = replace(data, message=cleaned(data.message))
    if not data.message:
        raise HTTPException("the message is empty", status_code=400)
    # While the log is out of reach a message is tried for seconds: not beyond the token's end.
    left = max(holder.until - time(), 0.0) if holder is not None else None
    try:
        async with asyncio.timeout(left) as limit:
            session = data.session_id
            if session:
                await door.say(request, data, session)
            else:
                session = await door.begin(request, data, flow, lang)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise BadToken(
            "the token has expired; whether the message was stored before is shown by the session"
        ) from error
    return wire.accepted(session)


_EVENTS: dict[int, ResponseSpec] = {
    200: ResponseSpec(
        wire.StreamEvent,
        generate_examples=False,
        media_type="text/event-stream",
        description="`token`s, `message_end`, `commit_done`; `error` where there is no answer",
        examples=[Example(value={"id": "WyI5.0.2.0", "event": "token", "data": "Hi"})],
    ),
    204: ResponseSpec(None, generate_examples=False, description="no turn is open, and nothing follows"),
}


@get("/sessions/{session_id:str}/stream", responses={**_EVENTS, **_answers(404)})
async def stream(session_id: SessionId, request: Req, last_event_id: LastEventId = "") -> ASGIApp:
    """The newest turn's answer, as it is made; with `Last-Event-ID`, what follows that event."""
    return await _door(request).stream(request, session_id, last_event_id)  # type: ignore[return-value]


@get("/sessions/{session_id:str}", responses=_answers(404))
async def show_session(session_id: SessionId, request: Req) -> wire.SessionAnswer:
    """The session with all its messages."""
    door = _door(request)
    room = await door.enter(request, session_id, door.user(request))
    try:
        answer = wire.session(session_id, room.turns, room.state)
        lines = tuple(room.turns.messages)  # those of this moment: a long list takes a while
    finally:
        door.leave(room)
    fill = answer.session.messages.append
    async for _ in door.pace.through(lines, lambda line: fill(wire.message(line))):
        pass
    return answer


def _apart(raw: str) -> str:
    """The path, decoded, except what would split it again, or be decoded twice."""
    parts = (unquote(part).replace("%", "%25").replace("/", "%2F") for part in raw.split("/"))
    return "/".join(parts)


def _door(request: Req) -> RestDoor:
    """Whose routes these are. Not injected: what is resolved for each request costs more than it saves."""
    return cast(RestDoor, request.app.state["door"])


def _build(door: RestDoor) -> Litestar:
    """The application that `RestDoor` wraps."""
    security: dict[str, Any] = {"token": []}
    return Litestar(
        route_handlers=[send_message, stream, show_session, *pages()],
        state=State({"door": door}),
        exception_handlers={Exception: _problem(door)},
        request_max_body_size=MAX_BODY,
        openapi_config=OpenAPIConfig(
            title="Switchboard: sessions",
            version=VERSION,
            description="Send a message, read its answer as server-sent events.",
            path="/schema",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            components=Components(
                security_schemes={
                    "token": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
                }
            ),
            security=[{}, security],
        ),
        logging_config=None,
        debug=False,
    )


def _problem(door: RestDoor) -> Callable[[Req, Exception], Response[wire.Problem]]:
    """The answer to whatever went wrong; what is unforeseen goes to our log, never to the client."""

    def answer(request: Req, error: Exception) -> Response[wire.Problem]:
        status, problem, headers = _told(error)
        door.count(status)
        return Response(problem, status_code=status, headers=headers, media_type=MediaType.JSON)

    return answer


def _told(error: Exception) -> tuple[int, wire.Problem, dict[str, str]]:
    match error:
        case NoSession():
            return 404, wire.Problem("there is no such session"), {}
        case TurnOpen():
            return 409, wire.Problem("wait for the answer to your last message", error.state), {}
        case TooMuch(refusal=refusal):
            return 429, wire.Problem(refusal.text), {"Retry-After": str(refusal.retry_after_seconds)}
        case BadToken():
            return 401, wire.Problem(str(error)), {"WWW-Authenticate": "Bearer"}
        case RecursionError():
            return 400, wire.Problem("the body is nested too deep"), {}
        case UnicodeDecodeError():
            return 400, wire.Problem("the body is not UTF-8"), {}
        case EntryTooLarge():
            return 413, wire.Problem("the message is too long"), {}
        case Full():
            return 507, wire.Problem("the log is full"), {}
        case Unknown():
            log.warning("append_unknown", error=str(error))
            text = "no answer from the log: the message may or may not be stored, look at the session"
            return 503, wire.Problem(text), {"Retry-After": "1"}
        case Overtaken() | LogError():
            log.warning("log_out_of_reach", error=str(error))
            return 503, wire.Problem("the log cannot be reached, try again"), {"Retry-After": "1"}
        case HTTPException():
            return error.status_code, wire.Problem(_words(error)), dict(error.headers or {})
        case _:
            log.error("request_failed", exc_info=error)
            return 500, wire.Problem("internal error"), {}


def _words(error: HTTPException) -> str:
    """What a client may know of a bad request: which field, not which code."""
    if error.status_code >= 500:
        return "internal error"
    extra = error.extra if isinstance(error.extra, list) else []
    fields = [f"{item.get('key', '')}: {item.get('message', '')}" for item in extra if isinstance(item, dict)]
    if "data: 'data'" in fields:  # Litestar's words for an empty body
        return "send the message as JSON"
    return "; ".join(fields) or error.detail
