"""The load generator: a process of its own that does what it is told, line by line.

Each line of standard input is a `Job`, each line of standard output its `Result`. It speaks WebSocket
(RFC 6455) by itself and only as much as it needs, so that it never is the limit: masking keys are
zero, which is allowed and saves the masking, and a frame is told by its first bytes, not decoded.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any, Final, Literal, cast

import msgspec
import uvloop

from tests.bench.measure import cpu_seconds, percentile

#: A visitor who waits so long for an answer has lost it (seconds).
PATIENCE = 10.0
#: Connections that are opened at the same time.
OPENING = 100


class Job(msgspec.Struct, kw_only=True, frozen=True):
    """``turns``: visitors who come, are greeted, send ``answers`` and go, over and over, for
    ``seconds`` after ``warm`` ones. ``open``: idle ones, who stay until ``close``. ``resume``: one
    visitor after the other comes back with one of ``cookies`` and waits for ``frames``, ``count`` times.

    ``think`` is the mean pause before an answer (seconds), jittered by half; ``pids`` are the processes
    whose CPU time counts.
    """

    kind: Literal["turns", "open", "close", "resume"]
    port: int = 0
    clients: int = 1
    answers: int = 40
    think: float = 0.0
    warm: float = 0.5
    seconds: float = 2.0
    pids: list[int] = []
    echo: bool = False
    modern: bool = False
    door: str = ""  # another than the WebSocket: "sse" or "socketio"
    cookies: list[str] = []
    frames: int = 0
    count: int = 0


class Result(msgspec.Struct, kw_only=True):
    """Times in seconds. ``cpu`` in the order of the job's ``pids``; ``own`` is the generator's."""

    turns: int = 0
    visits: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    greet_p50: float = 0.0
    greet_p99: float = 0.0
    cpu: list[float] = []
    own: float = 0.0
    lost: int = 0


def text_frame(data: bytes) -> bytes:
    """A masked text frame with a masking key of zeros."""
    if len(data) < 126:
        return bytes((0x81, 0x80 | len(data), 0, 0, 0, 0)) + data
    return bytes((0x81, 0xFE, *len(data).to_bytes(2, "big"), 0, 0, 0, 0)) + data


#: What a visitor of the default flow answers to its two questions, in turn for ever.
_TO_TOPIC: Final = b'{"kind":"ChoiceResponse","groupId":"topic","itemId":"hours"'
_TO_MORE: Final = b'{"kind":"ChoiceResponse","groupId":"more","itemId":"yes"'
_BARE_TOPIC: Final = text_frame(_TO_TOPIC + b"}")
_BARE_MORE: Final = text_frame(_TO_MORE + b"}")
_TOPIC: Final = b'"groupId":"topic"'
_QUESTION: Final = b'{"kind":"ChoiceRequest"'
_CLOSE: Final = bytes((0x88, 0x82, 0, 0, 0, 0)) + (1000).to_bytes(2, "big")


class Socket(asyncio.Protocol):
    """One WebSocket; calls ``opened`` after the upgrade, ``heard`` with each text, ``lost`` at its end."""

    def __init__(self, port: int, headers: str = "", path: str = "/ws") -> None:
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
        ).encode()
        self._rest = b""
        self._upgraded = False
        self.transport: asyncio.Transport | None = None

    def opened(self) -> None: ...

    def heard(self, text: bytes) -> None: ...

    def lost(self) -> None: ...

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass
        self.transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost()

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if not self._upgraded:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(f"no upgrade: {head[:200]!r}")
            self._upgraded = True
            self.opened()
        at, end = 0, len(data)
        while end - at >= 2:
            length, body = data[at + 1], at + 2
            if length == 126:
                length, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, body = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if body + length > end:
                break
            if data[at] == 0x81:
                self.heard(data[body : body + length])
            at = body + length
        self._rest = data[at:]

    def leave(self) -> None:
        """Say goodbye; the server closes."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(_CLOSE)


