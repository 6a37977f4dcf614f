"""How long a conversation stays with an operator who is not heard of."""

from __future__ import annotations

from services.operator.domain.leases import Leases


class StandingClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_who_is_not_heard_of_for_long_is_gone() -> None:
    clock = StandingClock()
    leases = Leases(60, clock)
    leases.here("ada")
    clock.now += 60
    assert not leases.lapsed("ada")
    clock.now += 1
    assert leases.lapsed("ada")
    leases.here("ada")
    assert not leases.lapsed("ada")


def test_who_is_at_another_replica_is_there() -> None:
    clock = StandingClock()
    leases = Leases(60, clock)
    clock.now += 50
    leases.there(["ada", "bob"])
    clock.now += 50
    assert not leases.lapsed("ada")
    assert leases.lapsed("eve")


def test_while_nobody_can_be_heard_nobody_is_gone() -> None:
    clock = StandingClock()
    leases = Leases(60, clock)
    assert not leases.lapsed("eve")  # the service has only begun
    clock.now += 100
    assert leases.lapsed("eve")
    leases.deaf()
    assert not leases.lapsed("eve")
    clock.now += 61
    assert leases.lapsed("eve")


def test_a_lease_of_nothing_never_ends() -> None:
    clock = StandingClock()
    leases = Leases(0, clock)
    leases.here("ada")
    clock.now += 1e9
    assert not leases.lapsed("ada")


def test_who_was_here_is_told_once() -> None:
    leases = Leases(60, StandingClock())
    leases.here("bob")
    leases.here("ada")
    assert leases.to_tell() == ["ada", "bob"]
    assert leases.to_tell() == []
