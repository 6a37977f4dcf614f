"""A lane: what is in hand of one conversation."""

from __future__ import annotations

from typing import Any, cast

from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.workflow.lanes import Delivery, Lane
from shared.contract.conversation import NEW, Conversation, Input
from shared.contract.persistent_queue import PersistentQueue
from tests import examples

MANY = 200


class Compared(int):
    """A position that counts how often it is compared with another."""

    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return int(self) == other

    def __lt__(self, other: int) -> bool:
        Compared.times += 1
        return int(self) < other

    def __gt__(self, other: int) -> bool:
        Compared.times += 1
        return int(self) > other

    def __hash__(self) -> int:
        return int(self)


def delivery(position: int) -> Delivery:
    reply = f"$JS.ACK.CHAT-0.workflow.1.{position}.{position}.1790000000000000000.0"
    taken = Delivery(Msg(cast(Client, cast(Any, None)), "", reply, b""))
    taken.caught_up = True
    return taken


def backlog(many: int) -> tuple[Lane, Conversation]:
    """A lane of which nothing has its outcome yet."""
    lane = Lane(examples.CONVERSATION)
    for position in range(1, many + 1):
        lane.add(delivery(position))
    owed = PersistentQueue(
        Input(Compared(position), str(position), examples.TEXT_WRITTEN) for position in range(1, many + 1)
    )
    return lane, replace(NEW, position=many, unanswered=owed)


def compared(many: int) -> int:
    """How often positions are compared while that many inputs get their outcome, the oldest first."""
    lane, state = backlog(many)
    Compared.times = 0
    for position in range(1, many + 1):
        assert lane.waits_for(state)
        assert lane.finished(state) == []
        state = replace(state, unanswered=state.unanswered.without(position))
        assert [done.sequence for done in lane.finished(state)] == [position]
    assert len(lane) == 0
    return Compared.times


def test_who_says_hundreds_of_things_costs_no_square_of_them() -> None:
    """It did: each turn of one visitor's backlog held up every other conversation of the replica."""
    assert 0 < compared(4 * MANY) < 8 * compared(MANY)


def test_what_owes_nothing_and_what_all_have_at_once_is_finished_at_once() -> None:
    lane, state = backlog(3)
    lane.add(delivery(4))  # a rating
    state = replace(state, position=4)
    assert [done.sequence for done in lane.finished(state)] == [4]
    claimed = replace(state, unanswered=PersistentQueue())
    assert [done.sequence for done in lane.finished(claimed)] == [1, 2, 3]


def test_what_the_fold_has_not_reached_is_not_finished() -> None:
    lane, state = backlog(1)
    nothing = replace(state, position=0, unanswered=PersistentQueue())
    assert lane.finished(nothing) == []
    again = delivery(1)
    again.caught_up = False
    lane.add(again)
    assert [lane.finished(replace(nothing, position=1)), lane.fresh[-1:]] == [[], [again]]
    lane.caught_up([again])
    assert lane.finished(replace(nothing, position=1)) == [again]


def test_what_is_delivered_again_while_it_is_owed_is_finished_once() -> None:
    lane, state = backlog(2)
    assert lane.finished(state) == []
    again = delivery(1)
    again.caught_up = False
    lane.add(again)
    state = replace(state, unanswered=state.unanswered.without(1))
    assert lane.finished(state) == []
    lane.caught_up([again])
    assert lane.finished(state) == [again]
    assert lane.finished(state) == []
