"""The workflow: leads conversations along their flows. The only place that builds it."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import nats.errors
import structlog
from nats.aio.subscription import Subscription
from prometheus_client import Gauge

from services.workflow.domain.flow import Flow, FlowError, parse
from services.workflow.flows_at_hand import Flows
from services.workflow.folds import Folds
from services.workflow.handlers import FaultPoint, Workflow, no_fault
from services.workflow.settings import WorkflowSettings
from shared.contract import subjects
from shared.runtime.broker import Link, connect, disconnect, make_broker
from shared.runtime.follower import Follower
from shared.runtime.log import Log, LogError
from shared.runtime.settings import SettingError
from shared.runtime.vitals import Receive, Scope, Send, Vitals, respond

log = structlog.get_logger()

#: How often the consumer's existence and lag are looked at (seconds).
CHECK_SECONDS = 5.0


class App:
    def __init__(self, settings: WorkflowSettings, vitals: Vitals, fault: FaultPoint = no_fault) -> None:
        self._settings = settings
        self._vitals = vitals
        self._fault = fault
        self._flows = Flows(read_flow(settings.flow))
        self._folds = Folds()
        self._link = Link(vitals)
        self._broker = make_broker(settings, "workflow", self._link)
        self._follower: Follower | None = None
        self._workflow: Workflow | None = None
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        vitals.unready("consumer", "not subscribed to the workflow's consumer yet")
        self._lag = Gauge(
            "switchboard_consumer_pending", "Inputs that no replica has taken yet", registry=vitals.registry
        )

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await self._subscription.drain()  # type: ignore[no-untyped-call]
        if self._workflow is not None:
            await self._workflow.stop(self._settings.drain_seconds)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._follower is not None:
            await self._follower.stop()
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
        stream = Log(client)
        follower = Follower(stream, self._link, self._vitals, self._folds.deliver, self._replaced)
        await follower.start()
        self._follower = follower
        self._workflow = Workflow(
            stream,
            follower,
            self._folds,
            self._flows,
            self._vitals,
            self._settings.max_deliveries,
            fault=self._fault,
        )
        await self._keep_flow(stream)
        # Joining the durable that `switchboard setup` made, straight on the broker's connection: a
        # FastStream subscriber would cost an eighth of the whole turn, for a message that is not read.
        self._subscription = await client.subscribe(
            subjects.WORKFLOW_DELIVERY, queue=subjects.WORKFLOW_DURABLE, cb=self._workflow.handle
        )
        manager = client.jsm()
        while True:
            try:
                info = await manager.consumer_info(subjects.STREAM, subjects.WORKFLOW_DURABLE)
                self._lag.set(info.num_pending or 0)
                self._vitals.ready("consumer")
            except Exception as error:
                self._vitals.unready(
                    "consumer",
                    f"the workflow's consumer does not answer ({error!r}); run `switchboard setup`",
                )
            await asyncio.sleep(CHECK_SECONDS)

    def _replaced(self) -> None:
        if self._workflow is not None:
            self._workflow.forget()
        else:
            self._folds.forget()

    async def _keep_flow(self, stream: Log) -> None:
        while True:
            try:
                return await self._flows.keep(stream)
            except LogError as error:
                self._vitals.unready("consumer", f"the flow cannot be kept on the log: {error}")
                await asyncio.sleep(1.0)


def read_flow(path: str) -> Flow:
    """Read and check a flow file. Raises `SettingError` with all that is wrong in it."""
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingError(
            f"the flow file {path} cannot be read: {error.strerror}. Set SWITCHBOARD_FLOW."
        ) from error
    try:
        flow = parse(content, file.stem)
    except FlowError as error:
        raise SettingError(f"the flow file {path} has errors:\n{error}") from error
    for warning in flow.warnings:
        log.warning("flow_warning", flow=path, warning=str(warning))
    return flow
