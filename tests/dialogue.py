"""Conversations with a flow, without a server: the visitor says something, the flow answers at once."""

from __future__ import annotations

import json
from typing import Any

from shared.contract.conversation import Conversation, evolve
from shared.contract.entry import MAX_ENTRY, Entry
from shared.contract.facts import (
    BotSaid,
    ChoiceAsked,
    ChoiceMade,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationResolved,
    EditorOpened,
    Fact,
    FlowAdvanced,
    FlowId,
    OperatorSaid,
    ServiceAnswered,
    TextWritten,
    TimerFired,
)
from shared.contract.queue_figures import QueueFigures
from shared.flow.decide import Effect, Generated, GenerationFailed, Moment, respond
from shared.flow.language.diagnostics import Diagnostic
from shared.flow.language.flow import Flow, parse
from tests import examples
from tests.examples import Story, recorded


def flow_of(**states: Any) -> Flow:
    """A flow of these states; ``settings`` and ``flows`` stand for ``$settings`` and ``$flows``."""
    named = {f"${key}" if key in ("settings", "flows") else key: value for key, value in states.items()}
    return parse(json.dumps(named).encode(), "test")


def says(text: Any, next: Any = None) -> dict[str, Any]:
    return {"sendRequest": {"kind": "BotText", "content": text}, "next": next}


def asks(session: FlowId = "fav", text: Any = None, **more: Any) -> dict[str, Any]:
    return {"sendRequest": {"kind": "StartChatSession", "sessionId": session, "chatText": text}, **more}


def offers(group: FlowId, *items: FlowId, question: Any = "Which?", **more: Any) -> dict[str, Any]:
    choices = [{"itemId": item, "content": f"The {item}"} for item in items]
    request = {"kind": "ChoiceRequest", "groupId": group, "question": question, "choices": choices}
    return {"sendRequest": request, **more}


def got(session: FlowId = "fav", next: Any = None, **more: Any) -> dict[str, Any]:
    return {"matchResponse": {"kind": "UserText", "sessionId": session, **more}, "next": next}


def picked(group: FlowId, item: FlowId, next: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "matchResponse": {"kind": "ChoiceResponse", "groupId": group, "itemId": item, **more},
        "next": next,
    }


def text(words: str = "hello there", session: FlowId = "fav") -> TextWritten:
    return TextWritten(session=session, text=words)


def choice(item: FlowId, group: FlowId = "lang") -> ChoiceMade:
    return ChoiceMade(group=group, item=item)


def said(facts: tuple[Fact, ...]) -> list[str]:
    """What the visitor reads."""
    read = []
    for fact in facts:
        match fact:
            case BotSaid(text=words) | ChoiceAsked(question=words):
                read.append(words)
            case EditorOpened(text=str(words)):
                read.append(words)
            case _:
                pass
    return read


def path(facts: tuple[Fact, ...]) -> tuple[str, ...]:
    """The states that the flow went through."""
    return tuple(name for fact in facts if isinstance(fact, FlowAdvanced) for name in fact.path)


class FlowDialogue:
    """A conversation with a flow. Every input is answered at once, as the workflow would."""

    def __init__(
        self, flow: Flow, max_entry: int = MAX_ENTRY, operators: int = -1, inactivity: int = 0
    ) -> None:
        self.flow = flow
        self.max_entry = max_entry
        self.operators = operators
        self.inactivity = inactivity
        self.queues: dict[str, QueueFigures] = {}
        self.thanks = 0  # seconds
        self.story = Story()
        self.results: dict[str, Generated | GenerationFailed] = {}
        self.remarks: list[Diagnostic] = []
        self.clock = 0  # seconds that passed beside those of the entries

    @property
    def state(self) -> Conversation:
        return self.story.state

    @property
    def moment(self) -> Moment:
        last = self.story.entries[-1].time if self.story.entries else examples.FIRST_TIME
        now = last + self.clock * examples.SECOND
        return Moment(now, self.operators, self.inactivity, self.queues, self.thanks)

    def given(self, *facts: Fact) -> FlowDialogue:
        """The same after more has happened."""
        for fact in facts:
            self.when(fact)
        return self

    def when(self, fact: Fact) -> tuple[Fact, ...]:
        """What the bot answers; nothing where a person is spoken to."""
        answer = self.happens(fact)
        assert isinstance(answer, tuple), answer
        return answer

    def happens(self, fact: Fact) -> tuple[Fact, ...] | Effect:
        """What the bot answers, or what it needs before it can."""
        operator = (ConversationClaimed, OperatorSaid, ConversationHandedBack, ConversationResolved)
        if isinstance(fact, TimerFired):
            self.interim(fact, id=f"timer:{fact.id}")
        elif isinstance(fact, operator):
            self.story.operator(fact)
        else:
            self.story.visitor(fact)
        return self.answer() if self.state.inbox.unanswered else ()

    def interim(self, *facts: Fact, id: str) -> None:
        """An entry of the bot that is no outcome."""
        entry = recorded(len(self.story.entries) + 1, "bot", *facts, id=id)
        self.story.entries.append(entry)
        self.story.state = evolve(self.story.state, entry)

    def served(self, state: str, value: Any = None, failure: str = "") -> tuple[Fact, ...] | Effect:
        """A backend answers what ``state`` asked."""
        cause = self.state.inbox.unanswered[0].position
        answer = ServiceAnswered(cause=cause, state=state, value=value, failure=failure)
        self.interim(answer, id=f"service:{cause}:{state}")
        return self.answer()

    def spoken(self, state: str, result: Generated | GenerationFailed) -> tuple[Fact, ...] | Effect:
        """The assistant answers what ``state`` asked."""
        self.results[state] = result
        return self.answer()

    def answer(self) -> tuple[Fact, ...] | Effect:
        """The decision about the one input without outcome."""
        [item] = self.state.inbox.unanswered
        entry = respond(self.state, item, self.flow, self.moment, self.results, self.max_entry, self.remarks)
        if not isinstance(entry, Entry):
            return entry
        assert (entry.id, entry.cause) == (str(item.position), item.position)
        self.results = {}
        self.story.answer(entry)
        assert self.state.inbox.unanswered == ()
        return entry.facts
