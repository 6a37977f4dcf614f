"""A session as the REST door tells it: turns, the events of streams, states."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from services.proxy.domain import sse_events
from services.proxy.domain.rest_state import MOVES, State, path, state_of
from services.proxy.domain.sse_events import SseEvent, StreamPlace, newest, place_of, tell
from services.proxy.domain.turns import Turns
from shared.contract.drafts import DraftPiece
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AnswerFailed,
    AnswerStarted,
    AssistantSaid,
    BotSaid,
    ConversationClaimed,
    ConversationEnded,
    ConversationHandedBack,
    ConversationResolved,
    ConversationStarted,
    DecisionFailed,
    EditorOpened,
    Fact,
    FlowAdvanced,
    HandoffRequested,
    InputRefused,
    OperatorSaid,
    TextWritten,
    TimerArmed,
    TimerFired,
)
from tests.examples import CHOICE_ASKED, CONVERSATION_STARTED, Story
from tests.properties.test_laws import histories

SESSION = "the-session"
EPOCH = "e1"
Step = RecordedEntry | DraftPiece


def folded(steps: list[Step]) -> Turns:
    turns = Turns()
    for step in steps:
        if isinstance(step, DraftPiece):
            turns.hear(step)
        else:
            turns.add(step)
    return turns


def told(steps: list[Step], place: StreamPlace | None = None) -> list[SseEvent]:
    """Everything that a stream tells which is opened when all has happened."""
    turns = folded(steps)
    return tell(turns, place or newest(turns), SESSION)[0]


def words(events: list[SseEvent]) -> list[tuple[str, str]]:
    return [(event.kind, event.data) for event in events]


def said(events: list[SseEvent]) -> str:
    return "".join(event.data for event in events if event.kind == "token")


def text(what: str) -> TextWritten:
    return TextWritten(session="", text=what)


def begun() -> Story:
    """The welcome was quicker than the first message."""
    story = Story()
    story.visitor(CONVERSATION_STARTED)
    story.bot(BotSaid(text="<b>Hi!</b>"), CHOICE_ASKED, cause=1)
    story.visitor(text("rust"))
    return story


# --- one turn -----------------------------------------------------------------------------------


def test_a_scripted_answer_is_told_as_it_was_said_and_ends() -> None:
    story = begun()
    story.bot(BotSaid(text="Good <i>choice</i>,<br>thanks"), cause=3)
    assert words(told([*story.entries])) == [
        ("token", "Hi!"),
        ("token", "\n\nWhich one?\n1. Rust\n2. Other"),
        ("token", "\n\nGood choice,\nthanks"),
        ("message_end", ""),
        ("commit_done", SESSION),
    ]


def test_the_welcome_belongs_to_the_first_answer_whoever_was_quicker() -> None:
    quick = begun()
    quick.bot(BotSaid(text="Good"), cause=3)
    slow = Story()
    slow.visitor(CONVERSATION_STARTED)
    slow.visitor(text("rust"))
    slow.bot(BotSaid(text="<b>Hi!</b>"), CHOICE_ASKED, cause=1)
    slow.bot(BotSaid(text="Good"), cause=2)
    for history in (quick.entries, slow.entries):
        turns = folded([*history])
        assert [message.role for message in turns.messages] == ["user", "assistant"]
        assert (
            turns.messages[1].text == said(told([*history])) == "Hi!\n\nWhich one?\n1. Rust\n2. Other\n\nGood"
        )


def test_a_first_message_that_is_no_answer_to_the_welcome_gets_the_welcome() -> None:
    story = begun()
    story.bot(InputRefused(reason="unknown_choice"), cause=3)
    kinds = [event.kind for event in told([*story.entries])]
    assert kinds[-2:] == ["message_end", "commit_done"]
    assert "error" not in kinds


def test_a_message_out_of_turn_and_one_that_fails_end_with_the_reason() -> None:
    story = begun()
    story.bot(BotSaid(text="Good"), cause=3)
    story.visitor(text("what?"))
    story.bot(InputRefused(reason="unknown_choice"), cause=5)
    assert words(told([*story.entries])) == [
        ("error", "There is no such choice. Please answer with one of the numbers.")
    ]
    assert state_of(folded([*story.entries])) == "idle"
    story.visitor(text("and now?"))
    story.bot(DecisionFailed(reason="session_timeout"), cause=7)
    assert words(told([*story.entries])) == [("error", "Session timeout")]
    assert state_of(folded([*story.entries])) == "error"


def test_what_the_bot_says_unasked_follows_the_last_turn() -> None:
    story = begun()
    story.bot(BotSaid(text="Good"), cause=3)
    at = told([*story.entries])[-1].place
    story.bot_alone(TimerArmed(id="after:4:0", at="2026-01-01T00:00:00Z"))
    story.bot_alone(TimerFired(id="after:4:0"))
    assert state_of(folded([*story.entries])) == "idle"  # it is nobody's turn
    story.bot(BotSaid(text="Still there?"), cause=6)
    follows = told([*story.entries], at)
    assert said(follows) == "Still there?"
    assert follows[-1].kind == "commit_done"


def test_each_of_a_persons_words_is_an_answer_of_its_own() -> None:
    story = begun()
    story.bot(HandoffRequested(queue="orders"), cause=3)
    story.visitor(text("anyone?"))
    turns = folded([*story.entries])
    assert turns.with_person
    assert state_of(turns) == "idle"
    assert told([*story.entries]) == []
    story.operator(ConversationClaimed(operator="kim"))
    story.operator(OperatorSaid(operator="kim", text="Here I am"))
    story.operator(OperatorSaid(operator="kim", text="1 < 2"))
    events = told([*story.entries])
    assert [event.kind for event in events if event.kind != "token"] == ["message_end", "commit_done"] * 2
    assert said(events) == "Here I am1 < 2"


# --- the assistant ------------------------------------------------------------------------------


def test_what_was_streamed_is_exactly_what_is_stored() -> None:
    story = begun()
    steps: list[Step] = [*story.entries, story.bot_alone(AnswerStarted(cause=3, attempt=1))]
    answer = "  It is\r\nfine \N{SNOWMAN}, Donaudampfschifffahrtsgesellschaft! "
    turns = folded(steps)
    place = newest(turns)
    events: list[SseEvent] = []
    for offset in range(0, len(answer), 3):
        turns.hear(DraftPiece(3, 1, offset, answer[offset : offset + 3]))
        more, place = tell(turns, place, SESSION)
        events += more
    turns.add(story.bot(AssistantSaid(text=answer, attempt=1), cause=3))
    more, place = tell(turns, place, SESSION)
    events += more
    assert events == told([*story.entries])
    assert said(events) == turns.messages[-1].text
    assert turns.messages[-1].text.endswith(answer.replace("\r\n", "\n"))


def test_an_answer_taken_anew_is_told_whole_after_an_error() -> None:
    story = begun()
    steps: list[Step] = [*story.entries, story.bot_alone(AnswerStarted(cause=3, attempt=1))]
    steps.append(DraftPiece(3, 1, 0, "It is rai"))
    before = told(steps)
    steps.append(story.bot_alone(AnswerStarted(cause=3, attempt=2)))
    steps.append(DraftPiece(3, 2, 0, "The sun shi"))
    again = told(steps, before[-1].place)
    assert words(again)[0] == ("error", "The answer was interrupted.")
    steps.append(story.bot(AssistantSaid(text="The sun shines.", attempt=2), cause=3))
    last = told(steps, again[-1].place)
    assert said(again + last) == folded(steps).messages[-1].text


def test_an_answer_that_fails_is_replaced_by_what_the_flow_says() -> None:
    story = begun()
    steps: list[Step] = [*story.entries, story.bot_alone(AnswerStarted(cause=3, attempt=1))]
    steps.append(DraftPiece(3, 1, 0, "It is rai"))
    before = told(steps)
    steps.append(
        story.bot(AnswerFailed(reason="cut", attempt=1), BotSaid(text="It is out of order."), cause=3)
    )
    after = told(steps, before[-1].place)
    assert words(after)[0] == ("error", "The answer could not be finished.")
    assert said(after).endswith("It is out of order.")


def test_a_takeover_in_the_middle_of_an_answer_is_told() -> None:
    story = begun()
    story.bot(BotSaid(text="Good"), cause=3)
    story.visitor(text("why?"))
    steps: list[Step] = [*story.entries, story.bot_alone(AnswerStarted(cause=5, attempt=1))]
    steps.append(DraftPiece(5, 1, 0, "Because it"))
    before = told(steps)
    steps.append(story.operator(ConversationClaimed(operator="kim")))
    assert words(told(steps, before[-1].place)) == [("error", "A person has taken over.")]


# --- laws ---------------------------------------------------------------------------------------


ANSWERS: list[Callable[[str], tuple[Fact, ...]]] = [
    lambda what: (FlowAdvanced(path=("a",)), BotSaid(text=what)),
    lambda what: (BotSaid(text=what), CHOICE_ASKED, EditorOpened(session="x", text=what)),
    lambda what: (),
    lambda what: (InputRefused(reason="stale_answer"),),
    lambda what: (DecisionFailed(reason="too_large"),),
    lambda what: (BotSaid(text=what), HandoffRequested(queue="q")),
    lambda what: (HandoffRequested(queue="q"),),
    lambda what: (AnswerFailed(reason="cut"), BotSaid(text=what)),
    lambda what: (ConversationEnded(reason="inactivity"),),
]
OPERATORS: list[Callable[[str], Fact]] = [
    lambda what: ConversationClaimed(operator="kim"),
    lambda what: OperatorSaid(operator="kim", text=what),
    lambda what: ConversationHandedBack(operator="kim"),
    lambda what: ConversationResolved(operator="kim"),
]
speech = st.text("ab \n\r\tü中", max_size=60)


@st.composite
def lives(draw: st.DrawFn) -> list[Step]:
    """What happens in a session, with the assistant's words as they are made."""
    story = Story()
    steps: list[Step] = [story.visitor(ConversationStarted(door="rest", user="sam"))]
    for _ in range(draw(st.integers(0, 12))):
        owed = story.state.inbox.unanswered
        generating = story.state.answer.generating
        match draw(st.sampled_from(["text", "answer", "answer", "assistant", "operator", "timer"])):
            case "text":
                steps.append(story.visitor(text(draw(speech))))
            case "answer" if owed and generating is None:
                facts = draw(st.sampled_from(ANSWERS))(draw(speech))
                steps.append(story.bot(*facts, cause=owed[0].position))
            case "answer" | "assistant" if owed:
                steps += _generated(draw, story, owed[0].position)
            case "operator":
                steps.append(story.operator(draw(st.sampled_from(OPERATORS))(draw(speech))))
            case "timer":
                timer = f"after:{len(steps)}"
                steps.append(story.bot_alone(TimerArmed(id=timer, at="2026-01-01T00:00:00Z")))
                steps.append(story.bot_alone(TimerFired(id=timer)))
    return steps


