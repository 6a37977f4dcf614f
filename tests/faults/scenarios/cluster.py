"""A cluster of three servers with three copies of the log: its leader killed under load."""

from __future__ import annotations

import asyncio
import time

from deploy.provisioning import DEFAULT_STREAMS
from tests.faults.lab import Lab
from tests.faults.nodes import Cluster
from tests.faults.run import Trial


async def leader_killed(trial: Trial) -> None:
    """The log's leader is killed under load, comes back, and the next one is killed."""
    rounds = trial.of(10, 2)
    cluster = Cluster(trial.folder / "cluster")
    await asyncio.to_thread(cluster.start)
    try:
        await cluster.settled()
        trial.say("three servers are one cluster")
        async with Lab(trial, server=cluster, proxies=2, workflows=2, operators=2, replicas=3) as lab:
            probe = await lab.probe()
            visitors = await lab.invite(trial.of(30, 10), people=0.05, anew=0.03)
            work = lab.talk(visitors, 10**6, pause=(0.0, 0.2))
            led = [(await cluster.leader(f"CHAT-{number}")).name for number in range(DEFAULT_STREAMS)]
            spread = ", ".join(str(led.count(node.name)) for node in cluster.nodes)
            recoveries: list[float] = []
            for number in range(rounds):
                await asyncio.sleep(trial.chance.uniform(1.0, 2.0))
                leader = await cluster.leader()
                leader.kill()
                begun = time.monotonic()
                await lab.recovery(probe)
                recoveries.append(time.monotonic() - begun)
                await asyncio.to_thread(leader.start)
                trial.say(f"{number + 1} of {rounds} leaders killed, answered after {recoveries[-1]:.1f} s")
                await asyncio.sleep(2.0)
                if work.done():
                    await work
            await lab.stop(work)
            await lab.settle()
            trial.figure("streams led by each server at first", spread)
            trial.figure("leaders killed", rounds)
            trial.figure("kill to an answer", f"at most {max(recoveries):.1f} s")
            await lab.verdict()
    finally:
        cluster.kill()
