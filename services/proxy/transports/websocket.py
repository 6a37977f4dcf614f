"""The WebSocket door: raw ASGI around a sans-I/O `Session`.

The receive loop only drains (while it waits, uvicorn leaves pongs unread); appending, and sending to
who is slow to read, run in short-lived tasks of their own, so an idle socket holds one task. Where the
server offers the `Direct` way, texts come and go without any.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import secrets
from collections.abc import Iterable, Iterator
from time import monotonic
from urllib.parse import parse_qs

import structlog
from prometheus_client import Counter

from services.proxy.domain import closings, frames
from services.proxy.domain.closings import Closing
from services.proxy.domain.drafts import Draft
from services.proxy.domain.opening import flow_name, languages
from services.proxy.domain.session import BEGIN, Append, Listen, Output, Send, Session, Typed
from services.proxy.edge import FULL_SECONDS, Edge
from services.proxy.hub import Foreign, Hub
from services.proxy.settings import ProxySettings
from shared.contract import cursor as cursors
from shared.contract.entry import EntryTooLarge, Recorded
from shared.contract.facts import ConversationStarted
from shared.contract.subjects import conversation_of
from shared.runtime.log import Conflict, Full, IdReused, LogError
from shared.runtime.protocols import DIRECT, Direct
from shared.runtime.vitals import Receive, Scope, Vitals
from shared.runtime.vitals import Send as AsgiSend

log = structlog.get_logger()

#: The door's name: part of how a conversation is derived from a secret. Fixed for ever.
DOOR = "websocket"
#: What a reader that is too slow may leave unread before it is closed.
MOST_UNREAD_FRAMES = 2_000
MOST_UNREAD_BYTES = 1024 * 1024
#: How long the first frames may take to be written (seconds).
WRITE_SECONDS = 30.0
#: What of them is written in one piece (characters).
PIECE = 32 * 1024
#: Messages of one socket that wait to be stored.
MOST_PENDING = 100

#: How an append may end, as the metrics name it.
APPENDS = ("stored", "conflict", "id_reused", "foreign", "too_large", "full", "unknown")

_SECRET = re.compile(r"[0-9a-f]{32}")


class WebSocketDoor:
    """Accepts sockets and runs one `_Channel` for each."""

    def __init__(self, hub: Hub, edge: Edge, settings: ProxySettings, vitals: Vitals) -> None:
        self._hub = hub
        self.edge = edge
        self._settings = settings
        self.flow = settings.websocket_flow
        self._vitals = vitals
        self._channels: set[_Channel] = set()
        registry = vitals.registry
        edge.open.labels(DOOR)
        self.closed = Counter(
            "switchboard_sockets_closed_total", "Sockets closed by the server", ["code"], registry=registry
        )
        appended = Counter(
            "switchboard_appends_total", "Appends by how they ended", ["outcome"], registry=registry
        )
        self.appended = {outcome: appended.labels(outcome) for outcome in APPENDS}

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        await receive()  # websocket.connect
        if scope["path"] not in ("/", "/ws") or not self.edge.origin_ok(scope, DOOR):
            await send({"type": "websocket.close"})  # before the upgrade: HTTP 403
            return
        secret = _secret(_header(scope, b"cookie"), self._settings.cookie_name)
        new = secret is None
        if secret is None:
            secret = secrets.token_hex(16)
        modern = frames.SUBPROTOCOL in scope["subprotocols"]
        conversation = conversation_of(secret, DOOR)
        address = self.edge.address(scope)
        # The place is taken before the socket is accepted: of two at once, one gets the last.
        refusal = self.edge.connect(address, DOOR) or self.edge.enter(DOOR, conversation, address)
        if refusal is not None:
            await send(self._accept(scope, secret, new))  # a code needs an open socket to reach the client
            await _close(send, closings.too_many(*refusal))
            self.closed.labels(str(closings.TOO_MANY.code)).inc()
            return
        try:
            await send(self._accept(scope, secret, new))
            cursor = cursors.decode(_asked(scope, "cursor")) if modern else None
            direct: Direct | None = scope.get("extensions", {}).get(DIRECT)
            session = Session(self._hub.epoch, modern, cursor, self._hub.flows.ids)
            channel = _Channel(self, self._hub, conversation, session, send, direct)
            self._channels.add(channel)
            try:
                await channel.run(receive, scope, new)
            finally:
                self._channels.discard(channel)
        finally:
            self.edge.leave(DOOR, conversation, address)

    async def drain(self) -> None:
        """Wait until what the clients sent is stored."""
        await asyncio.gather(*(channel.stored() for channel in tuple(self._channels)))

    def _accept(self, scope: Scope, secret: str, new: bool) -> dict[str, object]:
        cookie = (b"set-cookie", self._cookie(secret, scope["scheme"] == "wss"))
        return {
            "type": "websocket.accept",
            "subprotocol": frames.SUBPROTOCOL if frames.SUBPROTOCOL in scope["subprotocols"] else None,
            "headers": [cookie] if new else [],
        }

    def _cookie(self, secret: str, encrypted: bool) -> bytes:
        settings = self._settings
        parts = [
            f"{settings.cookie_name}={secret}",
            f"Path={settings.cookie_path}",
            f"SameSite={settings.cookie_samesite.capitalize()}",
            "Max-Age=31536000",
        ]
        if settings.cookie_domain:
            parts.append(f"Domain={settings.cookie_domain}")
        if settings.cookie_httponly:
            parts.append("HttpOnly")
        if settings.cookie_secure == "yes" or (settings.cookie_secure == "auto" and encrypted):
            parts.append("Secure")
        return "; ".join(parts).encode()


class _Channel:
    """One open socket: the session, and what is on its way in both directions."""

    __slots__ = (  # there are thousands of these, most of them idle
        *("_door", "_hub", "_conversation", "_session", "_send", "_direct", "_early"),
        *("_unread", "_unread_bytes", "_writer", "_pending", "_append", "_closer", "_closing"),
        "_typed",
    )

    def __init__(
        self,
        door: WebSocketDoor,
        hub: Hub,
        conversation: str,
        session: Session,
        send: AsgiSend,
        direct: Direct | None,
    ) -> None:
        self._door = door
        self._hub = hub
        self._conversation = conversation
        self._session = session
        self._send = send
        self._direct = direct
        self._early: list[Recorded] | None = []  # what came live while the history was fetched
        self._unread: list[str] = []  # an empty deque has 600 bytes
        self._unread_bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._pending: list[Append] = []
        self._append: asyncio.Future[int] | None = None  # of the first that is pending
        self._closer: asyncio.Task[None] | None = None
        self._closing: Closing | None = None
        self._typed = 0.0

    async def run(self, receive: Receive, scope: Scope, new: bool) -> None:
        """Serve the socket until either side closes it."""
        if not self._hub.serving:
            await self.close(closings.NO_LOG)
            return
        try:
            try:
                # Not kept in a name: it would live as long as the socket.
                await self._greet(await self._hub.join(self._conversation, self, new), scope)
            except (LogError, TimeoutError) as error:
                slow = isinstance(error, TimeoutError)
                await self.close(closings.TOO_SLOW if slow else closings.NO_LOG)
                return
            await self._listen(receive)
        except OSError:  # the client went while we wrote
            pass
        finally:
            self._hub.leave(self._conversation, self)
            if self._direct is not None:
                self._direct.hear = None
            if self._writer is not None:
                self._writer.cancel()
            if self._closer is not None:
                await asyncio.wait([self._closer])
            await self.stored()

    def _begin(self, scope: Scope) -> ConversationStarted:
        """How a new visitor's conversation begins: as the page asks, else as this door does."""
        asked = _asked(scope, "flow")
        flow = flow_name(asked, self._door.flow)
        if asked and flow != asked:
            log.info("flow_ignored", asked=asked[:100])
        language = languages(_asked(scope, "lang"), _header(scope, b"accept-language"))
        return ConversationStarted(door=DOOR, flow=flow, language=language)

    async def _greet(self, history: list[Recorded], scope: Scope) -> None:
        """Send what the client lacks, at the client's own pace; what comes live waits its turn."""
        output = self._session.resume(history, _new_id(), BEGIN if history else self._begin(scope))
        texts = [item.text for item in output if isinstance(item, Send)]
        if texts:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._send_all(texts)
        early, self._early = self._early, None
        self._act([item for item in output if not isinstance(item, Send)])
        for recorded in early or ():
            self._act(self._session.follow(recorded))

    async def _send_all(self, texts: list[str]) -> None:
        for piece in _pieces(texts):
            if self._direct is None or not self._direct.write(piece):
                for text in piece:
                    await self._send({"type": "websocket.send", "text": text})

    async def _listen(self, receive: Receive) -> None:
        if self._direct is not None:
            self._direct.hear = self._hear
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if (text := message.get("text")) is not None:
                self._hear(text)
            else:
                self._begin_close(closings.BINARY)

    def _hear(self, text: str) -> None:
        if self._closing is not None:
            return
        if refusal := self._door.edge.message(self._conversation, DOOR):
            self._begin_close(closings.too_many(*refusal))
        elif len(self._pending) >= MOST_PENDING:
            self._begin_close(closings.too_many("too many messages", FULL_SECONDS))
        else:
            self._act(self._session.receive(text, _new_id))

    # --- what the hub tells ---

    def offer(self, recorded: Recorded) -> None:
        if self._early is not None:
            self._early.append(recorded)
        elif self._closing is None:
            self._act(self._session.follow(recorded))

    def typing(self) -> None:
        if self._session.modern and self._early is None:
            self._act([Send(frames.encode(frames.Typing(who="operator")))])

    def draft(self, draft: Draft) -> None:
        if self._early is None and self._closing is None:
            self._act(self._session.draft(draft))

    def stale(self) -> None:
        self._begin_close(closings.STALE)

    # --- what the session wants ---

    def _act(self, output: list[Output]) -> None:
        texts: list[str] = []
        for item in output:
            match item:
                case Send():
                    texts.append(item.text)
                case Append():
                    self._pending.append(item)
                    if self._append is None:
                        self._store()
                case Typed():
                    self._tell_typing()
                case Listen():
                    self._hub.drafts(self._conversation, self, item.generating)
                case Closing():
                    self._begin_close(item)
        if texts:
            self._write(texts)

    def _write(self, texts: list[str]) -> None:
        if self._closing is not None:
            return
        if self._writer is None and self._direct is not None and self._direct.write(texts):
            return
        self._unread += texts
        self._unread_bytes += sum(map(len, texts))
        if len(self._unread) > MOST_UNREAD_FRAMES or self._unread_bytes > MOST_UNREAD_BYTES:
            self._begin_close(closings.TOO_SLOW)
        elif self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        with contextlib.suppress(OSError):
            while self._unread:
                text = self._unread.pop(0)
                await self._send({"type": "websocket.send", "text": text})
                self._unread_bytes -= len(text)
        self._writer = None

    def _store(self) -> None:
        """Append the first that is pending: one after the other, as the client sent them."""
        append = self._pending[0]
        self._append = self._hub.append(self._conversation, append.entry, append.expect, append.version)
        self._append.add_done_callback(self._appended)

    def _appended(self, position: asyncio.Future[int]) -> None:
        append = self._pending.pop(0)
        try:
            self._door.appended[self._outcome(append, position)].inc()
        finally:
            self._append = None
            if self._pending:
                self._store()

    def _outcome(self, append: Append, position: asyncio.Future[int]) -> str:
        """See to how an append ended; its name in the metrics."""
        try:
            position.result()
            return "stored"
        except Conflict:
            return "conflict"  # another tab greeted first: its start is ours too
        except IdReused:
            self._act(self._session.refuse(append.entry.id, "id_reused"))
            return "id_reused"
        except Foreign as foreign:
            self._act(self._session.refuse(append.entry.id, str(foreign)))
            return "foreign"
        except EntryTooLarge:
            self._act(self._session.refuse(append.entry.id, "too_large"))
            return "too_large"
        except Full:
            if append.expect is None:
                self._act(self._session.refuse(append.entry.id, "log_full"))
            if append.expect is not None or not self._session.modern:
                self._begin_close(closings.NO_LOG)
            return "full"
        except (Exception, asyncio.CancelledError) as error:
            # Unknown: no Ack and no Refused on a guess. The client comes back and asks again. So it
            # does where we are at fault: one that nobody answers would wait for ever.
            self._pending.clear()
            self._begin_close(closings.NO_LOG)
            fault = None if isinstance(error, LogError) else error
            log.warning("append_unknown", conversation=self._conversation, error=str(error), exc_info=fault)
            return "unknown"

    def _tell_typing(self) -> None:
        now = monotonic()
        if now - self._typed >= 1.0:
            self._typed = now
            asyncio.ensure_future(self._hub.tell_typing(self._conversation)).add_done_callback(_forget)

    async def stored(self) -> None:
        """Wait until everything the client sent has its append answered."""
        while self._append is not None:
            await asyncio.wait([self._append])

    def _begin_close(self, closing: Closing) -> None:
        if self._closing is None:
            self._closing = closing
            self._unread.clear()
            self._closer = asyncio.create_task(self.close(closing))

    async def close(self, closing: Closing) -> None:
        """Close the socket with the code and reason of ``closing``."""
        self._closing = closing
        self._door.closed.labels(str(closing.code)).inc()
        await _close(self._send, closing)


