"""Requests over NATS, each with a reply subject of its own below ONE subscription.

They go over the line if there is one that stands, else over nats-py's connection. nats-py's own request
serves one reply and costs twice as much; its `publish_async` raises the server's refusals into its reader
instead of the caller (2.16.0).
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

#: How often overdue requests are looked for (seconds).
SWEEP_SECONDS = 0.25


class Reply(NamedTuple):
    """An answer off the wire: its block of headers, b"" for none, and what it says."""

    head: bytes
    data: bytes

    @property
    def status(self) -> str:
        """What the first line says behind the protocol's version: "" for a message, else such as "503"."""
        return self.head[9 : self.head.find(b"\r", 8)].decode(errors="replace") if self.head else ""

    def value(self, name: bytes) -> str | None:
        """A header's value. Of two with one name the last is the server's own: it appends them."""
        mark = b"\r\n%b: " % name
        at = self.head.rfind(mark)
        if at < 0:
            return None
        return self.head[at + len(mark) : self.head.index(b"\r", at + len(mark))].decode(errors="replace")


#: Is given what a consumer pushes: subject, reply subject and data. Must not wait.
Push = Callable[[str, str, bytes], None]
#: Is told a reply; None: none comes any more. Must not wait.
Take = Callable[[Reply | None], None]


class RequestChannel(Protocol):
    """A quicker way for requests than the client's: the subscription's `Feed`."""

    on_reply: Callable[[str, Reply], None]
    on_break: Callable[[], None]

    def request(self, subject: str, name: str, data: bytes, headers: Mapping[str, str]) -> bool: ...

    def hearing(self, subject: str, push: Push) -> AbstractAsyncContextManager[None]: ...


class RequestMultiplexer:
    """What is asked over one client, and over its line."""

    def __init__(self, client: Client) -> None:
        self._nc = client
        self._prefix = client.new_inbox() + "."
        self._loop = asyncio.get_running_loop()  # asked for once: in 3.11 it costs a system call
        self._tokens = itertools.count(1)
        self._line: RequestChannel | None = None
        self._awaited: dict[str, Take] = {}  # one reply each
        self._open: dict[str, Take] = {}  # any number of them
        self._by_client: set[str] = set()  # those that the line's end does not take with it
        self._subscribed: asyncio.Task[NatsSubscription] | None = None
        # Requests of one length time out in the order in which they were made.
        self._deadlines: dict[float, deque[tuple[float, str]]] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def go_over(self, line: RequestChannel) -> None:
        line.on_reply = self._take
        line.on_break = self._broken
        self._line = line

    def publish(self, subject: str, data: bytes) -> bool:
        """Publish over the line, asking for no answer; False where it does not stand."""
        return self._line is not None and self._line.request(subject, "", data, {})

    def ask(self, subject: str, data: bytes, headers: Mapping[str, str], timeout: float, take: Take) -> bool:
        """Over the line: ``take`` is told the first reply, once, or None where none comes in time.

        False, and nothing is asked, where the line does not stand.
        """
        token = str(next(self._tokens))
        if self._line is None or not self._line.request(subject, token, data, headers):
            return False
        self._await(token, timeout, take)
        return True

    async def one(
        self, subject: str, data: bytes, headers: Mapping[str, str], timeout: float, again: bool = False
    ) -> Reply:
        """The first reply. ``again``: not over the line. Raises TimeoutError."""
        answer: asyncio.Future[Reply] = self._loop.create_future()

        def take(reply: Reply | None) -> None:
            if answer.done():
                return
            if reply is None:
                answer.set_exception(TimeoutError())
            else:
                answer.set_result(reply)

        if again or not self.ask(subject, data, headers, timeout, take):
            token = str(next(self._tokens))
            self._by_client.add(token)
            try:
                self._await(token, timeout, take)
                await self._publish(token, subject, data, headers)
                return await answer
            finally:
                self._awaited.pop(token, None)
                self._by_client.discard(token)
        return await answer

    async def open(self, subject: str, data: bytes, take: Take) -> str:
        """Publish; until `close` is called with what this returns, ``take`` gets the replies.

        None where no more can come.
        """
        token = str(next(self._tokens))
        self._open[token] = take
        if self._line is None or not self._line.request(subject, token, data, {}):
            self._by_client.add(token)
            try:
                await self._publish(token, subject, data, {})
            except BaseException:
                self.close(token)
                raise
        return token

    def close(self, token: str) -> None:
        """What still comes is for nobody."""
        del self._open[token]
        self._by_client.discard(token)

    async def _publish(self, token: str, subject: str, data: bytes, headers: Mapping[str, str]) -> None:
        if self._subscribed is None or not self._subscribed.done():
            await self._subscribe()
        await self._nc.publish(subject, data, reply=self._prefix + token, headers=dict(headers) or None)

    async def _subscribe(self) -> None:
        if self._subscribed is None:
            self._subscribed = asyncio.ensure_future(self._nc.subscribe(self._prefix + "*", cb=self._collect))
        await asyncio.shield(self._subscribed)

    async def _collect(self, reply: Msg) -> None:
        self._take(reply.subject[len(self._prefix) :], Reply(_head(reply.headers), reply.data))

    def _take(self, token: str, reply: Reply) -> None:
        take = self._awaited.pop(token, None) or self._open.get(token)
        if take is not None:
            take(reply)

    def _broken(self) -> None:
        """The line's end: whoever waits there need not wait longer, and asks again another way."""
        for token in [token for token in self._awaited if token not in self._by_client]:
            self._awaited.pop(token)(None)
        for token in [token for token in self._open if token not in self._by_client]:
            self._open[token](None)

    def _await(self, token: str, timeout: float, take: Take) -> None:
        """One sweep watches over all that wait: a timer for each append costs more than its message."""
        self._awaited[token] = take
        waiting = self._deadlines.get(timeout)
        if waiting is None:
            waiting = self._deadlines[timeout] = deque()
        waiting.append((self._loop.time() + timeout, token))
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        for timeout, waiting in list(self._deadlines.items()):
            while waiting and (waiting[0][1] not in self._awaited or waiting[0][0] <= now):
                take = self._awaited.pop(waiting.popleft()[1], None)
                if take is not None:
                    take(None)
            if not waiting:
                del self._deadlines[timeout]
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep) if self._deadlines else None


def _head(headers: Mapping[str, str] | None) -> bytes:
    """The block of headers from which nats-py made this.

    The first line says the status alone: of one such as "503" with headers behind it nats-py (2.16.0)
    makes a description that holds all of them, line ends included.
    """
    if not headers:
        return b""
    status = f" {headers['Status']}" if "Status" in headers else ""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if "\n" not in value)
    return f"NATS/1.0{status}\r\n{lines}\r\n".encode()
