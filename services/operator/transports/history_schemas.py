"""What the routes about a conversation's history give, as JSON. Times are RFC 3339, UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import msgspec
from msgspec import Meta

from services.operator.domain.history import HistoryState, HistoryStep, VariableThen, brief, variables
from services.operator.history import HistoryPlace
from services.operator.transports.desk_schemas import Time
from services.operator.transports.schemas import TranscriptLine, transcript_line
from shared.contract.conversation import Owner, Status
from shared.contract.facts import Author, FlowAdvanced
from shared.timestamps import format_time

if TYPE_CHECKING:
    from shared.flow.considered import Considered
    from shared.flow.retrace import Retraced

#: The most rules of one decision that are given, and how much of each value (bytes of JSON).
MAX_RULES: Final = 200
MAX_VALUE: Final = 300

Position = Annotated[int, Meta(examples=[17])]


class HistoryEntry(msgspec.Struct, kw_only=True):
    """An entry of the log. ``number`` counts the conversation's from 1; ``facts`` are the kinds in it that
    took effect, or all of them where none did.
    """

    number: Annotated[int, Meta(examples=[4])]
    position: Position
    time: Time
    author: Author
    facts: Annotated[list[str], Meta(examples=[["VariableSaved", "FlowAdvanced", "BotSaid"]])]


class HistoryPage(msgspec.Struct, kw_only=True):
    """``total`` is how many there are. The next page begins with the number behind the last here."""

    total: Annotated[int, Meta(examples=[6])]
    entries: list[HistoryEntry]


class TimerThen(msgspec.Struct):
    """A timer that would fire at that time, if nothing happened before."""

    id: Annotated[str, Meta(examples=["after:17:0"])]
    at: Time


class StateThen(msgspec.Struct, kw_only=True):
    """How the conversation stood. ``place`` is the flow's state, ``stack`` what called the sub-flows it is
    in; ``tries`` how many answers in a row did not fit; ``started_over`` how often the visitor had begun
    anew; ``unanswered`` the positions of what the bot owes an answer.
    """

    flow: Annotated[str, Meta(examples=["default"])]
    version: Annotated[str, Meta(examples=["0123456789abcdef0123456789abcdef"])]
    place: Annotated[str | None, Meta(examples=["adult"])]
    ended: bool
    stack: list[str]
    tries: int
    owner: Owner
    operator: str
    operator_name: str
    queue: str
    status: Status
    waiting_since: Time | None
    started_over: int
    unanswered: list[int]
    timers: list[TimerThen]


class RuleThen(msgspec.Struct, kw_only=True):
    """A rule of the flow that was looked at: `condition` (a branch), `otherwise` (no branch held), `choice`,
    `words`, `pattern` and `text` (whether a state takes the visitor's text), `value` (whether it is a number,
    a date), `tries`, `backend`, `assistant`, `people` (whether an operator was there, or that was not known).

    ``text`` is how it stands in the flow. ``holds`` is null where nobody can tell, which counts as no;
    ``why`` says why not. ``values`` are what it looked at, as JSON, cut where that is long. ``to`` is the
    state that it leads to.
    """

    state: Annotated[str, Meta(examples=["got"])]
    rule: Annotated[str, Meta(examples=["condition"])]
    text: Annotated[str, Meta(examples=["age >= 18"])]
    holds: bool | None
    why: str
    values: Annotated[dict[str, str], Meta(examples=[{"age": "21"}])]
    to: Annotated[str | None, Meta(examples=["adult"])]


class Explanation(msgspec.Struct, kw_only=True):
    """Why the bot did what the entry says: the decision, made again from the log.

    ``answers`` is the position of what it answers, ``path`` the states that the flow went through, ``rules``
    what it looked at, in that order; ``more`` is how many rules are left away. ``verdict``: `same`, the
    decision comes out as recorded, so this is why; `other`, it does not in this version of the program, and
    ``why`` says what differs; `untold`, nobody can tell, since the words or the flow are missing; `own`, the
    service decided without the flow, after long silence or a failure.
    """

    answers: Position
    place: Annotated[str | None, Meta(examples=["ask"])]
    verdict: Annotated[str, Meta(examples=["same"])]
    why: str
    path: Annotated[list[str], Meta(examples=[["got", "adult"]])]
    rules: list[RuleThen]
    more: int


class HistoryPoint(HistoryEntry, kw_only=True):
    """A conversation behind one of its entries. ``previous`` and ``next`` are the positions beside it.

    ``changed`` names what this entry changed in ``state``; ``lines`` are what it added to the transcript.
    ``explanation`` is null where the bot decided nothing.
    """

    conversation: str
    total: Annotated[int, Meta(examples=[6])]
    previous: Annotated[int | None, Meta(examples=[12])]
    next: Annotated[int | None, Meta(examples=[21])]
    lines: list[TranscriptLine]
    state: StateThen
    changed: Annotated[list[str], Meta(examples=[["place"]])]
    variables: list[VariableThen]
    explanation: Explanation | None


def history_entry(step: HistoryStep, number: int) -> HistoryEntry:
    return HistoryEntry(**_entry(step, number))


def history_point(place: HistoryPlace, explained: Retraced | None) -> HistoryPoint:
    step = place.step
    before, after = state_then(step.before), state_then(step.after)
    return HistoryPoint(
        **_entry(step, place.number),
        conversation=step.entry.conversation,
        total=place.total,
        previous=place.previous,
        next=place.next,
        lines=[transcript_line(line) for line in step.lines],
        state=after,
        changed=[name for name in after.__struct_fields__ if getattr(before, name) != getattr(after, name)],
        variables=variables(step),
        explanation=None if explained is None else _explanation(step, explained),
    )


def state_then(state: HistoryState) -> StateThen:
    found = state.conversation
    progress, ownership = found.progress, found.ownership
    return StateThen(
        flow=progress.flow,
        version=progress.version,
        place=progress.place,
        ended=progress.ended,
        stack=list(progress.stack),
        tries=progress.tries,
        owner=ownership.owner,
        operator=ownership.operator,
        operator_name=str(ownership.operator_name),  # JSON has no text that was left out
        queue=ownership.queue,
        status=ownership.status,
        waiting_since=format_time(ownership.waiting) if ownership.waiting else None,
        started_over=found.visit.session,
        unanswered=[item.position for item in found.inbox.unanswered],
        timers=[TimerThen(timer.id, timer.at) for timer in found.timers.armed],
    )


def _entry(step: HistoryStep, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "position": step.entry.position,
        "time": format_time(step.entry.time),
        "author": cast(Author, step.entry.author),
        "facts": [type(fact).__name__ for fact in step.facts or step.entry.facts],
    }


def _explanation(step: HistoryStep, found: Retraced) -> Explanation:
    return Explanation(
        answers=found.cause,
        place=found.place,
        verdict=found.verdict,
        why=found.why,
        path=[name for fact in step.facts if isinstance(fact, FlowAdvanced) for name in fact.path],
        rules=[_rule(each) for each in found.looked[:MAX_RULES]],
        more=max(0, len(found.looked) - MAX_RULES),
    )


def _rule(each: Considered) -> RuleThen:
    return RuleThen(
        state=each.state,
        rule=each.rule,
        text=each.text,
        holds=each.holds,
        why=each.why,
        values={name: brief(value, MAX_VALUE) for name, value in each.values.items()},
        to=each.to,
    )
