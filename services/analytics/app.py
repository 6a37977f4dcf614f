"""Builds the analytics service: the log's feed into the numbers, the numbers to whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import structlog

from services.analytics.answers import NumberAnswers
from services.analytics.desk_hours import DeskHours
from services.analytics.logins import Logins
from services.analytics.read_model import PAUSE_SECONDS, ReadModel
from services.analytics.settings import Settings
from services.analytics.store import NumbersStore, StoreError
from services.analytics.transports import http
from services.analytics.transports.http import Parts
from services.analytics.transports.metrics import NumbersCollector
from services.analytics.transports.middleware import DashboardMiddleware
from shared.eventlog.connection import ConnectionState, connect, disconnect, make_broker
from shared.eventlog.subscription import After, Start, Subscription
from shared.service.chat_log import await_log
from shared.service.health import Health, Receive, Scope, Send
from shared.service.read_model_meter import measure_read_model

log = structlog.get_logger()


class Analytics:
    """The service as `shared.service.lifecycle.main` runs it."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._health = health
        self._file = Path(settings.analytics_file) if settings.analytics_file else None
        self._link = ConnectionState(health)
        self._broker = make_broker(settings, "analytics", self._link)
        self._numbers: ReadModel | None = None
        self._answers: NumberAnswers | None = None
        self._logins: Logins | None = None
        self._hours: DeskHours | None = None
        self._http = DashboardMiddleware(http.build(self._parts, health, settings))  # type: ignore[arg-type]
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        health.unready("log", "the log has not been read yet")
        health.registry.register(NumbersCollector(lambda: self._numbers))
        health.on_scrape(self._prepare)
        measure_read_model(health.registry, self._position, self._newest)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._subscription is not None:
            await self._subscription.stop()
        if self._numbers is not None:
            await self._numbers.stop()
        await disconnect(self._broker)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._http(scope, receive, send)

    def _parts(self) -> Parts:
        return Parts(self._numbers, self._answers, self._logins, self._hours)

    async def _run(self) -> None:
        try:
            begin = time.perf_counter()
            numbers = self._numbers = ReadModel(await self._store(), self._health)
            self._answers = NumberAnswers(numbers, time.monotonic, self._health.registry)
            client = await connect(self._broker, self._link)
            self._logins = Logins(client, time.monotonic)
            self._hours = DeskHours(client)
            stream = await await_log(client, self._health)
            self._subscription = Subscription(
                stream,
                self._link,
                self._health,
                numbers.on_message,
                numbers.reset,
                start=After(numbers.checkpoint) if numbers.checkpoint else Start.BEGINNING,
                replay_as="analytics",
                room=numbers.room,
            )
            subscription = self._subscription
            numbers.follow(stream, lambda: subscription.checkpoint)
            stored = numbers.position
            await subscription.start()
            await numbers.written()
            seconds = round(time.perf_counter() - begin, 3)
            log.info("log_read", position=numbers.position, stored=stored, seconds=seconds)
        except Exception as error:
            log.exception("cannot_follow")
            self._health.unready("log", f"the log cannot be followed: {error!r}")

    async def _store(self) -> NumbersStore:
        """The store, once its file can be used: a replica that ends may still have it."""
        while True:
            try:
                store = await asyncio.to_thread(NumbersStore, self._file)
            except StoreError as error:
                log.error("no_store", error=str(error))
                self._health.unready("store", str(error))
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self._health.ready("store")
                return store

    def _position(self) -> int:
        return self._numbers.position if self._numbers is not None else 0

    def _newest(self) -> int:
        shown = self._numbers.shown if self._numbers is not None else None
        return shown.time if shown is not None else 0

    async def _prepare(self) -> None:
        if self._numbers is not None and self._numbers.complete():
            with contextlib.suppress(StoreError):  # then the numbers are those of the last time
                await self._numbers.numbers()
