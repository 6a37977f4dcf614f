"""Where a live conversation goes in another version of its flow, and what is said on the way."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from services.workflow.domain.authoring.simulator import Simulator
from services.workflow.domain.migration import NoPlace, destination, migrated
from services.workflow.domain.releases import (
    Release,
    ReleaseError,
    chosen,
    is_name,
    published,
    rolled_back,
    shared,
    versions,
    withdrawn,
)
from shared.contract.conversation import Conversation, evolve
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    ConversationClaimed,
    EditorClosed,
    EditorOpened,
    Fact,
    FlowAdvanced,
    FlowMigrated,
    HandoffRequested,
    TextWritten,
    TimerArmed,
)
from shared.flow.effects import Moment
from shared.flow.language.flow import Flow, parse
from tests import examples

MOMENT = Moment(examples.FIRST_TIME)


def asking(session: str, text: str = "Well?") -> dict[str, Any]:
    return {"sendRequest": {"kind": "StartChatSession", "sessionId": session, "chatText": text}}


def taking(session: str, following: str) -> dict[str, Any]:
    return {"matchResponse": {"kind": "UserText", "sessionId": session}, "next": following}


OLD: dict[str, Any] = {
    "ask": asking("s"),
    "got": taking("s", "sub"),
    "sub": {"call": "more", "next": "desk"},
    "desk": {"handoff": {"queue": "q"}, "next": "ask"},
    "$flows": {"more": {"deep": asking("d"), "took": taking("d", "out"), "out": {"end": True}}},
}


def flow(**states: Any) -> Flow:
    new = {name: state for name, state in {**OLD, **states}.items() if state is not None}
    return parse(json.dumps(new).encode(), "shop")


def standing(at: str) -> Conversation:
    """A conversation that stands there in the old flow."""
    rehearsal = Simulator(flow(), now=examples.FIRST_TIME)
    rehearsal.begin()
    place = {"ask": (), "more/deep": ("s",), "desk": ("s", "d")}
    for session in place[at]:
        rehearsal.visitor(TextWritten(session=session, text="x"))
    assert rehearsal.state.progress.place == at
    return rehearsal.state


def moved(state: Conversation, new: Flow, places: dict[str, str] | None = None) -> tuple[Fact, ...]:
    entry = migrated(state, flow(), new, places or {}, MOMENT)
    recorded = RecordedEntry(
        position=state.position + 1,
        conversation="",
        author="bot",
        time=0,
        id=entry.id,
        needs=entry.needs,
        facts=entry.facts,
    )
    after = evolve(state, recorded)
    assert after.progress.version == new.version
    return entry.facts


def test_the_same_question_is_not_asked_again() -> None:
    (move,) = moved(standing("ask"), flow(desk={"handoff": {"queue": "other"}, "next": "ask"}))
    assert isinstance(move, FlowMigrated)
    assert (move.place, move.stack) == ("ask", ())


def test_another_question_is_asked_and_the_old_editor_closed() -> None:
    facts = moved(standing("ask"), flow(ask=asking("t"), got=taking("t", "sub")))
    assert [type(fact) for fact in facts] == [FlowMigrated, EditorClosed, EditorOpened]
    facts = moved(standing("ask"), flow(ask=asking("s", "Now?")))
    assert [type(fact) for fact in facts] == [FlowMigrated, EditorOpened]


def test_who_is_sent_to_a_handoff_waits_for_a_person() -> None:
    facts = moved(standing("ask"), flow(), {"ask": "desk"})
    assert [type(fact) for fact in facts] == [FlowMigrated, FlowAdvanced, HandoffRequested]


def test_within_a_sub_flow_the_way_back_moves_too() -> None:
    new = flow(sub=None, call={"call": "more", "next": "desk"}, got=taking("s", "call"))
    (move,) = moved(standing("more/deep"), new, {"sub": "call"})
    assert isinstance(move, FlowMigrated)
    assert (move.place, move.stack) == ("more/deep", ("call",))


def test_who_waits_in_the_queue_hears_nothing_and_its_timers_are_armed_anew() -> None:
    desk = {"handoff": {"queue": "q"}, "next": "ask", "after": {"delay": "1h", "say": "Soon!"}}
    facts = moved(standing("desk"), flow(desk=desk))
    assert [type(fact) for fact in facts] == [FlowMigrated, TimerArmed]


def test_under_an_operator_nothing_is_said() -> None:
    state = standing("ask")
    claimed = RecordedEntry(
        position=state.position + 1,
        conversation="",
        author="operator",
        time=0,
        id="c",
        facts=(ConversationClaimed(operator="ann"),),
    )
    facts = moved(evolve(state, claimed), flow(ask=asking("t"), got=taking("t", "sub")))
    assert [type(fact) for fact in facts] == [FlowMigrated]


@pytest.mark.parametrize(
    ("at", "states", "reason"),
    [
        ("ask", {"ask": None, "first": asking("s"), "desk": {"end": True}}, 'no state "ask"'),
        ("more/deep", {"sub": {"next": "desk"}, "$flows": OLD["$flows"]}, '"sub" does not call'),
        ("more/deep", {"sub": None, "got": taking("s", "desk")}, 'no state "sub"'),
    ],
)
def test_who_has_no_place_is_told_why(at: str, states: dict[str, Any], reason: str) -> None:
    with pytest.raises(NoPlace, match=reason):
        destination(standing(at), flow(**states), {})


def test_who_stands_nowhere_has_no_place() -> None:
    stands = standing("ask")
    nowhere = replace(stands, progress=replace(stands.progress, place=None))
    with pytest.raises(NoPlace, match="stands nowhere"):
        destination(nowhere, flow(), {})


def test_what_would_ask_a_backend_first_is_no_place() -> None:
    new = flow(look={"service": {"subject": "service.x"}, "next": "ask"})
    with pytest.raises(NoPlace, match="asks a backend"):
        migrated(standing("ask"), flow(), new, {"ask": "look"}, MOMENT)


# --- releases -------------------------------------------------------------------------------------

AT = "2026-01-01T00:00:00.000Z"


def test_a_release_goes_through_its_life() -> None:
    one = published(Release(), "one", 100, AT, "ann")
    tried = published(one, "two", 10, AT, "bob")
    assert (tried.version, tried.candidate, tried.share) == ("one", "two", 10)
    assert shared(tried, 50, AT, "ann").share == 50
    two = shared(tried, 100, AT, "ann")
    assert (two.version, two.candidate) == ("two", None)
    assert rolled_back(tried, "", AT, "ann").candidate is None
    assert rolled_back(two, "", AT, "ann").version == "one"
    assert rolled_back(two, "one", AT, "ann").version == "one"
    assert withdrawn(two, AT, "ann").version == ""
    assert versions(two) == ("two", "one")
    assert [step.by for step in two.history] == ["ann", "bob", "ann"]
    assert published(two, "two", 100, AT, "ann") == two  # again changes nothing


def test_each_rollback_goes_one_further_back() -> None:
    release = Release()
    for version in ("one", "two", "three", "four"):
        release = published(release, version, 100, AT, "ann")
    gone: list[str] = []
    for _ in range(3):
        release = rolled_back(release, "", AT, "bob")
        gone.append(release.version)
    assert gone == ["three", "two", "one"]
    with pytest.raises(ReleaseError, match="no version before"):
        rolled_back(release, "", AT, "bob")
    assert versions(release) == ("one", "two", "three", "four")  # each can still be named


def test_a_rollback_does_not_go_to_what_was_taken_back_or_withdrawn() -> None:
    two = published(published(Release(), "one", 100, AT, "ann"), "two", 100, AT, "ann")
    three = published(rolled_back(two, "", AT, "bob"), "three", 100, AT, "ann")
    assert rolled_back(three, "", AT, "bob").version == "one"  # two was taken back
    assert rolled_back(withdrawn(three, AT, "bob"), "", AT, "bob").version == "one"
    tried = published(withdrawn(three, AT, "bob"), "four", 10, AT, "ann")
    assert rolled_back(tried, "", AT, "bob").version == ""  # without the candidate, the file
    assert rolled_back(rolled_back(tried, "", AT, "bob"), "", AT, "bob").version == "one"
    named = rolled_back(published(two, "three", 100, AT, "ann"), "one", AT, "bob")
    with pytest.raises(ReleaseError, match="no version before"):
        rolled_back(named, "", AT, "bob")
    again = published(rolled_back(two, "", AT, "bob"), "two", 100, AT, "ann")
    assert rolled_back(again, "", AT, "bob").version == "one"  # published anew, it stood again


@given(st.lists(st.sampled_from(["one", "two", "three", "back", "withdraw", "try"]), max_size=12))
def test_rollbacks_come_to_an_end_and_never_stay(moves: list[str]) -> None:
    release = Release()
    for move in moves:
        with contextlib.suppress(ReleaseError):
            match move:
                case "back":
                    release = rolled_back(release, "", AT, "ann")
                case "withdraw":
                    release = withdrawn(release, AT, "ann")
                case "try":
                    release = published(release, "new", 10, AT, "ann")
                case _:
                    release = published(release, move, 100, AT, "ann")
    for _ in range(len(moves) + 1):
        try:
            before, release = release, rolled_back(release, "", AT, "ann")
        except ReleaseError:
            return
        assert (release.version, release.candidate) != (before.version, before.candidate)
    raise AssertionError("there is always one more before")


def test_what_a_release_cannot_do_is_told() -> None:
    one = published(Release(), "one", 100, AT, "ann")
    with pytest.raises(ReleaseError, match="no candidate"):
        shared(one, 50, AT, "ann")
    with pytest.raises(ReleaseError, match="already"):
        published(one, "one", 10, AT, "ann")
    with pytest.raises(ReleaseError, match="no version before"):
        rolled_back(Release(), "", AT, "ann")


def test_no_share_is_nobody_and_all_is_everybody() -> None:
    tried = Release(version="one", candidate="two", share=0)
    assert {chosen(tried, f"{n:032x}") for n in range(500)} == {"one"}
    assert {chosen(replace(tried, share=100), f"{n:032x}") for n in range(500)} == {"two"}


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("shop", True),
        ("a.b-c_1", True),
        ("", False),
        (".a", False),
        ("a..b", False),
        ("a b", False),
        ("x" * 65, False),
    ],
)
def test_names_are_what_a_bucket_takes(name: str, good: bool) -> None:
    assert is_name(name) is good
