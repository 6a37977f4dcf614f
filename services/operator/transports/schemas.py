"""What the HTTP API takes and gives, as JSON. Times are RFC 3339, UTC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec

from services.operator.desk import FoundPage
from services.operator.domain.agreed_times import Due, due
from services.operator.domain.availability import Availability
from services.operator.domain.decisions import Operator
from services.operator.domain.desk import ConversationSummary, Ending
from services.operator.domain.places import FlowPlaces
from services.operator.domain.search import Writer, excerpt
from services.operator.domain.second_factor import MAX_CODE
from services.operator.domain.transcript import PastTalk, TranscriptEntry, Who
from services.operator.saved_views import SavedSearch
from services.operator.transports.desk_schemas import NotedFields, noted_fields
from services.operator.word_index import IndexMatch
from shared.contract.conversation import Owner, Status
from shared.contract.desk_facts import Goal
from shared.contract.desk_settings import DeskSettings
from shared.contract.drafts import DraftPiece
from shared.contract.markdown import plain_markdown
from shared.contract.presence import VisitorReport
from shared.contract.roles import Role
from shared.timestamps import format_time

#: The longest text an operator may say (bytes of UTF-8).
MAX_TEXT = 16 * 1024
#: What a console may be called: a UUID, which no other guesses.
CONSOLE = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
#: As much of the last line as a list shows (characters).
MAX_SHOWN = 200


class Login(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(max_length=64)]
    password: Annotated[str, msgspec.Meta(max_length=1024)]
    code: Annotated[str, msgspec.Meta(max_length=MAX_CODE, description="of the second factor")] = ""


class Me(msgspec.Struct):
    """The account's name, and the name that visitors see. ``availability``: whether they take conversations;
    of oneself what one has chosen, of others "away" while they are not here.
    """

    name: str
    display: str
    role: Role
    availability: Availability


class LoggedIn(Me):
    """``enrol``: the account needs a second factor, and may do nothing else before it has one. ``password``:
    it has one; else it logs in by single sign-on alone.
    """

    enrol: bool = False
    password: bool = True


class Colleague(Me):
    """An operator who may log in. ``here``: they, or a console of theirs, did something just now."""

    here: bool


class Colleagues(msgspec.Struct):
    """By name."""

    operators: list[Colleague]


class Claim(msgspec.Struct):
    """``take_from``: the account that has the conversation, for a supervisor who takes it from there."""

    take_from: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] | None = None


class Say(msgspec.Struct):
    """``text`` is plain text; with an ``id`` the same request may be sent again and counts once."""

    text: str
    id: UUID | None = None


class HandBack(msgspec.Struct):
    """``state``: where the flow goes on; without it, where it was."""

    state: str | None = None


class Transfer(msgspec.Struct, forbid_unknown_fields=True):
    """``operator``: the account that goes on. Without it the visitor waits again: in ``queue``, or where they
    waited last.
    """

    operator: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] | None = None
    queue: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    note: Annotated[str, msgspec.Meta(max_length=4096, description="for whoever goes on")] = ""


class Resolve(msgspec.Struct):
    """``unjoined``: the conversation is nobody's, and the visitor is told of no operator."""

    unjoined: bool = False


class AskAddress(msgspec.Struct, forbid_unknown_fields=True):
    """``text``: how it is asked; without it, in the visitor's language where that is known."""

    text: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


#: Whether the visitor was asked how it was, in this matter.
Feedback = Literal["", "asked", "given"]


class DueTime(msgspec.Struct, kw_only=True):
    """An agreed time: what is due at ``at``, and marked from ``mark`` on."""

    goal: Goal
    at: str
    mark: str


class Row(NotedFields, kw_only=True):
    """A conversation in a list.

    ``visitor`` is what the flow or the door knows of who it is, or an alias, which ``known`` tells.
    ``waiting_since``: since when the visitor waits for a person's word. ``ending``, of one that is resolved:
    an operator closed it, the visitor had come to the flow's end and said no more, or was silent before that.
    ``due``: of what is agreed for its queue, what is due first. ``feedback``: whether the visitor was "asked"
    for a rating of this matter, or has "given" one.
    """

    id: str
    visitor: str
    known: bool
    language: str
    door: str
    owner: Owner
    operator: str
    operator_name: str
    queue: str
    status: Status
    ending: Ending | None
    flow: str
    place: str | None
    waiting_since: str | None
    due: DueTime | None
    feedback: Feedback
    last_line: str
    started: str
    updated: str
    position: int


class ConversationPage(msgspec.Struct):
    """``next`` is the ``before`` of the next page, null on the last."""

    conversations: list[Row]
    next: int | None


