"""The operator service, put together: the only place that builds its parts."""

from __future__ import annotations

import asyncio
import contextlib
import secrets

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import Counter, Gauge

from services.operator.accounts import Accounts
from services.operator.domain.desk import Desk
from services.operator.domain.transcript import lines
from services.operator.handlers import Handlers
from services.operator.settings import Settings
from services.operator.transports import http, wire
from services.operator.transports.events import Hub
from services.operator.transports.gate import Gate
from services.operator.transports.login import Door
from shared.contract import subjects
from shared.runtime.broker import Link, connect, disconnect, make_broker
from shared.runtime.follower import Follower
from shared.runtime.log import Log, Message
from shared.runtime.vitals import Receive, Scope, Send, Vitals

TYPING = "typing.*.*.visitor"
#: How often the workflow is told how many consoles are open (seconds); it forgets after three times that.
PRESENCE_SECONDS = 5.0


class App:
    """Follows the log from its beginning; serves once it has read it."""

    def __init__(self, settings: Settings, vitals: Vitals) -> None:
        self._settings = settings
        self._vitals = vitals
        self._link = Link(vitals)
        self._broker = make_broker(settings, "operator", self._link)
        self._desk = Desk()
        self._hub = Hub()
        self._handlers: Handlers | None = None
        self._door: Door | None = None
        self._replica = secrets.token_hex(8)
        self._follower: Follower | None = None
        self._task: asyncio.Task[None] | None = None
        # A stream of events never ends by itself, so it would hold up the end of the process.
        vitals.on_drain(self._hub.close)
        vitals.unready("log", "the log has not been read yet")
        self._commands = Counter(
            "switchboard_operator_commands_total",
            "What operators asked for, and how it ended",
            ["command", "outcome"],
            registry=vitals.registry,
        )
        self._logins = Counter(
            "switchboard_operator_logins_total", "Logins", ["outcome"], registry=vitals.registry
        )
        Gauge(
            "switchboard_operator_listeners", "Consoles that listen", registry=vitals.registry
        ).set_function(lambda: len(self._hub))
        application = http.build(self._desk, self._hub, self._get_handlers, self._get_door)
        self._gate = Gate(application, vitals)  # type: ignore[arg-type]

    async def start(self) -> None:
        """Connect and read the log in the background."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Let go of the connection; what was answered is stored already."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._follower is not None:
            await self._follower.stop()
        if self._door is not None:
            self._door.accounts.close()
        await disconnect(self._broker)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate(scope, receive, send)

    async def _run(self) -> None:
        client = await connect(self._broker, self._link)
        stream = Log(client)
        self._follower = Follower(
            stream,
            self._link,
            self._vitals,
            self._deliver,
            self._replaced,
            from_beginning=True,
            replay_as="operator",
        )
        self._door = Door(Accounts(client), self._settings.login_failures, self._logins)
        self._handlers = Handlers(self._desk, stream, self._follower, self._commands)
        await client.subscribe(TYPING, cb=self._typing)
        await self._follower.start()
        while True:
            await self._tell_presence(client)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PRESENCE_SECONDS):
                    await self._hub.changed()

    async def _tell_presence(self, client: Client) -> None:
        """Core NATS: what is said while the connection is down is worth nothing later."""
        if client.is_connected:
            payload = msgspec.json.encode({"replica": self._replica, "operators": len(self._hub)})
            with contextlib.suppress(nats.errors.Error):
                await client.publish(subjects.PRESENCE, payload)

    def _deliver(self, message: Message) -> None:
        change = self._desk.apply(message.decode())
        if not len(self._hub):
            return
        summary = self._desk.find(message.conversation)
        if summary is not None:
            self._hub.tell("conversation", wire.row(summary))
            for line in lines(change):
                self._hub.tell("message", wire.told(summary.id, line))

    def _replaced(self) -> None:
        """The log is another one: so are the lists."""
        self._desk.clear()
        self._hub.close()

    async def _typing(self, message: Msg) -> None:
        conversation = subjects.address(message.subject).conversation
        if self._desk.find(conversation) is not None:
            self._hub.tell("typing", wire.Typing(conversation))

    def _get_handlers(self) -> Handlers:
        assert self._handlers is not None, "the gate opens when the log has been read"
        return self._handlers

    def _get_door(self) -> Door:
        assert self._door is not None, "the gate opens when the log has been read"
        return self._door
