"""Engagement: what an agent of a learning platform was engaged for, and what it remembers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from shared.contract.conversation.rule import Rules
from shared.contract.entry import RecordedEntry
from shared.contract.facts import ConversationErased, EngagementBegan, EngagementEnded, RequestAnswered


class Engagement(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="contract", tag="engagement/1"
):
    """What an agent was engaged for. ``over``: nothing is answered until it begins again."""

    agent: str
    user: str
    name: str = ""
    configuration: Mapping[str, Any] = {}
    over: bool = False
    memory: Any = None  # what the agent remembers

    def is_as(self, began: EngagementBegan) -> bool:
        """Whether it is not over, and ``began`` asks for the same."""
        asked = (began.agent, began.user, began.name, began.configuration)
        return not self.over and (self.agent, self.user, self.name, self.configuration) == asked


def _began(state: Engagement | None, recorded: RecordedEntry, fact: EngagementBegan) -> Engagement:
    """The same user may connect and drop at will: the memory is lost only when the engagement ended."""
    memory = state.memory if state is not None and not state.over else None
    return Engagement(fact.agent, fact.user, fact.name, fact.configuration, memory=memory)


def _ended(state: Engagement | None, recorded: RecordedEntry, fact: EngagementEnded) -> Engagement | None:
    return state and replace(state, over=True)


def _erased(state: Engagement | None, recorded: RecordedEntry, fact: ConversationErased) -> None:
    return None


def _remembered(
    state: Engagement | None, recorded: RecordedEntry, fact: RequestAnswered
) -> Engagement | None:
    return state and replace(state, memory=fact.memory)


RULES: Final[Rules[Engagement | None]] = {
    EngagementBegan: _began,
    EngagementEnded: _ended,
    RequestAnswered: _remembered,
    ConversationErased: _erased,
}
