"""What the workflow listens to through FastStream.

The log's feed and the deliveries of visitors' inputs do not come this way: they are many messages
(ARCHITECTURE.md).

A FastStream subscriber handles one message after the other, so no handler here may wait for anything.
"""

from __future__ import annotations

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker
from nats.aio.msg import Msg

from services.workflow import releases
from services.workflow.flow_catalog import FlowCatalog
from services.workflow.handlers import Workflow
from services.workflow.presence import OperatorsPresent, Presence
from shared.contract import subjects
from shared.eventlog.observer import Observer
from shared.service.broker import JsonCodec, UnreadCodec, Watch


def subscribe(
    broker: NatsBroker, health: Observer, presence: Presence, flows: FlowCatalog, workflow: Workflow
) -> None:
    """Declare the subscribers; they listen from the broker's start on."""
    broker.add_middleware(Watch(health))

    @broker.subscriber(subjects.PRESENCE, codec=JsonCodec(OperatorsPresent), no_reply=True)
    async def operators_present(told: OperatorsPresent) -> None:
        presence.hear(told)

    @broker.subscriber(releases.ALL, codec=UnreadCodec(), no_reply=True)
    async def flow_released(_: Msg) -> None:
        flows.wake()

    # Acknowledged by the workflow, when what was due has its outcome. With FastStream's own policies a
    # firing would be gone when its handler returns, or, should it fail, at once and for good.
    @broker.subscriber(
        subjects.TIMERS_DUE,
        queue=subjects.TIMERS_DURABLE,
        stream=JStream(subjects.TIMERS, declare=False),
        ack_policy=AckPolicy.MANUAL,
        codec=UnreadCodec(),
        no_reply=True,
    )
    async def timer_due(message: Msg) -> None:
        workflow.handle_firing(message)
