"""A subscription's messages as entries: what waits for a key is held back, in order, and nothing else is.

A conversation's key is nearly always at hand. Where it is not, the conversation's messages wait until it was
fetched, and those of other conversations go on. What was given on is therefore, of each conversation, all
up to some entry: nothing is left out in between, so an expectation still proves that nothing came after it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from shared.contract.codec import entry_of
from shared.contract.entry import RecordedEntry
from shared.contract.subjects import DESK
from shared.eventlog.checkpoint import Checkpoint
from shared.eventlog.errors import Unreachable
from shared.eventlog.messages import StoredMessage
from shared.service.chat_log import ChatLog

log = structlog.get_logger()

#: Messages that are held back at most, of all conversations. More are read again from the log.
MAX_HELD: Final = 10_000
#: How long to wait before a key is asked for again (seconds): at first, and at most.
PAUSE_SECONDS: Final = 0.2
MAX_PAUSE_SECONDS: Final = 5.0

#: Is given each message with its entry, those of one conversation in order.
Give = Callable[[StoredMessage, RecordedEntry], None]


def _say(message: StoredMessage, error: Exception) -> None:
    log.error("deliver_failed", position=message.sequence, exc_info=error)


class _Held:
    """What waits of one conversation: ``messages``, and behind them all up to the sequence ``missing``."""

    def __init__(self, first: StoredMessage) -> None:
        self.messages = deque([first])
        self.missing = 0
        self.given = first.sequence - 1
        self.task: asyncio.Task[None] | None = None


class LiveEntries:
    """Between a subscription, which calls `take`, and ``give``, which folds what is ``wanted``.

    ``failed`` is told of a message that could not be read, or for which ``give`` raised. Only with ``desk``
    is what operators note given on: to whoever only answers it means nothing, and must not be waited for.
    """

    def __init__(
        self,
        chat: ChatLog,
        give: Give,
        wanted: Callable[[StoredMessage], bool] = lambda message: True,
        failed: Callable[[StoredMessage, Exception], None] = _say,
        desk: bool = False,
    ) -> None:
        self._log = chat
        self._keys = chat.keys
        self._give = give
        self._wanted = wanted
        self._failed = failed
        self._desk = desk
        self._held: dict[str, _Held] = {}
        self._count = 0

    def take(self, message: StoredMessage) -> None:
        """Give the message on: at once, or when its key, and what came before it, is there."""
        if message.author == DESK and not self._desk:
            return
        wanted = self._wanted(message)
        if self._held and (held := self._held.get(message.key)) is not None:
            self._hold(held, message)
        elif wanted:
            try:
                recorded = entry_of(message) if self._keys is None else self._keys.opened(message)
                if recorded is None:
                    self._wait(message)
                else:
                    self._give(message, recorded)
            except Exception as error:
                self._failed(message, error)

    def place(self, taken: Checkpoint) -> Checkpoint | None:
        """How far what was given on goes, if that is all up to what was ``taken``; None: that is not known.

        While something is held back, a place behind it would leave it out for ever.
        """
        return None if self._held else taken

    async def given(self, conversation: str) -> None:
        """Wait until nothing of the conversation is held back."""
        while (held := self._held.get(conversation)) is not None and held.task is not None:
            await asyncio.wait([held.task])

    def reset(self) -> None:
        """The log is another one: what is held back is of the old one."""
        if self._keys is not None:
            self._keys.reset()
        held, self._held = self._held, {}
        self._count = 0
        for each in held.values():
            if each.task is not None:
                each.task.cancel()

    def _wait(self, first: StoredMessage) -> None:
        held = self._held[first.key] = _Held(first)
        self._count += 1
        held.task = asyncio.create_task(self._release(first.key, held))

    def _hold(self, held: _Held, message: StoredMessage) -> None:
        if held.missing or self._count >= MAX_HELD:
            held.missing = message.sequence
        else:
            held.messages.append(message)
            self._count += 1

    async def _release(self, conversation: str, held: _Held) -> None:
        assert self._keys is not None
        pause = PAUSE_SECONDS
        while held.messages or held.missing:
            try:
                if not held.messages:
                    await self._read_on(conversation, held)
                    continue
                decode = await self._keys.ready([held.messages[0]])
            except Unreachable as error:
                log.warning("words_wait", conversation=conversation, error=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)
                continue
            if self._held.get(conversation) is not held:
                return
            message = held.messages.popleft()
            self._count -= 1
            held.given = message.sequence
            try:
                self._give(message, decode(message))
            except Exception as error:
                self._failed(message, error)
        del self._held[conversation]

    async def _read_on(self, conversation: str, held: _Held) -> None:
        """Fetch the next of those that were not kept."""
        window = await self._log.windows(conversation, held.given, self._desk).next()
        if self._held.get(conversation) is not held:
            return
        held.messages.extend(message for message in window if message.sequence <= held.missing)
        if not held.messages:
            raise Unreachable("the log does not hold yet what its feed has brought")
        self._count += len(held.messages)
        if held.messages[-1].sequence == held.missing:
            held.missing = 0
