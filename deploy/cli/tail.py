"""`switchboard log`: the log as JSON lines."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any, NamedTuple

import msgspec

from deploy.cli.connection import PATIENCE, connected
from deploy.cli.settings import Local
from shared.contract import entry, subjects
from shared.contract.timestamps import format_time
from shared.eventlog.connection import ConnectionState
from shared.eventlog.log import Log, StoredMessage
from shared.eventlog.subscription import Subscription
from shared.service.health import Health
from shared.service.settings import environment, load


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
        async with connected(settings, env, "reader", patience=patience, link=link) as client:
            if options.follow:
                await follow(Log(client), link, health, what)
            else:
                await show(Log(client), what)

    asyncio.run(command())
    return 0


def schema(options: argparse.Namespace) -> int:
    """Print the JSON Schema of an entry."""
    print(msgspec.json.format(msgspec.json.encode(entry.schema())).decode())
    return 0


async def show(log: Log, what: Selection, end: int | None = None) -> None:
    """Print what the log holds, up to the position ``end``. Raises `Unreachable`."""
    end = (await log.tail()).last if end is None else end
    start, subject = what.start or 1, subjects.everyone(what.conversation) if what.conversation else "chat.>"
    if what.last is not None and not what.conversation:
        start = max(start, end - what.last + 1)  # nothing is ever deleted: positions are contiguous
    kept: list[StoredMessage] = []
    async for batch in log.read(start, subject):
        batch = [message for message in batch if message.position <= end]
        if what.last is None:
            _print(batch)
        else:
            kept = [*kept, *batch][max(0, len(kept) + len(batch) - what.last) :]
    _print(kept)


async def follow(log: Log, link: ConnectionState, health: Health, what: Selection) -> None:
    """Print what the log holds, if a beginning is named, and then what comes, until Ctrl-C."""
    coming: asyncio.Queue[StoredMessage] = asyncio.Queue()
    subscription = Subscription(log, link, health, coming.put_nowait, _replaced)
    await subscription.start()
    if what.start is not None or what.last is not None:
        await show(log, what, end=subscription.position - coming.qsize())
    while True:
        message = await coming.get()
        if what.conversation in (None, message.conversation):
            _print([message])


def line(message: StoredMessage) -> bytes:
    """One entry as a JSON line: where and when, then what is stored, as it is stored."""
    head: dict[str, Any] = {
        "position": message.position,
        "time": format_time(message.time),
        "conversation": message.conversation,
        "author": message.author,
    }
    try:
        stored = msgspec.json.decode(message.data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        stored = {"unreadable": message.data.decode(errors="replace")}
    return msgspec.json.encode({**head, **stored, **head}) + b"\n"


def _replaced() -> None:
    print("The log was replaced; it begins anew.", file=sys.stderr)


def _print(messages: list[StoredMessage]) -> None:
    sys.stdout.buffer.writelines(map(line, messages))
    sys.stdout.buffer.flush()
