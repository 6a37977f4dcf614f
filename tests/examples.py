"""One named example of each fact, and short ways to make entries of a log. Used by all tests."""

from __future__ import annotations

from typing import Final

from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.desk_facts import (
    AgreedTimeReached,
    ConversationAssigned,
    ConversationRead,
    ConversationSnoozed,
    LabelAdded,
    LabelRemoved,
    NoteRemoved,
    NoteWritten,
    PrioritySet,
    SnoozeEnded,
    SpamMarked,
    SpamUnmarked,
)
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import (
    AddressAsked,
    AddressGiven,
    AnswerFailed,
    AnswerStarted,
    AskedAgain,
    AssistantSaid,
    Author,
    BotSaid,
    Choice,
    ChoiceAsked,
    ChoiceMade,
    ConditionUntold,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationHandedBack,
    ConversationRated,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    ConversationTransferred,
    DecisionFailed,
    EditorClosed,
    EditorOpened,
    EngagementBegan,
    EngagementEnded,
    Fact,
    FlowAdvanced,
    FlowMigrated,
    FlowResumed,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    InputRefused,
    Interjected,
    MailBegun,
    MailEnded,
    MailStopped,
    OperatorSaid,
    QueueChecked,
    RatingAsked,
    RequestAnswered,
    RequestMade,
    ServiceAnswered,
    TextWritten,
    ThanksHeard,
    TimerArmed,
    TimerFired,
    VariableSaved,
)
from shared.contract.subjects import conversation_of

CONVERSATION: Final = conversation_of("00112233445566778899aabbccddeeff", "web")
OTHER_CONVERSATION: Final = conversation_of("ffeeddccbbaa99887766554433221100", "web")
#: When the server stored the first entry (nanoseconds since 1970, UTC); each next one a second later.
FIRST_TIME: Final = 1_700_000_000_000_000_000
SECOND: Final = 1_000_000_000

CONVERSATION_STARTED: Final = ConversationStarted(door="web", flow="default", language="de, en", user="u-1")
TEXT_WRITTEN: Final = TextWritten(session="fav", text="Rust & <b>Python</b>")
CHOICE_MADE: Final = ChoiceMade(group="lang", item="rust", text="Rust")
CONVERSATION_RESET: Final = ConversationReset()
CONVERSATION_RATED: Final = ConversationRated(score=4, comment="Quick answer")

ADDRESS_GIVEN: Final = AddressGiven(session="operator", address="sam@shop.example")
MAIL_STOPPED: Final = MailStopped()
ENGAGEMENT_BEGAN: Final = EngagementBegan(
    agent="match", user="17", name="Sam", configuration={"words": ["help"], "ignoreCase": True}
)
REQUEST_MADE: Final = RequestMade(key="answer", value="I need help", annotations={"page": 3})
ENGAGEMENT_ENDED: Final = EngagementEnded()

FLOW_STARTED: Final = FlowStarted(flow="default", version="0123456789abcdef0123456789abcdef")
FLOW_ADVANCED: Final = FlowAdvanced(path=("hello", "pick"), ended=True, stack=("contact",))
FLOW_MIGRATED: Final = FlowMigrated(
    flow="default",
    version="fedcba9876543210fedcba9876543210",
    before=FLOW_STARTED.version,
    place="pick",
    stack=("contact",),
)
VARIABLE_SAVED: Final = VariableSaved(name="email", value="sam@example.com")
ASKED_AGAIN: Final = AskedAgain(reason="not_an_email", tries=1)
QUEUE_CHECKED: Final = QueueChecked(queue="orders", available=True, waiting=2, wait=180)
CONDITION_UNTOLD: Final = ConditionUntold(state="weigh", condition="kilos > 'x'", reason="of the wrong type")
SERVICE_ANSWERED: Final = ServiceAnswered(cause=1, state="stock", value={"left": 3}, failure="timeout")
ANSWER_STARTED: Final = AnswerStarted(cause=1, attempt=1)
ASSISTANT_SAID: Final = AssistantSaid(
    text="It arrives < Monday.",
    attempt=1,
    model="small",
    tokens_in=120,
    tokens_out=7,
    cost=42,
    estimated=True,
)
ANSWER_FAILED: Final = AnswerFailed(reason="rate_limited", attempt=1)
BOT_SAID: Final = BotSaid(text="Hi! See <a href='https://www.rust-lang.org'>rust-lang.org</a>")
CHOICE_ASKED: Final = ChoiceAsked(
    group="lang",
    question="Which one?",
    choices=(Choice(item="rust", text="<b>Rust</b>"), Choice(item=2, text="Other")),
)
EDITOR_OPENED: Final = EditorOpened(session="fav", prompt="Type it here...", text="The editor is open")
EDITOR_CLOSED: Final = EditorClosed(session=7)
INPUT_REFUSED: Final = InputRefused(reason="stale_answer")
DECISION_FAILED: Final = DecisionFailed(reason="too_large")
HANDOFF_REQUESTED: Final = HandoffRequested(queue="orders", reason="A parcel is late")
HANDOFF_WITHDRAWN: Final = HandoffWithdrawn()
THANKS_HEARD: Final = ThanksHeard()
FLOW_RESUMED: Final = FlowResumed()
TIMER_ARMED: Final = TimerArmed(id="after:4:0", at="2023-11-14T22:15:00Z")
TIMER_FIRED: Final = TimerFired(id="after:4:0")
CONVERSATION_ENDED: Final = ConversationEnded(reason="inactivity")
REQUEST_ANSWERED: Final = RequestAnswered(result=True, error="too_slow", memory={"count": 1})
INTERJECTED: Final = Interjected(message="You've used emojis in 1 messages!")

