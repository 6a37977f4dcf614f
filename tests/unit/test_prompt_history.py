"""What the assistant is told of a conversation."""

from __future__ import annotations

from functools import reduce
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from services.workflow.domain.assistant import PromptLine, Who
from services.workflow.domain.prompt_history import so_far
from shared.contract.conversation import NEW, evolve, step
from shared.contract.entry import Entry, RecordedEntry, decode, encode
from shared.contract.facts import (
    AssistantSaid,
    Author,
    BotSaid,
    Choice,
    ChoiceAsked,
    ChoiceMade,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationReset,
    ConversationStarted,
    EditorOpened,
    Fact,
    HandoffRequested,
    InputRefused,
    OperatorSaid,
    TextWritten,
)
from tests.examples import CONVERSATION, FIRST_TIME


class ToldConversation:
    """A conversation, entry by entry."""

    def __init__(self) -> None:
        self.entries: list[RecordedEntry] = []
        self.add("visitor", ConversationStarted(door="web"))

    def add(self, author: Author, *facts: Fact, cause: int | None = None) -> int:
        position = len(self.entries) + 1
        entry = Entry(id=str(cause or f"i{position}"), cause=cause, facts=facts)
        time = FIRST_TIME + position
        self.entries.append(decode(position, CONVERSATION, author, time, encode(entry)))
        return position

    def visitor(self, text: str) -> int:
        return self.add("visitor", TextWritten(session="s", text=text))

    def bot(self, cause: int, *facts: Fact) -> None:
        self.add("bot", *facts, cause=cause)


def test_everybody_is_told_by_who_they_are() -> None:
    told = ToldConversation()
    told.bot(1, BotSaid(text="<b>Hi</b>"), EditorOpened(session="s", text="Ask me"))
    first = told.visitor("one?")
    told.bot(first, AssistantSaid(text="1 < 2"))
    told.add("operator", ConversationClaimed(operator="ann"))
    told.visitor("two?")
    told.add("operator", OperatorSaid(operator="ann", text="me"))
    back = told.add("operator", ConversationHandedBack(operator="ann"))
    told.bot(back, BotSaid(text="again"))
    last = told.visitor("three?")
    assert so_far(told.entries, last) == [
        PromptLine("bot", "<b>Hi</b>"),
        PromptLine("bot", "Ask me"),
        PromptLine("visitor", "one?"),
        PromptLine("assistant", "1 < 2"),
        PromptLine("visitor", "two?"),
        PromptLine("operator", "me"),
        PromptLine("bot", "again"),
        PromptLine("visitor", "three?"),
    ]


def test_what_was_written_during_an_answer_stands_behind_it_and_waits_its_turn() -> None:
    told = ToldConversation()
    told.bot(1)
    first, second, third = told.visitor("one?"), told.visitor("two?"), told.visitor("three?")
    assert so_far(told.entries, first) == [PromptLine("visitor", "one?")]
    told.bot(first, AssistantSaid(text="One."))
    assert [line.text for line in so_far(told.entries, second)] == ["one?", "One.", "two?"]
    told.bot(second, AssistantSaid(text="Two."))
    assert [line.text for line in so_far(told.entries, third)] == ["one?", "One.", "two?", "Two.", "three?"]


def test_what_was_refused_was_never_said() -> None:
    told = ToldConversation()
    told.bot(1)
    refused = told.visitor("out of turn")
    told.bot(refused, InputRefused(reason="stale_answer"))
    assert so_far(told.entries, told.visitor("now?")) == [PromptLine("visitor", "now?")]


def test_a_reset_leaves_nothing_of_before() -> None:
    told = ToldConversation()
    told.bot(1, BotSaid(text="Hi"))
    told.visitor("unanswered")
    reset = told.add("visitor", ConversationReset())
    told.bot(reset, BotSaid(text="Hi anew"))
    assert so_far(told.entries, told.visitor("?")) == [
        PromptLine("bot", "Hi anew"),
        PromptLine("visitor", "?"),
    ]


def test_a_choice_is_told_in_the_words_that_the_visitor_saw() -> None:
    asked = ChoiceAsked(group="g", question="Which?", choices=(Choice(item=1, text="<i>Red</i> &amp; blue"),))
    told = ToldConversation()
    told.bot(1, asked)
    picked = told.add("visitor", ChoiceMade(group="g", item="1"))
    lines = so_far(told.entries, picked)
    assert lines[0] == PromptLine("bot", "Which?<ul><li>- <i>Red</i> &amp; blue</li></ul>")
    assert lines[1] == PromptLine("visitor", "Red & blue")


def test_nothing_was_said_where_nothing_is() -> None:
    assert so_far([], 1) == []
    assert so_far(ToldConversation().entries, 1) == []


def simply(entries: list[RecordedEntry], cause: int) -> list[PromptLine]:
    """The same rule, looking at all that waits after each entry."""
    state = NEW
    told: list[PromptLine] = []
    waiting: dict[int, list[PromptLine]] = {}
    for recorded in entries:
        state, facts = step(state, recorded)
        if any(isinstance(fact, ConversationReset) for fact in facts):
            told.clear()
            waiting.clear()
        if any(isinstance(fact, InputRefused) for fact in facts):
            waiting.pop(recorded.cause or 0, None)
        for position in [each for each in waiting if not state.inbox.owes(each)]:
            told += waiting.pop(position)
        spoken = {TextWritten: "visitor", BotSaid: "bot", OperatorSaid: "operator"}
        lines = [
            PromptLine(cast(Who, spoken[type(fact)]), cast(BotSaid, fact).text)
            for fact in facts
            if type(fact) in spoken
        ]
        if state.inbox.owes(recorded.position):
            waiting[recorded.position] = lines
        else:
            told += lines
    return told + waiting.get(cause, [])


HAPPENINGS: dict[str, tuple[Author, tuple[Fact, ...]]] = {
    "says": ("visitor", (TextWritten(session="s", text="?"),)),
    "twice": ("visitor", (TextWritten(session="s", text="1"), TextWritten(session="s", text="2"))),
    "begins anew": ("visitor", (ConversationReset(),)),
    "is taken over": ("operator", (ConversationClaimed(operator="ann"),)),
    "is told": ("operator", (OperatorSaid(operator="ann", text="me"),)),
    "is handed back": ("operator", (ConversationHandedBack(operator="ann"),)),
}
OUTCOMES: dict[str, tuple[Fact, ...]] = {
    "answered": (BotSaid(text="!"),),
    "refused": (InputRefused(reason="stale_answer"),),
    "handed over": (HandoffRequested(queue="q"), BotSaid(text="wait")),
}


@given(st.lists(st.sampled_from([*HAPPENINGS, *OUTCOMES]) | st.integers(0, 5), max_size=40))
def test_it_is_what_the_simple_rule_says_in_whatever_order_things_come(steps: list[str | int]) -> None:
    told = ToldConversation()
    which = 0  # the input that the next outcome is for, as a place among those that wait
    for number, each in enumerate(steps):
        state = reduce(evolve, told.entries, NEW)
        if isinstance(each, int):
            which = each
        elif each in HAPPENINGS:
            author, facts = HAPPENINGS[each]
            told.add(author, *facts)
        elif state.inbox.unanswered:
            item = state.inbox.unanswered[min(which, len(state.inbox.unanswered) - 1)]
            told.bot(item.position, *OUTCOMES[each])
        assert so_far(told.entries, number) == simply(told.entries, number)
