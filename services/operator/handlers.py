"""What operators do: fold, decide, append. The append is refused when anything came between."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from prometheus_client import Counter

from services.operator.desk import Desk
from services.operator.domain import decisions
from services.operator.domain.decisions import Decision, NotYours, Operator
from services.operator.domain.desk import ConversationSummary
from services.operator.domain.places import NOWHERE, FlowPlaces, places_of
from services.operator.domain.transcript import PastTalks, Transcript, TranscriptEntry
from services.operator.history import Histories
from shared.contract import subjects
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import LEVEL, Entry, needed
from shared.contract.presence import WatchAsked
from shared.eventlog.command import execute
from shared.eventlog.errors import Conflict, IdReused
from shared.eventlog.subscription import Subscription
from shared.service.chat_log import ChatLog, flow_store
from shared.service.live_entries import LiveEntries
from shared.service.pace import Pace

log = structlog.get_logger()

#: How long a command decides anew when something came between, again and again (seconds).
TRY_SECONDS = 5.0
#: How long the log may take to answer an append (seconds): as long, a right counts that ends meanwhile.
APPEND_SECONDS = 4.5
#: How long a command waits until this replica has read what is stored (seconds).
CATCH_UP_SECONDS = 3.0

Decide = Callable[[Conversation], Decision]
#: Raises if the operator may not act any more.
Still = Callable[[], Awaitable[None]]


class NotFound(Exception):
    """There is no such conversation."""


class CommandRefused(Exception):
    """The decision was no; ``why`` says who has the conversation."""

    def __init__(self, why: NotYours) -> None:
        super().__init__(why.error)
        self.why = why


class NoSuchState(Exception):
    """The conversation's flow has no state of this name."""


class Busy(Exception):
    """Not now: the log is out of reach, or others are quicker. The same may be tried again."""


