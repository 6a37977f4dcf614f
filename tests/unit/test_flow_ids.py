"""Answers that name what the flow does not know are not stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from services.proxy.domain.flow_ids import FlowIds, Unread, binds, flow_ids, unknown
from services.proxy.domain.session import Append, ClientSession, Send
from shared.contract.conversation import NEW, Conversation, Ownership, Progress, Visit
from shared.contract.facts import ChoiceMade, ConversationReset, Fact, FlowAdvanced, TextWritten
from shared.flow.language.flow import parse
from tests import examples
from tests.examples import Story

#: The flows that come along.
FLOWS = [file for file in Path("services/workflow/flows").glob("*.json") if "." not in file.stem]
FLOW = {
    "pick": {
        "sendRequest": {
            "kind": "ChoiceRequest",
            "groupId": "lang",
            "question": "Which one?",
            "choices": [{"itemId": "rust", "content": "Rust"}, {"itemId": 2, "content": "Other"}],
        }
    },
    "isRust": {"matchResponse": {"kind": "ChoiceResponse", "groupId": "lang", "itemId": "rust"}},
    "ask": {"sendRequest": {"kind": "StartChatSession", "sessionId": 7}},
    "$flows": {"inner": {"in": {"sendRequest": {"kind": "StartChatSession", "sessionId": "deep"}}}},
}
IDS = flow_ids(json.dumps(FLOW).encode())
BOUND = replace(NEW, visit=Visit(started=True), progress=Progress(version="v1"))
ENDED = replace(BOUND, ownership=Ownership(ended_by_bot=True))
LONG = "x" * 257
ID = "5f0c7f3e-0000-4000-8000-000000000001"


def test_the_ids_of_a_flow_are_those_that_its_file_names() -> None:
    assert FlowIds(frozenset({"7", "deep"}), {"lang": frozenset({"rust", "2"})}) == IDS


@pytest.mark.parametrize("file", sorted(FLOWS), ids=lambda file: str(file.stem))
def test_whatever_a_flow_takes_for_an_answer_is_known(file: Path) -> None:
    flow = parse(file.read_bytes(), file.stem)
    ids = flow_ids(flow.content)
    for answer in (*flow.answers, *flow.takers):
        fact: Fact = (
            TextWritten(session=answer.asked, text="x")
            if answer.item is None
            else ChoiceMade(group=answer.asked, item=answer.item)
        )
        assert unknown(fact, ids) == "", answer


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"7", b"[" * 100_000])
def test_what_is_no_flow_has_no_ids(content: bytes) -> None:
    assert flow_ids(content) is None


def text(session: str | int) -> TextWritten:
    return TextWritten(session=session, text="hello")


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (text(7), ""),
        (text("7"), ""),
        (text("deep"), ""),
        (text("operator"), ""),
        (text("assistant"), ""),
        (text(""), ""),
        (text("my name is Sam"), "unknown_session"),
        (text(8), "unknown_session"),
        (text(LONG), "id_too_long"),
        (ChoiceMade(group="lang", item=2), ""),
        (ChoiceMade(group="lang", item="rust"), ""),
        (ChoiceMade(group="lang", item="sam@example.com"), "unknown_choice"),
        (ChoiceMade(group="sam@example.com", item="rust"), "unknown_choice"),
        (ChoiceMade(group="lang", item=LONG), "id_too_long"),
        (ChoiceMade(group=LONG, item="rust"), "id_too_long"),
        (examples.CONVERSATION_RATED, ""),
        (examples.CONVERSATION_RESET, ""),
    ],
)
def test_an_answer_names_what_the_flow_knows_or_is_refused(fact: Fact, reason: str) -> None:
    assert unknown(fact, IDS) == reason
    assert binds(BOUND, fact) == isinstance(fact, TextWritten | ChoiceMade)


@pytest.mark.parametrize("state", [NEW, ENDED, Story().state])
def test_where_another_flow_is_about_to_ask_this_one_does_not_bind(state: Conversation) -> None:
    assert not binds(state, text("new"))
    assert not binds(state, ChoiceMade(group="new", item="x"))


def test_after_a_reset_another_version_may_ask() -> None:
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    story.bot(examples.FLOW_STARTED, FlowAdvanced(path=("pick",)), cause=1)
    assert binds(story.state, text("new"))
    story.visitor(ConversationReset())
    assert not binds(story.state, text("new"))
    story.bot(examples.FLOW_STARTED, FlowAdvanced(path=("pick",)), cause=3)
    assert binds(story.state, text("new"))


def test_where_the_flow_cannot_be_read_only_the_length_counts() -> None:
    assert [unknown(text(session), None) for session in ("new", LONG)] == ["", "id_too_long"]
    assert unknown(ChoiceMade(group="new", item="x"), None) == ""
    assert unknown(ChoiceMade(group="new", item=LONG), None) == "id_too_long"


def test_a_text_for_a_person_is_theirs_whatever_it_names() -> None:
    for state in (
        replace(BOUND, ownership=Ownership(owner="queue")),
        replace(BOUND, ownership=Ownership(owner="operator", operator="ada")),
        replace(BOUND, ownership=Ownership(status="resolved")),
    ):
        assert not binds(state, text("some editor"))
        assert binds(state, ChoiceMade(group="new", item="x"))


def test_a_long_id_of_the_flow_is_known_all_the_same() -> None:
    ids = flow_ids(json.dumps({"a": {"sendRequest": {"sessionId": LONG}}}).encode())
    assert unknown(text(LONG), ids) == ""


def asked() -> Story:
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    story.bot(examples.FLOW_STARTED, FlowAdvanced(path=("pick",)), examples.CHOICE_ASKED, cause=1)
    return story


def opened(ids: FlowIds | Unread | None, modern: bool = True) -> ClientSession:
    session = ClientSession("e1", modern, ids=lambda version: ids)
    session.resume(asked().entries, "new")
    return session


def sent(session: ClientSession, **frame: Any) -> list[Any]:
    """Frames as they are, and of an append its id and the version of the flow that is to be asked."""
    output = session.receive(json.dumps({**frame, "id": ID}), lambda: "made-up")
    return [
        (each.entry.id, each.version) if isinstance(each, Append) else json.loads(cast(Send, each).text)
        for each in output
    ]


def test_a_foreign_answer_is_refused_and_its_id_may_be_used_for_a_right_one() -> None:
    session = opened(IDS)
    refused = sent(session, kind="UserText", sessionId="nope", content="x")
    assert refused == [{"kind": "Refused", "id": ID, "reason": "unknown_session"}]
    assert sent(session, kind="ChoiceResponse", groupId="lang", itemId="rust") == [(ID, "")]


def test_for_a_bare_client_it_is_silent() -> None:
    session = opened(IDS, modern=False)
    said = {"kind": "UserText", "sessionId": "nope", "content": "x"}
    assert session.receive(json.dumps(said), lambda: "made-up") == []


def test_a_flow_that_was_not_read_yet_is_asked_before_the_answer_is_stored() -> None:
    version = examples.FLOW_STARTED.version
    assert sent(opened("unread"), kind="UserText", sessionId="nope", content="x") == [(ID, version)]
    assert sent(opened("unread"), kind="Rate", score=5) == [(ID, "")]
    assert sent(opened(None), kind="UserText", sessionId="nope", content="x") == [(ID, "")]


def test_what_follows_a_reset_on_the_same_socket_is_for_the_flow_to_come() -> None:
    session = opened(IDS)
    session.receive(json.dumps({"kind": "ResetSession"}), lambda: "reset")
    assert sent(session, kind="UserText", sessionId="new", content="x") == [(ID, "")]
