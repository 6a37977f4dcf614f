"""Contents that are kept for ever, each under a name that never means another: a hash of it, say."""

from __future__ import annotations

import contextlib
from typing import Any

import nats.errors

from shared.eventlog.append import EXPECT
from shared.eventlog.errors import Conflict, Unreachable
from shared.eventlog.log import Log


class ContentStore:
    """A stream beside the log: ``<prefix>.<name>`` holds the content of that name."""

    def __init__(self, log: Log[Any], stream: str, prefix: str) -> None:
        self._log = log
        self._stream = stream
        self._prefix = prefix

    async def put(self, name: str, content: bytes) -> None:
        """Keep the content, if it is not kept yet. Raises `Unknown` or another `LogError`."""
        if await self.get(name) is not None:
            return
        with contextlib.suppress(Conflict):  # somebody else was quicker, with the same
            await self._log.store(f"{self._prefix}.{name}", content, {"Nats-Msg-Id": name, EXPECT: "0"})

    async def get(self, name: str) -> bytes | None:
        """The content of this name, or None. Raises `Unreachable`."""
        address = f"$JS.API.DIRECT.GET.{self._stream}.{self._prefix}.{name}"
        try:
            reply = await self._log.client.request(address, timeout=2.0)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unreachable(f"the stream {self._stream} does not answer: {error!r}") from error
        return None if reply.headers and "Status" in reply.headers else reply.data
