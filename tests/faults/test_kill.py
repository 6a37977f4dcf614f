"""kill -9 of everything at seeded random moments: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path

import pytest

from shared.contract.subjects import conversation_of
from tests.conftest import Connections, Services
from tests.faults.checker import ClientTranscript, check
from tests.faults.lab import read_log
from tests.processes import TOUR, Service
from tests.visitor import Visitor

VISITORS = 12
TURNS_EACH = 30
KILLS = 8


async def transcript_of(visitor: Visitor, url: str) -> ClientTranscript:
    """What the visitor saw, and what a fresh client is told of the same conversation."""
    secret = visitor.cookie.split("=")[1]
    again = Visitor(url)
    again.cookie = visitor.cookie
    async with again:
        await again.until(lambda seen: len(seen.transcript) >= len(visitor.transcript) - len(visitor.refused))
    return ClientTranscript(
        conversation_of(secret, "websocket"),
        visitor.transcript,
        sorted(visitor.acknowledged),
        again.transcript,
    )


async def converse(visitor: Visitor, turns: int, pause: random.Random) -> None:
    for _ in range(turns):
        await visitor.question()
        await asyncio.sleep(pause.uniform(0.0, 0.25))
        await visitor.answer()
        await visitor.settled(60)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_kills_at_random_moments_lose_nothing_and_double_nothing(
    services: Services, connections: Connections, tmp_path: Path
) -> None:
    seed = int(os.environ.get("SWITCHBOARD_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"seed {seed}: SWITCHBOARD_TEST_SEED={seed} repeats this run")
    chance = random.Random(seed)
    proxy = await services.start("proxy", SWITCHBOARD_MESSAGES_PER_MINUTE="60000")
    workflow = await services.start("workflow", SWITCHBOARD_FLOW=TOUR)
    nats = services.server
    log = await connections.log("operator")

    visitors = [Visitor(proxy.url, seed=chance.randrange(10**9)) for _ in range(VISITORS)]
    for visitor in visitors:
        await visitor.__aenter__()
    talks = [
        asyncio.create_task(converse(visitor, TURNS_EACH, random.Random(chance.random())))
        for visitor in visitors
    ]

    async def kill_and_restart(victim: str) -> None:
        everything: list[Service] = [proxy, workflow]
        if victim in ("nats", "all"):
            nats.kill()
        for service in everything:
            if victim in (service.name, "all"):
                service.kill()
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        if victim in ("nats", "all"):
            await asyncio.to_thread(nats.start)
        for service in everything:
            if victim in (service.name, "all"):
                service.launch()

    victims = ["proxy", "workflow", "nats", "all"] * (KILLS // 4)
    chance.shuffle(victims)
    for victim in victims:
        await asyncio.sleep(chance.uniform(0.3, 1.2))
        await kill_and_restart(victim)
        await proxy.ready()
        await workflow.ready()
    await asyncio.gather(*talks)

    for visitor in visitors:  # the last answer is a question again: every input has its outcome
        await visitor.question()
    transcripts = [await transcript_of(visitor, proxy.url) for visitor in visitors]
    for visitor in visitors:
        await visitor.__aexit__()
    lines = await read_log(log)
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    messages = sum(len(visitor.acknowledged) for visitor in visitors)
    assert messages == VISITORS * TURNS_EACH
    assert check(lines, transcripts) == []
