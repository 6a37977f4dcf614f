"""Long work in pieces: everybody else has the event loop in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from shared.service import pace as pace_module
from shared.service.pace import IDLE_RESTS, RESTS, Pace

#: Given to the work as its clock: so long a piece may take (seconds).
PIECE = 1.0


class WorkClock:
    """Stands still but for the work itself, each item of which takes ``seconds``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now = 0.0
        self.seconds = seconds
        monkeypatch.setattr(pace_module, "perf_counter", lambda: self.now)
        monkeypatch.setattr(pace_module, "PIECE_SECONDS", PIECE)
        monkeypatch.setattr(pace_module, "WORK_SECONDS", 1e9)  # rests are looked at apart

    def work(self, done: list[int]) -> Callable[[int], None]:
        def work(item: int) -> None:
            self.now += self.seconds
            done.append(item)

        return work


class OtherTask:
    """What another task of the loop sees: how much was done at each of its turns."""

    def __init__(self, done: list[int]) -> None:
        self.seen: list[int] = []
        self._done = done
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            self.seen.append(len(self._done))
            await asyncio.sleep(0)

    def stop(self) -> list[int]:
        self._task.cancel()
        return [after - before for before, after in zip(self.seen, self.seen[1:], strict=False)]


def rested(monkeypatch: pytest.MonkeyPatch, rests: list[float]) -> None:
    """Let ``rests`` have each rest (seconds) from here on."""
    sleep = asyncio.sleep

    async def slept(seconds: float) -> None:
        rests.extend([seconds] if seconds else [])
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", slept)


async def all_of(pace: Pace, items: range, work: Callable[[int], None]) -> None:
    async for _ in pace.through(items, work):
        pass


async def test_others_have_their_turn_after_each_piece_and_nothing_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, done = WorkClock(monkeypatch, PIECE / 4), list[int]()
    others = OtherTask(done)
    await all_of(Pace(), range(100), clock.work(done))
    assert done == list(range(100))
    assert max(others.stop()) == 4


async def test_of_two_that_work_long_each_has_a_piece_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, done = WorkClock(monkeypatch, PIECE), list[int]()
    pace = Pace()
    others = OtherTask(done)
    await asyncio.gather(
        all_of(pace, range(20), clock.work(done)), all_of(pace, range(100, 120), clock.work(done))
    )
    assert sorted(done) == [*range(20), *range(100, 120)]
    assert max(others.stop()) == 1
    first = [item for item in done if item < 100]
    assert abs(done.index(first[10]) - done.index(110)) <= 2  # neither is told all before the other


async def test_after_so_much_work_it_rests_and_for_longer_while_others_have_something_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, done, rests = WorkClock(monkeypatch, PIECE), list[int](), list[float]()
    monkeypatch.setattr(pace_module, "WORK_SECONDS", 5 * PIECE)
    rested(monkeypatch, rests)
    pace = Pace()
    await all_of(pace, range(11), clock.work(done))
    assert rests == [IDLE_RESTS * 5 * PIECE] * 2
    rests.clear()
    pace.others()
    await all_of(pace, range(10), clock.work(done))
    assert rests == [RESTS * 5 * PIECE, IDLE_RESTS * 5 * PIECE]


async def test_what_is_written_between_two_pieces_is_rested_for_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, done, rests = WorkClock(monkeypatch, PIECE), list[int](), list[float]()
    monkeypatch.setattr(pace_module, "WORK_SECONDS", 5 * PIECE)
    rested(monkeypatch, rests)
    pace = Pace()
    async for _ in pace.through(range(2), clock.work(done)):
        with pace.counted():
            clock.now += 4 * PIECE
    assert rests == [IDLE_RESTS * 5 * PIECE] * 2


async def test_what_fails_in_the_middle_lets_the_next_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, done = WorkClock(monkeypatch, PIECE), list[int]()
    pace = Pace()

    def fail(item: int) -> None:
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        await all_of(pace, range(3), fail)
    given_up = asyncio.create_task(all_of(pace, range(1_000), clock.work(done)))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    done.clear()
    await all_of(pace, range(3), clock.work(done))
    assert done == [0, 1, 2]
