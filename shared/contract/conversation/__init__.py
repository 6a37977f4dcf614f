"""The life of a conversation: one fold, used by every service alike.

Each concern is a sub-fold, a file with its state, its rules and the facts that they are for:
`visit`, `ownership`, `inbox`, `progress`, `answer`, `timers`, `engagement`. `state` holds them together,
`guards` says which facts take effect, `fold` runs an entry through them, and `codec` writes and reads states.
"""

from shared.contract.conversation.answer import Answer, Generating
from shared.contract.conversation.engagement import Engagement
from shared.contract.conversation.fold import evolve, step
from shared.contract.conversation.inbox import Inbox, Input
from shared.contract.conversation.ownership import Owner, Ownership, Status
from shared.contract.conversation.progress import Progress
from shared.contract.conversation.state import NEW, Conversation, Turn
from shared.contract.conversation.timers import Timer, Timers
from shared.contract.conversation.visit import Begun, Visit

__all__ = [
    "NEW",
    "Answer",
    "Begun",
    "Conversation",
    "Engagement",
    "Generating",
    "Inbox",
    "Input",
    "Owner",
    "Ownership",
    "Progress",
    "Status",
    "Timer",
    "Timers",
    "Turn",
    "Visit",
    "evolve",
    "step",
]
