"""A replica frozen beyond its lease and woken again: one outcome for each message, in order."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.conftest import Connections, Services
from tests.faults.checker import check
from tests.faults.lab import read_log
from tests.faults.test_kill import converse, transcript_of
from tests.processes import TOUR
from tests.visitor import Visitor

#: Beyond `ack_wait` (5 s), and beyond the server's own ping timeout (about 4 s).
FROZEN_SECONDS = 7.0


@pytest.mark.slow
async def test_a_frozen_replica_is_replaced_and_does_no_harm_when_it_wakes(
    services: Services, connections: Connections
) -> None:
    proxy = await services.start("proxy")
    frozen = await services.start("workflow", SWITCHBOARD_FLOW=TOUR)
    await services.start("workflow", SWITCHBOARD_FLOW=TOUR)
    visitors = [Visitor(proxy.url, seed) for seed in range(8)]
    for visitor in visitors:
        await visitor.__aenter__()
        await visitor.question()
    talks = [asyncio.create_task(converse(v, 25, random.Random(n))) for n, v in enumerate(visitors)]
    await visitors[0].until(lambda seen: len(seen.acknowledged) >= 2)
    frozen.freeze()  # with messages in hand
    await asyncio.sleep(FROZEN_SECONDS)
    assert not all(talk.done() for talk in talks)
    frozen.thaw()
    await asyncio.gather(*talks)
    for visitor in visitors:
        await visitor.question()
    transcripts = [await transcript_of(visitor, proxy.url) for visitor in visitors]
    for visitor in visitors:
        await visitor.__aexit__()
    lines = await read_log(await connections.log("operator"))
    assert check(lines, transcripts) == []
    assert frozen.process is not None
    assert frozen.process.poll() is None
