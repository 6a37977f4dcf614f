"""The turnstile: of a crowd that comes at once, a few are let through in each round of the event loop."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from shared.runtime.protocols import AT_ONCE, Turnstile


class Rounds:
    """Counts the rounds of the running loop."""

    def __init__(self) -> None:
        self.now = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._next)

    def _next(self) -> None:
        self.now += 1
        self._loop.call_soon(self._next)


async def test_who_is_alone_goes_through_at_once() -> None:
    loop, turnstile, through = asyncio.get_running_loop(), Turnstile(), list[str]()
    for name in ("first", "second"):
        assert turnstile.enter(loop, lambda name=name: through.append(name))  # type: ignore[misc]
        assert through[-1] == name
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_of_a_crowd_a_few_go_through_in_each_round_in_their_order() -> None:
    loop, turnstile, rounds = asyncio.get_running_loop(), Turnstile(), Rounds()
    through: list[tuple[int, int]] = []
    gone = asyncio.Event()
    crowd = range(3 * AT_ONCE)
    now = [
        turnstile.enter(loop, lambda n=n: through.append((rounds.now, n)))  # type: ignore[misc]
        for n in crowd
    ]
    turnstile.enter(loop, gone.set)
    assert now == [n < AT_ONCE for n in crowd]
    await gone.wait()
    assert [n for _, n in through] == list(crowd)
    of_each_round = Counter(round for round, _ in through)
    assert len(of_each_round) == 3
    assert set(of_each_round.values()) == {AT_ONCE}


async def test_one_that_fails_does_not_hold_up_the_next(caplog: pytest.LogCaptureFixture) -> None:
    loop, turnstile, gone = asyncio.get_running_loop(), Turnstile(), asyncio.Event()

    def fail() -> None:
        raise ValueError("gone already")

    for _ in range(AT_ONCE):
        turnstile.enter(loop, lambda: None)
    turnstile.enter(loop, fail)
    turnstile.enter(loop, gone.set)
    await gone.wait()
    assert "gone already" in caplog.text
