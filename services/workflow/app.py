"""The workflow: leads conversations along their flows. The only place that builds it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import structlog
from nats.aio.client import Client
from prometheus_client import Gauge

from services.workflow.assistant.client import AssistantClient
from services.workflow.assistant_runner import AssistantRunner
from services.workflow.backends import Backends
from services.workflow.decision import Decision, EffectLimits
from services.workflow.domain.agents import BUILT_IN
from services.workflow.effect_runner import EffectRunner
from services.workflow.failpoints import FaultPoint, no_fault
from services.workflow.flow_catalog import FlowCatalog
from services.workflow.flow_files import FlowFiles
from services.workflow.handlers import TurnParts, Workflow
from services.workflow.presence import Presence
from services.workflow.repository import Repository
from services.workflow.settings import WorkflowSettings
from services.workflow.state_cache import StateCache
from services.workflow.subscriptions import subscribe
from services.workflow.suggestions import Suggestions
from services.workflow.timers import Schedules
from services.workflow.turn_watchdog import TurnWatchdog
from shared.contract import subjects
from shared.eventlog.connection import ConnectionState, connect, disconnect, make_broker
from shared.eventlog.errors import LogError
from shared.eventlog.meters import AppendMeter
from shared.eventlog.subscription import Subscription
from shared.service.agents import installed
from shared.service.broker import listen
from shared.service.chat_log import ChatLog, await_log
from shared.service.conversation_keys import keys_of, masters_of
from shared.service.health import Health, Receive, Scope, Send, respond
from shared.service.live_entries import LiveEntries

log = structlog.get_logger()

#: How often the consumers' existence and lag are looked at (seconds).
CHECK_SECONDS = 5.0


class WorkflowApp:
    def __init__(self, settings: WorkflowSettings, health: Health, fault: FaultPoint = no_fault) -> None:
        self._settings = settings
        self._health = health
        self._fault = fault
        self._files = FlowFiles(Path(settings.flow), Path(settings.flows) if settings.flows else None)
        self._flows = FlowCatalog(self._files)
        self._watching: list[asyncio.Task[None]] = []
        self._folds = StateCache()
        self._link = ConnectionState(health)
        self._broker = make_broker(settings, "workflow", self._link)
        self._speech = AssistantRunner(
            AssistantClient.of(settings),
            health.registry,
            settings.assistant_concurrency,
            settings.assistant_budget_tokens,
            settings.assistant_max_tokens,
        )
        self._suggestions = Suggestions(
            self._speech, health.registry, settings.suggestions, settings.assistant_budget_tokens
        )
        self._presence = Presence()
        self._masters = masters_of(settings)
        self._entries: LiveEntries | None = None
        self._backends: Backends | None = None
        self._subscription: Subscription | None = None
        self._workflow: Workflow | None = None
        self._task: asyncio.Task[None] | None = None
        health.unready("consumer", "not subscribed to the workflow's consumer yet")
        self._lag = Gauge(
            "switchboard_consumer_pending",
            "Messages that no replica has taken yet, by stream: inputs in the log's, due timers in TIMERS; "
            "every replica shows the same",
            ["stream"],
            registry=health.registry,
        )
        self._unacknowledged = Gauge(
            "switchboard_consumer_unacknowledged",
            "Messages that a replica has taken and not ended yet, by stream; every replica shows the same",
            ["stream"],
            registry=health.registry,
        )
        self._meter = AppendMeter(health.registry)

    async def start(self) -> None:
        log.info("assistant", configured=self._speech.configured, what=self._speech.describe())
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._subscription is not None:
            await self._subscription.leave()
        # FastStream drops what still comes; it comes again after the lease.
        for subscriber in self._broker.subscribers:
            with contextlib.suppress(Exception):
                await subscriber.stop()
        if self._workflow is not None:
            await self._workflow.stop(self._settings.drain_seconds)
        for task in self._watching:
            task.cancel()
        if self._subscription is not None:
            await self._subscription.stop()
        if self._backends is not None:
            await self._backends.close()
        await self._speech.close()
        await disconnect(self._broker)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            body = b'{"error":"the workflow has /healthz, /readyz and /metrics, nothing else"}'
            await respond(send, 404, body)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _run(self) -> None:
        client = await connect(self._broker, self._link)
        keys = keys_of(client, self._masters, self._link, self._health, self._settings.sealing)
        stream = await await_log(client, self._health, keys, self._meter)
        entries = self._entries = LiveEntries(stream, self._folds.give, self._folds.wants)
        subscription = Subscription(stream, self._link, self._health, entries.take, self._replaced)
        await subscription.start()
        self._subscription = subscription
        workflow = self._workflow = self._build(
            client, Repository(stream, subscription, entries, self._folds)
        )
        await self._keep_flow(stream)
        self._watching = [
            asyncio.create_task(self._files.watch()),
            asyncio.create_task(self._flows.follow(client)),
        ]
        self._suggestions.begin(stream)
        subscribe(self._broker, self._health, self._presence, self._flows, workflow, self._suggestions)
        # Not through FastStream: every input is delivered, and it would cost several times as much.
        await subscription.join(subjects.WORKFLOW_DELIVERY, subjects.WORKFLOW_DURABLE, workflow.handle)
        await listen(self._broker, self._health)
        manager = client.jsm()
        while True:
            try:
                # Nothing else notices that a consumer is gone.
                durables = dict.fromkeys(stream.layout.names, subjects.WORKFLOW_DURABLE)
                for name, durable in {subjects.TIMERS: subjects.TIMERS_DURABLE, **durables}.items():
                    info = await manager.consumer_info(name, durable)
                    self._lag.labels(name).set(info.num_pending or 0)
                    self._unacknowledged.labels(name).set(info.num_ack_pending or 0)
                self._health.ready("consumer")
            except Exception as error:
                self._health.unready(
                    "consumer",
                    f"a consumer of the workflow's does not answer ({error!r}); run `switchboard setup`",
                )
            await asyncio.sleep(CHECK_SECONDS)

    def _build(self, client: Client, repository: Repository) -> Workflow:
        settings = self._settings
        self._backends = Backends(client, settings.service_hosts, self._health.registry)
        schedules = Schedules(repository.log, self._fault)
        asking = EffectRunner(
            repository, schedules, self._backends, self._speech, settings.turn_seconds, self._fault
        )
        stuck = TurnWatchdog(repository, schedules, settings.turn_seconds)
        limits = EffectLimits(
            settings.max_deliveries,
            inactivity=settings.inactivity_seconds,
            thanks=settings.thanks_minutes * 60,
        )
        agents = {**BUILT_IN, **installed()}
        deciding = Decision(repository, self._flows, self._presence, limits, agents)
        helpers = TurnParts(deciding, asking, schedules, stuck)
        return Workflow(repository, helpers, self._health, self._fault)

    def _replaced(self) -> None:
        if self._entries is not None:
            self._entries.reset()
        if self._workflow is not None:
            self._workflow.forget()
        else:
            self._folds.forget()

    async def _keep_flow(self, stream: ChatLog) -> None:
        while True:
            try:
                return await self._flows.keep(stream)
            except LogError as error:
                self._health.unready("consumer", f"the flow cannot be kept on the log: {error}")
                await asyncio.sleep(1.0)
