"""The flows: those that new conversations begin with, and those that live ones began with."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

import structlog
from nats.aio.client import Client

from services.workflow import releases
from services.workflow.domain.releases import Release, chosen
from shared.contract import sealing
from shared.eventlog.errors import LogError
from shared.flow.language.flow import Flow, FlowError, parse
from shared.service.chat_log import ChatLog, flow_store

logger = structlog.get_logger()

#: How often the releases are looked at, whether a change was heard of or not (seconds).
LOOK_SECONDS = 2.0
#: Flows that are kept parsed. Live conversations rarely stand on more versions.
MAX_KEPT = 256
#: Unknown names that are logged once each; whoever asks for ever new ones is logged no more.
MAX_NAMES = 100


class Files(Protocol):
    """The flows that the workflow reads from files, by name; ``default`` is the one for who asks none."""

    default: str
    flows: dict[str, Flow]


class FlowCatalog:
    """Flows by version, read from the log once each."""

    def __init__(self, files: Files | Flow) -> None:
        self._files = files if not isinstance(files, Flow) else _One(files)
        self._kept: set[str] = set()
        self._parsed: OrderedDict[str, Flow] = OrderedDict()
        self._releases: Mapping[str, Release] | None = None
        self._unknown: set[str] = set()
        self._changed = asyncio.Event()

    @property
    def current(self) -> Flow:
        """The default flow, as the file has it now."""
        return self._files.flows[self._files.default]

    async def keep(self, log: ChatLog) -> None:
        """Put the contents of all flows on the log: conversations outlive the files. Raises `LogError`."""
        for flow in list(self._files.flows.values()):
            await self._keep(log, flow)

    async def begin(self, log: ChatLog, asked: str, conversation: str) -> Flow:
        """The flow with which a conversation begins that asked for this name. Raises `LogError`.

        A published version comes before a file of the same name; an unknown name gets the default.
        """
        if self._releases is None:
            await self.refresh(log.client)
        name = asked if asked and self._knows(asked) else self._files.default
        release = (self._releases or {}).get(name)
        if release is not None and (version := chosen(release, conversation)):
            flow = await self.bound(log, name, version)
            if flow is not None:
                return flow
            logger.error("released_flow_unreadable", flow=name, version=version)
        flow = self._files.flows.get(name, self.current)
        await self._keep(log, flow)
        return flow

    async def bound(self, log: ChatLog, name: str, version: str) -> Flow | None:
        """The flow a conversation began with, None if it cannot be read. Raises `Unreachable`."""
        flow = self._parsed.get(version)
        if flow is not None and flow.name == name:
            self._parsed.move_to_end(version)
            return flow
        content = await flow_store(log).get(version)
        if content is None:
            return None
        try:
            flow = parse(content, name)
        except FlowError:
            return None
        self._remember(flow)
        return flow

    async def refresh(self, client: Client) -> None:
        """Read all releases. Raises `Unreachable`."""
        self._releases = await releases.all_releases(client)

    async def follow(self, client: Client) -> None:
        """Keep the releases up to date, for ever.

        `wake` is only a wake-up; the truth is what the bucket says, asked every few seconds too: a
        wake-up may be lost.
        """
        while True:
            self._changed.clear()
            try:
                await self.refresh(client)
            except LogError as error:
                logger.warning("releases_unreadable", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), LOOK_SECONDS)

    def wake(self) -> None:
        """A release was changed."""
        self._changed.set()

    def _knows(self, name: str) -> bool:
        release = (self._releases or {}).get(name)
        if name in self._files.flows or (release is not None and (release.version or release.candidate)):
            return True
        if name not in self._unknown and len(self._unknown) < MAX_NAMES:
            self._unknown.add(name)
            logger.warning("unknown_flow", flow=name, instead=self._files.default)
        return False

    async def _keep(self, log: ChatLog, flow: Flow) -> None:
        if flow.version not in self._kept:
            await flow_store(log).put(flow.version, flow.content)
            self._kept.add(flow.version)
            self._remember(flow)

    def _remember(self, flow: Flow) -> None:
        self._parsed[flow.version] = flow
        sealing.said_to_all(flow.said_to_all)
        if len(self._parsed) > MAX_KEPT:
            self._parsed.popitem(last=False)


class _One:
    """A single flow as if it was a file that never changes."""

    def __init__(self, flow: Flow) -> None:
        self.default = flow.name
        self.flows = {flow.name: flow}