class Counts:
    """What the visitors of one job did since the last `clear`."""

    def __init__(self) -> None:
        self.lost = 0
        self.over = False
        self.clear()

    def clear(self) -> None:
        self.turns = 0
        self.visits = 0
        self.times: list[float] = []
        self.greetings: list[float] = []


class LoadVisit(Socket):
    """A visit: is greeted, answers ``left`` times, and goes; ``after`` is called then."""

    def __init__(self, job: Job, counts: Counts, left: int, after: Callable[[], None]) -> None:
        super().__init__(job.port, "Sec-WebSocket-Protocol: switchboard.v1\r\n" if job.modern else "")
        self._job = job
        self._counts = counts
        self._left = left
        self._after = after
        self._greeted = False
        self._leaving = False
        self.since = perf_counter()  # since when it waits for the server, 0.0 while it does not

    def opened(self) -> None:
        if self._job.echo:
            self._asked(_BARE_TOPIC)

    def heard(self, text: bytes) -> None:
        if self._job.echo:
            self._asked(_BARE_TOPIC)
        elif text.startswith(_QUESTION):
            topic = _TOPIC in text
            if self._job.modern:
                digits = f"{random.getrandbits(128):032x}"
                id = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
                self._asked(text_frame((_TO_TOPIC if topic else _TO_MORE) + b',"id":"' + id.encode() + b'"}'))
            else:
                self._asked(_BARE_TOPIC if topic else _BARE_MORE)

    def _asked(self, answer: bytes) -> None:
        counts = self._counts
        elapsed = perf_counter() - self.since
        if self._greeted:
            counts.times.append(elapsed)
        else:
            self._greeted = True
            counts.greetings.append(elapsed)
        counts.turns += 1
        self.since = 0.0
        if not self._left:
            counts.visits += 1
            self._leaving = True
            self.leave()
            self._after()
            return
        self._left -= 1
        if self._job.think:
            pause = self._job.think * (0.5 + random.random())
            asyncio.get_running_loop().call_later(pause, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: bytes) -> None:
        if self.transport is not None and not self._counts.over and not self.transport.is_closing():
            self.since = perf_counter()
            self.transport.write(answer)

    def lost(self) -> None:
        if not self._leaving and not self._counts.over:
            self._counts.lost += 1


class ClientPlace:
    """One of the job's clients: has one visitor after the other."""

    def __init__(self, job: Job, counts: Counts) -> None:
        self._job = job
        self._counts = counts
        self._task: asyncio.Task[None] | None = None
        self.visitor: Any = None

    async def come(self, answers: int) -> None:
        visitor = self.visitor = _kind(self._job)(self._job, self._counts, answers, self._next)
        await asyncio.get_running_loop().create_connection(lambda: visitor, "127.0.0.1", self._job.port)

    def _next(self) -> None:
        if not self._counts.over:
            self._task = asyncio.ensure_future(self.come(self._job.answers))


def _kind(job: Job) -> Callable[[Job, Counts, int, Callable[[], None]], Any]:
    if not job.door:
        return LoadVisit
    from tests.bench.doors import VISITORS  # it is built on what is here

    return VISITORS[job.door]


async def turns(job: Job) -> Result:
    """Play the visitors, count a window of ``seconds``; one without an answer lasts until there is one."""
    counts = Counts()
    places = [ClientPlace(job, counts) for _ in range(job.clients)]
    # Visits begin at different points, so that comings and goings spread over the window.
    await _opened([place.come(random.randint(0, job.answers)) for place in places])
    await asyncio.sleep(job.warm)
    counts.clear()
    began, own = perf_counter(), cpu_seconds(os.getpid())
    before = [cpu_seconds(pid) for pid in job.pids]
    await asyncio.sleep(job.seconds)
    while not counts.turns and perf_counter() - began < PATIENCE:
        await asyncio.sleep(job.seconds)
    seconds = perf_counter() - began
    cpu = [cpu_seconds(pid) - was for pid, was in zip(job.pids, before, strict=True)]
    own = cpu_seconds(os.getpid()) - own
    counts.over = True
    now = perf_counter()
    waiting = [place.visitor.since for place in places if place.visitor is not None and place.visitor.since]
    result = Result(
        turns=counts.turns,
        visits=counts.visits,
        seconds=seconds,
        cpu=cpu,
        own=own,
        lost=counts.lost + sum(now - since > PATIENCE for since in waiting),
    )
    counts.times.sort()
    counts.greetings.sort()
    result.p50, result.p99 = percentile(counts.times, 0.5), percentile(counts.times, 0.99)
    result.greet_p50 = percentile(counts.greetings, 0.5)
    result.greet_p99 = percentile(counts.greetings, 0.99)
    for place in places:
        if place.visitor is not None:
            place.visitor.leave()
    await asyncio.sleep(0.3)
    return result


