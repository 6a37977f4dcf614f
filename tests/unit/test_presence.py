"""Who is there, as the workflow hears it."""

from __future__ import annotations

import msgspec
import pytest

from services.operator.leases import PresentOperators
from services.workflow.presence import FRESH_SECONDS, UNKNOWN, OperatorsPresent, Presence
from shared.contract.queue_figures import QueueFigures


class PresenceClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> PresenceClock:
    return PresenceClock()


@pytest.fixture
def presence(clock: PresenceClock) -> Presence:
    return Presence(clock)


def tell(presence: Presence, replica: str, operators: int) -> None:
    presence.hear(OperatorsPresent(replica, operators))


def test_while_nobody_has_told_anything_nothing_is_known(presence: Presence) -> None:
    assert presence.operators == UNKNOWN


def test_the_operators_of_all_replicas_are_counted(presence: Presence) -> None:
    tell(presence, "a", 2)
    tell(presence, "b", 1)
    tell(presence, "a", 3)
    assert presence.operators == 4


def test_a_replica_that_falls_silent_takes_its_operators_along(
    presence: Presence, clock: PresenceClock
) -> None:
    tell(presence, "a", 2)
    clock.now += FRESH_SECONDS - 1
    tell(presence, "b", 1)
    assert presence.operators == 3
    clock.now += 2
    assert presence.operators == 1
    clock.now += FRESH_SECONDS
    assert presence.operators == 0  # somebody did tell: now it is known that nobody is there


def test_a_number_below_none_counts_as_none(presence: Presence) -> None:
    tell(presence, "a", -5)
    tell(presence, "b", 1)
    assert presence.operators == 1


def test_how_the_queues_stand_is_what_was_told_last_and_not_long_ago(
    presence: Presence, clock: PresenceClock
) -> None:
    assert presence.queues == {}
    presence.hear(OperatorsPresent("a", 1, {"": QueueFigures(True, 0)}))
    presence.hear(OperatorsPresent("b", 1, {"": QueueFigures(False, 2)}))
    presence.hear(OperatorsPresent("c", 1))  # it has not read the log yet
    assert presence.queues == {"": QueueFigures(False, 2)}
    clock.now += FRESH_SECONDS
    assert presence.queues == {}


def test_what_the_operator_service_tells_is_what_the_workflow_hears() -> None:
    queues = {"": QueueFigures(True, 0), "sales": QueueFigures(False, 3, 120), "new": QueueFigures(True, 1)}
    told = PresentOperators("a", 2, ["ada"], queues)
    heard = msgspec.json.decode(msgspec.json.encode(told), type=OperatorsPresent)
    assert heard == OperatorsPresent("a", 2, queues)
