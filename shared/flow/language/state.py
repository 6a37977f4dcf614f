"""One state of a flow, as it is at load: everything split, compiled and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from shared.contract.facts import (
    BotSaid,
    Choice,
    ChoiceAsked,
    EditorClosed,
    EditorOpened,
    FlowId,
    HandoffRequested,
)
from shared.flow.language.conditions import Condition
from shared.flow.language.patterns import TextMatch
from shared.flow.language.templates import Json, Text, Voice, plain, texts_of
from shared.flow.language.values import Save

Effect = BotSaid | ChoiceAsked | EditorOpened | EditorClosed | HandoffRequested

#: Browsers read larger numbers inexactly: the answer would come back with another id.
_MAX_ID: Final = 2**53 - 1


class ExpectedAnswer(NamedTuple):
    """What a visitor may answer, ids as text. ``item`` is None for a text in the editor ``asked``.

    ``scope`` is the sub-flow that asks, "" for the flow itself: ids of one do not meet those of another.
    """

    asked: str
    item: str | None = None
    scope: str = ""


class Branch(msgspec.Struct, frozen=True):
    """Where the flow goes on if the condition holds."""

    when: Condition
    next: str


class AfterSilence(msgspec.Struct, frozen=True):
    """What happens when nothing has happened for so many seconds. ``next`` None: the flow stays."""

    seconds: int
    say: Text | None = None
    next: str | None = None


class Fallback(msgspec.Struct, frozen=True):
    """What happens to a text that nothing matches: asked again so many times, then on to ``next``."""

    say: Text | None = None
    times: int = 2
    next: str | None = None


class Nobody(msgspec.Struct, frozen=True):
    """What happens to a handoff while no operator is there. ``next`` None: the visitor waits all the same."""

    say: Text | None = None
    next: str | None = None


class HandoffSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A handoff. ``waiting`` is said when the wait begins, ``back`` after the handback."""

    queue: str
    reason: Text
    waiting: Text | None = None
    nobody: Nobody | None = None
    back: Text | None = None

    @property
    def greetings(self) -> Iterator[Text]:
        """What may be said when the wait begins: it may name the place in line."""
        return _present(self.waiting, self.nobody.say if self.nobody else None)

    @property
    def texts(self) -> Iterator[Text]:
        return _present(self.reason, self.waiting, self.nobody.say if self.nobody else None, self.back)


class ServiceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a backend, at ``url`` or, over NATS, at ``subject``. ``timeout`` in seconds."""

    url: Text | None = None
    subject: str = ""
    method: str = "GET"
    headers: Mapping[str, Text] = {}
    body: Json | None = None
    timeout: float = 5.0
    save: str = ""
    pick: str = ""
    on_error: str | None = None


class AssistantSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The assistant speaks. ``once``: when the flow comes here; else to each of the visitor's texts."""

    system: Text
    on_error: str
    model: str = ""
    max_tokens: int = 0
    temperature: float | None = None
    go_to: tuple[str, ...] = ()
    desk: HandoffSpec | None = None  # whom it may hand over to
    once: bool = False


class Said(msgspec.Struct, frozen=True):
    """A `BotSaid` that depends on the visitor."""

    text: Text

    def fact(self, voice: Voice) -> BotSaid:
        return BotSaid(text=self.text.said(voice))


class Asked(msgspec.Struct, frozen=True):
    """A `ChoiceAsked` that depends on the visitor."""

    group: FlowId
    question: Text
    choices: tuple[tuple[FlowId, Text], ...]

    def fact(self, voice: Voice) -> ChoiceAsked:
        choices = tuple(Choice(item=item, text=text.said(voice)) for item, text in self.choices)
        return ChoiceAsked(group=self.group, question=self.question.said(voice), choices=choices)


class Opened(msgspec.Struct, frozen=True):
    """An `EditorOpened` that depends on the visitor."""

    session: FlowId
    prompt: Text | None
    text: Text | None

    def fact(self, voice: Voice) -> EditorOpened:
        prompt = None if self.prompt is None else self.prompt.said(voice, plain)
        text = None if self.text is None else self.text.said(voice)
        return EditorOpened(session=self.session, prompt=prompt, text=text)


