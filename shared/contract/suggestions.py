"""What the assistant suggests to operators: asked of the workflow over core NATS, never on the log."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

SuggestionKind = Literal["reply", "summary"]
#: Why there is none. ``busy``: others are being made; ``log``: the conversation could not be read; ``empty``:
#: nothing was said yet; the rest as the provider's client has it.
BUSY: Final = "busy"
EMPTY: Final = "empty"
LOG: Final = "log"
NOT_CONFIGURED: Final = "not_configured"


class PreparedAnswer(msgspec.Struct, frozen=True):
    """A canned answer, as the operator may use it."""

    title: str
    text: str


class SuggestionAsked(msgspec.Struct, frozen=True):
    """``language`` (BCP 47) is what a summary is written in; a reply is in the visitor's."""

    conversation: str
    kind: SuggestionKind
    language: str = "en"
    answers: tuple[PreparedAnswer, ...] = ()


class Suggestion(msgspec.Struct, frozen=True):
    """``text``, or why there is none. ``position`` is that of the last entry that was read for it."""

    text: str = ""
    position: int = 0
    model: str = ""
    failure: str = ""


class SuggestionsOffered(msgspec.Struct, frozen=True):
    """Whether there is an assistant that suggests something."""

    offered: bool = False
