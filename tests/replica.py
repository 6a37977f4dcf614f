"""A workflow in the test's own process, with faults at will, and what tests ask of a conversation."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

from deploy.provisioning import workflow_consumer
from services.workflow.assistant.client import AssistantClient
from services.workflow.assistant.client import AssistantLimits as AnswerLimits
from services.workflow.assistant.profiles import Provider
from services.workflow.assistant_runner import AssistantRunner
from services.workflow.backends import Backends
from services.workflow.decision import Decision, EffectLimits
from services.workflow.effect_runner import EffectRunner
from services.workflow.failpoints import FaultPoint, no_fault
from services.workflow.flow_catalog import FlowCatalog
from services.workflow.handlers import TurnParts, Workflow
from services.workflow.mailboxes import TurnMailbox
from services.workflow.presence import Presence
from services.workflow.repository import Repository
from services.workflow.state_cache import StateCache
from services.workflow.subscriptions import subscribe
from services.workflow.suggestions import Suggestions
from services.workflow.timers import Schedules
from services.workflow.turn_watchdog import TurnWatchdog
from shared.contract import subjects
from shared.contract.conversation import NEW, Conversation, step
from shared.contract.entry import MAX_ENTRY, Entry, RecordedEntry
from shared.contract.facts import (
    ConversationClaimed,
    ConversationHandedBack,
    ConversationStarted,
    Fact,
    TextWritten,
)
from shared.eventlog.connection import ConnectionState, connect, make_broker
from shared.eventlog.errors import Unreachable
from shared.eventlog.live_connection import LiveConnection
from shared.eventlog.log import MakeStream
from shared.eventlog.messages import StoredMessage
from shared.eventlog.provisioning import SECOND
from shared.eventlog.stream import Stream
from shared.eventlog.subscription import Subscription
from shared.flow.language.flow import Flow, parse
from shared.service.broker import listen
from shared.service.chat_log import ChatLog, open_log
from shared.service.conversation_keys import keys_of
from shared.service.health import Health
from shared.service.live_entries import LiveEntries
from tests import examples
from tests.conftest import LAYOUT, MASTERS, Connections, flushed
from tests.consumers import finished
from tests.faults.injectors import lossy
from tests.llm_server import LlmServer

C = examples.CONVERSATION

#: Echoes for ever: each text is answered by the same two messages.
ECHO = parse(
    b"""{"ask": {"sendRequest": {"kind": "StartChatSession", "sessionId": "s"}},
         "got": {"matchResponse": {"kind": "UserText", "sessionId": "s"}, "next": "reply"},
         "reply": {"sendRequest": {"kind": "BotText", "content": "heard"}, "next": "ask"}}""",
    "echo",
)
CLAIM = Entry(id="c", facts=(ConversationClaimed(operator="ann", name="Ann"),))
HANDBACK = Entry(id="h", facts=(ConversationHandedBack(operator="ann"),))

F = TypeVar("F", bound=Fact)


class Replica:
    """One workflow, on a connection of its own. It listens once it is started."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.started = False

    async def start(
        self,
        flow: Flow = ECHO,
        *,
        fault: FaultPoint = no_fault,
        max_entry: int = MAX_ENTRY,
        max_deliveries: int = 20,
        inactivity: int = 0,
        turn_seconds: int = 30,
        llm: LlmServer | None = None,
        places: int = 50,
        hosts: Iterable[str] = (),
        lose: Callable[[StoredMessage], bool] | None = None,
        reads: MakeStream = Stream,
    ) -> Replica:
        """``lose`` says which entries the live feed does not bring, ``reads`` makes the streams."""
        self.health = Health("workflow")
        link = ConnectionState(self.health)
        self._broker = make_broker(self._connections.settings("workflow"), "workflow", link)
        self.client = await connect(self._broker, link)
        keys = keys_of(self.client, MASTERS, link, self.health)
        assert keys is not None
        self.keys = keys
        log = await open_log(self.client, keys, reads)
        folds = StateCache()
        entries = LiveEntries(log, folds.give, folds.wants)
        self.subscription = Subscription(
            log,
            link,
            self.health,
            entries.take,
            self._replaced,
            feed=lossy(lose) if lose else LiveConnection,
        )
        self.entries = entries
        await self.subscription.start()
        flows = FlowCatalog(flow)
        await flows.keep(log)
        registry = self.health.registry
        repository = Repository(log, self.subscription, entries, folds)
        schedules = Schedules(log, fault)
        provider = Provider("other", llm.url, "test") if llm is not None else None
        self.speech = AssistantRunner(AssistantClient(provider, AnswerLimits(attempts=1)), registry, places)
        self.backends = Backends(self.client, hosts, registry)
        asking = EffectRunner(repository, schedules, self.backends, self.speech, turn_seconds, fault)
        presence = Presence()
        limits = EffectLimits(max_deliveries, max_entry, inactivity)
        deciding = Decision(repository, flows, presence, limits)
        stuck = TurnWatchdog(repository, schedules, turn_seconds)
        helpers = TurnParts(deciding, asking, schedules, stuck)
        self.workflow = Workflow(repository, helpers, self.health, fault)
        self.started = True
        self.presence = presence
        self.suggestions = Suggestions(self.speech, registry, allowed=True, budget=6000)
        self.suggestions.begin(log)
        subscribe(self._broker, self.health, presence, flows, self.workflow, self.suggestions)
        self._listening = asyncio.create_task(listen(self._broker, self.health))
        await self.subscription.join(
            subjects.WORKFLOW_DELIVERY, subjects.WORKFLOW_DURABLE, self.workflow.handle
        )
        return self

    @property
    def in_hand(self) -> Collection[TurnMailbox]:
        """The mailboxes with something to do."""
        return self.workflow.worker.mailboxes.values()

    def _replaced(self) -> None:
        self.entries.reset()
        self.workflow.forget()

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric, 0 where it was never counted."""
        return self.health.registry.get_sample_value(name, labels) or 0.0

    async def listening(self) -> None:
        """Once all of its FastStream subscribers have started."""
        await self._listening

    async def deaf(self) -> None:
        """It gets no more deliveries; what is in hand goes on."""
        await self.subscription.leave()
        for subscriber in self._broker.subscribers:
            await subscriber.stop()
        await flushed(self.client)

    async def crash(self) -> None:
        """As kill -9 would: nothing is acknowledged or given back."""
        if not self.started:
            return
        self.started = False
        self._listening.cancel()
        await self.subscription.stop()  # deliveries come over its connection
        await self.client.close()
        self.workflow.worker._renewer.cancel()
        for task in list(self.workflow.worker._tasks):
            task.cancel()
        await asyncio.gather(*self.workflow.worker._tasks, return_exceptions=True)
        await self.backends.close()
        await self.speech.close()


async def long_lease(connections: Connections) -> None:
    """Nobody is woken anew because a lease ran out: what comes to another replica was given back."""
    client = await connections.client("admin")
    for name in LAYOUT.names:
        config = {**workflow_consumer(), "ack_wait": 600 * SECOND}
        body = json.dumps({"stream_name": name, "config": config}).encode()
        address = f"$JS.API.CONSUMER.DURABLE.CREATE.{name}.{subjects.WORKFLOW_DURABLE}"
        answer = json.loads((await client.request(address, body, timeout=10)).data)
        assert answer["config"]["ack_wait"] == 600 * SECOND


async def history(log: ChatLog, conversation: str = C) -> list[RecordedEntry]:
    """All entries of the conversation."""
    return [recorded async for window in log.entries(conversation) for recorded in window]


async def folded(log: ChatLog, conversation: str = C) -> Conversation:
    """What they mean."""
    state = NEW
    for recorded in await history(log, conversation):
        state = step(state, recorded)[0]
    return state


async def until(
    log: ChatLog, holds: Callable[[Conversation], bool], seconds: float = 30, conversation: str = C
) -> Conversation:
    """The fold, as soon as ``holds`` is true of it."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(Unreachable):  # the test's own connection, after the server was away
                if holds(state := await folded(log, conversation)):
                    return state
            await asyncio.sleep(0.01)


