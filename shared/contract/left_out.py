"""Entries without their words: what a conversation did, for who shall not read what was said in it.

In place of each personal value stands a `LeftOut`: a value of which nothing is known. Where deciding would
have to look at one, it says so (`NeedsWords`) and goes no further. Any answer would be a guess.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from shared.contract import sealing
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    ASSISTANT_SESSION,
    ChoiceAsked,
    ChoiceMade,
    EditorOpened,
    Fact,
    FlowId,
    TextWritten,
)
from shared.contract.visible import is_visible


class LeftOut(str):
    """Stands for a personal value: "…" for one that was there, "" where nobody knows whether one was."""

    __slots__ = ()


LEFT_OUT: Final = LeftOut("…")
UNKNOWN: Final = LeftOut("")


class NeedsWords(Exception):
    """What is to be decided depends on words that were left out. The text names the rule, never a value."""


class WordsLeftOut:
    """Takes the words out of a conversation's entries, in their order.

    What the visitor chose stays, where the bot had offered it: that is an id of the flow's author. So does a
    text in which there is nothing to see. ``some`` says whether words are missing so far.
    """

    def __init__(self, wanted: bool = True) -> None:
        """Without ``wanted`` only what is sealed is marked: nothing is known of its words anyway."""
        self.some = wanted
        self._wanted = wanted
        self._ids = {"", ASSISTANT_SESSION}

    def entry(self, recorded: RecordedEntry) -> RecordedEntry:
        """The entry without its words, or as it is."""
        self._offered(recorded.facts)
        if recorded.sealed:
            self.some = True
            return replace(
                recorded, facts=tuple(sealing.masked(fact, UNKNOWN, True) for fact in recorded.facts)
            )
        return replace(recorded, facts=tuple(map(self._fact, recorded.facts))) if self._wanted else recorded

    def _offered(self, facts: tuple[Fact, ...]) -> None:
        for fact in facts:
            match fact:
                case ChoiceAsked(group=group, choices=choices):
                    self._ids |= {str(group), *(str(choice.item) for choice in choices)}
                case EditorOpened(session=session):
                    self._ids.add(str(session))
                case _:
                    pass

    def _fact(self, fact: Fact) -> Fact:
        masked = sealing.masked(fact, LEFT_OUT)
        match masked, fact:
            case TextWritten(), TextWritten():
                text = masked.text if is_visible(fact.text) else fact.text
                return replace(masked, session=self._id(fact.session), text=text)
            case ChoiceMade(), ChoiceMade():
                return replace(masked, group=self._id(fact.group), item=self._id(fact.item))
            case _:
                return masked

    def _id(self, id: FlowId) -> FlowId:
        return id if str(id) in self._ids else LEFT_OUT
