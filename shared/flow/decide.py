"""What the bot answers: pure, and total for every flow that `flow.parse` accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from shared.contract.conversation import Conversation, Input
from shared.contract.entry import MAX_ENTRY, Entry, EntryTooLarge, encode, needed
from shared.contract.facts import (
    AskedAgain,
    ChoiceAsked,
    ChoiceMade,
    ConditionUntold,
    ConversationEnded,
    ConversationHandedBack,
    ConversationReset,
    ConversationStarted,
    DecisionFailed,
    EditorOpened,
    Fact,
    FlowAdvanced,
    FlowResumed,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    InputRefused,
    TextWritten,
    ThanksHeard,
    TimerFired,
)
from shared.contract.html_text import plain
from shared.contract.left_out import LeftOut, NeedsWords
from shared.contract.visible import is_visible
from shared.flow.considered import Considered
from shared.flow.effects import (
    NO_RESULTS,
    CallService,
    Effect,
    Generate,
    Generated,
    GenerationFailed,
    GoTo,
    HandoffRequest,
    Moment,
    Results,
)
from shared.flow.language.choices import Option, meant
from shared.flow.language.diagnostics import Diagnostic
from shared.flow.language.flow import Flow
from shared.flow.language.patterns import TextMatch
from shared.flow.language.state import ExpectedAnswer, Fallback, FlowState, same
from shared.flow.language.templates import Text, TooLong, template
from shared.flow.language.thanks import only_thanks
from shared.flow.language.values import (
    AMBIGUOUS,
    INVALID,
    MEANINGS,
    Misfit,
    Save,
    captured,
)
from shared.flow.language.words import SaidText, Words, best
from shared.flow.turn import Endless, Needed, TurnBuilder

__all__ = [
    "CallService",
    "Effect",
    "Failure",
    "Generate",
    "Generated",
    "GenerationFailed",
    "GoTo",
    "HandoffRequest",
    "Moment",
    "Refusal",
    "Results",
    "begins",
    "decide",
    "failed",
    "respond",
]

Refusal = Literal[
    "nothing_asked",  # the flow waits for no answer
    "stale_answer",  # the flow waits for the answer to another question
    "unknown_choice",  # the question that is open has no such choice
    "no_transition",  # the flow has no state that takes this answer
    "conversation_ended",  # the flow is over
    "conversation_resolved",  # an operator closed the conversation; a text would reopen it
]
#: How many timers in a row may lead on while nobody does anything: a reminder or ten are enough, and a
#: circle of them would fill the log.
MAX_FIRED: Final = 100

Failure = Literal[
    "endless_flow",  # one input led through more than `MAX_WALK` states, or timers lead round for ever
    "too_large",  # the answer does not fit into one message of the log
]


def respond(
    state: Conversation,
    item: Input,
    flow: Flow,
    moment: Moment,
    results: Results = NO_RESULTS,
    max_entry: int = MAX_ENTRY,
    remarks: list[Diagnostic] | None = None,
    looked: list[Considered] | None = None,
) -> Entry | Effect:
    """The entry that answers ``item``: what `decide` says, if it fits into ``max_entry`` bytes."""
    decided = decide(state, item, flow, moment, results, remarks, looked)
    if not isinstance(decided, tuple):
        return decided
    entry = _entry(item, decided)
    if _fits(entry, max_entry):
        return entry
    answer = _entry(item, tuple(fact for fact in decided if not isinstance(fact, ConditionUntold)))
    return answer if _fits(answer, max_entry) else _entry(item, failed("too_large"))


def _fits(entry: Entry, most: int) -> bool:
    try:
        return len(encode(entry)) <= most
    except (EntryTooLarge, RecursionError):  # the latter: brackets of a backend's answer, nested too deep
        return False


def decide(
    state: Conversation,
    item: Input,
    flow: Flow,
    moment: Moment,
    results: Results = NO_RESULTS,
    remarks: list[Diagnostic] | None = None,
    looked: list[Considered] | None = None,
) -> tuple[Fact, ...] | Effect:
    """The outcome of ``item`` (an answer, a refusal, a handoff, or a failure), or what it takes first.

    ``flow`` is the one that the conversation is bound to (``state.version``); where `begins` says so,
    the one that it shall begin with. ``results`` is what the assistant answered in this turn. What a
    flow's author should hear of (a condition that says neither yes nor no) is added to ``remarks``,
    the rules that were looked at, to ``looked``. Raises `NeedsWords` only where words were left out.
    A timer that means nothing any more has an outcome without facts.
    """
    try:
        return _Decision(state, item, flow, moment, results, remarks, looked).outcome()
    except Needed as needed:
        return needed.need
    except Endless:
        return failed("endless_flow")
    except (TooLong, RecursionError):
        return failed("too_large")


def begins(state: Conversation, item: Input) -> bool:
    """Whether ``item`` begins a flow, so that `decide` takes the one to begin with."""
    match item.fact:
        case ConversationReset():
            return True
        case TextWritten() | ChoiceMade() if state.ownership.ended_by_bot:
            return True
        case _:
            return not state.progress.version


def failed(reason: Failure | str) -> tuple[Fact, ...]:
    """The outcome of an input for which nothing could be decided or stored."""
    return (DecisionFailed(reason=reason),)


class _Decision(TurnBuilder):
    """What the flow does about one input."""

    __slots__ = ()

    def outcome(self) -> tuple[Fact, ...]:
        match self.item.fact:
            case TextWritten() | ChoiceMade() as fact:
                return self._take(fact)
            case ConversationStarted() | ConversationReset():
                return self._begin()
            case ConversationHandedBack(state=wanted):
                return self._watched(self._resume(wanted)) if self.state.progress.version else self._begin()
            case TimerFired(id=id):
                return self._fired(id)
            case _:
                return _refused("nothing_asked")

    def _begin(self) -> tuple[Fact, ...]:
        flow = self.flow
        if self.state.progress.variables:
            self.forget()
        return self._watched(self.walk(flow.first, FlowStarted(flow=flow.name, version=flow.version)))

    # --- answers ------------------------------------------------------------------------------

    def _take(self, fact: TextWritten | ChoiceMade) -> tuple[Fact, ...]:
        """Accept only the answer that the conversation now waits for."""
        state = self.state
        if state.ownership.ended_by_bot:
            return self._begin()
        if state.ownership.status == "resolved":
            if isinstance(fact, ChoiceMade):
                return _refused("conversation_resolved")
            if self._only_thanks(fact.text):
                self.say(self.flow.thanks.say)
                return (ThanksHeard(), *self.effects)
            return (HandoffRequested(queue=state.ownership.queue or "default", reason="reopened"),)
        if state.progress.ended:
            return _refused("conversation_ended")
        place = self._place()
        if place is None or not place.asks:
            return _refused("nothing_asked")
        match place.effect, fact:
            case EditorOpened(session=session), TextWritten() if fact.session == "" or same(
                session, fact.session
            ):
                return self._text(place, str(session), fact.text)
            case ChoiceAsked(group=group, choices=choices), ChoiceMade() if same(group, fact.group):
                if not any(same(choice.item, fact.item) for choice in choices):
                    return _refused("unknown_choice")
                return self._choice(place, str(group), str(fact.item))
            case ChoiceAsked(group=group), TextWritten(session=""):
                return self._named(place, str(group), fact.text)
            case _:
                return _refused("stale_answer")

    def _only_thanks(self, text: str) -> bool:
        """Whether the visitor wants nothing more, soon enough after an operator closed the conversation."""
        thanks, resolved = self.flow.thanks, self.state.ownership.resolved
        seconds = self.moment.thanks if thanks.seconds is None else thanks.seconds
        # Later than the text, if more came since: then what came since reopens, as it should.
        if not resolved or self.state.active - resolved > seconds * 1_000_000_000:
            return False
        if isinstance(text, LeftOut):
            raise NeedsWords("whether the visitor only thanked is told by what they wrote")
        return only_thanks(text, thanks, (self.language, *self.voice.languages))

    def _choice(self, place: FlowState, group: str, item: str) -> tuple[Fact, ...]:
        taken_by = self.flow.answers.get(ExpectedAnswer(group, item, place.scope))
        self.look(place, "choice", item, taken_by is not None, to=taken_by)
        if taken_by is None:
            return _refused("no_transition")
        taker = self.flow.states[taken_by]
        if taker.save is not None:
            self.save(taker.save.name, item if taker.item is None else taker.item)
        return self._walk(taken_by)

    def _named(self, place: FlowState, group: str, text: str) -> tuple[Fact, ...]:
        """A choice by its words, its id or its number, from who has no buttons."""
        self._readable(place, text)
        asked = self.effect(place)
        assert isinstance(asked, ChoiceAsked)
        options = [Option(str(choice.item), plain(choice.text)) for choice in asked.choices]
        found = meant(options, text, self.language)
        if not found:  # a line of the list as it was shown, with the addresses of links
            shown = [Option(str(each.item), plain(each.text, addresses=True)) for each in asked.choices]
            found = meant(shown, text, self.language) if shown != options else ()
        match found:
            case ():
                return self._unmatched(place, "unknown_choice")
            case (index,):
                return self._choice(place, group, options[index].item)
            case several:
                spelt = [f"“{options[index].words.strip()}” (#{index + 1})" for index in several]
                meanings = (", ".join(spelt[:-1]), spelt[-1])
                say = self.flow.ambiguous or template(AMBIGUOUS)
                return self._again(place, "ambiguous", say, self._fallback(place), meanings)

    def _text(self, place: FlowState, session: str, text: str) -> tuple[Fact, ...]:
        takers = self.flow.takers.get(ExpectedAnswer(session, None, place.scope), ())
        shows = is_visible(text)
        surest: tuple[FlowState, ...] | None = None  # of those with words, found out when the first is met
        if isinstance(text, LeftOut) and not shows:  # nobody knows whether there was anything
            self._readable(place, text)
        for taker in takers:
            if taker.match is not None:
                self._readable(taker, text, self.voice.begun.language)
            groups: Mapping[str, str] | None = {} if shows else None  # nothing is no answer
            if taker.match is not None and taker.match.words is not None:
                if surest is None:
                    worded = [(each, each.match.words) for each in takers if each.match and each.match.words]
                    surest = best(worded, SaidText(text, self.language))
                if len(surest) != 1 or surest[0] is not taker:  # of several nobody can tell which is meant
                    self._looked_at(taker, False)
                    continue
            elif taker.match is not None:
                groups = taker.match.takes(text, self.language)
            self._looked_at(taker, groups is not None)
            if groups is not None:
                return self._taken(place, taker, groups, text)
        if place.assistant is not None and shows:
            self._stand(place)
            return self.speak(place)
        return self._unmatched(place, "no_transition")

    def _readable(self, at: FlowState, *words: str) -> None:
        """Raises `NeedsWords` where some of them were left out."""
        if any(isinstance(each, LeftOut) for each in words):
            raise NeedsWords(f'the state "{at.name}" compares what the visitor wrote')

    def _looked_at(self, taker: FlowState, fits: bool) -> None:
        """Whether a state takes the text."""
        if self.looked is None:
            return
        match taker.match:
            case TextMatch(words=Words(options=options)):
                self.look(taker, "words", ", ".join(options), fits, to=taker.name)
            case TextMatch(pattern=pattern):
                self.look(taker, "pattern", pattern.pattern, fits, to=taker.name)
            case _:
                self.look(taker, "text", "", fits, to=taker.name)

    def _taken(
        self, place: FlowState, taker: FlowState, groups: Mapping[str, str], text: str
    ) -> tuple[Fact, ...]:
        if taker.save is not None:
            value = self._captured(taker, taker.save, text)
            if isinstance(value, Misfit):
                if value.reason == "ambiguous":
                    say = taker.ambiguous or template(AMBIGUOUS)
                else:
                    say = taker.invalid or template(INVALID[taker.save.kind])
                return self._again(place, value.reason, say, self._fallback(place), value.meanings)
            self.save(taker.save.name, value)
        for name, found in groups.items():
            self.save(name, found)
        return self._walk(taker.name)

    def _captured(self, taker: FlowState, save: Save, text: str) -> Any:
        """What is kept of the text, or a `Misfit`."""
        if save.kind == "text" and save.least is None and save.most is None:
            return text if isinstance(text, LeftOut) else captured(save, text)
        self._readable(taker, text)
        value = captured(save, text, self.voice.languages)
        why = value.reason if isinstance(value, Misfit) else ""
        self.look(taker, "value", save.kind, not why, why)
        return value

    def _unmatched(self, place: FlowState, refusal: Refusal) -> tuple[Fact, ...]:
        fallback = self._fallback(place)
        if fallback is None:
            return _refused(refusal)
        return self._again(place, "no_match", fallback.say, fallback)

    def _again(
        self,
        place: FlowState,
        reason: str,
        say: Text | None,
        fallback: Fallback | None,
        meanings: tuple[str, ...] = (),
    ) -> tuple[Fact, ...]:
        """Ask once more, or give it up. ``meanings`` are what an answer that is not clear may mean."""
        tries = self.state.progress.tries + 1
        if fallback is not None:
            more = fallback.next is None or tries <= fallback.times
            self.look(
                place, "tries", f"{tries} of {fallback.times}", more, to=None if more else fallback.next
            )
        if fallback is not None and fallback.next is not None and tries > fallback.times:
            return self._walk(fallback.next)
        self.effects.append(AskedAgain(reason=reason, tries=tries))
        self.say(say, **dict(zip(MEANINGS, meanings, strict=False)))
        self.effects.append(self.effect(place))
        return (*self.effects, *self.timers(place))

    def _fallback(self, place: FlowState) -> Fallback | None:
        return place.fallback or (None if place.assistant else self.flow.fallback)

    # --- after a person, after a time ---------------------------------------------------------

    def _resume(self, wanted: str | None) -> tuple[Fact, ...]:
        """After a handback: from the state the operator named, else from where the flow was."""
        if wanted is not None and wanted in self.flow.states:
            return self._walk(wanted, FlowResumed())
        if self.state.progress.ended:
            return (FlowResumed(), FlowAdvanced(path=(), ended=True))
        place = self._place() or self.flow.states[self.flow.first]
        asked_for = place.desk or (place.assistant.desk if place.assistant else None)
        if asked_for is not None:
            self.say(asked_for.back)
        if place.desk is None and not (place.assistant and place.assistant.once):
            return self._walk(place.name, FlowResumed())  # a question is asked again
        self._stand(place)
        return self.walk(self.onward(place), FlowResumed())

    def _fired(self, id: str) -> tuple[Fact, ...]:
        purpose, _, rest = id.partition(":")
        if purpose == "inactivity":
            return self._silent_for_long()
        if self.state.timers.fired > MAX_FIRED:
            return failed("endless_flow")
        place = self._place()
        number = rest.partition(":")[2]
        if (
            purpose != "after"
            or place is None
            or not place.waits
            or self.state.progress.ended
            or not number.isdecimal()
        ):
            return ()
        if self.state.ownership.owner == "queue" and place.desk is None:
            return ()  # nobody waits for the flow's question
        for timer in place.after[int(number) : int(number) + 1]:
            self.say(timer.say)
            if timer.next is None:
                return tuple(self.effects)
            withdrawn = (HandoffWithdrawn(),) if self.state.ownership.owner == "queue" else ()
            return self._walk(timer.next, *withdrawn)
        return ()

    def _silent_for_long(self) -> tuple[Fact, ...]:
        limit = self._inactivity()
        if not limit or self.state.ownership.status == "resolved":
            return ()
        left = limit - (self.moment.now - self.state.active)
        if self.state.ownership.waiting and left <= 0:  # who waits for us has not gone
            left = limit
        if left > 0:
            return (self.timer("inactivity", left),)
        return (ConversationEnded(reason="inactivity"),)

    def _watched(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        """Let the conversation end some time after its last word."""
        limit = self._inactivity()
        if not limit or any(timer.purpose == "inactivity" for timer in self.state.timers.armed):
            return facts
        return (*facts, self.timer("inactivity", limit))

    def _inactivity(self) -> int:
        """Nanoseconds; 0 for never."""
        seconds = self.moment.inactivity if self.flow.inactivity is None else self.flow.inactivity
        return seconds * 1_000_000_000

    # --- places -------------------------------------------------------------------------------

    def _place(self) -> FlowState | None:
        return None if self.state.progress.place is None else self.flow.states.get(self.state.progress.place)

    def _walk(self, start: str, *before: Fact) -> tuple[Fact, ...]:
        """From where the conversation stands to ``start``, which may be outside its sub-flow."""
        if self.state.progress.stack:
            self._stand(self.flow.states[start])
        return self.walk(start, *before)

    def _stand(self, at: FlowState) -> None:
        """The calls that brought the conversation into the sub-flow of ``at``, if it is there."""
        place = self._place()
        if place is not None and place.scope == at.scope:
            self.stack = list(self.state.progress.stack)


def _refused(reason: Refusal) -> tuple[Fact, ...]:
    return (InputRefused(reason=reason),)


def _entry(item: Input, facts: tuple[Fact, ...]) -> Entry:
    return Entry(id=str(item.position), cause=item.position, needs=needed(facts), facts=facts)
