"""What operators said to visitors who have left goes to them by e-mail.

What is to be mailed is in the fold, so whoever dies loses nothing. One replica at a time does it (`lead`). A
mail is begun by a fact that is appended only if nothing came between, and its end is another: who finds one
begun and not ended cannot know whether it went, and sends it once more, and never again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from email.headerregistry import Address
from typing import Final, Protocol

import msgspec
import structlog
from nats.aio.client import Client
from prometheus_client import CollectorRegistry, Counter, Gauge

from services.operator.desk import Desk, DeskError
from services.operator.domain import mails
from services.operator.domain.decisions import Decision
from services.operator.domain.desk import ConversationSummary
from services.operator.domain.presence import NOT_KNOWN, merged
from services.operator.handlers import Busy, Handlers, NotFound
from services.operator.lead import Lead
from services.operator.settings import Settings
from services.operator.smtp import MailServer, MailUnknown, NotMailed
from shared.contract import subjects
from shared.contract.conversation import Conversation
from shared.contract.facts import MailEnded
from shared.contract.presence import VisitorReport, WatchAsked
from shared.eventlog.errors import LogError
from shared.service.health import Health
from shared.service.links import Link, Links

log = structlog.get_logger()

LOOK_SECONDS: Final = 5.0
#: So many conversations are looked at in one go, those whose words wait longest.
AT_ONCE: Final = 100
#: How long the proxies have to say where a visitor is.
PRESENCE_SECONDS: Final = 1.5
#: Who is there is looked for again after so long.
AGAIN_SECONDS: Final = 20.0
#: What was said longer ago is not mailed any more: nobody waits for it (nanoseconds).
MAX_AGE: Final = 24 * mails.HOUR
#: A server that does not take a mail now is asked again after so long, twice that, and so on (seconds).
RETRY_SECONDS: Final = 60.0
MAX_TRIES: Final = 6
#: Of so many conversations it is remembered when to look again.
MAX_REMEMBERED: Final = 10_000


class MailSettings(Protocol):
    @property
    def mail_wait_seconds(self) -> int: ...
    @property
    def mail_link_days(self) -> int: ...
    @property
    def mails_per_hour(self) -> int: ...
    @property
    def public_url(self) -> str: ...


class _Unsent(msgspec.Struct):
    """A mail that was begun here, and that no server has."""

    until: int
    attempt: int
    page: str
    tries: int = 0


class Mailer:
    """One replica's. ``hears`` says whether it reads the log; ``now`` gives nanoseconds since 1970."""

    def __init__(
        self,
        settings: MailSettings,
        sender: Address,
        server: MailServer,
        links: Links,
        lead: Lead,
        client: Client,
        desk: Desk,
        handlers: Handlers,
        hears: Callable[[], bool],
        registry: CollectorRegistry,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._sender = sender
        self._server = server
        self._links = links
        self._lead = lead
        self._client = client
        self._desk = desk
        self._handlers = handlers
        self._hears = hears
        self._now = now
        self._reports: dict[str, dict[str, VisitorReport]] = {}
        self._later: OrderedDict[str, float] = OrderedDict()
        self._unsent: OrderedDict[str, _Unsent] = OrderedDict()
        self._spent: deque[float] = deque()  # when mails were given to the server within the last hour
        self._mails = Counter(
            "switchboard_mails_total",
            "Mails to visitors who have left, by what became of them",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("mailed", "failed", "unknown", "seen"):
            self._mails.labels(outcome)
        self._waiting = Gauge(
            "switchboard_mails_waiting",
            "Conversations whose words are due to be mailed, or put off; only the replica that mails counts "
            "them, and no more than are looked at in one go beside those put off",
            registry=registry,
        )

    async def run(self) -> None:
        """Mail what is due, for as long as the service runs."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except (DeskError, LogError, Busy) as error:
                log.warning("not_mailed_now", error=str(error))
            except Exception:  # a fault of ours: it shall be seen, and not be the end of it
                log.exception("not_mailed_now")

    def reported(self, conversation: str, report: VisitorReport) -> None:
        """A replica of the proxy says where a visitor is."""
        reports = self._reports.get(conversation)
        if reports is not None:
            reports[report.replica] = report

    async def look(self) -> None:
        """Mail what is due now, if this replica leads."""
        if not self._hears() or not await self._lead.take():
            self._waiting.set(0)
            return
        clock = time.monotonic()
        self._later = OrderedDict((id, due) for id, due in self._later.items() if due > clock)
        wait = self._settings.mail_wait_seconds * 1_000_000_000
        now = self._now()
        waiting = self._desk.to_mail(now - MAX_AGE, now - wait, AT_ONCE + len(self._later))
        self._waiting.set(len(waiting))
        due = [summary for summary in waiting if summary.id not in self._later][:AT_ONCE]
        if not due:
            return
        # A mail server may take longer than the lead holds by itself: then another would send the same mail.
        leading = asyncio.create_task(self._go_on_leading())
        try:
            where = await self._where([summary.id for summary in due])
            for summary in due:
                if not self._lead.held:
                    return
                try:
                    await self._consider(summary, where[summary.id])
                except (LogError, Busy, NotFound) as error:
                    log.warning("not_mailed_now", conversation=summary.id, error=str(error))
        finally:
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)

    async def _go_on_leading(self) -> None:
        while True:
            await asyncio.sleep(1)
            await self._lead.take()

    async def _where(self, conversations: list[str]) -> dict[str, VisitorReport]:
        """Where their visitors are."""
        self._reports = {id: {} for id in conversations}
        payload = msgspec.json.encode(WatchAsked("mail"))
        for id in conversations:
            await self._client.publish(subjects.watch(id, "operator"), payload)
        await asyncio.sleep(PRESENCE_SECONDS)
        found, self._reports = self._reports, {}
        return {id: merged(each.values()) if each else NOT_KNOWN for id, each in found.items()}

    async def _consider(self, summary: ConversationSummary, report: VisitorReport) -> None:
        state, id = summary.state, summary.id
        mail = state.mail
        unsent = self._unsent.get(id)
        if unsent is not None and (unsent.until, unsent.attempt) != (mail.begun, mail.attempts):
            del self._unsent[id]  # another replica ended it, or the visitor came back
            unsent = None
        if mail.begun and unsent is None and mail.attempts >= mails.MAX_ATTEMPTS:
            await self._end(id, MailEnded(until=mail.begun, outcome="unknown"))
            return
        if not mail.begun:
            if mails.is_seen(state, report):
                await self._end(id, MailEnded(until=mail.last, outcome="seen"))
                return
            if mails.is_there(report) or mails.too_many(state, self._now()):
                self._put_off(id, AGAIN_SECONDS)
                return
        if not self._may_spend():
            return
        if unsent is None:
            unsent = await self._begin(id, mail.begun or mail.last, report.page)
            if unsent is None:
                return
        self._unsent[id] = unsent
        if len(self._unsent) > MAX_REMEMBERED:
            self._unsent.popitem(last=False)
        await self._send(id, unsent)

    async def _begin(self, id: str, until: int, page: str) -> _Unsent | None:
        """None: it is not to be mailed any more, or another replica was quicker."""
        attempt = 0

        def decide(state: Conversation) -> Decision:
            nonlocal attempt
            attempt = state.mail.attempts + 1
            return mails.begin(state, until)

        entry = uuid.uuid4()
        await self._handlers.mail(id, decide, self._still, entry)
        state = (await self._handlers.newest(id)).state
        return _Unsent(until, attempt, page) if f"operator:{entry}" in state.inbox.ids else None

    async def _send(self, id: str, unsent: _Unsent) -> None:
        said = await self._handlers.transcript(id)
        summary = await self._handlers.newest(id)
        state = summary.state
        to = mails.address_to(state)
        if not to or (state.mail.begun, state.mail.attempts) != (unsent.until, unsent.attempt):
            # Erased, stopped, back, or another replica's by now.
            self._unsent.pop(id, None)
            return
        first = state.mail.first
        words = [line for line in said if line.who == "operator" and first <= line.position <= unsent.until]
        message = mails.compose(
            *(self._sender, to, words, self._made_links(summary, unsent.page)),
            *(mails.words_for(state.visit.begun.language), (id, unsent.until), self._now()),
        )
        unsent.tries += 1
        self._spent.append(time.monotonic())
        try:
            await self._server.send(self._sender.addr_spec, to, message)
        except NotMailed as error:
            if not error.final and unsent.tries < MAX_TRIES:
                log.warning("mail_waits", conversation=id, tries=unsent.tries, error=str(error))
                self._put_off(id, RETRY_SECONDS * 2 ** (unsent.tries - 1))
                return
            ended = MailEnded(until=unsent.until, outcome="failed", reason=str(error))
        except MailUnknown as error:
            log.warning("mail_unknown", conversation=id, error=str(error))
            self._unsent.pop(id, None)
            return
        except BaseException:  # nobody knows how far it came
            self._unsent.pop(id, None)
            raise
        else:
            ended = MailEnded(until=unsent.until, outcome="mailed")
        self._unsent.pop(id, None)
        await self._end(id, ended)

    async def _end(self, id: str, ended: MailEnded) -> None:
        self._mails.labels(ended.outcome).inc()
        await self._handlers.mail(id, lambda state: mails.end(state, ended), self._still)

    async def _still(self) -> None:
        """The append's expectation is the fence: who leads no more loses the race, or wins it once."""

    def _made_links(self, summary: ConversationSummary, page: str) -> mails.MailLinks:
        days, base = self._settings.mail_link_days, self._settings.public_url.rstrip("/")
        until = self._now() // 1_000_000_000 + days * 86_400
        link = Link(summary.id, summary.updated, until, page)
        stop = self._links.sign("stop", msgspec.structs.replace(link, page=""))
        return mails.MailLinks(
            resume=f"{base}/resume#go={self._links.sign('resume', link)}",
            stop=f"{base}/resume#stop={stop}",
            one_click=f"{base}/resume/stop?token={stop}",
            days=days,
        )

    def _put_off(self, id: str, seconds: float) -> None:
        self._later[id] = time.monotonic() + seconds
        self._later.move_to_end(id)
        if len(self._later) > MAX_REMEMBERED:
            self._later.popitem(last=False)

    def _may_spend(self) -> bool:
        """Whether this hour has a mail left."""
        hour_ago = time.monotonic() - 3_600
        while self._spent and self._spent[0] < hour_ago:
            self._spent.popleft()
        return len(self._spent) < self._settings.mails_per_hour


def made_mailer(
    settings: Settings, lead: Lead, client: Client, desk: Desk, handlers: Handlers, health: Health
) -> Mailer:
    """By the settings of a service that sends e-mail."""
    handlers.mails = True
    server = MailServer(
        *(settings.smtp_host, settings.smtp_port, settings.smtp_security),
        *(settings.smtp_user, settings.smtp_password(), settings.smtp_ca),
    )
    return Mailer(
        *(settings, settings.sender, server, Links(settings.link_secret, time.time)),
        *(lead, client, desk, handlers),
        hears=lambda: client.is_connected and health.is_ready,
        registry=health.registry,
    )
