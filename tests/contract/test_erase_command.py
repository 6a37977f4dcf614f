"""`switchboard erase` over running services: nobody shows a word of it, and the visitor begins anew."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.cli import accounts
from deploy.cli.main import main
from services.operator import erasure
from shared.contract.entry import Entry, encode
from shared.contract.facts import ConversationStarted, TextWritten
from shared.contract.subjects import chat, conversation_of
from shared.eventlog.key_blocks import KeyBlocks
from tests import examples
from tests.conftest import MASTERS, Connections, Services
from tests.contract.test_sealed_services import FLOW, TYPED
from tests.processes import MASTER_KEY
from tests.visitor import Visitor

PASSWORD = "a password of hers"


@pytest.fixture
def flow(tmp_path: Path) -> str:
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(FLOW))
    return str(path)


@pytest.fixture
def command(connections: Connections, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`switchboard` finds this server, and the keys."""
    server = connections.server
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWITCHBOARD_NATS_URL", server.url())
    monkeypatch.setenv("SWITCHBOARD_MASTER_KEY", MASTER_KEY)
    for user in ("eraser", "reader", "operator"):
        monkeypatch.setenv(f"SWITCHBOARD_NATS_PASSWORD_{user.upper()}", server.password(user))


async def switchboard(*arguments: str) -> int:
    return await asyncio.to_thread(main, list(arguments))


async def said(visitor: Visitor, text: str) -> str:
    """The visitor types it and is answered; the conversation's name."""
    await visitor.question()
    await visitor.say({"kind": "UserText", "sessionId": "s", "content": text})
    await visitor.until(lambda self: f"You said {text}." in self.texts())
    return conversation_of(visitor.cookie.split("=")[1], "websocket")


async def shown(url: str, conversation: str) -> tuple[list[str], int]:
    """What the console lists, and what it answers to who asks for this one."""
    async with httpx.AsyncClient(base_url=url) as http:
        await http.post("/api/login", json={"name": "ada", "password": PASSWORD})
        rows = (await http.get("/api/conversations", params={"view": "live"})).json()["conversations"]
        detail = await http.get(f"/api/conversations/{conversation}")
        assert TYPED not in detail.text
        return [row["id"] for row in rows], detail.status_code


