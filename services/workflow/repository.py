"""The log as the workflow uses it: complete folds, and appends that nothing came before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import time_ns

from nats.aio.client import Client

from services.workflow.state_cache import StateCache
from shared.contract.conversation import NEW, Conversation
from shared.contract.entry import Entry, RecordedEntry, needed
from shared.contract.facts import Fact
from shared.eventlog.command import Executed, execute
from shared.eventlog.errors import Conflict
from shared.eventlog.subscription import Subscription
from shared.service.chat_log import ChatLog
from shared.service.live_entries import LiveEntries
from shared.timestamps import format_time

SECOND = 1_000_000_000


class Repository:
    def __init__(
        self, stream: ChatLog, subscription: Subscription, entries: LiveEntries, folds: StateCache
    ) -> None:
        self.log = stream
        self.subscription = subscription
        self._entries = entries
        self.folds = folds

    @property
    def client(self) -> Client:
        return self.log.client

    async def reached(self, conversation: str, position: int, time: int = 0) -> None:
        """Wait until everything of the conversation up to ``position`` is folded.

        ``time`` is when that was stored, if known.
        """
        await self.subscription.of(conversation).reached(position, time)

    async def fold(self, conversation: str) -> Conversation:
        """The fold, complete up to the subscription's position. Raises `Unreachable`."""
        follower = self.subscription.of(conversation)
        if not follower.certain:  # one that is loaded now might lack what came while in doubt
            await follower.known()
        await self._entries.given(conversation)
        return self.folds.at_hand(conversation) or await self.folds.complete(self.log, conversation)

    async def catch_up(self, conversation: str) -> Conversation:
        """The fold, complete up to what was the conversation's end. Raises `Unreachable`."""
        await self.reached(conversation, await self.log.last(conversation))
        return await self.fold(conversation)

    async def append(self, conversation: str, entry: Entry, state: Conversation) -> Conversation:
        """The fold with ``entry``, stored only if nothing came after ``state``. Raises `LogError`."""
        await self._store(conversation, entry, state)
        return await self.fold(conversation)

    async def execute(
        self, conversation: str, id: str, decide: Callable[[Conversation], Awaitable[Entry | None]]
    ) -> Executed:
        """Append what ``decide`` makes of the newest fold: `shared.eventlog.command.execute`, as the bot.

        Not for turns: those ask others in between, append several entries, and begin anew with the mailbox.
        """
        source = _Newest(self, conversation)

        async def append(entry: Entry, _: int | None) -> int:
            return await self._store(conversation, entry, source.state)

        return await execute(source, append, id, decide)

    async def _store(self, conversation: str, entry: Entry, state: Conversation) -> int:
        """The position of ``entry``, stored only if nothing came after ``state``. Raises `LogError`.

        The server compares positions only. That ``state`` is of the log as it stands is proven here: a
        store that was put back from a copy uses its numbers anew.
        """
        if await self.fold(conversation) is not state:
            raise Conflict("the conversation has moved on")
        position = await self.log.append(conversation, "bot", entry, expect=state.position)
        self.folds.advance(conversation, _as_recorded(conversation, position, entry))
        return position

    async def history(self, conversation: str) -> list[RecordedEntry]:
        """All entries of the conversation. Raises `Unreachable`."""
        return [recorded async for window in self.log.entries(conversation) for recorded in window]

    def now(self) -> int:
        """Nanoseconds since 1970, never behind the log: what is due there is due here."""
        return max(time_ns(), self.folds.time)

    def after(self, seconds: int) -> str:
        """The time in so many seconds, in RFC 3339."""
        return format_time(self.now() + seconds * SECOND)


class _Newest:
    """A conversation's fold, which is always looked for anew."""

    def __init__(self, repository: Repository, conversation: str) -> None:
        self._repository = repository
        self._conversation = conversation
        self.state = NEW

    async def known(self) -> None:
        return None

    async def newest(self) -> Conversation:
        self.state = await self._repository.catch_up(self._conversation)
        return self.state

    def expectation(self, state: Conversation) -> int:
        return state.position

    def holds(self, state: Conversation, id: str) -> bool:
        return f"bot:{id}" in state.inbox.ids


def interim(id: str, *facts: Fact) -> Entry:
    """An entry on the way to an outcome."""
    return Entry(id=id, needs=needed(facts), facts=facts)


def _as_recorded(conversation: str, position: int, entry: Entry) -> RecordedEntry:
    return RecordedEntry(
        position=position,
        conversation=conversation,
        author="bot",
        time=0,  # the fold does not read it
        id=entry.id,
        cause=entry.cause,
        needs=entry.needs,
        facts=entry.facts,
    )