CONVERSATION_CLAIMED: Final = ConversationClaimed(operator="desk-1", name="Customer service")
CONVERSATION_GIVEN_OUT: Final = ConversationClaimed(operator="desk-1", name="Billing", automatic=True)
CONVERSATION_GIVEN: Final = ConversationClaimed(operator="desk-2", name="Billing", by="desk-1")
OPERATOR_SAID: Final = OperatorSaid(operator="desk-1", text="How can I help?", name="Customer service")
CONVERSATION_HANDED_BACK: Final = ConversationHandedBack(operator="desk-1", state="hello")
CONVERSATION_TRANSFERRED: Final = ConversationTransferred(
    operator="desk-1", to="desk-2", name="Billing", note="Sam wants a refund"
)
CONVERSATION_PUT_BACK: Final = ConversationTransferred(operator="desk-1", queue="orders")
CONVERSATION_TAKEN_AWAY: Final = ConversationTransferred(
    operator="desk-1", to="desk-2", name="Billing", by="desk-3"
)
CONVERSATION_MISSED: Final = ConversationTransferred(
    operator="desk-1", queue="orders", lapsed=True, missed=True
)
CONVERSATION_RESOLVED: Final = ConversationResolved(operator="desk-1")
ADDRESS_ASKED: Final = AddressAsked(operator="desk-1", text="Where may we write to?", name="Ada")
MAIL_BEGUN: Final = MailBegun(until=7)
MAIL_ENDED: Final = MailEnded(until=7, outcome="failed", reason="550 no such user")
RATING_ASKED: Final = RatingAsked(operator="desk-1", name="Ada")
CONVERSATION_CLOSED: Final = ConversationResolved(operator="desk-1", unjoined=True)
CONVERSATION_ERASED: Final = ConversationErased(by="ada", reason="asked for by letter")

NOTE_WRITTEN: Final = NoteWritten(operator="desk-1", text="Sam called twice", mentions=("desk-2",))
NOTE_REMOVED: Final = NoteRemoved(operator="desk-1", note="4f7c0e0e-3d62-4f52-8f0e-a2a2b8a3f1c5")
LABEL_ADDED: Final = LabelAdded(operator="desk-1", label="refund")
LABEL_REMOVED: Final = LabelRemoved(operator="desk-1", label="refund")
PRIORITY_SET: Final = PrioritySet(operator="desk-1", priority="urgent")
CONVERSATION_SNOOZED: Final = ConversationSnoozed(operator="desk-1", until="2023-11-15T08:00:00Z")
SNOOZE_ENDED: Final = SnoozeEnded(operator="desk-1")
CONVERSATION_READ: Final = ConversationRead(operator="desk-1", position=1)
CONVERSATION_ASSIGNED: Final = ConversationAssigned(
    operator="desk-1", to="desk-2", queue="orders", note="Knows Sam"
)
AGREED_TIME_REACHED: Final = AgreedTimeReached(
    goal="first_response", queue="orders", due="2023-11-15T08:00:00Z"
)
SPAM_MARKED: Final = SpamMarked(operator="desk-1")
SPAM_UNMARKED: Final = SpamUnmarked(operator="desk-1")

