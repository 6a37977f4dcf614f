"""What operators are shown in place of words that are not there."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from shared.contract.desk_facts import NoteWritten
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AddressAsked,
    AddressGiven,
    AssistantSaid,
    BotSaid,
    ChoiceAsked,
    ChoiceMade,
    Fact,
    MailEnded,
    OperatorSaid,
    TextWritten,
    VariableSaved,
)

ERASED: Final = "(erased)"
SEALED: Final = "(cannot be read: the key is lost)"

#: Where the words of a fact are; of the choices that were asked nothing is left to show.
_WORDS: Final[dict[type, str]] = {
    TextWritten: "text",
    ChoiceMade: "text",
    BotSaid: "text",
    AssistantSaid: "text",
    OperatorSaid: "text",
    AddressAsked: "text",
    AddressGiven: "address",
    MailEnded: "reason",
    NoteWritten: "text",
    ChoiceAsked: "question",
    VariableSaved: "value",
}


def marked(entry: RecordedEntry, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Facts of the entry to show; where their words are absent, they say why."""
    if not entry.sealed:
        return facts
    why = ERASED if entry.erased else SEALED
    return tuple(_marked(fact, why) for fact in facts)


def _marked(fact: Fact, why: str) -> Fact:
    field = _WORDS.get(type(fact))
    if field is None:
        return fact
    words: dict[str, Any] = {field: why}
    return replace(fact, choices=(), **words) if isinstance(fact, ChoiceAsked) else replace(fact, **words)
