"""Work that must be done, however many replicas there are and whenever they die: a durable consumer's.

A delivery is only a wake-up, and a lease. What there is to do, the fold of its key says; and it says when
that is done. So a message that is delivered twice, late or out of order does no harm, and one is
acknowledged when its work is done, whoever did it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, Protocol, TypeVar

import structlog
from nats.aio.msg import Msg

from shared.eventlog.errors import Conflict, Full, LogError, Unreachable
from shared.eventlog.layout import key_and_author
from shared.eventlog.log import Log
from shared.eventlog.mailbox import Delivery, Mailbox, WakeUp, renew
from shared.eventlog.meters import WorkMeter
from shared.eventlog.subscription import Subscription

log = structlog.get_logger()

#: How often the lease on everything in hand is renewed (seconds). The consumer's ``ack_wait`` is to be at
#: least twice as long.
RENEW_SECONDS: Final = 2.0
#: How long to pause when the log cannot be reached or has no room (seconds).
PAUSE_SECONDS: Final = 0.5


class FoldedKey(Protocol):
    """What a key's entries were folded to. ``position`` is the sequence of the last of them, 0 for none."""

    @property
    def position(self) -> int: ...


S = TypeVar("S", bound=FoldedKey)
M = TypeVar("M", bound=Mailbox)
S_co = TypeVar("S_co", bound=FoldedKey, covariant=True)


class States(Protocol[S_co]):
    """The folds of all keys, complete up to the subscription's position. Both may raise `LogError`."""

    async def fold(self, key: str, /) -> S_co:
        """The key's fold."""

    async def catch_up(self, key: str, /) -> S_co:
        """The key's fold, with all that was stored before this was asked for."""


