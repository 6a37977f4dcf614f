"""What `declare` makes of what is there already: settings that the promises rest on are put right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from deploy import provisioning
from deploy.local.embedded import EmbeddedNats
from deploy.webhook_provisioning import declare_webhooks, tells_webhooks, webhooks_due_consumer
from shared.contract import subjects
from shared.eventlog.provisioning import SECOND, DeclareError, replay_settings
from tests.conftest import Connections, declare

CONSUMERS = [
    ("CHAT-0", provisioning.workflow_consumer),
    ("CHAT-0", provisioning.eraser_consumer),
    (subjects.TIMERS, provisioning.timers_consumer),
    (subjects.WEBHOOKS, webhooks_due_consumer),
    *(("CHAT-0", lambda name=name: replay_settings(0, name)) for name in subjects.REPLAYERS),
]


@pytest.fixture
async def admin(connections: Connections) -> Client:
    return await connections.client("admin")


async def api(admin: Client, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    payload = json.dumps(body).encode() if body else b""
    answer: dict[str, Any] = json.loads((await admin.request(f"$JS.API.{subject}", payload, timeout=10)).data)
    assert "error" not in answer, answer
    return answer


@pytest.mark.parametrize(("stream", "make"), CONSUMERS)
@pytest.mark.parametrize(
    ("setting", "wrong", "right"),
    [
        ("max_deliver", 3, -1),  # the server would drop what was delivered three times, and tell nobody
        ("ack_wait", 77 * SECOND, None),
        ("max_ack_pending", 7, None),
    ],
)
async def test_a_consumer_that_was_made_otherwise_is_put_right(
    admin: Client, stream: str, make: Any, setting: str, wrong: Any, right: Any
) -> None:
    wanted = make()
    name = wanted["durable_name"]
    body = {"stream_name": stream, "config": {**wanted, setting: wrong}}
    await api(admin, f"CONSUMER.DURABLE.CREATE.{stream}.{name}", body)
    assert (await api(admin, f"CONSUMER.INFO.{stream}.{name}"))["config"][setting] == wrong
    await declare(admin, max_bytes=1024**3)
    found = (await api(admin, f"CONSUMER.INFO.{stream}.{name}"))["config"]
    assert found[setting] == (wanted[setting] if right is None else right)


@pytest.mark.parametrize(
    ("stream", "setting", "wrong", "right"),
    [
        ("CHAT-0", "discard", "old", "new"),  # the oldest entries would go when it is full
        ("CHAT-0", "max_age", 3600 * SECOND, 0),
        ("CHAT-0", "republish", None, None),
        ("CHAT-0", "duplicate_window", SECOND, 600 * SECOND),
        ("CHAT-0", "max_msgs_per_subject", 10, -1),  # the oldest of a conversation would go
        (subjects.FLOWS, "max_age", 3600 * SECOND, 0),
        (subjects.TIMERS, "max_age", 3600 * SECOND, 0),
        (f"KV_{subjects.OPERATOR_SESSIONS}", "max_age", 720 * 3600 * SECOND, 12 * 3600 * SECOND),
        (f"KV_{subjects.OPERATORS}", "max_age", 3600 * SECOND, 0),
    ],
)
async def test_a_stream_that_was_changed_is_put_right(
    admin: Client, stream: str, setting: str, wrong: Any, right: Any
) -> None:
    config = (await api(admin, f"STREAM.INFO.{stream}"))["config"]
    before = config.get(setting)
    changed = {**config, setting: wrong}
    if setting == "max_age":  # the server wants the window within it
        changed["duplicate_window"] = min(config["duplicate_window"], wrong)
    await api(admin, f"STREAM.UPDATE.{stream}", {k: v for k, v in changed.items() if v is not None})
    await declare(admin, max_bytes=1024**3)
    found = (await api(admin, f"STREAM.INFO.{stream}"))["config"].get(setting)
    assert found == (before if right is None else right)
    assert found != wrong


async def test_declaring_again_keeps_the_epoch(admin: Client) -> None:
    """Each cursor names it: with a new one every client would begin anew."""

    async def epoch() -> str:
        config = (await api(admin, "STREAM.INFO.CHAT-0"))["config"]
        return str(config["metadata"]["epoch"])

    before = await epoch()
    await declare(admin, max_bytes=1024**3)
    assert await epoch() == before
    await declare(admin, max_bytes=2 * 1024**3)  # also where something is changed
    assert await epoch() == before


async def test_what_the_server_does_not_keep_is_named(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It switches some settings off in silence: `allow_msg_schedules` takes `deny_purge` with it."""
    stream = provisioning.flows_stream

    def scheduled(replicas: int) -> dict[str, Any]:
        other = {"name": "FLOWS2", "subjects": ["flow2.*"], "discard": "old", "allow_msg_schedules": True}
        return {**stream(replicas), **other}

    monkeypatch.setattr(provisioning, "flows_stream", scheduled)
    with pytest.raises(DeclareError, match=r"did not keep .* FLOWS2: deny_purge"):
        await declare(admin, max_bytes=1024**3)


class Watched(EmbeddedNats):
    """Says of itself how it stores."""

    @property
    def command(self) -> list[str]:
        return [*super().command, "--http_port", "-1"]


async def test_every_write_is_synced_before_it_is_acknowledged(tmp_path: Path) -> None:
    """A power cut would take two minutes of what was acknowledged, by the server's own default."""
    server = Watched(tmp_path / "data")
    server.start()
    try:
        ports = json.loads(next(server.folder.glob("*.ports")).read_text())
        async with httpx.AsyncClient(trust_env=False) as client:
            config = (await client.get(f"{ports['monitoring'][0]}/jsz")).json()["config"]
    finally:
        server.stop()
    assert config["sync_always"] is True


async def test_the_webhooks_consumers_are_made_by_their_command_and_mended_by_setup(admin: Client) -> None:
    assert not await tells_webhooks(admin, "CHAT-0")
    await declare(admin, max_bytes=1024**3)
    assert not await tells_webhooks(admin, "CHAT-0")  # whoever has no webhooks does not pay for them
    await declare_webhooks(admin, "CHAT-0")
    name = f"CHAT-0.{subjects.WEBHOOKS_DURABLE}"
    right = (await api(admin, f"CONSUMER.INFO.{name}"))["config"]
    wrong = {"stream_name": "CHAT-0", "config": {**right, "ack_wait": 77 * SECOND}}
    await api(admin, f"CONSUMER.DURABLE.CREATE.{name}", wrong)
    await declare(admin, max_bytes=1024**3)
    assert (await api(admin, f"CONSUMER.INFO.{name}"))["config"] == right
