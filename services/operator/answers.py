"""Canned answers: what operators say often, shared by all or of one operator's own. A bucket on NATS.

One key holds all that are shared, and one those of each operator: ``[{"id", "title", "text", "by"}, ...]``. A
change is written only over what was read, so that of two at once neither is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.kv import KeyValue

from services.operator.buckets import Unavailable
from shared.contract.subjects import ANSWERS, ANSWERS_OF

SHARED: Final = "shared"
#: In one list, and how large all of one may be together (bytes).
MAX_ANSWERS: Final = 500
MAX_BYTES: Final = 256 * 1024
_TRIES: Final = 5
_ERRORS = (nats.errors.Error, nats.js.errors.Error, TimeoutError)
_Change = Callable[[tuple["CannedAnswer", ...]], tuple["CannedAnswer", ...]]


class CannedAnswer(msgspec.Struct, frozen=True):
    """``text`` may name ``{{visitor}}``, ``{{me}}``, or what the flow has saved; ``by`` wrote it."""

    id: Annotated[str, msgspec.Meta(max_length=64)]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]
    by: str


class TooManyAnswers(Exception):
    """They do not fit. The text says what is the limit."""


class CannedAnswers:
    """Reads and changes them. Everything raises `Unavailable` where they are out of reach."""

    def __init__(self, client: Client) -> None:
        js = client.jetstream(timeout=2.0)
        # Not by direct get: a replica that is behind would not know the change of a moment ago.
        self._bucket = KeyValue(
            name=ANSWERS, stream=f"KV_{ANSWERS}", pre=f"$KV.{ANSWERS}.", js=js, direct=False
        )

    async def shared(self) -> tuple[CannedAnswer, ...]:
        return (await self._read(SHARED))[0]

    async def of(self, account: str) -> tuple[CannedAnswer, ...]:
        return (await self._read(_key(account)))[0]

    async def save(self, answer: CannedAnswer, account: str | None) -> None:
        """Add it, or replace the one with its id: of the shared ones, or of an account's own.

        Raises `TooManyAnswers`.
        """

        def changed(answers: tuple[CannedAnswer, ...]) -> tuple[CannedAnswer, ...]:
            if any(each.id == answer.id for each in answers):
                return tuple(answer if each.id == answer.id else each for each in answers)
            if len(answers) >= MAX_ANSWERS:
                raise TooManyAnswers(f"there are {MAX_ANSWERS} already: remove some first")
            return (*answers, answer)

        await self._change(account, changed)

    async def remove(self, id: str, account: str | None) -> None:
        """Remove the one with this id, if it is there."""
        await self._change(account, lambda answers: tuple(each for each in answers if each.id != id))

    async def forget(self, account: str) -> None:
        """Remove all of an account's own."""
        try:
            await self._bucket.delete(_key(account))
        except _ERRORS as error:
            raise Unavailable(f"answers cannot be written: {error!r}") from error

    async def _change(self, account: str | None, change: _Change) -> None:
        key = SHARED if account is None else _key(account)
        for _ in range(_TRIES):
            answers, revision = await self._read(key)
            wanted = change(answers)
            if wanted == answers:
                return
            data = _encoder.encode(wanted)
            if len(data) > MAX_BYTES:
                raise TooManyAnswers(
                    f"together they are larger than {MAX_BYTES // 1024} KiB: remove some first"
                )
            try:
                await self._bucket.update(key, data, last=revision)
            except nats.js.errors.KeyWrongLastSequenceError:
                continue  # somebody else was quicker: on what they wrote
            except _ERRORS as error:
                raise Unavailable(f"answers cannot be written: {error!r}") from error
            return
        raise Unavailable("others changed the answers at the same time, too often")

    async def _read(self, key: str) -> tuple[tuple[CannedAnswer, ...], int]:
        try:
            entry = await self._bucket.get(key)
        except nats.js.errors.KeyNotFoundError as error:
            return (), error.entry.revision or 0 if error.entry is not None else 0
        except _ERRORS as error:
            raise Unavailable(f"answers cannot be read: {error!r}") from error
        return _decoder.decode(entry.value or b"[]"), entry.revision or 0


def _key(account: str) -> str:
    return f"{ANSWERS_OF}.{account}"


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[CannedAnswer, ...])
