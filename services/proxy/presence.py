"""Tells operators who look at a conversation where its visitor is: over core NATS, never on the log.

What clients tell of their visitors stays in this process until an operator asks
(`subjects.WATCHES_ASKED`). From then on each change is told, for as long as the console goes on asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from time import monotonic
from typing import Final

import msgspec
import nats.errors

from services.proxy.domain.presence import GRACE_SECONDS, VisitorLeft, VisitorTold, report
from shared.contract import subjects
from shared.contract.presence import WATCH_SECONDS

#: So long it is remembered that a visitor has left, and of so many visitors.
LEFT_SECONDS: Final = 3600.0
MAX_LEFT: Final = 10_000
#: Conversations that operators look at: those that were asked for last.
MAX_WATCHED: Final = 1_000
#: Changes within this time are told as one (seconds).
GATHER_SECONDS: Final = 0.25


class VisitorsPresent:
    """Of all visitors at this replica.

    ``readers`` gives who follows a conversation here; ``publish`` takes a subject and a message.
    """

    def __init__(
        self,
        readers: Callable[[str], Collection[object]],
        publish: Callable[[str, bytes], Awaitable[None]],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._readers = readers
        self._publish = publish
        self._clock = clock
        self._replica = secrets.token_hex(8)
        self._told: dict[object, VisitorTold] = {}
        self._left: OrderedDict[str, VisitorLeft] = OrderedDict()
        self._watched: OrderedDict[str, float] = OrderedDict()  # until when
        self._due: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def tells(self, conversation: str, reader: object, told: VisitorTold) -> None:
        """A client tells how things are with its visitor. What it told before does not hold any more."""
        if reader not in self._readers(conversation):
            return  # it was closed meanwhile
        self._told[reader] = told
        self._left.pop(conversation, None)
        self._change(conversation)

    def leaves(self, conversation: str, reader: object) -> None:
        """A client is closed, and follows the conversation no more."""
        told = self._told.pop(reader, None)
        if told is not None and not any(other in self._told for other in self._readers(conversation)):
            self._left[conversation] = VisitorLeft(self._clock(), told)
            self._left.move_to_end(conversation)
            self._forget()
            if self._is_watched(conversation):
                asyncio.get_running_loop().call_later(GRACE_SECONDS, self._change, conversation)
        self._change(conversation)

    def watch(self, conversation: str) -> None:
        """An operator looks at the conversation."""
        self._watched[conversation] = self._clock() + WATCH_SECONDS
        self._watched.move_to_end(conversation)
        while len(self._watched) > MAX_WATCHED:
            self._watched.popitem(last=False)
        self._tell(conversation)

    def __len__(self) -> int:
        """Of how many visitors anything is kept."""
        return len(self._told) + len(self._left)

    def _is_watched(self, conversation: str) -> bool:
        return self._watched.get(conversation, 0.0) > self._clock()

    def _change(self, conversation: str) -> None:
        if conversation not in self._due and self._is_watched(conversation):
            self._due.add(conversation)
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._tell, conversation)

    def _tell(self, conversation: str) -> None:
        self._due.discard(conversation)
        self._forget()
        readers = [*self._readers(conversation)]
        told = [self._told[reader] for reader in readers if reader in self._told]
        now, left = self._clock(), self._left.get(conversation)
        said = report(self._replica, told, len(told) < len(readers), left, now)
        task = asyncio.ensure_future(
            self._say(subjects.watch(conversation, "visitor"), msgspec.json.encode(said))
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say(self, subject: str, message: bytes) -> None:
        with contextlib.suppress(nats.errors.Error):  # it is told again when the console asks again
            await self._publish(subject, message)

    def _forget(self) -> None:
        since = self._clock() - LEFT_SECONDS
        while self._left and (len(self._left) > MAX_LEFT or next(iter(self._left.values())).time < since):
            self._left.popitem(last=False)