def _generated(draw: st.DrawFn, story: Story, cause: int) -> list[Step]:
    """An attempt, in pieces; perhaps another one cuts it."""
    attempt = story.state.answer.attempts + 1
    steps: list[Step] = [story.bot_alone(AnswerStarted(cause=cause, attempt=attempt))]
    if story.state.answer.generating is None:  # an operator owns: it takes no effect
        return steps
    pieces = draw(st.lists(speech, max_size=5))
    offset = 0
    for piece in pieces:
        steps.append(DraftPiece(cause, attempt, offset, piece))
        offset += len(piece)
    if draw(st.booleans()):
        also = (BotSaid(text=draw(speech)),) if draw(st.booleans()) else ()
        answer = AssistantSaid(text="".join(pieces), attempt=attempt)
        steps.append(story.bot(*also, answer, cause=cause))
    return steps


def final(events: list[SseEvent]) -> list[SseEvent]:
    """Of each turn what counts: an error takes back the words before it that were not whole."""
    kept: list[SseEvent] = []
    for event in events:
        whole = ("message_end", event.place.turn) in {(each.kind, each.place.turn) for each in kept}
        if event.kind == "error" and not whole:
            kept = [each for each in kept if each.place.turn != event.place.turn]
        if event.kind != "error" or event.place.step:
            kept.append(event)
    return kept


