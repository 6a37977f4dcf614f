"""Builds the analytics service: the log's feed into the numbers, the numbers to whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from services.analytics.read_model import ReadModel
from services.analytics.settings import Settings
from services.analytics.transports import http
from services.analytics.transports.metrics import NumbersCollector
from shared.eventlog.connection import ConnectionState, connect, disconnect, make_broker
from shared.eventlog.subscription import Start, Subscription
from shared.service.chat_log import await_log
from shared.service.health import Health, Receive, Scope, Send

log = structlog.get_logger()


class Analytics:
    """The service as `shared.service.lifecycle.main` runs it."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._health = health
        self._link = ConnectionState(health)
        self._broker = make_broker(settings, "analytics", self._link)
        self._numbers = ReadModel(health)
        self._http = http.build(self._numbers)
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        health.registry.register(NumbersCollector(self._numbers))

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._subscription is not None:
            await self._subscription.stop()
        await disconnect(self._broker)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._http(scope, receive, send)  # type: ignore[arg-type]

    async def _run(self) -> None:
        try:
            begin = time.perf_counter()
            stream = await await_log(await connect(self._broker, self._link), self._health)
            self._subscription = Subscription(
                stream,
                self._link,
                self._health,
                self._numbers.on_message,
                self._numbers.reset,
                start=Start.BEGINNING,
                replay_as="analytics",
            )
            self._numbers.follow(stream)
            await self._subscription.start()
            seconds = round(time.perf_counter() - begin, 3)
            log.info("log_read", position=self._subscription.count, seconds=seconds)
        except Exception as error:
            log.exception("cannot_follow")
            self._health.unready("log", f"the log cannot be followed: {error!r}")
