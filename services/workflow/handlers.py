"""From a delivery to an outcome: catch up, decide, append, acknowledge.

A delivery is only a wake-up and a lease. Each conversation has a lane, in which the OLDEST
unanswered input is decided first; a delivery is acknowledged when its own input has an outcome,
whoever gave it. The expectation on the conversation's last position fences off whoever decided on
less than all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from time import perf_counter

import structlog
from nats.aio.msg import Msg
from prometheus_client import Counter, Histogram

from services.workflow.domain.decide import failed, respond
from services.workflow.flows_at_hand import Flows
from services.workflow.folds import Folds
from shared.contract.conversation import Conversation, Input
from shared.contract.entry import LEVEL, MAX_ENTRY, Entry, Recorded
from shared.contract.facts import ConversationReset, DecisionFailed, HandoffRequested, InputRefused
from shared.contract.subjects import address
from shared.runtime.follower import Follower
from shared.runtime.log import Conflict, Full, Log, LogError, Unreachable
from shared.runtime.vitals import Vitals

log = structlog.get_logger()

#: How often the lease on everything in hand is renewed (seconds); `ack_wait` is 5.
RENEW_SECONDS = 2.0
#: How long to pause when the log cannot be reached or has no room (seconds).
PAUSE_SECONDS = 0.5
#: How long an input that only a newer program may decide is left to another replica (seconds).
NEWER_SECONDS = 5.0

#: Called at the named points of a turn; tests hold or die there. The product does nothing.
FaultPoint = Callable[[str, str], Awaitable[None]]


async def no_fault(point: str, conversation: str) -> None:
    """The product's fault point: none."""


class Delivery:
    """One wake-up: a message of the durable consumer that is not acknowledged yet."""

    __slots__ = ("count", "message", "position")

    def __init__(self, message: Msg) -> None:
        metadata = message.metadata
        self.message = message
        self.position: int = metadata.sequence.stream
        self.count: int = metadata.num_delivered or 1


