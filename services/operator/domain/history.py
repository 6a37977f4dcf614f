"""A conversation entry by entry: how it stood before and behind each. Pure."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from services.operator.domain.absent import SEALED, marked
from services.operator.domain.transcript import Change, TranscriptEntry, lines, still_asked
from shared.contract.conversation import NEW, Conversation, step
from shared.contract.entry import RecordedEntry
from shared.contract.facts import ChoiceAsked, ConversationErased, Fact
from shared.contract.left_out import LeftOut, WordsLeftOut

VariableChange = Literal["same", "new", "changed", "gone"]

#: A variable's value is given whole up to so many bytes of JSON.
MAX_VALUE: Final = 4096

_encode = msgspec.json.Encoder(enc_hook=str).encode


class HistoryState(msgspec.Struct, frozen=True):
    """How a conversation stands behind an entry. ``words``: all of them could be read up to here.

    ``asked`` are the choices on offer.
    """

    conversation: Conversation = NEW
    asked: ChoiceAsked | None = None
    words: bool = True


class HistoryStep(msgspec.Struct, frozen=True):
    """One entry: the states before and behind it, and those of its facts that took effect."""

    entry: RecordedEntry
    before: HistoryState
    after: HistoryState
    facts: tuple[Fact, ...]

    @property
    def lines(self) -> list[TranscriptEntry]:
        """What it adds to the transcript."""
        facts = marked(self.entry, self.facts)
        return lines(Change(self.entry, self.before.conversation, facts, self.before.asked))

    @property
    def erases(self) -> bool:
        """Whether nothing from before it may be shown any more."""
        return any(isinstance(fact, ConversationErased) for fact in self.facts)


def stepped(before: HistoryState, recorded: RecordedEntry) -> HistoryStep:
    """What one more entry does. What could not be read in it stands there as left out."""
    left_out = WordsLeftOut(wanted=False)
    left_out.some = not before.words
    entry = left_out.entry(recorded)
    state, facts = step(before.conversation, entry)
    asked = before.asked
    for fact in facts:
        asked = still_asked(fact, asked)
    return HistoryStep(entry, before, HistoryState(state, asked, not left_out.some), facts)


class VariableThen(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the flow kept under a name behind an entry, and whether that entry changed it.

    ``before`` is the value that it had. ``cut``: a value is too long, and only the beginning of its JSON is
    here.
    """

    name: str
    value: Any = None
    change: VariableChange
    before: Any = None
    cut: bool = False


def variables(step: HistoryStep) -> list[VariableThen]:
    """All of them, in the order in which they were saved."""
    old, new = step.before.conversation.progress.variables, step.after.conversation.progress.variables
    found = []
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            change: VariableChange = "gone"
        elif name not in old:
            change = "new"
        else:
            change = "same" if old[name] is new[name] or old[name] == new[name] else "changed"
        value, cut = _shown(new.get(name))
        before, cut_before = _shown(old.get(name)) if change in ("changed", "gone") else (None, False)
        found.append(
            VariableThen(name=name, value=value, change=change, before=before, cut=cut or cut_before)
        )
    return found


def _shown(value: Any) -> tuple[Any, bool]:
    if isinstance(value, LeftOut):
        return SEALED, False
    written = _encode(value)
    if len(written) <= MAX_VALUE:
        return value, False
    return written[:MAX_VALUE].decode(errors="ignore"), True


def brief(value: Any, most: int) -> str:
    """A value as JSON, cut beyond so many bytes; what was left out says so."""
    written = (SEALED if isinstance(value, LeftOut) else _encode(value).decode())[: most + 1]
    return written if len(written) <= most else f"{written[:most]}…"
