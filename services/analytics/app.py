"""Builds the analytics service: the log's feed into the numbers, the numbers to whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from services.analytics.handlers import Numbers
from services.analytics.settings import Settings
from services.analytics.transports import http
from services.analytics.transports.metrics import NumbersCollector
from shared.runtime.broker import Link, connect, disconnect, make_broker
from shared.runtime.follower import Follower
from shared.runtime.log import Log
from shared.runtime.vitals import Receive, Scope, Send, Vitals

log = structlog.get_logger()


class Analytics:
    """The service as `shared.runtime.service.main` runs it."""

    def __init__(self, settings: Settings, vitals: Vitals) -> None:
        self._vitals = vitals
        self._link = Link(vitals)
        self._broker = make_broker(settings, "analytics", self._link)
        self._numbers = Numbers(vitals)
        self._http = http.build(self._numbers)
        self._follower: Follower | None = None
        self._task: asyncio.Task[None] | None = None
        vitals.registry.register(NumbersCollector(self._numbers))

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._follower is not None:
            await self._follower.stop()
        await disconnect(self._broker)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._http(scope, receive, send)  # type: ignore[arg-type]

    async def _run(self) -> None:
        try:
            begin = time.perf_counter()
            stream = Log(await connect(self._broker, self._link))
            self._follower = Follower(
                stream,
                self._link,
                self._vitals,
                self._numbers.take,
                self._numbers.reset,
                from_beginning=True,
                replay_as="analytics",
            )
            self._numbers.follow(stream)
            await self._follower.start()
            seconds = round(time.perf_counter() - begin, 3)
            log.info("log_read", position=self._follower.position, seconds=seconds)
        except Exception as error:
            log.exception("cannot_follow")
            self._vitals.unready("log", f"the log cannot be followed: {error!r}")