class Idler(Socket):
    """Comes, is greeted, and stays."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.port)
        self._echo = job.echo
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def opened(self) -> None:
        if self._echo:
            self.greeted.set_result(None)

    def heard(self, text: bytes) -> None:
        if text.startswith(_QUESTION) and not self.greeted.done():
            self.greeted.set_result(None)

    def lost(self) -> None:
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError("closed before the greeting"))


async def idle(job: Job) -> list[Idler]:
    """Open ``clients`` connections and wait until each was greeted."""
    idlers = [Idler(job) for _ in range(job.clients)]
    loop = asyncio.get_running_loop()

    async def come(idler: Idler) -> None:
        await loop.create_connection(lambda: idler, "127.0.0.1", job.port)
        await asyncio.wait_for(idler.greeted, 30)

    await _opened([come(idler) for idler in idlers])
    return idlers


class Returner(Socket):
    """Comes back with a cookie; ``complete`` holds when the last of ``frames`` arrived."""

    def __init__(self, job: Job, cookie: str) -> None:
        super().__init__(job.port, f"Cookie: switchboard={cookie}\r\n")
        loop = asyncio.get_running_loop()
        self._missing = job.frames
        self.upgraded = 0.0
        self.complete: asyncio.Future[float] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()

    def opened(self) -> None:
        self.upgraded = perf_counter()

    def heard(self, text: bytes) -> None:
        self._missing -= 1
        if self._missing == 0:
            self.complete.set_result(perf_counter())

    def lost(self) -> None:
        self.gone.set_result(None)
        if not self.complete.done():
            self.complete.set_exception(ConnectionError(f"closed with {self._missing} frames missing"))


async def resume(job: Job) -> Result:
    """``p50`` is from the connect to the last frame, ``greet_p50`` from the upgrade on."""
    loop = asyncio.get_running_loop()
    whole: list[float] = []
    rebuilt: list[float] = []
    for _ in range(job.count):
        returner = Returner(job, random.choice(job.cookies))
        began = perf_counter()
        await loop.create_connection(lambda it=returner: it, "127.0.0.1", job.port)  # type: ignore[misc]
        end = await asyncio.wait_for(returner.complete, 30)
        whole.append(end - began)
        rebuilt.append(end - returner.upgraded)
        returner.leave()
        await asyncio.wait_for(returner.gone, 10)
        await asyncio.sleep(0.001)
    whole.sort()
    rebuilt.sort()
    return Result(
        turns=job.count,
        p50=percentile(whole, 0.5),
        p99=percentile(whole, 0.99),
        greet_p50=percentile(rebuilt, 0.5),
        greet_p99=percentile(rebuilt, 0.99),
    )


async def _opened(comings: list[Coroutine[Any, Any, None]]) -> None:
    """Await ``comings``, so many at a time."""
    gate = asyncio.Semaphore(OPENING)

    async def one(coming: Coroutine[Any, Any, None]) -> None:
        async with gate:
            await coming

    await asyncio.gather(*(one(coming) for coming in comings))


async def main() -> None:
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    kept: list[Idler] = []
    while line := await reader.readline():
        job = msgspec.json.decode(line, type=Job)
        result = Result()
        if job.kind == "turns":
            result = await turns(job)
        elif job.kind == "resume":
            result = await resume(job)
        elif job.kind == "open":
            kept += await idle(job)
        else:
            for idler in kept:
                idler.leave()
            kept.clear()
            await asyncio.sleep(0.5)
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main())
