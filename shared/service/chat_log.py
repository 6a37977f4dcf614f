"""The log of conversations, as the services open it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from nats.aio.client import Client

from shared.contract import subjects
from shared.contract.codec import EntryCodec, entry_of
from shared.contract.entry import Entry, RecordedEntry
from shared.eventlog.append import APPEND_SECONDS
from shared.eventlog.content_store import ContentStore
from shared.eventlog.errors import Unreachable
from shared.eventlog.layout import Layout
from shared.eventlog.log import Log, MakeStream, open_as
from shared.eventlog.messages import StoredMessage
from shared.eventlog.meters import AppendMeter
from shared.eventlog.observer import Observer
from shared.eventlog.stream import Stream
from shared.eventlog.windows import Windows
from shared.service.conversation_keys import ConversationKeys, Decode
from shared.service.sealing_codec import SealingCodec

#: How long to wait before the log is looked for again (seconds).
PAUSE_SECONDS = 0.5


def chat_layout(streams: int = 1) -> Layout:
    """The layout of the log of conversations, in so many streams."""
    return Layout(subjects.LOG, subjects.PREFIX, streams, subjects.DESK)


class ChatLog(Log[Entry]):
    """The log of conversations: its keys are their names.

    With ``keys`` it seals the words that are appended, and opens those that are read. Without, it appends
    them in the open, and reads sealed ones as absent.
    """

    def __init__(
        self,
        client: Client,
        layout: Layout,
        keys: ConversationKeys | None = None,
        make_stream: MakeStream = Stream,
    ) -> None:
        self._sealing = keys if keys is not None and keys.sealing else None
        codec = EntryCodec() if self._sealing is None else SealingCodec(self._sealing)
        super().__init__(client, layout, codec, make_stream)
        self.keys = keys

    def append(
        self,
        key: str,
        author: str,
        entry: Entry,
        expect: int | None = None,
        deadline: float = APPEND_SECONDS,
    ) -> asyncio.Future[int]:
        """Append ``entry``, its words sealed: see `Appender.append`.

        Where the conversation's key must be fetched first, and cannot be, the future fails with
        `Unreachable`, and nothing is sent.
        """
        if self._sealing is None or self._sealing.at_hand(key) is not None:
            return super().append(key, author, entry, expect, deadline)
        return asyncio.ensure_future(self._fetch_and_append(key, author, entry, expect, deadline))

    async def _fetch_and_append(
        self, key: str, author: str, entry: Entry, expect: int | None, deadline: float
    ) -> int:
        assert self._sealing is not None
        loop, witness = asyncio.get_running_loop(), self.stream_of(key).witness
        end, losses = loop.time() + deadline, witness.losses if witness is not None else 0
        try:
            async with asyncio.timeout_at(end):
                await self._sealing.fetch(key)
        except TimeoutError as error:
            raise Unreachable("the stream KEYS does not answer in time") from error
        if expect is not None and witness is not None and witness.losses != losses:
            raise Unreachable("a connection was lost: what is expected may be of another log")
        return await super().append(key, author, entry, expect, max(end - loop.time(), 0.1))

    def entries(self, conversation: str, after: int = 0, desk: bool = False) -> EntryWindows:
        """The conversation's entries behind the position ``after``, one window after the other.

        With ``desk`` what operators noted about it is among them.
        """
        return EntryWindows(self, self.windows(conversation, after, desk))

    async def ready(self, messages: Iterable[StoredMessage]) -> Decode:
        """Fetch the keys of these messages; what reads them. Raises `Unreachable`."""
        return entry_of if self.keys is None else await self.keys.ready(messages)


class Window:
    """Some entries in a row, read off their messages one by one when they are asked for."""

    def __init__(self, messages: Sequence[StoredMessage], decode: Decode) -> None:
        self._messages = messages
        self._decode = decode

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[RecordedEntry]:
        return map(self._decode, self._messages)


class EntryWindows:
    """The entries of a conversation, window after window: see `Windows`."""

    def __init__(self, log: ChatLog, windows: Windows) -> None:
        self._log = log
        self._windows = windows

    @property
    def position(self) -> int:
        """That of the last entry read."""
        return self._windows.sequence

    @property
    def over(self) -> bool:
        """Whether everything was read that was stored before the last window was asked for."""
        return self._windows.over

    async def next(self) -> Window:
        """The next window; an empty one only at the end. Raises `Unreachable`."""
        messages = await self._windows.next()
        return Window(messages, await self._log.ready(messages))

    async def __aiter__(self) -> AsyncIterator[Window]:
        while not self.over:
            if window := await self.next():
                yield window


async def open_log(
    client: Client, keys: ConversationKeys | None = None, make_stream: MakeStream = Stream
) -> ChatLog:
    """The log with the streams that it has. Raises `Unreachable`."""
    return await open_as(lambda layout: ChatLog(client, layout, keys, make_stream), client, chat_layout())


async def await_log(
    client: Client,
    health: Observer,
    keys: ConversationKeys | None = None,
    meter: AppendMeter | None = None,
) -> ChatLog:
    """The log, however long its streams, or its keys, stay away. ``meter`` counts what is appended to it."""
    if keys is not None:
        await keys.usable()
    while True:
        try:
            log = await open_log(client, keys)
        except Unreachable as error:
            health.unready("log", str(error))
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            if meter is not None:
                log.count_appends(meter)
            return log


def flow_store(log: ChatLog) -> ContentStore:
    """The contents of flows, by their versions."""
    return ContentStore(log, subjects.FLOWS, subjects.FLOW_PREFIX)
