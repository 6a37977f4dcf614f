"""What a text-only client sees of a conversation: turns, each with one answer, and messages.

A turn lasts from the visitor's message until nothing is owed any more. Its answer is everything that
the bot says meanwhile, as one text; an operator's words are a turn of their own. The start of a
conversation and the first message are one turn: the welcome belongs to the first answer, whichever of
the two the bot was quicker with.

Pure: fed with the log's entries and the assistant's drafts, whose words stand at the end of an open
turn's text until they are committed.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal, NamedTuple

from services.proxy.domain import plain_text
from services.proxy.domain.past import is_erased
from services.proxy.domain.rendering import wordless
from shared.contract.conversation import NEW, Conversation, Generating, step
from shared.contract.drafts import DraftPiece
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AddressAsked,
    AddressGiven,
    AnswerFailed,
    AssistantSaid,
    ChoiceMade,
    ConversationClaimed,
    ConversationRated,
    ConversationReset,
    ConversationStarted,
    DecisionFailed,
    Fact,
    InputRefused,
    OperatorSaid,
    RatingAsked,
    TextWritten,
)
from shared.contract.markdown import PlainMarkdown

#: Between what is said in one turn.
SEPARATOR = "\n\n"

Role = Literal["user", "assistant"]

_VISITORS = (TextWritten, ChoiceMade, ConversationStarted, ConversationReset)
_TIMED_OUT = "session_timeout"


class TurnMessage(NamedTuple):
    """A line of the conversation. ``time`` in nanoseconds since 1970, UTC."""

    position: int
    time: int
    role: Role
    text: str


class TurnPart(NamedTuple):
    """Characters up to ``end`` of a turn's text.

    ``attempt`` names the assistant's attempt by the position of its `AnswerStarted`: in one turn there
    may be several messages with a first attempt each. 0 for words that are no assistant's.
    """

    end: int
    attempt: int


class RestTurn:
    """``position`` and ``time`` are of the entry with which it began; they name it."""

    __slots__ = ("answered", "failure", "over", "parts", "position", "refusal", "said", "time")

    def __init__(self, position: int, time: int) -> None:
        self.position = position
        self.time = time
        self.said = ""  # what is committed
        self.parts: list[TurnPart] = []
        self.over = False
        self.answered = False  # there is an answer, and it is whole
        self.failure = ""  # why no answer could be given, in words
        self.refusal = ""  # why the message was out of turn, in words

    def say(self, facts: tuple[Fact, ...], generating: Generating | None, position: int) -> None:
        """Add the words of one entry: first the assistant's, which were told while they were made.

        ``generating`` is what was going on until the entry at ``position``.
        """
        for fact in sorted(facts, key=lambda fact: not isinstance(fact, AssistantSaid)):
            text = one_kind_of_line_end(plain_text.text(fact))
            if text:
                self.said = joined(self.said, text)
                attempt = 0
                if isinstance(fact, AssistantSaid):
                    told = generating is not None and generating.attempt == fact.attempt
                    attempt = generating.position if generating is not None and told else position
                self.parts.append(TurnPart(len(self.said), attempt))
            elif isinstance(fact, DecisionFailed):
                self.failure = "Session timeout" if fact.reason == _TIMED_OUT else plain_text.APOLOGY
            elif isinstance(fact, InputRefused):
                self.refusal = plain_text.refusal(fact.reason)


class Heard:
    """What the assistant is saying, as text: the Markdown that is certain, whatever follows.

    So it is the beginning of what `plain_text` makes of the whole.
    """

    def __init__(self) -> None:
        self.text = ""
        self._length = 0  # characters of the drafts
        self._plain = PlainMarkdown()

    def take(self, draft: DraftPiece) -> None:
        news = draft.text[max(0, self._length - draft.offset) :]
        self._length += len(news)
        self.text += self._plain.take(news)


class Turns:
    """One conversation as it is known so far."""

    def __init__(self) -> None:
        self.state: Conversation = NEW
        self.turns: list[RestTurn] = []
        self.messages: list[TurnMessage] = []
        self.created = 0  # nanoseconds since 1970, UTC
        self.updated = 0
        self.latest: tuple[int, int] = (0, 0)  # position and time of where the newest turn begins
        self.failed = False  # the visitor's last message could not be answered
        self.interruption = _interruption(())  # why the last attempt of the assistant was cut
        self._heard = Heard()
        self._spoken = False  # the visitor said something, or a person came first

    @property
    def open(self) -> RestTurn | None:
        """The turn that is not over."""
        return self.turns[-1] if self.turns and not self.turns[-1].over else None

    @property
    def owed(self) -> bool:
        """Whether the visitor waits for the bot. What a timer or a handback asks for is nobody's turn."""
        return any(isinstance(item.fact, _VISITORS) for item in self.state.inbox.unanswered)

    def owed_by_visitor(self, position: int) -> bool:
        """Whether the input at ``position`` is the visitor's and waits for its outcome."""
        return any(isinstance(item.fact, _VISITORS) for item in self.state.inbox.unanswered.at(position))

    @property
    def with_person(self) -> bool:
        """Whether a person owns the conversation, or is awaited."""
        return self.state.ownership.owner != "bot"

    def add(self, recorded: RecordedEntry) -> None:
        """One more entry, in order; one that is known already changes nothing."""
        before = self.state
        asked = recorded.cause is not None and self.owed_by_visitor(recorded.cause)
        self.state, effective = step(before, recorded)
        if self.state is before:
            return
        if self.state.answer.generating != before.answer.generating:
            self._heard = Heard()
            self.interruption = _interruption(effective)
        self.created = self.created or recorded.time
        self.updated = recorded.time
        if effective and recorded.author == "visitor":
            self._hear(recorded, effective)
        elif is_erased(effective):
            self._forget()
            self._spoken = False
            return
        self._spoken = self._spoken or self.with_person
        if self.state.inbox.unanswered and self.open is None:
            self._begin(recorded)
        if effective and recorded.author != "visitor":
            shown = tuple(fact for fact in effective if not wordless(recorded, fact))
            self._say(recorded, shown, before.answer.generating)
        if not self.state.inbox.unanswered and not self._first_awaited:
            self._end(recorded)
        self.failed = self.state.answer.failed and (asked or self.failed)

    def hear(self, draft: DraftPiece) -> None:
        """The assistant's next words; those of another answer are nothing to us."""
        generating = self.state.answer.generating
        if generating is not None and (generating.cause, generating.attempt) == (draft.cause, draft.attempt):
            if draft.offset == 0:
                self._heard = Heard()
            self._heard.take(draft)

    def text(self, turn: RestTurn) -> str:
        """Everything said in ``turn``, with what the assistant is saying right now."""
        return turn.said if turn.over else joined(turn.said, self._heard.text)

    def attempt(self, turn: RestTurn, offset: int) -> int:
        """Whose attempt the character before ``offset`` is of; -1 for none that holds any more."""
        at = bisect_left(turn.parts, offset, key=lambda part: part.end)
        if at < len(turn.parts):
            return turn.parts[at].attempt
        generating = self.state.answer.generating
        return generating.position if generating is not None and not turn.over else -1

    def since(self, position: int) -> list[RestTurn]:
        """The turns that began at ``position`` or later."""
        return self.turns[bisect_left(self.turns, position, key=lambda turn: turn.position) :]

    def find(self, position: int, time: int) -> RestTurn | None:
        """The turn that began with exactly this entry."""
        for turn in self.since(position)[:1]:
            if (turn.position, turn.time) == (position, time):
                return turn
        return None

    # --- inside ---

    @property
    def _first_awaited(self) -> bool:
        """The conversation has only begun: its welcome is part of the first answer."""
        return self.state.visit.started and not self._spoken and self.state.ownership.status == "open"

    def _hear(self, recorded: RecordedEntry, effective: tuple[Fact, ...]) -> None:
        for fact in effective:
            if isinstance(fact, ConversationReset):
                self._forget()
            elif isinstance(fact, TextWritten | ChoiceMade):
                self._spoken = True
                if not wordless(recorded, fact):
                    text = fact.text if isinstance(fact, TextWritten) else fact.text or str(fact.item)
                    self.messages.append(TurnMessage(recorded.position, recorded.time, "user", text))
            elif isinstance(fact, ConversationRated | AddressGiven) and not wordless(recorded, fact):
                given = fact.address if isinstance(fact, AddressGiven) else fact.comment or str(fact.score)
                self.messages.append(TurnMessage(recorded.position, recorded.time, "user", given))
            if isinstance(fact, _VISITORS):
                turn = self.open
                self.latest = (turn.position, turn.time) if turn else (recorded.position, recorded.time)

    def _forget(self) -> None:
        self.turns.clear()
        self.messages.clear()

    def _say(
        self, recorded: RecordedEntry, effective: tuple[Fact, ...], generating: Generating | None
    ) -> None:
        turn = self.open
        said = any(isinstance(fact, OperatorSaid | RatingAsked | AddressAsked) for fact in effective)
        if turn is None and (said or any(plain_text.text(fact) for fact in effective)):
            turn = self._begin(recorded)
        if turn is not None and (said or recorded.author == "bot"):
            turn.say(effective, generating, recorded.position)
            turn.answered = turn.answered or recorded.cause is not None

    def _begin(self, recorded: RecordedEntry) -> RestTurn:
        turn = RestTurn(recorded.position, recorded.time)
        self.turns.append(turn)
        return turn

    def _end(self, recorded: RecordedEntry) -> None:
        turn = self.open
        if turn is not None:
            turn.over = True
            lost = self.with_person or turn.failure or turn.refusal
            turn.answered = bool(turn.said) or (turn.answered and not lost)
            if turn.said:
                self.messages.append(TurnMessage(recorded.position, recorded.time, "assistant", turn.said))


def joined(before: str, text: str) -> str:
    return f"{before}{SEPARATOR}{text}" if before and text else before or text


def one_kind_of_line_end(text: str) -> str:
    """Server-sent events know no other than the line feed, and would turn the others into it."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _interruption(effective: tuple[Fact, ...]) -> str:
    if any(isinstance(fact, ConversationClaimed) for fact in effective):
        return "A person has taken over."
    if any(isinstance(fact, AnswerFailed) for fact in effective):
        return "The answer could not be finished."
    return "The answer was interrupted."
