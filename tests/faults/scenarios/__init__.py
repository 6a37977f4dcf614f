"""The faults, one file each. What they have in common: a workload, a fault, the verdict."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from tests.faults.scenarios import (
    assistant,
    backends,
    claims,
    cluster,
    crowd,
    disk,
    doors,
    duplicates,
    kills,
    links,
    poison,
    power,
    races,
    replicas,
    strangers,
    timers,
)
from tests.faults.trial import Trial

Scenario = Callable[[Trial], Awaitable[None]]

#: In the order in which they run.
ALL: Final[dict[str, Scenario]] = {
    "kills": kills.random_moments,
    "points": kills.named_points,
    "nats": kills.nats,
    "replicas": replicas.replicas,
    "races": races.races,
    "cluster": cluster.leader_killed,
    "paused": links.paused,
    "link": links.cut,
    "assistant": assistant.spoken,
    "timers": timers.fired,
    "backends": backends.asked,
    "doors": doors.doors,
    "poison": poison.poison,
    "claims": claims.pairs,
    "duplicates": duplicates.same_id,
    "strangers": strangers.strangers,
    "crowd": crowd.crowd,
    "disk": disk.full,
    "power": power.cut,
}
