"""A budget: bounded in all, first come first served, and nothing of it is lost."""

from __future__ import annotations

import asyncio

from shared.eventlog.read_budget import ReadBudget


async def taking(budget: ReadBudget, amount: int) -> asyncio.Task[None]:
    task = asyncio.create_task(budget.take(amount))
    await asyncio.sleep(0)
    return task


async def test_what_is_left_is_given_at_once_and_more_waits() -> None:
    budget = ReadBudget(10)
    await budget.take(6)
    late = await taking(budget, 5)
    assert not late.done()
    budget.give(6)
    await late
    assert budget.left == 5


async def test_a_small_demand_does_not_overtake_a_large_one() -> None:
    budget = ReadBudget(10)
    await budget.take(5)
    large, small = await taking(budget, 8), await taking(budget, 1)
    assert not large.done()
    assert not small.done()
    budget.give(5)
    await asyncio.gather(large, small)
    assert budget.left == 1


async def test_more_than_there_is_in_all_is_all_of_it() -> None:
    budget = ReadBudget(10)
    await budget.take(1_000)
    assert budget.left == 0
    budget.give(1_000)
    assert budget.left == 10


async def test_who_gives_up_while_it_waits_leaves_nothing_behind_and_lets_the_next_go() -> None:
    budget = ReadBudget(10)
    await budget.take(5)
    large, small = await taking(budget, 8), await taking(budget, 3)
    large.cancel()
    await asyncio.wait([large])
    await small
    assert budget.left == 2


async def test_who_is_cancelled_just_when_it_is_served_gives_back() -> None:
    budget = ReadBudget(10)
    await budget.take(10)
    waiting = await taking(budget, 4)
    budget.give(10)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert budget.left == 10
