"""From facts to frames: what a bare client and a client of ``switchboard.v1`` are shown of each fact.

Each maker gets the words of the choices asked so far, the fact, and the marks (``cursor``, ``time``,
``id``) that only modern clients know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from services.proxy.domain import frames
from services.proxy.domain.markdown_html import markdown_as_html
from services.proxy.domain.plain_text import RATE_BY_TEXT
from shared.contract import facts
from shared.contract.entry import RecordedEntry
from shared.contract.facts import Fact
from shared.contract.html_text import plain

OPERATOR = "operator"  # the editor that opens when a person takes over

_Words = dict[str, dict[str, str]]
_Marks = dict[str, str]


def _bot_text(words: _Words, fact: facts.BotSaid, marks: _Marks) -> frames.Frame:
    return frames.BotText(content=frames.clean(fact.text), **marks)


def _choice_request(words: _Words, fact: facts.ChoiceAsked, marks: _Marks) -> frames.Frame:
    choices = [frames.ChoiceItem(c.item, frames.clean(c.text)) for c in fact.choices]
    question = frames.clean(fact.question)
    return frames.ChoiceRequest(groupId=fact.group, question=question, choices=choices, **marks)


def _start_chat(words: _Words, fact: facts.EditorOpened, marks: _Marks) -> frames.Frame:
    return frames.StartChatSession(
        sessionId=fact.session,
        chatPrompt=msgspec.UNSET if fact.prompt is None else fact.prompt,
        chatText=msgspec.UNSET if fact.text is None else frames.clean(fact.text),
        **marks,
    )


def _end_chat(words: _Words, fact: facts.EditorClosed, marks: _Marks) -> frames.Frame:
    return frames.EndChatSession(sessionId=fact.session, **marks)


def _choice_response(words: _Words, fact: facts.ChoiceMade, marks: _Marks) -> frames.Frame:
    """Always with its words: those of the flow, or where it asked no such thing, the client's.

    The client's own are not cleaned as HTML but shown as text: a stranger's 16 KiB of nested tags would take
    the cleaner's tree builder a fifth of a second.
    """
    known = words.get(str(fact.group), {}).get(str(fact.item))
    content = frames.as_html(plain(fact.text)) if known is None else frames.clean(known)
    return frames.ChoiceResponse(groupId=fact.group, itemId=fact.item, content=content, **marks)


def _user_text(words: _Words, fact: facts.TextWritten, marks: _Marks) -> frames.Frame:
    return frames.UserText(sessionId=fact.session, content=fact.text, **marks)


def _assistant_text(words: _Words, fact: facts.AssistantSaid, marks: _Marks) -> frames.Frame:
    return frames.BotText(content=markdown_as_html(fact.text), **marks)


def _operator_as_bot(words: _Words, fact: facts.OperatorSaid, marks: _Marks) -> frames.Frame:
    return frames.BotText(content=frames.as_html(fact.text), **marks)


def _operator_opens(words: _Words, fact: Fact, marks: _Marks) -> frames.Frame:
    return frames.StartChatSession(sessionId=OPERATOR, **marks)


def _operator_closes(words: _Words, fact: Fact, marks: _Marks) -> frames.Frame:
    return frames.EndChatSession(sessionId=OPERATOR, **marks)


def _address_given(words: _Words, fact: facts.AddressGiven, marks: _Marks) -> frames.Frame:
    return frames.UserText(sessionId=fact.session, content=fact.address, **marks)


def _address_asked_as_bot(words: _Words, fact: facts.AddressAsked, marks: _Marks) -> frames.Frame:
    return frames.BotText(content=frames.as_html(fact.text), **marks)


def _address_asked(words: _Words, fact: facts.AddressAsked, marks: _Marks) -> frames.Frame:
    return frames.OperatorText(name=fact.name or fact.operator, content=fact.text, **marks)


def _rating_asked(words: _Words, fact: facts.RatingAsked, marks: _Marks) -> frames.Frame:
    return frames.BotText(content=frames.as_html(RATE_BY_TEXT), **marks)


def _operator_text(words: _Words, fact: facts.OperatorSaid, marks: _Marks) -> frames.Frame:
    return frames.OperatorText(name=fact.name or fact.operator, content=fact.text, **marks)


def _operator_joined(words: _Words, fact: facts.ConversationClaimed, marks: _Marks) -> frames.Frame:
    return frames.OperatorJoined(name=fact.name or fact.operator, **marks)


def _operator_changes(words: _Words, fact: facts.ConversationTransferred, marks: _Marks) -> frames.Frame:
    return _operator_opens(words, fact, marks) if fact.to else _operator_closes(words, fact, marks)


def _operator_passes_on(words: _Words, fact: facts.ConversationTransferred, marks: _Marks) -> frames.Frame:
    if fact.to:
        return frames.OperatorJoined(name=fact.name or fact.to, **marks)
    return frames.OperatorLeft(**marks)


def _operator_left(words: _Words, fact: Fact, marks: _Marks) -> frames.Frame:
    return frames.OperatorLeft(**marks)


#: What is nothing without its words.
_SAID: Final = frozenset(
    {
        *(facts.BotSaid, facts.ChoiceAsked, facts.AssistantSaid, facts.OperatorSaid),
        *(facts.TextWritten, facts.ChoiceMade, facts.AddressAsked, facts.AddressGiven),
    }
)


def wordless(recorded: RecordedEntry, fact: Fact) -> bool:
    """Whether the fact's words were erased, or cannot be read: then it is not shown."""
    return recorded.sealed and type(fact) in _SAID


def unseen(fact: Fact) -> bool:
    """Whether the visitor is told nothing of it: nobody leaves who never came."""
    return isinstance(fact, facts.ConversationResolved) and fact.unjoined


_Maker = Callable[[_Words, Any, _Marks], frames.Frame]

#: The kinds that every client knows. A fact that is not here is not shown.
BARE: Final[dict[type, _Maker]] = {
    facts.BotSaid: _bot_text,
    facts.ChoiceAsked: _choice_request,
    facts.EditorOpened: _start_chat,
    facts.EditorClosed: _end_chat,
    facts.ChoiceMade: _choice_response,
    facts.TextWritten: _user_text,
    facts.AssistantSaid: _assistant_text,
    facts.OperatorSaid: _operator_as_bot,
    facts.RatingAsked: _rating_asked,
    facts.AddressAsked: _address_asked_as_bot,
    facts.AddressGiven: _address_given,
    facts.ConversationClaimed: _operator_opens,
    facts.ConversationHandedBack: _operator_closes,
    facts.ConversationTransferred: _operator_changes,
    facts.ConversationResolved: _operator_closes,
}
#: The kinds of ``switchboard.v1``.
MODERN: Final[dict[type, _Maker]] = {
    **{kind: make for kind, make in BARE.items() if kind is not facts.RatingAsked},  # `State` tells it
    facts.OperatorSaid: _operator_text,
    facts.AddressAsked: _address_asked,
    facts.ConversationClaimed: _operator_joined,
    facts.ConversationHandedBack: _operator_left,
    facts.ConversationTransferred: _operator_passes_on,
    facts.ConversationResolved: _operator_left,
}
