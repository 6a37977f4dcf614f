"""The examples and the pages' commands work as they are written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import runpy
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import httpx
import pytest
from faststream.nats import NatsBroker
from websockets.asyncio.client import connect

from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import ConversationClaimed, ConversationStarted, HandoffRequested
from shared.eventlog.errors import LogError
from tests.conftest import Connections, Services, flushed
from tests.processes import ROOT, Service

EXAMPLES = ROOT / "examples"
DEFAULT = "http://127.0.0.1:9998"


@pytest.fixture
async def proxy(services: Services) -> Service:
    """The product with its default flow, without consoles."""
    proxy, workflow = services.make("proxy", SWITCHBOARD_ORIGINS="loopback"), services.make("workflow")
    proxy.launch()
    workflow.launch()
    await workflow.ready()
    await proxy.ready()
    return proxy


async def run(*command: str, **environment: str) -> str:
    """What a command prints; it must succeed."""
    process = await start(*command, **environment)
    async with asyncio.timeout(60):
        out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode()


async def start(*command: str, **environment: str) -> Process:
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **environment}
    return await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=variables, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )


async def until(process: Process, words: str) -> str:
    """Read lines until one holds these words; all that was read."""
    assert process.stdout is not None
    read = ""
    async with asyncio.timeout(30):
        while words not in read:
            line = (await process.stdout.readline()).decode()
            assert line, f"it ended without {words!r}:\n{read}"
            read += line
    return read


async def test_a_conversation_with_curl(proxy: Service) -> None:
    printed = await run(str(EXAMPLES / "chat.sh"), "What are your opening hours?", proxy.url)
    answer, session = printed.split("--- the session\n")
    assert answer.startswith("--- the answer, as it comes\nid: ")
    assert "event: message_end\n" in answer
    shown = json.loads(session)["session"]
    assert answer.rstrip().endswith(f"event: commit_done\ndata: {shown['id']}")
    assert shown["messages"][0]["content"] == "What are your opening hours?"


@pytest.mark.parametrize("page", ["README.md", "docs/rest.md"])
async def test_the_commands_of_the_pages_work_as_they_are_written(proxy: Service, page: str) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    commands = "".join(block for block in blocks if "/sessions/" in block)
    assert commands.count("curl") >= 3
    printed = await run("sh", "-euc", commands.replace(DEFAULT, proxy.url))
    assert "event: commit_done" in printed
    assert '"role":"assistant"' in printed


async def test_a_page_with_the_script_tag(proxy: Service) -> None:
    page = (EXAMPLES / "page" / "index.html").read_text()
    (script,) = re.findall(r'<script src="([^"]+)"', page)
    assert script == f"{DEFAULT}/widget.js"
    async with httpx.AsyncClient() as client:
        answer = await client.get(script.replace(DEFAULT, proxy.url))
    assert answer.status_code == 200
    for attribute in re.findall(r"(data-[a-z]+)=", page):
        assert attribute.removeprefix("data-") in answer.text
    for property in re.findall(r"(--switchboard-[a-z-]+):", page):
        assert property in answer.text
    # The page's own server is one of this machine's, on whichever port.
    async with connect(proxy.url.replace("http", "ws"), origin="http://127.0.0.1:8000") as socket:  # type: ignore[arg-type]
        assert "BotText" in str(await socket.recv())


async def test_the_python_client_resumes_when_the_proxy_was_killed(proxy: Service) -> None:
    client = await start(sys.executable, "examples/client.py", proxy.url)
    assert client.stdin is not None
    try:
        read = await until(client, "What can I help you with?\n")
        client.stdin.write(b"1\n")
        read += await until(client, "Did that help?\n")
        proxy.kill()
        client.stdin.write(b"2\n")  # nobody is there to take it
        await proxy.start()
        read += await until(client, "What is your order number?")
        client.stdin.write(b"A-17\n")
        client.stdin.close()
        assert client.stdout is not None
        async with asyncio.timeout(30):
            read += (await client.stdout.read()).decode()
        assert await client.wait() == 0
    finally:
        if client.returncode is None:
            client.kill()
    lines = [line for line in read.splitlines() if line.strip()]
    assert len(lines) == len(set(lines)), "something was shown twice"


async def test_many_conversations_at_once(proxy: Service) -> None:
    printed = await run(sys.executable, "-m", "examples.many", proxy.url, "40")
    conversations, messages = re.match(r"(\d+) conversations, (\d+) messages", printed).groups()  # type: ignore[union-attr]
    assert int(conversations) == 40
    assert int(messages) >= 40 * 3


async def test_an_add_on_follows_the_log_with_the_read_only_user(
    connections: Connections, tmp_path: Path
) -> None:
    visitor, bot, desk = [await connections.log(user) for user in ("proxy", "workflow", "operator")]
    server = connections.server
    name = "0" * 32

    async def happened(number: int) -> None:
        begun = ConversationStarted(door="rest")
        cause = await visitor.append(name[number:] + "a" * number, "visitor", Entry(id="1", facts=(begun,)))
        handoff = (HandoffRequested(queue="orders", reason="A parcel is late"),)
        entry = Entry(id=str(cause), cause=cause, facts=handoff)
        await bot.append(name[number:] + "a" * number, "bot", entry)

    await happened(1)
    addon = await start(
        sys.executable,
        str(EXAMPLES / "addon.py"),
        SWITCHBOARD_NATS_URL=server.url(),
        SWITCHBOARD_NATS_PASSWORD=server.password("reader"),
    )
    try:
        read = await until(addon, "read 2 entries; 1 wait")
        assert "waits in orders" in read
        assert "parcel" not in read  # it has no key
        await happened(2)
        await until(addon, f"{name[2:]}aa waits in orders")
        claimed = (ConversationClaimed(operator="kim"),)
        await desk.append(f"{name[1:]}a", "operator", Entry(id="1", facts=claimed))
        await until(addon, f"{name[1:]}a is with kim after ")
        # What happens before it is connected again comes by no feed.
        server.stop()
        server.start()
        async with asyncio.timeout(30):
            while True:
                try:
                    await happened(3)
                    break
                except LogError:  # the test's own connections
                    await asyncio.sleep(0.05)
        await until(addon, f"{name[3:]}aaa waits in orders")
        addon.terminate()
        assert await addon.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            addon.kill()
        await addon.wait()


@pytest.mark.parametrize("subject", [subjects.chat("0" * 32, "bot"), "live.0.1.x.bot"])
async def test_the_add_ons_user_may_write_nothing(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, subject: str
) -> None:
    """Even if the add-on tried: this is its own broker, as it is made there."""
    reader = connections.settings("reader")
    monkeypatch.setenv("SWITCHBOARD_NATS_URL", reader.nats_url)
    monkeypatch.setenv("SWITCHBOARD_NATS_PASSWORD", reader.nats_password)
    watcher = await connections.client("operator")
    heard = await watcher.subscribe("live.>")
    await flushed(watcher)
    broker: NatsBroker = runpy.run_path(str(EXAMPLES / "addon.py"))["broker"]
    client = await broker.connect()
    try:
        await broker.publish({"id": "1", "facts": []}, subject)
        await flushed(client)
        assert "permissions violation" in str(client.last_error).lower()
        await flushed(watcher)
        assert heard.pending_msgs == 0
        assert await (await connections.log("operator")).length() == 0
    finally:
        await broker.stop()


def test_every_example_is_listed_and_tested() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    tests = Path(__file__).read_text() + "".join(
        path.read_text() for path in (ROOT / "tests" / "contract").glob("test_socketio*.py")
    )
    for path in EXAMPLES.iterdir():
        if path.name not in ("README.md", "__pycache__"):
            assert path.name in listed, path.name
            assert path.name.removesuffix(".py") in tests, path.name
