"""The whole log, read once: each conversation's fold, or its entries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from deploy.cli.progress import ProgressLine
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import RecordedEntry
from shared.service.chat_log import ChatLog


async def recorded(log: ChatLog, what: str) -> AsyncIterator[RecordedEntry]:
    """Every entry, in order, up to what is the log's end now. Raises `Unreachable`."""
    tails = await log.tails()
    ends, length = [tail.last for tail in tails], sum(tail.length for tail in tails)
    progress, read = ProgressLine(what), 0
    try:
        async for batch in log.read(ends=ends):
            decode = await log.ready(batch)
            for message in batch:
                yield decode(message)
            read += len(batch)
            progress(read, length)
    finally:
        progress.end()


async def folds(log: ChatLog, wanted: Callable[[Conversation], bool]) -> dict[str, Conversation]:
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