class Workflow:
    """Many lanes at once, one for each conversation with something to do."""

    def __init__(
        self,
        stream: Log,
        follower: Follower,
        folds: Folds,
        flows: Flows,
        vitals: Vitals,
        max_deliveries: int,
        max_entry: int = MAX_ENTRY,
        fault: FaultPoint = no_fault,
    ) -> None:
        self._log = stream
        self._follower = follower
        self._folds = folds
        self._flows = flows
        self._max_deliveries = max_deliveries
        self._max_entry = max_entry
        self._fault = fault
        self._lanes: dict[str, dict[int, Delivery]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._renewer = asyncio.create_task(self._renew())
        self._outcomes = Counter(
            "switchboard_outcomes_total", "Outcomes by kind", ["outcome"], registry=vitals.registry
        )
        self._seconds = Histogram(
            "switchboard_decide_seconds", "From a delivery to its stored outcome", registry=vitals.registry
        )

    async def handle(self, message: Msg) -> None:
        """Take a delivery into its conversation's lane; never waits."""
        delivery = Delivery(message)
        conversation = address(message.subject).conversation
        lane = self._lanes.get(conversation)
        if lane is None:
            self._lanes[conversation] = {delivery.position: delivery}
            task = asyncio.create_task(self._work(conversation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            lane[delivery.position] = delivery

    def forget(self) -> None:
        """The log is another: what was folded and what is in hand belong to the old one.

        A lane would wait for positions that the new log may never reach. What the new one has
        unanswered is delivered anew.
        """
        self._folds.forget()
        for lane in self._lanes.values():
            lane.clear()

    async def stop(self, seconds: float) -> None:
        """Finish what is in hand, at most for so long; give the rest back at once."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        self._renewer.cancel()
        for lane in self._lanes.values():
            for delivery in lane.values():
                with contextlib.suppress(Exception):
                    await delivery.message.nak()

    async def _work(self, conversation: str) -> None:
        """Run one lane until it is empty."""
        lane = self._lanes[conversation]
        while lane and not self._stopping:
            started = perf_counter()
            try:
                await self._turn(conversation, lane, started)
            except (Unreachable, Full) as error:
                log.warning("turn_waits", conversation=conversation, error=str(error))
                await asyncio.sleep(PAUSE_SECONDS)
            except LogError as error:  # unknown, or refused: look at the log again, then decide anew
                log.warning("turn_again", conversation=conversation, error=str(error))
                await asyncio.sleep(PAUSE_SECONDS / 10)
            except Exception:
                log.exception("turn_failed", conversation=conversation)
                await asyncio.sleep(PAUSE_SECONDS)
        if not lane:
            del self._lanes[conversation]

    async def _turn(self, conversation: str, lane: dict[int, Delivery], started: float) -> None:
        """Catch up, acknowledge what has its outcome, decide the oldest input that has none."""
        await self._follower.reached(max(lane))
        state = await self._folds.complete(self._log, conversation)
        await self._fault("after_fetch", conversation)
        if state.needs > LEVEL:
            await self._leave_to_newer(lane)
            return
        # Only what the fold has reached: more may have entered the lane while the fold was loaded.
        folded = [position for position in lane if position <= state.position]
        for position in folded:
            if not state.owes(position):
                await lane.pop(position).message.ack()
        if not state.unanswered or not lane:
            return
        item = state.unanswered[0]
        entry = await self._decide(state, item, lane)
        await self._fault("before_append", conversation)
        try:
            position = await self._log.append(conversation, "bot", entry, expect=state.position)
        except Conflict:
            # Somebody was quicker, or we were and did not hear of it: the fold will tell.
            await self._follower.reached(await self._log.last(conversation))
            return
        await self._fault("after_append", conversation)
        self._folds.advance(conversation, _as_recorded(conversation, position, entry))
        if (delivery := lane.pop(item.position, None)) is not None:
            await delivery.message.ack()
        duration = perf_counter() - started
        outcome = _outcome(entry)
        self._outcomes.labels(outcome).inc()
        self._seconds.observe(duration)
        log.info(
            "decided",
            conversation=conversation,
            position=item.position,
            outcome=outcome,
            ms=round(duration * 1000, 2),
        )

    async def _decide(self, state: Conversation, item: Input, lane: dict[int, Delivery]) -> Entry:
        delivery = lane.get(item.position)
        # Where older replicas had to leave it to us, how often they gave it back says nothing.
        if state.needs == 1 and delivery is not None and delivery.count > self._max_deliveries:
            return _failure(item, "too_many_deliveries")
        begins = not state.version or isinstance(item.fact, ConversationReset)
        flow = (
            self._flows.current if begins else await self._flows.bound(self._log, state.flow, state.version)
        )
        if flow is None:
            return _failure(item, "flow_missing")
        try:
            return respond(state, item, flow, self._max_entry)
        except Exception:  # deciding is pure: what fails once fails always
            log.exception("decide_failed", position=item.position)
            return _failure(item, "internal")

    async def _leave_to_newer(self, lane: dict[int, Delivery]) -> None:
        for position in list(lane):
            await lane.pop(position).message.nak(delay=NEWER_SECONDS)

    async def _renew(self) -> None:
        """Renew the lease on everything that waits or works."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            for lane in list(self._lanes.values()):
                for delivery in list(lane.values()):
                    with contextlib.suppress(Exception):
                        await delivery.message.in_progress()


def _failure(item: Input, reason: str) -> Entry:
    return Entry(id=str(item.position), cause=item.position, facts=failed(reason))


def _as_recorded(conversation: str, position: int, entry: Entry) -> Recorded:
    return Recorded(
        position=position,
        conversation=conversation,
        author="bot",
        time=0,  # the fold does not read it
        id=entry.id,
        cause=entry.cause,
        needs=entry.needs,
        facts=entry.facts,
    )


def _outcome(entry: Entry) -> str:
    for fact in entry.facts:
        match fact:
            case InputRefused():
                return "refused"
            case DecisionFailed():
                return "failed"
            case HandoffRequested():
                return "handed_over"
            case _:
                pass
    return "answered"