@settings(max_examples=300, deadline=None)
@given(lives(), st.data())
def test_streams_opened_before_during_and_after_tell_the_same(steps: list[Step], data: st.DataObject) -> None:
    opened = data.draw(st.integers(1, len(steps)))
    turns = folded(steps[:opened])
    first = place = newest(turns)
    events: list[SseEvent] = []
    for step in [*steps[opened:], None]:
        more, place = tell(turns, place, SESSION)
        events += more
        if isinstance(step, DraftPiece):
            turns.hear(step)
        elif step is not None:
            turns.add(step)
    after = told(steps, first)
    assert final(events) == after
    if not any(event.kind == "error" for event in events):
        assert events == after


@settings(max_examples=300, deadline=None)
@given(lives(), st.data())
def test_a_stream_resumed_anywhere_goes_on_where_it_was(steps: list[Step], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(steps)))
    before, start = told(steps[:cut]), newest(folded(steps[:cut]))
    if not before:
        return
    count = data.draw(st.integers(1, len(before)))
    id = sse_events.encode(before[count - 1 : count], EPOCH).decode().split("\n")[0].removeprefix("id: ")
    place = place_of(id, EPOCH, folded(steps))
    assert place == before[count - 1].place
    assert final(before[:count] + told(steps, place)) == told(steps, start), steps