VISITOR_FACTS: Final[tuple[Fact, ...]] = (
    CONVERSATION_STARTED,
    TEXT_WRITTEN,
    CHOICE_MADE,
    CONVERSATION_RESET,
    CONVERSATION_RATED,
    ADDRESS_GIVEN,
    MAIL_STOPPED,
    ENGAGEMENT_BEGAN,
    REQUEST_MADE,
    ENGAGEMENT_ENDED,
)
BOT_FACTS: Final[tuple[Fact, ...]] = (
    FLOW_STARTED,
    FLOW_ADVANCED,
    FLOW_MIGRATED,
    VARIABLE_SAVED,
    ASKED_AGAIN,
    CONDITION_UNTOLD,
    QUEUE_CHECKED,
    SERVICE_ANSWERED,
    ANSWER_STARTED,
    ASSISTANT_SAID,
    ANSWER_FAILED,
    BOT_SAID,
    CHOICE_ASKED,
    EDITOR_OPENED,
    EDITOR_CLOSED,
    INPUT_REFUSED,
    DECISION_FAILED,
    HANDOFF_REQUESTED,
    HANDOFF_WITHDRAWN,
    THANKS_HEARD,
    FLOW_RESUMED,
    TIMER_ARMED,
    TIMER_FIRED,
    CONVERSATION_ENDED,
    REQUEST_ANSWERED,
    INTERJECTED,
)
OPERATOR_FACTS: Final[tuple[Fact, ...]] = (
    CONVERSATION_CLAIMED,
    CONVERSATION_GIVEN,
    CONVERSATION_GIVEN_OUT,
    OPERATOR_SAID,
    CONVERSATION_HANDED_BACK,
    CONVERSATION_TRANSFERRED,
    CONVERSATION_TAKEN_AWAY,
    CONVERSATION_MISSED,
    CONVERSATION_RESOLVED,
    RATING_ASKED,
    ADDRESS_ASKED,
    MAIL_BEGUN,
    MAIL_ENDED,
)
ERASER_FACTS: Final[tuple[Fact, ...]] = (CONVERSATION_ERASED,)
DESK_FACTS: Final[tuple[Fact, ...]] = (
    NOTE_WRITTEN,
    NOTE_REMOVED,
    LABEL_ADDED,
    LABEL_REMOVED,
    PRIORITY_SET,
    CONVERSATION_SNOOZED,
    SNOOZE_ENDED,
    CONVERSATION_READ,
    CONVERSATION_ASSIGNED,
    SPAM_MARKED,
    SPAM_UNMARKED,
    AGREED_TIME_REACHED,
)
#: Every fact there is, by its tag.
EXAMPLES: Final[dict[str, Fact]] = {
    type(fact).__name__: fact
    for fact in (*VISITOR_FACTS, *BOT_FACTS, *OPERATOR_FACTS, *ERASER_FACTS, *DESK_FACTS)
}

#: A small flow with a choice and a text, as its author would write it.
FLOW: Final = b"""\
{"hello":   {"sendRequest": {"kind": "BotText", "content": "Hi!"}, "next": "pick"},
 "pick":    {"sendRequest": {"kind": "ChoiceRequest", "groupId": "lang", "question": "Which one?",
             "choices": [{"itemId": "rust", "content": "Rust"}, {"itemId": "other", "content": "Other"}]}},
 "isRust":  {"matchResponse": {"kind": "ChoiceResponse", "groupId": "lang", "itemId": "rust"},
             "next": "bye"},
 "isOther": {"matchResponse": {"kind": "ChoiceResponse", "groupId": "lang", "itemId": "other"},
             "next": "ask"},
 "ask":     {"sendRequest": {"kind": "StartChatSession", "sessionId": "fav",
             "chatPrompt": "Type it here...", "chatText": "The editor is open"}},
 "got":     {"matchResponse": {"kind": "UserText", "sessionId": "fav"}, "next": "close"},
 "close":   {"sendRequest": {"kind": "EndChatSession", "sessionId": "fav"}, "next": "bye"},
 "bye":     {"sendRequest": {"kind": "BotText", "content": "Great, thanks!"}}}
"""


def recorded(
    position: int,
    author: Author | str,
    *facts: Fact,
    id: str | None = None,
    cause: int | None = None,
    needs: int = 1,
    conversation: str = CONVERSATION,
) -> RecordedEntry:
    """An entry as the log holds it; its id is its position unless given."""
    return RecordedEntry(
        position=position,
        conversation=conversation,
        author=author,
        time=FIRST_TIME + (position - 1) * SECOND,
        id=str(position if cause is None else cause) if id is None else id,
        cause=cause,
        needs=needs,
        facts=facts,
    )


class Story:
    """A conversation in the making: each call appends one entry and folds it."""

    def __init__(self) -> None:
        self.entries: list[RecordedEntry] = []
        self.state: Conversation = NEW

    def visitor(self, *facts: Fact, id: str | None = None) -> RecordedEntry:
        """The visitor does something."""
        return self._append("visitor", facts, id=id)

    def bot(self, *facts: Fact, cause: int) -> RecordedEntry:
        """The bot answers the entry at position ``cause``."""
        return self._append("bot", facts, cause=cause)

    def bot_alone(self, *facts: Fact) -> RecordedEntry:
        """The bot notes something that is no outcome of an input."""
        return self._append("bot", facts)

    def operator(self, *facts: Fact, id: str | None = None) -> RecordedEntry:
        """An operator does something."""
        return self._append("operator", facts, id=id)

    def desk(self, *facts: Fact) -> RecordedEntry:
        """An operator notes something."""
        return self._append("desk", facts)

    def eraser(self, *facts: Fact) -> RecordedEntry:
        """The conversation is to be forgotten."""
        return self._append("eraser", facts)

    def answer(self, entry: Entry) -> RecordedEntry:
        """The bot's decision is appended."""
        return self._append("bot", entry.facts, cause=entry.cause)

    def _append(
        self, author: Author, facts: tuple[Fact, ...], id: str | None = None, cause: int | None = None
    ) -> RecordedEntry:
        entry = recorded(len(self.entries) + 1, author, *facts, id=id, cause=cause)
        self.entries.append(entry)
        self.state = evolve(self.state, entry)
        return entry
