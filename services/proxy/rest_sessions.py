"""Conversations that clients of the REST door have in hand: each folded once, for all its readers.

A room stays for some seconds after its last reader left, since a client comes back for every
request. It hears of new entries by the hub; whoever must not miss one enters a ``current`` room,
because the hub of this replica may be behind an append that another one made.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict

from services.proxy.domain.rest_state import State, state_of
from services.proxy.domain.text_answers import said_by_text
from services.proxy.domain.turns import Turns
from services.proxy.door_queues import ClientInbox
from services.proxy.hub import Hub
from shared.contract.drafts import DraftPiece
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import ConversationStarted, TextWritten
from shared.eventlog.command import execute
from shared.eventlog.errors import Conflict, Unreachable

#: How long a room is kept though nobody is in it (seconds), how many are, and up to how many messages.
EMPTY_SECONDS = 30.0
MAX_EMPTY = 1_000
MAX_MESSAGES = 200
#: For how long a message that was appended here counts as the newest that there is (seconds).
NEWEST_SECONDS = 2.0
#: How long is waited for the live feed before the log is asked (seconds).
PATIENCE_SECONDS = 0.25


#: How much later than the workflow an assistant's answer is given up here (seconds).
LATER_SECONDS = 10


class TurnOpen(Exception):
    """The visitor waits for an answer already."""

    def __init__(self, state: State) -> None:
        super().__init__(f"a turn is open: {state}")
        self.state = state


class Overtaken(Exception):
    """Other entries came between again and again; nothing was stored."""


class RestSession:
    """One conversation. Its readers are streams, each of which waits for the next change."""

    def __init__(self, hub: Hub, conversation: str, turn_seconds: int) -> None:
        self.conversation = conversation
        self.turns = Turns()
        self.turn_seconds = turn_seconds
        self._heard = 0  # when the assistant last said a word (nanoseconds since 1970)
        self.users = 0
        self.gone = False
        self._hub = hub
        self._inbox: ClientInbox[object] | None = ClientInbox()  # until the history is known
        self._loading: asyncio.Task[None] | None = None
        self._listening: object = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._appending = asyncio.Lock()
        self._writing = 0
        self._stored = 0  # where the last message was appended here, and when (the loop's time)
        self._stored_at = float("-inf")

    @property
    def state(self) -> State:
        return state_of(self.turns, bool(self._writing), self.overdue)

    @property
    def overdue(self) -> bool:
        """Whether the answer has been awaited for too long: perhaps no workflow is running.

        What it decided itself about a turn that is stuck comes by the log, and sooner.
        """
        if not self.turns.owed:
            return False
        seconds = self.turn_seconds + (LATER_SECONDS if self.turns.state.answer.generating else 0)
        return time.time_ns() - max(self.turns.updated, self._heard) > seconds * 1_000_000_000

    @property
    def begun(self) -> bool:
        """Whether there is such a conversation."""
        return self.turns.state.visit.started or self._stored > 0

    @property
    def loaded(self) -> bool:
        return self._inbox is None and self._loading is not None

    async def load(self, current: bool) -> None:
        """Know the conversation; ``current``: everything that was on the log when this was called.

        Raises `LogError`.
        """
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(new=False))
            current = False
        await asyncio.shield(self._loading)
        if current and not await self._newest():
            await self.catch_up()

    async def begin(self, id: str, started: ConversationStarted) -> None:
        """Append the conversation's start. Raises `LogError`."""
        self._loading = asyncio.create_task(self._load(new=True))
        await self._loading
        await self._hub.append(self.conversation, Entry(id=id, facts=(started,)), 0)

    async def first(self, id: str, text: str) -> None:
        """Append the first message. Nobody else knows the session yet. Raises `LogError`."""
        await self._store(Entry(id=id, facts=(TextWritten(session="", text=text),)), None)

    async def say(self, id: str, text: str) -> None:
        """Append the visitor's message. Raises `TurnOpen`, `Overtaken`, or `LogError`."""
        if self._writing and not self.turns.with_person:
            raise TurnOpen(self.state)
        self._writing += 1
        try:
            async with self._appending:
                await self._append(id, text)
        finally:
            self._writing -= 1

    async def changed(self) -> None:
        """Wait for the next change."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    def notify(self) -> None:
        """Let everyone who waits look again."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    # --- what the hub tells ---

    def on_entry(self, recorded: RecordedEntry) -> None:
        if self._inbox is not None:
            self._inbox.on_entry(recorded)
        else:
            self._take(recorded)
            self._changed()

    def draft(self, draft: DraftPiece) -> None:
        self._heard = time.time_ns()
        self.turns.hear(draft)
        self.notify()

    def typing(self) -> None:
        """This door does not show who is typing."""

    def on_reset(self) -> None:
        self.gone = True
        self.notify()

    def lost(self) -> None:
        self.on_reset()  # the next request reads all of it again

    # --- inside ---

    async def _load(self, new: bool) -> None:
        self._inbox = ClientInbox()
        await self._hub.register(self.conversation, self)
        self._inbox.behind = not new  # the whole history
        await self._inbox.catch_up(self._hub, self.conversation, self._position, self._take)
        self._inbox = None
        self._changed()

    def _position(self) -> int:
        return self.turns.state.position

    async def _newest(self) -> bool:
        """Whether what is known holds the conversation's newest turn, so that nothing need be fetched.

        It does if this is the turn of a message that was appended here a moment ago. To be overtaken,
        its answer and one more message at another replica would have to pass while the feed stands.
        """
        loop = asyncio.get_running_loop()
        if loop.time() - self._stored_at > NEWEST_SECONDS:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self.turns.state.position < self._stored:
                    await self.changed()
        return self.turns.state.position >= self._stored

    async def _store(self, entry: Entry, expect: int | None) -> int:
        self._stored = await self._hub.append(self.conversation, entry, expect)
        self._stored_at = asyncio.get_running_loop().time()
        return self._stored

    async def catch_up(self) -> None:
        """Know all that is on the log by now. Raises `LogError`."""
        await self._hub.read(self.conversation, self._position(), self._take)
        self._changed()

    def _take(self, recorded: RecordedEntry) -> None:
        began = self.turns.state.visit.started
        self.turns.add(recorded)
        if began and not self.turns.state.visit.started:  # erased: whoever listens is told that it is over
            self._stored = 0
            self.gone = True

    def _changed(self) -> None:
        generating = self.turns.state.answer.generating
        if generating != self._listening:
            self._listening = generating
            self._hub.drafts(self.conversation, self, generating)
        self.notify()

    async def _append(self, id: str, text: str) -> None:
        async def decide(turns: Turns) -> Entry:
            if turns.owed and not self.overdue:
                raise TurnOpen(self.state)
            return Entry(id=id, facts=(said_by_text(turns.state, "", text),))

        try:
            await execute(_RoomState(self), self._store, id, decide)
        except Conflict as error:
            raise Overtaken from error


