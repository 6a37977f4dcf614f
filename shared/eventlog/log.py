"""The log as a service sees it: append an entry, fetch a conversation, look at the stream.

Every call is made of plain publishes and JetStream's documented requests (ADR-7 for errors, ADR-31
for direct get and its batch form, which nats-py has no call for).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple, Protocol

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contract import entry as codec
from shared.contract import subjects
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import Author
from shared.contract.timestamps import parse_time
from shared.eventlog.read_budget import ReadBudget
from shared.eventlog.request_multiplexer import Reply, RequestChannel, RequestMultiplexer

#: How long one try of an append waits for the server's answer (seconds).
TRY_SECONDS = 2.0
#: How long all tries of an append may take before its outcome is reported as unknown (seconds).
APPEND_SECONDS = 10.0
#: Messages of one batch direct get of the whole log, and about how many bytes: few enough to leave the
#: event loop free in between.
BATCH = 1000
BATCH_BYTES = 1024 * 1024
#: The same for one conversation: it may be as long as its visitor likes, and others read at the same time.
WINDOW = 250
WINDOW_BYTES = 128 * 1024
#: Answers to reads that may be on their way at once (bytes). The server closes a connection for which 64 MiB
#: lie unread, and with it everybody's; a read goes over its bound by one message, at most 512 KiB.
MAX_IN_FLIGHT = 2 * 1024 * 1024
#: How long a read may wait for others (seconds): while the server answers nobody, each takes some seconds.
WAIT_SECONDS = 10.0

_EXPECT = "Nats-Expected-Last-Subject-Sequence"
_EXPECT_OVER = "Nats-Expected-Last-Subject-Sequence-Subject"
_SEQUENCE = b"\r\nNats-Sequence: "
_TIME = b"\r\nNats-Time-Stamp: "
_FIRST = f"\r\n{_EXPECT}: 0\r\n".encode()
_FIRST_OVER = f"\r\n{_EXPECT_OVER}: {{}}\r\n"
_CONFLICTS = (10071, 10164)  # wrong last sequence; the same for racing appends on a replicated stream
_FULL = (10047, 10077, 10122, 10023)  # no storage, max_bytes, limits of the account or the server


class LogError(Exception):
    """The base of what an append or a read can meet."""


class Conflict(LogError):
    """Something came between: the expectation did not hold.

    After a retry this may also be the caller's own first try: look for your own entry in the fold
    before you decide again.
    """


class Unknown(LogError):
    """No answer in time. The entry may or may not be stored; the same id may be sent again."""


class Full(LogError):
    """The log has no room. Nothing was stored."""


class IdReused(LogError):
    """The id was used before, with another content."""


class Unreachable(LogError):
    """The log could not be read in time."""


class StoredMessage(NamedTuple):
    """A stored message, not decoded. ``time`` in nanoseconds since 1970, UTC.

    ``first``: it was appended with the expectation that nothing of its conversation came before, so
    the server has proven that. A first entry may lack the mark (a replay does not carry it).
    """

    position: int
    conversation: str
    author: str
    time: int
    data: bytes
    first: bool = False

    def decode(self) -> RecordedEntry:
        return codec.decode(self.position, self.conversation, self.author, self.time, self.data)


def stored(subject: str, head: bytes, data: bytes) -> StoredMessage | None:
    """The stored message that was republished, or is the answer to a direct get; None for what is none.

    Only the few headers that count are looked for: a dict of all costs more than the rest.
    """
    sequence = head.rfind(_SEQUENCE)
    stamp = head.rfind(_TIME)
    if sequence < 0 or stamp < 0:
        return None  # without the server's marks it is no entry
    sequence += len(_SEQUENCE)
    stamp += len(_TIME)
    position = int(head[sequence : head.index(b"\r", sequence)])
    time = parse_time(head[stamp : head.index(b"\r", stamp)].decode())
    conversation, author = subjects.address(subject)
    first = head.find(_FIRST) > 0 and _FIRST_OVER.format(subjects.everyone(conversation)).encode() in head
    return StoredMessage(position, conversation, author, time, data, first)


def delivered(answer: str) -> tuple[int, int, int]:
    """Position, stored time (nanoseconds) and number of deliveries of a consumer's message.

    Read off its reply subject, ``answer``, since nats-py's ``metadata`` makes five objects of it. ADR-15:
    $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<seq>.<time>.<pending>, and with a domain
    two tokens more behind $JS.ACK.
    """
    tokens = answer.split(".")
    at = 4 if len(tokens) == 9 else 6
    return int(tokens[at + 1]), int(tokens[at + 3]), int(tokens[at])


class Tail(NamedTuple):
    """What the stream's leader says of its end."""

    last: int
    epoch: str
    replicated: bool