class DurableWorker(Generic[M, S]):
    """Many mailboxes at once, one for each key with something to do. README.md says how to use it.

    ``handle`` is given a mailbox and the fold, complete up to all that is in hand. It brings the work one
    step further, appending with the fold's position as expectation, and returns the fold with what it
    appended; None: it gave the mailbox back. It is called again until nothing is in hand. After `Conflict`
    that is at once, with what was newer; after another `LogError`, or whatever else it raises, after a pause.

    ``done`` says whether the fold needs nobody to be woken for this wake-up any more. It comes to hold for a
    key's entries in their order, or for all at once, and then holds for ever.

    ``meter`` counts the wake-ups, and what must be done again.
    """

    def __init__(
        self,
        log: Log[Any],
        subscription: Subscription,
        states: States[S],
        handle: Callable[[M, S], Awaitable[S | None]],
        done: Callable[[WakeUp, S], bool],
        make_mailbox: Callable[[str], M],
        meter: WorkMeter | None = None,
    ) -> None:
        self._log = log
        self._subscription = subscription
        self._states = states
        self._handle = handle
        self._done = done
        self._make_mailbox = make_mailbox
        self._meter = meter
        #: By their keys.
        self.mailboxes: dict[str, M] = {}
        if meter is not None:
            meter.watch(lambda: len(self.mailboxes))
        #: Whether it is to end: a step that waits for something is to give up.
        self.stopping = False
        self._aside: set[WakeUp] = set()
        self._tasks: set[asyncio.Task[None]] = set()  # those that are no mailbox's
        self._renewer = asyncio.create_task(self._renew())

    def deliver(self, message: Msg) -> None:
        """Take an entry of the log, as its consumer delivers it, into its key's mailbox; never waits."""
        self.take(key_and_author(message.subject)[0], Delivery(message))

    def take(self, key: str, wake_up: WakeUp) -> None:
        """Take a wake-up into the mailbox of ``key``; never waits."""
        self._took(wake_up)
        mailbox = self.mailboxes.get(key)
        if mailbox is None:
            mailbox = self.mailboxes[key] = self._make_mailbox(key)
            mailbox.add(wake_up)
            mailbox.task = asyncio.create_task(self._work(mailbox))
        else:
            mailbox.add(wake_up)

    def beside(self, wake_up: WakeUp, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` beside the mailboxes, and keep the lease meanwhile. It acknowledges by itself."""
        self._took(wake_up)
        self._aside.add(wake_up)

        async def whole() -> None:
            try:
                await work
            except Exception:
                log.exception("work_failed", sequence=wake_up.sequence)
                await wake_up.give_back(PAUSE_SECONDS)
            self._aside.discard(wake_up)  # what is cancelled is given back in `stop`

        self._spawn(whole())

    def forget(self) -> None:
        """The log is another: what is in hand belongs to the old one.

        A mailbox would wait for positions that the new log may never reach. What the new one has to do is
        delivered anew: what is in hand may be of it already, so it is given back.
        """
        self._spawn(_give_back([wake_up for mailbox in self.mailboxes.values() for wake_up in mailbox]))
        for mailbox in self.mailboxes.values():
            mailbox.clear()

    async def give_back(self, mailbox: M, delay: float) -> None:
        """Leave all that is in hand of a key to others, who are woken after ``delay`` seconds."""
        for wake_up in mailbox:
            await wake_up.give_back(delay)
        mailbox.clear()

    async def acknowledge(self, mailbox: M, state: S) -> None:
        """Acknowledge what is done by this fold, so far as it is known to be the log's as it stands."""
        if not self._subscription.of(mailbox.key).certain:
            return  # acknowledged now, it may be another log's message of this number that is
        for wake_up in mailbox.finished(state.position, lambda wake_up: self._done(wake_up, state)):
            await self._log.acknowledge(wake_up.message)
            if self._meter is not None:
                self._meter.acknowledged()

    async def stop(self, seconds: float) -> None:
        """Finish the steps that are being made, at most for so long; give the rest back at once."""
        self.stopping = True
        for mailbox in self.mailboxes.values():
            mailbox.woken.set()
        tasks = {mailbox.task for mailbox in self.mailboxes.values() if mailbox.task is not None}
        if working := tasks | self._tasks:
            _, unfinished = await asyncio.wait(working, timeout=seconds)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        self._renewer.cancel()
        await _give_back(self._in_hand())

    async def _work(self, mailbox: M) -> None:
        """Run one mailbox until it is empty."""
        key = mailbox.key
        while mailbox and not self.stopping:
            try:
                await self._step(mailbox)
            except Conflict as error:  # somebody was quicker, or we were and did not hear: the fold will tell
                self._again(error)
                mailbox.behind = True
            except (Unreachable, Full) as error:
                self._again(error)
                log.warning("work_waits", key=key, error=str(error))
                await asyncio.sleep(PAUSE_SECONDS)
            except LogError as error:  # unknown, or refused: look at the log again, then decide anew
                self._again(error)
                log.warning("work_again", key=key, error=str(error))
                await asyncio.sleep(PAUSE_SECONDS / 10)
            except Exception as error:
                self._again(error)
                log.exception("work_failed", key=key)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                if mailbox:  # steps need not wait for anything: others are to have their turn
                    await asyncio.sleep(0)
        if not mailbox:
            del self.mailboxes[key]

    async def _step(self, mailbox: M) -> None:
        state = await self._handle(mailbox, await self._caught_up(mailbox))
        if state is not None:
            await self.acknowledge(mailbox, state)

    async def _caught_up(self, mailbox: M) -> S:
        """The fold, complete up to all that is in hand."""
        follower, fresh = self._subscription.of(mailbox.key), list(mailbox.fresh)
        deliveries = [wake_up for wake_up in fresh if isinstance(wake_up, Delivery)]
        if deliveries:  # one wait for all: after it the log may be another, which never reaches the next
            newest = max(delivery.time for delivery in deliveries)
            last = max(delivery.position for delivery in deliveries)
            await follower.reached(last, newest)
        if not follower.certain:  # a step that never waits would never let it become so
            await follower.known()
        if mailbox.behind or len(fresh) > len(deliveries):
            state = await self._states.catch_up(mailbox.key)
            mailbox.behind = False
        else:
            state = await self._states.fold(mailbox.key)
        mailbox.caught_up(fresh)
        return state

    async def _renew(self) -> None:
        """Renew the lease on everything that waits or works."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            await renew(self._in_hand())

    def _took(self, wake_up: WakeUp) -> None:
        if self._meter is not None:
            self._meter.took(wake_up)

    def _again(self, error: Exception) -> None:
        if self._meter is not None:
            self._meter.again(error)

    def _in_hand(self) -> list[WakeUp]:
        return [*(wake_up for mailbox in self.mailboxes.values() for wake_up in mailbox), *self._aside]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _give_back(wake_ups: list[WakeUp]) -> None:
    for wake_up in wake_ups:
        await wake_up.give_back()
