"""Streams that are created where others were removed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.eventlog.layout import Layout
from shared.eventlog.provisioning import (
    CREATION,
    DeclareError,
    create_stream,
    declare_log,
    declare_stream,
    remove_streams,
    stream_config,
)
from tests.contract.eventlog.conftest import OpenNats

NAME = "THINGS"
WANTED = {"name": NAME, "subjects": ["things.>"], "storage": "file"}
#: Where the server moves a stream's folder to before it clears it away.
CLEARED = f".{NAME}"


class SlowServer:
    """Passes requests on, and answers the first creations like a server that clears away still."""

    def __init__(self, client: Client, refusals: list[dict[str, Any]]) -> None:
        self._client = client
        self._refusals = refusals
        self.asked = 0

    async def request(self, subject: str, payload: bytes, timeout: float) -> Msg:
        if "STREAM.CREATE" in subject:
            self.asked += 1
            if self._refusals:
                data = msgspec.json.encode({"error": self._refusals.pop(0)})
                return Msg(self._client, data=data)
        return await self._client.request(subject, payload, timeout=timeout)


def folder(server: OpenNats) -> Path:
    return server.folder / "nats" / "jetstream" / "$G" / "streams"


async def put(client: Client, text: str) -> None:
    await client.jetstream().publish(f"things.{text}", text.encode())


async def held(client: Client) -> int:
    return (await client.jsm().stream_info(NAME)).state.messages


async def test_what_was_removed_does_not_come_back(client: Client, open_server: OpenNats) -> None:
    """The server cannot move the folder of the second one away while it clears away the first."""
    await declare_stream(client, WANTED)
    await put(client, "old")
    await remove_streams(client, [NAME])
    left = folder(open_server) / CLEARED
    async with asyncio.timeout(10):
        while left.exists():  # it is still clearing away the first
            await asyncio.sleep(0.01)
    left.mkdir()
    (left / "block").touch()
    await declare_stream(client, WANTED)
    await put(client, "secret")
    assert await remove_streams(client, [NAME]) == [NAME]  # it says so, and it stays
    with pytest.raises(DeclareError, match=f"{NAME} could not be created: .* restart it"):
        await create_stream(client, WANTED, patience=0.3)

    (left / "block").unlink()
    left.rmdir()
    await declare_stream(client, WANTED)
    assert await held(client) == 0
    await put(client, "new")
    assert await held(client) == 1


async def test_a_folder_that_cannot_be_made_now_is_made_later(client: Client) -> None:
    failed = {"code": 500, "err_code": 10049, "description": "error creating store for stream"}
    server = SlowServer(client, [failed, failed])
    await declare_stream(server, WANTED)  # type: ignore[arg-type]
    assert server.asked == 3
    assert await held(client) == 0


async def test_what_the_server_refuses_for_another_reason_is_told_at_once(client: Client) -> None:
    server = SlowServer(client, [{"code": 500, "err_code": 10049, "description": "no room on the moon"}])
    with pytest.raises(DeclareError, match="could not be declared: no room on the moon"):
        await declare_stream(server, WANTED)  # type: ignore[arg-type]
    assert server.asked == 1


async def test_two_may_declare_at_the_same_time(client: Client) -> None:
    """The one that comes second takes what the first has made, with all that is there by then."""
    answer = await create_stream(client, {**WANTED, "metadata": {"epoch": "first"}})
    await put(client, "first")
    again = await create_stream(client, {**WANTED, "metadata": {"epoch": "second"}})
    assert again["metadata"][CREATION] == answer["metadata"][CREATION]
    assert await held(client) == 1


async def test_a_new_stream_may_begin_after_others_positions(client: Client) -> None:
    config = await create_stream(client, {**WANTED, "first_seq": 1000}, patience=0.3)
    assert config["first_seq"] == 1000


async def test_logs_are_declared_in_the_place_of_others(client: Client) -> None:
    layout = Layout("PLACES", "places", 2)
    for _ in range(20):
        await declare_log(client, layout, max_bytes=1024**2, max_message=1024)
        await client.jetstream().publish(layout.subjects_of(0)[0].replace(">", "x").replace("*", "x"), b"{}")
        await remove_streams(client, layout.names)
    assert await stream_config(client, layout.names[0]) is None
