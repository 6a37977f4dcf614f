"""The Socket.IO doors: python-socketio around sans-I/O talks, one kind for chats and one for agents.

python-socketio keeps the protocol's state. Each packet is looked at before it is let through
(`domain.packets`), what a client has not taken yet stays with its `SocketioClient`, and fan-out is by the
log's feed alone: rooms and queues of the library have no bound, and end with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Coroutine, Mapping
from time import monotonic, time
from typing import Any
from urllib.parse import parse_qs

import msgspec
import socketio
import structlog
from engineio.payload import Payload
from socketio.exceptions import ConnectionRefusedError as ConnectRefused

from services.proxy.admission import Admission, BodyRefused, Refusal, refuse
from services.proxy.domain import close_codes, packets
from services.proxy.domain.agent_session import AgentTalk, EngagementRefused
from services.proxy.domain.close_codes import CloseCode
from services.proxy.domain.connect_params import flow_name, languages
from services.proxy.domain.limits import MAX_FRAME
from services.proxy.domain.socketio_chat import Chat, session_id
from services.proxy.hub import Hub
from services.proxy.settings import ProxySettings
from services.proxy.transports.agents import AgentGate
from services.proxy.transports.socketio_client import Opening, SocketioClient
from shared.contract.facts import ConversationStarted
from shared.contract.subjects import conversation_of
from shared.service.health import Health, Receive, Scope, Send, respond

log = structlog.get_logger()

#: The doors' names. The chat's is part of how a conversation is derived from a secret: fixed for ever.
DOOR = "socketio"
AGENTS = "agents"
PATH = "/socket.io"
#: Packets of one polled body.
MAX_PACKETS = 100
#: Packets that mean nothing, from a client that has not introduced itself.
MAX_FAULTS = 10
#: How long a close may take (seconds).
CLOSE_SECONDS = 5.0
#: How often clients are looked for that connect and say nothing (seconds).
SWEEP_SECONDS = 1.0

Auth = Mapping[str, Any]


class _Manners:
    """What a transport's client has done that costs us something though it is no event."""

    def __init__(self, upgrades: bool) -> None:
        self.upgrades = upgrades  # whether it may say once that it goes on by WebSocket
        self.introduced = False
        self.answered = 0.0  # the ping that it answered last


class _Wire:
    """A WebSocket that carries packets."""

    def __init__(self, send: Send, upgrades: bool) -> None:
        self._send = send
        self.manners = _Manners(upgrades)
        self.closed = False
        self.faults = 0
        self.session = ""  # of Engine.IO, once it is known

    async def close(self, closing: CloseCode) -> None:
        self.closed = True
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                message = {"type": "websocket.close", "code": closing.code, "reason": closing.reason}
                await self._send(message)


class _Line:
    """How a client is reached: python-socketio's session, and the WebSocket below it, if any."""

    def __init__(self, door: SocketIoDoor, session: str, sid: str) -> None:
        self._door = door
        self._session = session
        self._sid = sid

    async def emit(self, event: str, data: dict[str, Any]) -> None:
        await self._door.sio.emit(event, data, to=self._sid)

    async def taken(self) -> None:
        socket = self._door.sio.eio.sockets.get(self._session)
        if socket is not None:
            await socket.queue.join()

    async def hang_up(self, closing: CloseCode) -> None:
        await self._door.hang_up(self._session, closing)


