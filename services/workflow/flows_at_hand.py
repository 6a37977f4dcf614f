"""The flows: the one that new conversations begin with, and those that live ones began with."""

from __future__ import annotations

from services.workflow.domain.flow import Flow, FlowError, parse
from shared.runtime.log import Log


class Flows:
    """Flows by version, read from the log once each."""

    def __init__(self, current: Flow) -> None:
        self.current = current
        self._flows = {current.version: current}

    async def keep(self, log: Log) -> None:
        """Put the current flow's content on the log: conversations outlive the file."""
        await log.keep_flow(self.current.version, self.current.content)

    async def bound(self, log: Log, name: str, version: str) -> Flow | None:
        """The flow a conversation began with, None if it cannot be read. Raises `Unreachable`."""
        flow = self._flows.get(version)
        if flow is None:
            content = await log.flow(version)
            if content is None:
                return None
            try:
                flow = parse(content, name)
            except FlowError:
                return None
            self._flows[version] = flow
        return flow
