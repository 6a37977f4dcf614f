"""The checker finds what is planted: each law is broken once, on purpose."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from shared.contract import entry
from tests.conftest import Connections, Services
from tests.faults.checker import (
    LEVEL,
    ClientTranscript,
    Line,
    Violation,
    bounded,
    check,
    in_time,
    same_state,
    silent,
)
from tests.faults.external_checks import Break, Call, Piece, StreamedAnswer, as_streamed, asked_once
from tests.faults.history import Deed, Deeds, Outcome
from tests.faults.lab import read_log
from tests.faults.scenarios.races import taken_within_turns
from tests.faults.test_kill import converse, transcript_of
from tests.faults.text_door_checks import HeardText, heard, session_of, to_be_heard
from tests.processes import TOUR
from tests.visitor import Visitor


class Sound(NamedTuple):
    """A small sound history, to be damaged."""

    lines: list[Line]
    transcript: ClientTranscript


@pytest.fixture
async def sound(services: Services, connections: Connections) -> Sound:
    """A real conversation of a few turns, as the log and the client have it."""
    proxy = await services.start("proxy")
    await services.start("workflow", SWITCHBOARD_FLOW=TOUR)
    async with Visitor(proxy.url) as visitor:
        await converse(visitor, 4, random.Random(1))
        await visitor.question()
        transcript = await transcript_of(visitor, proxy.url)
        lines = await read_log(await connections.log("operator"))
        assert check(lines, [transcript]) == []
        return Sound(lines, transcript)


def laws(lines: list[Line], *transcripts: ClientTranscript) -> set[str]:
    return {violation.law for violation in check(lines, transcripts)}


async def test_the_checker_finds_what_is_planted(sound: Sound) -> None:
    lines, transcript = sound.lines, sound.transcript
    answer = next(i for i, line in enumerate(lines) if line["author"] == "bot" and i > 2)
    message = next(i for i, line in enumerate(lines) if line["author"] == "visitor" and i > 1)

    lost_answer = lines[:answer] + lines[answer + 1 :]
    assert "one outcome" in laws(lost_answer)
    lost_message = lines[:message] + lines[message + 1 :]
    assert "acknowledged" in laws(lost_message, transcript)

    doubled = {**lines[answer], "position": lines[-1]["position"] + 1}
    assert {"one outcome", "once"} <= laws([*lines, doubled])

    swapped = [dict(line) for line in lines]
    swapped[answer]["position"], swapped[message]["position"] = (
        lines[message]["position"],
        lines[answer]["position"],
    )
    swapped.sort(key=lambda line: line["position"])
    assert "one outcome" in laws(swapped) or "order" in laws(swapped)

    frames = transcript.frames
    for damaged in (frames[:1] + frames[2:], [*frames[:2], *frames[1:]], [frames[1], frames[0], *frames[2:]]):
        assert laws(lines, transcript._replace(frames=damaged)) == {"transcript"}
        assert laws(lines, transcript._replace(whole=damaged)) == {"transcript"}


def line(position: int, author: str, *kinds: str, **entry: Any) -> Line:
    """An entry with facts of these kinds; the operator is "o" unless ``operator`` names another."""
    operator = entry.pop("operator", "o")
    facts = [{"kind": kind, "text": "", "operator": operator} for kind in kinds]
    return {
        "position": position,
        "conversation": "c",
        "author": author,
        "time": float(position),
        "entry": {"id": str(position), "facts": facts, **entry},
    }


SMALL = [line(1, "visitor", "ConversationStarted"), line(2, "bot", "BotSaid", cause=1)]
CLAIMED = [*SMALL, line(3, "operator", "ConversationClaimed")]


def test_a_note_is_no_part_of_the_conversation() -> None:
    note = line(4, "desk", "NoteWritten", id="n", needs=6)
    asked, answered = line(3, "visitor", "TextWritten"), line(5, "bot", "BotSaid", cause=3)
    assert laws([*SMALL, asked, note, answered]) == set()
    assert laws([*SMALL, asked, note]) == {"one outcome"}
    assert laws([*SMALL, note, {**note, "position": 5}]) == {"once"}


def test_who_resolves_without_joining_has_nobody_to_ask_while_nobody_owns() -> None:
    closed = line(4, "operator", "ConversationResolved")
    closed["entry"]["facts"][0]["unjoined"] = True
    asked = line(3, "visitor", "TextWritten")
    assert laws([*SMALL, asked, closed]) == set()
    assert laws([*SMALL, asked, closed, line(5, "bot", "BotSaid", cause=3)]) == {"one outcome"}
    assert laws([*CLAIMED, closed]) == {"one owner"}


def test_two_speakers_and_two_owners_are_found() -> None:
    assert laws(CLAIMED) == set()
    assert laws([*CLAIMED, line(4, "bot", "BotSaid")]) == {"one speaker"}
    assert laws([*CLAIMED, line(4, "operator", "ConversationClaimed")]) == {"one owner"}


def test_an_operator_who_acts_without_owning_is_found() -> None:
    assert laws([*CLAIMED, line(4, "operator", "OperatorSaid")]) == set()
    assert laws([*CLAIMED, line(4, "operator", "OperatorSaid", operator="other")]) == {"one owner"}
    assert laws([*SMALL, line(3, "operator", "OperatorSaid")]) == {"one owner"}


def test_what_was_passed_on_is_the_next_ones() -> None:
    def passed_on(to: str, operator: str = "o") -> Line:
        transfer = line(4, "operator", "ConversationTransferred", operator=operator)
        transfer["entry"]["facts"][0]["to"] = to
        return transfer

    others = line(5, "operator", "OperatorSaid", operator="other")
    assert laws([*CLAIMED, passed_on(to="other"), others]) == set()
    assert laws([*CLAIMED, passed_on(to="third"), others]) == {"one owner"}
    taken = line(5, "operator", "ConversationClaimed", operator="other")
    assert laws([*CLAIMED, passed_on(to=""), taken]) == set()
    assert laws([*CLAIMED, passed_on(operator="other", to="other")]) == {"one owner"}


def test_what_another_author_may_not_write_counts_for_nothing() -> None:
    assert laws([*SMALL, line(3, "visitor", "ConversationClaimed"), line(4, "bot", "BotSaid")]) == set()


def test_a_decision_after_an_entry_of_a_future_version_is_found() -> None:
    assert LEVEL == entry.LEVEL
    future = [*SMALL, line(3, "visitor", "TextWritten", needs=LEVEL + 1)]
    assert laws(future) == set()  # it waits for a newer program
    assert laws([*future, line(4, "bot", "BotSaid", cause=3)]) == {"level"}


@pytest.mark.parametrize(
    "outcome, times, law",
    [
        ("ok", 1, None),
        ("ok", 0, "acknowledged"),
        ("ok", 2, "acknowledged"),
        ("fail", 0, None),
        ("fail", 1, "refused"),
        ("unknown", 0, None),
        ("unknown", 1, None),
        ("unknown", 2, "unknown"),
    ],
)
def test_a_deed_is_held_against_what_is_stored(outcome: Outcome, times: int, law: str | None) -> None:
    said = [line(4 + number, "operator", "OperatorSaid", id="s") for number in range(times)]
    deed = Deed("o", "c", "say", "s", outcome, 0.0, 1.0)
    found = {violation.law for violation in check([*CLAIMED, *said], [], [deed])} - {"once"}
    assert found == ({law} if law else set())


def test_a_note_that_was_acknowledged_is_stored_as_a_note() -> None:
    note = line(4, "desk", "NoteWritten", id="n")
    deed = Deed("o", "c", "note", "n", "ok", 0.0, 1.0)
    assert check([*SMALL, note], [], [deed]) == []
    for stored in ([], [line(4, "operator", "NoteWritten", id="n")]):
        assert [violation.law for violation in check([*SMALL, *stored], [], [deed])] == ["acknowledged"]


@pytest.mark.parametrize(
    "outcome, stored, law",
    [("ok", True, None), ("ok", False, "acknowledged"), ("fail", True, "refused"), ("unknown", False, None)],
)
def test_a_claim_is_held_against_what_is_stored(outcome: Outcome, stored: bool, law: str | None) -> None:
    deed = Deed("o", "c", "claim", "", outcome, 0.0, 1.0)
    found = {violation.law for violation in check(CLAIMED if stored else SMALL, [], [deed])}
    assert found == ({law} if law else set())


def test_a_replay_that_differs_or_writes_is_found() -> None:
    live = {"queue": {"c": {"owner": "bot"}}, "summary": {"turns": 7}}
    assert same_state("told", live, {"queue": {"c": {"owner": "bot"}}, "summary": {"turns": 7}}) == []
    changed = {"queue": {"c": {"owner": "queue"}}, "summary": {"turns": 8}}
    details = [violation.detail for violation in same_state("told", live, changed)]
    assert len(details) == 2
    assert details[0].startswith("told.queue.c.owner was 'bot' and is 'queue'")
    assert same_state("told", live, {**live, "queue": {}}) != []
    assert silent(7, 7) == []
    assert silent(7, 8) != []


def test_too_much_memory_and_too_late_an_answer_are_found() -> None:
    assert bounded("proxy", 60, 100, 50) == []
    assert bounded("proxy", 60, 120, 50) == [Violation("memory", "", bounded("proxy", 60, 120, 50)[0].detail)]
    assert in_time("an answer", 4.9, 5.0) == []
    assert [violation.law for violation in in_time("an answer", 5.1, 5.0)] == ["time"]


def moment(seconds: float) -> str:
    """A time of the lab in the form of the log: so many seconds after 1970 began."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def noted(position: int, *facts: dict[str, Any], at: float | None = None, **entry: Any) -> Line:
    """An entry of the bot with these facts, stored ``at`` (seconds), else at the second of its position."""
    time = float(position) if at is None else at
    entry = {"id": f"n{position}", "facts": list(facts), **entry}
    return {"position": position, "conversation": "c", "author": "bot", "time": time, "entry": entry}


