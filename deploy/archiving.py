"""Takes conversations that are over out of the hot log, into the archive: a rehearsal, not yet a command.

With the services stopped, as for `deploy.resharding`:

1. **Choose.** What is resolved or erased, owes nobody anything, and whose last entry is old enough.
2. **Archive.** Each conversation goes into the archive whole, as one message, and is read back.
3. **Leave out.** The log is copied without them. What the hot streams held stays in ``CHAT-PREVIOUS-<n>``
   until `resharding.drop_old`: only then does the server forget their subjects.

A conversation is in the archive before it leaves the log. Killed in between it is in both, and the next run
finds that it is archived.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from nats.aio.client import Client

from deploy import resharding
from deploy.log_copy import ReshardError
from deploy.resharding import Progress, Tell
from shared.contract import relocation
from shared.contract.codec import entry_of
from shared.contract.conversation import NEW, Conversation, evolve
from shared.eventlog.master_keys import MasterKeys
from shared.eventlog.messages import StoredMessage
from shared.eventlog.provisioning import DeclareError, declare_stream, find_layout, log_stream
from shared.service import archive
from shared.service.archive import Archive, ArchivedEntry, Stay
from shared.service.chat_log import ChatLog, chat_layout

#: Conversations that are archived at once.
AT_ONCE: Final = 50


async def archive_older(
    client: Client,
    before: int,
    streams: int,
    masters: Callable[[], MasterKeys],
    max_bytes: int,
    replicas: int,
    tell: Tell,
    progress: Progress,
) -> int:
    """Archive what is over since ``before`` (nanoseconds since 1970, UTC); how many conversations left.

    The log has ``streams`` streams afterwards. A run that was cut short is run again with the same number.
    Raises what `resharding.reshard` raises.
    """
    leaving: dict[str, int] = {}
    if await _whole(client):
        await resharding.refuse_services(client)
        await declare_archive(client, max_bytes, replicas)
        leaving = await _archived(client, before, tell, progress)
        if not leaving:
            return 0
    await resharding.reshard(client, streams, masters, max_bytes, replicas, tell, progress, leaving)
    return len(leaving)


async def declare_archive(client: Client, max_bytes: int, replicas: int) -> None:
    """Create or mend the archive's stream. Raises `DeclareError`."""
    wanted = log_stream(archive.LAYOUT, 0, max_bytes, archive.MAX_STAY + 4 * 1024, replicas)
    del wanted["republish"]  # what is live is told once
    await declare_stream(client, wanted, {"epoch": secrets.token_hex(8), "streams": "1"})


async def _whole(client: Client) -> bool:
    """Whether all of the log is there. Where it is not, a copy was cut short, and is ended first."""
    try:
        return await find_layout(client, chat_layout()) is not None
    except DeclareError:
        return False


async def _archived(client: Client, before: int, tell: Tell, progress: Progress) -> dict[str, int]:
    """Archive what may leave; the last sequence of each conversation that is archived as the log holds it."""
    layout = await find_layout(client, chat_layout())
    assert layout is not None
    hot, cold = ChatLog(client, layout), Archive(client)
    names = await _over(hot, before)
    leaving: dict[str, int] = {}
    tell(f"Archiving {len(names):,} conversation(s).")
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        ends = await asyncio.gather(*(_move(hot, cold, name) for name in some))
        leaving.update(zip(some, ends, strict=True))
        progress("Archiving", start + len(some), len(names))
    return leaving


async def _over(hot: ChatLog, before: int) -> list[str]:
    """The conversations that may leave the log."""
    states: dict[str, tuple[Conversation, int]] = {}
    staying: set[str] = set()
    sizes: dict[str, int] = {}
    async for batch in hot.read():
        for message in batch:
            entry = entry_of(message)
            state, _ = states.get(message.key, (NEW, 0))
            states[message.key] = evolve(state, entry), entry.time
            sizes[message.key] = sizes.get(message.key, 0) + len(message.data) + 64
            # An archive never changes, so an erasure could not take these words out of it.
            if message.author != "bot" and relocation.without_open_words(message.data) != message.data:
                staying.add(message.key)
    return [
        name
        for name, (state, last) in states.items()
        if last < before and _is_over(state) and name not in staying and sizes[name] < archive.MAX_STAY
    ]


def _is_over(state: Conversation) -> bool:
    """Whether nothing is owed to anybody, and nothing will happen by itself."""
    ended = state.ownership.status == "resolved" or not state.visit.started
    return ended and not state.inbox.unanswered and not state.timers.armed


async def _move(hot: ChatLog, cold: Archive, name: str) -> int:
    """Have a conversation in the archive as the log holds it; its last sequence there.

    Raises `LogError` or `ReshardError`.
    """
    messages = await hot.fetch(name, asides=True)
    stay = _stay(name, messages)
    if stay not in await cold.stays(name):
        await cold.append(archive.bucket_of(name), archive.AUTHOR, stay)
        if stay not in await cold.stays(name):
            raise ReshardError(f"the conversation {name} is not in the archive. The log is as it was.")
    return messages[-1].sequence


def _stay(name: str, messages: Sequence[StoredMessage]) -> Stay:
    entries = tuple(ArchivedEntry(each.sequence, each.author, each.time, each.data) for each in messages)
    return Stay(name, entry_of(messages[0]).time, entries)
