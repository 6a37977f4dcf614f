"""A conversation's state: the sub-states, and the questions that need several of them."""

from __future__ import annotations

from typing import Literal

import msgspec

from shared.contract.conversation.answer import Answer
from shared.contract.conversation.asked import OperatorAsks
from shared.contract.conversation.engagement import Engagement
from shared.contract.conversation.inbox import Inbox
from shared.contract.conversation.mail import Mail
from shared.contract.conversation.ownership import Ownership
from shared.contract.conversation.progress import Progress
from shared.contract.conversation.timers import Timers
from shared.contract.conversation.visit import Visit

Turn = Literal["idle", "user_committed", "ai_generating", "error"]


class Conversation(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="contract", tag="conversation/2"
):
    """The folded state. ``position`` is that of the last entry folded, 0 for none.

    It holds what deciding needs, nothing for display.
    """

    position: int = 0
    needs: int = 1  # the highest contract level that any entry asks of deciders
    active: int = 0  # when a visitor or an operator last did something (nanoseconds since 1970)
    visit: Visit = Visit()
    ownership: Ownership = Ownership()
    inbox: Inbox = Inbox()
    progress: Progress = Progress()
    answer: Answer = Answer()
    timers: Timers = Timers()
    asked: OperatorAsks = OperatorAsks()
    mail: Mail = Mail()
    engagement: Engagement | None = None  # None: a visitor's conversation, not an agent's

    @property
    def turn(self) -> Turn:
        """Where the current turn stands."""
        if self.answer.generating is not None:
            return "ai_generating"
        if self.inbox.unanswered:
            return "user_committed"
        return "error" if self.answer.failed else "idle"


#: A conversation of which nothing is known.
NEW = Conversation()