class _RoomState:
    """What is known of a room's conversation."""

    def __init__(self, room: RestSession) -> None:
        self._room = room

    async def known(self) -> Turns | None:
        # Where an answer is owed it may be on the log already.
        return None if self._room.turns.owed else self._room.turns

    async def newest(self) -> Turns:
        await self._room.catch_up()
        return self._room.turns

    def expectation(self, turns: Turns) -> int | None:
        """With a person there is no turn, and messages may come in any number."""
        return None if turns.with_person else turns.state.position

    def holds(self, turns: Turns, id: str) -> bool:
        return f"visitor:{id}" in turns.state.inbox.ids


class RestSessions:
    """The rooms of this process."""

    def __init__(self, hub: Hub, turn_seconds: int) -> None:
        self._hub = hub
        self._turn_seconds = turn_seconds
        self._rooms: dict[str, RestSession] = {}
        self._empty: OrderedDict[RestSession, float] = OrderedDict()  # since when, the longest first
        self._sweeper: asyncio.TimerHandle | None = None

    async def enter(self, conversation: str, current: bool = True) -> RestSession:
        """The room; `leave` must follow. Raises `LogError`.

        ``current``: it knows all that is on the log by now. Who is going to append need not ask for
        that: the expectation of the append shows whether it did.
        """
        if not self._hub.serving:
            raise Unreachable("the log cannot be reached")
        room = self._rooms.get(conversation)
        if room is None or room.gone:
            room = self._rooms[conversation] = RestSession(self._hub, conversation, self._turn_seconds)
        self._empty.pop(room, None)
        room.users += 1
        try:
            await room.load(current)
        except BaseException:
            room.gone = room.gone or not room.loaded  # the next one tries again
            self.leave(room)
            raise
        return room

    def new(self, conversation: str) -> RestSession:
        """The room of a conversation that begins now; `RestSession.begin` and `leave` must follow."""
        if not self._hub.serving:
            raise Unreachable("the log cannot be reached")
        room = self._rooms[conversation] = RestSession(self._hub, conversation, self._turn_seconds)
        room.users += 1
        return room

    def leave(self, room: RestSession) -> None:
        room.users -= 1
        if room.users:
            return
        if room.gone or not room.begun or len(room.turns.messages) > MAX_MESSAGES:
            self._close(room)
            return
        loop = asyncio.get_running_loop()
        self._empty[room] = loop.time()
        if len(self._empty) > MAX_EMPTY:
            self._close(self._empty.popitem(last=False)[0])
        if self._sweeper is None:
            self._sweeper = loop.call_later(EMPTY_SECONDS, self._sweep)

    def notify(self) -> None:
        """Let every reader look up: the service ends."""
        for room in self._rooms.values():
            room.notify()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() - EMPTY_SECONDS
        while self._empty:
            room, since = next(iter(self._empty.items()))
            if since > due:
                self._sweeper = loop.call_at(since + EMPTY_SECONDS, self._sweep)
                return
            del self._empty[room]
            self._close(room)
        self._sweeper = None

    def _close(self, room: RestSession) -> None:
        self._hub.leave(room.conversation, room)
        if self._rooms.get(room.conversation) is room:
            del self._rooms[room.conversation]
