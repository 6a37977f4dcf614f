"""From a wake-up to an outcome: decide, append, have the timers scheduled.

The workflow is a `DurableWorker`: each conversation has a mailbox, in which the OLDEST unanswered input is
decided first; a wake-up is acknowledged when its own input has an outcome, whoever gave it, and the server
has a schedule for each timer. The expectation on the conversation's last position fences off whoever
decided on less than all of it.

A decision may need something first: a backend's answer, or the assistant's. Only the holder of the
input's lease asks for it; what it hears is kept until the input has its outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from time import perf_counter, time_ns

import structlog
from msgspec.structs import replace
from nats.aio.msg import Msg
from prometheus_client import Counter, Histogram

from services.workflow.decision import Decision
from services.workflow.drafts import End
from services.workflow.effect_runner import EffectRunner
from services.workflow.failpoints import FaultPoint, no_fault
from services.workflow.mailboxes import Firing, TurnMailbox, TurnProgress, done
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
from shared.eventlog.meters import WorkMeter
from shared.eventlog.worker import DurableWorker
from shared.service.health import Health
from shared.timestamps import parse_time

log = structlog.get_logger()

#: How long to leave an input that needs something to whoever holds its lease (seconds): longer than a
#: backend may take, and then a lease. Past that, nobody holds one.
ABANDONED_SECONDS = 35.0
#: The flows' states that the metric of untold conditions tells apart; all further ones are "other".
MAX_UNTOLD_STATES = 200
#: The bounds of `switchboard_turn_seconds`: a scripted answer takes milliseconds, an assistant's seconds.
TURN_BOUNDS = (*(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5), *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0))
LATENESS_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
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
    """What is done for each conversation with something in hand."""

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
        self.worker: DurableWorker[TurnMailbox, Conversation] = DurableWorker(
            *(repository.log, repository.subscription, repository, self._turn, done, TurnMailbox),
            meter=WorkMeter(health.registry),
        )
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
        self._dropped = Counter(
            "switchboard_outcomes_dropped_total",
            "Outcomes that were stored and took no effect: a fault, and the log names the conversation",
            registry=health.registry,
        )
        self._lateness = Histogram(
            "switchboard_timer_delay_seconds",
            "From the time for which a timer was armed until it took effect, by this machine's clock",
            registry=health.registry,
            buckets=LATENESS_BOUNDS,
        )
        turns = Histogram(
            "switchboard_turn_seconds",
            "From the stored time of a visitor's input until its outcome was stored, by this machine's "
            "clock, without failures. asked: whether a backend or the assistant was asked for it",
            ["asked"],
            registry=health.registry,
            buckets=TURN_BOUNDS,
        )
        self._turns = {asked: turns.labels(word) for asked, word in ((False, "no"), (True, "yes"))}
        self._seconds = Histogram(
            "switchboard_decide_seconds",
            "From a wake-up to the stored outcome, where nothing outside was asked",
            registry=health.registry,
        )

    def handle(self, message: Msg) -> None:
        """Take a delivery into its conversation's mailbox; never waits."""
        self.worker.deliver(message)

    def handle_firing(self, message: Msg) -> None:
        """Take a timer that is due into its conversation's mailbox; never waits."""
        firing = Firing(message)
        if firing.timer.startswith("turn:"):  # its mailbox may be what is stuck
            self.worker.beside(firing, self._unstick(firing))
        else:
            self.worker.take(firing.conversation, firing)

    def forget(self) -> None:
        """The log is another: what was folded and what is in hand belong to the old one."""
        self.worker.forget()
        self._schedules.forget()
        self._repository.folds.forget()

    async def stop(self, seconds: float) -> None:
        """Finish what is in hand, at most for so long; give the rest back at once."""
        await self.worker.stop(seconds)

    async def _turn(self, mailbox: TurnMailbox, state: Conversation) -> Conversation | None:
        """One step: let timers take effect, decide the oldest input, have the timers scheduled."""
        await self._fault("after_fetch", mailbox.key)
        if state.needs > LEVEL:
            await self.worker.give_back(mailbox, NEWER_SECONDS)
            return None
        if mailbox.others:
            state = await self._fire(mailbox, state)
        if mailbox.waits_for(state):
            state = await self._answer(mailbox, state, state.inbox.unanswered[0])
        await self._schedule(mailbox, state)
        return state

    async def _fire(self, mailbox: TurnMailbox, state: Conversation) -> Conversation:
        """What is due and still armed takes effect: from here on its outcome is owed, like an input's."""
        for firing in list(mailbox.firings):
            if firing.caught_up and firing.armed(state):
                entry = interim(f"timer:{firing.timer}:{firing.at}", TimerFired(id=firing.timer))
                await self._fault("before_fire", mailbox.key)
                state = await self._repository.append(mailbox.key, entry, state)
                await self._fault("after_fire", mailbox.key)
                self._fired.labels(firing.timer.partition(":")[0]).inc()
                self._lateness.observe(_seconds_since(parse_time(firing.at)))
        return state

    async def _answer(self, mailbox: TurnMailbox, state: Conversation, item: Input) -> Conversation:
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
        decided = await self._deciding.decide(mailbox.key, state, item, turn, lease)
        if isinstance(decided, Entry):
            return await self._commit(mailbox, state, item, turn, decided)
        if lease is not None or (turn.waited > ABANDONED_SECONDS and state.answer.generating is None):
            return await self._asking.perform(mailbox, state, item, turn, decided)
        await self._leave_to_holder(mailbox, state, item, turn)
        return state

    async def _schedule(self, mailbox: TurnMailbox, state: Conversation) -> None:
        """Have the timers scheduled: before this, nothing is acknowledged that armed them."""
        if mailbox.turn is not None and not state.inbox.owes(mailbox.turn.cause):
            await _end(mailbox.turn, "interrupted")
            mailbox.turn = None
        armed = state.timers.armed
        if armed and (mailbox.redelivered or not self._schedules.known(mailbox.key, armed)):
            await self._schedules.publish(mailbox.key, armed, anew=mailbox.redelivered)
            mailbox.redelivered = False

    async def _commit(
        self, mailbox: TurnMailbox, state: Conversation, item: Input, turn: TurnProgress, entry: Entry
    ) -> Conversation:
        if not entry.facts and state.ownership.owner == "operator" and isinstance(item.fact, TimerFired):
            # The fold lets the bot through now only with what says nothing; that it fired says nothing.
            entry = replace(entry, facts=(item.fact,))
        await self._fault("before_append", mailbox.key)
        state = await self._repository.append(mailbox.key, entry, state)
        await self._fault("after_append", mailbox.key)
        if state.inbox.owes(item.position):  # it may not speak now: a rule of the fold that deciding missed
            log.error("outcome_dropped", conversation=mailbox.key, position=item.position)
            self._dropped.inc()
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
        wake_up = mailbox.lease(item)
        if wake_up is not None and outcome != "failed" and not isinstance(item.fact, TimerFired):
            self._turns[bool(turn.performed)].observe(_seconds_since(wake_up.time))
        log.info(
            "decided",
            conversation=mailbox.key,
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
        self, mailbox: TurnMailbox, state: Conversation, item: Input, turn: TurnProgress
    ) -> None:
        """Another replica holds the lease on ``item``: wait for what it says, or for the lease."""
        await self._schedule(mailbox, state)
        await self.worker.acknowledge(mailbox, state)
        mailbox.woken.clear()
        started = perf_counter()

        def look(changed: Conversation) -> None:
            mailbox.woken.set()

        with self._repository.folds.watching(mailbox.key, look):
            now = await self._repository.fold(mailbox.key)
            if now.position == state.position and mailbox.lease(item) is None and not self.worker.stopping:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ABANDONED_SECONDS):
                        await mailbox.woken.wait()
        turn.waited += perf_counter() - started

    async def _unstick(self, firing: Firing) -> None:
        """Beside the mailbox, which may be what is stuck."""
        if await self._stuck.look(firing):
            self._fired.labels("turn").inc()
            self._outcomes["failed"].inc()


def _seconds_since(time: int) -> float:
    """``time`` in nanoseconds since 1970. Clocks differ: never below 0."""
    return max(time_ns() - time, 0) / 1_000_000_000


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
