"""Finding conversations by words: what of an entry can be found, and what a question means to FTS5.

FTS5 takes letters in a row for a word. Scripts that put no gaps between words get one at each character, in
the index and in the question, where such characters then stand one behind the other.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from unicodedata import normalize

import msgspec

from services.operator.domain.absent import ERASED, SEALED
from services.operator.domain.transcript import Change, spoken, still_asked
from shared.contract.conversation import Status
from shared.contract.desk_facts import NoteWritten
from shared.contract.facts import (
    AddressGiven,
    AssistantSaid,
    ChoiceMade,
    ConversationRated,
    ConversationStarted,
    Fact,
    OperatorSaid,
    TextWritten,
    VariableSaved,
)
from shared.contract.subjects import DESK

Writer = Literal["visitor", "assistant", "operator", "note", "variable", "rating"]

#: As much of one text can be found, of its beginning (characters).
MAX_FOUND: Final = 16_384
#: The longest question (characters), and how many words of it count.
MAX_QUESTION: Final = 200
MAX_WORDS: Final = 12
#: What is shown around what was found (characters).
EXCERPT: Final = 160

_UNSPACED: Final = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff])"
)
_WORD: Final = re.compile(r"[^\W_]+")
_PART: Final = re.compile(r'"([^"]*)"|([^\s"]+)')


class FoundLine(msgspec.Struct, frozen=True):
    """A text that can be found. ``time`` in nanoseconds since 1970, UTC; ``note`` is a note's id."""

    position: int
    time: int
    who: Writer
    text: str
    note: str = ""


class Search(msgspec.Struct, frozen=True):
    """What is looked for; what is empty does not matter.

    ``question`` as `question` makes it; times of what happened last, in nanoseconds since 1970, UTC.
    """

    question: str = ""
    who: Writer | None = None  # whose words
    status: Status | None = None
    operator: str = ""
    queue: str = ""
    label: str = ""
    rating: int = 0
    since: int = 0
    until: int = 0


def findable(change: Change) -> list[FoundLine]:
    """What of an entry can be found: what people and the assistant wrote, and what the flow has saved.

    What the flow itself says is the same in every conversation.
    """
    entry, asked = change.entry, change.asked
    if entry.author == DESK:
        notes = (fact for fact in entry.facts if isinstance(fact, NoteWritten))
        return [
            FoundLine(entry.position, entry.time, "note", note.text[:MAX_FOUND], entry.id)
            for note in notes
            if not entry.sealed
        ]
    found = []
    for fact in change.facts:
        who, text = _words(fact, spoken(fact, asked))
        asked = still_asked(fact, asked)
        if who is not None and text and text not in (ERASED, SEALED):
            found.append(FoundLine(entry.position, entry.time, who, text[:MAX_FOUND]))
    return found


def _words(fact: Fact, said: str | None) -> tuple[Writer | None, str]:
    match fact:
        case TextWritten() | ChoiceMade():
            return "visitor", said or ""
        case OperatorSaid():
            return "operator", said or ""
        case AssistantSaid():
            return "assistant", said or ""
        case VariableSaved(value=str() as value) | AddressGiven(address=value):
            return "variable", value
        case ConversationRated(comment=comment):
            return "rating", comment
        case ConversationStarted(user=user):
            return "variable", user
        case _:
            return None, ""


def spaced(text: str) -> str:
    """The text with gaps where FTS5 needs them."""
    return _UNSPACED.sub(r" \1 ", normalize("NFC", text))


def question(text: str) -> str:
    """The question as FTS5 has it: all words must be there, each as the beginning of one.

    "In quotes" they must be whole and follow one another. "" if there is no word in it.
    """
    terms: list[str] = []
    for phrase, part in _PART.findall(normalize("NFC", text)[:MAX_QUESTION]):
        words = _WORD.findall(spaced(phrase or part))
        if not words:
            continue
        begun = "" if phrase or _UNSPACED.search(part) else "*"
        terms.append(f'"{" ".join(words)}"{begun}')
    return " ".join(terms[:MAX_WORDS])


def excerpt(text: str, asked: str) -> str:
    """The part of the text in which the first word that was asked for stands."""
    flat = normalize("NFC", " ".join(text.split()))
    words = _WORD.findall(normalize("NFC", asked))
    places = (flat.casefold().find(word.casefold()) for word in words)
    at = min((place for place in places if place >= 0), default=0)
    start = max(0, at - EXCERPT // 3)
    end = start + EXCERPT
    return ("…" if start else "") + flat[start:end].strip() + ("…" if end < len(flat) else "")
