"""Someone who writes flows, for tests: files in a folder, the `switchboard flow` command, conversations."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deploy.cli.main import main
from deploy.local.embedded import EmbeddedNats
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import BotSaid, ConversationStarted, Fact
from shared.service.chat_log import ChatLog
from tests.processes import MASTER_KEY
from tests.replica import history


class Ran(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    text: str


class Author:
    """Runs `switchboard flow ...` against the test's server, in this process: its start takes a while."""

    def __init__(self, server: EmbeddedNats, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            "SWITCHBOARD_NATS_URL": server.url(),
            "SWITCHBOARD_NATS_PASSWORD_WORKFLOW": server.password("workflow"),
            "SWITCHBOARD_NATS_PASSWORD_READER": server.password("reader"),
            "SWITCHBOARD_NATS_PASSWORD_OPERATOR": server.password("operator"),
            "SWITCHBOARD_MASTER_KEY": MASTER_KEY,
        }

    def write(self, name: str, flow: Any) -> Path:
        """A file in the author's folder."""
        file = self.folder / name
        file.write_text(flow if isinstance(flow, str) else json.dumps(flow, indent=1))
        return file

    async def run(self, *arguments: object) -> Ran:
        """One command of `switchboard flow`."""
        said = io.StringIO()
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            pytest.MonkeyPatch.context() as patch,
        ):
            for name, value in self._environment.items():
                patch.setenv(name, value)
            code = await asyncio.to_thread(main, ["flow", *map(str, arguments)])
        return Ran(code, said.getvalue())

    async def done(self, *arguments: object) -> str:
        """A command that must succeed; what it said."""
        ran = await self.run(*arguments)
        assert ran.code == 0, ran.text
        return ran.text


def greeting(text: str, choices: int = 2) -> dict[str, Any]:
    """A small flow: a greeting, a choice, and an end for each choice."""
    items = [{"itemId": f"i{n}", "content": f"Choice {n}"} for n in range(choices)]
    flow: dict[str, Any] = {
        "hello": {"sendRequest": {"kind": "BotText", "content": text}, "next": "menu"},
        "menu": {
            "sendRequest": {
                "kind": "ChoiceRequest",
                "groupId": "menu",
                "question": "Which?",
                "choices": items,
            }
        },
    }
    for n in range(choices):
        flow[f"is{n}"] = {
            "matchResponse": {"kind": "ChoiceResponse", "groupId": "menu", "itemId": f"i{n}"},
            "next": f"end{n}",
        }
        flow[f"end{n}"] = {"sendRequest": {"kind": "BotText", "content": f"{text} and {n}."}}
    return flow


class WrittenGuest:
    """A visitor's conversation, written on the log as the proxy does."""

    def __init__(self, log: ChatLog, conversation: str) -> None:
        self.conversation = conversation
        self._log = log
        self._sent = 0

    async def begin(self, flow: str = "") -> list[Fact]:
        return await self.do(ConversationStarted(door="websocket", flow=flow))

    async def do(self, fact: Fact) -> list[Fact]:
        """What the bot says to it."""
        self._sent += 1
        entry = Entry(id=f"g{self._sent}", facts=(fact,))
        position = await self._log.append(self.conversation, "visitor", entry)
        return list((await self.outcome(position)).facts)

    async def outcome(self, cause: int) -> RecordedEntry:
        async with asyncio.timeout(20):
            while True:
                for recorded in await self.history():
                    if recorded.author == "bot" and recorded.cause == cause:
                        return recorded
                await asyncio.sleep(0.01)

    async def history(self) -> list[RecordedEntry]:
        return await history(self._log, self.conversation)

    async def state(self) -> Conversation:
        state = NEW
        for recorded in await self.history():
            state = evolve(state, recorded)
        return state


def said(facts: list[Fact]) -> list[str]:
    return [fact.text for fact in facts if isinstance(fact, BotSaid)]
