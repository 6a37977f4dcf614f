"""What a text means to which nothing but texts can be sent: an answer to what an operator asked by a button.

Only where that was the last thing that was said to the visitor, and the text is such an answer and nothing
else. Everything else is a text like any other.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from shared.contract.conversation import Conversation
from shared.contract.facts import AddressGiven, ConversationRated, Fact, TextWritten
from shared.contract.mail_address import address_of

#: A score may have a mark beside it.
_MARKS: Final = " \t\n.!*★⭐"


def said_by_text(state: Conversation, session: str | int, text: str) -> Fact:
    """The fact that a text is, as the conversation stands."""
    if state.asked.last == "rating" and (score := _score(text)):
        return ConversationRated(score=score)
    if state.asked.last == "address" and (address := address_of(text)):
        return AddressGiven(session=session, address=address)
    return TextWritten(session=session, text=text)


def may_be(session: str | int, text: str) -> tuple[Fact, ...]:
    """Every fact that a text may have been when it came: for one that comes a second time."""
    facts: list[Fact] = [TextWritten(session=session, text=text)]
    if score := _score(text):
        facts.append(ConversationRated(score=score))
    if address := address_of(text):
        facts.append(AddressGiven(session=session, address=address))
    return tuple(facts)


def _score(text: str) -> int:
    """1 to 5 of one digit, in any script; 0 for anything else."""
    digit = text.strip(_MARKS) if len(text) <= 8 else ""
    score = unicodedata.digit(digit, 0) if len(digit) == 1 else 0
    return score if 1 <= score <= 5 else 0
