"""A durable worker that knows nothing of chat: see `printer`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.eventlog.connection import ConnectionState
from shared.eventlog.errors import Unreachable
from shared.eventlog.live_connection import LiveConnection
from shared.eventlog.log import open_log
from shared.eventlog.mailbox import Mailbox, WakeUp
from shared.eventlog.observer import LoggingObserver
from shared.eventlog.provisioning import declare_log
from shared.eventlog.subscription import MakeFeed, Subscription
from shared.eventlog.worker import DurableWorker
from tests.consumers import finished, unfinished
from tests.contract.eventlog.conftest import LAYOUT, OpenNats, Paid, PaidCodec, Tally
from tests.contract.eventlog.printer import DELIVERY, DURABLE, Printer, consumed
from tests.faults.injectors import Pause, hesitant, lossy

TILLS = tuple(f"till-{number}" for number in range(8))


@asynccontextmanager
async def printing(tally: Tally) -> AsyncIterator[Printer]:
    printer = Printer(tally)
    await printer.start()
    yield printer
    await printer.stop()


async def unacknowledged(client: Client) -> int:
    return sum([await unfinished(client, stream, DURABLE) for stream in LAYOUT.names])


async def acknowledged(client: Client, but: int = 0) -> None:
    """Until no more than that is left to be done."""
    await finished(client, LAYOUT.names, DURABLE, but)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


async def held_by(process: asyncio.subprocess.Process, many: int) -> list[int]:
    """The payments that it took up and goes no further with, once they are so many."""
    held: list[int] = []
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while len(held) < many:
            line = await process.stdout.readline()
            assert line, "it ended by itself"
            if line.startswith(b"HOLDS"):
                held.append(int(line.split()[1]))
    return held


async def receipts(tally: Tally, key: str) -> list[int]:
    """The payments of a till that have a receipt, in the order of printing."""
    return [
        int(PaidCodec.decode(message.data).id)
        for message in await tally.fetch(key)
        if message.author == "printer"
    ]


async def pay(tally: Tally, key: str, *ids: str) -> list[int]:
    return [await tally.append(key, "clerk", Paid(id, 10)) for id in ids]


async def pay_all(tally: Tally, *ids: str) -> dict[str, list[int]]:
    """The same payments into all tills, by till."""
    return dict(zip(TILLS, await asyncio.gather(*(pay(tally, till, *ids) for till in TILLS)), strict=True))


async def test_every_payment_of_every_till_gets_one_receipt_in_order(client: Client, tally: Tally) -> None:
    await consumed(client, lease=30)
    async with printing(tally), printing(tally):
        paid = await pay_all(tally, *"abcde")
        await acknowledged(client)
    assert {till: await receipts(tally, till) for till in TILLS} == paid


async def test_tills_do_not_wait_for_one_another(client: Client, tally: Tally) -> None:
    await consumed(client, lease=30)
    async with printing(tally) as printer:
        printer.paper.clear()
        await pay_all(tally, "a")
        await until(lambda: len(printer.tried) == len(TILLS))
        assert await unacknowledged(client) == len(TILLS)  # nothing is acknowledged before it is done
        printer.paper.set()
        await acknowledged(client)


@pytest.mark.parametrize(("dies", "left"), [("before", 2), ("after", 1)])
async def test_what_a_killed_process_leaves_is_done_by_another_and_once(
    client: Client, tally: Tally, open_server: OpenNats, dies: str, left: int
) -> None:
    """Killed before the first receipt of each till is stored, or after that and before it is acknowledged."""
    await consumed(client, lease=1)
    command = [sys.executable, "-m", "tests.contract.eventlog.printer", open_server.url(), dies]
    doomed = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        paid = await pay_all(tally, "a", "b")
        held = await held_by(doomed, len(TILLS))
    finally:
        doomed.kill()
        await doomed.wait()
    assert sorted(held) == sorted(first for first, _ in paid.values())
    assert await unacknowledged(client) == 2 * len(TILLS)

    async with printing(tally) as other:
        await acknowledged(client)

    assert {till: await receipts(tally, till) for till in TILLS} == paid
    assert len(other.tried) == left * len(TILLS)  # what was stored already it does not take up


async def test_an_orderly_end_gives_back_what_is_not_done(client: Client, tally: Tally) -> None:
    """With a lease of ten minutes nobody else would be woken for long."""
    await consumed(client, lease=600)
    leaving = Printer(tally)
    await leaving.start()
    leaving.paper.clear()
    (payment,) = await pay(tally, "till-0", "a")
    await until(lambda: leaving.tried)
    await leaving.stop(seconds=0.1)
    async with printing(tally):
        await acknowledged(client)
    assert await receipts(tally, "till-0") == [payment]


async def test_an_orderly_end_waits_for_the_steps_that_are_being_made(client: Client, tally: Tally) -> None:
    await consumed(client, lease=600)
    first, _ = await pay(tally, "till-0", "a", "b")
    leaving = Printer(tally)
    leaving.paper.clear()
    await leaving.start()
    await until(lambda: leaving.tried and len(leaving.worker.mailboxes["till-0"]) == 2)
    stopping = asyncio.create_task(leaving.stop(seconds=10))
    await until(lambda: leaving.worker.stopping)
    leaving.paper.set()
    await stopping
    assert await receipts(tally, "till-0") == [first]  # and no step is begun any more
    await acknowledged(client, but=1)
    assert await unacknowledged(client) == 1


async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(
    client: Client, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.eventlog.worker.RENEW_SECONDS", 0.2)
    await consumed(client, lease=1)
    async with printing(tally) as slow, printing(tally) as idle:
        for printer in (slow, idle):
            printer.paper.clear()
        await pay(tally, "till-0", "a")
        await asyncio.sleep(2.5)  # the time that passes is what this is about: more than two leases
        (mailbox,) = (*slow.worker.mailboxes.values(), *idle.worker.mailboxes.values())
        assert [wake_up.count for wake_up in mailbox] == [1]  # nobody was woken for it again
        for printer in (slow, idle):
            printer.paper.set()
        await acknowledged(client)


@pytest.mark.parametrize("error", [Unreachable("nobody is there"), ValueError("a fault of ours")])
async def test_a_step_that_fails_is_made_again(
    client: Client, tally: Tally, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("shared.eventlog.worker.PAUSE_SECONDS", 0.02)
    await consumed(client, lease=600)
    failures = [error, error]

    async def fails(point: str, payment: int) -> None:
        if point == "before" and failures:
            raise failures.pop()

    printer = Printer(tally, fails)
    await printer.start()
    (payment,) = await pay(tally, "till-0", "a")
    await acknowledged(client)
    assert failures == []
    assert await receipts(tally, "till-0") == [payment]
    await printer.stop()


class Bell(NamedTuple):
    """For each payment a bell rings: what is done is known here alone, up to this position."""

    position: int
    rung: frozenset[int]


class Ringer:
    """A worker whose states and steps never wait, but for ``may_ring``. ``rings`` is what was rung, in order;
    of a till that is ``slow`` nothing is, until somebody says so. ``steps`` is up to where the fold was then,
    and ``unbroken`` how many were made at most without anybody else having a turn."""

    def __init__(self, tally: Tally, feed: MakeFeed = LiveConnection) -> None:
        health = LoggingObserver()
        self.subscription = Subscription(
            tally, ConnectionState(health), health, lambda message: None, lambda: None, feed=feed
        )
        self.may_ring = asyncio.Event()
        self.may_ring.set()
        self.slow: set[str] = set()
        self.steps: list[int] = []
        self.unbroken = 0
        self._unbroken = 0
        self.rings: list[tuple[str, int]] = []
        self.worker: DurableWorker[Mailbox, Bell] = DurableWorker(
            tally, self.subscription, self, self._ring, self._rung, Mailbox
        )

    async def start(self) -> None:
        await self.subscription.start()
        await self.subscription.join(DELIVERY, DURABLE, self.worker.deliver)

    async def stop(self, seconds: float = 5) -> None:
        await self.subscription.leave()
        await self.worker.stop(seconds)
        await self.subscription.stop()

    async def fold(self, key: str) -> Bell:
        rung = frozenset(sequence for till, sequence in self.rings if till == key)
        return Bell(self.subscription.of(key).sequence, rung)

    async def catch_up(self, key: str) -> Bell:
        return await self.fold(key)

    async def _ring(self, mailbox: Mailbox, bell: Bell) -> Bell:
        self.steps.append(bell.position)
        self._unbroken += 1
        self.unbroken = max(self.unbroken, self._unbroken)
        asyncio.get_running_loop().call_soon(self._others_had_their_turn)
        if self._unbroken > 1_000:
            raise RuntimeError("nobody else has a turn")
        await self.may_ring.wait()
        if mailbox.key not in self.slow:
            self.rings += [(mailbox.key, at) for at in mailbox.deliveries if at not in bell.rung]
        return await self.fold(mailbox.key)

    def _others_had_their_turn(self) -> None:
        self._unbroken = 0

    @staticmethod
    def _rung(wake_up: WakeUp, bell: Bell) -> bool:
        return wake_up.sequence in bell.rung


@asynccontextmanager
async def ringing(tally: Tally, feed: MakeFeed = LiveConnection) -> AsyncIterator[Ringer]:
    ringer = Ringer(tally, feed)
    await ringer.start()
    yield ringer
    await ringer.stop()


async def test_while_the_log_is_in_doubt_no_step_is_made_and_nothing_acknowledged(
    client: Client, tally: Tally
) -> None:
    """It may be another log's message of this number that would be."""
    pause = Pause()
    await consumed(client, lease=600)
    log = await open_log(client, LAYOUT.name, LAYOUT.prefix, PaidCodec(), hesitant(pause))
    async with ringing(log) as ringer:
        ringer.may_ring.clear()
        (payment,) = await pay(tally, "till-0", "a")
        await until(lambda: ringer.steps)
        pause.begin()
        await pause.felt.wait()
        ringer.subscription._feed_lost()
        ringer.may_ring.set()
        await until(lambda: ringer.subscription.of("till-0")._waiting)  # the mailbox, for certainty
        assert await unacknowledged(client) == 1
        assert (ringer.rings, len(ringer.steps)) == ([("till-0", payment)], 1)
        ringer.subscription._feed_found()
        pause.end()
        await acknowledged(client)


