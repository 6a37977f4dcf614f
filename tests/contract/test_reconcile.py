"""`switchboard reconcile` against the real server and the real service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import duckdb
import pytest

from deploy.cli.reconcile import ReconcileError, compared
from shared.service.chat_log import ChatLog
from tests.conftest import Connections, Services
from tests.contract.test_analytics import Logs, caught_up


@pytest.fixture
async def logs(connections: Connections) -> Logs:
    users = [await connections.log(user) for user in ("proxy", "workflow", "operator")]
    return Logs(*users)


@pytest.fixture
async def reader(connections: Connections) -> ChatLog:
    return await connections.log("reader")


async def test_what_analytics_tells_is_what_the_log_has_until_the_file_lies(
    logs: Logs, reader: ChatLog, services: Services, tmp_path: Path
) -> None:
    file = tmp_path / "numbers.duckdb"
    await asyncio.gather(*(logs.conversation(number) for number in range(12)))
    service = await services.start("analytics", SWITCHBOARD_ANALYTICS_FILE=str(file))
    await caught_up(service, await logs.visitor.length())
    done = await compared(reader, service.url, service.url)
    assert (done.conversations, done.differences) == (12, [])

    await service.stop()
    with duckdb.connect(str(file)) as lies:
        lies.execute(
            "DELETE FROM measures WHERE kind = 'claim' AND position = (SELECT min(position) FROM"
            " measures WHERE kind = 'claim')"
        )
    await service.start()
    found = (await compared(reader, service.url, service.url)).differences
    assert {each.where for each in found} == {"the summary", "the metrics"}
    assert {each.total for each in found} == {("claims", "")}
    assert str(found[0]) == "claims: the log has 3, the summary tells 2"


async def test_a_service_that_cannot_be_asked_is_named(reader: ChatLog) -> None:
    with pytest.raises(ReconcileError, match=r"127\.0\.0\.1:9 cannot be asked: .* --analytics names another"):
        await compared(reader, "http://127.0.0.1:9", "http://127.0.0.1:9")
