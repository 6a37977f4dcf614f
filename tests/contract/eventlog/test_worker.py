"""A durable worker that knows nothing of chat: it prints a receipt for each payment, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from nats.aio.client import Client

from shared.eventlog.connection import ConnectionState
from shared.eventlog.errors import Unreachable
from shared.eventlog.layout import Position
from shared.eventlog.mailbox import Mailbox, WakeUp
from shared.eventlog.messages import StoredMessage
from shared.eventlog.observer import LoggingObserver
from shared.eventlog.provisioning import declare_consumer
from shared.eventlog.subscription import Start, Subscription
from shared.eventlog.worker import DurableWorker
from tests.contract.eventlog.conftest import LAYOUT, Paid, PaidCodec, Tally

SECOND = 1_000_000_000
TILLS = tuple(f"till-{number}" for number in range(8))


class Receipts(NamedTuple):
    """A till's payments that have no receipt yet, by their sequences; up to where that is known."""

    position: int = 0
    owed: frozenset[int] = frozenset()

    def evolve(self, message: StoredMessage) -> Receipts:
        if message.author == "printer":
            printed = int(PaidCodec.decode(message.data).id)
            return Receipts(message.sequence, self.owed - {printed})
        return Receipts(message.sequence, self.owed | {message.sequence})


class Printer:
    """Prints receipts; ``paper`` is set while it can, and ``tried`` are the payments that it took up."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._tills: dict[str, Receipts] = {}
        self.paper = asyncio.Event()
        self.paper.set()
        self.tried: list[int] = []
        health = LoggingObserver()
        self.subscription = Subscription(
            tally, ConnectionState(health), health, self._deliver, self._tills.clear, Start.BEGINNING
        )
        self.worker: DurableWorker[Mailbox, Receipts] = DurableWorker(
            tally, self.subscription, self, self._print, self._printed, Mailbox
        )

    async def start(self) -> None:
        await self.subscription.start()
        await self.subscription.join("printer.deliver", "printer", self.worker.deliver)

    async def stop(self, seconds: float = 5) -> None:
        await self.subscription.leave()
        await self.worker.stop(seconds)
        await self.subscription.stop()

    async def crash(self) -> None:
        """As kill -9 would: nothing is acknowledged, given back or finished."""
        self.worker._renewer.cancel()
        for mailbox in self.worker.mailboxes.values():
            assert mailbox.task is not None
            mailbox.task.cancel()
        await self.subscription.stop()

    async def fold(self, key: str) -> Receipts:
        return self._tills.get(key, Receipts())

    async def catch_up(self, key: str) -> Receipts:
        follower = self.subscription.of(key)
        await follower.reached(await self._tally.last(key))
        return await self.fold(key)

    def _deliver(self, message: StoredMessage) -> None:
        self._tills[message.key] = self._tills.get(message.key, Receipts()).evolve(message)

    async def _print(self, mailbox: Mailbox, till: Receipts) -> Receipts:
        """One receipt, for the oldest payment that has none."""
        if not till.owed:
            return till
        payment = min(till.owed)
        self.tried.append(payment)
        await self.paper.wait()
        receipt = Paid(str(payment), 0)
        position = await self._tally.append(mailbox.key, "printer", receipt, expect=till.position)
        await self.subscription.reached(Position(LAYOUT.stream_of(mailbox.key), position))
        return await self.fold(mailbox.key)

    @staticmethod
    def _printed(wake_up: WakeUp, till: Receipts) -> bool:
        return wake_up.sequence not in till.owed


@asynccontextmanager
async def printing(tally: Tally) -> AsyncIterator[Printer]:
    printer = Printer(tally)
    await printer.start()
    yield printer
    await printer.stop()


async def consumed(client: Client, lease: int) -> None:
    """The printer's consumers, on each stream: every payment wakes one of its replicas."""
    for stream in LAYOUT.names:
        consumer = {
            "durable_name": "printer",
            "name": "printer",
            "deliver_subject": "printer.deliver",
            "deliver_group": "printer",
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": lease * SECOND,
            "filter_subject": "tally.*.*.clerk",
        }
        await declare_consumer(client, stream, consumer)


