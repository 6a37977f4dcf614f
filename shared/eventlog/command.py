"""The one command loop: decide on a state, append only if nothing came after it, else decide again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol, TypeVar

from shared.eventlog.errors import Conflict, Unknown

S = TypeVar("S")
E = TypeVar("E")

#: How long a command is tried again when others are quicker, or nobody answers (seconds).
COMMAND_SECONDS: Final = 5.0


class StateSource(Protocol[S]):
    """The state of one key, as a service folds it."""

    async def known(self) -> S | None:
        """The state as far as it is folded here, None: not at all. May raise: the command ends with that."""

    async def newest(self) -> S:
        """The state with all that was stored before this was asked for. May raise, as `known` may."""

    def expectation(self, state: S) -> int | None:
        """The sequence of the last entry in the state (0: it has none); None: whatever came after it."""

    def holds(self, state: S, id: str) -> bool:
        """Whether the command's author has an entry of this id in the state."""


class Executed(NamedTuple):
    """What became of a command. ``sequence`` is that of the entry which this call stored, else 0.

    ``repeated``: an entry of this id is in the state, by this call's earlier try or by an earlier call.
    """

    sequence: int
    repeated: bool = False


async def execute(
    source: StateSource[S],
    append: Callable[[E, int | None], Awaitable[int]],
    id: str,
    decide: Callable[[S], Awaitable[E | None]],
    seconds: float = COMMAND_SECONDS,
) -> Executed:
    """Append the entry of this ``id`` that ``decide`` makes of the state; None: there is nothing to append.

    ``append`` is given the entry and the expectation, as `Log.append` is. After `Conflict`, and after
    `Unknown`, the entry is looked for in the newest state before ``decide`` is asked again. Once ``seconds``
    are over these are raised; whatever else comes is raised at once.

    What is appended, the log holds against its expectation. Nobody does so where nothing is appended: that is
    decided on the newest state only, however much is known here.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    known = await source.known()
    newest = known is None
    state = await source.newest() if known is None else known
    while True:
        if source.holds(state, id):
            return Executed(0, repeated=True)
        entry = await decide(state)
        if entry is not None:
            try:
                return Executed(await append(entry, source.expectation(state)))
            except (Conflict, Unknown):
                if loop.time() >= end:
                    raise
        elif newest:
            return Executed(0)
        state, newest = await source.newest(), True
