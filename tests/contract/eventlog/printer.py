"""A worker that knows nothing of chat: it prints a receipt for each payment, once.

``python -m tests.contract.eventlog.printer URL POINT`` is one that says which payments it takes up, and goes
no further than this point: to be killed there.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import nats
from nats.aio.client import Client

from shared.eventlog.connection import ConnectionState
from shared.eventlog.layout import Position
from shared.eventlog.log import open_log
from shared.eventlog.mailbox import Mailbox, WakeUp
from shared.eventlog.messages import StoredMessage
from shared.eventlog.observer import LoggingObserver
from shared.eventlog.provisioning import SECOND, declare_consumer
from shared.eventlog.subscription import Start, Subscription
from shared.eventlog.worker import DurableWorker
from tests.contract.eventlog.conftest import LAYOUT, Paid, PaidCodec, Tally

DELIVERY, DURABLE = "printer.deliver", "printer"


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
    """Prints receipts; ``paper`` is set while it can, and ``tried`` are the payments that it took up.

    ``at`` is told when a receipt is about to be stored, and when it is: "before" and "after", and of which
    payment.
    """

    def __init__(self, tally: Tally, at: Callable[[str, int], Awaitable[None]] | None = None) -> None:
        self._tally = tally
        self._at = at or self._has_paper
        self._tills: dict[str, Receipts] = {}
        self.paper = asyncio.Event()
        self.paper.set()
        self.tried: list[int] = []
        health = LoggingObserver()
        self.subscription = Subscription(
            tally, ConnectionState(health), health, self._deliver, self._forget, Start.BEGINNING
        )
        self.worker: DurableWorker[Mailbox, Receipts] = DurableWorker(
            tally, self.subscription, self, self.print_next, printed, Mailbox
        )

    async def start(self) -> None:
        await self.subscription.start()
        await self.subscription.join(DELIVERY, DURABLE, self.worker.deliver)

    async def stop(self, seconds: float = 5) -> None:
        await self.subscription.leave()
        await self.worker.stop(seconds)
        await self.subscription.stop()

    async def fold(self, key: str) -> Receipts:
        return self._tills.get(key, Receipts())

    async def catch_up(self, key: str) -> Receipts:
        await self.subscription.of(key).reached(await self._tally.last(key))
        return await self.fold(key)

    async def print_next(self, mailbox: Mailbox, till: Receipts) -> Receipts:
        """One receipt, for the oldest payment that has none."""
        if not till.owed:
            return till
        payment = min(till.owed)
        self.tried.append(payment)
        await self._at("before", payment)
        receipt = Paid(str(payment), 0)
        position = await self._tally.append(mailbox.key, "printer", receipt, expect=till.position)
        await self._at("after", payment)
        await self.subscription.reached(Position(LAYOUT.stream_of(mailbox.key), position))
        return await self.fold(mailbox.key)

    async def _has_paper(self, point: str, payment: int) -> None:
        if point == "before":
            await self.paper.wait()

    def _deliver(self, message: StoredMessage) -> None:
        self._tills[message.key] = self._tills.get(message.key, Receipts()).evolve(message)

    def _forget(self) -> None:
        self._tills.clear()
        self.worker.forget()


def printed(wake_up: WakeUp, till: Receipts) -> bool:
    return wake_up.sequence not in till.owed


async def consumed(client: Client, lease: int) -> None:
    """The printer's consumers, on each stream: every payment wakes one of its replicas."""
    for stream in LAYOUT.names:
        consumer = {
            "durable_name": DURABLE,
            "name": DURABLE,
            "deliver_subject": DELIVERY,
            "deliver_group": DURABLE,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": lease * SECOND,
            "filter_subject": "tally.*.*.clerk",
        }
        await declare_consumer(client, stream, consumer)


async def main(url: str, holds_at: str) -> None:
    client = await nats.connect(url)
    tally = await open_log(client, LAYOUT.name, LAYOUT.prefix, PaidCodec())

    async def hold(point: str, payment: int) -> None:
        if point == holds_at:
            print("HOLDS", payment, flush=True)
            await asyncio.Event().wait()

    await Printer(tally, hold).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
