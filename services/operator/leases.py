"""Conversations of operators who are gone go back to the queue; replicas tell one another who is there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client

from services.operator.desk import Desk, DeskError
from services.operator.domain.leases import Leases
from services.operator.handlers import Busy, Handlers, NotFound
from services.operator.meters import DeskMeter
from shared.contract import subjects
from shared.contract.queue_figures import QueueFigures
from shared.eventlog.errors import LogError

log = structlog.get_logger()

#: How often the replicas tell who is there (seconds). The workflow forgets after three times that.
TELL_SECONDS: Final = 5.0
#: So many conversations of one operator are given back in one go; the rest follows.
AT_ONCE: Final = 50


class PresentOperators(msgspec.Struct):
    """What a replica tells: how many consoles are open there, who did something just now, and how the queues
    stand as far as it knows.
    """

    replica: str
    operators: int
    names: list[str] = []
    queues: dict[str, QueueFigures] = {}


class StillThere(Exception):
    """The operator has been heard of meanwhile."""


class LeaseKeeper:
    """One replica's. ``consoles`` counts those that are open here."""

    def __init__(
        self,
        client: Client,
        replica: str,
        leases: Leases,
        desk: Desk,
        handlers: Handlers,
        consoles: Callable[[], int],
        hears: Callable[[], bool],
        meter: DeskMeter,
    ) -> None:
        self._meter = meter
        self._client = client
        self._replica = replica
        self._leases = leases
        self._desk = desk
        self._handlers = handlers
        self._consoles = consoles
        self._hears = hears

    async def run(self) -> None:
        """Give back what is due, for as long as the service runs. Apart from telling: where the log is slow,
        this waits, and the other replicas must go on hearing who is here.
        """
        while True:
            await asyncio.sleep(TELL_SECONDS)
            try:
                await self.give_back()
            except Exception:  # a fault of ours: it shall be seen, and not be the end of all leases
                log.exception("leases_not_kept")

    async def tell(self, queues: dict[str, QueueFigures]) -> None:
        """Core NATS: what is said while the connection is down is worth nothing later."""
        if not self._client.is_connected:
            return
        told = PresentOperators(self._replica, self._consoles(), self._leases.to_tell(), queues)
        with contextlib.suppress(nats.errors.Error):
            await self._client.publish(subjects.PRESENCE, msgspec.json.encode(told))

    async def give_back(self) -> None:
        """What operators have who are gone. What cannot be given back now is tried again the next time."""
        if not self._client.is_connected or not self._hears():
            self._leases.deaf()
            return
        try:
            for operator in self._desk.owners():
                if self._leases.lapsed(operator):
                    for conversation in self._desk.owned(operator, AT_ONCE):
                        await self._release(conversation, operator)
        except DeskError as error:
            log.warning("leases_not_read", error=str(error))

    async def _release(self, conversation: str, operator: str) -> None:
        async def still() -> None:
            if not self._leases.lapsed(operator):
                raise StillThere

        with contextlib.suppress(StillThere):
            try:
                await self._handlers.lapse(conversation, operator, still)
                self._meter.lapsed.inc()
            except (LogError, Busy, NotFound) as error:
                log.warning("not_given_back", conversation=conversation, error=str(error))
