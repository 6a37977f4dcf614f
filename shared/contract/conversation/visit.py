"""Visit: how the visitor came, and how often they started over."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from shared.contract.conversation.rule import Rules
from shared.contract.entry import RecordedEntry
from shared.contract.facts import ConversationErased, ConversationReset, ConversationStarted, EngagementBegan


class Begun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the conversation began; a reset changes none of it."""

    door: str = ""
    flow: str = ""  # the flow asked for by name; "" means the default
    language: str = ""
    user: str = ""


class Visit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="contract", tag="visit/2"):
    """Whether and how the conversation began."""

    started: bool = False
    session: int = 0  # how many times the visitor started over
    begun: Begun = Begun()
    erased: int = 0  # when it was erased last (ns since 1970, UTC); links from before lead nowhere


def _started(state: Visit, recorded: RecordedEntry, fact: ConversationStarted) -> Visit:
    return replace(state, started=True, begun=Begun(fact.door, fact.flow, fact.language, fact.user))


def _reset(state: Visit, recorded: RecordedEntry, fact: ConversationReset) -> Visit:
    return replace(state, started=True, session=state.session + 1)


def _engaged(state: Visit, recorded: RecordedEntry, fact: EngagementBegan) -> Visit:
    return replace(state, started=True)


def _erased(state: Visit, recorded: RecordedEntry, fact: ConversationErased) -> Visit:
    return Visit(session=state.session + 1, erased=recorded.time)


RULES: Final[Rules[Visit]] = {
    ConversationStarted: _started,
    ConversationReset: _reset,
    ConversationErased: _erased,
    EngagementBegan: _engaged,
}
