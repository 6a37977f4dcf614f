"""What operators keep for all or for themselves, in lists on NATS: canned answers, saved views.

One key holds all that are shared, and one those of each operator. A change is written only over what was
read, so that of two at once neither is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

import msgspec
import nats.js.errors
from nats.aio.client import Client

from services.operator.buckets import ERRORS, Unavailable, open_bucket

_TRIES: Final = 5


class KeptThing(Protocol):
    """What is in such a list has an id."""

    @property
    def id(self) -> str: ...


Kept = TypeVar("Kept", bound=KeptThing)


class ListFull(Exception):
    """They do not fit. The text says what is the limit."""


class KeptLists(Generic[Kept]):
    """Lists of one kind of thing. Everything raises `Unavailable` where they are out of reach.

    At most ``most`` in one list, which has at most so many ``bytes`` together.
    """

    def __init__(
        self, client: Client, bucket: str, kind: type[Kept], shared: str, own: str, most: int, bytes: int
    ) -> None:
        self._bucket = open_bucket(client.jetstream(timeout=2.0), bucket)
        self._decoder = msgspec.json.Decoder(tuple[kind, ...])  # type: ignore[valid-type]
        self._shared = shared
        self._own = own
        self._most = most
        self._bytes = bytes

    async def shared(self) -> tuple[Kept, ...]:
        return (await self._read(self._key(None)))[0]

    async def of(self, account: str) -> tuple[Kept, ...]:
        return (await self._read(self._key(account)))[0]

    async def save(self, kept: Kept, account: str | None) -> None:
        """Add it, or replace the one with its id: of the shared ones, or of an account's own.

        Raises `ListFull`.
        """

        def changed(before: tuple[Kept, ...]) -> tuple[Kept, ...]:
            if any(each.id == kept.id for each in before):
                return tuple(kept if each.id == kept.id else each for each in before)
            if len(before) >= self._most:
                raise ListFull(f"there are {self._most} already: remove some first")
            return (*before, kept)

        await self._change(account, changed)

    async def remove(self, id: str, account: str | None) -> None:
        """Remove the one with this id, if it is there."""
        await self._change(account, lambda before: tuple(each for each in before if each.id != id))

    async def forget(self, account: str) -> None:
        """Remove all of an account's own."""
        try:
            await self._bucket.delete(self._key(account))
        except ERRORS as error:
            raise Unavailable(f"what operators keep cannot be written: {error!r}") from error

    async def _change(
        self, account: str | None, change: Callable[[tuple[Kept, ...]], tuple[Kept, ...]]
    ) -> None:
        key = self._key(account)
        for _ in range(_TRIES):
            before, revision = await self._read(key)
            wanted = change(before)
            if wanted == before:
                return
            data = msgspec.json.encode(wanted)
            if len(data) > self._bytes:
                raise ListFull(f"together they are larger than {self._bytes // 1024} KiB: remove some first")
            try:
                await self._bucket.update(key, data, last=revision)
            except nats.js.errors.KeyWrongLastSequenceError:
                continue  # somebody else was quicker: on what they wrote
            except ERRORS as error:
                raise Unavailable(f"what operators keep cannot be written: {error!r}") from error
            return
        raise Unavailable("others changed the list at the same time, too often")

    async def _read(self, key: str) -> tuple[tuple[Kept, ...], int]:
        try:
            entry = await self._bucket.get(key)
        except nats.js.errors.KeyNotFoundError as error:
            return (), error.entry.revision or 0 if error.entry is not None else 0
        except ERRORS as error:
            raise Unavailable(f"what operators keep cannot be read: {error!r}") from error
        found: tuple[Kept, ...] = self._decoder.decode(entry.value or b"[]")
        return found, entry.revision or 0

    def _key(self, account: str | None) -> str:
        return self._shared if account is None else f"{self._own}.{account}"