class SearchFor(SavedSearch, forbid_unknown_fields=True):
    """A search, page by page."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 30
    after: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1, description="the `next` of the page before")] = 0


class MatchLine(msgspec.Struct, kw_only=True):
    """A line in which it was found; ``text`` is the part around that."""

    position: int
    time: str
    who: Writer = msgspec.field(name="from")
    text: str


class FoundRow(Row, kw_only=True):
    """A conversation in which it was found; ``matches`` are the latest such lines."""

    matches: list[MatchLine]


class FoundConversations(msgspec.Struct):
    """``next`` is the ``after`` of the next page, null on the last."""

    conversations: list[FoundRow]
    next: int | None


class TranscriptLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A line of the transcript, plain text. ``id`` is the one with which an operator said it."""

    position: int
    time: str
    who: Who = msgspec.field(name="from")
    text: str
    name: str = ""
    id: str = ""


class EntryPoint(msgspec.Struct):
    """A state of the flow that its author offers for handing back, and its title for operators."""

    state: str
    title: str


class Detail(Row, kw_only=True):
    """A conversation with its transcript, the states of its flow, and which of them are offered. ``mails``:
    what is said goes by e-mail to visitors who have left, where they gave an address.
    """

    messages: list[TranscriptLine]
    states: list[str]
    entry_points: list[EntryPoint]
    mails: bool


class EarlierTalk(msgspec.Struct, kw_only=True):
    """What was said before the visitor began anew. ``talk`` is its number, ``lines`` how many there are."""

    talk: int
    started: str
    ended: str
    lines: int
    last_line: str


class EarlierContacts(msgspec.Struct):
    """The latest first: talks of this conversation before the present one, and other conversations of whom
    the same door calls by the same user. Where the door names nobody there are none of these.
    """

    talks: list[EarlierTalk]
    conversations: list[Row]


class PastMessages(msgspec.Struct):
    messages: list[TranscriptLine]


_encoder = msgspec.json.Encoder()


#: Its code is missing or wrong, or the account must get one first.
SecondFactorWanted = Literal["needed", "wrong", "demanded"]


