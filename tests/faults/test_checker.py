"""The checker finds what is planted: each law is broken once, on purpose."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import pytest

from tests.conftest import Connections, Services
from tests.faults.checker import Line, Transcript, Violation, bounded, check, in_time, same_state, silent
from tests.faults.history import Deed, History, Outcome
from tests.faults.lab import read_log
from tests.faults.test_kill import converse, transcript_of
from tests.processes import TOUR
from tests.visitor import Visitor


class Sound(NamedTuple):
    """A small sound history, to be damaged."""

    lines: list[Line]
    transcript: Transcript


@pytest.fixture
async def sound(services: Services, connections: Connections) -> Sound:
    """A real conversation of a few turns, as the log and the client have it."""
    proxy = await services.start("proxy")
    await services.start("workflow", SWITCHBOARD_FLOW=TOUR)
    async with Visitor(proxy.url) as visitor:
        await converse(visitor, 4, random.Random(1))
        await visitor.question()
        transcript = await transcript_of(visitor, proxy.url)
        lines = await read_log(await connections.log("reader"))
        assert check(lines, [transcript]) == []
        return Sound(lines, transcript)


def laws(lines: list[Line], *transcripts: Transcript) -> set[str]:
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


def test_two_speakers_and_two_owners_are_found() -> None:
    assert laws(CLAIMED) == set()
    assert laws([*CLAIMED, line(4, "bot", "BotSaid")]) == {"one speaker"}
    assert laws([*CLAIMED, line(4, "operator", "ConversationClaimed")]) == {"one owner"}


def test_an_operator_who_acts_without_owning_is_found() -> None:
    assert laws([*CLAIMED, line(4, "operator", "OperatorSaid")]) == set()
    assert laws([*CLAIMED, line(4, "operator", "OperatorSaid", operator="other")]) == {"one owner"}
    assert laws([*SMALL, line(3, "operator", "OperatorSaid")]) == {"one owner"}


def test_what_another_author_may_not_write_counts_for_nothing() -> None:
    assert laws([*SMALL, line(3, "visitor", "ConversationClaimed"), line(4, "bot", "BotSaid")]) == set()


def test_a_decision_after_an_entry_of_a_future_version_is_found() -> None:
    future = [*SMALL, line(3, "visitor", "TextWritten", needs=3)]
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


def test_a_history_keeps_the_first_word() -> None:
    history = History()
    first, second, third = (history.invoke("visitor", "c", "TextWritten", id) for id in "abc")
    history.end(first, "ok")
    history.end(first, "fail")
    history.end(second, "fail", "log_full")
    assert [deed.outcome for deed in history.deeds()] == ["ok", "fail", "unknown"]
    assert third == 2
