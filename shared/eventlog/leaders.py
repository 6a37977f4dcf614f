"""Spreads the leaders of a log's streams over the servers of a cluster.

nats-server chooses leaders by chance: of four streams new on three servers, one server was seen to lead
three. After a server was away it leads none, until somebody asks for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client

#: How long one stream may take to have its new leader (seconds).
MOVE_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 0.05


class StreamPeers(msgspec.Struct, frozen=True):
    """A stream's leader, the servers with a whole copy, and whether others are about to have one."""

    leader: str
    followers: tuple[str, ...]
    catching_up: bool = False


def moves(streams: Mapping[str, StreamPeers]) -> dict[str, str]:
    """Which streams get which other leader, so that no server leads two more than another one could."""
    leaders = {name: peers.leader for name, peers in streams.items()}
    wanted: dict[str, str] = {}
    while move := _move(streams, leaders):
        name, server = move
        leaders[name] = wanted[name] = server
    return wanted


def _move(streams: Mapping[str, StreamPeers], leaders: Mapping[str, str]) -> tuple[str, str] | None:
    """The next one, from who leads most to who leads least; None where that changes nothing."""
    leads = Counter(leaders.values())
    possible = (
        (leads[leaders[name]] - leads[server], name, server)
        for name, peers in streams.items()
        for server in (peers.leader, *peers.followers)
    )
    gain, name, server = max(possible, default=(0, "", ""))
    return (name, server) if gain >= 2 else None


async def spread_leaders(client: Client, names: Iterable[str]) -> dict[str, str]:
    """Give the streams their leaders; which have got which. A stream that does not answer is left alone.

    Writing goes on: who appends at the moment of a change waits for an election, and tries again.
    """
    moved: dict[str, str] = {}
    for name, server in moves(await _settled(client, tuple(names))).items():
        body = msgspec.json.encode({"placement": {"preferred": server}})
        try:
            await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{name}", body, timeout=MOVE_SECONDS)
            async with asyncio.timeout(MOVE_SECONDS):
                while (peers := await _peers(client, name)) is None or peers.leader != server:
                    await asyncio.sleep(_AGAIN_SECONDS)
        except (nats.errors.Error, TimeoutError):
            continue
        moved[name] = server
    return moved


async def _settled(client: Client, names: tuple[str, ...]) -> dict[str, StreamPeers]:
    """Who keeps which stream. New copies are waited for, but not those that take long."""
    until = time.monotonic() + MOVE_SECONDS
    while True:
        found = {name: peers for name in names if (peers := await _peers(client, name)) is not None}
        waits = len(found) < len(names) or any(peers.catching_up for peers in found.values())
        if not waits or time.monotonic() > until:
            return found
        await asyncio.sleep(_AGAIN_SECONDS)


async def _peers(client: Client, name: str) -> StreamPeers | None:
    try:
        answer = await client.request(f"$JS.API.STREAM.INFO.{name}", timeout=MOVE_SECONDS)
    except (nats.errors.Error, TimeoutError):
        return None
    cluster = _info.decode(answer.data).cluster
    if cluster is None or not cluster.leader:
        return None
    there = [one for one in cluster.replicas if not one.offline]
    whole = tuple(one.name for one in there if one.current)
    return StreamPeers(cluster.leader, whole, len(whole) < len(there))


class _Replica(msgspec.Struct):
    name: str
    current: bool = False
    offline: bool = False


class _ClusterState(msgspec.Struct):
    leader: str = ""
    replicas: tuple[_Replica, ...] = ()


class _Placed(msgspec.Struct):
    cluster: _ClusterState | None = None


_info = msgspec.json.Decoder(_Placed)
