"""Everything that can happen in a conversation, as facts in the past tense.

A fact's tag (its class name, in the field ``kind``) and its field names are wire format: the log
keeps them for ever. Add facts and optional fields; never rename, retype or remove one. A golden
file (``tests/contract/facts.golden.json``) holds this promise.

Fields typed `Personal` and alike hold what a person wrote or is, or what a stranger may have put there.
Exactly those fields are sealed (`shared.contract.sealing`) and can be forgotten, so a new field that holds
such a thing must be marked from its first day: ``tests/unit/test_personal.py`` asks for a decision on each.
No rule of the fold may depend on what such a field holds: entries are read without keys, too.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec

from shared.contract.desk_facts import DeskFact
from shared.contract.fact import FactBase, Personal, PersonalObject, PersonalValue

#: "desk" is the author of what operators note about a conversation: see `shared.contract.desk_facts`.
Author = Literal["visitor", "bot", "operator", "eraser", "desk"]

#: An id of the flow's author (``groupId``, ``itemId``, ``sessionId``). Kept as it was written,
#: compared as text: ``1`` and ``"1"`` are the same id.
FlowId = str | int

#: The same where it stands as a stranger sent it: mostly the flow's, but nobody can promise that.
PersonalId = Annotated[str | int, msgspec.Meta(extra_json_schema={"x-personal": True})]

#: The editor of an assistant to which its flow gives no other ``sessionId``.
ASSISTANT_SESSION: Final = "assistant"


# --- the visitor's facts: appended by the proxy -----------------------------------------------


class ConversationStarted(FactBase, frozen=True):
    """A visitor came through a door for the first time. Appended by the proxy."""

    door: str
    flow: Personal = ""  # the flow asked for by name; "" means the default
    language: Personal = (
        ""  # the visitor's languages, best first, as in Accept-Language (RFC 9110); "" unknown
    )
    user: Personal = ""  # who the visitor says to be, at doors that name their users


class TextWritten(FactBase, frozen=True):
    """The visitor sent a text through the editor ``session``. Appended by the proxy.

    ``session`` is "" at doors that know text only: it answers whatever is asked, choices too.
    """

    session: PersonalId
    text: Personal


class ChoiceMade(FactBase, frozen=True):
    """The visitor picked ``item`` of the choices ``group``. Appended by the proxy."""

    group: PersonalId
    item: PersonalId
    text: Personal = ""  # the choice's words as the client showed them, if it said


class ConversationReset(FactBase, frozen=True):
    """The visitor began anew: what came before is never shown again. Appended by the proxy."""


class ConversationRated(FactBase, frozen=True):
    """The visitor rated the conversation, 1 (bad) to 5 (good). Appended by the proxy."""

    score: Annotated[int, msgspec.Meta(ge=1, le=5)]
    comment: Personal = ""


class AddressGiven(FactBase, frozen=True):
    """The visitor answered to `AddressAsked` with an e-mail address. Appended by the proxy."""

    session: PersonalId
    address: Personal


class MailStopped(FactBase, frozen=True):
    """The visitor wants no more e-mail of this conversation. Appended by the proxy."""


class EngagementBegan(FactBase, frozen=True):
    """A user of another platform engaged an agent to look at what the user does. Appended by the proxy."""

    agent: str
    user: Personal
    name: Personal = ""  # how the agent greets the user
    configuration: PersonalObject = msgspec.field(default_factory=dict)  # what is asked of the agent


class RequestMade(FactBase, frozen=True):
    """The platform asks the agent about something that the user did. Appended by the proxy."""

    key: Personal
    value: PersonalValue = None
    annotations: PersonalValue = None


class EngagementEnded(FactBase, frozen=True):
    """The engagement is over; what is asked after it is not answered. Appended by the proxy."""


# --- the bot's facts: appended by the workflow ------------------------------------------------


class FlowStarted(FactBase, frozen=True):
    """The conversation is bound to this version of this flow. Appended by the workflow."""

    flow: str
    version: str  # the content hash under which the log keeps the flow


class FlowAdvanced(FactBase, frozen=True):
    """The flow went through the states ``path`` and stands at the last. Appended by the workflow."""

    path: tuple[str, ...]
    ended: bool = False  # nothing follows the last state
    stack: tuple[str, ...] = ()  # the states that called the sub-flows it stands in, outermost first


class FlowMigrated(FactBase, frozen=True):
    """The conversation was moved to another version of its flow. Appended by the workflow."""

    flow: str
    version: str
    before: str  # the version it leaves
    place: str | None = None
    stack: tuple[str, ...] = ()


class VariableSaved(FactBase, frozen=True):
    """The flow keeps ``value`` under ``name``. Appended by the workflow."""

    name: str
    value: PersonalValue


class AskedAgain(FactBase, frozen=True):
    """The answer did not fit; the flow stays and asks once more. Appended by the workflow."""

    reason: str
    tries: int  # how many times in a row


class ConditionUntold(FactBase, frozen=True):
    """A condition said neither yes nor no, and counted as false. Appended by the workflow.

    For the flow's author; it changes nothing. None of its fields holds a visitor's words.
    """

    state: str  # whose "next" it is
    condition: str  # as it stands in the flow
    reason: str


class QueueChecked(FactBase, frozen=True):
    """The flow looked at how a queue of the operators stands, and went on by that. Appended by the workflow.

    It changes nothing: with it the decision can be made again. What was not known is None.
    """

    queue: str
    available: bool | None = None  # people work now, and one who is online has room
    waiting: int | None = None  # so many visitors waited
    wait: int | None = None  # how long it took lately until somebody took over (seconds)


class ServiceAnswered(FactBase, frozen=True):
    """What a backend answered to the flow, for the input ``cause``. Appended by the workflow."""

    cause: int
    state: str  # the flow's state that asks
    value: PersonalValue = None
    failure: str = ""  # why there is no answer; "" where there is one


class AnswerStarted(FactBase, frozen=True):
    """The assistant began to answer the input ``cause``; its words are drafts. Appended by the workflow."""

    cause: int
    attempt: int  # 1, and one more each time that a crash or a takeover cut the one before


class AssistantSaid(FactBase, frozen=True):
    """The assistant said ``text``, plain text, exactly what was streamed. Appended by the workflow."""

    text: Personal
    attempt: int = 0
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: int = 0  # millionths of the price's currency unit
    estimated: bool = False  # the provider did not count; the tokens are estimates


class AnswerFailed(FactBase, frozen=True):
    """The assistant could not answer; the flow's ``onError`` follows. Appended by the workflow."""

    reason: str
    attempt: int = 0