ARMED = {"kind": "TimerArmed", "id": "after:1:0", "at": moment(10)}
FIRED = {"kind": "TimerFired", "id": "after:1:0"}
MOVED = {"kind": "FlowAdvanced", "path": ["a"]}
ARMING = [*SMALL, noted(3, ARMED)]


def timing(lines: list[Line], now: float = 0.0) -> set[str]:
    return {violation.law for violation in check(lines, [], now=now, late=5.0)}


def test_a_timer_takes_effect_once_and_has_an_outcome() -> None:
    fired = [*ARMING, noted(4, FIRED, at=11)]
    assert timing(fired) == {"one outcome"}
    assert timing([*fired, noted(5, at=11, cause=4)]) == set()
    again = [*fired, noted(5, at=11, cause=4), noted(6, FIRED, at=12)]
    assert timing(again) == {"timers"}


@pytest.mark.parametrize("at, sound", [(9.0, False), (10.0, True), (14.9, True), (15.1, False)])
def test_a_timer_that_is_early_or_late_is_found(at: float, sound: bool) -> None:
    lines = [*ARMING, noted(4, FIRED, at=at), noted(5, at=at, cause=4)]
    assert timing(lines) == (set() if sound else {"timers"})


def test_a_timer_that_is_lost_is_found() -> None:
    assert timing(ARMING, now=14) == set()
    assert timing(ARMING, now=16) == {"timers"}
    assert timing([*ARMING, noted(4, MOVED, at=9)], now=16) == set()
    assert timing([*ARMING, noted(4, MOVED, at=16)], now=16) == {"timers"}


