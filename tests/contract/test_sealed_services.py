"""Sealed words as whole services write and read them: what is on the disk, and what happens without keys."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from deploy.cli import accounts
from deploy.cli.main import main
from shared.contract.entry import Entry
from shared.contract.facts import AssistantSaid, ConversationStarted, TextWritten
from shared.contract.subjects import conversation_of
from shared.eventlog.key_blocks import NAME_BYTES, KeyBlocks
from shared.eventlog.keyring import Keyring
from tests import examples
from tests.conftest import MASTERS, Connections, Services
from tests.consumers import finished
from tests.processes import MASTER_KEY, Service
from tests.replica import history
from tests.visitor import Visitor

SECRET = "ab" * 16
TYPED = "xylophone-in-the-attic"
FLOW = {
    "ask": {"sendRequest": {"kind": "StartChatSession", "sessionId": "s"}},
    "got": {"matchResponse": {"kind": "UserText", "sessionId": "s", "save": "heard"}, "next": "reply"},
    "reply": {"sendRequest": {"kind": "BotText", "content": "You said {{ heard }}."}, "next": "ask"},
}


@pytest.fixture
def flow(tmp_path: Path) -> str:
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(FLOW))
    return str(path)


async def talk(proxy: Service) -> str:
    """A visitor types something and is answered; the name of the conversation."""
    async with Visitor(proxy.url) as visitor:
        await visitor.question()
        await visitor.say({"kind": "UserText", "sessionId": "s", "content": TYPED})
        await visitor.until(lambda self: f"You said {TYPED}." in self.texts())
        return conversation_of(visitor.cookie.split("=")[1], "websocket")


def found_on_disk(services: Services) -> bool:
    files = [path for path in (services.server.folder / "nats").rglob("*") if path.is_file()]
    assert any(path.suffix == ".blk" for path in files)
    return any(TYPED.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("sealing", ["on", "off"])
async def test_no_file_of_the_store_holds_a_word_that_was_typed(
    services: Services, flow: str, sealing: str
) -> None:
    """Nor what the bot made of it. Without sealing both can be found: so the search would find them."""
    proxy = await services.start("proxy", SWITCHBOARD_SEALING=sealing)
    workflow = await services.start("workflow", SWITCHBOARD_FLOW=flow, SWITCHBOARD_SEALING=sealing)
    await talk(proxy)
    assert await proxy.stop() == 0
    assert await workflow.stop() == 0
    services.server.stop()
    assert found_on_disk(services) == (sealing == "off")


@pytest.mark.parametrize("name", ["proxy", "workflow", "operator"])
@pytest.mark.parametrize(("given", "reason"), [("", "is not set"), ("5e", "128 hex digits")])
async def test_a_service_without_a_master_key_does_not_start(
    services: Services, name: str, given: str, reason: str
) -> None:
    service = services.make(name, SWITCHBOARD_MASTER_KEY=given)
    service.launch()
    assert service.process is not None
    assert await asyncio.to_thread(service.process.wait, 60) == 2
    assert "SWITCHBOARD_MASTER_KEY" in service.output
    assert reason in service.output
    assert "openssl rand -hex 64" in service.output


async def test_a_service_with_another_master_key_is_not_ready_and_says_why(
    services: Services, flow: str, connections: Connections
) -> None:
    ring = Keyring(await connections.client("proxy"), MASTERS, lambda id, secret: id)
    await ring.new()
    for name in ("proxy", "workflow", "operator"):
        service = services.make(name, SWITCHBOARD_MASTER_KEY="ab" * 64, SWITCHBOARD_FLOW=flow)
        service.launch()
        async with asyncio.timeout(60):
            while True:
                reasons = (await service.ready(503))["reasons"]
                assert isinstance(reasons, dict)
                if "keys" in reasons:
                    break
                await asyncio.sleep(0.05)
        assert "no sealed word can be read" in reasons["keys"]
        assert "Set SWITCHBOARD_MASTER_KEY" in reasons["keys"]
        service.kill()


async def test_nothing_is_answered_while_its_words_are_lost_and_all_when_they_are_back(
    services: Services, flow: str, connections: Connections
) -> None:
    c = examples.CONVERSATION
    visitor = await connections.log("proxy")
    started = Entry(id="0", facts=(ConversationStarted(door="websocket", language="en"),))
    await visitor.append(c, "visitor", started, expect=0)
    position = await visitor.append(
        c, "visitor", Entry(id="1", facts=(TextWritten(session="s", text=TYPED),))
    )
    key = (await history(visitor, c))[-1].key
    admin = await connections.client("admin")
    jetstream = admin.jetstream()
    subject = f"key.{key[:NAME_BYTES].hex()}.0"
    block = await jetstream.get_last_msg("KEYS", subject)
    await jetstream.delete_msg("KEYS", block.seq or 0)

    workflow = await services.start("workflow", SWITCHBOARD_FLOW=flow)
    await workflow.wrote("work_waits")
    assert "switchboard keys check" in workflow.output
    assert await visitor.last(c) == position
    await jetstream.publish(subject, block.data or b"")
    async with asyncio.timeout(30):
        while not any(entry.cause == position for entry in await history(visitor, c)):
            await asyncio.sleep(0.05)
    await finished(admin, [visitor.stream_of(c).name], "workflow", seconds=30)


async def test_operators_see_that_words_were_erased(services: Services, connections: Connections) -> None:
    c = examples.CONVERSATION
    visitor, bot = await connections.log("proxy"), await connections.log("workflow")
    started = Entry(id="0", facts=(ConversationStarted(door="websocket"),))
    await visitor.append(c, "visitor", started, expect=0)
    await visitor.append(c, "visitor", Entry(id="1", facts=(TextWritten(session="s", text=TYPED),)))
    await history(bot, c)
    await bot.append(c, "bot", Entry(id="2", cause=2, facts=(AssistantSaid(text="I see."),)))
    admin = await connections.client("admin")
    for key in {entry.key for entry in await history(visitor, c)} - {b""}:
        await KeyBlocks(admin, MASTERS).destroy(key[:NAME_BYTES], [key[NAME_BYTES]])
    await accounts.add(admin, "ada", "Ada", "a password of hers")

    operator = await services.start("operator")
    async with httpx.AsyncClient(base_url=operator.url) as http:
        await http.post("/api/login", json={"name": "ada", "password": "a password of hers"})
        rows = (await http.get("/api/conversations", params={"view": "live"})).json()["conversations"]
        lines = (await http.get(f"/api/conversations/{c}")).json()["messages"]
    assert [(row["id"], row["last_line"]) for row in rows] == [(c, "(erased)")]
    assert [(line["from"], line["text"]) for line in lines] == [
        ("visitor", "(erased)"),
        ("assistant", "(erased)"),
    ]


@pytest.mark.parametrize(
    ("master", "words"),
    [(MASTER_KEY, TYPED), ("", ""), ("ab" * 64, "")],
    ids=["the key", "no key", "another key"],
)
async def test_the_command_opens_words_for_who_has_the_master_key(
    connections: Connections,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    master: str,
    words: str,
) -> None:
    visitor = await connections.log("proxy")
    written = Entry(id="1", facts=(TextWritten(session="s", text=TYPED),))
    await visitor.append(examples.CONVERSATION, "visitor", written)
    monkeypatch.chdir(tmp_path)
    server = connections.server
    monkeypatch.setenv("SWITCHBOARD_NATS_URL", server.url())
    for user in ("reader", "operator"):
        monkeypatch.setenv(f"SWITCHBOARD_NATS_PASSWORD_{user.upper()}", server.password(user))
    monkeypatch.setenv("SWITCHBOARD_MASTER_KEY", master)
    assert await asyncio.to_thread(main, ["log", "--last", "5"]) == 0
    printed = capsys.readouterr()
    line = json.loads(printed.out)
    assert line["facts"] == [{"kind": "TextWritten", "session": "s" if words else "", "text": words}]
    assert line.get("sealed") == (None if words else "…")
    assert ("stay sealed" in printed.err) == (master not in (MASTER_KEY, ""))


async def test_a_visitor_is_shown_nothing_of_what_was_erased_and_may_go_on(
    services: Services, connections: Connections
) -> None:
    c = conversation_of(SECRET, "websocket")
    log = await connections.log("proxy")
    await log.append(c, "visitor", Entry(id="0", facts=(ConversationStarted(door="websocket"),)), expect=0)
    await log.append(c, "visitor", Entry(id="1", facts=(TextWritten(session="s", text=TYPED),)))
    admin = await connections.client("admin")
    for key in {entry.key for entry in await history(log, c)} - {b""}:
        await KeyBlocks(admin, MASTERS).destroy(key[:NAME_BYTES], [key[NAME_BYTES]])

    proxy = await services.start("proxy")
    visitor = Visitor(proxy.url)
    visitor.cookie = f"switchboard={SECRET}"
    async with visitor:
        assert visitor.transcript == []
        id = await visitor.say({"kind": "UserText", "sessionId": "s", "content": "Hello again"})
        await visitor.settled()
        assert id in visitor.acknowledged
    late = await connections.log("operator")
    facts = [fact for entry in await history(late, c) for fact in entry.facts]
    assert [fact.text for fact in facts if isinstance(fact, TextWritten)] == ["", "Hello again"]
