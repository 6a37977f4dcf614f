"""The operator service, put together: the only place that builds its parts."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from nats.aio.client import Client
from prometheus_client import Counter, Gauge

from services.operator.accounts import Accounts
from services.operator.agreed_time_keeper import AgreedTimeKeeper
from services.operator.answers import CannedAnswers
from services.operator.assigner import Assigner
from services.operator.buckets import Unavailable
from services.operator.desk import Desk, DeskError
from services.operator.desk_commands import DeskCommands
from services.operator.desk_state import DeskState
from services.operator.domain.leases import Leases
from services.operator.domain.queue_figures import queue_figures
from services.operator.domain.transcript import lines
from services.operator.erasure import Erasure
from services.operator.handlers import Handlers
from services.operator.lead import Lead
from services.operator.leases import TELL_SECONDS, LeaseKeeper, PresentOperators
from services.operator.login_answers import LoginAnswers
from services.operator.meters import ASSIGNING, MAILING, DeskMeter
from services.operator.oidc_provider import OidcProvider
from services.operator.saved_views import SavedViews
from services.operator.second_factor import SecondFactors
from services.operator.settings import Settings
from services.operator.single_sign_on import SingleSignOn
from services.operator.subscriptions import subscribe
from services.operator.suggestions import Suggester
from services.operator.team import DeskTeam
from services.operator.transports import http, schemas
from services.operator.transports.events import EventHub
from services.operator.transports.login import Door, LoginOptions
from services.operator.transports.middleware import OperatorMiddleware
from services.operator.watches import Watches
from services.operator.webhook_posts import WebhookPoster
from services.operator.webhook_sender import WebhookSender
from services.operator.webhook_store import WebhookStore
from services.operator.webhooks import Webhooks
from shared.contract.entry import RecordedEntry
from shared.contract.facts import ConversationErased
from shared.contract.presence import VisitorReport, WatchAsked
from shared.contract.queue_figures import QueueFigures
from shared.contract.subjects import DESK_ASSIGNER, DESK_MAILER
from shared.eventlog.checkpoint import Checkpoint
from shared.eventlog.connection import ConnectionState, connect, disconnect, make_broker
from shared.eventlog.messages import StoredMessage
from shared.eventlog.meters import AppendMeter
from shared.eventlog.subscription import After, Start, Subscription
from shared.service.broker import listen
from shared.service.chat_log import await_log
from shared.service.conversation_keys import keys_of, masters_of
from shared.service.drafts import Drafts
from shared.service.health import Health, Receive, Scope, Send
from shared.service.live_entries import LiveEntries
from shared.service.read_model_meter import measure_read_model
from shared.service.settings import SettingError, variable

if TYPE_CHECKING:
    from services.operator.mailer import Mailer

log = structlog.get_logger()

#: How often what was folded is written, and how long to wait before a write that failed is tried again. A
#: write is of the whole state of each conversation that changed.
WRITE_SECONDS = 1.0
PAUSE_SECONDS = 1.0
#: Conversations that wait to be written before what is read in bulk waits, too.
MAX_WAITING = 5_000
#: So many wait only if the file cannot be written for long. Then the service ends: memory is bounded.
MOST_WAITING = 100_000


class OperatorApp:
    """Follows the log from its beginning; serves once it has read it."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._masters = masters_of(settings)
        self._oidc_secret = settings.oidc_secret()
        if settings.oidc_issuer and self._masters is None:
            raise SettingError(
                f"{variable('oidc_issuer')} needs {variable('master_key')}: whoever is on the way to the "
                "provider carries what is sealed by it."
            )
        self._options = LoginOptions(
            settings.password_login,
            settings.oidc_label if settings.oidc_issuer else None,
            settings.oidc_logout,
        )
        self._entries: LiveEntries | None = None
        self._link = ConnectionState(health)
        self._broker = make_broker(settings, "operator", self._link)
        self._desk: Desk | None = None
        self._broken = False
        self._hub = EventHub()
        self._leases = Leases(settings.lease_seconds, time.monotonic)
        self._watches = Watches(self._hub)
        self._state = DeskState(
            lambda: self._hub.publish("settings", schemas.SettingsEvent()),
            lambda: self._hub.publish("team", schemas.TeamEvent()),
        )
        logins = LoginAnswers(lambda: self._door.accounts if self._door is not None else None)
        subscribe(self._broker, health, self._typing, self._present, self._watched, self._state.wake, logins)
        self._handlers: Handlers | None = None
        self._door: Door | None = None
        self._answers: CannedAnswers | None = None
        self._views: SavedViews | None = None
        self._suggester: Suggester | None = None
        self._hooks: WebhookStore | None = None
        self._erasure: Erasure | None = None
        self._webhooks: tuple[Webhooks, WebhookSender] | None = None
        self._replica = secrets.token_hex(8)
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._giving_back: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._assigning: asyncio.Task[None] | None = None
        self._agreed: asyncio.Task[None] | None = None
        self._mailer: Mailer | None = None
        self._mailing: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._meter, self._appends = DeskMeter(health.registry), AppendMeter(health.registry)
        # The newest entry that was folded, and how far the file is: entries, and the newest of these.
        self._newest = 0
        self._kept = 0, 0
        # A stream of events never ends by itself, so it would hold up the end of the process.
        health.on_drain(self._hub.close)
        health.unready("log", "the log has not been read yet")
        self._commands = Counter(
            "switchboard_operator_commands_total",
            "What operators asked for, and how it ended",
            ["command", "outcome"],
            registry=health.registry,
        )
        self._logins = Counter(
            "switchboard_operator_logins_total", "Logins", ["outcome"], registry=health.registry
        )
        for outcome in ("entered", "refused", "limited", "code_needed"):
            self._logins.labels(outcome)
        Gauge(
            "switchboard_operator_listeners", "Consoles that listen", registry=health.registry
        ).set_function(lambda: len(self._hub))
        application = http.build(
            *(self._get_desk, self._hub, self._get_handlers, self._get_door, self._leases),
            *(self._state, self._get_answers, self._get_views, self._get_suggester, self._get_hooks),
            settings,
        )
        measure_read_model(health.registry, lambda: self._kept[0], lambda: self._kept[1])
        self._gate = OperatorMiddleware(application, health)  # type: ignore[arg-type]

    async def start(self) -> None:
        """Connect and read the log in the background."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Let go of the connection; what was answered is stored already."""
        for task in (
            *(self._task, self._giving_back, self._assigning, self._agreed),
            *(self._following, self._writing, self._mailing),
        ):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._erasure is not None:
            await self._erasure.stop()
        for part in self._webhooks or ():
            await part.stop()
        self._watches.stop()
        if self._subscription is not None:
            await self._subscription.stop()
        if self._desk is not None:
            with contextlib.suppress(DeskError):
                self._desk.flush()
            self._desk.close()
        if self._door is not None:
            self._door.accounts.close()
            if self._door.sign_on is not None:
                await self._door.sign_on.close()
        await disconnect(self._broker)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate(scope, receive, send)

    async def _run(self) -> None:
        desk = self._desk = await self._opened()
        client = await connect(self._broker, self._link)
        keys = keys_of(client, self._masters, self._link, self._health, self._settings.sealing)
        stream = await await_log(client, self._health, keys, self._appends)
        entries = self._entries = LiveEntries(stream, self._give, desk=True)
        self._subscription = Subscription(
            stream,
            self._link,
            self._health,
            entries.take,
            self._replaced,
            start=After(desk.checkpoint) if desk.checkpoint else Start.BEGINNING,
            replay_as="operator",
            room=self._room,
        )
        desk.follow(self._place)
        self._answers = CannedAnswers(client)
        self._views = SavedViews(client)
        self._suggester = Suggester(client, time.monotonic)
        hooks = self._hooks = WebhookStore(client)
        self._watches.begin(Drafts(client))
        accounts = Accounts(client, self._settings.second_factor_roles)
        self._door = Door(
            accounts,
            SecondFactors(client, self._masters),
            self._settings.login_failures,
            self._logins,
            self._options,
            self._sign_on(client, accounts),
        )
        self._handlers = Handlers(desk, stream, self._subscription, entries, self._commands)
        await listen(self._broker, self._health)
        self._state.connect(client)
        self._following = asyncio.create_task(self._state.follow())
        self._writing = asyncio.create_task(self._keep())
        await self._subscription.start()
        if self._settings.eraser_password and self._masters is not None:
            silent = desk.silent_since
            registry = self._health.registry
            self._erasure = Erasure(self._settings, self._masters, silent, registry, self._appends)
            self._erasure.start()
        team = DeskTeam(self._state, self._leases, self._door.accounts, desk)
        keeper = LeaseKeeper(
            *(client, self._replica, self._leases, desk, self._handlers),
            consoles=lambda: len(self._hub),
            hears=lambda: self._health.is_ready,
            meter=self._meter,
        )
        self._giving_back = asyncio.create_task(keeper.run())
        lead = Lead(client, DESK_ASSIGNER, self._replica, time.monotonic)
        self._meter.leads(ASSIGNING, partial(_held, lead))
        assigner = Assigner(
            lead,
            *(self._state, team, self._door.accounts, desk, self._handlers),
            hears=lambda: client.is_connected and self._health.is_ready,
            meter=self._meter,
        )
        self._assigning = asyncio.create_task(assigner.run())
        agreed = AgreedTimeKeeper(
            *(self._state, desk, DeskCommands(self._handlers)),
            hears=lambda: client.is_connected and self._health.is_ready,
            meter=self._meter,
        )
        self._agreed = asyncio.create_task(agreed.run())
        poster = WebhookPoster(self._settings.webhooks_private)
        self._webhooks = (
            Webhooks(client, stream, hooks, self._meter),
            WebhookSender(client, stream, hooks, poster, self._health.registry, self._meter),
        )
        for part in self._webhooks:
            await part.start()
        if self._settings.smtp_host:
            # Imported where it is wanted: most installations send no e-mail.
            from services.operator.mailer import made_mailer

            lead = Lead(client, DESK_MAILER, self._replica, time.monotonic)
            self._meter.leads(MAILING, partial(_held, lead))
            self._mailer = made_mailer(self._settings, lead, client, desk, self._handlers, self._health)
            self._mailing = asyncio.create_task(self._mailer.run())
        while True:
            await keeper.tell(await self._figures(team))
            self._watches.expire()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TELL_SECONDS):
                    await self._hub.changed()

    def _sign_on(self, client: Client, accounts: Accounts) -> SingleSignOn | None:
        settings = self._settings
        if not settings.oidc_issuer or self._masters is None:
            return None
        provider = OidcProvider(settings.oidc_issuer, settings.oidc_client_id, self._oidc_secret)
        rules = settings.sign_on_rules()
        return SingleSignOn(
            *(client, accounts, self._masters, provider, rules),
            scopes=settings.oidc_scopes,
            address=settings.operator_url,
        )

    async def _figures(self, team: DeskTeam) -> dict[str, QueueFigures]:
        """How the queues stand; nothing, where this replica does not know."""
        if not self._health.is_ready:
            return {}
        desk = self._get_desk()
        try:
            operators, waits = await team.operators(), desk.waits()
        except (DeskError, Unavailable) as error:
            log.warning("queues_not_told", error=str(error))
            return {}
        except Exception:  # a fault of ours: who is here must be told on
            log.exception("queues_not_told")
            return {}
        waiting = {name: wait.waiting for name, wait in waits.items()}
        return queue_figures(self._state.settings, operators, waiting, desk.recent, time.time_ns())

    async def _opened(self) -> Desk:
        """The desk, once its file can be used: a replica that ends may still have it."""
        path = Path(self._settings.operator_file) if self._settings.operator_file else None
        while True:
            try:
                desk = Desk(path)
            except DeskError as error:
                log.error("no_desk", error=str(error))
                self._health.unready("desk", str(error))
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self._health.ready("desk")
                return desk

    async def _keep(self) -> None:
        """Write what was folded, some times a second."""
        desk = self._get_desk()
        while True:
            try:
                folded = self._subscription.count if self._subscription is not None else 0, self._newest
                desk.flush()
                self._kept = folded
                self._health.ready("desk")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(WRITE_SECONDS):
                        await self._hurry.wait()
                self._hurry.clear()
            except DeskError as error:
                log.error("desk_not_written", error=str(error))
                self._health.unready("desk", str(error))
                if desk.thrown_away or desk.waiting >= MOST_WAITING:
                    self._end(error)
                await asyncio.sleep(PAUSE_SECONDS)

    def _place(self) -> Checkpoint | None:
        """How far that is which the desk has folded; None: that is not known right now."""
        if self._broken or self._entries is None or self._subscription is None:
            return None
        return self._entries.place(self._subscription.checkpoint)

    def _end(self, error: DeskError) -> None:
        """What is missing on the desk, or in its file, comes again after a start."""
        self._broken = True
        log.critical("desk_unusable", error=str(error), hint="the service ends, to read the log again")
        signal.raise_signal(signal.SIGTERM)

    async def _room(self) -> None:
        """Wait until not too much waits to be written."""
        while self._get_desk().waiting >= MAX_WAITING:
            self._hurry.set()
            await asyncio.sleep(0.01)

    def _give(self, message: StoredMessage, recorded: RecordedEntry) -> None:
        desk = self._get_desk()
        try:
            change = desk.apply(recorded)
            self._newest = max(self._newest, recorded.time)
        except DeskError as error:
            self._end(error)
            raise
        if self._handlers is not None:
            self._handlers.pace.others()
            if any(isinstance(fact, ConversationErased) for fact in recorded.facts):
                self._handlers.histories.forget(message.key)
        if not len(self._hub):
            return
        summary = desk.find(message.key)
        if summary is not None:
            self._hub.publish("conversation", schemas.row(summary, self._state.settings))
            for line in lines(change):
                self._hub.publish("message", schemas.told(summary.id, line))
            self._watches.changed(summary.id, summary.state.answer.generating)
        elif change.before.visit.started:
            self._hub.publish("erased", schemas.ErasedEvent(message.key))
            self._watches.forget(message.key)

    def _replaced(self) -> None:
        """The log is another one: so are the lists."""
        if self._entries is not None:
            self._entries.reset()
        self._newest, self._kept = 0, (0, 0)
        if self._handlers is not None:
            self._handlers.histories.clear()
        try:
            self._get_desk().clear()
        except DeskError as error:
            self._end(error)
        self._hub.close()

    def _present(self, told: PresentOperators) -> None:
        if told.replica != self._replica:
            self._leases.there(told.names)

    def _typing(self, conversation: str) -> None:
        if self._desk is not None and self._desk.find(conversation) is not None:
            self._hub.publish("typing", schemas.TypingEvent(conversation))

    def _watched(self, conversation: str, said: WatchAsked | VisitorReport) -> None:
        if isinstance(said, VisitorReport) and self._mailer is not None:
            self._mailer.reported(conversation, said)
        if isinstance(said, VisitorReport):
            self._watches.reported(conversation, said)
        elif self._desk is not None:
            self._watches.asked(conversation, said.console, self._desk)

    def _get_desk(self) -> Desk:
        assert self._desk is not None, "the gate opens when the log has been read"
        return self._desk

    def _get_handlers(self) -> Handlers:
        assert self._handlers is not None, "the gate opens when the log has been read"
        return self._handlers

    def _get_views(self) -> SavedViews:
        assert self._views is not None, "the gate opens when the log has been read"
        return self._views

    def _get_answers(self) -> CannedAnswers:
        assert self._answers is not None, "the gate opens when the log has been read"
        return self._answers

    def _get_suggester(self) -> Suggester:
        assert self._suggester is not None, "the gate opens when the log has been read"
        return self._suggester

    def _get_hooks(self) -> WebhookStore:
        assert self._hooks is not None, "the gate opens when the log has been read"
        return self._hooks

    def _get_door(self) -> Door:
        assert self._door is not None, "the gate opens when the log has been read"
        return self._door


def _held(lead: Lead) -> bool:
    return lead.held