def test_a_timer_that_fires_after_the_flow_has_moved_on_is_found() -> None:
    assert timing([*ARMING, noted(4, MOVED, at=9), noted(5, FIRED, at=10)]) == {"timers"}
    silence = {**ARMED, "id": "inactivity:1"}
    lines = [
        *SMALL,
        noted(3, silence),
        noted(4, MOVED, at=9),
        noted(5, {**FIRED, "id": "inactivity:1"}, at=10),
    ]
    assert timing([*lines, noted(6, at=10, cause=5)]) == set()


def test_who_waits_for_a_person_hears_of_nothing_but_the_waiting() -> None:
    asked = [
        *SMALL,
        noted(3, {"kind": "HandoffRequested", "queue": "q"}, {"kind": "BotSaid", "text": "Wait."}),
    ]
    assert laws(asked) == set()
    assert laws([*asked, noted(4, {"kind": "BotSaid", "text": "By the way"})]) == {"one speaker"}
    timer = [*asked, noted(4, ARMED), noted(5, FIRED, at=10)]
    assert laws([*timer, noted(6, {"kind": "BotSaid", "text": "Still looking"}, at=10, cause=5)]) == set()


CALLING = [*SMALL, line(3, "visitor", "TextWritten")]
BOOKED = {"kind": "ServiceAnswered", "cause": 3, "state": "book", "value": {"number": 1}}