class BotSaid(FactBase, frozen=True):
    """The bot said ``text``, HTML as the flow's author wrote it. Appended by the workflow.

    Marked as personal, like all texts of a flow: they may hold what the visitor answered before.
    """

    text: Personal


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One of the answers of a `ChoiceAsked`."""

    item: FlowId
    text: Personal  # HTML as the flow's author wrote it


class ChoiceAsked(FactBase, frozen=True):
    """The bot asked to pick one of ``choices``. Appended by the workflow."""

    group: FlowId
    question: Personal  # HTML as the flow's author wrote it
    choices: tuple[Choice, ...]


class EditorOpened(FactBase, frozen=True):
    """The bot opened the visitor's editor ``session``. Appended by the workflow."""

    session: FlowId
    prompt: Personal | None = None
    text: Personal | None = None  # HTML as the flow's author wrote it


class EditorClosed(FactBase, frozen=True):
    """The bot closed the visitor's editor ``session``. Appended by the workflow."""

    session: FlowId


class InputRefused(FactBase, frozen=True):
    """The input that the entry's ``cause`` names was out of turn. Appended by the workflow."""

    reason: str


class DecisionFailed(FactBase, frozen=True):
    """No answer to the input could be decided or stored. Appended by the workflow."""

    reason: str


class HandoffRequested(FactBase, frozen=True):
    """The bot asks for a person; the visitor waits in ``queue``. Appended by the workflow."""

    queue: str
    reason: Personal = ""  # plain text; flows may put into it what the visitor wrote


class HandoffWithdrawn(FactBase, frozen=True):
    """Nobody came; the flow goes on without a person. Appended by the workflow."""


class ThanksHeard(FactBase, frozen=True):
    """The visitor only thanked for a conversation that was resolved a moment ago: it stays so.

    Appended by the workflow.
    """


class FlowResumed(FactBase, frozen=True):
    """After a handback the flow goes on. Appended by the workflow."""


class TimerArmed(FactBase, frozen=True):
    """At ``at`` (RFC 3339, UTC) the timer ``id`` shall fire, if it still means something then.

    ``id`` is ``<purpose>:<position>`` or ``<purpose>:<position>:<number>``, of letters, digits and these
    colons. Purposes: ``after`` (the flow waits), ``inactivity``, ``turn`` (an answer is stuck).
    Appended by the workflow.
    """

    id: str
    at: str


class TimerFired(FactBase, frozen=True):
    """The timer fired while it was armed. Appended by the workflow."""

    id: str


class ConversationEnded(FactBase, frozen=True):
    """The bot closed the conversation: nobody said a word for long. Appended by the workflow."""

    reason: str


class RequestAnswered(FactBase, frozen=True):
    """The agent's answer to a `RequestMade`, and what it remembers now. Appended by the workflow."""

    result: bool
    error: Personal = ""  # for the platform; it may say what is wrong with what a stranger configured
    memory: PersonalValue = None


class Interjected(FactBase, frozen=True):
    """The agent said something to the user of its own accord. Appended by the workflow."""

    message: Personal


# --- the operators' facts: appended by the operator service -----------------------------------


