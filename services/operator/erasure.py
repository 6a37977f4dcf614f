"""Erasure: what is to be forgotten loses its keys, and what has been silent for too long is to be forgotten.

A fact on the log says that a conversation is erased. Everybody who shows or counts conversations acts on that
fact at once; the eraser then destroys the keys of all that was said before it. It is a durable worker: a fact
is acknowledged when the keys are gone, whoever destroyed them and whoever died in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

import structlog
from nats.aio.client import Client
from prometheus_client import CollectorRegistry, Counter

from shared.contract.conversation import Conversation
from shared.contract.entry import Entry, needed
from shared.contract.facts import ConversationErased
from shared.contract.sealing import key_id
from shared.contract.subjects import ERASER_DELIVERY, ERASER_DURABLE
from shared.eventlog.connection import (
    ConnectionSettings,
    ConnectionState,
    connect,
    disconnect,
    make_broker,
)
from shared.eventlog.errors import Conflict, LogError, Unreachable
from shared.eventlog.key_blocks import NAME_BYTES, KeyBlocks
from shared.eventlog.log import Log
from shared.eventlog.mailbox import Mailbox, WakeUp
from shared.eventlog.master_keys import KeyringError, MasterKeys
from shared.eventlog.meters import AppendMeter, WorkMeter
from shared.eventlog.observer import LoggingObserver, Observer
from shared.eventlog.subscription import Subscription
from shared.eventlog.worker import DurableWorker
from shared.service.chat_log import await_log

log = structlog.get_logger()

#: How long nobody may have spoken: a number of days or hours.
AGE: Final = r"^([1-9][0-9]{0,4}[dh])?\Z"
_SECONDS: Final = {"d": 86_400, "h": 3_600}
#: How often it is looked for what has been silent for too long (seconds), and how evenly replicas do so.
SWEEP_SECONDS: Final = 3_600.0
_SPREAD: Final = (0.5, 1.0)
#: How long to wait before trouble is tried again (seconds).
PAUSE_SECONDS: Final = 5.0

#: Conversations of which it is remembered up to where their keys are destroyed: those at work.
MAX_KNOWN: Final = 10_000


async def destroy_keys(log: Log[Any], blocks: KeyBlocks, conversation: str, before: int) -> int:
    """Destroy the keys of all that was said or noted before a position; how many there were.

    To be called again where it was cut short, and harmless then. Raises `LogError`.
    """
    numbers: dict[bytes, set[int]] = defaultdict(set)
    async for window in log.windows(conversation, asides=True):
        for message in window:
            if message.sequence < before and (id := key_id(message.data)) is not None:
                numbers[id[:NAME_BYTES]].add(id[NAME_BYTES])
        if window[-1].sequence >= before:
            break
    try:
        for block, of in numbers.items():
            await blocks.destroy(block, of)
    except KeyringError as error:
        raise Unreachable(f"the keys cannot be destroyed now: {error}") from error
    return sum(map(len, numbers.values()))


def erased(state: Conversation, by: str, reason: str) -> Entry | None:
    """The entry that erases a conversation; None for one of which there is nothing to erase."""
    if not state.visit.started:
        return None
    fact = ConversationErased(by=by, reason=reason)
    return Entry(id=f"erase:{state.position}", needs=needed((fact,)), facts=(fact,))


class Erasing(NamedTuple):
    """What is known of a conversation: up to where it was read here, and its keys are destroyed."""

    position: int
    destroyed: int


class Eraser:
    """The worker, on a connection of its own: the NATS user ``eraser`` may destroy keys, and no other."""

    def __init__(
        self,
        chat: Log[Any],
        client: Client,
        masters: MasterKeys,
        link: ConnectionState,
        health: Observer,
        registry: CollectorRegistry,
    ) -> None:
        self._log = chat
        self._blocks = KeyBlocks(client, masters)
        self._destroyed: OrderedDict[str, int] = OrderedDict()
        self._subscription = Subscription(chat, link, health, lambda message: None, self._forget)
        self._worker: DurableWorker[Mailbox, Erasing] = DurableWorker(
            *(chat, self._subscription, self, self._erase, _done, Mailbox),
            meter=WorkMeter(registry),
        )
        self._erased = Counter(
            "switchboard_conversations_erased_total",
            "Conversations whose keys this replica destroyed",
            registry=registry,
        )

    async def start(self) -> None:
        await self._subscription.start()
        await self._subscription.join(ERASER_DELIVERY, ERASER_DURABLE, self._worker.deliver)

    async def stop(self, seconds: float) -> None:
        await self._subscription.leave()
        await self._worker.stop(seconds)
        await self._subscription.stop()

    async def fold(self, key: str) -> Erasing:
        return Erasing(self._subscription.of(key).sequence, self._destroyed.get(key, 0))

    async def catch_up(self, key: str) -> Erasing:
        return await self.fold(key)

    async def forget_silent(self, silent: Iterable[tuple[str, Conversation]], reason: str) -> int:
        """Say that these are erased, unless somebody speaks at this very moment; how many. Raises `LogError`.

        Several replicas may do so at once: of each conversation one is the first.
        """
        count = 0
        for conversation, state in silent:
            entry = erased(state, "retention", reason)
            if entry is not None:
                with contextlib.suppress(Conflict):
                    await self._log.append(conversation, "eraser", entry, expect=state.position)
                    count += 1
        return count

    async def _erase(self, mailbox: Mailbox, state: Erasing) -> Erasing:
        before = max(mailbox.deliveries, default=0)
        if before > state.destroyed:
            count = await destroy_keys(self._log, self._blocks, mailbox.key, before)
            self._destroyed[mailbox.key] = before
            if len(self._destroyed) > MAX_KNOWN:
                self._destroyed.popitem(last=False)
            self._erased.inc()
            log.info("erased", conversation=mailbox.key, position=before, keys=count)
        return await self.fold(mailbox.key)

    def _forget(self) -> None:
        self._destroyed.clear()
        self._worker.forget()


class Erasure:
    """The eraser on its own connection, and the regular look for what has been silent for too long.

    Nothing here makes the service unready: operators work on while keys cannot be destroyed.
    """

    def __init__(
        self,
        settings: EraserSettings,
        masters: MasterKeys,
        silent_since: Callable[[int], Iterable[tuple[str, Conversation]]],
        registry: CollectorRegistry,
        meter: AppendMeter,
    ) -> None:
        """``silent_since`` names some of what has had no entry since a time (nanoseconds since 1970)."""
        self._settings = settings
        self._masters = masters
        self._silent_since = silent_since
        self._registry, self._meter = registry, meter
        health = LoggingObserver()
        self._link, self._health = ConnectionState(health), health
        self._broker = make_broker(_AsEraser(settings), "eraser", self._link)
        self._eraser: Eraser | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._eraser is not None:
            await self._eraser.stop(self._settings.drain_seconds)
        await disconnect(self._broker)

    async def _run(self) -> None:
        client = await connect(self._broker, self._link)
        chat = await await_log(client, self._health, meter=self._meter)
        self._eraser = Eraser(chat, client, self._masters, self._link, self._health, self._registry)
        await self._eraser.start()
        age = self._settings.retention
        while age:
            before = time.time_ns() - age_seconds(age) * 1_000_000_000
            try:
                count = await self._eraser.forget_silent(self._silent_since(before), f"silent for {age}")
            except LogError as error:
                log.warning("retention_waits", error=str(error))
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if count:  # there may be more: not all are named at once
                log.info("retention", conversations=count, age=age)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                await asyncio.sleep(SWEEP_SECONDS * random.uniform(*_SPREAD))


class EraserSettings(ConnectionSettings, Protocol):
    """What the eraser needs to know."""

    @property
    def eraser_password(self) -> str: ...
    @property
    def retention(self) -> str: ...


class _AsEraser:
    """The service's connection settings, as another user."""

    nats_user = "eraser"

    def __init__(self, settings: EraserSettings) -> None:
        self.nats_url = settings.nats_url
        self.nats_password = settings.eraser_password
        self.nats_ca = settings.nats_ca
        self.drain_seconds = settings.drain_seconds


def age_seconds(age: str) -> int:
    """Of "400d" or "36h". Raises ValueError, which says what an age looks like."""
    if not age or re.match(AGE, age) is None:
        raise ValueError(f"{age} is no age: a number of days or hours, such as 400d or 36h")
    return int(age[:-1]) * _SECONDS[age[-1]]


def _done(wake_up: WakeUp, state: Erasing) -> bool:
    return wake_up.sequence <= state.destroyed
