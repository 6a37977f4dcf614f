"""A lane: what is in hand of one conversation."""

from __future__ import annotations

from typing import Any, cast

from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.workflow.lanes import Delivery, Lane
from shared.contract.conversation import NEW, Input
from shared.contract.persistent_queue import PersistentQueue
from tests import examples

MANY = 200


class Compared(int):
    """A position that counts how often it is compared with another."""

    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return int(self) == other

    def __hash__(self) -> int:
        return int(self)


def delivery(position: int) -> Delivery:
    reply = f"$JS.ACK.CHAT-0.workflow.1.{position}.{position}.1790000000000000000.0"
    taken = Delivery(Msg(cast(Client, cast(Any, None)), "", reply, b""))
    taken.caught_up = True
    return taken


def test_who_says_hundreds_of_things_costs_no_square_of_them() -> None:
    """It did: each turn of one visitor's backlog held up every other conversation of the replica."""
    lane = Lane(examples.CONVERSATION)
    for position in range(1, MANY + 1):
        lane.add(delivery(position))
    owed = PersistentQueue(
        Input(Compared(position), str(position), examples.TEXT_WRITTEN) for position in range(2, MANY + 1)
    )
    state = replace(NEW, position=MANY, unanswered=owed)
    Compared.times = 0
    assert lane.waits_for(state)
    assert [done.sequence for done in lane.finished(state)] == [1]
    assert len(lane) == MANY - 1
    assert 0 < Compared.times < 5 * MANY
