"""Complete folds of the conversations at work.

A fold is complete up to the subscription's position: the subscription proves that nothing is missing there,
which an expectation alone does not (it proves only that nothing came after).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import RecordedEntry
from shared.eventlog.errors import Unreachable
from shared.eventlog.messages import StoredMessage
from shared.service.chat_log import ChatLog

#: Folds kept for conversations that are likely to go on.
MAX_KEPT = 20_000

Watcher = Callable[[Conversation], None]


@dataclass(slots=True)
class _Loading:
    live: list[RecordedEntry] = field(default_factory=list)  # what came meanwhile
    over: asyncio.Event = field(default_factory=asyncio.Event)


class StateCache:
    """Fed with every message by the subscription; loads a conversation when it is first asked for.

    ``time`` is the newest stored time that was heard of (nanoseconds since 1970): the log's own clock.
    """

    def __init__(self) -> None:
        self._folds: OrderedDict[str, Conversation] = OrderedDict()
        self._loading: dict[str, _Loading] = {}
        self._watchers: dict[str, list[Watcher]] = {}
        self.time = 0

    def wants(self, message: StoredMessage) -> bool:
        """Whether the next message of the log is news to a fold that is at hand, or begins one."""
        if message.time > self.time:
            self.time = message.time
        if message.key in self._loading:
            return True
        state = self._folds.get(message.key)
        # Our own answers are folded already.
        return message.first if state is None else state.position < message.sequence

    def give(self, message: StoredMessage, recorded: RecordedEntry) -> None:
        """One more entry of the log, in order."""
        conversation = message.key
        if conversation in self._loading:
            self._loading[conversation].live.append(recorded)
            return
        state = self._folds.get(conversation)
        if unreadable(recorded):
            self._drop(conversation)
        elif state is None and message.first:  # there is nothing to fetch: the fold begins here
            self._keep(conversation, evolve(NEW, recorded))
        elif state is not None and state.position < message.sequence:
            self._set(conversation, evolve(state, recorded))

    def forget(self) -> None:
        """Drop everything: the log is no longer the one that was folded."""
        self._folds.clear()
        self._loading.clear()
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher(NEW)

    def at_hand(self, conversation: str) -> Conversation | None:
        """The conversation's fold, complete up to the subscription's position, if it need not be loaded."""
        known = self._folds.get(conversation)
        if known is not None:
            self._folds.move_to_end(conversation)
        return known

    async def complete(self, log: ChatLog, conversation: str) -> Conversation:
        """The conversation's fold, complete up to the subscription's position. Raises `Unreachable`."""
        while True:
            known = self.at_hand(conversation)
            if known is not None:
                return known
            if conversation not in self._loading:
                return await self._load(log, conversation)
            await self._loading[conversation].over.wait()

    @contextmanager
    def watching(self, conversation: str, watcher: Watcher) -> Iterator[None]:
        """Within the block, ``watcher`` is given each new fold of the conversation, at once."""
        watchers = self._watchers.setdefault(conversation, [])
        watchers.append(watcher)
        try:
            yield
        finally:
            watchers.remove(watcher)
            if not watchers:
                del self._watchers[conversation]

    def advance(self, conversation: str, recorded: RecordedEntry) -> None:
        """Our own entry was stored behind all that was folded: no need to wait until it comes by."""
        state = self._folds.get(conversation)
        if state is not None and state.position < recorded.position:  # it may have come by already
            self._set(conversation, evolve(state, recorded))

    async def _load(self, log: ChatLog, conversation: str) -> Conversation:
        loading = self._loading[conversation] = _Loading()  # from here on nothing that comes is missed
        try:
            state = NEW
            async for window in log.entries(conversation):
                for recorded in window:
                    state = evolve(state, _readable(recorded))
                await asyncio.sleep(0)  # a long one must not keep the others waiting
            for recorded in loading.live:
                state = evolve(state, _readable(recorded))
        finally:
            kept = self._loading.get(conversation) is loading
            if kept:
                del self._loading[conversation]
            loading.over.set()
        if kept:
            self._keep(conversation, state)
        return state

    def _drop(self, conversation: str) -> None:
        """It cannot be folded any more: whoever asks for it is told why, once it is read again."""
        self._folds.pop(conversation, None)
        for watcher in tuple(self._watchers.get(conversation, ())):
            watcher(NEW)

    def _keep(self, conversation: str, state: Conversation) -> None:
        self._set(conversation, state)
        while len(self._folds) > MAX_KEPT + len(self._watchers):
            oldest = next(iter(self._folds))
            if oldest in self._watchers:  # somebody relies on it
                self._folds.move_to_end(oldest)
            else:
                del self._folds[oldest]

    def _set(self, conversation: str, state: Conversation) -> None:
        self._folds[conversation] = state
        for watcher in tuple(self._watchers.get(conversation, ())):
            watcher(state)


def unreadable(recorded: RecordedEntry) -> bool:
    """Whether words are missing that nobody erased: no answer may be decided without them."""
    return recorded.sealed and not recorded.erased


def _readable(recorded: RecordedEntry) -> RecordedEntry:
    if unreadable(recorded):
        raise Unreachable(
            f"words of {recorded.conversation} cannot be read (`switchboard keys check` says why): it is "
            "answered when they can"
        )
    return recorded
