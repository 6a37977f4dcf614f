"""A conversation in memory: the same fold and the same decisions as on the log, without the log. Pure.

What it appends is what the workflow would append to the same inputs, entry by entry; time passes only
when it is told to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from shared.contract.conversation import NEW, Conversation, Timer, step
from shared.contract.entry import Entry, RecordedEntry, needed
from shared.contract.facts import (
    AnswerStarted,
    Author,
    ConversationStarted,
    Fact,
    ServiceAnswered,
    TimerArmed,
    TimerFired,
)
from shared.contract.queue_figures import OTHER_QUEUES, QueueFigures
from shared.flow.decide import Moment, begins, failed, respond
from shared.flow.effects import CallService, Effect, Generate, Generated, GenerationFailed
from shared.flow.language.diagnostics import Diagnostic
from shared.flow.language.flow import Flow
from shared.timestamps import format_time, parse_time

SECOND: Final = 1_000_000_000
#: After so many seconds an answer of the assistant counts as stuck, where nothing else is said.
TURN_SECONDS: Final = 30
#: Why the assistant does not speak where none is configured: it is not even asked then.
NOT_CONFIGURED: Final = "not_configured"


class RehearsalError(Exception):
    """What was asked is out of turn; the text says what is waited for."""


class Mark(NamedTuple):
    """A point to come back to."""

    state: Conversation
    entries: int
    now: int
    need: Effect | None
    results: dict[str, Generated | GenerationFailed]


class Simulator:
    """One conversation with a flow. Each call gives the bot's facts that took effect by it.

    ``now`` in nanoseconds since 1970; ``operators`` how many people are present, -1 for unknown.
    ``need`` is what the bot waits for before it can answer: `served` or `spoke` gives it.
    """

    def __init__(
        self,
        flow: Flow,
        *,
        now: int,
        conversation: str = "rehearsal",
        operators: int = -1,
        inactivity: int = 0,
        turn_seconds: int = TURN_SECONDS,
    ) -> None:
        self.flow = flow
        self.now = now
        self.operators = operators
        self.state = NEW
        self.entries: list[RecordedEntry] = []
        self.need: Effect | None = None
        self.remarks: list[Diagnostic] = []
        self._conversation = conversation
        self._inactivity = inactivity
        self._turn_seconds = turn_seconds
        self._results: dict[str, Generated | GenerationFailed] = {}

    # --- what happens to the bot ------------------------------------------------------------------

    def begin(self, language: str = "", door: str = "rehearsal") -> tuple[Fact, ...]:
        """A visitor comes."""
        return self.visitor(ConversationStarted(door=door, language=language))

    def visitor(self, fact: Fact) -> tuple[Fact, ...]:
        """The visitor does something. Raises `RehearsalError` while the bot waits for `need`."""
        self._free()
        self._append("visitor", Entry(id=f"v{self._next}", needs=needed((fact,)), facts=(fact,)))
        return tuple(self._work())

    def operator(self, fact: Fact) -> tuple[Fact, ...]:
        """An operator does something, also while the bot waits for `need`: that is then dropped."""
        self._append("operator", Entry(id=f"o{self._next}", facts=(fact,)))
        if self.need is not None and not self.state.inbox.unanswered:
            self._over()
        return () if self.need is not None else tuple(self._work())

    def served(self, value: object = None, failure: str = "") -> tuple[Fact, ...]:
        """The backend that `need` asks answers, or fails. Raises `RehearsalError`."""
        if not isinstance(self.need, CallService):
            raise RehearsalError("no backend is asked now.")
        cause, state = self.state.inbox.unanswered[0].position, self.need.state
        answered = ServiceAnswered(cause=cause, state=state, value=value, failure=failure)
        self.need = None
        self._interim(f"service:{cause}:{state}", answered)
        return (answered, *self._work())

    def spoke(self, result: Generated | GenerationFailed) -> tuple[Fact, ...]:
        """The assistant that `need` asks has answered, or could not. Raises `RehearsalError`."""
        if not isinstance(self.need, Generate):
            raise RehearsalError("the assistant is not asked now.")
        cause, attempt = self.state.inbox.unanswered[0].position, self.state.answer.attempts
        if not (isinstance(result, GenerationFailed) and result.reason == NOT_CONFIGURED):
            attempt += 1
            self._interim(
                f"answer:{cause}:{attempt}",
                AnswerStarted(cause=cause, attempt=attempt),
                TimerArmed(id=f"turn:{cause}", at=format_time(self.now + self._turn_seconds * SECOND)),
            )
        self._results[self.need.state] = replace(result, attempt=attempt)
        self.need = None
        return tuple(self._work())

    def wait(self, seconds: float) -> tuple[Fact, ...]:
        """Time passes; timers that are due fire. It stops where one of them needs something."""
        self._free()
        end = self.now + int(seconds * SECOND)
        heard: list[Fact] = []
        while self.need is None and (timer := self.due) is not None and parse_time(timer.at) <= end:
            self.now = max(self.now, parse_time(timer.at))
            heard += self.fire(timer)
        if self.need is None:
            self.now = max(self.now, end)
        return tuple(heard)

    def fire(self, timer: Timer) -> tuple[Fact, ...]:
        """An armed timer fires now."""
        fired = TimerFired(id=timer.id)
        facts = self._interim(f"timer:{timer.id}:{timer.at}", fired)
        return (*facts, *self._work())

    # --- what can be seen -------------------------------------------------------------------------

    @property
    def due(self) -> Timer | None:
        """The armed timer that fires next."""
        return min(self.state.timers.armed, key=lambda timer: parse_time(timer.at), default=None)

    def mark(self) -> Mark:
        return Mark(self.state, len(self.entries), self.now, self.need, dict(self._results))

    def back_to(self, mark: Mark) -> None:
        """As if nothing had happened since."""
        self.state, self.now, self.need = mark.state, mark.now, mark.need
        self._results = dict(mark.results)
        del self.entries[mark.entries :]

    # --- how it goes on ---------------------------------------------------------------------------

    @property
    def _next(self) -> int:
        return self.state.position + 1

    def _free(self) -> None:
        match self.need:
            case CallService(state=state):
                raise RehearsalError(f'the backend that "{state}" asks has not answered yet.')
            case Generate(state=state):
                raise RehearsalError(f'the assistant of "{state}" has not spoken yet.')
            case None:
                return

    def _over(self) -> None:
        self.need = None
        self._results = {}

    def _work(self) -> Iterator[Fact]:
        """Decide the oldest input without outcome, until there is none or something is needed."""
        while self.state.inbox.unanswered:
            item = self.state.inbox.unanswered[0]
            moment = Moment(self.now, self.operators, self._inactivity, self._queues)
            if not begins(self.state, item) and self.state.progress.version != self.flow.version:
                decided: Entry | Effect = Entry(
                    id=str(item.position), cause=item.position, facts=failed("flow_missing")
                )
            else:
                decided = respond(self.state, item, self.flow, moment, self._results, remarks=self.remarks)
            if not isinstance(decided, Entry):
                self.need = decided
                return
            yield from self._append("bot", decided)
            self._over()

    @property
    def _queues(self) -> dict[str, QueueFigures]:
        """Whoever is there could take something, and nobody waits before."""
        if self.operators < 0:
            return {}
        return {OTHER_QUEUES: QueueFigures(self.operators > 0, 0)}

    def _interim(self, id: str, *facts: Fact) -> tuple[Fact, ...]:
        return self._append("bot", Entry(id=id, needs=needed(facts), facts=facts))

    def _append(self, author: Author, entry: Entry) -> tuple[Fact, ...]:
        recorded = RecordedEntry(
            position=self._next,
            conversation=self._conversation,
            author=author,
            time=self.now,
            id=entry.id,
            cause=entry.cause,
            needs=entry.needs,
            facts=entry.facts,
        )
        self.entries.append(recorded)
        self.state, facts = step(self.state, recorded)
        return facts
