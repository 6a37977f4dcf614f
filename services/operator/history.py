"""Conversations as they stood at any position, read from the log when somebody asks.

What is kept of a conversation is where its entries are, and its state at every `EVERY` entries: so any
position is folded from a near one, however long the conversation is. States share what did not change.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from services.operator.domain.history import HistoryState, HistoryStep, stepped
from shared.contract.entry import RecordedEntry
from shared.contract.facts import FlowMigrated, FlowStarted
from shared.service.chat_log import ChatLog, flow_store
from shared.service.pace import Pace

if TYPE_CHECKING:
    from shared.flow.bundle import BundleWriter
    from shared.flow.language.flow import Flow
    from shared.flow.retrace import Retraced

#: How many entries lie between two states that are kept.
EVERY: Final = 256
#: How long one request may read before it says so (seconds): 100,000 entries take about 15.
READ_SECONDS: Final = 5.0
#: Conversations of which that is kept, and flows that are kept ready. Who travels looks at one of them.
MAX_KEPT: Final = 16


class NothingThere(Exception):
    """The conversation has nothing there that can be shown; the text says where it begins."""


class StillReading(Exception):
    """The conversation is long, and not read to its end yet: whoever asks again goes on from there."""


class HistoryPlace(NamedTuple):
    """An entry of a history of so many: its number, from 1, and the positions before and behind it."""

    step: HistoryStep
    number: int
    total: int
    previous: int | None
    next: int | None


class _KeptHistory:
    """What is kept of a conversation."""

    def __init__(self) -> None:
        self.positions = array("Q")
        self.base = 0  # the position behind which it begins: that of the last erasure
        self.states = [HistoryState()]  # before the first entry, before that with the number `EVERY`, ...
        self.last = HistoryState()
        self.gone = False
        self.reading = asyncio.Lock()

    @property
    def end(self) -> int:
        return self.positions[-1] if self.positions else self.base

    def add(self, recorded: RecordedEntry) -> None:
        step = stepped(self.last, recorded)
        self.last = step.after
        if step.erases:  # what it was before must not be kept, nor shown
            self.positions, self.base, self.states = array("Q"), recorded.position, [step.after]
            return
        self.positions.append(recorded.position)
        if len(self.positions) % EVERY == 0:
            self.states.append(step.after)


class Histories:
    """Reads histories; long ones in turns with the other long work (``pace``)."""

    def __init__(self, log: ChatLog, pace: Pace) -> None:
        self._log = log
        self._pace = pace
        self._known: OrderedDict[str, _KeptHistory] = OrderedDict()
        self._flows: OrderedDict[tuple[str, str], Flow | None] = OrderedDict()

    def forget(self, conversation: str) -> None:
        """The conversation was erased: nothing of it is kept, or shown to those who ask right now."""
        if (known := self._known.pop(conversation, None)) is not None:
            known.gone = True

    def clear(self) -> None:
        """The log is another one."""
        for conversation in list(self._known):
            self.forget(conversation)

    async def steps(self, conversation: str, first: int, count: int) -> tuple[int, list[HistoryStep]]:
        """How many entries it has, and those with the numbers from ``first``, which begin with 1.

        Raises `NothingThere` and `Unreachable`.
        """
        known = await self._read(conversation)
        total = len(known.positions)
        if not 1 <= first <= total:
            raise NothingThere(f"entries have numbers from 1 to {total}")
        return total, await self._steps(conversation, known, first - 1, count)

    async def at(self, conversation: str, position: int) -> HistoryPlace:
        """The last entry up to ``position``. Raises `NothingThere` and `Unreachable`."""
        known = await self._read(conversation)
        index = bisect_right(known.positions, position) - 1
        if index < 0:
            raise NothingThere(_begins(known))
        total = len(known.positions)
        previous = known.positions[index - 1] if index else None
        following = known.positions[index + 1] if index + 1 < total else None
        [step] = await self._steps(conversation, known, index, 1)
        return HistoryPlace(step, index + 1, total, previous, following)

    async def explained(self, step: HistoryStep) -> Retraced | None:
        """Why the bot did what the entry says; None where it decided nothing. Raises `Unreachable`."""
        if step.entry.author != "bot":
            return None
        await asyncio.to_thread(import_module, "shared.flow.retrace")  # a third of a second, once
        from shared.flow.retrace import flow_of, is_decision, retraced

        before = step.before.conversation
        if not is_decision(before, step.entry):
            return None
        flow = await self._flow(*flow_of(before, step.entry))
        return await asyncio.to_thread(retraced, before, step.entry, flow, step.after.words)

    async def bundle(
        self, conversation: str, position: int, words: bool, program: str, made: str
    ) -> AsyncIterator[bytes]:
        """The lines of a bundle up to ``position``, some at a time. Raises `NothingThere`, `Unreachable`.

        It breaks off, without the last line, where the conversation is erased meanwhile.
        """
        known = await self._read(conversation, patient=True)  # a file is asked for once
        if not known.positions or position < known.positions[0]:
            raise NothingThere(_begins(known))
        position = known.positions[bisect_right(known.positions, position) - 1]
        await asyncio.to_thread(import_module, "shared.flow.bundle")
        from shared.flow.bundle import BundleWriter

        writer = BundleWriter(words)
        head = writer.head(conversation, position, program, made)
        return self._bundled(conversation, known, position, writer, head)

    async def _bundled(
        self, conversation: str, known: _KeptHistory, position: int, writer: BundleWriter, head: bytes
    ) -> AsyncIterator[bytes]:
        yield head
        flows = set[str]()
        made_lines: list[bytes] = []
        async for window in self._log.entries(conversation, known.base):
            entries = [entry for entry in window if entry.position <= position]
            for entry in entries:
                for fact in entry.facts:
                    if isinstance(fact, FlowStarted | FlowMigrated) and fact.version not in flows:
                        flows.add(fact.version)
                        content = await flow_store(self._log).get(fact.version)
                        if content is not None:
                            made_lines.append(writer.flow(fact.flow, fact.version, content))
            async for _ in self._pace.through(entries, lambda entry: made_lines.append(writer.entry(entry))):
                pass
            if known.gone:
                raise NothingThere("this conversation was erased")
            yield b"".join(made_lines)
            made_lines.clear()
            if not entries or entries[-1].position >= position:
                break
        yield writer.end()

    async def _read(self, conversation: str, patient: bool = False) -> _KeptHistory:
        """What is known, with all that is stored by now. Raises `StillReading`, as all that ask for it do."""
        known = self._known.get(conversation)
        if known is None:
            known = self._known[conversation] = _KeptHistory()
            if len(self._known) > MAX_KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(conversation)
        async with known.reading:
            loop = asyncio.get_running_loop()
            windows, end = self._log.entries(conversation, known.end), loop.time() + READ_SECONDS
            async for window in windows:
                async for _ in self._pace.through(window, known.add):
                    pass
                if loop.time() > end and not windows.over and not patient:
                    read = f"{len(known.positions):,} entries are read"
                    raise StillReading(f"this conversation is long, {read}: ask again")
        if known.gone:
            raise NothingThere("this conversation was erased")
        return known

    async def _steps(
        self, conversation: str, known: _KeptHistory, index: int, count: int
    ) -> list[HistoryStep]:
        """Folded from the state that is kept before ``index``, which counts from 0."""
        block = index // EVERY
        number, state = block * EVERY, known.states[block]
        after = known.positions[number - 1] if number else known.base
        found: list[HistoryStep] = []

        def add(recorded: RecordedEntry) -> None:
            nonlocal number, state
            if len(found) == count:
                return
            step = stepped(state, recorded)
            state = step.after
            if number >= index:
                found.append(step)
            number += 1

        async for window in self._log.entries(conversation, after):
            async for _ in self._pace.through(window, add):
                pass
            if len(found) == count:
                break
        if known.gone or not found:
            raise NothingThere("this conversation was erased")
        return found

    async def _flow(self, name: str, version: str) -> Flow | None:
        """The flow, None where the log has none, or this program refuses it."""
        if not version:
            return None
        if (name, version) not in self._flows:
            content = await flow_store(self._log).get(version)
            if content is None:  # perhaps not yet: of a cluster a server answers that is behind
                return None
            self._flows[name, version] = await asyncio.to_thread(_parsed, content, name)
            if len(self._flows) > MAX_KEPT:
                self._flows.popitem(last=False)
        return self._flows[name, version]


def _begins(known: _KeptHistory) -> str:
    begins = f"at position {known.positions[0]}" if known.positions else "later"
    return f"what can be shown of this conversation begins {begins}"


def _parsed(content: bytes, name: str) -> Flow | None:
    from shared.flow.language.flow import FlowError, parse

    try:
        return parse(content, name)
    except FlowError:
        return None
