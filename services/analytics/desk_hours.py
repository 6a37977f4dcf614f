"""The desk's working hours, as its settings say now: read when a number is asked in working time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import nats.errors
import structlog
from nats.aio.client import Client

from services.analytics.domain.working_time import WorkingTime
from shared.contract import subjects
from shared.contract.desk_settings import NO_SETTINGS, SettingsError, read_settings

log = structlog.get_logger()

_ADDRESS: Final = f"$JS.API.DIRECT.GET.KV_{subjects.DESK_STATE}.{subjects.desk_state(subjects.DESK_SETTINGS)}"
#: Settings that are so old are read again (seconds).
FRESH_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 2.0


class NoHours(Exception):
    """The settings cannot be read now: a number in working time cannot be told."""


class DeskHours:
    """Of one service. ``clock`` gives seconds."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._read = 0.0
        self._document: bytes | None = None
        self._working = WorkingTime(NO_SETTINGS)

    async def working(self) -> WorkingTime:
        """Raises `NoHours`."""
        if self._document is None or self._clock() - self._read >= FRESH_SECONDS:
            await self._renew()
        return self._working

    async def _renew(self) -> None:
        try:
            reply = await self._client.request(_ADDRESS, timeout=ANSWER_SECONDS)
        except (nats.errors.Error, TimeoutError) as error:
            raise NoHours(f"the desk's settings cannot be read now: {error!r}") from error
        found = b"" if reply.headers and "Status" in reply.headers else reply.data
        self._read = self._clock()
        if found == self._document:
            return
        try:
            self._working = WorkingTime(read_settings(found) if found else NO_SETTINGS)
        except SettingsError as error:  # those from before hold, as at the desk
            log.error("desk_settings_refused", problems=error.problems)
        self._document = found