class Handlers:
    """The commands and questions of an operator.

    A command may take a while, and the right to it may end meanwhile: ``still`` is asked before each try.
    """

    def __init__(
        self,
        desk: Desk,
        stream: ChatLog,
        subscription: Subscription,
        entries: LiveEntries,
        commands: Counter,
    ) -> None:
        self._desk = desk
        self.log = stream
        self._subscription = subscription
        self._entries = entries
        self._commands = commands
        self._places: dict[str, FlowPlaces] = {}
        #: Whether what is said goes by e-mail to visitors who have left.
        self.mails = False
        #: Of all the long work in this process.
        self.pace = Pace()
        self.histories = Histories(stream, self.pace)

    async def claim(self, conversation: str, who: Operator, still: Still) -> ConversationSummary:
        return await self._command("claim", conversation, lambda state: decisions.claim(state, who), still)

    async def take_over(
        self, conversation: str, who: Operator, owner: str, still: Still
    ) -> ConversationSummary:
        return await self._command(
            "take_over", conversation, lambda state: decisions.take_over(state, who, owner), still
        )

    async def say(
        self, conversation: str, who: Operator, text: str, id: uuid.UUID | None, still: Still
    ) -> ConversationSummary:
        return await self._command(
            "say", conversation, lambda state: decisions.say(state, who, text), still, id
        )

    async def hand_back(
        self, conversation: str, who: Operator, place: str | None, still: Still
    ) -> ConversationSummary:
        if place is not None and not await self._has(await self.find(conversation), place):
            newest = await self.newest(conversation)
            if not await self._has(newest, place):
                flow = newest.state.progress.flow or "of this conversation"
                raise NoSuchState(f"the flow {flow!r} has no state {place!r}")
        return await self._command(
            "handback", conversation, lambda state: decisions.hand_back(state, who, place), still
        )

    async def transfer(
        self, conversation: str, who: Operator, to: Operator, note: str, still: Still
    ) -> ConversationSummary:
        return await self._command(
            "transfer", conversation, lambda state: decisions.transfer(state, who, to, note), still
        )

    async def give(
        self, conversation: str, to: Operator, by: Operator, owner: str, still: Still
    ) -> ConversationSummary:
        return await self._command(
            "give", conversation, lambda state: decisions.give(state, to, by, owner), still
        )

    async def release(
        self, conversation: str, who: Operator, queue: str | None, note: str, still: Still
    ) -> ConversationSummary:
        return await self._command(
            "release", conversation, lambda state: decisions.release(state, who, queue, note), still
        )

    async def lapse(self, conversation: str, operator: str, still: Still) -> None:
        """Back to the queue with what an operator has who is gone; ``still`` raises if they are not."""
        await self._command("lapse", conversation, lambda state: decisions.lapse(state, operator), still)

    async def give_out(self, conversation: str, to: Operator, still: Still) -> None:
        """To the next who is free, if it waits in a queue still."""
        await self._command("give_out", conversation, lambda state: decisions.give_out(state, to), still)

    async def miss(self, conversation: str, operator: str, still: Still) -> None:
        """Back to the queue with what an operator did not answer; ``still`` raises if they did."""
        await self._command("miss", conversation, lambda state: decisions.lapse(state, operator, True), still)

    async def resolve(
        self, conversation: str, who: Operator, still: Still, unjoined: bool = False
    ) -> ConversationSummary:
        decide = decisions.resolve_unjoined if unjoined else decisions.resolve
        return await self._command("resolve", conversation, lambda state: decide(state, who), still)

    async def reopen(self, conversation: str, who: Operator, still: Still) -> ConversationSummary:
        return await self._command("reopen", conversation, lambda state: decisions.reopen(state, who), still)

    async def ask_rating(self, conversation: str, who: Operator, still: Still) -> ConversationSummary:
        return await self._command(
            "ask_rating", conversation, lambda state: decisions.ask_rating(state, who), still
        )

    async def ask_address(
        self, conversation: str, who: Operator, text: str, still: Still
    ) -> ConversationSummary:
        return await self._command(
            "ask_address", conversation, lambda state: decisions.ask_address(state, who, text), still
        )

    async def mail(
        self, conversation: str, decide: Decide, still: Still, id: uuid.UUID | None = None
    ) -> None:
        """Say that something is mailed, or what became of it."""
        await self._command("mail", conversation, decide, still, id)

    async def type(self, conversation: str, who: Operator) -> None:
        """Tell the visitor that the operator is typing. Never on the log."""
        decision = decisions.may_type((await self.find(conversation)).state, who)
        if isinstance(decision, NotYours):
            decision = decisions.may_type((await self.newest(conversation)).state, who)
        if isinstance(decision, NotYours):
            raise CommandRefused(decision)
        payload = msgspec.json.encode({"name": who.display})
        await self.log.client.publish(subjects.typing(conversation, "operator"), payload)

    async def watch(self, conversation: str, console: str) -> None:
        """Ask what there is to tell of the visitor, and say to which console. Never on the log."""
        await self.find(conversation)
        if self.log.client.is_connected:  # later, another console may be asking
            payload = msgspec.json.encode(WatchAsked(console))
            await self.log.client.publish(subjects.watch(conversation, "operator"), payload)

    async def find(self, conversation: str) -> ConversationSummary:
        """The conversation as the desk knows it. Raises `NotFound`, `Busy` and `LogError`."""
        return self._desk.find(conversation) or await self.newest(conversation)

    async def newest(self, conversation: str, desk: bool = False) -> ConversationSummary:
        """The same, with all that is stored by now: another replica may have read further.

        With ``desk`` also with all that is noted by now.
        """
        last = await self.log.last(conversation, desk)
        if last:
            await self.catch_up(conversation, last)
        summary = self._desk.find(conversation)
        if summary is None:
            raise NotFound
        return summary

    async def transcript(self, conversation: str) -> list[TranscriptEntry]:
        """The conversation's lines since its visitor last began anew. Raises as `find` does."""
        await self.find(conversation)
        told = Transcript()
        async for window in self.log.entries(conversation):
            async for _ in self.pace.through(window, told.add):
                pass  # a long one must not keep everybody else waiting
        return told.lines

    async def past_talks(self, conversation: str, wanted: int | None = None) -> PastTalks:
        """What was said before the visitor last began anew. Raises as `find` does."""
        told = PastTalks(wanted)
        if (await self.find(conversation)).state.visit.session:  # else there is nothing to read
            async for window in self.log.entries(conversation):
                async for _ in self.pace.through(window, told.add):
                    pass
        return told

    async def _has(self, summary: ConversationSummary, place: str) -> bool:
        return place in (await self.places(summary.state.progress.version)).states

    async def places(self, version: str) -> FlowPlaces:
        """Where in a flow a conversation can stand; nowhere for a flow that is not known."""
        if version not in self._places:
            content = await flow_store(self.log).get(version) if version else None
            if content is None:
                return NOWHERE
            while len(self._places) >= 32:
                del self._places[next(iter(self._places))]
            self._places[version] = places_of(msgspec.json.decode(content))
        return self._places[version]

    async def _command(
        self, command: str, conversation: str, decide: Decide, still: Still, id: uuid.UUID | None = None
    ) -> ConversationSummary:
        await self.counted(
            command, conversation, self._append(conversation, decide, still, str(id or uuid.uuid4()))
        )
        return await self.find(conversation)

    async def counted(self, command: str, conversation: str, work: Awaitable[int]) -> None:
        """Carry a command out, count it, and say so in one line; ``work`` gives the position, or 0."""
        begin, position, outcome = time.perf_counter(), 0, "done"
        try:
            position = await work
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            self._commands.labels(command, outcome).inc()
            log.info(
                "command",
                command=command,
                conversation=conversation,
                position=position,
                outcome=outcome,
                duration_ms=round((time.perf_counter() - begin) * 1000, 1),
            )

    async def _append(self, conversation: str, decide: Decide, still: Still, id: str) -> int:
        """Decide and append until nothing comes between; the position of what was stored, or 0."""
        refused: NotYours | None = None

        async def entry(state: Conversation) -> Entry | None:
            nonlocal refused
            await still()
            decision = decide(state)
            refused, facts = (decision, ()) if isinstance(decision, NotYours) else (None, decision)
            if facts and state.needs > LEVEL:
                raise Busy("a newer version of this service must decide here")
            return Entry(id=id, needs=needed(facts), facts=facts) if facts else None

        def append(entry: Entry, expect: int | None) -> asyncio.Future[int]:
            return self.log.append(conversation, "operator", entry, expect, APPEND_SECONDS)

        try:
            done = await execute(_DeskState(self, conversation), append, id, entry, TRY_SECONDS)
        except Conflict as error:
            raise Busy("others were quicker, too often") from error
        if refused is not None:
            raise CommandRefused(refused)
        if done.repeated:
            await still()
            return await self._repeated(conversation, decide, id)
        if done.sequence:
            with contextlib.suppress(Busy):  # it is stored: a late feed must not make it look undone
                await self.catch_up(conversation, done.sequence)
        return done.sequence

    async def _repeated(self, conversation: str, decide: Decide, id: str) -> int:
        """The position of the entry ``id``, if it is what would have been decided then."""
        state = NEW
        async for window in self.log.entries(conversation):
            for entry in window:
                if (entry.author, entry.id) == ("operator", id):
                    if decide(state) != entry.facts:
                        raise IdReused("this id was used before, with another content")
                    return entry.position
                state = evolve(state, entry)
            await asyncio.sleep(0)
        raise IdReused("this id was used before, with another content")

    async def catch_up(self, conversation: str, position: int) -> None:
        """Wait until the desk has everything of the conversation up to there. Raises `Busy`."""
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._subscription.of(conversation).reached(position)
                await self._entries.given(conversation)
        except TimeoutError as error:
            raise Busy("this replica has not read the newest entries yet") from error


class _DeskState:
    """A conversation's state as the desk has it."""

    def __init__(self, handlers: Handlers, conversation: str) -> None:
        self._handlers = handlers
        self._conversation = conversation

    async def known(self) -> Conversation:
        return (await self._handlers.find(self._conversation)).state

    async def newest(self) -> Conversation:
        return (await self._handlers.newest(self._conversation)).state

    def expectation(self, state: Conversation) -> int:
        return state.position

    def holds(self, state: Conversation, id: str) -> bool:
        return f"operator:{id}" in state.inbox.ids
