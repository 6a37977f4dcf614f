"""Who leads which stream: nats-server leaves it to chance, and `switchboard setup` spreads it."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from deploy.provisioning import declare
from shared.contract.entry import Entry
from shared.eventlog.leaders import StreamPeers, moves
from tests import examples
from tests.conftest import Connections
from tests.faults.nodes import Cluster

SERVERS = ("a", "b", "c")


def led(leaders: str, missing: str = "") -> dict[str, StreamPeers]:
    """Streams led by the servers of ``leaders``, kept by all but those of ``missing``."""
    return {
        str(number): StreamPeers(leader, tuple(set(SERVERS) - {leader} - set(missing)))
        for number, leader in enumerate(leaders)
    }


def counts(streams: dict[str, StreamPeers]) -> list[int]:
    """How many each server leads after the moves, the fewest first."""
    after = {name: peers.leader for name, peers in streams.items()} | moves(streams)
    return sorted(Counter(after.values())[server] for server in SERVERS)


@pytest.mark.parametrize("leaders", ["aaaa", "aaab", "cabc", "bbbb"])
def test_no_server_leads_two_more_than_another(leaders: str) -> None:
    assert counts(led(leaders)) == [1, 1, 2]


@given(st.text(alphabet="abc", min_size=1, max_size=8))
def test_however_they_were_led_they_are_spread_by_as_few_moves_as_can_be(leaders: str) -> None:
    streams = led(leaders)
    fewest, *_, most = counts(streams)
    assert most - fewest <= 1
    before = Counter(leaders)
    ideal = sorted((before[server] for server in SERVERS), reverse=True)
    share, rest = divmod(len(leaders), len(SERVERS))
    goal = [share + 1] * rest + [share] * (len(SERVERS) - rest)
    assert len(moves(streams)) == sum(max(0, had - due) for had, due in zip(ideal, goal, strict=True))


def test_who_has_no_whole_copy_is_given_nothing() -> None:
    assert counts(led("aaaa", missing="c")) == [0, 2, 2]
    assert moves(led("aaaa", missing="bc")) == {}
    assert moves({}) == {}


async def leaders(admin: Client, streams: int) -> Counter[str]:
    """How many streams each server leads."""
    found: Counter[str] = Counter()
    for number in range(streams):
        cluster = (await admin.jsm().stream_info(f"CHAT-{number}")).cluster
        assert cluster is not None
        found[cluster.leader or ""] += 1
    return found


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_cluster_leads_the_log_with_all_its_servers_also_after_one_was_away(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    await asyncio.to_thread(cluster.start)
    connections = Connections(cluster)
    try:
        await cluster.settled()
        admin = await connections.client("admin")
        await declare(admin, max_bytes=1024**3, replicas=3, streams=4)
        assert sorted((await leaders(admin, 4)).values()) == [1, 1, 2]
        log = await connections.log("proxy")
        entry = Entry(id="a", facts=(examples.CONVERSATION_STARTED,))
        await log.append(examples.CONVERSATION, "visitor", entry)

        one = await cluster.leader("CHAT-0")
        one.kill()
        async with asyncio.timeout(60):
            while "" in (led_by := await leaders_or_none(admin)) or one.name in led_by:
                await asyncio.sleep(0.1)  # an election is under way
        await asyncio.to_thread(one.start)
        async with asyncio.timeout(60):
            while sorted((await leaders_or_none(admin)).values()) != [1, 1, 2]:
                await declare(admin, max_bytes=1024**3, replicas=3)
        assert [message.sequence for message in await log.fetch(examples.CONVERSATION)] == [1]
    finally:
        await connections.close()
        cluster.kill()


async def leaders_or_none(admin: Client) -> Counter[str]:
    """The same; "" leads where nobody answers."""
    try:
        return await leaders(admin, 4)
    except Exception:
        return Counter([""])