@pytest.mark.parametrize(
    "facts, calls, breaks, sound",
    [
        ([BOOKED], [1], [], True),
        ([BOOKED], [1, 2], [], False),  # asked twice for nothing
        ([BOOKED], [1, 2], [Break(3.2, 3.6)], True),
        ([BOOKED], [1, 2, 3], [Break(3.2, 3.6)], False),
        ([BOOKED], [1, 2], [Break(9.0, 9.5)], False),  # the break was later
        ([BOOKED, BOOKED], [1], [], False),  # its answer is there twice
        ([{**BOOKED, "value": {"number": 7}}], [1], [], False),  # it never said that
        ([{**BOOKED, "value": None, "failure": "status_503"}], [None], [], True),
        ([{**BOOKED, "value": None, "failure": "status_503"}], [1], [], False),  # it did not fail
    ],
)
def test_a_backend_that_is_asked_too_often_or_misheard_is_found(
    facts: list[dict[str, Any]], calls: list[int | None], breaks: list[Break], sound: bool
) -> None:
    lines = [*CALLING, *(noted(4 + n, fact) for n, fact in enumerate(facts))]
    asked = [Call("c:3:book", 3.1 + n / 10, number) for n, number in enumerate(calls)]
    assert (asked_once(lines, asked, breaks) == []) is sound


def test_a_backend_that_is_asked_for_no_input_is_found() -> None:
    assert asked_once(CALLING, [Call("c:9:book", 3.1, 1)], []) != []
    assert asked_once(CALLING, [Call("", 3.1, 1)], []) != []


TALKING = [*SMALL, line(3, "visitor", "TextWritten")]
BEGUN = {"kind": "AnswerStarted", "cause": 3, "attempt": 1}
SAID = {"kind": "AssistantSaid", "text": "It is so.", "attempt": 1}
ANSWERED = [*TALKING, noted(4, BEGUN), noted(5, SAID, cause=3)]
STREAM = StreamedAnswer("", "It is so.", True)
PIECES = [
    Piece("c", 3, 1, 0, "It is ", ""),
    Piece("c", 3, 1, 6, "so.", ""),
    Piece("c", 3, 1, 9, "", "committed"),
]


def spoken(
    lines: list[Line], stream: StreamedAnswer = STREAM, pieces: Any = PIECES, *breaks: Break
) -> set[str]:
    return {violation.law for violation in as_streamed(lines, [stream], pieces, breaks)}


def test_an_answer_that_is_what_was_streamed_is_sound() -> None:
    assert spoken(ANSWERED) == set()
    again = [
        *TALKING,
        noted(4, BEGUN),
        noted(5, {**BEGUN, "attempt": 2}),
        noted(6, {**SAID, "attempt": 2}, cause=3),
    ]
    second = [piece._replace(attempt=2) for piece in PIECES]
    assert spoken(again, STREAM, [PIECES[0], *second]) == set()


@pytest.mark.parametrize(
    "stream",
    [STREAM._replace(text="It is not."), STREAM._replace(whole=False), STREAM._replace(asked="?", text="x")],
)
def test_an_answer_that_was_not_streamed_whole_is_found(stream: StreamedAnswer) -> None:
    assert "streamed" in spoken(ANSWERED, stream)


def test_an_answer_to_another_question_or_said_twice_is_found() -> None:
    other = [{**each, "entry": {**each["entry"]}} for each in ANSWERED]
    other[2]["entry"]["facts"] = [{"kind": "TextWritten", "text": "Why?"}]
    assert spoken(other) == {"streamed"}
    twice = [
        *ANSWERED,
        line(6, "visitor", "TextWritten"),
        noted(7, {**BEGUN, "cause": 6}),
        noted(8, SAID, cause=6),
    ]
    assert "streamed" in spoken(twice)


def test_an_attempt_that_goes_back_or_comes_after_the_answer_is_found() -> None:
    assert spoken([*TALKING, noted(4, BEGUN), noted(5, BEGUN)], pieces=[]) == {"attempts"}
    assert spoken([*ANSWERED, noted(6, {**BEGUN, "attempt": 2})]) == {"attempts"}
    older = [*TALKING, noted(4, BEGUN), noted(5, {**BEGUN, "attempt": 2}), noted(6, SAID, cause=3)]
    assert "attempts" in spoken(older)
    assert "attempts" in spoken([*TALKING, noted(4, SAID, cause=3)], pieces=[])


@pytest.mark.parametrize(
    "pieces",
    [
        [PIECES[0], PIECES[2]],  # some words are missing
        [PIECES[0]._replace(text="It was "), *PIECES[1:]],
        [*PIECES[:2], PIECES[2]._replace(end="interrupted")],
        [*PIECES, PIECES[0]._replace(attempt=2)],  # of an attempt that never was
    ],
)
def test_drafts_that_say_something_else_are_found(pieces: list[Piece]) -> None:
    assert spoken(ANSWERED, STREAM, pieces) == {"drafts"}


def test_drafts_may_be_lost_with_the_server() -> None:
    assert spoken(ANSWERED, STREAM, [PIECES[0]], Break(4.5, 4.7)) == set()
    assert spoken(ANSWERED, STREAM, [PIECES[0]], Break(1.0, 2.0)) == {"drafts"}


