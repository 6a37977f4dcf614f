"""`switchboard log`: the log as JSON lines."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import msgspec

from deploy.cli.connection import PATIENCE
from deploy.cli.settings import Local
from deploy.cli.words import opened_log
from shared.contract import entry
from shared.contract.codec import entry_of
from shared.contract.sealing import FindKey, opened
from shared.eventlog.connection import ConnectionState
from shared.eventlog.messages import StoredMessage
from shared.eventlog.subscription import Subscription
from shared.service.chat_log import ChatLog
from shared.service.health import Health
from shared.service.settings import environment, load
from shared.timestamps import format_time

#: Stands for words that cannot be opened here.
SEALED = "…"


class Selection(NamedTuple):
    """What to print: from position ``start``, or the ``last`` N, of one conversation or of all."""

    start: int | None
    last: int | None
    conversation: str | None


def log(options: argparse.Namespace) -> int:
    """Print what is asked for. Raises `ConnectionFailed`, `FolderError` or `LogError`."""
    env = environment()
    settings = load(Local, env)
    what = Selection(options.start, options.last, options.conversation)

    async def command() -> None:
        health = Health("log")
        link = ConnectionState(health)
        patience = PATIENCE if options.follow else 1
        async with opened_log(settings, env, patience=patience, link=link) as log:
            if options.follow:
                await follow(log, link, health, what)
            else:
                await show(log, what)

    asyncio.run(command())
    return 0


def schema(options: argparse.Namespace) -> int:
    """Print the JSON Schema of an entry."""
    print(msgspec.json.format(msgspec.json.encode(entry.schema())).decode())
    return 0


async def show(log: ChatLog, what: Selection, ends: Sequence[int] = ()) -> None:
    """Print what the log holds, of each stream up to its position in ``ends``. Raises `Unreachable`."""
    ends = ends or await log.ends()
    start = what.start or 1
    kept: list[StoredMessage] = []
    async for batch in _read(log, what, start, ends):
        if what.last is None:
            await _print(log, batch)
        else:
            kept = [*kept, *batch][max(0, len(kept) + len(batch) - what.last) :]
    await _print(log, kept)


async def _read(
    log: ChatLog, what: Selection, start: int, ends: Sequence[int]
) -> AsyncIterator[list[StoredMessage]]:
    if what.conversation:
        end = ends[log.layout.stream_of(what.conversation)]
        async for window in log.windows(what.conversation, start - 1, asides=True):
            yield [message for message in window if message.sequence <= end]
        return
    starts = [start for _ in ends]
    if what.last is not None:  # nothing is ever deleted: the positions of a stream are contiguous
        starts = [max(start, end - what.last + 1) for end in ends]
    async for batch in log.read(starts, ends):
        yield batch


async def follow(log: ChatLog, link: ConnectionState, health: Health, what: Selection) -> None:
    """Print what the log holds, if a beginning is named, and then what comes, until Ctrl-C."""
    coming: asyncio.Queue[StoredMessage] = asyncio.Queue()
    came = Counter[int]()

    def take(message: StoredMessage) -> None:
        came[message.stream] += 1
        coming.put_nowait(message)

    subscription = Subscription(log, link, health, take, _replaced)
    await subscription.start()
    if what.start is not None or what.last is not None:
        await show(log, what, ends=[each.sequence - came[each.stream] for each in subscription.positions])
    while True:
        message = await coming.get()
        if what.conversation in (None, message.key):
            await _print(log, [message])


def line(message: StoredMessage, several: bool = False, find: FindKey | None = None) -> bytes:
    """One entry as a JSON line: where and when, then what is stored, its words opened if ``find`` knows how.

    ``several``: the log has several streams, so the position needs the number of its own.
    """
    data = message.data if find is None else opened(message.data, message.key, message.author, find)
    head: dict[str, Any] = {
        "position": message.sequence,
        "time": format_time(message.time),
        "conversation": message.key,
        "author": message.author,
    }
    if several:
        head = {"stream": message.stream, **head}
    try:
        stored = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        stored = {"unreadable": message.data.decode(errors="replace")}
    else:  # the time of an entry that was copied since
        head["time"] = format_time(entry_of(message).time)
        if "sealed" in stored:
            stored["sealed"] = SEALED
    return msgspec.json.encode({**head, **stored, **head}) + b"\n"


def _replaced() -> None:
    print("The log was replaced; it begins anew.", file=sys.stderr)


async def _print(log: ChatLog, messages: list[StoredMessage]) -> None:
    find = None if log.keys is None else await log.keys.fetched(messages)
    several = log.layout.streams > 1
    sys.stdout.buffer.writelines(line(message, several, find) for message in messages)
    sys.stdout.buffer.flush()
