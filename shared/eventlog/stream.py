"""One JetStream stream, as its readers see it: its end, single messages, many at once.

Every call is made of plain publishes and JetStream's documented requests (ADR-7 for errors, ADR-31 for
direct get).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.eventlog.api import StoredRaw, stored_reply, stream_info
from shared.eventlog.batch_get import BatchGet
from shared.eventlog.errors import NoAnswer, Unreachable
from shared.eventlog.layout import UNFINISHED, key_and_author, replay_consumer, replay_delivery
from shared.eventlog.messages import StoredMessage
from shared.eventlog.read_budget import ReadBudget
from shared.eventlog.replay import Replay
from shared.eventlog.request_multiplexer import RequestChannel, RequestMultiplexer
from shared.eventlog.witness import Witness
from shared.timestamps import parse_time

#: Messages of one batch direct get of a whole stream, and about how many bytes: few enough to leave the
#: event loop free in between.
BATCH: Final = 1000
BATCH_BYTES: Final = 1024 * 1024
#: Answers to reads that may be on their way at once over one connection (bytes). The server closes a
#: connection for which 64 MiB lie unread, and with it everybody's; a read goes over its bound by one message,
#: at most 1 MiB.
MAX_IN_FLIGHT: Final = 2 * 1024 * 1024
#: How long a read may wait for others (seconds): while the server answers nobody, each takes some seconds.
WAIT_SECONDS: Final = 10.0


class Tail(NamedTuple):
    """What the stream's leader says of its ends, and of how many streams the log consists.

    ``first`` is above 1 in a log that was copied into other streams: it goes on where the old one ended, so
    that no position is ever given twice.
    """

    last: int
    epoch: str
    replicated: bool
    streams: int = 1
    first: int = 1

    @property
    def length(self) -> int:
        """How many entries are in the stream."""
        return self.last - self.first + 1


class Stream:
    """The stream ``name``; in a log it is the one with the number ``number``.

    ``requests`` and ``budget`` are shared by all that reads over the same connection.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        number: int = 0,
        requests: RequestMultiplexer | None = None,
        budget: ReadBudget | None = None,
    ) -> None:
        self.client = client
        self.name = name
        self.number = number
        #: Whether another replica than the leader may answer a read.
        self.replicated = False
        #: Is told of all reads and appends, if there is one.
        self.witness: Witness | None = None
        self._requests = requests or RequestMultiplexer(client)
        self._budget = budget or ReadBudget(MAX_IN_FLIGHT)
        self._line: RequestChannel | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def goes_over(self, line: RequestChannel) -> None:
        """Replays come over ``line`` from now on, while it stands."""
        self._line = line

    async def tail(self, timeout: float = 2.0) -> Tail:
        """The last sequence and epoch, from the leader. Raises `Unreachable`; `NoAnswer` for silence."""
        try:
            reply = await self.client.request(f"$JS.API.STREAM.INFO.{self.name}", timeout=timeout)
        except TimeoutError as error:
            raise NoAnswer(f"the stream {self.name} does not answer: {error!r}") from error
        except nats.errors.Error as error:
            raise Unreachable(f"the stream {self.name} does not answer: {error!r}") from error
        info = stream_info.decode(reply.data)
        if info.error is not None:
            raise Unreachable(f"the stream {self.name}: {info.error.description}; run `switchboard setup`")
        self.replicated = info.config.num_replicas > 1
        metadata = info.config.metadata
        streams = int(metadata.get("streams", "1"))
        if not streams:
            raise Unreachable(UNFINISHED)
        return Tail(
            info.state.last_seq,
            metadata.get("epoch", ""),
            self.replicated,
            streams,
            max(info.state.first_seq, 1),
        )

    async def at(self, sequence: int) -> StoredMessage | None:
        """The message there, or None. Raises `Unreachable`."""
        found = await self._get({"seq": sequence})
        if found is None:
            return None
        key, author = key_and_author(found.subject)
        time = parse_time(found.time)
        return StoredMessage(found.seq, key, author, time, found.data, stream=self.number)

    async def last(self, subject: str) -> int:
        """The sequence of the last message with ``subject`` as the leader knows it, 0 for none."""
        found = await self._get({"last_by_subj": subject})
        return found.seq if found is not None else 0

    async def _get(self, what: dict[str, object]) -> StoredRaw | None:
        """Ask the stream's leader for one message: no replica that is behind may answer this."""
        address = f"$JS.API.STREAM.MSG.GET.{self.name}"
        try:
            reply = await self.client.request(address, msgspec.json.encode(what), timeout=2.0)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unreachable(f"the log does not answer: {error!r}") from error
        answer = stored_reply.decode(reply.data)
        if answer.message is None and answer.error is not None and answer.error.code != 404:
            raise Unreachable(f"the log answers: {answer.error.description}")
        return answer.message

    async def read(self, start: int, subject: str = ">") -> AsyncIterator[list[StoredMessage]]:
        """Batches of messages from sequence ``start`` to the end. Raises `Unreachable`."""
        while True:
            batch, more = await self.batch(start, subject)
            if batch:
                yield batch
                start = batch[-1].sequence + 1
            if not more or not batch:
                return

    async def batch(
        self, start: int, subject: str, most: int = BATCH, most_bytes: int = BATCH_BYTES
    ) -> tuple[list[StoredMessage], int]:
        """Messages from ``start`` on, and how many more there were. Raises `Unreachable`.

        At most ``most``, and the one with which they reach ``most_bytes`` is the last. Who asks for more of a
        ``subject`` than there are has the server look through all that is stored behind them.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._budget.take(most_bytes)
        except TimeoutError as error:
            raise Unreachable("too much is being read already") from error
        if not self.client.is_connected:  # whoever waited need not wait for an answer, too
            self._budget.give(most_bytes)
            raise Unreachable("the connection is lost")
        losses = self.witness.losses if self.witness is not None else 0
        batch = BatchGet(self.number)
        ask = {"seq": start, "next_by_subj": subject, "batch": most, "max_bytes": most_bytes}
        try:
            token = await self._requests.open(
                f"$JS.API.DIRECT.GET.{self.name}", msgspec.json.encode(ask), batch.add
            )
        except nats.errors.Error as error:
            self._budget.give(most_bytes)
            raise Unreachable(f"the log does not answer: {error!r}") from error
        except BaseException:
            self._budget.give(most_bytes)
            raise
        try:
            more = await batch.finished()
        except asyncio.CancelledError:
            # The server sends what it was asked for all the same. Until that is here it is on its way.
            batch.messages.clear()
            task = asyncio.create_task(self._outlive(batch, token, most_bytes))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            raise
        except BaseException:
            self._close(token, most_bytes)
            raise
        self._close(token, most_bytes)
        if self.witness is not None and batch.messages:
            newest = batch.messages[-1]
            self.witness.read(losses, newest.sequence, newest.time)
        return batch.messages, more

    async def _outlive(self, batch: BatchGet, token: str, most_bytes: int) -> None:
        """Until all has come that nobody waits for any more."""
        try:
            await batch.finished()
        except Unreachable:
            pass
        finally:
            self._close(token, most_bytes)

    def _close(self, token: str, most_bytes: int) -> None:
        self._requests.close(token)
        self._budget.give(most_bytes)

    async def replay(
        self,
        reader: str,
        start: int,
        take: Callable[[StoredMessage], bool],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        """Push messages from sequence ``start`` on into ``take`` until it returns False. Some thousands more
        than there is ``room`` for may come.

        Much faster than `read`: one push consumer that the provisioning made, acknowledged in bulk. It gives
        up when nothing that ``take`` could use comes for a while (another replica of the reader may
        be using the consumer): what is missing then is the caller's to `read`. Raises `Unreachable`.
        """
        if self._line is None:
            raise Unreachable("there is no feed for a replay")
        reading = Replay(self._requests, self.number, take, room)
        address = f"$JS.API.CONSUMER.RESET.{self.name}.{replay_consumer(reader)}"
        try:
            async with self._line.hearing(replay_delivery(self.number, reader), reading.take):
                body = msgspec.json.encode({"seq": start})
                answer = stream_info.decode((await self.client.request(address, body, timeout=2.0)).data)
                if answer.error is None:
                    await reading.finished()
        except (nats.errors.Error, TimeoutError, ConnectionError) as error:
            raise Unreachable(f"the replay does not begin: {error!r}") from error
