"""The rows of which all numbers are made: what was measured, and where each matter stands.

Every number is a question about them (`services.analytics.domain.definitions`), so a number can be traced to
the entries behind it, and a new one asked of all history. They hold no words of visitors.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from shared.contract.conversation import Owner, Status

NANOSECONDS: Final = 1_000_000_000
#: What all further names are shown as, where only some are told apart.
OTHER: Final = "other"
FAILED: Final = "failed"
#: The reasons told apart. `FAILED` is every failure; an unknown reason of a refusal is `OTHER`.
REASONS: Final = (
    "nothing_asked",
    "stale_answer",
    "unknown_choice",
    "no_transition",
    "conversation_ended",
    "conversation_resolved",
    FAILED,
    OTHER,
)
#: Queues told apart by themselves in totals: authors of flows invent them.
MAX_QUEUES: Final = 50
#: The queue of a handoff that names none.
DEFAULT_QUEUE: Final = "default"
#: No measure is larger; so sums of many fit into 64 bits, with their sign.
MAX_VALUE: Final = 2**53

#: What was measured. ``name``, ``detail`` and ``value`` of each:
#: started: the door. turn: nanoseconds until the bot's answer. refusal, failure: the reason.
#: handoff: the queue; 1 for the first of its talk. withdrawn, ended: nothing.
#: claim, said, resolved: the operator, the queue. transfer: who goes on. release: the queue.
#: reopened: "person" or "bot" had closed it.
#: waited: the queue, how it ended (`WaitEnd`), nanoseconds.
#: first_response, next_response: the operator, the queue, nanoseconds.
#: resolution: who spoke last, the queue, nanoseconds.
#: rating: who spoke last ("": the bot), the score.
#: breach: the goal, the queue.
#: answer: the assistant's. answer_failed: the reason. tokens_in, tokens_out: how many.
#: cost: millionths of the price's unit. flow: the flow, begun. reached: a state. completed: the flow,
#: nanoseconds from its begin.
#: asked: the state whose question it is. answered: the same, nanoseconds. unanswered: the same, why
#: (`Unanswered`), nanoseconds.
Kind: TypeAlias = Literal[
    "started",
    "turn",
    "refusal",
    "failure",
    "handoff",
    "withdrawn",
    "ended",
    "claim",
    "resolved",
    "transfer",
    "release",
    "reopened",
    "said",
    "waited",
    "first_response",
    "next_response",
    "resolution",
    "rating",
    "breach",
    "answer",
    "answer_failed",
    "tokens_in",
    "tokens_out",
    "cost",
    "flow",
    "completed",
    "reached",
    "asked",
    "answered",
    "unanswered",
]

#: How a wait for a person ended: somebody took over; nobody came, and the flow went on; the visitor started
#: over; somebody resolved it without joining; it was closed by silence; it was erased.
WaitEnd: TypeAlias = Literal["claimed", "withdrawn", "left", "resolved", "silence", "erased"]

#: Why a question has no answer: the visitor started over; silence closed it; a person took over or was asked
#: for; the flow went on without; it was erased.
Unanswered: TypeAlias = Literal["left", "silence", "person", "passed", "erased"]

#: What became of a matter; "": it is not over. A person resolved it; the flow came to its end; the visitor
#: started over; the bot closed it since nobody wrote; it was erased before its end.
Outcome: TypeAlias = Literal["", "person", "completed", "left", "silence", "erased"]


class Measure(msgspec.Struct, frozen=True):
    """One thing that was measured, and the fact that it was measured by.

    ``time``: when that was stored, nanoseconds since 1970. ``fact``: its number in the entry; ``part``: which
    of the states on its way. ``talk``: of the conversation, counted from 1; each reset begins another.
    ``matter``: of the conversation, too (`Matter`).
    """

    kind: Kind
    time: int
    conversation: str
    talk: int
    matter: int
    position: int
    fact: int
    part: int = 0
    name: str = ""
    detail: str = ""
    version: str = ""
    value: int = 0


class Matter(msgspec.Struct, frozen=True):
    """What a visitor wanted, and where it stands, or stood when it was over.

    A talk begins with one. Another one begins when the conversation goes on after it was closed, not with a
    mere thanks. Times are nanoseconds since 1970, 0 for never.
    """

    number: int = 0
    talk: int = 0
    opened: int = 0
    begun: int = (
        0  # the visitor's first word in it, or when a person was asked for or came; 0: nothing wanted
    )
    active: int = 0  # when a visitor or an operator last did something
    door: str = ""
    flow: str = ""  # in which it began
    version: str = ""
    flow_begun: int = 0
    status: Status = "open"
    owner: Owner = "bot"
    place: str | None = None  # the state at which it stands, or came no further; None: with a person, or over
    question: str | None = None  # the state whose question waits for an answer
    asked: int = 0
    handed_off: int = 0  # when a person was asked for first
    joined: int = 0  # when a person came first, or resolved it
    queue: str = ""  # the one in which it waited last
    waits: int = 0  # since when it waits for a person in `queue`
    speaker: str = ""  # the operator who spoke last
    outcome: Outcome = ""
    closed: int = 0
    current: bool = False  # nothing came after it, and it was not erased
