"""The proxy's side of the log: one subscription for all sockets, fanned out by conversation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from time import time_ns
from typing import Protocol

import structlog
from prometheus_client import Gauge

from services.proxy.domain.flow_ids import unknown
from services.proxy.history import History, Reading
from services.proxy.known_flows import KnownFlows
from services.proxy.presence import VisitorsPresent
from services.proxy.settings import ProxySettings
from services.proxy.subscriptions import subscribe
from shared.contract import subjects
from shared.contract.conversation import Generating
from shared.contract.drafts import DraftPiece
from shared.contract.entry import Entry, RecordedEntry
from shared.eventlog.connection import ConnectionState, connect, disconnect, make_broker
from shared.eventlog.errors import Unreachable
from shared.eventlog.loop_histogram import LoopHistogram
from shared.eventlog.messages import StoredMessage
from shared.eventlog.meters import AppendMeter
from shared.eventlog.subscription import Subscription
from shared.service.broker import listen
from shared.service.chat_log import ChatLog, await_log, flow_store
from shared.service.conversation_keys import keys_of, masters_of
from shared.service.drafts import Drafts
from shared.service.health import Health
from shared.service.live_entries import LiveEntries
from shared.service.pace import ArrivalTurns, Pace

log = structlog.get_logger()

#: How long a reader waits for the subscription to find out whether the log is still the same (seconds).
KNOWN_SECONDS = 5.0
#: An entry comes within milliseconds; what the live feed lost is asked for within two seconds.
DELIVERY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: So many entries are few: nearly every conversation has fewer, and to take turns costs as much as they do.
MAX_AT_ONCE = 50


class Foreign(Exception):
    """The entry names what the conversation's flow does not know; the text is the refusal's reason."""


class HubReader(Protocol):
    """Who follows a conversation. No call may block."""

    def on_entry(self, recorded: RecordedEntry) -> None:
        """An entry of the conversation was stored."""

    def typing(self) -> None:
        """The operator is typing right now."""

    def draft(self, draft: DraftPiece) -> None:
        """The next words of the answer that was asked for with `Hub.drafts`."""

    def on_reset(self) -> None:
        """The log was put back from a copy: what the reader was told may never have been."""

    def lost(self) -> None:
        """The reader could not be told something: it must begin again, or it would lack it for ever."""


class Hub:
    """Connects in the background; until then `serving` is False."""

    def __init__(self, settings: ProxySettings, health: Health) -> None:
        self._link = ConnectionState(health)
        self._health = health
        self._masters, self._sealing = masters_of(settings), settings.sealing
        self._broker = make_broker(settings, "proxy", self._link)
        self._rooms: dict[str, tuple[HubReader, ...]] = {}  # mostly of one: a set has 216 bytes
        #: What clients tell of their visitors.
        self.present = VisitorsPresent(lambda conversation: self._rooms.get(conversation, ()), self._publish)
        subscribe(self._broker, health, self._typing, self.present.watch)
        self._log: ChatLog | None = None
        self._entries: LiveEntries | None = None
        self._subscription: Subscription | None = None
        self._drafts: Drafts | None = None
        #: What the flows of conversations ask for.
        self.flows = KnownFlows(self._flow)
        self._task: asyncio.Task[None] | None = None
        self._readings: dict[str, Reading] = {}
        self._arriving = ArrivalTurns()
        #: Of all the long work in this process.
        self.pace = Pace()
        Gauge(
            "switchboard_drafts_followed",
            "Answers in the making that somebody here reads",
            registry=health.registry,
        ).set_function(lambda: float(len(self._drafts or ())))
        Gauge(
            "switchboard_conversations_followed",
            "Conversations that somebody follows through this replica",
            registry=health.registry,
        ).set_function(lambda: float(len(self._rooms)))
        self._delivery = LoopHistogram(
            "switchboard_delivery_seconds",
            "From the stored time of an entry until it went to those who follow its conversation here, by "
            "this machine's clock",
            registry=health.registry,
            buckets=DELIVERY_BOUNDS,
        )
        self._meter = AppendMeter(health.registry)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._connect())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._drafts is not None:
            self._drafts.stop()
        self.flows.stop()
        if self._subscription is not None:
            await self._subscription.stop()
        await disconnect(self._broker)

    async def _connect(self) -> None:
        client = await connect(self._broker, self._link)
        keys = keys_of(client, self._masters, self._link, self._health, self._sealing)
        stream = await await_log(client, self._health, keys, self._meter)
        entries = self._entries = LiveEntries(stream, self._give, self._wanted, self._not_read)
        subscription = Subscription(stream, self._link, self._health, entries.take, self._on_reset)
        await listen(self._broker, self._health)
        await subscription.start()
        self._log, self._subscription, self._drafts = stream, subscription, Drafts(client)

    @property
    def serving(self) -> bool:
        """Whether the log can be reached right now."""
        return self._log is not None and self._log.client.is_connected and not self._health.reasons.get("log")

    def epoch(self, conversation: str) -> str:
        """That of the stream in which the conversation is: a cursor holds in it alone."""
        return self._subscription.of(conversation).epoch if self._subscription is not None else ""

    async def join(self, conversation: str, reader: HubReader, new: bool) -> History:
        """Register ``reader``, then read what is there: it misses nothing, and may hear things twice.

        A ``new`` conversation has no history to ask for. Raises `Unreachable`.
        """
        await self.register(conversation, reader)
        return History([]) if new else await self._history(conversation)

    async def register(self, conversation: str, reader: HubReader) -> None:
        """From here on ``reader`` is told of each entry, until `leave`. Raises `Unreachable`."""
        if self._log is None or self._subscription is None:
            raise Unreachable("not connected to NATS yet")
        follower = self._subscription.of(conversation)
        if not follower.certain:
            # Of a log that took the place of ours the subscription tells nothing up to where it takes it up.
            try:
                async with asyncio.timeout(KNOWN_SECONDS):
                    await follower.known()
            except TimeoutError as error:
                raise Unreachable("it is not known whether the log is still the same") from error
        self._rooms[conversation] = (*self._rooms.get(conversation, ()), reader)

    async def _history(self, conversation: str) -> History:
        """The conversation's history; of a long one all who come meanwhile share one reading."""
        stream = self._log
        if stream is None:
            raise Unreachable("not connected to NATS yet")
        # One after the other: of twenty sockets that come at once the first finds out whether it is long.
        async with self._arriving.turn(conversation):
            reading = self._reading(conversation)
            if reading is None:
                windows = stream.entries(conversation)
                first = await windows.next()
                if windows.over:
                    return History(list(first))
                reading = Reading(
                    stream, conversation, self.pace, first, windows, lambda: self._forget(conversation)
                )
                self._readings[conversation] = reading
        return History(None, reading)

    def _reading(self, conversation: str) -> Reading | None:
        reading = self._readings.get(conversation)
        return None if reading is None or reading.over else reading

    def _forget(self, conversation: str) -> None:
        """A reading is over."""
        if self._reading(conversation) is None:
            self._readings.pop(conversation, None)

    async def read(self, conversation: str, after: int, take: Callable[[RecordedEntry], None]) -> None:
        """Give ``take`` the conversation's entries behind ``after``, whoever appended them.

        Of many with the event loop free in between. Raises `Unreachable`.
        """
        if self._log is None:
            raise Unreachable("not connected to NATS yet")
        windows = self._log.entries(conversation, after)
        async for window in windows:
            if windows.over and len(window) <= MAX_AT_ONCE:
                for recorded in window:
                    take(recorded)
                return
            async for _ in self.pace.through(window, take):
                pass

    async def between(self, conversation: str, first: int, last: int) -> AsyncIterator[list[RecordedEntry]]:
        """The conversation's entries from ``first`` to ``last``, in windows. Raises `Unreachable`."""
        if self._log is None:
            raise Unreachable("not connected to NATS yet")
        windows = self._log.entries(conversation, first - 1)
        async for window in windows:
            yield [recorded for recorded in window if recorded.position <= last]
            if windows.position >= last:
                return

    def drafts(self, conversation: str, reader: HubReader, generating: Generating | None) -> None:
        """Tell ``reader`` the words of this answer while the assistant makes them; None: of none.

        To be asked for whenever `generating` changes in the reader's own fold. The first piece holds
        what was said before. Whoever leaves is told nothing more.
        """
        if self._drafts is not None:
            self._drafts.follow(conversation, reader, generating)

    def leave(self, conversation: str, reader: HubReader) -> None:
        if self._drafts is not None:
            self._drafts.leave(conversation, reader)
        others = tuple(each for each in self._rooms.get(conversation, ()) if each is not reader)
        if others:
            self._rooms[conversation] = others
        else:
            self._rooms.pop(conversation, None)
        self.present.leaves(conversation, reader)

    async def _flow(self, version: str) -> bytes | None:
        if self._log is None:
            raise Unreachable("not connected to NATS yet")
        return await flow_store(self._log).get(version)

    def readers(self, conversation: str) -> int:
        return len(self._rooms.get(conversation, ()))

    def append(
        self, conversation: str, entry: Entry, expect: int | None, version: str = ""
    ) -> asyncio.Future[int]:
        """Append as the visitor: see `Log.append`.

        With a ``version`` only what the flow of this version knows; else it raises `Foreign`.
        """
        if version:
            return asyncio.ensure_future(self._append_known(conversation, entry, expect, version))
        if self._log is None:
            nowhere: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            nowhere.set_exception(Unreachable("not connected to NATS yet"))
            return nowhere
        return self._log.append(conversation, "visitor", entry, expect)

    async def _append_known(self, conversation: str, entry: Entry, expect: int | None, version: str) -> int:
        ids = await self.flows.learn(version)
        for fact in entry.facts:
            if reason := unknown(fact, ids):
                raise Foreign(reason)
        return await self.append(conversation, entry, expect)

    async def tell_typing(self, conversation: str) -> None:
        """Core NATS, never on the log: the visitor is typing right now."""
        await self._publish(subjects.typing(conversation, "visitor"), b"")

    async def _publish(self, subject: str, message: bytes) -> None:
        """Core NATS: what is said while the connection is down is worth nothing later."""
        if self._log is not None and self._log.client.is_connected:
            await self._log.client.publish(subject, message)

    def _wanted(self, message: StoredMessage) -> bool:
        self.pace.others()
        return message.key in self._rooms

    def _give(self, message: StoredMessage, recorded: RecordedEntry) -> None:
        conversation = message.key
        for reader in self._rooms.get(conversation, ()):
            try:
                reader.on_entry(recorded)
            except Exception as error:  # the others must hear it all the same
                _lose(conversation, reader, error)
        self._delivery.observe(max(time_ns() - message.time, 0) / 1_000_000_000)

    def _not_read(self, message: StoredMessage, error: Exception) -> None:
        for reader in self._rooms.get(message.key, ()):
            _lose(message.key, reader, error)

    def _typing(self, conversation: str) -> None:
        for reader in self._rooms.get(conversation, ()):
            try:
                reader.typing()
            except Exception as error:
                _lose(conversation, reader, error)

    def _on_reset(self) -> None:
        """The log was put back from a copy: what the clients show may never have been."""
        if self._entries is not None:
            self._entries.reset()
        self._readings.clear()  # what comes of them is of two logs; who waits for it is told to begin anew
        for conversation, readers in tuple(self._rooms.items()):
            for reader in readers:
                try:
                    reader.on_reset()
                except Exception as error:
                    _lose(conversation, reader, error)


def _lose(conversation: str, reader: HubReader, error: Exception) -> None:
    """Something failed in a way that nobody foresaw, and the reader lacks what it should have been told."""
    log.error("reader_lost", conversation=conversation, exc_info=error)
    try:
        reader.lost()
    except Exception as again:
        log.error("reader_not_told", conversation=conversation, exc_info=again)