async def counted(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as http:
        answer: dict[str, Any] = (await http.get(f"{url}/api/summary")).json()
        return answer


@pytest.mark.usefixtures("command")
async def test_a_word_that_was_erased_is_shown_by_nobody_and_its_visitor_begins_anew(
    services: Services, connections: Connections, flow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await accounts.add(await connections.client("admin"), "ada", "Ada", PASSWORD)
    proxy = await services.start("proxy")
    await services.start("workflow", SWITCHBOARD_FLOW=flow)
    operator = await services.start("operator")
    analytics = await services.start("analytics")
    async with Visitor(proxy.url) as other, Visitor(proxy.url) as visitor:
        neighbour = await said(other, "something else")
        erased = await said(visitor, TYPED)
        assert await switchboard("erase", "--attribute", f"heard={TYPED}", "--dry-run") == 0
        assert erased in capsys.readouterr().out
        assert sorted((await shown(operator.url, neighbour))[0]) == sorted([neighbour, erased])

        assert await switchboard("erase", "--attribute", f"heard={TYPED}", "--why", "asked", "--yes") == 0
        told = capsys.readouterr().out
        assert "1 conversation erased" in told
        assert "destroyed" in told
        await visitor.until(lambda self: 4000 in self.closings and self.resets == 2)
        await said(visitor, "a fresh start")
        assert TYPED not in json.dumps(visitor.transcript)
    assert (await KeyBlocks(await connections.client("admin"), MASTERS).audit()).destroyed >= 1

    for service in (proxy, operator, analytics):  # whoever reads the log from its beginning finds none either
        await service.stop()
        await service.start()
    assert await shown(operator.url, erased) == ([erased, neighbour], 200)
    summary = await counted(analytics.url)
    assert (summary["conversations"]["started"], summary["turns"]) == (3, 3)
    again = Visitor(proxy.url)
    again.cookie = visitor.cookie
    async with again:
        await again.until(lambda self: "You said a fresh start." in self.texts())
        assert TYPED not in json.dumps(again.transcript)
    assert await switchboard("log") == 0
    log = capsys.readouterr().out
    assert TYPED not in log
    assert '"ConversationErased"' in log
    assert "something else" in log


@pytest.mark.usefixtures("command")
async def test_a_run_that_was_cut_short_is_ended_by_the_next(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log says that it is erased, and the keys are still there."""
    visitor, c = await connections.log("proxy"), examples.CONVERSATION
    await visitor.append(
        c, "visitor", Entry(id="0", facts=(ConversationStarted(door="websocket", user="u"),))
    )
    await visitor.append(c, "visitor", Entry(id="1", facts=(TextWritten(session="s", text=TYPED),)))
    blocks = KeyBlocks(await connections.client("admin"), MASTERS)

    with monkeypatch.context() as cut:

        async def killed(*arguments: object) -> int:
            raise KeyboardInterrupt

        cut.setattr("deploy.cli.erase.destroy_keys", killed)
        assert await switchboard("erase", c, "--yes") == 130
    assert (await blocks.audit()).destroyed == 0
    assert await switchboard("erase", c, "--yes") == 0
    assert "erased already" in capsys.readouterr().out
    assert (await blocks.audit()).destroyed == 1
    (*_, last) = await visitor.fetch(c)
    assert last.sequence == 3  # it was said once


@pytest.mark.usefixtures("command")
async def test_words_from_before_sealing_are_told_of(
    connections: Connections, capsys: pytest.CaptureFixture[str]
) -> None:
    client, c = await connections.client("proxy"), examples.CONVERSATION
    for id, fact in (
        ("0", ConversationStarted(door="websocket")),
        ("1", TextWritten(session="s", text=TYPED)),
    ):
        await client.jetstream().publish(chat(c, "visitor"), encode(Entry(id=id, facts=(fact,))))
    assert await switchboard("erase", c, "--yes") == 0
    assert "words from before sealing" in capsys.readouterr().out


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 1, "Say what to erase"),
        (("--attribute", "email"), 1, "NAME=VALUE"),
        (("--older-than", "a year"), 1, "such as 400d or 36h"),
        (("ab" * 16, "--yes"), 1, "no such conversation"),
        (("--older-than", "400d", "--yes"), 0, "nothing to erase"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_erased(
    connections: Connections,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    visitor = await connections.log("proxy")
    started = Entry(id="0", facts=(ConversationStarted(door="websocket"),))
    await visitor.append(examples.CONVERSATION, "visitor", started)
    assert await switchboard("erase", *arguments) == code
    printed = capsys.readouterr()
    assert words in printed.out + printed.err
    assert await visitor.length() == 1


@pytest.mark.usefixtures("command")
async def test_a_note_keeps_nothing_for_longer(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    visitor, operator = await connections.log("proxy"), await connections.log("operator")
    c = examples.CONVERSATION
    await visitor.append(c, "visitor", Entry(id="0", facts=(ConversationStarted(door="websocket"),)))
    (message,) = await visitor.fetch(c)
    await operator.append(c, "desk", Entry(id="n", needs=6, facts=(examples.NOTE_WRITTEN,)))
    monkeypatch.setattr("time.time_ns", lambda: message.time + 1 + 3_600_000_000_000)
    assert await switchboard("erase", "--older-than", "1h", "--dry-run") == 0
    assert c in capsys.readouterr().out


@pytest.mark.usefixtures("command")
async def test_nobody_who_could_agree_is_no_agreement(
    connections: Connections, capsys: pytest.CaptureFixture[str]
) -> None:
    visitor = await connections.log("proxy")
    started = Entry(id="0", facts=(ConversationStarted(door="websocket"),))
    await visitor.append(examples.CONVERSATION, "visitor", started)
    assert await switchboard("erase", examples.CONVERSATION) == 1
    assert "--yes" in capsys.readouterr().err
    assert await visitor.length() == 1


async def test_a_service_erases_what_was_silent_for_longer_than_is_kept(
    services: Services, connections: Connections
) -> None:
    visitor, c = await connections.log("proxy"), examples.CONVERSATION
    long_ago = Entry(id="0", facts=(ConversationStarted(door="websocket", user="somebody"),), stored=1)
    await (await connections.client("proxy")).jetstream().publish(chat(c, "visitor"), encode(long_ago))
    today = Entry(id="0", facts=(ConversationStarted(door="websocket"),))
    await visitor.append(examples.OTHER_CONVERSATION, "visitor", today)
    password = connections.server.password("eraser")
    operator = await services.start(
        "operator", SWITCHBOARD_RETENTION="400d", SWITCHBOARD_ERASER_PASSWORD=password
    )
    async with asyncio.timeout(30), httpx.AsyncClient() as http:
        while (
            "switchboard_conversations_erased_total 1.0"
            not in (await http.get(f"{operator.url}/metrics")).text
        ):
            await asyncio.sleep(0.05)
    assert [message.author for message in await visitor.fetch(c)] == ["visitor", "eraser"]
    assert len(await visitor.fetch(examples.OTHER_CONVERSATION)) == 1


@pytest.mark.parametrize("retention", ["a year", "400", "0d", "400d"])
async def test_a_retention_that_is_none_or_that_nobody_may_carry_out_is_refused(
    services: Services, retention: str
) -> None:
    service = services.make("operator", SWITCHBOARD_RETENTION=retention)
    service.launch()
    assert service.process is not None
    assert await asyncio.to_thread(service.process.wait, 60) == 2
    assert "SWITCHBOARD_RETENTION" in service.output


def test_ages() -> None:
    assert (erasure.age_seconds("36h"), erasure.age_seconds("2d")) == (129_600, 172_800)
