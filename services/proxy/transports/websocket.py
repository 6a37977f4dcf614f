"""The WebSocket door: raw ASGI around a sans-I/O `ClientSession`.

The receive loop only drains (while it waits, uvicorn leaves pongs unread); telling a long history, and
sending to who is slow to read, run in short-lived tasks of their own, so an idle socket holds one task.
Where the server offers the `Direct` way, texts come and go without any.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from time import monotonic
from typing import Any
from urllib.parse import parse_qs

import structlog

from services.proxy.admission import FULL_SECONDS, Admission
from services.proxy.domain import close_codes, frames
from services.proxy.domain.close_codes import CloseCode
from services.proxy.domain.connect_params import flow_name, languages
from services.proxy.domain.session import (
    BEGIN,
    Append,
    ClientSession,
    Listen,
    Look,
    Output,
    Send,
    TellPresence,
    Typed,
)
from services.proxy.door_queues import MAX_PENDING, ClientInbox, Outbox, Outcome, Unread
from services.proxy.history import History
from services.proxy.hub import Hub
from services.proxy.settings import ProxySettings
from services.proxy.transports.resume import GRANT
from shared.contract import cursor as cursors
from shared.contract.drafts import DraftPiece
from shared.contract.entry import RecordedEntry
from shared.contract.facts import ConversationStarted
from shared.contract.subjects import conversation_of
from shared.eventlog.errors import LogError
from shared.service.health import Health, Receive, Scope
from shared.service.health import Send as AsgiSend
from shared.service.websocket_hardening import DIRECT, Direct

log = structlog.get_logger()

#: The door's name: part of how a conversation is derived from a secret. Fixed for ever.
DOOR = "websocket"
#: How long a part of the history may take to be written, at most a window of it (seconds).
WRITE_SECONDS = 30.0
#: What of it is written in one piece (characters).
PIECE = 32 * 1024

#: The most entries of a history that a client may ask for at once.
MAX_WINDOW = 1_000

_SECRET = re.compile(r"[0-9a-f]{32}|mail\.[A-Za-z0-9_.-]{1,2048}")


class WebSocketDoor:
    """Accepts sockets and runs one `_Channel` for each."""

    def __init__(
        self,
        hub: Hub,
        admission: Admission,
        settings: ProxySettings,
        health: Health,
        granted: Callable[[str], Awaitable[str | None]],
    ) -> None:
        """``granted`` names the conversation of whoever came by a mail's link. It raises `LogError`."""
        self._hub = hub
        self._granted = granted
        self.admission = admission
        self._settings = settings
        self.flow = settings.websocket_flow
        self._health = health
        self._channels: set[_Channel] = set()
        admission.begin(DOOR)

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        await receive()  # websocket.connect
        if scope["path"] not in ("/", "/ws") or not self.admission.origin_ok(scope, DOOR):
            await send({"type": "websocket.close"})  # before the upgrade: HTTP 403
            return
        secret = _secret(_header(scope, b"cookie"), self._settings.cookie_name)
        granted = None
        if secret is not None and secret.startswith(GRANT):
            try:
                granted = await self._granted(secret)
            except LogError:
                await send(self._accept(scope, secret, False))
                await _close(send, close_codes.NO_LOG)
                return
            if granted is None:  # its time is over, or what it was for was erased
                secret = None
        new = secret is None
        # Without its cookie a visitor who comes back would be given another conversation at each page.
        lost = new and _asked(scope, "begin") == "no"
        if secret is None:
            secret = secrets.token_hex(16)
        modern = frames.SUBPROTOCOL in scope["subprotocols"]
        conversation = granted or conversation_of(secret, DOOR)
        address = self.admission.address(scope)
        # The place is taken before the socket is accepted: of two at once, one gets the last.
        refusal = self.admission.connect(address, DOOR)
        if refusal is None and not lost:
            refusal = self.admission.enter(DOOR, conversation, address)
        if refusal is not None or lost:
            closing = close_codes.too_many(*refusal) if refusal is not None else close_codes.NO_COOKIE
            # A code needs an open socket to reach the client.
            await send(self._accept(scope, secret, new and not lost))
            await _close(send, closing)
            self.admission.closed(DOOR, closing)
            return
        try:
            await send(self._accept(scope, secret, new))
            window = _window(_asked(scope, "window")) if modern else 0
            if window is None:
                reason = f"`window` is a whole number from 1 to {MAX_WINDOW}"
                await _close(send, close_codes.explained(close_codes.NOT_ALLOWED, reason))
                self.admission.closed(DOOR, close_codes.NOT_ALLOWED)
                return
            cursor = cursors.decode(_asked(scope, "cursor")) if modern else None
            direct: Direct | None = scope.get("extensions", {}).get(DIRECT)
            session = ClientSession(
                self._hub.epoch(conversation), modern, cursor, window or 0, self._hub.flows.ids
            )
            channel = _Channel(self, self._hub, conversation, session, send, direct)
            self._channels.add(channel)
            try:
                await channel.run(receive, scope, new)
            finally:
                self._channels.discard(channel)
        finally:
            self.admission.leave(DOOR, conversation, address)

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
            if settings.cookie_partitioned:
                parts.append("Partitioned")  # browsers drop one that is not Secure
        return "; ".join(parts).encode()


