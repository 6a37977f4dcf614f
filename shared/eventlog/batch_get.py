"""JetStream's batch direct get (ADR-31), which nats-py has no call for: many messages, one request."""

from __future__ import annotations

import asyncio

from shared.eventlog.errors import Unreachable
from shared.eventlog.messages import StoredMessage, stored
from shared.eventlog.request_multiplexer import Reply


class BatchGet:
    """The answers to one batch direct get."""

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self.messages: list[StoredMessage] = []
        self._heard = 0
        self._done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def add(self, reply: Reply | None) -> None:
        self._heard += 1
        if reply is None:
            if not self._done.done():
                self._done.set_exception(Unreachable("the connection was lost"))
            return
        status = reply.status
        if not status:
            subject = reply.value(b"Nats-Subject")
            message = stored(self._stream, subject, reply.head, reply.data) if subject else None
            if message is not None:
                self.messages.append(message)
        elif not self._done.done():
            if status.startswith(("204", "404")):
                self._done.set_result(int(reply.value(b"Nats-Num-Pending") or "0"))
            else:
                self._done.set_exception(Unreachable(f"the log answers {status}"))

    async def finished(self) -> int:
        """Once all answers are here: how many more there were. Raises `Unreachable`."""
        heard = -1
        while not self._done.done():
            if self._heard == heard:
                raise Unreachable("the log does not answer")
            heard = self._heard
            await asyncio.wait([self._done], timeout=2.0)
        return self._done.result()
