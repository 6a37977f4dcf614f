"""The log of conversations, as the services open it."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from nats.aio.client import Client

from shared.contract import subjects
from shared.contract.codec import EntryCodec
from shared.contract.entry import Entry
from shared.eventlog import log
from shared.eventlog.content_store import ContentStore
from shared.eventlog.errors import Unreachable
from shared.eventlog.log import Log, MakeStream
from shared.eventlog.observer import Observer
from shared.eventlog.stream import Stream

#: The log of conversations: its keys are their names.
ChatLog: TypeAlias = Log[Entry]

#: How long to wait before the log is looked for again (seconds).
PAUSE_SECONDS = 0.5


async def open_log(client: Client, make_stream: MakeStream = Stream) -> ChatLog:
    """The log with the streams that it has. Raises `Unreachable`."""
    return await log.open_log(client, subjects.LOG, subjects.PREFIX, EntryCodec(), make_stream)


async def await_log(client: Client, health: Observer) -> ChatLog:
    """The log, however long its streams stay away."""
    while True:
        try:
            return await open_log(client)
        except Unreachable as error:
            health.unready("log", str(error))
            await asyncio.sleep(PAUSE_SECONDS)


def flow_store(log: ChatLog) -> ContentStore:
    """The contents of flows, by their versions."""
    return ContentStore(log, subjects.FLOWS, subjects.FLOW_PREFIX)
