"""Complete folds of the conversations at work.

A fold is complete up to the follower's position: the follower proves that nothing is missing there,
which an expectation alone does not (it proves only that nothing came after).
"""

from __future__ import annotations

from collections import OrderedDict

from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import Recorded
from shared.runtime.log import Log, Message

#: Folds kept for conversations that are likely to go on.
MOST_KEPT = 20_000


class Folds:
    """Fed with every message by the follower; loads a conversation when it is first asked for."""

    def __init__(self) -> None:
        self._folds: OrderedDict[str, Conversation] = OrderedDict()
        self._loading: dict[str, list[Recorded]] = {}

    def deliver(self, message: Message) -> None:
        """One more message of the log, in order."""
        conversation = message.conversation
        if conversation in self._loading:
            self._loading[conversation].append(message.decode())
            return
        state = self._folds.get(conversation)
        if state is None and message.first:  # there is nothing to fetch: the fold begins here
            self._keep(conversation, evolve(NEW, message.decode()))
        elif state is not None and state.position < message.position:  # our own answers are folded already
            self._folds[conversation] = evolve(state, message.decode())

    def forget(self) -> None:
        """Drop everything: the log is no longer the one that was folded."""
        self._folds.clear()
        self._loading.clear()

    async def complete(self, log: Log, conversation: str) -> Conversation:
        """The conversation's fold, complete up to the follower's position. Raises `Unreachable`.

        Only one caller at a time for the same conversation: its lane.
        """
        known = self._folds.get(conversation)
        if known is not None:
            self._folds.move_to_end(conversation)
            return known
        live = self._loading[conversation] = []  # from here on nothing that comes is missed
        try:
            state = NEW
            for message in await log.fetch(conversation):
                state = evolve(state, message.decode())
            for recorded in live:
                state = evolve(state, recorded)
        finally:
            kept = self._loading.pop(conversation, None) is live
        if kept:
            self._keep(conversation, state)
        return state

    def _keep(self, conversation: str, state: Conversation) -> None:
        self._folds[conversation] = state
        if len(self._folds) > MOST_KEPT:
            self._folds.popitem(last=False)

    def advance(self, conversation: str, recorded: Recorded) -> None:
        """Our own entry was stored behind all that was folded: no need to wait until it comes by."""
        if conversation in self._folds:
            self._folds[conversation] = evolve(self._folds[conversation], recorded)
