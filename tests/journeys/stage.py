"""The product as real processes, for browsers to visit."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from deploy.cli import accounts
from deploy.local.embedded import EmbeddedNats
from services.operator.webhook_store import WebhookStore
from shared.contract.codec import entry_of
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import BotSaid, ConversationErased, ConversationStarted, Fact, VariableSaved
from shared.contract.roles import Role
from shared.contract.subjects import DESK_SETTINGS, DESK_STATE
from tests.conftest import connected, declare, log_of
from tests.processes import TOUR, Service
from tests.replica import history

PASSWORD = "open the console"


class Stage:
    """``async with Stage(folder)``: the services that people meet, and the accounts of Ada and Bob."""

    def __init__(self, folder: Path, flow: str | Path = TOUR) -> None:
        self.nats = EmbeddedNats(folder / "data")
        self.nats.start()  # its port is known from here on
        self._folder = folder
        self._clients: list[Client] = []
        self.proxy = self.service("proxy", SWITCHBOARD_ORIGINS="loopback")
        self.workflow = self.service("workflow", SWITCHBOARD_FLOW=str(flow))
        self.operator = self.service("operator")

    def service(self, name: str, **settings: str) -> Service:
        """One more process on this stage, not started."""
        return Service(name, self.nats, self._folder, **settings)

    async def __aenter__(self) -> Stage:
        """Declare the log, make the accounts, start everything."""
        try:
            self._admin = await self._client("admin")
            await declare(self._admin, max_bytes=1024**3)
            await self.account("ada", "Ada")
            await self.account("bob", "Bob")
            self._log = await log_of(await self._client("operator"), "operator")
            self._bot = await log_of(await self._client("workflow"), "workflow")
            await self.up()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await client.close()
        for service in (self.proxy, self.workflow, self.operator):
            service.kill()
        self.nats.kill()

    async def account(self, name: str, display: str, role: Role = "operator") -> None:
        await accounts.add(self._admin, name, display, PASSWORD, role)

    async def no_account(self, name: str) -> None:
        """Remove an account: while there is another admin, nobody is the last one."""
        await accounts.remove(self._admin, name)

    async def desk(self, settings: bytes) -> None:
        """Let these settings of the desk hold."""
        await (await self._admin.jetstream().key_value(DESK_STATE)).put(DESK_SETTINGS, settings)

    async def webhooks(self) -> WebhookStore:
        """Where webhooks' endpoints, and dead ones, are kept."""
        return WebhookStore(await self._client("operator"))

    async def new_password(self, name: str) -> None:
        """The account's password is changed, to the same one: all its logins end."""
        await accounts.change(self._admin, name, PASSWORD)

    async def up(self) -> None:
        """Start what is down, and wait until all is ready."""
        if self.nats.process is None:
            self.nats.start()
        services = (self.proxy, self.workflow, self.operator)
        for service in services:
            if service.process is None or service.process.poll() is not None:
                service.launch()
        await asyncio.gather(*(service.ready() for service in services))

    async def entries(self, conversation: str) -> list[RecordedEntry]:
        """The whole conversation, as the log holds it."""
        return await history(self._log, conversation)

    async def bot_says(self, conversation: str, *texts: str) -> None:
        """The bot says these of its own accord, an entry for each."""
        for text in texts:
            said = Entry(id=text, facts=(BotSaid(text=text),))
            await self._bot.append(conversation, "bot", said)

    async def saves(self, conversation: str, **variables: Any) -> None:
        """The flow saves these."""
        facts = tuple(VariableSaved(name=name, value=value) for name, value in variables.items())
        await self._bot.append(conversation, "bot", Entry(id=str(uuid.uuid4()), facts=facts))

    async def erases(self, conversation: str) -> None:
        """What was said in the conversation is forgotten."""
        log = await log_of(await self._client("eraser"), "eraser")
        erased = Entry(id=str(uuid.uuid4()), facts=(ConversationErased(by="ada"),))
        await log.append(conversation, "eraser", erased)

    async def begun(self) -> int:
        """How many conversations have begun. Their entries may get more at any time: leases end, say."""
        found = 0
        async for batch in self._log.read():
            facts = [fact for message in batch for fact in entry_of(message).facts]
            found += sum(isinstance(fact, ConversationStarted) for fact in facts)
        return found

    async def facts(self, conversation: str, kind: type[Fact]) -> list[Fact]:
        """The conversation's facts of one kind, what was noted beside it too, in order."""
        windows = self._log.entries(conversation, desk=True)
        entries = [recorded async for window in windows for recorded in window]
        return [fact for entry in entries for fact in entry.facts if isinstance(fact, kind)]

    async def authors(self, conversation: str) -> list[str]:
        """Who wrote the conversation's entries, in order."""
        return [entry.author for entry in await self.entries(conversation)]

    async def _client(self, user: str) -> Client:
        client = await connected(self.nats, user)
        self._clients.append(client)
        return client