async def answered(log: ChatLog, seconds: float = 30, conversation: str = C) -> list[RecordedEntry]:
    """The history once nothing waits for an outcome."""
    await until(log, lambda state: not state.inbox.unanswered, seconds, conversation)
    return await history(log, conversation)


def causes(entries: list[RecordedEntry]) -> list[int | None]:
    """Which inputs the outcomes answer, in order."""
    return [each.cause for each in entries if each.author == "bot" and each.cause is not None]


def said(entries: list[RecordedEntry], kind: type[F]) -> list[F]:
    """All facts of this kind that took effect."""
    state, found = NEW, list[F]()
    for recorded in entries:
        state, facts = step(state, recorded)
        found += [fact for fact in facts if isinstance(fact, kind)]
    return found


async def greet(visitor: ChatLog, conversation: str = C) -> None:
    """A visitor comes."""
    started = Entry(id="s", facts=(ConversationStarted(door="web"),))
    await visitor.append(conversation, "visitor", started, expect=0)


def text(words: str, id: str = "", session: str | int = "s") -> Entry:
    """The visitor writes."""
    return Entry(id=id or words, facts=(TextWritten(session=session, text=words),))


class Gate:
    """A fault point that holds the first who comes to ``point``, until it is opened."""

    def __init__(self, point: str) -> None:
        self._point = point
        self.held = asyncio.Event()
        self._open = asyncio.Event()

    async def __call__(self, point: str, conversation: str) -> None:
        if point == self._point and not self._open.is_set():
            self.held.set()
            await self._open.wait()

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.clear()


async def acknowledged(
    replica: Replica,
    streams: Sequence[str] = LAYOUT.names,
    durable: str = subjects.WORKFLOW_DURABLE,
    seconds: float = 10,
) -> None:
    """Once nothing of the consumer's is pending or in hand, on any of the streams."""
    await finished(replica.client, streams, durable, seconds=seconds)
