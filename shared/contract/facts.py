"""Everything that can happen in a conversation, as facts in the past tense.

A fact's tag (its class name, in the field ``kind``) and its field names are wire format: the log
keeps them for ever. Add facts and optional fields; never rename, retype or remove one. A golden
file (``tests/contract/facts.golden.json``) holds this promise.

Fields typed `Personal` hold what a person wrote or is. Erasing a conversation will encrypt exactly
those fields, so a new field that holds such a thing must be marked from its first day.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec

Author = Literal["visitor", "bot", "operator"]

#: Text that a person wrote, or that says who a person is.
Personal = Annotated[str, msgspec.Meta(extra_json_schema={"x-personal": True})]

#: An id of the flow's author (``groupId``, ``itemId``, ``sessionId``). Kept as it was written,
#: compared as text: ``1`` and ``"1"`` are the same id.
FlowId = str | int


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=True, omit_defaults=True):
    """What all facts share: immutable, tagged by their class name in ``kind``."""


# --- the visitor's facts: appended by the proxy -----------------------------------------------


class ConversationStarted(_Fact, frozen=True):
    """A visitor came through a door for the first time. Appended by the proxy."""

    door: str
    flow: str = ""  # the flow asked for by name; "" means the default


class TextWritten(_Fact, frozen=True):
    """The visitor sent a text through the editor ``session``. Appended by the proxy."""

    session: FlowId
    text: Personal


class ChoiceMade(_Fact, frozen=True):
    """The visitor picked ``item`` of the choices ``group``. Appended by the proxy."""

    group: FlowId
    item: FlowId
    text: Personal = ""  # the choice's words as the client showed them, if it said


class ConversationReset(_Fact, frozen=True):
    """The visitor began anew: what came before is never shown again. Appended by the proxy."""


class ConversationRated(_Fact, frozen=True):
    """The visitor rated the conversation, 1 (bad) to 5 (good). Appended by the proxy."""

    score: Annotated[int, msgspec.Meta(ge=1, le=5)]
    comment: Personal = ""


# --- the bot's facts: appended by the workflow ------------------------------------------------


class FlowStarted(_Fact, frozen=True):
    """The conversation is bound to this version of this flow. Appended by the workflow."""

    flow: str
    version: str  # the content hash under which the log keeps the flow


class FlowAdvanced(_Fact, frozen=True):
    """The flow went through the states ``path`` and stands at the last. Appended by the workflow."""

    path: tuple[str, ...]
    ended: bool = False  # nothing follows the last state


class BotSaid(_Fact, frozen=True):
    """The bot said ``text``, HTML as the flow's author wrote it. Appended by the workflow."""

    text: str


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One of the answers of a `ChoiceAsked`."""

    item: FlowId
    text: str  # HTML as the flow's author wrote it


class ChoiceAsked(_Fact, frozen=True):
    """The bot asked to pick one of ``choices``. Appended by the workflow."""

    group: FlowId
    question: str  # HTML as the flow's author wrote it
    choices: tuple[Choice, ...]


class EditorOpened(_Fact, frozen=True):
    """The bot opened the visitor's editor ``session``. Appended by the workflow."""

    session: FlowId
    prompt: str | None = None
    text: str | None = None  # HTML as the flow's author wrote it


class EditorClosed(_Fact, frozen=True):
    """The bot closed the visitor's editor ``session``. Appended by the workflow."""

    session: FlowId


class InputRefused(_Fact, frozen=True):
    """The input that the entry's ``cause`` names was out of turn. Appended by the workflow."""

    reason: str


class DecisionFailed(_Fact, frozen=True):
    """No answer to the input could be decided or stored. Appended by the workflow."""

    reason: str


class HandoffRequested(_Fact, frozen=True):
    """The bot asks for a person; the visitor waits in ``queue``. Appended by the workflow."""

    queue: str
    reason: str = ""


class FlowResumed(_Fact, frozen=True):
    """After a handback the flow goes on. Appended by the workflow."""


# --- the operators' facts: appended by the operator service -----------------------------------


class ConversationClaimed(_Fact, frozen=True):
    """An operator took the conversation over; the bot is silent from here. Appended by the operator."""

    operator: str  # the account's name
    name: Personal = ""  # as the visitor sees it


class OperatorSaid(_Fact, frozen=True):
    """The owning operator said ``text``, plain text. Appended by the operator."""

    operator: str
    text: Personal
    name: Personal = ""


class ConversationHandedBack(_Fact, frozen=True):
    """The operator gave the conversation back to the bot. Appended by the operator."""

    operator: str
    state: str | None = None  # where the flow goes on; None: where it was


class ConversationResolved(_Fact, frozen=True):
    """The operator closed the conversation as done. Appended by the operator."""

    operator: str


VisitorFact = ConversationStarted | TextWritten | ChoiceMade | ConversationReset | ConversationRated
BotFact = (
    FlowStarted
    | FlowAdvanced
    | BotSaid
    | ChoiceAsked
    | EditorOpened
    | EditorClosed
    | InputRefused
    | DecisionFailed
    | HandoffRequested
    | FlowResumed
)
OperatorFact = ConversationClaimed | OperatorSaid | ConversationHandedBack | ConversationResolved
Fact = VisitorFact | BotFact | OperatorFact

#: Which author may write which facts. NATS permissions guard subjects, not contents: a fact
#: found on another author's subject is ignored by every reader.
MAY_WRITE: Final[dict[str, frozenset[type]]] = {
    "visitor": frozenset(get_args(VisitorFact)),
    "bot": frozenset(get_args(BotFact)),
    "operator": frozenset(get_args(OperatorFact)),
}
