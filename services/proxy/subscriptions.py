"""What the proxy listens to through FastStream.

The log's feed comes through `hub.py`, an assistant's words, while somebody reads them, through
`shared.service.drafts`: both are many messages, and FastStream costs more for each than all that is done with
it (ARCHITECTURE.md).
"""

from __future__ import annotations

from collections.abc import Callable

from faststream.nats import NatsBroker
from nats.aio.msg import Msg

from shared.contract import subjects
from shared.eventlog.observer import Observer
from shared.service.broker import UnreadCodec, Watch


def subscribe(
    broker: NatsBroker,
    health: Observer,
    on_typing: Callable[[str], None],
    on_watch: Callable[[str], None],
) -> None:
    """Declare the subscribers; they listen from the broker's start on."""
    broker.add_middleware(Watch(health))

    @broker.subscriber(subjects.OPERATORS_TYPING, codec=UnreadCodec(), no_reply=True)
    async def operator_typing(message: Msg) -> None:
        on_typing(subjects.address(message.subject).conversation)

    @broker.subscriber(subjects.WATCHES_ASKED, codec=UnreadCodec(), no_reply=True)
    async def conversation_watched(message: Msg) -> None:
        on_watch(subjects.address(message.subject).conversation)