class ConversationClaimed(FactBase, frozen=True):
    """An operator took the conversation over; the bot is silent from here. Appended by the operator."""

    operator: str  # the account's name; readable, since the fold asks by it who owns
    name: Personal = ""  # as the visitor sees it
    by: str = ""  # the account of whoever gave it to the operator; "": they took it themselves
    automatic: bool = False  # nobody did it: the queue gives its conversations out by itself


class OperatorSaid(FactBase, frozen=True):
    """The owning operator said ``text``, plain text. Appended by the operator."""

    operator: str
    text: Personal
    name: Personal = ""


class ConversationHandedBack(FactBase, frozen=True):
    """The operator gave the conversation back to the bot. Appended by the operator."""

    operator: str
    state: str | None = None  # where the flow goes on; None: where it was


class ConversationTransferred(FactBase, frozen=True):
    """The owning operator's conversation went on to another operator, or back to a queue.

    Appended by the operator.
    """

    operator: str  # who had it
    to: str = ""  # the account that has it now; "": nobody, it waits in ``queue``
    name: Personal = ""  # who has it now, as the visitor sees it
    queue: str = ""
    note: Personal = ""  # for whoever goes on; the visitor is never shown it
    by: str = ""  # the account of whoever did it, if that is not ``operator``
    lapsed: bool = False  # nobody did it: ``operator`` was not there for long
    missed: bool = False  # and was given it, and did not answer in time


class ConversationResolved(FactBase, frozen=True):
    """The operator closed the conversation as done. Appended by the operator."""

    operator: str
    unjoined: bool = False  # nobody owned it: the visitor is told of no operator who came or went


class RatingAsked(FactBase, frozen=True):
    """The operator asked the visitor how it was. Appended by the operator."""

    operator: str
    name: Personal = ""


class AddressAsked(FactBase, frozen=True):
    """The owning operator asked to which e-mail address may be written. Appended by the operator."""

    operator: str
    text: Personal
    name: Personal = ""


class MailBegun(FactBase, frozen=True):
    """What operators said up to the position ``until`` is about to be mailed. Appended by the operator."""

    until: int


class MailEnded(FactBase, frozen=True):
    """What became of the mail with what was said up to the position ``until``. Appended by the operator.

    "mailed": a server has taken it. "failed": it was not sent, for ``reason``. "unknown": nobody knows
    whether it was, twice. "seen": there was no need, the visitor was there.
    """

    until: int
    outcome: Literal["mailed", "failed", "unknown", "seen"]
    reason: Personal = ""  # servers name addresses in it


# --- the eraser's fact ------------------------------------------------------------------------


class ConversationErased(FactBase, frozen=True):
    """All that was said before is to be forgotten: the keys of its words are destroyed, and nobody shows it.

    Appended by the eraser. The visitor may begin anew behind it.
    """

    by: str  # who asked for it: an account of this machine's, or "retention"
    reason: str = ""  # it stays readable, so it must not say who the visitor is


VisitorFact = (
    ConversationStarted
    | TextWritten
    | ChoiceMade
    | ConversationReset
    | ConversationRated
    | AddressGiven
    | MailStopped
    | EngagementBegan
    | RequestMade
    | EngagementEnded
)
BotFact = (
    FlowStarted
    | FlowAdvanced
    | FlowMigrated
    | VariableSaved
    | AskedAgain
    | ConditionUntold
    | QueueChecked
    | ServiceAnswered
    | AnswerStarted
    | AssistantSaid
    | AnswerFailed
    | BotSaid
    | ChoiceAsked
    | EditorOpened
    | EditorClosed
    | InputRefused
    | DecisionFailed
    | HandoffRequested
    | HandoffWithdrawn
    | ThanksHeard
    | FlowResumed
    | TimerArmed
    | TimerFired
    | ConversationEnded
    | RequestAnswered
    | Interjected
)
OperatorFact = (
    ConversationClaimed
    | OperatorSaid
    | ConversationHandedBack
    | ConversationTransferred
    | ConversationResolved
    | RatingAsked
    | AddressAsked
    | MailBegun
    | MailEnded
)
EraserFact = ConversationErased
Fact = VisitorFact | BotFact | OperatorFact | EraserFact | DeskFact

#: Which author may write which facts. NATS permissions guard subjects, not contents: a fact
#: found on another author's subject is ignored by every reader.
MAY_WRITE: Final[dict[str, frozenset[type]]] = {
    "visitor": frozenset(get_args(VisitorFact)),
    "bot": frozenset(get_args(BotFact)),
    "operator": frozenset(get_args(OperatorFact)),
    "eraser": frozenset({EraserFact}),
    "desk": frozenset(get_args(DeskFact)),
}

#: The bot's facts that say nothing to anybody: they take effect while an operator owns, too.
SILENT: Final[frozenset[type]] = frozenset({FlowMigrated, TimerArmed, TimerFired, ConversationEnded})
