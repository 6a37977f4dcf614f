"""The turnstile: of a crowd that comes at once, one is let through in each round of the event loop."""

from __future__ import annotations

import asyncio

import pytest

from shared.runtime.protocols import Turnstile


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
    assert turnstile.enter(loop, lambda: through.append("alone"))
    assert through == ["alone"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert turnstile.enter(loop, lambda: through.append("later"))


async def test_of_a_crowd_one_goes_through_in_each_round_in_its_order() -> None:
    loop, turnstile, rounds = asyncio.get_running_loop(), Turnstile(), Rounds()
    through: list[tuple[int, str]] = []
    gone = asyncio.Event()
    for name in "abcd":
        turnstile.enter(loop, lambda name=name: through.append((rounds.now, name)))  # type: ignore[misc]
    turnstile.enter(loop, gone.set)
    await gone.wait()
    assert [name for _, name in through] == list("abcd")
    assert len({round for round, _ in through}) == 4


async def test_one_that_fails_does_not_hold_up_the_next(caplog: pytest.LogCaptureFixture) -> None:
    loop, turnstile, gone = asyncio.get_running_loop(), Turnstile(), asyncio.Event()

    def fail() -> None:
        raise ValueError("gone already")

    turnstile.enter(loop, lambda: None)
    turnstile.enter(loop, fail)
    turnstile.enter(loop, gone.set)
    await gone.wait()
    assert "gone already" in caplog.text