class ProblemDetail(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Why a request was not fulfilled. ``operator`` is who has the conversation."""

    error: str
    operator: str | None = None
    operator_name: str | None = None
    second_factor: SecondFactorWanted | None = None


class ProblemDocument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Why a request was not fulfilled, as RFC 9457 has it. ``operator`` is who has the conversation."""

    type: str = msgspec.field(default_factory=lambda: "about:blank")
    title: str
    status: int
    detail: str
    operator: str | None = None
    operator_name: str | None = None
    second_factor: SecondFactorWanted | None = None


class Told(TranscriptLine, kw_only=True):
    """A new line, as an event."""

    conversation: str


class TypingEvent(msgspec.Struct):
    conversation: str
    who: Literal["visitor"] = "visitor"


class WatchConversation(msgspec.Struct, forbid_unknown_fields=True):
    """``console``: the name that the console gave its feed of events."""

    console: Annotated[str, msgspec.Meta(pattern=CONSOLE, examples=["5d0cbd5e-0c4b-4f44-9a3e-7d0c1c1a2b3c"])]


class PresenceEvent(msgspec.Struct, kw_only=True):
    """Where the visitor is. "unknown" says nothing: they may be there all the same. ``page``, ``title``,
    ``referrer`` and ``browser`` are "" unless the visitor's page tells them; ``seen`` is the position up to
    which the visitor has seen the conversation, 0 for not known.
    """

    conversation: str
    whereabouts: Literal["online", "away", "gone", "unknown"]
    page: str
    title: str
    referrer: str
    browser: str
    seen: int


class DraftEvent(msgspec.Struct, kw_only=True):
    """The assistant's next words while it makes them, in its own Markdown. ``offset`` counts characters (code
    points); 0 begins a new attempt. ``end``: nothing more comes, and of what was told only that counts which
    comes as a `message`.
    """

    conversation: str
    offset: int = 0
    text: str = ""
    end: bool = False


class ErasedEvent(msgspec.Struct):
    """The conversation is in no list any more, and what was shown of it must go."""

    conversation: str


class TeamEvent(msgspec.Struct):
    """Somebody has chosen to be available, or not to be."""


class SettingsEvent(msgspec.Struct):
    """Other settings of the desk hold: what lists say is to be read anew."""


class Done(msgspec.Struct):
    pass


class LoggedOut(msgspec.Struct):
    """``next``: where the browser goes to log out at the provider of single sign-on, too."""

    next: str | None


def me(operator: Operator, availability: Availability) -> Me:
    return Me(operator.name, operator.display, operator.role, availability)


def logged_in(
    operator: Operator, availability: Availability, enrol: bool = False, password: bool = True
) -> LoggedIn:
    return LoggedIn(operator.name, operator.display, operator.role, availability, enrol, password)


def row(summary: ConversationSummary, settings: DeskSettings) -> Row:
    return Row(**_row(summary, settings))


def transcript_line(line: TranscriptEntry) -> TranscriptLine:
    return TranscriptLine(**_line(line))


def message(line: TranscriptEntry) -> msgspec.Raw:
    """A line as JSON. Made one by one: of tens of thousands, the others' requests come in between."""
    return msgspec.Raw(_encoder.encode(transcript_line(line)))


def detail(
    summary: ConversationSummary,
    messages: list[msgspec.Raw],
    places: FlowPlaces,
    settings: DeskSettings,
    mails: bool,
) -> Detail:
    """``messages`` as `message` makes them."""
    return Detail(
        **_row(summary, settings),
        messages=cast(list[TranscriptLine], messages),
        mails=mails,
        states=places.states,
        entry_points=[EntryPoint(state, title) for state, title in places.entry_points],
    )


def earlier(
    talks: Iterable[PastTalk], others: Iterable[ConversationSummary], settings: DeskSettings
) -> EarlierContacts:
    """``talks`` in their order."""
    told = [
        EarlierTalk(
            talk=talk.number,
            started=format_time(talk.started),
            ended=format_time(talk.ended),
            lines=talk.lines,
            last_line=talk.last_line[:MAX_SHOWN],
        )
        for talk in talks
    ]
    return EarlierContacts(told[::-1], [row(other, settings) for other in others])


def past(messages: list[msgspec.Raw]) -> PastMessages:
    """``messages`` as `message` makes them."""
    return PastMessages(cast(list[TranscriptLine], messages))


def found(page: FoundPage, asked: str, settings: DeskSettings) -> FoundConversations:
    """``asked`` as the operator wrote it."""
    rows = [
        FoundRow(**_row(summary, settings), matches=[_match(match, asked) for match in matches])
        for summary, matches in page.conversations
    ]
    return FoundConversations(rows, page.next)


def _match(match: IndexMatch, asked: str) -> MatchLine:
    text = plain_markdown(match.text) if match.who == "assistant" else match.text
    return MatchLine(
        position=match.position,
        time=format_time(match.time),
        who=cast(Writer, match.who),
        text=excerpt(text, asked),
    )


def presence(conversation: str, report: VisitorReport) -> PresenceEvent:
    whereabouts = report.whereabouts
    return PresenceEvent(
        conversation=conversation,
        whereabouts="unknown" if whereabouts == "untold" else whereabouts,
        page=report.page,
        title=report.title,
        referrer=report.referrer,
        browser=report.browser,
        seen=report.seen,
    )


def draft(conversation: str, piece: DraftPiece) -> DraftEvent:
    return DraftEvent(conversation=conversation, offset=piece.offset, text=piece.text)


def drafts_over(conversation: str) -> DraftEvent:
    return DraftEvent(conversation=conversation, end=True)


def told(conversation: str, line: TranscriptEntry) -> Told:
    return Told(conversation=conversation, **_line(line))


def _row(summary: ConversationSummary, settings: DeskSettings) -> dict[str, Any]:
    state = summary.state
    queue = settings.queue(state.ownership.queue)
    first = due(summary, queue.agreed, queue.hours)
    return {
        **noted_fields(summary.notes),
        "id": summary.id,
        "visitor": summary.visitor,
        "known": summary.known,
        "language": state.visit.begun.language,
        "door": state.visit.begun.door,
        "ending": summary.ending,
        "owner": state.ownership.owner,
        "operator": state.ownership.operator,
        "operator_name": state.ownership.operator_name,
        "queue": state.ownership.queue,
        "status": state.ownership.status,
        "flow": state.progress.flow,
        "place": state.progress.place,
        "waiting_since": format_time(summary.waiting) if summary.waiting else None,
        "due": _due(first) if first else None,
        "feedback": state.asked.rating,
        "last_line": summary.last_line[:MAX_SHOWN],
        "started": format_time(summary.started),
        "updated": format_time(summary.updated),
        "position": state.position,
    }


def _due(due: Due) -> DueTime:
    return DueTime(goal=due.goal, at=format_time(due.at), mark=format_time(due.mark))


def _line(line: TranscriptEntry) -> dict[str, Any]:
    return {
        "position": line.position,
        "time": format_time(line.time),
        "who": line.who,
        "text": line.text,
        "name": line.name,
        "id": line.id,
    }