class SocketIoDoor:
    """An ASGI application for everything below ``/socket.io``."""

    def __init__(
        self, hub: Hub, admission: Admission, gate: AgentGate, settings: ProxySettings, health: Health
    ) -> None:
        self._hub = hub
        self._admission = admission
        self._gate = gate
        self._flow = settings.socketio_flow
        self._clients: dict[str, tuple[SocketioClient, Callable[[], None]]] = {}  # by Engine.IO session
        self._wires: dict[str, _Wire] = {}
        self._polling: set[str] = set()
        self._manners: dict[str, _Manners] = {}  # of sessions that poll
        self._silent: dict[str, float] = {}  # sessions without a client, and since when
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        Payload.max_decode_packets = MAX_PACKETS
        self.sio = socketio.AsyncServer(
            async_mode="asgi",
            cors_allowed_origins=lambda origin, environ: admission.origin_ok(environ["asgi.scope"], DOOR),
            max_http_buffer_size=MAX_FRAME,
            http_compression=False,  # compressed secrets can be guessed (BREACH)
            ping_interval=settings.ping_seconds,
            ping_timeout=settings.ping_seconds,
            json=_Json,
            logger=_library_log(),
            engineio_logger=_library_log(),
        )
        self.sio.on("connect", self._connect)
        self.sio.on("disconnect", self._disconnect)
        self.sio.on("*", self._event)
        for door in (DOOR, AGENTS):
            admission.begin(door)
        health.on_drain(self._drain_all)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        query = parse_qs(scope["query_string"].decode("latin-1"))
        session = query.get("sid", [""])[0]
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send, session)
            return
        send = _varying(send)
        if not self._admission.origin_ok(scope, DOOR):
            await respond(send, 403, b'{"error":"this origin is not allowed here"}')
        elif "j" in query:
            await respond(send, 400, b'{"error":"JSONP is not spoken here"}')
        elif scope["method"] == "POST":
            await self._post(scope, receive, send, session)
        elif scope["method"] == "GET":
            await self._poll(scope, receive, send, session)
        else:
            await self.sio.handle_request(scope, receive, send)

    async def drain(self) -> None:
        """Wait until what the clients sent is stored, and end the library's own work."""
        here = (client.stored() for client, _ in tuple(self._clients.values()))
        await asyncio.gather(*here, *self._tasks)
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.sio.shutdown()

    # --- the two transports ---

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, session: str) -> None:
        wire = _Wire(send, upgrades=bool(session))
        if not self._admission.origin_ok(scope, DOOR):
            await receive()
            await send({"type": "websocket.close"})  # before the upgrade: HTTP 403
            return
        if not session and (refusal := self._admission.connect(self._admission.address(scope), DOOR)):
            await receive()
            await send({"type": "websocket.accept"})  # a code reaches the client through an open socket only
            await wire.close(close_codes.too_many(*refusal))
            return
        scope["switchboard.wire"] = wire
        if session:
            wire.session = session
            self._wires[session] = wire
        deadline = asyncio.get_running_loop().call_later(
            self._admission.handshake_seconds, self._introduced, wire
        )
        try:
            address = self._admission.address(scope)
            await self.sio.handle_request(scope, self._screened(wire, address, receive), send)
        finally:
            deadline.cancel()
            if self._wires.get(wire.session) is wire:
                del self._wires[wire.session]

    def _screened(self, wire: _Wire, address: str, receive: Receive) -> Receive:
        """What comes in, without what python-socketio should not see."""

        async def screened() -> dict[str, Any]:
            while True:
                message = await receive()
                if message["type"] != "websocket.receive":
                    return message
                if wire.closed:  # a client that goes on after the farewell
                    return {"type": "websocket.disconnect", "code": 1005}
                text = message.get("text")
                problem = "binary is not spoken here: send JSON" if text is None else packets.problem(text)
                if problem is None and text is not None:
                    if not self._heeded(text, wire.session, wire.manners):
                        continue
                    if (refusal := self._introduction(text, wire.session, wire.manners, address)) is None:
                        return message
                    if isinstance(refusal, Refusal):
                        await wire.close(close_codes.too_many(*refusal))
                        continue
                    problem = refusal
                self._complain(wire.session, problem or packets.NOT_SPOKEN)
                wire.faults += 1
                if wire.session not in self._clients and wire.faults > MAX_FAULTS:
                    await wire.close(close_codes.NOT_A_FRAME)

        return screened

    def _heeded(self, text: str, session: str, manners: _Manners) -> bool:
        """Whether python-socketio should see a packet of Engine.IO.

        For each of these it queues an answer, or starts a task, whether the client reads or not: so only
        an upgrade that is due, and one pong for a ping.
        """
        if text == "5":
            upgrades, manners.upgrades = manners.upgrades, False
            return upgrades
        if text == "3":
            socket = self.sio.eio.sockets.get(session)
            pinged = socket.last_ping if socket is not None else None
            due = pinged is not None and pinged != manners.answered
            manners.answered = pinged or manners.answered
            return due
        return text not in ("2", "6")

    def _introduction(self, text: str, session: str, manners: _Manners, address: str) -> Refusal | str | None:
        """Why a connect packet is not let through. The first is free, any other counts as a connect."""
        if not text.startswith("40"):
            return None
        if session in self._clients:
            return "this connection is introduced already"
        introduced, manners.introduced = manners.introduced, True
        return self._admission.connect(address, DOOR) if introduced else None

    async def _post(self, scope: Scope, receive: Receive, send: Send, session: str) -> None:
        try:
            body = await self._admission.body(receive)
            each = body.decode().split(packets.SEPARATOR)
        except BodyRefused as error:
            await respond(send, error.status, msgspec.json.encode({"error": str(error)}))
            return
        except UnicodeDecodeError:
            await respond(send, 400, b'{"error":"the body is not UTF-8"}')
            return
        if len(each) > MAX_PACKETS:
            await respond(send, 400, b'{"error":"too many packets at once"}')
            return
        if session not in self.sio.eio.sockets or self.sio.eio.sockets[session].closed:
            await respond(send, 400, b'{"error":"there is no such session, or it has ended"}')
            return
        manners = self._manners.setdefault(session, _Manners(upgrades=False))
        kept = []
        for text in each:
            problem = packets.problem(text)
            if problem is None:
                refusal = self._introduction(text, session, manners, self._admission.address(scope))
                if isinstance(refusal, Refusal):
                    await refuse(send, refusal)
                    return
                problem = refusal
            if problem is not None:
                self._complain(session, problem)
            elif self._heeded(text, session, manners):
                kept.append(text)
        body = packets.SEPARATOR.join(kept).encode()
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        told = False

        async def again() -> dict[str, Any]:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        socket = self.sio.eio.sockets.get(session)
        await self.sio.handle_request({**scope, "headers": headers}, again, send)
        if socket is not None and socket.closed:
            socket.queue.put_nowait(None)  # else a poll that waits would wait on, and hold its connection

    async def _poll(self, scope: Scope, receive: Receive, send: Send, session: str) -> None:
        if not session:
            if refusal := self._admission.connect(self._admission.address(scope), DOOR):
                await refuse(send, refusal)
                return
            await self.sio.handle_request(scope, receive, send)
            return
        if session in self._polling:  # the protocol allows one at a time
            await respond(send, 400, b'{"error":"this session polls already"}')
            return
        self._polling.add(session)
        try:
            await self.sio.handle_request(scope, receive, send)
        finally:
            self._polling.discard(session)

    # --- python-socketio's events ---

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Auth | None = None) -> None:
        scope: Scope = environ["asgi.scope"]
        session: str = self.sio.manager.eio_sid_from_sid(sid, "/")
        wire: _Wire | None = scope.get("switchboard.wire")
        if wire is not None:
            wire.session = session
            self._wires[session] = wire
        auth = auth or {}
        door = DOOR
        openings: list[Opening] = []  # none: a user without an agent is ignored
        until = None
        if auth.get("agent") is not None:
            door = AGENTS
            opening, until = self._engagement(auth, scope)
            openings = [opening]
        elif auth.get("user") is None:
            openings = self._chats(auth, scope)
        address = self._admission.address(scope)
        visitor = openings[0].conversation if openings else address
        client = SocketioClient(
            self._hub,
            self._admission,
            door,
            _Line(self, session, sid),
            visitor,
            openings,
        )
        refusal = self._admission.enter(door, visitor, address)
        leave = _nothing if refusal else lambda: self._admission.leave(door, visitor, address)
        self._clients[session] = (client, leave)
        self._silent.pop(session, None)
        if refusal is not None:
            client.close(close_codes.too_many(*refusal), refusal.text)
        else:
            client.open()
            if until is not None:
                client.expire(until - time())

    async def _disconnect(self, sid: str, reason: str) -> None:
        session: str = self.sio.manager.eio_sid_from_sid(sid, "/")
        client, leave = self._clients.pop(session, (None, _nothing))
        leave()
        if client is not None:
            client.gone()
            self._spawn(client.stored())

    async def _event(self, event: str, sid: str, *arguments: Any) -> dict[str, Any] | None:
        session: str = self.sio.manager.eio_sid_from_sid(sid, "/")
        client, _ = self._clients.get(session, (None, None))
        if client is None:
            return None
        return await client.receive(event, arguments[0] if len(arguments) == 1 else None)

    def _engagement(self, auth: Auth, scope: Scope) -> tuple[Opening, float | None]:
        """What the client engages, and until when."""
        try:
            engaged, conversation, until = self._gate.let_in(auth, scope)
        except EngagementRefused as error:
            log.info("engagement_refused", reason=str(error))
            raise ConnectRefused(str(error)) from error
        return Opening(conversation, AgentTalk(engaged, self._hub.epoch(conversation)), new=False), until

    def _chats(self, auth: Auth, scope: Scope) -> list[Opening]:
        """The session that the client wants to resume, if there is one; and a new one."""
        begin = _begin(auth, scope, self._flow)
        cursor = auth.get("cursor")
        known = session_id(auth.get("session_id"))
        secrets = [known, str(uuid.uuid4())] if known else [str(uuid.uuid4())]
        openings = []
        for secret in secrets:
            conversation = conversation_of(secret, DOOR)
            epoch = self._hub.epoch(conversation)
            chat = Chat(secret, epoch, begin, cursor if isinstance(cursor, str) else None)
            openings.append(Opening(conversation, chat, new=secret is secrets[-1]))
        return openings

    # --- the end of a session ---

    async def hang_up(self, session: str, closing: CloseCode) -> None:
        """Close what carries the session; its client may begin another."""
        client, _ = self._clients.get(session, (None, None))
        self._admission.closed(client.door if client is not None else DOOR, closing)
        wire = self._wires.get(session)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.sio.eio.disconnect(session)  # which waits until the client has taken it
        if wire is not None:
            await wire.close(closing)

    def _complain(self, session: str, problem: str) -> None:
        client, _ = self._clients.get(session, (None, None))
        if client is not None:
            client.complain(problem)

    def _introduced(self, wire: _Wire) -> None:
        if wire.session not in self._clients:
            self._spawn(wire.close(close_codes.NOT_ALLOWED._replace(reason="no connect packet came in time")))

    async def _sweep(self) -> None:
        """End sessions whose client never introduced itself, or said goodbye and stayed."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = monotonic()
            sessions = self.sio.eio.sockets
            for session in [each for each in self._manners if each not in sessions]:
                del self._manners[session]
            for session in [each for each in self._silent if each not in sessions]:
                del self._silent[session]
            for session in [each for each in sessions if each not in self._clients]:
                if now - self._silent.setdefault(session, now) > self._admission.handshake_seconds:
                    del self._silent[session]
                    self._spawn(self.hang_up(session, close_codes.NOT_ALLOWED))

    def _drain_all(self) -> None:
        for client, _ in tuple(self._clients.values()):
            client.close(close_codes.RESTARTING)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _varying(send: Send) -> Send:
    """Answers that say that they depend on who asks: a cache would hand one page's to another's."""

    async def varying(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"vary", b"Origin")]}
        await send(message)

    return varying


def _begin(auth: Auth, scope: Scope, otherwise: str) -> ConversationStarted:
    asked, wanted = auth.get("flow"), auth.get("lang")
    flow = flow_name(asked if isinstance(asked, str) else "", otherwise)
    accepted = b", ".join(value for name, value in scope["headers"] if name == b"accept-language")
    language = languages(wanted if isinstance(wanted, str) else "", accepted.decode("latin-1"))
    return ConversationStarted(door=DOOR, flow=flow, language=language)


def _nothing() -> None:
    """There is no place to give back."""


class _Json:
    """JSON for python-socketio: strict, and no deeper than can be read."""

    @staticmethod
    def dumps(data: Any, **options: Any) -> str:
        return msgspec.json.encode(data).decode()

    @staticmethod
    def loads(text: str, **options: Any) -> Any:
        try:
            return msgspec.json.decode(text)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


class _OneLine(logging.Handler):
    """The library's errors in one line: its own words hold session ids, and its traces help nobody."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            log.warning("socketio_error", error=repr(record.exc_info[1])[:200])


def _library_log() -> logging.Logger:
    logger = logging.getLogger("switchboard.socketio")
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(_OneLine())
    return logger
