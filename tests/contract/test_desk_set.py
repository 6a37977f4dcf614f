"""`switchboard desk`, and the operator service that reads what it wrote while it runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.cli.main import main
from shared.contract.subjects import DESK_SETTINGS, desk_state
from shared.timestamps import format_time, parse_time
from tests.conftest import Connections, Services, flushed
from tests.contract.test_operator_api import Api, WrittenChats, chat, clients  # noqa: F401 (fixtures)

AGREED = {"queues": {"sales": {"members": ["ada", "zoe"], "agreed": {"first_response": "10m"}}}}


class DeskFile:
    """A file of settings, and the command that reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def set(self, document: dict[str, Any]) -> int:
        self.path.write_text(json.dumps(document))
        return await asyncio.to_thread(main, ["desk", "set", str(self.path)])


@pytest.fixture
def file(connections: Connections, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DeskFile:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWITCHBOARD_NATS_URL", connections.server.url())
    monkeypatch.setenv("SWITCHBOARD_NATS_PASSWORD_ADMIN", connections.server.password("admin"))
    return DeskFile(tmp_path / "desk.json")


async def due(api: Api, id: str, expected: bool) -> dict[str, Any] | None:
    """What the row says, once it does, or does not, say that something is due."""
    async with asyncio.timeout(30):
        while True:
            row = await api.shows("queue", id)
            if (row["due"] is not None) == expected:
                found: dict[str, Any] | None = row["due"]
                return found
            await asyncio.sleep(0.02)


async def test_settings_hold_within_seconds_and_what_is_wrong_changes_nothing(
    file: DeskFile,
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
    capsys: pytest.CaptureFixture[str],
) -> None:
    id = await chat.waiting("visitor 1")
    service = await services.start("operator")
    ada = await Api(service, clients).enter("ada")
    row = await ada.shows("queue", id)
    assert row["due"] is None  # there are no settings: all is as before
    async with ada.http.stream("GET", "/api/events") as events:
        assert await file.set(AGREED) == 0
        async with asyncio.timeout(30):
            assert "event: settings" in [line async for line in until(events, "event: settings")]
    since = parse_time(row["waiting_since"])
    assert await due(ada, id, True) == {
        "goal": "first_response",
        "at": format_time(since + 600 * 10**9),
        "mark": format_time(since + 480 * 10**9),
    }
    assert (await ada.read(id))["due"] == (await ada.shows("live", id))["due"]
    assert "There is no account zoe (yet)" in capsys.readouterr().err
    assert await asyncio.to_thread(main, ["desk", "show"]) == 0
    assert json.loads(capsys.readouterr().out) == AGREED

    assert await file.set({"zone": "Mars"}) == 1  # refused before it is written
    admin = await connections.client("admin")
    await admin.publish(desk_state(DESK_SETTINGS), b'{"zone": "Mars"}')  # and past the command
    await flushed(admin)
    async with asyncio.timeout(30):
        while "desk_settings_refused" not in service.output:
            await asyncio.sleep(0.02)
    assert (await ada.shows("queue", id))["due"] is not None

    again = await services.start("operator")  # with nothing that it could keep
    bob = await Api(again, clients).enter("bob")
    await due(bob, id, False)
    assert await file.set(AGREED) == 0
    await due(bob, id, True)
    assert await file.set({}) == 0
    await due(bob, id, False)


async def until(events: httpx.Response, line: str) -> Any:
    async for each in events.aiter_lines():
        yield each
        if each == line:
            return


async def test_where_there_is_no_place_for_them_it_is_told(
    file: DeskFile, connections: Connections, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that was set up by an earlier version."""
    js = (await connections.client("admin")).jetstream()
    await js.delete_stream("KV_DESK")
    for command in (["set", str(file.path)], ["show"]):
        file.path.write_text("{}")
        assert await asyncio.to_thread(main, ["desk", *command]) == 1
        assert "run `switchboard setup`" in capsys.readouterr().err
