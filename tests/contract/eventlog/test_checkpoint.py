"""A read model goes on where it was, if that is still on the log; else it begins anew, and is told so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.eventlog import checkpoint as checkpoints
from shared.eventlog.checkpoint import Checkpoint, Place
from shared.eventlog.connection import ConnectionState
from shared.eventlog.log import open_log
from shared.eventlog.messages import StoredMessage
from shared.eventlog.provisioning import declare_log, declare_stream, log_stream, new_epoch
from shared.eventlog.subscription import After, Start, Subscription
from shared.service.health import Health
from tests.contract.eventlog.conftest import LAYOUT, Paid, PaidCodec, Tally

TILLS = [f"till-{n}" for n in range(9)]


class Sums:
    """A read model: what is in each till, and how far it has read, both of one moment."""

    def __init__(self) -> None:
        self.sums = Counter[str]()
        self.read: list[StoredMessage] = []
        self.resets = 0
        self.saved = b""
        self._subscription: Subscription | None = None

    async def follow(self, client: Client, start: Start | After) -> None:
        self._subscription = Subscription(
            await open_log(client, LAYOUT.name, LAYOUT.prefix, PaidCodec()),
            ConnectionState(Health("test")),
            Health("test"),
            self._deliver,
            self._reset,
            start,
        )
        await self._subscription.start()

    def _deliver(self, message: StoredMessage) -> None:
        assert self._subscription is not None
        self.sums[message.key] += PaidCodec.decode(message.data).amount
        self.read.append(message)
        self.saved = checkpoints.encode(self._subscription.checkpoint)

    def _reset(self) -> None:
        self.sums.clear()
        self.read.clear()
        self.resets += 1

    async def stop(self) -> None:
        if self._subscription is not None:
            await self._subscription.stop()
            self._subscription = None


@pytest.fixture
async def sums() -> AsyncIterator[Sums]:
    sums = Sums()
    yield sums
    await sums.stop()


async def pay(tally: Tally, id: str) -> None:
    await asyncio.gather(*(tally.append(till, "clerk", Paid(id, 1)) for till in TILLS))


async def until(sums: Sums, count: int) -> None:
    async with asyncio.timeout(20):
        while sum(sums.sums.values()) < count:
            await asyncio.sleep(0.01)


async def stopped(sums: Sums, client: Client, tally: Tally) -> After:
    """It read one payment into each till, stopped, and missed another one."""
    await pay(tally, "1")
    await sums.follow(client, Start.BEGINNING)
    await until(sums, len(TILLS))
    await sums.stop()
    await pay(tally, "2")
    sums.read.clear()
    checkpoint = checkpoints.decode(sums.saved)
    assert checkpoint is not None
    return After(checkpoint)


async def test_it_goes_on_behind_its_checkpoint(sums: Sums, client: Client, tally: Tally) -> None:
    start = await stopped(sums, client, tally)
    await sums.follow(client, start)
    await until(sums, 2 * len(TILLS))
    assert sums.sums == dict.fromkeys(TILLS, 2)
    assert sorted(message.key for message in sums.read) == TILLS  # each new one, once
    assert sums.resets == 0


async def test_a_checkpoint_of_another_epoch_is_none(sums: Sums, client: Client, tally: Tally) -> None:
    start = await stopped(sums, client, tally)
    await new_epoch(client, LAYOUT)
    await sums.follow(client, start)
    await until(sums, 2 * len(TILLS))
    assert (sums.resets, sums.sums) == (1, dict.fromkeys(TILLS, 2))


async def test_where_one_stream_is_another_all_is_read_anew(sums: Sums, client: Client, tally: Tally) -> None:
    start = await stopped(sums, client, tally)
    await client.jetstream().delete_stream("TALLY-1")
    await declare_log(client, LAYOUT, max_bytes=1024**2, max_message=1024)
    await sums.follow(client, start)
    left = [till for till in TILLS if LAYOUT.stream_of(till) != 1]
    await until(sums, 2 * len(left))
    assert (sums.resets, sums.sums) == (1, dict.fromkeys(left, 2))


async def test_an_entry_that_was_stored_at_another_time_is_another_logs(
    sums: Sums, client: Client, tally: Tally
) -> None:
    """As after a store was put back from a copy: the epoch and the positions are those of before."""
    start = await stopped(sums, client, tally)
    epoch = (await tally.streams[1].tail()).epoch
    await client.jetstream().delete_stream("TALLY-1")
    settings = log_stream(LAYOUT, 1, 1024**2, 1024, 1)
    await declare_stream(client, settings, {"epoch": epoch, "streams": str(LAYOUT.streams)})
    await pay(tally, "1")
    await pay(tally, "2")
    await sums.follow(client, start)
    await until(sums, 2 * len(TILLS))
    assert (sums.resets, sums.sums) == (1, dict.fromkeys(TILLS, 2))


async def test_a_checkpoint_with_another_number_of_streams_is_none(
    sums: Sums, client: Client, tally: Tally
) -> None:
    start = await stopped(sums, client, tally)
    await sums.follow(client, After(Checkpoint(start.checkpoint.places[:2])))
    await until(sums, 2 * len(TILLS))
    assert (sums.resets, sums.sums) == (1, dict.fromkeys(TILLS, 2))


def test_a_checkpoint_is_kept_as_bytes() -> None:
    checkpoint = Checkpoint((Place("e", 7, 1), Place("f", 0, 0)))
    assert checkpoints.decode(checkpoints.encode(checkpoint)) == checkpoint
    assert checkpoints.decode(b"[1]") is None
    assert checkpoints.decode(b"") is None
