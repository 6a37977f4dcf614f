"""What the bot and the operators say, for clients that show text only (REST, Socket.IO).

HTML and Markdown become plain text, and a choice numbered lines: the visitor answers with the number, the
item's id or its words (the workflow matches, see `TextWritten.session`).
"""

from __future__ import annotations

from typing import Final

from shared.contract.facts import (
    AddressAsked,
    AssistantSaid,
    BotSaid,
    ChoiceAsked,
    EditorOpened,
    Fact,
    OperatorSaid,
    RatingAsked,
)
from shared.contract.html_text import plain
from shared.contract.markdown import plain_markdown

#: Said where an answer failed and nothing else was said; nothing internal.
APOLOGY: Final = "Sorry, that did not work. Please try again."

#: An operator asks how it was, where there are no buttons.
RATE_BY_TEXT: Final = "How was it? Please answer with a number from 1 (bad) to 5 (good)."

#: A refused message's reason in words for its visitor; others are told `OUT_OF_TURN`.
OUT_OF_TURN: Final = "That is no answer to what was asked. Please answer the last question."
_REFUSALS: Final = {
    "nothing_asked": "Nothing is asked right now.",
    "unknown_choice": "There is no such choice. Please answer with one of the numbers.",
    "conversation_ended": "This conversation is over.",
    "conversation_resolved": "This conversation is closed.",
    "too_many_unanswered": "Please wait for the answers to your messages.",
    "text_too_long": "That message is too long.",
    "too_large": "That message is too long.",
}


def lines(fact: Fact) -> list[str]:
    """The lines of one message, without line ends; none where the fact has no words for the visitor."""
    match fact:
        case BotSaid():
            text = plain(fact.text, addresses=True)
        case AssistantSaid():
            text = plain_markdown(fact.text)
        case OperatorSaid() | AddressAsked():
            text = fact.text
        case RatingAsked():
            text = RATE_BY_TEXT
        case EditorOpened():
            # The prompt stands in the empty editor; where nothing else asks, it is the question.
            text = plain(fact.text or fact.prompt or "", addresses=True)
        case ChoiceAsked():
            numbered = (f"{number}. {_one_line(each.text)}" for number, each in enumerate(fact.choices, 1))
            return [*_split(plain(fact.question, addresses=True)), *numbered]
        case _:
            return []
    return _split(text)


def text(fact: Fact) -> str:
    """The same as one text, "" for none."""
    return "\n".join(lines(fact))


def refusal(reason: str) -> str:
    """Why a message was refused (`InputRefused.reason`), in words for its visitor."""
    return _REFUSALS.get(reason, OUT_OF_TURN)


def _split(text: str) -> list[str]:
    return text.split("\n") if text.strip() else []


def _one_line(html: str) -> str:
    return " ".join(plain(html, addresses=True).split())
