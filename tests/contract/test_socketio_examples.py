"""The Socket.IO examples work as they are written."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import Services
from tests.contract.test_examples import EXAMPLES, start, until
from tests.contract.test_socketio import HI, SocketIoStage
from tests.javascript import NODE, packages


@pytest.fixture
async def stage(services: Services, tmp_path: Path) -> AsyncIterator[SocketIoStage]:
    stage = SocketIoStage(services, tmp_path / "flow.json", SWITCHBOARD_SECRET="of this test")
    yield await stage.ready()
    await stage.close()


async def test_the_node_chat_comes_back_and_misses_nothing(stage: SocketIoStage) -> None:
    await asyncio.to_thread(packages)
    chat = await start(NODE, str(EXAMPLES / "node-socketio/chat.cjs"), stage.proxy.url)
    assert chat.stdin is not None
    assert (await until(chat, "2. Other")).rstrip() == "\n".join(HI)
    chat.stdin.write(b"1\n")
    await until(chat, "(stored)")
    await until(chat, "2. Other")
    stage.workflow.freeze()
    chat.stdin.write(b"2\n")
    await until(chat, "(stored)")
    stage.proxy.kill()
    await until(chat, "(transport close)")
    chat.stdin.write(b"while it is away\n")
    stage.workflow.thaw()
    await stage.proxy.start()
    back = await until(chat, "(stored)")
    back += await until(chat, "Tell me.") if back.count("Tell me.") < 2 else ""
    back += await until(chat, "Tell me.") if back.count("Tell me.") < 2 else ""
    assert back.count("Tell me.") == 2  # the answers to "2", and to what was said while it was away
    assert "Which one?" not in back  # nothing is told again
    chat.stdin.close()
    assert await asyncio.wait_for(chat.wait(), 20) == 0


async def test_the_remote_agent_asks_about_each_line(stage: SocketIoStage) -> None:
    script, configuration = str(EXAMPLES / "remote_agent.py"), '{"words": ["help"]}'
    agent = await start(sys.executable, script, stage.proxy.url, "match", configuration)
    assert agent.stdin is not None
    await until(agent, "match: Hello Sam, I will analyze all of your messages")
    agent.stdin.write("Help me 🙂\n".encode())
    await until(agent, "'Help me 🙂': yes")
    agent.stdin.write(b"No, thanks\n")
    await until(agent, "'No, thanks': no")
    agent.stdin.write(b"\n")
    await until(agent, "match: Goodbye!")
    assert await asyncio.wait_for(agent.wait(), 20) == 0
