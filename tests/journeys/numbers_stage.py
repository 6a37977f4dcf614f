"""A shop of which weeks are on the log: for the dashboard, which nobody could look at on its first day."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from nats.aio.client import Client

from deploy.cli import accounts
from deploy.local.embedded import EmbeddedNats
from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import (
    AssistantSaid,
    BotSaid,
    ChoiceAsked,
    ChoiceMade,
    ConversationClaimed,
    ConversationRated,
    ConversationResolved,
    ConversationStarted,
    EditorOpened,
    Fact,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    InputRefused,
    OperatorSaid,
    TextWritten,
)
from shared.contract.roles import Role
from shared.flow.language.flow import parse
from shared.service.chat_log import flow_store, open_log
from tests.conftest import connected, declare
from tests.journeys.stage import PASSWORD
from tests.processes import ROOT, TOUR, Service

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
MENU: Final = ChoiceAsked(group="1", question="What would you like to see?", choices=())


class NumbersStage:
    """``async with NumbersStage(folder)``: a console, a dashboard, and the log of a shop. No bot runs here:
    what it said in those weeks is written as it was.
    """

    def __init__(self, folder: Path) -> None:
        self.nats = EmbeddedNats(folder / "data")
        self.nats.start()
        self.operator = Service("operator", self.nats, folder)
        port = str(self.operator.port)
        self.analytics = Service("analytics", self.nats, folder, SWITCHBOARD_OPERATOR_PORT=port)
        self.operator.set(SWITCHBOARD_ANALYTICS_PORT=str(self.analytics.port))
        self._clients: list[Client] = []
        self._numbers = itertools.count(1)
        self.versions: list[str] = []  # of the flow: the one of before, and that of the last ten days

    async def __aenter__(self) -> NumbersStage:
        try:
            self._admin = await self._client("admin")
            await declare(self._admin, max_bytes=1024**3)
            self._logs = {
                author: await open_log(await self._client(user))  # not sealed: a sealed entry has no past
                for author, user in (("visitor", "proxy"), ("bot", "workflow"), ("operator", "operator"))
            }
            content = (ROOT / TOUR).read_bytes()
            for text in (content, content.replace(b"What would you like", b"So what would you like")):
                flow = parse(text, "tour")
                await flow_store(self._logs["bot"]).put(flow.version, flow.content)
                self.versions.append(flow.version)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await client.close()
        for service in (self.operator, self.analytics):
            service.kill()
        self.nats.kill()

    async def opens(self) -> None:
        """The console and the dashboard, once they have read the log."""
        for service in (self.operator, self.analytics):
            service.launch()
        await asyncio.gather(self.operator.ready(), self.analytics.ready())

    async def account(self, name: str, display: str, role: Role = "operator") -> None:
        await accounts.add(self._admin, name, display, PASSWORD, role)

    async def no_longer(self, name: str, role: Role) -> None:
        """The account gets this role: its logins end."""
        await accounts.change_role(self._admin, name, role)

    async def lives_through(self, weeks: int, seed: int = 7) -> None:
        """Visitors come and go, by day more than at night, from so many weeks ago until now."""
        chance = random.Random(seed)
        now = time.time_ns()
        for day in range(7 * weeks, -1, -1):
            for _ in range(chance.randint(3, 6) if day % 7 else 2):
                moment = now - day * DAY - int(abs(chance.gauss(0, 4)) * 3600 * SECOND)
                await self.visitor(moment, chance, self.versions[day <= 10])

    async def visitor(self, moment: int, chance: random.Random, version: str) -> str:
        """One conversation, which begins at that moment; its name."""
        talk = _Talk(self, f"visitor {next(self._numbers)}", moment)
        await talk.visits(ConversationStarted(door="websocket" if chance.random() < 0.8 else "rest"))
        await talk.answers(
            FlowStarted(flow="tour", version=version), _went("welcome", "toMenu", "menu"), MENU
        )
        road = chance.random()
        if road < 0.15:
            return talk.name
        if road < 0.6:
            await self._writes(talk, chance)
        else:
            await self._asks_for_a_person(talk, chance)
        return talk.name

    async def _writes(self, talk: _Talk, chance: random.Random) -> None:
        await talk.visits(ChoiceMade(group="1", item="1"))
        await talk.answers(_went("isEditor", "openEditor"), EditorOpened(session="10"))
        if chance.random() < 0.35:
            return
        await talk.visits(TextWritten(session="10", text="My words"))
        said = AssistantSaid(text="An answer", tokens_in=400, tokens_out=chance.randint(20, 90), cost=1200)
        await talk.answers(
            _went("gotFirst", "closeFirst", "again", "reopenEditor"), said, EditorOpened(session="plain")
        )
        if chance.random() < 0.2:
            await talk.visits(TextWritten(session="10", text="Too late"))
            await talk.answers(InputRefused(reason="stale_answer"))
            return
        await talk.visits(TextWritten(session="plain", text="More words"))
        await talk.answers(_went("gotSecond", "closeEditor", "closed", "menu"), MENU)
        if chance.random() < 0.7:
            await talk.visits(ChoiceMade(group="1", item="3"))
            await talk.answers(FlowAdvanced(path=("isEnd", "bye"), ended=True), BotSaid(text="Bye"))

    async def _asks_for_a_person(self, talk: _Talk, chance: random.Random) -> None:
        await talk.visits(ChoiceMade(group="1", item="2"))
        queue = chance.choice(("sales", "sales", "support"))
        await talk.answers(_went("isPerson", "calling", "person"), HandoffRequested(queue=queue))
        if chance.random() < 0.15:
            return
        who = chance.choice(("vera", "otto", "otto"))
        talk.passes(chance.uniform(20, 600))
        await talk.serves(ConversationClaimed(operator=who))
        talk.passes(chance.uniform(5, 120))
        await talk.serves(OperatorSaid(operator=who, text="Hello"))
        talk.passes(chance.uniform(60, 900))
        await talk.serves(ConversationResolved(operator=who))
        if chance.random() < 0.6:
            score = chance.choice((5, 5, 4, 4, 3, 2, 1))
            await talk.visits(ConversationRated(score=score, comment="So so"))

    async def write(self, author: str, conversation: str, entry: Entry) -> int:
        return await self._logs[author].append(conversation, author, entry)

    async def _client(self, user: str) -> Client:
        client = await connected(self.nats, user)
        self._clients.append(client)
        return client


def _went(*path: str) -> FlowAdvanced:
    return FlowAdvanced(path=path)


class _Talk:
    """A conversation as it is written, entry by entry, each some seconds after the last."""

    def __init__(self, stage: NumbersStage, secret: str, moment: int) -> None:
        self.name = subjects.conversation_of(secret, "websocket")
        self._stage = stage
        self._moment = moment
        self._cause = 0
        self._ids = itertools.count(1)

    def passes(self, seconds: float) -> None:
        self._moment += int(seconds * SECOND)

    async def visits(self, *facts: Any) -> None:
        self.passes(20)
        self._cause = await self._write("visitor", facts)

    async def answers(self, *facts: Any) -> None:
        self.passes(0.4)
        await self._write("bot", facts, self._cause)

    async def serves(self, *facts: Any) -> None:
        await self._write("operator", facts)

    async def _write(self, author: str, facts: Sequence[Fact], cause: int | None = None) -> int:
        past = min(self._moment, time.time_ns() - SECOND)
        entry = Entry(id=str(next(self._ids)), cause=cause, facts=tuple(facts), stored=past)
        return await self._stage.write(author, self.name, entry)
