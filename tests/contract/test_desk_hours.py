"""The working hours by which analytics tells times, against the real server."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from services.analytics.desk_hours import DeskHours, NoHours
from shared.contract.subjects import DESK_SETTINGS, DESK_STATE
from tests.conftest import Connections

MONDAY = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 10**9
DAY = 24 * 3600 * 10**9


def settings(hours: str) -> bytes:
    return msgspec.json.encode({"queues": {"sales": {"hours": {"monday": [hours]}}}})


async def test_the_hours_are_those_that_the_settings_say_now(connections: Connections) -> None:
    admin = await connections.client("admin")
    bucket = await admin.jetstream().key_value(DESK_STATE)
    now = 100.0
    hours = DeskHours(await connections.client("analytics"), lambda: now)
    assert (await hours.working()).spans(MONDAY, MONDAY + DAY).names == []
    await bucket.put(DESK_SETTINGS, settings("09:00-17:00"))
    assert (await hours.working()).spans(MONDAY, MONDAY + DAY).names == []  # they are kept for a while
    now += 10
    spans = (await hours.working()).spans(MONDAY, MONDAY + DAY)
    assert spans.names == ["sales", "sales"]
    assert spans.ends[1] - spans.starts[1] == 8 * 3600 * 10**9
    await bucket.put(DESK_SETTINGS, b"nonsense")  # and past the command: those from before hold
    now += 10
    assert (await hours.working()).spans(MONDAY, MONDAY + DAY) == spans


async def test_without_a_server_there_is_no_working_time(connections: Connections) -> None:
    client = await connections.client("analytics")
    await client.close()
    with pytest.raises(NoHours):
        await DeskHours(client).working()