async def test_a_step_is_made_on_a_fold_that_has_all_that_is_in_hand(client: Client, tally: Tally) -> None:
    """Here the feed brings nothing: the wake-up comes first, and what it is about is fetched."""
    await consumed(client, lease=600)
    async with ringing(tally, lossy(lambda message: True)) as ringer:
        (payment,) = await pay(tally, "till-0", "a")
        await acknowledged(client)
        assert ringer.steps == [payment]


async def test_a_till_whose_steps_never_wait_does_not_hold_up_the_others(
    client: Client, tally: Tally
) -> None:
    await consumed(client, lease=600)
    async with ringing(tally) as ringer:
        ringer.slow.add("till-0")
        await pay(tally, "till-0", "a")
        await until(lambda: ringer.steps)
        await pay(tally, "till-1", "a")
        await until(lambda: ringer.rings)
        ringer.slow.clear()
        await acknowledged(client)
        assert ringer.unbroken < 10


async def beside(ringer: Ringer, work: Callable[[WakeUp], Coroutine[Any, Any, None]]) -> None:
    """From here on ``work`` is done for each delivery, beside the mailboxes."""

    def deliver(message: Msg) -> None:
        wake_up = WakeUp(message)
        ringer.worker.beside(wake_up, work(wake_up))

    await ringer.subscription.leave()
    await ringer.subscription.join(DELIVERY, DURABLE, deliver)


