"""The ids of the flows that conversations are bound to, read from the log once each."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog

from services.proxy.domain.flow_ids import FlowIds, flow_ids
from shared.runtime.log import Unreachable

log = structlog.get_logger()

#: Versions that are kept. Live conversations rarely stand on more.
MOST_KEPT = 256
#: Versions that are read at once.
MOST_READ = 16


class KnownFlows:
    """``read`` gives a version's content, None for one that the log does not have. It may raise `Unreachable`."""

    def __init__(self, read: Callable[[str], Awaitable[bytes | None]]) -> None:
        self._read = read
        self._known: OrderedDict[str, FlowIds | None] = OrderedDict()
        self._reading: dict[str, asyncio.Task[None]] = {}

    def ids(self, version: str) -> FlowIds | None:
        """The version's ids. None for one that is not known yet, which is then read; never waits."""
        if version in self._known:
            self._known.move_to_end(version)
            return self._known[version]
        if version and version not in self._reading and len(self._reading) < MOST_READ:
            self._reading[version] = asyncio.create_task(self._learn(version))
        return None

    def stop(self) -> None:
        for task in self._reading.values():
            task.cancel()

    async def _learn(self, version: str) -> None:
        try:
            content = await self._read(version)
            self._known[version] = flow_ids(content) if content is not None else None
            if len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
        except Unreachable:  # it is asked for again
            log.debug("flow_unread", version=version)
        finally:
            del self._reading[version]
