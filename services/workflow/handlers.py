"""From a wake-up to an outcome: catch up, decide, append, acknowledge.

A wake-up is only that, and a lease. Each conversation has a mailbox, in which the OLDEST unanswered input
is decided first; a wake-up is acknowledged when its own input has an outcome, whoever gave it, and the
server has a schedule for each timer. The expectation on the conversation's last position fences off
whoever decided on less than all of it.

A decision may need something first: a backend's answer, or the assistant's. Only the holder of the
input's lease asks for it; what it hears is kept until the input has its outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import structlog
from msgspec.structs import replace
from nats.aio.msg import Msg
from prometheus_client import Counter, Histogram

from services.workflow.decision import Decision
from services.workflow.drafts import End
from services.workflow.effect_runner import EffectRunner
from services.workflow.failpoints import FaultPoint, no_fault
from services.workflow.mailboxes import Delivery, Firing, Mailbox, TurnProgress, WakeUp, renew
from services.workflow.repository import Repository, interim
from services.workflow.timers import Schedules
from services.workflow.turn_watchdog import NEWER_SECONDS, TurnWatchdog
from shared.contract.conversation import Conversation, Input
from shared.contract.entry import LEVEL, Entry
from shared.contract.facts import (
    AnswerFailed,
    AssistantSaid,
    ConditionUntold,
    DecisionFailed,
    Fact,
    HandoffRequested,
    InputRefused,
    TimerFired,
)
from shared.contract.subjects import address
from shared.eventlog.errors import Conflict, Full, LogError, Unreachable
from shared.service.health import Health

log = structlog.get_logger()

#: How often the lease on everything in hand is renewed (seconds); `ack_wait` is 5.
RENEW_SECONDS = 2.0
#: How long to pause when the log cannot be reached or has no room (seconds).
PAUSE_SECONDS = 0.5
#: How long to leave an input that needs something to whoever holds its lease (seconds): longer than a
#: backend may take, and then a lease. Past that, nobody holds one.
ABANDONED_SECONDS = 35.0
#: The flows' states that the metric of untold conditions tells apart; all further ones are "other".
MAX_UNTOLD_STATES = 200
#: How an input may end, as the log line and the metrics name it.
OUTCOMES = ("answered", "refused", "failed", "handed_over", "assistant_failed")


@dataclass(frozen=True, slots=True)
class TurnParts:
    """Whom the workflow asks."""

    deciding: Decision
    asking: EffectRunner
    schedules: Schedules
    stuck: TurnWatchdog


class Workflow:
    """Many mailboxes at once, one for each conversation with something to do."""

    def __init__(
        self,
        repository: Repository,
        helpers: TurnParts,
        health: Health,
        fault: FaultPoint = no_fault,
    ) -> None:
        self._repository = repository
        self._deciding = helpers.deciding
        self._asking = helpers.asking
        self._schedules = helpers.schedules
        self._stuck = helpers.stuck
        self._fault = fault
        self._mailboxes: dict[str, Mailbox] = {}
        self._aside: set[Firing] = set()  # in hand, but not in a mailbox
        self._tasks: set[asyncio.Task[None]] = set()  # those that are no mailbox's
        self._stopping = False
        self._renewer = asyncio.create_task(self._renew())
        outcomes = Counter(
            "switchboard_outcomes_total", "Outcomes by kind", ["outcome"], registry=health.registry
        )
        self._outcomes = {outcome: outcomes.labels(outcome) for outcome in OUTCOMES}
        self._fired = Counter(
            "switchboard_timers_fired_total",
            "Timers that took effect",
            ["purpose"],
            registry=health.registry,
        )
        self._untold = Counter(
            "switchboard_conditions_untold_total",
            "Conditions of flows that said neither yes nor no, and counted as false",
            ["flow", "state"],
            registry=health.registry,
        )
        self._untold_at: set[tuple[str, str]] = set()
        self._seconds = Histogram(
            "switchboard_decide_seconds",
            "From a wake-up to the stored outcome, where nothing outside was asked",
            registry=health.registry,
        )

    def handle(self, message: Msg) -> None:
        """Take a delivery into its conversation's mailbox; never waits."""
        self._take(address(message.subject).conversation, Delivery(message))

    def handle_firing(self, message: Msg) -> None:
        """Take a timer that is due into its conversation's mailbox; never waits."""
        firing = Firing(message)
        if firing.timer.startswith("turn:"):  # its mailbox may be what is stuck
            self._spawn(self._unstick(firing))
        else:
            self._take(firing.conversation, firing)

    def forget(self) -> None:
        """The log is another: what was folded and what is in hand belong to the old one.

        A mailbox would wait for positions that the new log may never reach. What the new one has
        unanswered is delivered anew: what is in hand may be of it already, so it is given back.
        """
        self._spawn(_give_back([wake_up for mailbox in self._mailboxes.values() for wake_up in mailbox]))
        self._schedules.forget()
        for mailbox in self._mailboxes.values():
            mailbox.clear()
        self._repository.folds.forget()

    async def stop(self, seconds: float) -> None:
        """Finish what is in hand, at most for so long; give the rest back at once."""
        self._stopping = True
        for mailbox in self._mailboxes.values():
            mailbox.woken.set()
        workers = {mailbox.worker for mailbox in self._mailboxes.values() if mailbox.worker is not None}
        if working := workers | self._tasks:
            _, unfinished = await asyncio.wait(working, timeout=seconds)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        self._renewer.cancel()
        for wake_up in self._in_hand():
            await wake_up.give_back()

    # --- one mailbox -------------------------------------------------------------------------------

    def _take(self, conversation: str, wake_up: Delivery | Firing) -> None:
        mailbox = self._mailboxes.get(conversation)
        if mailbox is None:
            mailbox = self._mailboxes[conversation] = Mailbox(conversation)
            mailbox.add(wake_up)
            mailbox.worker = asyncio.create_task(self._work(mailbox))
        else:
            mailbox.add(wake_up)

    async def _work(self, mailbox: Mailbox) -> None:
        """Run one mailbox until it is empty."""
        conversation = mailbox.conversation
        while mailbox and not self._stopping:
            try:
                await self._turn(mailbox)
            except Conflict:  # somebody was quicker, or we were and did not hear of it: the fold will tell
                mailbox.behind = True
            except (Unreachable, Full) as error:
                log.warning("turn_waits", conversation=conversation, error=str(error))
                await asyncio.sleep(PAUSE_SECONDS)
            except LogError as error:  # unknown, or refused: look at the log again, then decide anew
                log.warning("turn_again", conversation=conversation, error=str(error))
                await asyncio.sleep(PAUSE_SECONDS / 10)
            except Exception:
                log.exception("turn_failed", conversation=conversation)
                await asyncio.sleep(PAUSE_SECONDS)
        if not mailbox:
            del self._mailboxes[conversation]

    async def _turn(self, mailbox: Mailbox) -> None:
        """One step: catch up, let timers take effect, decide the oldest input, acknowledge."""
        state = await self._caught_up(mailbox)
        await self._fault("after_fetch", mailbox.conversation)
        if state.needs > LEVEL:
            await self._leave_to_newer(mailbox)
            return
        if mailbox.firings:
            state = await self._fire(mailbox, state)
        if mailbox.waits_for(state):
            state = await self._answer(mailbox, state, state.inbox.unanswered[0])
        await self._settle(mailbox, state)

    async def _caught_up(self, mailbox: Mailbox) -> Conversation:
        """The fold, complete up to all that is in hand."""
        fresh = list(mailbox.fresh)
        deliveries = [wake_up for wake_up in fresh if isinstance(wake_up, Delivery)]
        if deliveries:  # one wait for all: after it the log may be another, which never reaches the next
            newest = max(delivery.time for delivery in deliveries)
            last = max(delivery.position for delivery in deliveries)
            await self._repository.reached(mailbox.conversation, last, newest)
        if mailbox.behind or len(fresh) > len(deliveries):
            state = await self._repository.catch_up(mailbox.conversation)
            mailbox.behind = False
        else:
            state = await self._repository.fold(mailbox.conversation)
        mailbox.caught_up(fresh)
        return state

    async def _fire(self, mailbox: Mailbox, state: Conversation) -> Conversation:
        """What is due and still armed takes effect: from here on its outcome is owed, like an input's."""
        for firing in list(mailbox.firings.values()):
            if firing.caught_up and firing.armed(state):
                entry = interim(f"timer:{firing.timer}:{firing.at}", TimerFired(id=firing.timer))
                await self._fault("before_fire", mailbox.conversation)
                state = await self._repository.append(mailbox.conversation, entry, state)
                await self._fault("after_fire", mailbox.conversation)
                self._fired.labels(firing.timer.partition(":")[0]).inc()
        return state

    async def _answer(self, mailbox: Mailbox, state: Conversation, item: Input) -> Conversation:
        """Bring ``item`` one step further: to its outcome, or to something that deciding it takes.

        Only the holder of its lease asks for that; whoever else was woken waits for what the holder says.
        """
        turn = mailbox.turn_of(item)
        if turn.heard is not None:
            return await self._asking.record(mailbox, state, turn)
        if state.answer.attempts > turn.attempt:
            # Another replica speaks, or spoke: what we heard does not count.
            turn.results.clear()
        lease = mailbox.lease(item)
        decided = await self._deciding.decide(mailbox.conversation, state, item, turn, lease)
        if isinstance(decided, Entry):
            return await self._commit(mailbox, state, item, turn, decided)
        if lease is not None or (turn.waited > ABANDONED_SECONDS and state.answer.generating is None):
            return await self._asking.perform(mailbox, state, item, turn, decided)
        await self._leave_to_holder(mailbox, state, item, turn)
        return state

    async def _settle(self, mailbox: Mailbox, state: Conversation) -> None:
        """Have the timers scheduled, then acknowledge what has its outcome."""
        if mailbox.turn is not None and not state.inbox.owes(mailbox.turn.cause):
            await _end(mailbox.turn, "interrupted")
            mailbox.turn = None
        if state.timers.armed:
            again = [wake_up for wake_up in mailbox if wake_up.count > 1 and not wake_up.scheduled]
            if again or not self._schedules.known(mailbox.conversation, state.timers.armed):
                await self._schedules.publish(mailbox.conversation, state.timers.armed, anew=bool(again))
            for wake_up in again:
                wake_up.scheduled = True
        if not self._repository.certain(mailbox.conversation):
            return  # acknowledged now, it may be another log's message of this number that is
        for wake_up in mailbox.finished(state):
            await self._repository.log.acknowledge(wake_up.message)

    async def _commit(
        self, mailbox: Mailbox, state: Conversation, item: Input, turn: TurnProgress, entry: Entry
    ) -> Conversation:
        if not entry.facts and state.ownership.owner == "operator" and isinstance(item.fact, TimerFired):
            # The fold lets the bot through now only with what says nothing; that it fired says nothing.
            entry = replace(entry, facts=(item.fact,))
        await self._fault("before_append", mailbox.conversation)
        state = await self._repository.append(mailbox.conversation, entry, state)
        await self._fault("after_append", mailbox.conversation)
        if state.inbox.owes(item.position):  # it may not speak now: a rule of the fold that deciding missed
            log.error("outcome_dropped", conversation=mailbox.conversation, position=item.position)
            mailbox.drop(item)
            return state
        if turn.drafts:
            await _end(turn, "committed" if _has(entry, AssistantSaid) else "failed")
        duration = perf_counter() - turn.started
        for fact in entry.facts:
            if isinstance(fact, ConditionUntold):
                self._count_untold(state.progress.flow, fact.state)
        outcome = _outcome(entry)
        self._outcomes[outcome].inc()
        if not turn.performed:
            self._seconds.observe(duration)
        log.info(
            "decided",
            conversation=mailbox.conversation,
            position=item.position,
            input=type(item.fact).__name__,
            outcome=outcome,
            asked=turn.performed,
            ms=round(duration * 1000, 2),
        )
        return state

    def _count_untold(self, flow: str, at: str) -> None:
        """Once for each answer that was stored; flows come and go, so their names are bounded here."""
        labels = (flow, at)
        if labels not in self._untold_at:
            if len(self._untold_at) >= MAX_UNTOLD_STATES:
                labels = ("other", "other")
            self._untold_at.add(labels)
        self._untold.labels(*labels).inc()

    async def _leave_to_holder(
        self, mailbox: Mailbox, state: Conversation, item: Input, turn: TurnProgress
    ) -> None:
        """Another replica holds the lease on ``item``: wait for what it says, or for the lease."""
        await self._settle(mailbox, state)
        mailbox.woken.clear()
        started = perf_counter()

        def look(changed: Conversation) -> None:
            mailbox.woken.set()

        with self._repository.folds.watching(mailbox.conversation, look):
            now = await self._repository.fold(mailbox.conversation)
            if now.position == state.position and mailbox.lease(item) is None and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ABANDONED_SECONDS):
                        await mailbox.woken.wait()
        turn.waited += perf_counter() - started

    async def _unstick(self, firing: Firing) -> None:
        """Apart from the mailbox. What is not finished when the service ends is given back then."""
        self._aside.add(firing)
        if await self._stuck.look(firing):
            self._fired.labels("turn").inc()
            self._outcomes["failed"].inc()
        self._aside.discard(firing)

    async def _leave_to_newer(self, mailbox: Mailbox) -> None:
        for wake_up in mailbox:
            await wake_up.give_back(NEWER_SECONDS)
        mailbox.clear()

    async def _renew(self) -> None:
        """Renew the lease on everything that waits or works."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            await renew(self._in_hand())

    def _in_hand(self) -> list[WakeUp]:
        return [*(wake_up for mailbox in self._mailboxes.values() for wake_up in mailbox), *self._aside]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _give_back(wake_ups: list[WakeUp]) -> None:
    for wake_up in wake_ups:
        await wake_up.give_back()


async def _end(turn: TurnProgress, how: End) -> None:
    """Tell whoever reads the drafts what became of them."""
    for draft in turn.drafts:
        await draft.end(how)


def _has(entry: Entry, kind: type[Fact]) -> bool:
    return any(isinstance(fact, kind) for fact in entry.facts)


def _outcome(entry: Entry) -> str:
    """A word for the log and the metrics."""
    for fact in entry.facts:
        match fact:
            case InputRefused():
                return "refused"
            case DecisionFailed():
                return "failed"
            case HandoffRequested():
                return "handed_over"
            case AnswerFailed():
                return "assistant_failed"
            case _:
                pass
    return "answered"