Speech = Said | Asked | Opened


class FlowState(msgspec.Struct, frozen=True, kw_only=True):
    """One state. ``effect`` happens on entering it; ``answer`` leads into it.

    ``effect`` is as it is written, in the flow's own language; ``speech`` gives the one for a visitor,
    where they differ. Names of states within a sub-flow begin with the sub-flow's and a slash.
    """

    name: str
    scope: str = ""  # the sub-flow it belongs to, "" for the flow itself
    effect: Effect | None = None
    speech: Speech | None = None
    answer: ExpectedAnswer | None = None
    item: FlowId | None = None  # the answer's `itemId` as it is written
    match: TextMatch | None = None  # which texts it takes; None for all
    save: Save | None = None
    invalid: Text | None = None  # what is said to an answer of another kind, in the flow's own words
    ambiguous: Text | None = None  # what is asked where an answer may mean two things
    next: str | None = None
    branches: tuple[Branch, ...] = ()  # looked at before `next`
    fallback: Fallback | None = None
    after: tuple[AfterSilence, ...] = ()
    desk: HandoffSpec | None = None
    service: ServiceSpec | None = None
    assistant: AssistantSpec | None = None
    calls: str | None = None  # the sub-flow's first state
    simple: bool = True  # nothing is to be done here but to tell the effect as it is
    line: int = 0
    file: str = ""  # the sub-flow's own file, "" for the flow's

    @property
    def asks(self) -> bool:
        """Whether the conversation waits here for the visitor. With ``next`` it never waits."""
        return self.next is None and not self.branches and isinstance(self.effect, ChoiceAsked | EditorOpened)

    @property
    def handoff(self) -> HandoffSpec | None:
        """The handoff that it is, or that its assistant may ask for."""
        return self.desk or (self.assistant.desk if self.assistant is not None else None)

    @property
    def waits(self) -> bool:
        """Whether the conversation waits here for anybody."""
        return self.desk is not None or self.asks

    @property
    def answers(self) -> tuple[ExpectedAnswer, ...]:
        """Everything that the visitor may answer here, to which another state leads on."""
        match self.effect:
            case ChoiceAsked(group=group, choices=choices) if self.asks:
                return tuple(ExpectedAnswer(str(group), str(choice.item), self.scope) for choice in choices)
            case EditorOpened(session=session) if self.asks:
                return (ExpectedAnswer(str(session), None, self.scope),)
            case _:
                return ()

    @property
    def texts(self) -> Iterator[Text]:
        """Everything that is said here, wherever it is said."""
        match self.speech:
            case Said(text=text):
                yield text
            case Asked(question=question, choices=choices):
                yield question
                yield from (text for _, text in choices)
            case Opened(prompt=prompt, text=text):
                yield from _present(prompt, text)
            case _:
                pass
        yield from _present(self.invalid, self.ambiguous, self.fallback.say if self.fallback else None)
        yield from _present(*(each.say for each in self.after))
        if self.desk:
            yield from self.desk.texts
        if self.service:
            yield from _present(self.service.url, *self.service.headers.values())
            if self.service.body:
                yield from texts_of(self.service.body)
        if self.assistant:
            yield self.assistant.system
            if self.assistant.desk:
                yield from self.assistant.desk.texts

    @property
    def saves(self) -> tuple[str, ...]:
        """The variables that this state may save."""
        own = (self.save.name,) if self.save else ()
        served = (self.service.save,) if self.service and self.service.save else ()
        return (*own, *served, *(self.match.groups if self.match else ()))


def is_id(value: object) -> bool:
    """Whether ``value`` may serve as an id: True and False are numbers to Python, but no ids."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= _MAX_ID
    return isinstance(value, str)


def same(one: FlowId, other: FlowId) -> bool:
    """Ids are compared as text: ``1`` is ``"1"``."""
    return str(one) == str(other)


def _present(*texts: Text | None) -> Iterator[Text]:
    return (text for text in texts if text is not None)