@settings(max_examples=200, deadline=None)
@given(lives())
def test_the_words_of_a_turn_are_a_message(steps: list[Step]) -> None:
    turns = folded(steps)
    whole = [turn.said for turn in turns.turns if turn.over and turn.said]
    assert [message.text for message in turns.messages if message.role == "assistant"] == whole
    for turn in turns.turns:
        events = [event for event in told(steps, StreamPlace(0, 0)) if event.place.turn == turn.position]
        if turn.over:
            assert said(events) == turn.said
        assert [event.kind for event in events].count("commit_done") <= 1


@settings(max_examples=300, deadline=None)
@given(lives() | histories)
def test_every_history_makes_allowed_moves_only(steps: list[Step]) -> None:
    turns = Turns()
    before: State = "idle"
    for step in steps:
        if isinstance(step, DraftPiece):
            turns.hear(step)
        else:
            turns.add(step)
        after = state_of(turns)
        for entered in path(before, after):
            assert entered in MOVES[before], (before, entered, after)
            before = entered


def test_nobody_elses_place_holds() -> None:
    mine, theirs = begun(), begun()
    theirs.visitor(text("more"))
    theirs.bot(BotSaid(text="Well"), cause=3)
    events = told([*theirs.entries])
    id = sse_events.encode(events[:1], EPOCH).decode().split("\n")[0].removeprefix("id: ")
    turns = folded([*mine.entries])
    assert place_of(id, "e2", turns) is None  # of a log that was put back from a copy
    for wrong in ("", "x", id + "x", id.replace(".", ""), id[4:], "..." * 99, id[:-1] + "9", "é" + id):
        assert place_of(wrong, EPOCH, turns) is None
    other = folded([*theirs.entries])
    other.turns[0].time += 1
    assert place_of(id, EPOCH, other) is None


def test_events_are_written_as_a_browser_reads_them() -> None:
    place = StreamPlace(1, 2)
    events = [SseEvent("token", " a\n\nb: c", place), SseEvent("message_end", "", place)]
    first, second, rest = sse_events.encode(events, EPOCH).decode().split("\n\n")
    assert first.split("\n")[1:] == ["event: token", "data:  a", "data: ", "data: b: c"]
    assert second.split("\n")[1:] == ["event: message_end", "data: "]
    assert rest == ""
