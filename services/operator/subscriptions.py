"""What the operator service listens to through FastStream.

The log's feed does not come this way: it is many messages (ARCHITECTURE.md).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from faststream.nats import NatsBroker
from nats.aio.msg import Msg

from services.operator import desk_state
from services.operator.leases import PresentOperators
from services.operator.login_answers import PLACES, LoginAnswers
from shared.contract import subjects
from shared.contract.logins import LoginAsked
from shared.contract.presence import VisitorReport, WatchAsked
from shared.eventlog.observer import Observer
from shared.service.broker import JsonCodec, UnreadCodec, Watch


def subscribe(
    broker: NatsBroker,
    health: Observer,
    on_typing: Callable[[str], None],
    on_presence: Callable[[PresentOperators], None],
    on_watch: Callable[[str, WatchAsked | VisitorReport], None],
    on_desk_state: Callable[[], None],
    logins: LoginAnswers,
) -> None:
    """Declare the subscribers; they listen from the broker's start on."""
    broker.add_middleware(Watch(health))

    @broker.subscriber(subjects.VISITORS_TYPING, codec=UnreadCodec(), no_reply=True)
    async def visitor_typing(message: Msg) -> None:
        on_typing(subjects.address(message.subject).conversation)

    @broker.subscriber(subjects.PRESENCE, codec=JsonCodec(PresentOperators), no_reply=True)
    async def operators_present(told: PresentOperators) -> None:
        on_presence(told)

    # One subscription for both: a proxy answers at once, and its answer must not overtake what was asked.
    @broker.subscriber(subjects.WATCHES, codec=UnreadCodec(), no_reply=True)
    async def conversation_watched(message: Msg) -> None:
        conversation, who = subjects.address(message.subject)
        on_watch(conversation, (_report if who == "visitor" else _asked).decode(message.data))

    @broker.subscriber(desk_state.ALL, codec=UnreadCodec(), no_reply=True)
    async def desk_state_written(_: Msg) -> None:
        on_desk_state()

    @broker.subscriber(
        subjects.LOGINS, queue=subjects.LOGINS_QUEUE, codec=JsonCodec(LoginAsked), max_workers=PLACES
    )
    async def login_asked(asked: LoginAsked) -> bytes:
        return msgspec.json.encode(await logins.tell(asked))  # FastStream knows no structs


_asked = msgspec.json.Decoder(WatchAsked)
_report = msgspec.json.Decoder(VisitorReport)
