"""The ids of the flows that conversations are bound to, read from the log once each."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog

from services.proxy.domain.flow_ids import FlowIds, Unread, flow_ids
from shared.eventlog.errors import Unreachable

log = structlog.get_logger()

#: Versions that are kept. Live conversations rarely stand on more.
MAX_KEPT = 256


class KnownFlows:
    """``read`` gives a version's content, None where the log has none. It may raise `Unreachable`."""

    def __init__(self, read: Callable[[str], Awaitable[bytes | None]]) -> None:
        self._read = read
        self._known: OrderedDict[str, FlowIds | None] = OrderedDict()
        self._reading: dict[str, asyncio.Task[FlowIds | None]] = {}

    def ids(self, version: str) -> FlowIds | Unread | None:
        """The version's ids, if they were read; None where that gave none."""
        if version not in self._known:
            return "unread"
        self._known.move_to_end(version)
        return self._known[version]

    async def learn(self, version: str) -> FlowIds | None:
        """The version's ids; None where they cannot be known now. All who ask share one reading."""
        if version in self._known:
            return self._known[version]
        reading = self._reading.get(version)
        if reading is None:
            reading = self._reading[version] = asyncio.create_task(self._learn(version))
        return await asyncio.shield(reading)

    def stop(self) -> None:
        for task in self._reading.values():
            task.cancel()

    async def _learn(self, version: str) -> FlowIds | None:
        try:
            content = await self._read(version)
        except Unreachable:  # the next answer asks again
            return None
        finally:
            del self._reading[version]
        if content is None:  # perhaps not yet: of a cluster a server answers that is behind
            return None
        found = flow_ids(content)
        if found is None:
            log.warning("flow_unreadable", version=version)
        self._known[version] = found
        if len(self._known) > MAX_KEPT:
            self._known.popitem(last=False)
        return found