def test_the_assistant_that_speaks_while_an_operator_owns_is_found() -> None:
    assert laws([*CLAIMED, noted(4, SAID)]) == {"one speaker"}


ASKED = {"kind": "ChoiceAsked", "question": "Which?", "choices": [{"item": 1, "text": "This"}]}
CHAT = [
    line(1, "visitor", "ConversationStarted"),
    noted(2, {"kind": "BotSaid", "text": "Hello."}, ASKED, cause=1),
    line(3, "visitor", "TextWritten"),
    noted(4, {"kind": "BotSaid", "text": "Thank you."}, cause=3),
]
HEARD = [HeardText(2, "Hello."), HeardText(2, "Which?\n1. This"), HeardText(4, "Thank you.")]


@pytest.mark.parametrize(
    "told",
    [
        HEARD[:2],
        HEARD[1:],
        [*HEARD, HEARD[2]],
        [HEARD[1], HEARD[0], HEARD[2]],
        [*HEARD[:2], HeardText(4, "Thank me.")],
    ],
)
def test_a_chat_that_is_told_something_else_is_found(told: list[HeardText]) -> None:
    assert heard("c", HEARD, CHAT) == []
    assert [violation.law for violation in heard("c", told, CHAT)] == ["transcript"]


def test_a_chat_is_told_nothing_of_what_only_the_desk_says() -> None:
    resolved = line(9, "operator", "ConversationResolved")
    assert to_be_heard("c", [*CHAT, resolved]) == HEARD
    assert heard("c", HEARD, [*CHAT, resolved]) == []


def test_a_takeover_within_a_turn_is_one_of_a_bot_that_owes_an_answer() -> None:
    asked, answered = line(3, "visitor", "TextWritten"), line(4, "bot", "BotSaid", cause=3)
    queued = line(4, "bot", "HandoffRequested", cause=3)
    claimed = line(6, "operator", "ConversationClaimed")
    assert taken_within_turns([*SMALL, asked, claimed]) == 1
    assert taken_within_turns([*SMALL, asked, answered, claimed]) == 0
    assert taken_within_turns([*SMALL, asked, queued, line(5, "visitor", "TextWritten"), claimed]) == 0


def session(*answers: str, user: str = "3") -> list[dict[str, Any]]:
    told = [{"id": str(n), "role": "assistant", "content": text} for n, text in enumerate(answers)]
    return [{"id": user, "role": "user", "content": ""}, *told]


TOLD = session("Hello. Which? 1. This", "Thank you.")


@pytest.mark.parametrize(
    "messages, streamed, posted, law",
    [
        (TOLD, ["Thank you."], [("", "ok")], None),
        (session("Hello. Which? 1. This"), [], [], "transcript"),
        (session("Thank you.", "Hello. Which? 1. This"), [], [], "transcript"),
        (session("Hello. Which? 1. This", "Thank you.", user="2"), [], [], "transcript"),
        (TOLD, ["Thank"], [], "transcript"),
        (TOLD, ["Thank you.", "Thank you."], [], "transcript"),
        (TOLD, [], [("lost", "ok")], "acknowledged"),
        (TOLD, [], [("lost", "fail"), ("lost", "unknown")], None),
    ],
)
def test_a_session_that_is_told_something_else_is_found(
    messages: list[dict[str, Any]],
    streamed: list[str],
    posted: list[tuple[str, Outcome]],
    law: str | None,
) -> None:
    found = {violation.law for violation in session_of("c", messages, streamed, posted, CHAT)}
    assert found == ({law} if law else set())


def test_a_message_that_was_refused_and_is_stored_all_the_same_is_found() -> None:
    said = {"kind": "TextWritten", "session": "", "text": "hello"}
    lines = [{**CHAT[2], "entry": {"id": "x", "facts": [said]}}]
    messages = [{"id": "3", "role": "user", "content": "hello"}]
    assert session_of("c", messages, [], [("hello", "ok")], lines) == []
    assert {v.law for v in session_of("c", messages, [], [("hello", "fail")], lines)} == {"refused"}


def test_a_history_keeps_the_first_word() -> None:
    history = Deeds()
    first, second, third = (history.invoke("visitor", "c", "TextWritten", id) for id in "abc")
    history.end(first, "ok")
    history.end(first, "fail")
    history.end(second, "fail", "log_full")
    assert [deed.outcome for deed in history.deeds()] == ["ok", "fail", "unknown"]
    assert third == 2