class _Channel:
    """One open socket: the session, and what is on its way in both directions."""

    __slots__ = (  # there are thousands of these, most of them idle
        *("_door", "_hub", "_conversation", "_session", "_send", "_direct", "_inbox", "_outbox"),
        *("_unread", "_teller", "_looks", "_closer", "_closing", "_typed"),
    )

    def __init__(
        self,
        door: WebSocketDoor,
        hub: Hub,
        conversation: str,
        session: ClientSession,
        send: AsgiSend,
        direct: Direct | None,
    ) -> None:
        self._door = door
        self._hub = hub
        self._conversation = conversation
        self._session = session
        self._send = send
        self._direct = direct
        self._inbox: ClientInbox[str] | None = ClientInbox()  # until the history is told
        self._outbox = Outbox(hub, conversation, self._appended)
        self._unread: Unread[str] = Unread(self._give, self._late, self._failed)
        self._teller: asyncio.Task[None] | None = None
        self._looks: tuple[Look, ...] = ()
        self._closer: asyncio.Task[None] | None = None
        self._closing: CloseCode | None = None
        self._typed = 0.0

    async def run(self, receive: Receive, scope: Scope, new: bool) -> None:
        """Serve the socket until either side closes it."""
        if not self._hub.serving:
            await self.close(close_codes.NO_LOG)
            return
        try:
            try:
                history = await self._hub.join(self._conversation, self, new)
            except LogError:
                await self.close(close_codes.NO_LOG)
                return
            except Exception as error:
                log.warning("history_not_read", conversation=self._conversation, exc_info=error)
                await self.close(close_codes.NO_LOG)
                return
            if history.whole is not None:
                await self._carefully(self._greet(history, scope))
            else:  # it takes a while; the client is heard meanwhile
                self._teller = asyncio.create_task(self._carefully(self._greet(history, scope)))
            del history  # it would live as long as the socket
            await self._listen(receive)
        except OSError:  # the client went while we wrote
            pass
        finally:
            self._hub.leave(self._conversation, self)
            if self._direct is not None:
                self._direct.hear = None
            if self._teller is not None:
                self._teller.cancel()
            self._unread.stop()
            if self._closer is not None:
                await asyncio.wait([self._closer])
            await self.stored()

    def _begin(self, scope: Scope) -> ConversationStarted | None:
        """How a visitor's conversation begins: as the page asks, else as this door does; None: not now."""
        if _asked(scope, "begin") == "no":
            return None
        asked = _asked(scope, "flow")
        flow = flow_name(asked, self._door.flow)
        if asked and flow != asked:
            log.info("flow_ignored", asked=asked[:100])
        language = languages(_asked(scope, "lang"), _header(scope, b"accept-language"))
        return ConversationStarted(door=DOOR, flow=flow, language=language)

    async def _greet(self, history: History, scope: Scope) -> None:
        """Tell what the client lacks, at the client's own pace; what comes live waits its turn."""
        if history.whole == [] and _asked(scope, "begin") == "no":
            self._begin_close(close_codes.UNKNOWN)
            return
        if history.whole is not None:
            begun = history.whole and all(recorded.author != "eraser" for recorded in history.whole)
            begin = BEGIN if begun else self._begin(scope)
            output = self._session.resume(history.whole, _new_id(), begin)
        else:
            output = await self._tell(history, scope)
        await self._send_all(_texts(output))
        self._act([item for item in output if not isinstance(item, Send)])
        await self._go_live()

    async def _carefully(self, telling: Coroutine[Any, Any, None]) -> None:
        """Whatever ends it before its end, the client does not wait for the rest of it."""
        try:
            await telling
        except LogError:
            self._begin_close(close_codes.NO_LOG)
        except TimeoutError:
            self._begin_close(close_codes.TOO_SLOW)
        except OSError:  # the client went; the receive loop is told
            pass
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # by us: the client went
                raise
            # What it waited for was cancelled, not this.
            log.warning("history_not_told", conversation=self._conversation, exc_info=error)
            self._begin_close(close_codes.NO_LOG)

    async def _tell(self, history: History, scope: Scope) -> list[Output]:
        """Window by window; what is left to say behind it."""
        session = self._session
        texts = _texts(session.open(await history.past()))

        def tell(recorded: RecordedEntry) -> None:
            texts.extend(_texts(session.tell(recorded)))

        async for window in history.windows(session.lacks):
            async for _ in self._hub.pace.through(window, tell):
                await self._send_all(texts)
                texts.clear()
        assert self._inbox is not None
        self._inbox.behind = True  # of what was stored meanwhile nobody kept track
        await self._send_all(texts)
        return session.told(_new_id(), BEGIN if session.state.visit.started else self._begin(scope))

    async def _look_all(self) -> None:
        """Tell the earlier parts of the history that were asked for, one after the other."""
        session, pace = self._session, self._hub.pace
        while self._looks:
            look, *left = self._looks
            self._looks = tuple(left)
            async for window in self._hub.between(self._conversation, look.first, look.last):
                texts: list[str] = []

                def tell(entries: list[RecordedEntry], look: Look = look, texts: list[str] = texts) -> None:
                    texts += _texts(session.looked(look, entries))

                async for _ in pace.through([window], tell):
                    await self._send_all(texts)
                    texts.clear()

    async def _go_live(self) -> None:
        inbox = self._inbox
        assert inbox is not None
        await inbox.catch_up(
            self._hub, self._conversation, lambda: self._session.state.position, self._follow
        )
        self._inbox = None
        for text in inbox.said:
            self._receive(text)
        if self._looks and self._teller is asyncio.current_task():
            await self._look_all()

    async def _send_all(self, texts: list[str]) -> None:
        if not texts:
            return
        async with asyncio.timeout(WRITE_SECONDS):
            for piece in _pieces(texts):
                with self._hub.pace.counted():
                    written = self._direct is not None and self._direct.write(piece)
                if not written:
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
                self._begin_close(close_codes.BINARY)

    def _hear(self, text: str) -> None:
        if self._closing is not None:
            return
        if refusal := self._door.admission.message(self._conversation, DOOR):
            self._begin_close(close_codes.too_many(*refusal))
        elif len(self._outbox) + len(self._inbox.said if self._inbox else ()) >= MAX_PENDING:
            self._begin_close(close_codes.too_many("too many messages", FULL_SECONDS))
        elif self._inbox is not None:
            self._inbox.said.append(text)
        else:
            self._receive(text)

    def _receive(self, text: str) -> None:
        if self._closing is not None:
            return
        try:
            self._act(self._session.receive(text, _new_id))
        except Exception as error:  # neither stored nor refused is said: the client comes back and asks
            log.warning("frame_not_taken", conversation=self._conversation, exc_info=error)
            self._begin_close(close_codes.NO_LOG)

    # --- what the hub tells ---

    def on_entry(self, recorded: RecordedEntry) -> None:
        if self._inbox is not None:
            self._inbox.on_entry(recorded)
        else:
            self._follow(recorded)

    def _follow(self, recorded: RecordedEntry) -> None:
        if self._closing is None:
            self._act(self._session.follow(recorded))

    def typing(self) -> None:
        if self._session.modern and self._inbox is None:
            self._act([Send(frames.encode(frames.Typing(who="operator")))])

    def draft(self, draft: DraftPiece) -> None:
        if self._closing is None:
            self._act(self._session.draft(draft))

    def on_reset(self) -> None:
        self._begin_close(close_codes.STALE)

    def lost(self) -> None:
        self._begin_close(close_codes.NO_LOG)

    # --- what the session wants ---

    def _act(self, output: list[Output]) -> None:
        texts: list[str] = []
        for item in output:
            match item:
                case Send():
                    texts.append(item.text)
                case Append():
                    self._outbox.put(item)
                case Typed():
                    self._tell_typing()
                case TellPresence():
                    self._hub.present.tells(self._conversation, self, item.told)
                case Listen():
                    self._hub.drafts(self._conversation, self, item.generating)
                case Look():
                    self._looks = (*self._looks, item)
                    if self._teller is None or self._teller.done():
                        self._teller = asyncio.create_task(self._carefully(self._look_all()))
                case CloseCode():
                    self._begin_close(item)
        if texts:
            self._write(texts)

    def _write(self, texts: list[str]) -> None:
        if self._closing is not None:
            return
        if not self._unread.waiting and self._direct is not None and self._direct.write(texts):
            return
        for text in texts:
            self._unread.put(text, len(text))

    async def _give(self, texts: list[str]) -> None:
        for text in texts:
            if self._closing is not None:
                return
            await self._send({"type": "websocket.send", "text": text})

    def _late(self) -> None:
        self._begin_close(close_codes.TOO_SLOW)

    def _failed(self) -> None:
        self._begin_close(close_codes.NO_LOG)

    def _appended(self, append: Append, outcome: Outcome, reason: str) -> None:
        """See to how an append ended. "conflict": another tab greeted first; its start is ours too."""
        self._door.admission.appended(DOOR, outcome)
        match outcome:
            case "id_reused" | "too_large":
                self._act(self._session.refuse(append.entry.id, outcome))
            case "foreign":
                self._act(self._session.refuse(append.entry.id, reason))
            case "full":
                if append.expect is None:
                    self._act(self._session.refuse(append.entry.id, "log_full"))
                if append.expect is not None or not self._session.modern:
                    self._begin_close(close_codes.NO_LOG)
            case "unknown":
                self._begin_close(close_codes.NO_LOG)

    def _tell_typing(self) -> None:
        now = monotonic()
        if now - self._typed >= 1.0:
            self._typed = now
            asyncio.ensure_future(self._hub.tell_typing(self._conversation)).add_done_callback(_forget)

    async def stored(self) -> None:
        """Wait until everything the client sent has its append answered."""
        await self._outbox.stored()

    def _begin_close(self, closing: CloseCode) -> None:
        if self._closing is None:
            self._closing = closing
            self._unread.clear()
            self._closer = asyncio.create_task(self.close(closing))

    async def close(self, closing: CloseCode) -> None:
        """Close the socket with the code and reason of ``closing``."""
        self._closing = closing
        self._door.admission.closed(DOOR, closing)
        await _close(self._send, closing)