async def unacknowledged(client: Client) -> int:
    infos = [await client.jsm().consumer_info(stream, "printer") for stream in LAYOUT.names]
    return sum((info.num_ack_pending or 0) + (info.num_pending or 0) for info in infos)


async def acknowledged(client: Client) -> None:
    """Until nothing is left to be done. An acknowledgement is not answered: the server is asked."""
    async with asyncio.timeout(20):
        while await unacknowledged(client):
            await asyncio.sleep(0.02)


async def receipts(tally: Tally, key: str) -> list[int]:
    """The payments of a till that have a receipt, in the order of printing."""
    return [
        int(PaidCodec.decode(message.data).id)
        for message in await tally.fetch(key)
        if message.author == "printer"
    ]


async def pay(tally: Tally, key: str, *ids: str) -> list[int]:
    return [await tally.append(key, "clerk", Paid(id, 10)) for id in ids]


async def test_every_payment_of_every_till_gets_one_receipt_in_order(client: Client, tally: Tally) -> None:
    await consumed(client, lease=30)
    async with printing(tally), printing(tally):
        paid = dict(
            zip(TILLS, await asyncio.gather(*(pay(tally, till, *"abcde") for till in TILLS)), strict=True)
        )
        await acknowledged(client)
    assert {till: await receipts(tally, till) for till in TILLS} == paid


async def test_tills_do_not_wait_for_one_another(client: Client, tally: Tally) -> None:
    await consumed(client, lease=30)
    async with printing(tally) as printer:
        printer.paper.clear()
        for till in TILLS:
            await pay(tally, till, "a")
        async with asyncio.timeout(10):
            while len(printer.tried) < len(TILLS):
                await asyncio.sleep(0.005)
        assert await unacknowledged(client) == len(TILLS)  # nothing is acknowledged before it is done
        printer.paper.set()
        await acknowledged(client)


async def test_what_one_dies_over_is_done_by_another_and_once(client: Client, tally: Tally) -> None:
    """One dies before its receipt is stored, and one after that and before it acknowledges."""
    await consumed(client, lease=1)
    doomed = Printer(tally)
    await doomed.start()
    doomed.paper.clear()
    (first,) = await pay(tally, "till-0", "a")
    (second,) = await pay(tally, "till-1", "a")
    async with asyncio.timeout(10):
        while len(doomed.tried) < 2:
            await asyncio.sleep(0.005)
    await doomed.crash()
    await tally.append("till-1", "printer", Paid(str(second), 0))
    async with printing(tally) as other:
        await acknowledged(client)
    assert await receipts(tally, "till-0") == [first]
    assert await receipts(tally, "till-1") == [second]
    assert len(other.tried) == 1  # of till-1 it found that there was nothing left to do


async def test_an_orderly_end_gives_back_what_is_not_done(client: Client, tally: Tally) -> None:
    """With a lease of ten minutes nobody else would be woken for long."""
    await consumed(client, lease=600)
    leaving = Printer(tally)
    await leaving.start()
    leaving.paper.clear()
    (payment,) = await pay(tally, "till-0", "a")
    async with asyncio.timeout(10):
        while not leaving.tried:
            await asyncio.sleep(0.005)
    await leaving.stop(seconds=0.1)
    async with printing(tally):
        await acknowledged(client)
    assert await receipts(tally, "till-0") == [payment]


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
        assert sorted([len(slow.tried), len(idle.tried)]) == [0, 1]
        for printer in (slow, idle):
            printer.paper.set()
        await acknowledged(client)


@pytest.mark.parametrize("error", [Unreachable("nobody is there"), ValueError("a fault of ours")])
async def test_a_step_that_fails_is_made_again(
    client: Client, tally: Tally, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("shared.eventlog.worker.PAUSE_SECONDS", 0.02)
    await consumed(client, lease=600)
    printer = Printer(tally)
    failures = [error, error]

    async def fails(mailbox: Mailbox, till: Receipts) -> Receipts:
        if failures:
            raise failures.pop()
        return await printer._print(mailbox, till)

    printer.worker._handle = fails
    await printer.start()
    (payment,) = await pay(tally, "till-0", "a")
    await acknowledged(client)
    assert failures == []
    assert await receipts(tally, "till-0") == [payment]
    await printer.stop()