def _pieces(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in pieces of about `PIECE` characters."""
    piece: list[str] = []
    size = 0
    for text in texts:
        piece.append(text)
        size += len(text)
        if size >= PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


#: Ids begin with 80 random bits of this process and end with a count: random bits for each would
#: cost a system call, and they need to be unique within a conversation, not secret.
_OURS = "{:.8}-{:.4}-{:.4}-{:.4}".format(*(secrets.token_hex(4) for _ in range(4)))
_count = itertools.count()


def _new_id() -> str:
    """An id in the form of a UUID."""
    return f"{_OURS}-{next(_count):012x}"


async def _close(send: AsgiSend, closing: Closing) -> None:
    """A slow reader gets the code as soon as it has read what is before it; who never reads is cut off
    for want of an answer to a ping."""
    with contextlib.suppress(OSError):
        await send({"type": "websocket.close", "code": closing.code, "reason": closing.reason})


def _forget(task: asyncio.Future[None]) -> None:
    if not task.cancelled():
        task.exception()


def _asked(scope: Scope, name: str) -> str:
    """A parameter of the address, "" where there is none."""
    query: str = scope["query_string"].decode("latin-1")
    return parse_qs(query).get(name, [""])[0] if name in query else ""


def _header(scope: Scope, name: bytes) -> str:
    """A header, "" where there is none; of several lines the last counts."""
    for key, value in reversed(scope["headers"]):
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def _secret(cookies: str, name: str) -> str | None:
    """The visitor's secret: 128 random bits in 32 hex digits. Any other form gets a new one.

    Read leniently: a page's other cookies, however odd, must not cost the visitor the conversation.
    """
    for part in cookies.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name and _SECRET.fullmatch(value):
            return value
    return None
