"""A mailbox: what is in hand of one conversation."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, cast

import pytest
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.workflow.mailboxes import TurnMailbox, done
from shared.contract.conversation import NEW, Conversation, Inbox, Input
from shared.contract.persistent_queue import PersistentQueue
from shared.eventlog.mailbox import RENEWED_AT_ONCE, Delivery, WakeUp, renew
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


def backlog(many: int) -> tuple[TurnMailbox, Conversation]:
    """A mailbox of which nothing has its outcome yet."""
    mailbox = TurnMailbox(examples.CONVERSATION)
    for position in range(1, many + 1):
        mailbox.add(delivery(position))
    owed = PersistentQueue(
        Input(Compared(position), str(position), examples.TEXT_WRITTEN) for position in range(1, many + 1)
    )
    return mailbox, replace(NEW, position=many, inbox=Inbox(owed))


def finished(mailbox: TurnMailbox, state: Conversation) -> list[WakeUp]:
    return mailbox.finished(state.position, lambda wake_up: done(wake_up, state))


def compared(many: int) -> int:
    """How often positions are compared while that many inputs get their outcome, the oldest first."""
    mailbox, state = backlog(many)
    Compared.times = 0
    for position in range(1, many + 1):
        assert mailbox.waits_for(state)
        assert finished(mailbox, state) == []
        state = replace(state, inbox=Inbox(state.inbox.unanswered.without(position)))
        assert [done.sequence for done in finished(mailbox, state)] == [position]
    assert len(mailbox) == 0
    return Compared.times


def test_who_says_hundreds_of_things_costs_no_square_of_them() -> None:
    """It did: each turn of one visitor's backlog held up every other conversation of the replica."""
    assert 0 < compared(4 * MANY) < 8 * compared(MANY)


def test_what_owes_nothing_and_what_all_have_at_once_is_finished_at_once() -> None:
    mailbox, state = backlog(3)
    mailbox.add(delivery(4))  # a rating
    state = replace(state, position=4)
    assert [done.sequence for done in finished(mailbox, state)] == [4]
    claimed = replace(state, inbox=Inbox())
    assert [done.sequence for done in finished(mailbox, claimed)] == [1, 2, 3]


def test_what_the_fold_has_not_reached_is_not_finished() -> None:
    mailbox, state = backlog(1)
    nothing = replace(state, position=0, inbox=Inbox())
    assert finished(mailbox, nothing) == []
    again = delivery(1)
    again.caught_up = False
    mailbox.add(again)
    assert [finished(mailbox, replace(nothing, position=1)), mailbox.fresh[-1:]] == [[], [again]]
    mailbox.caught_up([again])
    assert finished(mailbox, replace(nothing, position=1)) == [again]


def test_what_is_delivered_again_while_it_is_owed_is_finished_once() -> None:
    mailbox, state = backlog(2)
    assert finished(mailbox, state) == []
    again = delivery(1)
    again.caught_up = False
    mailbox.add(again)
    state = replace(state, inbox=Inbox(state.inbox.unanswered.without(1)))
    assert finished(mailbox, state) == []
    mailbox.caught_up([again])
    assert finished(mailbox, state) == [again]
    assert finished(mailbox, state) == []


async def test_while_thousands_of_leases_are_renewed_others_have_their_turn_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    renewed: list[WakeUp] = []
    seen = [0]

    async def count(wake_up: WakeUp) -> None:
        renewed.append(wake_up)

    async def look() -> None:
        while True:
            seen.append(len(renewed))
            await asyncio.sleep(0)

    monkeypatch.setattr(WakeUp, "renew", count)
    mailbox, _ = backlog(20 * RENEWED_AT_ONCE)
    looking = asyncio.create_task(look())
    await renew(mailbox)
    looking.cancel()
    assert renewed == list(mailbox)
    assert max(after - before for before, after in itertools.pairwise(seen)) <= RENEWED_AT_ONCE
