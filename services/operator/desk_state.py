"""The desk's bucket on NATS, read while the service runs: its settings, and what operators have chosen to be.

What the bucket holds is asked for every few seconds; that something was written only wakes up, since core
NATS may lose it. Settings that cannot be read change nothing: those that were read last hold.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js.kv import KeyValue

from services.operator.buckets import Unavailable
from services.operator.domain.availability import Availability
from shared.contract import subjects
from shared.contract.desk_settings import NO_SETTINGS, SettingsError, read_settings

log = structlog.get_logger()

#: All keys of the bucket.
ALL: Final = subjects.desk_state(">")
#: How often the bucket is asked, and how long it may take to answer (seconds).
LOOK_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 2.0
_TRIES: Final = 5
_ERRORS = (nats.errors.Error, nats.js.errors.Error, TimeoutError)


class DeskState:
    """``on_settings`` is called when other settings hold, ``on_availability`` when somebody has chosen."""

    def __init__(self, on_settings: Callable[[], None], on_availability: Callable[[], None]) -> None:
        self.settings = NO_SETTINGS
        self._on_settings = on_settings
        self._on_availability = on_availability
        self._document = b""
        self._chosen: Mapping[str, Availability] = {}  # by account; who is not in it is online
        self._bucket: KeyValue | None = None
        self._told = asyncio.Event()
        self._failed = ""  # why the bucket could not be read the last time

    def connect(self, client: Client) -> None:
        # Not by direct get: a replica that is behind would not know the change of a moment ago.
        name = subjects.DESK_STATE
        js = client.jetstream(timeout=ANSWER_SECONDS)
        self._bucket = KeyValue(
            name=name, stream=f"KV_{name}", pre=subjects.desk_state(""), js=js, direct=False
        )

    def chosen(self, account: str) -> Availability:
        """What the operator has chosen to be."""
        return self._chosen.get(account, "online")

    async def choose(self, account: str, availability: Availability) -> None:
        """Keep what the operator chooses to be. Raises `Unavailable`."""
        for _ in range(_TRIES):
            try:
                found, revision = await self._read(subjects.DESK_AVAILABILITY)
                chosen = {**_decoder.decode(found or b"{}"), account: availability}
                if availability == "online":
                    del chosen[account]
                if _decoder.decode(found or b"{}") != chosen:
                    await self._written(chosen, revision)
            except nats.js.errors.KeyWrongLastSequenceError:
                continue  # somebody else was quicker: on what they wrote
            except _ERRORS as error:
                raise Unavailable(f"the desk's bucket does not answer: {error!r}") from error
            self._choose(chosen)
            return
        raise Unavailable("others chose at the same time, too often")

    def wake(self) -> None:
        """Something was written."""
        self._told.set()

    async def follow(self) -> None:
        """Keep up to date, for ever."""
        while True:
            self._told.clear()
            await self.read()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._told.wait()

    async def read(self) -> None:
        """Read the bucket once."""
        try:
            document, _ = await self._read(subjects.DESK_SETTINGS)
            chosen, _ = await self._read(subjects.DESK_AVAILABILITY)
        except _ERRORS as error:
            if self._failed != repr(error):
                self._failed = repr(error)
                log.warning("desk_unreadable", error=self._failed, hint="has `switchboard setup` been run?")
            return
        self._failed = ""
        self._set(document)
        with contextlib.suppress(msgspec.DecodeError):  # of a newer version: what was known holds
            self._choose(_decoder.decode(chosen or b"{}"))

    def _set(self, document: bytes) -> None:
        if document == self._document:
            return
        self._document = document
        try:
            self.settings = read_settings(document) if document else NO_SETTINGS
        except SettingsError as error:  # written by something else than `switchboard desk set`
            log.error("desk_settings_refused", problems=error.problems, hint="those from before hold")
        else:
            self._on_settings()

    def _choose(self, chosen: Mapping[str, Availability]) -> None:
        if chosen != self._chosen:
            self._chosen = chosen
            self._on_availability()

    async def _read(self, key: str) -> tuple[bytes, int]:
        """What a key holds, and its revision."""
        assert self._bucket is not None, "it is connected before it is used"
        try:
            entry = await self._bucket.get(key)
        except nats.js.errors.KeyNotFoundError as error:
            return b"", error.entry.revision or 0 if error.entry is not None else 0
        return entry.value or b"", entry.revision or 0

    async def _written(self, chosen: Mapping[str, Availability], revision: int) -> None:
        assert self._bucket is not None, "it is connected before it is used"
        await self._bucket.update(
            subjects.DESK_AVAILABILITY, msgspec.json.encode(chosen, order="sorted"), last=revision
        )


_decoder = msgspec.json.Decoder(dict[str, Availability])
