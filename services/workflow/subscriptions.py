"""What the workflow listens to through FastStream.

The log's feed and the deliveries of visitors' inputs do not come this way: they are many messages
(ARCHITECTURE.md).

A FastStream subscriber handles one message after the other, so no handler here may wait for anything, but
for that of suggestions, which has workers.
"""

from __future__ import annotations

import msgspec
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker
from nats.aio.msg import Msg

from services.workflow import releases
from services.workflow.flow_catalog import FlowCatalog
from services.workflow.handlers import Workflow
from services.workflow.presence import OperatorsPresent, Presence
from services.workflow.suggestions import PLACES, Suggestions
from shared.contract import subjects
from shared.contract.suggestions import SuggestionAsked, SuggestionsOffered
from shared.eventlog.observer import Observer
from shared.service.broker import JsonCodec, UnreadCodec, Watch

#: Some more than there are places, so that who comes too late is told at once.
WORKERS = 2 * PLACES


def subscribe(
    broker: NatsBroker,
    health: Observer,
    presence: Presence,
    flows: FlowCatalog,
    workflow: Workflow,
    suggestions: Suggestions,
) -> None:
    """Declare the subscribers; they listen from the broker's start on."""
    broker.add_middleware(Watch(health))

    @broker.subscriber(subjects.PRESENCE, codec=JsonCodec(OperatorsPresent), no_reply=True)
    async def operators_present(told: OperatorsPresent) -> None:
        presence.hear(told)

    @broker.subscriber(releases.ALL, codec=UnreadCodec(), no_reply=True)
    async def flow_released(_: Msg) -> None:
        flows.wake()

    @broker.subscriber(
        subjects.SUGGESTIONS,
        queue=subjects.SUGGESTIONS_QUEUE,
        codec=JsonCodec(SuggestionAsked),
        max_workers=WORKERS,
    )
    async def suggestion_asked(asked: SuggestionAsked) -> bytes:
        return msgspec.json.encode(await suggestions.suggest(asked))  # FastStream knows no structs

    @broker.subscriber(
        subjects.SUGGESTIONS_OFFERED, queue=subjects.SUGGESTIONS_QUEUE, codec=JsonCodec(SuggestionsOffered)
    )
    async def suggestions_offered(_: SuggestionsOffered) -> bytes:
        return msgspec.json.encode(SuggestionsOffered(suggestions.offered))

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
