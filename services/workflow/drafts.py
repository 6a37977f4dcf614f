"""The assistant's words while they are made: published in small pieces to whoever reads along.

Not facts: what is lost here arrives with the answer itself. `DRAFTS` keeps them for some minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Literal

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.contract import subjects
from shared.eventlog.errors import Unreachable
from shared.timestamps import parse_time

#: Words that come within this time of the piece before go into one piece (seconds).
GATHER_SECONDS = 0.03
#: The most characters of one piece: JSON may make six bytes of each, and the stream takes 64 KiB.
MAX_CHARACTERS = 8_000

End = Literal["committed", "interrupted", "failed"]


class DraftPublisher:
    """One attempt at one answer."""

    def __init__(
        self, client: Client, conversation: str, cause: int, attempt: int, count: Callable[[], None]
    ) -> None:
        """``count`` is told of each piece that was published."""
        self._count = count
        self._client = client
        self._subject = subjects.draft(conversation)
        self.cause = cause
        self.attempt = attempt
        self._offset = 0  # characters published
        self._text = ""  # and those that are not yet
        self._some = asyncio.Event()
        self._ended = False

    @property
    def text(self) -> str:
        """What was added and not published yet."""
        return self._text

    def add(self, text: str) -> None:
        """Some more words; they are published by `flow`."""
        self._text += text
        self._some.set()

    async def flow(self) -> None:
        """Publish what is added, until cancelled: the first words at once, then at most every 30 ms."""
        while True:
            await self._some.wait()
            await self.flush()
            await asyncio.sleep(GATHER_SECONDS)

    async def flush(self) -> None:
        """Publish all that was added."""
        self._some.clear()
        while self._text:
            piece, self._text = self._text[:MAX_CHARACTERS], self._text[MAX_CHARACTERS:]
            offset, self._offset = self._offset, self._offset + len(piece)
            await self._publish(offset, {"text": piece})

    async def end(self, how: End) -> None:
        """Say that nothing follows, once. What was not published by an interruption stays unsaid."""
        if not self._ended:
            self._ended = True
            await self._publish(self._offset, {"end": how})

    async def _publish(self, offset: int, what: dict[str, str]) -> None:
        payload = {"cause": self.cause, "attempt": self.attempt, "offset": offset, **what}
        if self._client.is_connected:  # later, nobody would want it
            with contextlib.suppress(nats.errors.Error):
                await self._client.publish(self._subject, msgspec.json.encode(payload))
                self._count()


class _Piece(msgspec.Struct):
    cause: int
    attempt: int


_piece = msgspec.json.Decoder(_Piece)


async def last_word(client: Client, conversation: str, cause: int, attempt: int) -> int:
    """When the newest draft of this attempt was stored (nanoseconds since 1970), 0 for never.

    Raises `Unreachable`.
    """
    address = f"$JS.API.DIRECT.GET.{subjects.DRAFTS}.{subjects.draft(conversation)}"
    try:
        reply = await client.request(address, timeout=2.0)
        headers = reply.headers or {}
        if "Nats-Time-Stamp" not in headers:
            return 0
        piece = _piece.decode(reply.data)
    except (nats.errors.Error, TimeoutError) as error:
        raise Unreachable(f"the drafts do not answer: {error!r}") from error
    except msgspec.DecodeError:
        return 0
    return parse_time(headers["Nats-Time-Stamp"]) if (piece.cause, piece.attempt) == (cause, attempt) else 0
