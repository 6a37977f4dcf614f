"""Timers on a cluster of three servers: their leader dies, and they take effect once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import time_ns

import pytest

from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import TimerArmed, TimerFired
from shared.eventlog.errors import Unreachable
from shared.service.chat_log import ChatLog
from shared.timestamps import format_time
from tests.conftest import Connections, declare
from tests.faults.nodes import Cluster
from tests.replica import Replica, answered, causes, greet, history, said, until

pytestmark = pytest.mark.slow

NAMES = [subjects.conversation_of(str(n), "web") for n in range(20)]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(tmp_path)
    await asyncio.to_thread(cluster.start)
    try:
        await cluster.settled()
        yield cluster
    finally:
        cluster.kill()


async def settled(log: ChatLog, name: str) -> None:
    """Nothing is armed or waits for an outcome. While a leader is elected, nothing can be read."""
    async with asyncio.timeout(60):
        while True:
            try:
                await log.length()  # from here on it knows that there are replicas, and reads completely
                await until(
                    log, lambda state: not state.timers.armed and not state.inbox.unanswered, 60, name
                )
                return
            except Unreachable:
                await asyncio.sleep(0.1)


@pytest.mark.timeout(180)
async def test_timers_survive_the_death_of_their_leader_and_take_effect_once(cluster: Cluster) -> None:
    connections = Connections(cluster)
    admin = await connections.client("admin")
    await declare(admin, max_bytes=1024**3, replicas=3)
    visitor, bot = await connections.log("proxy"), await connections.log("workflow")
    replica = await Replica(connections).start()
    at = format_time(time_ns() + 8_000_000_000)
    try:
        for name in NAMES:
            await greet(visitor, name)
            await answered(visitor, conversation=name, seconds=30)
            armed = Entry(id="arm", needs=2, facts=(TimerArmed(id="after:1:0", at=at),))
            await bot.append(name, "bot", armed, expect=await bot.last(name))
            again = await visitor.append(name, "visitor", Entry(id="wake", facts=()))
            await replica.subscription.of(name).reached(again)
        info = await admin.jsm().stream_info(subjects.TIMERS)
        async with asyncio.timeout(30):
            while (info.state.messages or 0) < len(NAMES):
                await asyncio.sleep(0.05)
                info = await admin.jsm().stream_info(subjects.TIMERS)
        leader = await cluster.leader(subjects.TIMERS)
        leader.kill()
        for name in NAMES:
            await settled(visitor, name)
            entries = await history(visitor, name)
            assert said(entries, TimerFired) == [TimerFired(id="after:1:0")]
            assert len(causes(entries)) == len(set(causes(entries))) == 2
    finally:
        await replica.crash()
        await connections.close()