class Appended(NamedTuple):
    """What was to be stored."""

    conversation: str
    author: str
    data: bytes


class Witness(Protocol):
    """Who is told all that anybody here learns of the log, to find out later whether it still holds."""

    @property
    def losses(self) -> int:
        """How often a connection was lost so far: from each loss on the log may be another."""

    def read(self, losses: int, position: int, time: int) -> None:
        """An answer to a read ends with this entry; ``losses`` is as it was when the read was asked for.

        Raises `Unreachable` where one came since: nobody could say which log the answer is of.
        """

    def stored(self, position: int, appended: Appended) -> None:
        """The server has acknowledged an append."""


class _ApiError(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _PubAck(msgspec.Struct):
    seq: int = 0
    duplicate: bool = False
    error: _ApiError | None = None


class _StreamState(msgspec.Struct):
    last_seq: int = 0


class _Config(msgspec.Struct):
    metadata: dict[str, str] = {}
    num_replicas: int = 1


class _StreamInfo(msgspec.Struct):
    state: _StreamState = msgspec.field(default_factory=_StreamState)
    config: _Config = msgspec.field(default_factory=_Config)
    error: _ApiError | None = None


class _StoredRaw(msgspec.Struct):
    subject: str
    seq: int
    time: str
    data: bytes = b""  # base64 on the wire


class _StoredReply(msgspec.Struct):
    message: _StoredRaw | None = None
    error: _ApiError | None = None


#: What is no answer to a publish: the message may be stored or not.
_NO_ANSWER = (nats.errors.Error, TimeoutError, msgspec.MsgspecError)

_pub_ack = msgspec.json.Decoder(_PubAck)
_info = msgspec.json.Decoder(_StreamInfo)
_stored = msgspec.json.Decoder(_StoredReply)


class Log:
    """One stream of the log over a NATS connection."""

    def __init__(self, client: Client, stream: str = subjects.STREAM) -> None:
        self._nc = client
        self._stream = stream
        self._requests = RequestMultiplexer(client)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._line: RequestChannel | None = None
        self._witness: Witness | None = None
        self._replicated = False
        self._budget = ReadBudget(MAX_IN_FLIGHT)

    @property
    def client(self) -> Client:
        return self._nc

    @property
    def replicated(self) -> bool:
        """Whether another replica than the leader may answer a read."""
        return self._replicated

    def goes_over(self, line: RequestChannel) -> None:
        """Appends and reads of conversations go over ``line`` from now on, while it stands."""
        self._requests.go_over(line)
        self._line = line

    def tells(self, witness: Witness) -> None:
        """``witness`` is told of all reads and appends from now on."""
        self._witness = witness

    @property
    def unused(self) -> int:
        """How much more may be on its way to readers (bytes)."""
        return self._budget.left

    async def tail(self, timeout: float = 2.0) -> Tail:
        """The stream's last position and epoch, from its leader. Raises `Unreachable`."""
        try:
            reply = await self._nc.request(f"$JS.API.STREAM.INFO.{self._stream}", timeout=timeout)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unreachable(f"the stream {self._stream} does not answer: {error!r}") from error
        info = _info.decode(reply.data)
        if info.error is not None:
            raise Unreachable(f"the stream {self._stream}: {info.error.description}; run `switchboard setup`")
        self._replicated = info.config.num_replicas > 1
        return Tail(info.state.last_seq, info.config.metadata.get("epoch", ""), self._replicated)

    def append(
        self,
        conversation: str,
        author: Author,
        entry: Entry,
        expect: int | None = None,
        deadline: float = APPEND_SECONDS,
    ) -> asyncio.Future[int]:
        """Append ``entry``; the future is its position. A repeat of a stored id has the original's.

        ``expect`` is the position of the conversation's last entry (0: it has none). The future fails with
        `Conflict`, `IdReused`, `Full`, `Unknown`, or with `EntryTooLarge` before anything is sent.
        A timeout is unknown: the same id is sent again until the server answers, by the client's own way:
        the quicker one may be what does not answer.

        A plain call: nearly every append is answered at the first try, and needs no task.
        """
        position: asyncio.Future[int] = self._loop.create_future()
        try:
            self._append(position, conversation, author, entry, expect, deadline)
        except Exception as error:
            position.set_exception(error)
        return position

    def _append(
        self,
        position: asyncio.Future[int],
        conversation: str,
        author: Author,
        entry: Entry,
        expect: int | None,
        deadline: float,
    ) -> None:
        data = codec.encode(entry)
        headers = {"Nats-Msg-Id": subjects.message_id(author, conversation, entry.id)}
        if expect is not None:
            headers[_EXPECT] = str(expect)
            headers[_EXPECT_OVER] = subjects.everyone(conversation)
        subject = subjects.chat(conversation, author)
        appended = Appended(conversation, author, data)
        timeout = min(TRY_SECONDS, deadline)
        end = self._loop.time() + deadline

        def take(reply: Reply | None) -> None:
            try:
                ack = _acknowledged(reply)
            except _NO_ANSWER as error:
                self._spawn(position, self._insist(position, subject, appended, headers, timeout, end, error))
                return
            if ack.duplicate:
                self._spawn(position, self._compare(position, ack, appended))
            else:
                self._settle(position, ack, appended)

        if not self._nc.is_connected or not self._requests.ask(subject, data, headers, timeout, take):
            self._spawn(position, self._insist(position, subject, appended, headers, timeout, end))

    async def _insist(
        self,
        position: asyncio.Future[int],
        subject: str,
        appended: Appended,
        headers: dict[str, str],
        timeout: float,
        end: float,
        failure: Exception | None = None,
    ) -> None:
        """Try, after a ``failure`` again, until the server answers, or nobody waits, or it is ``end``."""
        while not position.done():
            if failure is not None and self._loop.time() >= end:
                unknown = Unknown(f"no answer to the append: {failure!r}")
                unknown.__cause__ = failure
                position.set_exception(unknown)
                return
            if failure is not None:
                await asyncio.sleep(0.1)
            try:
                ack = await self._publish(subject, appended.data, headers, timeout, again=failure is not None)
            except _NO_ANSWER as error:
                failure = error
            else:
                await self._compare(position, ack, appended)

    async def _compare(self, position: asyncio.Future[int], ack: _PubAck, appended: Appended) -> None:
        """Settle ``position``; what is taken for a duplicate must have the content of ``appended``."""
        try:
            if ack.duplicate:
                original = await self.at(ack.seq)
                if original is None or original.data != appended.data:
                    raise IdReused("this id was used before, with another content")
        except LogError as error:
            if not position.done():
                position.set_exception(error)
        else:
            self._settle(position, ack, appended)

    def _settle(self, position: asyncio.Future[int], ack: _PubAck, appended: Appended) -> None:
        if position.done():
            return
        if ack.error is not None:
            position.set_exception(_append_error(ack.error))
            return
        if self._witness is not None:
            self._witness.stored(ack.seq, appended)
        position.set_result(ack.seq)

    def _spawn(self, position: asyncio.Future[int], work: Coroutine[Any, Any, None]) -> None:
        """Let ``work`` settle ``position``. Whatever ends it, nobody waits for ever."""

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if not position.done():
                position.set_exception(error or Unknown("the append was given up"))

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(over)

    async def _publish(
        self, subject: str, data: bytes, headers: dict[str, str], timeout: float, again: bool = False
    ) -> _PubAck:
        if not self._nc.is_connected:
            # A publish made now would sit in the client's buffer and land at some later time.
            raise nats.errors.ConnectionReconnectingError
        return _acknowledged(await self._requests.one(subject, data, headers, timeout, again))

    async def acknowledge(self, message: Msg) -> None:
        """Tell a consumer that its message need not come again. The server does not answer that."""
        if not self._requests.publish(message.reply, b"+ACK"):
            await message.ack()

    async def at(self, position: int) -> StoredMessage | None:
        """The message at exactly this position as the leader knows it, or None. Raises `Unreachable`."""
        found = await self._get({"seq": position})
        if found is None:
            return None
        conversation, author = subjects.address(found.subject)
        return StoredMessage(found.seq, conversation, author, parse_time(found.time), found.data)

    async def last(self, conversation: str) -> int:
        """The position of the conversation's last entry as the leader knows it, 0 for none."""
        found = await self._get({"last_by_subj": subjects.everyone(conversation)})
        return found.seq if found is not None else 0

    async def _get(self, what: dict[str, object]) -> _StoredRaw | None:
        """Ask the stream's leader for one message: no replica that is behind may answer this."""
        address = f"$JS.API.STREAM.MSG.GET.{self._stream}"
        try:
            reply = await self._nc.request(address, msgspec.json.encode(what), timeout=2.0)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unreachable(f"the log does not answer: {error!r}") from error
        answer = _stored.decode(reply.data)
        if answer.message is None and answer.error is not None and answer.error.code != 404:
            raise Unreachable(f"the log answers: {answer.error.description}")
        return answer.message

    def windows(self, conversation: str, after: int = 0) -> Windows:
        """The conversation's messages behind ``after``, to be read one window after the other."""
        return Windows(self, conversation, after)

    async def fetch(self, conversation: str, after: int = 0) -> list[StoredMessage]:
        """The conversation's messages behind ``after``, in order and complete. Raises `Unreachable`.

        For what is known to be short, or needed as a whole; else see `windows`.
        """
        return [message async for window in self.windows(conversation, after) for message in window]

    async def read(self, start: int, subject: str = "chat.>") -> AsyncIterator[list[StoredMessage]]:
        """Batches of messages from position ``start`` to the end. Raises `Unreachable`."""
        while True:
            batch, more = await self.batch(start, subject)
            if batch:
                yield batch
                start = batch[-1].position + 1
            if not more or not batch:
                return

    async def batch(
        self, start: int, subject: str, most: int = BATCH, most_bytes: int = BATCH_BYTES
    ) -> tuple[list[StoredMessage], bool]:
        """Messages from ``start`` on, and whether more follow. Raises `Unreachable`.

        At most ``most``, and the one with which they reach ``most_bytes`` is the last.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._budget.take(most_bytes)
        except TimeoutError as error:
            raise Unreachable("too much is being read already") from error
        if not self._nc.is_connected:  # whoever waited need not wait for an answer, too
            self._budget.give(most_bytes)
            raise Unreachable("the connection is lost")
        losses = self._witness.losses if self._witness is not None else 0
        batch = _Batch()
        ask = {"seq": start, "next_by_subj": subject, "batch": most, "max_bytes": most_bytes}
        try:
            token = await self._requests.open(
                f"$JS.API.DIRECT.GET.{self._stream}", msgspec.json.encode(ask), batch.add
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
        if self._witness is not None and batch.messages:
            newest = batch.messages[-1]
            self._witness.read(losses, newest.position, newest.time)
        return batch.messages, more

    async def _outlive(self, batch: _Batch, token: str, most_bytes: int) -> None:
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

    async def replay(self, service: str, start: int, take: Callable[[StoredMessage], bool]) -> None:
        """Push messages from position ``start`` on into ``take`` until it returns False.

        Much faster than `read`: one push consumer that `declare` made, acknowledged in bulk. It gives
        up when nothing that ``take`` could use comes for a while (another replica of the service may
        be using the consumer): what is missing then is the caller's to `read`. Raises `Unreachable`.
        """
        if self._line is None:
            raise Unreachable("there is no feed for a replay")
        reading = _Replay(self._requests, take)
        address = f"$JS.API.CONSUMER.RESET.{self._stream}.{subjects.replay_consumer(service)}"
        try:
            async with self._line.hearing(subjects.replay_delivery(service), reading.take):
                body = msgspec.json.encode({"seq": start})
                answer = _info.decode((await self._nc.request(address, body, timeout=2.0)).data)
                if answer.error is None:
                    await reading.finished()
        except (nats.errors.Error, TimeoutError, ConnectionError) as error:
            raise Unreachable(f"the replay does not begin: {error!r}") from error

    async def keep_flow(self, version: str, content: bytes) -> None:
        """Keep a flow's content under its hash, for ever. Raises `Unknown` or `LogError`."""
        if await self.flow(version) is not None:
            return
        headers = {"Nats-Msg-Id": version, _EXPECT: "0"}
        try:
            ack = await self._publish(subjects.flow(version), content, headers, timeout=5.0)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unknown(f"no answer when the flow was to be kept: {error!r}") from error
        if ack.error is not None and ack.error.err_code not in _CONFLICTS:
            raise LogError(f"the flow could not be kept: {ack.error.description}")

    async def store(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> int:
        """Store a message in whichever other stream takes ``subject``; its sequence there.

        Raises `Unknown` where nobody answers: store it again, if a second one does no harm; `LogError`
        where the server refuses it.
        """
        try:
            ack = await self._publish(subject, data, headers or {}, TRY_SECONDS)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unknown(f"no answer from {subject}: {error!r}") from error
        if ack.error is not None:
            raise LogError(f"{subject} is refused: {ack.error.description} ({ack.error.err_code})")
        return ack.seq

    async def flow(self, version: str) -> bytes | None:
        """The content of the flow with this hash, or None. Raises `Unreachable`."""
        address = f"$JS.API.DIRECT.GET.{subjects.FLOWS}.{subjects.flow(version)}"
        try:
            reply = await self._nc.request(address, timeout=2.0)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unreachable(f"the flows do not answer: {error!r}") from error
        return None if reply.headers and "Status" in reply.headers else reply.data


class _Replay:
    """One reader of a replay consumer. Acknowledging a message acknowledges all before it."""

    def __init__(self, requests: RequestMultiplexer, take: Callable[[StoredMessage], bool]) -> None:
        self._requests = requests
        self._take = take
        self._count = 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, subject: str, answer: str, data: bytes) -> None:
        if self._over.done():
            return
        conversation, author = subjects.address(subject)
        position, time, _ = delivered(answer)
        if not self._take(StoredMessage(position, conversation, author, time, data)):
            self._over.set_result(None)
            return
        self._count += 1
        if self._count % BATCH == 0:
            self._requests.publish(answer, b"+ACK")

    async def finished(self) -> None:
        """Until `take` has had enough, or nothing has come for a second."""
        seen = -1
        while not self._over.done() and self._count != seen:
            seen = self._count
            await asyncio.wait([self._over], timeout=1.0)


class Windows:
    """A conversation, read window by window. ``position`` is that of the last message read.

    Any replica may answer, possibly one that is behind: on a replicated stream, complete means having
    reached what the leader named as the last when the reading began.
    """

    def __init__(self, log: Log, conversation: str, after: int) -> None:
        self._log = log
        self._conversation = conversation
        self._goal = -1
        self.position = after
        #: Whether everything was read that was stored before the last window was asked for.
        self.over = False

    async def next(self) -> list[StoredMessage]:
        """The next window; an empty one only at the end. Raises `Unreachable`."""
        if self._goal < 0:
            self._goal = await self._log.last(self._conversation) if self._log.replicated else 0
        subject = subjects.everyone(self._conversation)
        for _ in range(20):
            window, more = await self._log.batch(self.position + 1, subject, WINDOW, WINDOW_BYTES)
            if window:
                self.position = window[-1].position
            self.over = not more and self.position >= self._goal
            if window or self.over:
                return window
            await asyncio.sleep(0.05)
        raise Unreachable(f"the replicas do not reach position {self._goal}")

    async def __aiter__(self) -> AsyncIterator[list[StoredMessage]]:
        while not self.over:
            if window := await self.next():
                yield window


class _Batch:
    """The answers to one batch direct get."""

    def __init__(self) -> None:
        self.messages: list[StoredMessage] = []
        self._heard = 0
        self._done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def add(self, reply: Reply | None) -> None:
        self._heard += 1
        if reply is None:
            if not self._done.done():
                self._done.set_exception(Unreachable("the connection was lost"))
            return
        status = reply.status
        if not status:
            subject = reply.value(b"Nats-Subject")
            message = stored(subject, reply.head, reply.data) if subject else None
            if message is not None:
                self.messages.append(message)
        elif not self._done.done():
            if status.startswith(("204", "404")):
                self._done.set_result(int(reply.value(b"Nats-Num-Pending") or "0") > 0)
            else:
                self._done.set_exception(Unreachable(f"the log answers {status}"))

    async def finished(self) -> bool:
        """Once all answers are here: whether more follow. Raises `Unreachable`."""
        heard = -1
        while not self._done.done():
            if self._heard == heard:
                raise Unreachable("the log does not answer")
            heard = self._heard
            await asyncio.wait([self._done], timeout=2.0)
        return self._done.result()


def _acknowledged(reply: Reply | None) -> _PubAck:
    """What the server says of a publish. Raises one of `_NO_ANSWER` where that says nothing of its fate."""
    if reply is None:
        raise TimeoutError
    if reply.head and reply.status == "503":
        raise nats.errors.NoRespondersError
    return _pub_ack.decode(reply.data)


def _append_error(error: _ApiError) -> LogError:
    if error.err_code in _CONFLICTS:
        return Conflict(error.description)
    if error.err_code in _FULL:
        return Full(error.description)
    return LogError(f"the log refused the entry: {error.description} ({error.err_code})")
