"""Who is there, as the workflow hears it."""

from __future__ import annotations

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.workflow.presence import FRESH_SECONDS, UNKNOWN, Presence


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def presence(clock: Clock) -> Presence:
    return Presence(clock)


async def tell(presence: Presence, replica: str, operators: object) -> None:
    await presence.hear(said(msgspec.json.encode({"replica": replica, "operators": operators})))


def said(data: bytes) -> Msg:
    return Msg(Client(), subject="typing.presence", data=data)


async def test_while_nobody_has_told_anything_nothing_is_known(presence: Presence) -> None:
    assert presence.operators == UNKNOWN


async def test_the_operators_of_all_replicas_are_counted(presence: Presence) -> None:
    await tell(presence, "a", 2)
    await tell(presence, "b", 1)
    await tell(presence, "a", 3)
    assert presence.operators == 4


async def test_a_replica_that_falls_silent_takes_its_operators_along(
    presence: Presence, clock: Clock
) -> None:
    await tell(presence, "a", 2)
    clock.now += FRESH_SECONDS - 1
    await tell(presence, "b", 1)
    assert presence.operators == 3
    clock.now += 2
    assert presence.operators == 1
    clock.now += FRESH_SECONDS
    assert presence.operators == 0  # somebody did tell: now it is known that nobody is there


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"replica":"a","operators":"two"}', b"\xff"])
async def test_what_is_no_such_message_changes_nothing(presence: Presence, data: bytes) -> None:
    await tell(presence, "a", 2)
    await presence.hear(said(data))
    assert presence.operators == 2


async def test_a_number_below_none_counts_as_none(presence: Presence) -> None:
    await tell(presence, "a", -5)
    await tell(presence, "b", 1)
    assert presence.operators == 1
