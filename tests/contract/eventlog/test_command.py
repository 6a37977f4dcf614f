"""The one command loop: what is decided on is what it is appended behind."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from shared.eventlog.command import Executed, execute
from shared.eventlog.errors import Conflict, Full, Unknown
from tests.contract.eventlog.conftest import Paid, PaidCodec, Tally

TILL = "till-7"


class Till(dict[str, int]):
    """What was paid by whom (by the payments' ids), and up to where that is known."""

    sequence = 0

    @property
    def sum(self) -> int:
        return sum(self.values())


class Source:
    """Folds the till whenever it is asked for the newest; knows only that in between."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._till = Till()

    async def known(self) -> Till | None:
        return self._till

    async def newest(self) -> Till:
        till = Till()
        for message in await self._tally.fetch(TILL):
            paid = PaidCodec.decode(message.data)
            till[paid.id], till.sequence = paid.amount, message.sequence
        self._till = till
        return till

    def expectation(self, state: Till) -> int | None:
        return state.sequence

    def holds(self, state: Till, id: str) -> bool:
        return id in state


def pay(id: str, amount: int, most: int = 100) -> Callable[[Till], Awaitable[Paid | None]]:
    """Pay in, unless the till would then hold more than ``most``."""

    async def decide(till: Till) -> Paid | None:
        return Paid(id, amount) if till.sum + amount <= most else None

    return decide


def appends(tally: Tally) -> Callable[[Paid, int | None], Awaitable[int]]:
    return lambda entry, expect: tally.append(TILL, "clerk", entry, expect)


async def test_of_many_at_once_each_decides_on_what_the_others_stored(tally: Tally) -> None:
    """Ten pay 30 into a till for 100 at the same time: three of them may."""
    done = await asyncio.gather(
        *(execute(Source(tally), appends(tally), str(n), pay(str(n), 30), 20) for n in range(10))
    )
    assert sum(each.sequence > 0 for each in done) == 3
    assert (await Source(tally).newest()).sum == 90


async def test_what_is_stored_already_is_not_decided_again(tally: Tally) -> None:
    assert await execute(Source(tally), appends(tally), "a", pay("a", 60)) == Executed(1)

    async def never(till: Till) -> Paid | None:
        raise AssertionError("it was decided")

    source = Source(tally)
    await source.newest()
    assert await execute(source, appends(tally), "a", never) == Executed(0, repeated=True)


async def test_nothing_is_appended_where_there_is_nothing_to_do(tally: Tally) -> None:
    assert await execute(Source(tally), appends(tally), "a", pay("a", 200)) == Executed(0)
    assert await tally.length() == 0


async def test_that_there_is_nothing_to_do_is_said_of_the_newest_state_only(tally: Tally) -> None:
    """As far as is known here the till is full. Somebody has taken money out of it since."""
    source = Source(tally)
    await tally.append(TILL, "clerk", Paid("before", 90), None)
    await source.newest()
    await tally.append(TILL, "clerk", Paid("out", -80), None)
    assert (await execute(source, appends(tally), "a", pay("a", 60))).sequence == 3


async def test_where_nothing_is_known_the_newest_is_asked_for_once(tally: Tally) -> None:
    class Ignorant(Source):
        asked = 0

        async def known(self) -> None:
            return None

        async def newest(self) -> Till:
            self.asked += 1
            return await super().newest()

    source = Ignorant(tally)
    assert await execute(source, appends(tally), "a", pay("a", 200)) == Executed(0)
    assert source.asked == 1


async def test_an_answer_that_was_lost_is_looked_for_before_it_is_decided_again(tally: Tally) -> None:
    """Stored, and nobody said so: decided on again, the till would be too full for it."""
    tries = itertools.count(1)

    async def deaf(entry: Paid, expect: int | None) -> int:
        next(tries)
        await tally.append(TILL, "clerk", entry, expect)
        raise Unknown("no answer")

    assert await execute(Source(tally), deaf, "a", pay("a", 60)) == Executed(0, repeated=True)
    assert next(tries) == 2
    assert await tally.length() == 1


async def test_what_was_not_stored_is_tried_again(tally: Tally) -> None:
    append, tries = appends(tally), itertools.count(1)

    async def late(entry: Paid, expect: int | None) -> int:
        if next(tries) == 1:
            raise Unknown("no answer")
        return await append(entry, expect)

    assert await execute(Source(tally), late, "a", pay("a", 60)) == Executed(1)


@pytest.mark.parametrize("error", [Conflict, Unknown])
async def test_once_the_time_is_over_it_is_told_why(tally: Tally, error: type[Exception]) -> None:
    async def fails(entry: Paid, expect: int | None) -> int:
        raise error

    with pytest.raises(error):
        await execute(Source(tally), fails, "a", pay("a", 60), seconds=0)


async def test_what_will_not_pass_is_not_tried_again(tally: Tally) -> None:
    tries = itertools.count(1)

    async def full(entry: Paid, expect: int | None) -> int:
        next(tries)
        raise Full

    with pytest.raises(Full):
        await execute(Source(tally), full, "a", pay("a", 60))
    assert next(tries) == 2
