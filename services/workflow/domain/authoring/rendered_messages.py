"""What a reader of a conversation sees of its facts, and what a visitor's words mean there. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from shared.contract.conversation import Conversation
from shared.contract.facts import (
    AssistantSaid,
    BotSaid,
    ChoiceAsked,
    ChoiceMade,
    ConversationEnded,
    DecisionFailed,
    EditorOpened,
    Fact,
    FlowId,
    HandoffRequested,
    HandoffWithdrawn,
    InputRefused,
    TextWritten,
)
from shared.contract.html_text import plain
from shared.flow.language import choices
from shared.flow.language.locales import wishes

Kind = Literal["bot", "assistant", "handoff", "withdrawn", "refused", "failed", "ended"]


class ShownOption(msgspec.Struct, frozen=True):
    """A choice as it is offered."""

    item: FlowId
    text: str


class Utterance(msgspec.Struct, frozen=True):
    """Something that happens before the visitor's eyes.

    ``text`` is what is said, as it is written, or the queue, the reason of a refusal, a failure or an end.
    """

    kind: Kind
    text: str
    choices: tuple[ShownOption, ...] = ()


class RenderedQuestion(msgspec.Struct, frozen=True):
    """What the visitor may answer now: one of ``choices`` of a group, or a text to ``session``."""

    group: FlowId | None = None
    choices: tuple[ShownOption, ...] = ()
    session: FlowId | None = None


def utterances(facts: Iterable[Fact]) -> list[Utterance]:
    """What is to be seen of ``facts``, in order."""
    found = (_utterance(fact) for fact in facts)
    return [utterance for utterance in found if utterance is not None]


def _utterance(fact: Fact) -> Utterance | None:
    match fact:
        case BotSaid(text=text):
            return Utterance("bot", text)
        case ChoiceAsked(question=question, choices=offered):
            return Utterance("bot", question, tuple(ShownOption(each.item, each.text) for each in offered))
        case EditorOpened(text=str(text)) if text:
            return Utterance("bot", text)
        case AssistantSaid(text=text):
            return Utterance("assistant", text)
        case HandoffRequested(queue=queue):
            return Utterance("handoff", queue)
        case HandoffWithdrawn():
            return Utterance("withdrawn", "")
        case InputRefused(reason=reason):
            return Utterance("refused", reason)
        case DecisionFailed(reason=reason):
            return Utterance("failed", reason)
        case ConversationEnded(reason=reason):
            return Utterance("ended", reason)
        case _:
            return None


def asking(now: RenderedQuestion, facts: Iterable[Fact]) -> RenderedQuestion:
    """What may be answered after ``facts``: the newest question counts."""
    for fact in facts:
        match fact:
            case ChoiceAsked(group=group, choices=offered):
                now = RenderedQuestion(group, tuple(ShownOption(each.item, each.text) for each in offered))
            case EditorOpened(session=session):
                now = RenderedQuestion(session=session)
            case _:
                pass
    return now


def meant(state: Conversation, now: RenderedQuestion, words: str) -> TextWritten | ChoiceMade | None:
    """What a visitor does who means ``words``; None where choices are offered and none is meant.

    A choice is named as at a door that knows text only: by its words, its id or its number.
    """
    if state.ownership.owner != "bot" or state.progress.ended or now == RenderedQuestion():
        return TextWritten(session="", text=words)
    if now.group is None:
        return TextWritten(session="" if now.session is None else now.session, text=words)
    options = [choices.Option(str(each.item), plain(each.text)) for each in now.choices]
    language = next(iter(wishes(state.visit.begun.language)), "")
    match choices.meant(options, words, language):
        case ():
            return None
        case (index,):
            return ChoiceMade(group=now.group, item=now.choices[index].item, text=options[index].words)
        case _:
            return TextWritten(session="", text=words)  # the flow asks which is meant
