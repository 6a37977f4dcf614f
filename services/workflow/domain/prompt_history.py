"""What was said in a conversation so far, for the assistant: pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from services.workflow.domain.assistant import PromptLine
from shared.contract.conversation import NEW, step
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AssistantSaid,
    BotSaid,
    ChoiceAsked,
    ChoiceMade,
    ConversationErased,
    ConversationReset,
    EditorOpened,
    Fact,
    FlowId,
    InputRefused,
    OperatorSaid,
    TextWritten,
)
from shared.contract.html_text import plain


def said(entries: Iterable[RecordedEntry]) -> list[PromptLine]:
    """All lines that took effect since the visitor last began anew, also those that wait for an answer."""
    lines, waiting = _told(entries)
    return [*lines, *(line for some in waiting.values() for line in some)]


def so_far(entries: Iterable[RecordedEntry], cause: int) -> list[PromptLine]:
    """The lines that took effect since the visitor last began anew, up to the input ``cause``.

    What the visitor said stands where it was answered: it may have been written while the answer before
    was still being made. So what waits for an answer after ``cause`` is left out (it would be answered
    now, and once more in its turn), and so is what was refused.
    """
    lines, waiting = _told(entries)
    return lines + waiting.get(cause, [])


def _told(entries: Iterable[RecordedEntry]) -> tuple[list[PromptLine], OrderedDict[int, list[PromptLine]]]:
    """What was said in its order, and what waits for an answer, by its position."""
    state = NEW
    told: list[PromptLine] = []
    waiting: OrderedDict[int, list[PromptLine]] = (
        OrderedDict()
    )  # its first is found at once, however many went
    asked: ChoiceAsked | None = None
    for recorded in entries:
        state, facts = step(state, recorded)
        if any(isinstance(fact, ConversationReset | ConversationErased) for fact in facts):
            told.clear()
            waiting.clear()
            asked = None
        if any(isinstance(fact, InputRefused) for fact in facts):
            waiting.pop(recorded.cause or 0, None)
        # An outcome is one input's, or (a claim, a handoff) that of all.
        oldest = state.inbox.unanswered[0].position if state.inbox.unanswered else recorded.position
        while waiting and next(iter(waiting)) < oldest:
            told += waiting.popitem(last=False)[1]
        answered = recorded.cause or 0
        if answered in waiting and not state.inbox.owes(answered):
            told += waiting.pop(answered)
        lines = [line for fact in facts for line in _lines(fact, asked)]
        if state.inbox.owes(recorded.position):
            waiting[recorded.position] = lines
        else:
            told += lines
        asked = next((fact for fact in facts if isinstance(fact, ChoiceAsked)), asked)
    return told, waiting


def _lines(fact: Fact, asked: ChoiceAsked | None) -> list[PromptLine]:
    match fact:
        case TextWritten(text=text):
            return [PromptLine("visitor", text)]
        case ChoiceMade(item=item, text=text):
            return [PromptLine("visitor", text or _words(item, asked))]
        case BotSaid(text=text):
            return [PromptLine("bot", text)]
        case ChoiceAsked(question=question, choices=choices):
            items = "".join(f"<li>- {choice.text}</li>" for choice in choices)
            return [PromptLine("bot", f"{question}<ul>{items}</ul>")]
        case EditorOpened(text=str(text)):
            return [PromptLine("bot", text)]
        case AssistantSaid(text=text):
            return [PromptLine("assistant", text)]
        case OperatorSaid(text=text):
            return [PromptLine("operator", text)]
        case _:
            return []


def _words(item: FlowId, asked: ChoiceAsked | None) -> str:
    """The choice's words as the bot put them."""
    choices = asked.choices if asked is not None else ()
    return next((plain(choice.text) for choice in choices if str(choice.item) == str(item)), str(item))
