"""The whole log, read once: each conversation's fold, or its entries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from deploy.cli.progress import Progress
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import RecordedEntry
from shared.eventlog.log import Log


async def recorded(log: Log, what: str) -> AsyncIterator[RecordedEntry]:
    """Every entry, in order, up to what is the log's end now. Raises `Unreachable`."""
    end = (await log.tail()).last
    progress = Progress(what)
    try:
        async for batch in log.read(1):
            for message in batch:
                if message.position > end:
                    return
                yield message.decode()
            progress(batch[-1].position, end)
    finally:
        progress.end()


async def folds(log: Log, wanted: Callable[[Conversation], bool]) -> dict[str, Conversation]:
    """The conversations that are ``wanted``, by name. Raises `Unreachable`."""
    states: dict[str, Conversation] = {}
    async for entry in recorded(log, "Reading the log"):
        states[entry.conversation] = evolve(states.get(entry.conversation, NEW), entry)
    return {name: state for name, state in states.items() if wanted(state)}


def live(state: Conversation) -> bool:
    """Whether a flow may still go on here."""
    return (
        state.engagement is None
        and bool(state.progress.version)
        and not state.progress.ended
        and state.ownership.status != "resolved"
    )