def _texts(output: Iterable[Output]) -> list[str]:
    return [item.text for item in output if isinstance(item, Send)]


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


async def _close(send: AsgiSend, closing: CloseCode) -> None:
    """A slow reader gets the code as soon as it has read what is before it; who never reads is cut off
    because no ping was answered."""
    with contextlib.suppress(OSError):
        await send({"type": "websocket.close", "code": closing.code, "reason": closing.reason})


def _forget(task: asyncio.Future[None]) -> None:
    if not task.cancelled():
        task.exception()


def _asked(scope: Scope, name: str) -> str:
    """A parameter of the address, "" where there is none."""
    query: str = scope["query_string"].decode("latin-1")
    return parse_qs(query).get(name, [""])[0] if name in query else ""


def _window(asked: str) -> int | None:
    """How many entries a client asks for at first, 0 for all; None for what is no such number."""
    if not asked:
        return 0
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= 4):
        return None
    return int(asked) if 1 <= int(asked) <= MAX_WINDOW else None


def _header(scope: Scope, name: bytes) -> str:
    """A header, "" where there is none; of several lines the last counts."""
    for key, value in reversed(scope["headers"]):
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def _secret(cookies: str, name: str) -> str | None:
    """The visitor's secret: 128 random bits in 32 hex digits, or a grant. Any other form gets a new one.

    Read leniently: a page's other cookies, however odd, must not cost the visitor the conversation.
    """
    for part in cookies.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name and _SECRET.fullmatch(value):
            return value
    return None