async def test_what_fails_beside_the_mailboxes_is_given_back(client: Client, tally: Tally) -> None:
    await consumed(client, lease=600)
    async with ringing(tally) as ringer:
        tries: list[int] = []

        async def fails_once(wake_up: WakeUp) -> None:
            tries.append(wake_up.count)
            if len(tries) == 1:
                raise ValueError("a fault of ours")
            await wake_up.done()

        await beside(ringer, fails_once)
        await pay(tally, "till-0", "a")
        await acknowledged(client)
        assert tries == [1, 2]
        assert ringer.worker._in_hand() == []


async def test_an_orderly_end_gives_back_what_is_in_hand_beside_the_mailboxes(
    client: Client, tally: Tally
) -> None:
    await consumed(client, lease=600)
    begun = asyncio.Event()

    async def hangs(wake_up: WakeUp) -> None:
        begun.set()
        await asyncio.Event().wait()

    leaving = Ringer(tally)
    await leaving.start()
    await beside(leaving, hangs)
    await pay(tally, "till-0", "a")
    await begun.wait()
    await leaving.stop(seconds=0.1)
    async with ringing(tally):
        await acknowledged(client)


async def test_on_another_log_what_is_in_hand_is_dropped_and_given_back(client: Client, tally: Tally) -> None:
    """It might wait for more entries than there will ever be. What is of the new log already comes again."""
    await consumed(client, lease=600)
    async with printing(tally) as printer:
        printer.paper.clear()
        await pay(tally, "till-0", "a", "b", "c")
        await until(lambda: printer.tried and len(printer.worker.mailboxes["till-0"]) == 3)
        mailbox = printer.worker.mailboxes["till-0"]
        for stream in LAYOUT.names:
            await client.jsm().delete_stream(stream)
        await declare_log(client, LAYOUT, max_bytes=1024**2, max_message=1024)
        await consumed(client, lease=600)
        paid = await pay(tally, "till-0", "d")
        await until(lambda: len(mailbox) < 3)
        printer.paper.set()
        await acknowledged(client)
        assert await receipts(tally, "till-0") == paid == [1]
        await until(lambda: not printer.worker.mailboxes)
