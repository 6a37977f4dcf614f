"""The faults, one file each. What they have in common: a workload, a fault, the verdict."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from tests.faults.run import Trial
from tests.faults.scenarios import (
    assistant,
    backends,
    claims,
    cluster,
    crowd,
    depths,
    disk,
    doors,
    duplicates,
    kills,
    links,
    long_histories,
    memory,
    poison,
    power,
    races,
    replicas,
    strangers,
    timers,
)


class Scenario(NamedTuple):
    """``seconds`` is about how long its full form takes on two idle cores."""

    run: Callable[[Trial], Awaitable[None]]
    seconds: int


#: In the order in which they run.
ALL: Final[dict[str, Scenario]] = {
    "kills": Scenario(kills.random_moments, 130),
    "points": Scenario(kills.named_points, 75),
    "nats": Scenario(kills.nats, 90),
    "replicas": Scenario(replicas.replicas, 100),
    "races": Scenario(races.races, 80),
    "cluster": Scenario(cluster.leader_killed, 100),
    "paused": Scenario(links.paused, 50),
    "link": Scenario(links.cut, 180),
    "assistant": Scenario(assistant.spoken, 75),
    "timers": Scenario(timers.fired, 80),
    "backends": Scenario(backends.asked, 50),
    "doors": Scenario(doors.doors, 75),
    "poison": Scenario(poison.poison, 25),
    "claims": Scenario(claims.pairs, 40),
    "duplicates": Scenario(duplicates.same_id, 40),
    "strangers": Scenario(strangers.strangers, 150),
    "depths": Scenario(depths.depths, 180),
    "long": Scenario(long_histories.told, 90),
    "crowd": Scenario(crowd.crowd, 60),
    "memory": Scenario(memory.history, 120),
    "disk": Scenario(disk.full, 60),
    "power": Scenario(power.cut, 60),
}
