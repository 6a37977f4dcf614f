"""What operators note about a conversation: decide on it and its notes, append beside it."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid

from services.operator.domain.desk import ConversationSummary
from services.operator.domain.desk_decisions import decide_note
from services.operator.domain.noted import NotedConversation
from services.operator.handlers import APPEND_SECONDS, TRY_SECONDS, Busy, Handlers, Still
from shared.contract.desk_facts import DeskFact
from shared.contract.entry import LEVEL, Entry, needed
from shared.contract.subjects import DESK
from shared.eventlog.command import execute
from shared.eventlog.errors import Conflict, IdReused


class NoteRefused(Exception):
    """It cannot be noted; the text says why."""


class DeskCommands:
    """Commands about a conversation that nobody needs to own."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._log = handlers.log

    async def noted(self, conversation: str) -> ConversationSummary:
        """The conversation with all that is noted by now. Raises `NotFound`, `Busy` and `LogError`."""
        return await self._handlers.newest(conversation, desk=True)

    async def note(
        self, command: str, conversation: str, wish: DeskFact, still: Still, id: uuid.UUID | str | None
    ) -> ConversationSummary:
        """Append ``wish``, unless it holds already; all that holds then.

        With an ``id`` the same wish may come again and counts once. Raises `NoteRefused`, `NotFound`,
        `IdReused`, `Busy` and `LogError`.
        """
        await self._handlers.counted(command, conversation, self._append(conversation, wish, still, id))
        return await self._handlers.find(conversation)

    async def _append(
        self, conversation: str, wish: DeskFact, still: Still, id: uuid.UUID | str | None
    ) -> int:
        """The position of what was stored, or 0."""
        refusal = ""

        async def entry(state: NotedConversation) -> Entry | None:
            nonlocal refusal
            await still()
            decision = decide_note(state, wish, time.time_ns())
            refusal, facts = (decision, ()) if isinstance(decision, str) else ("", decision)
            if facts and state.needs > LEVEL:
                raise Busy("a newer version of this service must decide here")
            return Entry(id=name, needs=needed(facts), facts=facts) if facts else None

        def append(entry: Entry, expect: int | None) -> asyncio.Future[int]:
            return self._log.append(conversation, DESK, entry, expect, APPEND_SECONDS)

        name = str(id or uuid.uuid4())
        try:
            done = await execute(_NotedState(self._handlers, conversation), append, name, entry, TRY_SECONDS)
        except Conflict as error:
            raise Busy("others were quicker, too often") from error
        if done.repeated:
            await still()
            return await self._repeated(conversation, wish, name)
        if refusal:
            raise NoteRefused(refusal)
        if done.sequence:
            with contextlib.suppress(Busy):  # it is stored: a late feed must not make it look undone
                await self._handlers.catch_up(conversation, done.sequence)
        return done.sequence

    async def _repeated(self, conversation: str, wish: DeskFact, id: str) -> int:
        """The position of the entry ``id``, if it says the same."""
        async for window in self._log.entries(conversation, desk=True):
            for entry in window:
                if (entry.author, entry.id) == (DESK, id) and entry.facts == (wish,):
                    return entry.position
            await asyncio.sleep(0)
        raise IdReused("this id was used before, with another content")


class _NotedState:
    """A conversation with its notes as the desk has it."""

    def __init__(self, handlers: Handlers, conversation: str) -> None:
        self._handlers = handlers
        self._conversation = conversation

    async def known(self) -> NotedConversation:
        return (await self._handlers.find(self._conversation)).noted

    async def newest(self) -> NotedConversation:
        return (await self._handlers.newest(self._conversation, desk=True)).noted

    def expectation(self, state: NotedConversation) -> int:
        return state.position

    def holds(self, state: NotedConversation, id: str) -> bool:
        return id in state.notes.ids
