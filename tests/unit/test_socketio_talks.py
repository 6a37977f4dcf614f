"""Both kinds of Socket.IO clients without I/O: what they are told of a log, and what they may say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.proxy.domain.agent_session import AgentTalk, EngagementRefused, engage, offers
from services.proxy.domain.limits import MAX_UNANSWERED
from services.proxy.domain.plain_text import APOLOGY
from services.proxy.domain.session import Append
from services.proxy.domain.socketio_chat import FAILED, NOT_YOURS, Chat, session_id
from services.proxy.domain.socketio_protocol import Emit, Missing, error
from shared.contract import cursor as cursors
from shared.contract.agents import CONFIGURATIONS, AgentRequest, Answered, configured
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AnswerFailed,
    BotSaid,
    Choice,
    ChoiceAsked,
    ConversationClaimed,
    ConversationStarted,
    DecisionFailed,
    EngagementBegan,
    EngagementEnded,
    Fact,
    FlowAdvanced,
    InputRefused,
    Interjected,
    OperatorSaid,
    RequestAnswered,
    RequestMade,
    TextWritten,
)
from tests.examples import FIRST_TIME, SECOND

SESSION = "0f8fad5b-d9cb-469f-a165-70867728950e"
EPOCH = "e1"
BEGIN = ConversationStarted(door="socketio")


def entry(position: int, author: str, *facts: Fact, cause: int | None = None, id: str = "") -> RecordedEntry:
    return RecordedEntry(
        position=position,
        conversation="c",
        author=author,
        time=FIRST_TIME + position * SECOND,
        id=id or f"{author}-{position}",
        cause=cause,
        facts=facts,
    )


def emitted(output: Sequence[Any], name: str = "") -> list[dict[str, Any]]:
    return [each.data for each in output if isinstance(each, Emit) and name in ("", each.event)]


def chat(cursor: str | None = None) -> Chat:
    return Chat(SESSION, EPOCH, BEGIN, cursor)


WELCOME = entry(
    2, "bot", FlowAdvanced(path=("a",)), BotSaid(text="<b>Hi</b>"), BotSaid(text="Name?"), cause=1
)
HISTORY = [
    entry(1, "visitor", BEGIN),
    WELCOME,
    entry(3, "visitor", TextWritten(session="", text="Sam"), id=SESSION),
    entry(4, "bot", BotSaid(text="Hello Sam"), BotSaid(text="Bye"), cause=3),
    entry(5, "operator", ConversationClaimed(operator="ada")),
    entry(6, "operator", OperatorSaid(operator="ada", text="1 < 2")),
]

# --- the chat ------------------------------------------------------------------------------------


def test_a_new_visitor_is_told_the_session_and_begins_the_conversation() -> None:
    talk = chat()
    hello, begins = talk.greet([], "id-1")
    assert hello == Emit("session_id", {"session_id": SESSION})
    assert isinstance(begins, Append)
    assert (begins.entry.facts, begins.expect) == ((BEGIN,), 0)
    talk.follow(HISTORY[0])
    assert emitted(talk.follow(WELCOME), "bot_message") == [
        {"message": "Hi", "timestamp": "2023-11-14T22:13:22.000Z"},
        {"message": "Name?", "timestamp": "2023-11-14T22:13:22.000Z"},
    ]


def test_who_comes_back_without_a_cursor_is_told_what_is_new_and_nothing_again() -> None:
    talk = chat()
    assert talk.greet(HISTORY[:3], "id") == [Emit("session_id", {"session_id": SESSION})]
    assert [each["message"] for each in emitted(talk.follow(HISTORY[3]))] == ["Hello Sam", "Bye"]
    assert talk.follow(HISTORY[3]) == []  # heard twice: from the history and live
    assert [each["message"] for each in emitted(talk.follow(HISTORY[4]) + talk.follow(HISTORY[5]))] == [
        "1 < 2"
    ]


def test_resuming_at_every_cursor_has_no_gap_and_no_repeat() -> None:
    whole = emitted(chat("").greet(HISTORY, "id"), "bot_message")
    assert [each["message"] for each in whole] == ["Hi", "Name?", "Hello Sam", "Bye", "1 < 2"]
    for number, message in enumerate(whole):
        place = cursors.decode(message["cursor"])
        assert place is not None
        for split in range(place.position, len(HISTORY) + 1):
            talk = chat(message["cursor"])
            told = talk.greet(HISTORY[:split], "id")
            for recorded in HISTORY[split:]:
                told += talk.follow(recorded)
            assert emitted(told, "bot_message") == whole[number + 1 :]


def test_a_cursor_of_another_log_is_a_reset() -> None:
    cursor = emitted(Chat(SESSION, "another", BEGIN, "").greet(HISTORY, "id"), "bot_message")[0]["cursor"]
    for bad in (cursor, "nonsense"):
        told = chat(bad).greet(HISTORY, "id")
        assert emitted(told)[0] == {"session_id": SESSION, "reset": True}
        assert len(emitted(told, "bot_message")) == 5


def test_a_message_is_stored_with_its_own_id_or_a_new_one() -> None:
    talk = chat()
    talk.greet([], "id")
    said = talk.receive("user_message", {"message": "1", "more": True}, lambda: "new")
    assert isinstance(said, Append)
    assert (said.entry.id, said.entry.facts) == ("new", (TextWritten(session="", text="1"),))
    for session in ("", None, SESSION, SESSION.upper()):
        message = {"message": "1", "session_id": session, "id": SESSION}
        again = talk.receive("user_message", message, lambda: "new")
        assert isinstance(again, Append)
        assert again.entry.id == SESSION


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        ("user_message", None, "user_message: Expected `object`, got `null`"),
        ("user_message", "hi", "user_message: Expected `object`, got `str`"),
        ("user_message", {}, "user_message: Object missing required field `message`"),
        ("user_message", {"message": 1}, "Expected `str`, got `int` - at `$.message`"),
        ("user_message", {"message": " \n"}, "the message is empty"),
        ("user_message", {"message": "\u200b\u3164\x00"}, "the message is empty"),
        ("user_message", {"message": "ü" * 8_193}, "longer than 16 KiB"),
        ("user_message", {"message": "x", "id": "1"}, "at `$.id`"),
        ("user_message", {"message": "x", "id": SESSION + "\n"}, "at `$.id`"),
        ("user_message", {"message": "x", "session_id": "other"}, NOT_YOURS),
        ("user_message", {"message": "x", "session_id": "0f8fad5b-d9cb-469f-a165-70867728950f"}, NOT_YOURS),
        ("request", {"key": "x"}, "unknown event 'request'"),
        ("x" * 500, None, "unknown event"),
    ],
)
def test_bad_input_is_told_what_is_wrong(event: str, payload: Any, reason: str) -> None:
    said = chat().receive(event, payload, lambda: "new")
    assert isinstance(said, Emit)
    assert said.event == "error"
    assert reason in said.data["message"]
    assert len(said.data["message"]) < 300


def test_a_message_is_stored_without_control_characters() -> None:
    talk = chat()
    talk.greet([], "id")
    said = talk.receive("user_message", {"message": "Ja\x00!\r\n\x1b[31m👩\u200d🔧"}, lambda: "new")
    assert isinstance(said, Append)
    assert said.entry.facts == (TextWritten(session="", text="Ja!\n[31m👩\u200d🔧"),)


def test_an_id_that_was_used_for_another_message_is_told() -> None:
    talk = chat()
    talk.greet(HISTORY, "id")
    assert isinstance(talk.receive("user_message", {"message": "Sam", "id": SESSION}, str), Append)
    said = talk.receive("user_message", {"message": "Ada", "id": SESSION}, str)
    assert said == error("user_message: this id was used before, with another message")


def test_a_refusal_is_told_to_the_connection_that_sent_the_message_alone() -> None:
    sender, other = chat(), chat()
    for talk in (sender, other):
        talk.greet(HISTORY[:2], "id")
    said = sender.receive("user_message", {"message": "4"}, lambda: "m")
    assert isinstance(said, Append)
    for talk in (sender, other):
        talk.follow(entry(3, "visitor", *said.entry.facts, id="m"))
    refused = entry(4, "bot", InputRefused(reason="unknown_choice"), cause=3)
    assert sender.follow(refused) == [
        error("There is no such choice. Please answer with one of the numbers.")
    ]
    assert other.follow(refused) == []


def test_an_answer_that_failed_is_an_apology_and_an_error_with_nothing_internal() -> None:
    talk = chat()
    talk.greet(HISTORY[:3], "id")
    told = talk.follow(entry(4, "bot", DecisionFailed(reason="internal"), cause=3))
    assert [each["message"] for each in emitted(told, "bot_message")] == [APOLOGY]
    assert emitted(told, "error") == [{"message": FAILED}]
    talk = chat()
    talk.greet(HISTORY[:3], "id")
    told = talk.follow(entry(4, "bot", AnswerFailed(reason="no_key"), BotSaid(text="Ask a person."), cause=3))
    assert [each["message"] for each in emitted(told, "bot_message")] == [
        "Ask a person."
    ]  # the flow's own words
    assert emitted(told, "error") == [{"message": FAILED}]


def test_a_choice_is_written_out_as_numbered_lines() -> None:
    talk = chat()
    asked = ChoiceAsked(
        group="g", question="Which?", choices=(Choice(item="a", text="A"), Choice(item="b", text="B"))
    )
    talk.greet(HISTORY[:1], "id")
    assert emitted(talk.follow(entry(2, "bot", asked, cause=1)))[0]["message"] == "Which?\n1. A\n2. B"


@pytest.mark.parametrize(
    "given", [None, 1, "", "x", SESSION + "0", f"{{{SESSION}}}", SESSION.replace("-", ""), SESSION + "\n"]
)
def test_what_is_no_session_id_is_none(given: object) -> None:
    assert session_id(given) is None
    assert session_id(SESSION.upper()) == SESSION


# --- agents --------------------------------------------------------------------------------------

OFFERED = offers("", CONFIGURATIONS)


def handshake(**changes: Any) -> dict[str, Any]:
    return {"agent": {"name": "emoji"}, "user": {"id": 17, "name": "Sam"}, **changes}


def talk_of(auth: dict[str, Any]) -> AgentTalk:
    return AgentTalk(engage(auth, OFFERED, CONFIGURATIONS), EPOCH)


def began(output: Sequence[Any]) -> EngagementBegan:
    (append,) = (each for each in output if isinstance(each, Append))
    (fact,) = append.entry.facts
    assert isinstance(fact, EngagementBegan)
    assert append.entry.needs == 2
    return fact


def engaged(auth: dict[str, Any]) -> tuple[AgentTalk, list[RecordedEntry]]:
    """A talk whose engagement has begun, and its history."""
    fact = began(talk_of(auth).greet([], "id"))
    history = [entry(1, "visitor", fact), entry(2, "bot", Interjected(message="Hello"), cause=1)]
    talk = talk_of(auth)
    assert [each for each in talk.greet(history, "id") if isinstance(each, Append)] == []  # it goes on
    return talk, history


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ({"id": 1}, "1"),
        ({"id": "u", "name": "n"}, "n"),
        ({"id": 1, "name": "n", "username": "un"}, "un"),
        ({"id": 1, "name": "n", "username": "un", "personalname": "pn", "email": "e"}, "pn"),
        ({"id": 1, "name": 5, "personalname": " ", "username": None}, "1"),
        ({"id": 1, "name": "x" * 500}, "x" * 200),
        ({"id": 1, "name": "n", "username": "\u3164", "personalname": "\u200b \ufeff"}, "n"),
        ({"id": 1, "name": " S\x00am\x7f\n"}, "Sam"),
    ],
)
def test_a_user_is_greeted_by_the_first_name_there_is(user: dict[str, Any], name: str) -> None:
    assert began(talk_of(handshake(user=user)).greet([], "id")).name == name


@pytest.mark.parametrize(
    ("auth", "reason"),
    [
        ({"agent": {"name": "emoji"}}, "missing required field `user`"),
        (handshake(user={}), "auth.user.id is missing"),
        (handshake(user={"id": ""}), "auth.user.id is missing"),
        (handshake(user={"id": None}), "auth.user.id is missing"),
        (handshake(user={"id": True}), "at `$.user.id`"),
        (handshake(user={"id": [1]}), "at `$.user.id`"),
        (handshake(user={"id": "x" * 201}), "at most 200 characters"),
        (handshake(user={"id": "a\x00b"}), "an id holds control characters"),
        (handshake(user={"id": "\u200b"}), "or nothing that shows"),
        (handshake(chat={"id": "\x1b"}), "an id holds control characters"),
        (handshake(user="17"), "at `$.user`"),
        (handshake(agent="emoji"), "at `$.agent`"),
        (handshake(agent={}), "missing required field `name`"),
        (handshake(agent={"name": "nobody"}), "there is no agent 'nobody'"),
        (handshake(agent={"name": "match"}), "match: needs `words` or a `pattern`"),
        (handshake(agent={"name": "match", "configuration": {"pattern": "("}}), "none of RE2's"),
        (handshake(agent={"name": "emoji", "configuration": []}), "at `$.agent.configuration`"),
        (handshake(chat={"id": {}}), "at `$.chat.id`"),
        (handshake(token=5), "at `$.token`"),
    ],
)
def test_a_handshake_that_lets_nobody_in_says_why(auth: dict[str, Any], reason: str) -> None:
    with pytest.raises(EngagementRefused) as caught:
        engage(auth, OFFERED, CONFIGURATIONS)
    assert reason in str(caught.value)


def test_a_room_is_one_agent_user_and_chat() -> None:
    def room(secret: str = "s", **changes: Any) -> str:
        return engage(handshake(**changes), OFFERED, CONFIGURATIONS).conversation(secret)

    assert room() == room(user={"id": "17", "name": "Another"}) == room(chat=None) == room(chat={})
    different = [
        room(),
        room("t"),
        room(user={"id": 1}),
        room(chat={"id": 1}),
        room(chat={"id": 17}),
        room(agent={"name": "emoji", "id": 2}),
        room(agent={"name": "match", "configuration": {"words": ["a"]}}),
        room(user={"id": 1}, chat={"id": 71}),
        room(user={"id": 11}, chat={"id": 7}),
    ]
    assert len(set(different)) == len(different)
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in different)


def test_connecting_again_goes_on_and_after_the_end_begins_anew() -> None:
    _, history = engaged(handshake())
    history += [
        entry(3, "visitor", EngagementEnded()),
        entry(4, "bot", Interjected(message="Goodbye!"), cause=3),
    ]
    talk = talk_of(handshake())
    assert began(talk.greet(history, "id")).agent == "emoji"


def test_another_configuration_is_recorded() -> None:
    words = {"name": "match", "configuration": {"words": ["a"]}}
    _, history = engaged(handshake(agent=words))
    other = talk_of(handshake(agent={"name": "match", "configuration": {"words": ["b"]}}))
    assert began(other.greet(history, "id")).configuration == {"words": ["b"]}


def test_a_response_is_the_requests_payload_with_the_result() -> None:
    talk, _ = engaged(handshake())
    payload = {"key": "answer", "value": {"a": [1, None]}, "annotations": "x"}
    asked = talk.receive("request", payload, lambda: "r")
    assert isinstance(asked, Append)
    talk.follow(entry(3, "visitor", *asked.entry.facts))
    told = talk.follow(entry(4, "bot", RequestAnswered(result=True), Interjected(message="one"), cause=3))
    assert told == [Emit("response", {**payload, "result": True}), Emit("interjection", {"message": "one"})]


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (RequestAnswered(result=True, error="no assistant"), "no assistant"),
        (DecisionFailed(reason="internal"), "the agent failed"),
    ],
)
def test_an_agent_that_failed_answers_false_with_an_error(fact: Fact, reason: str) -> None:
    talk, _ = engaged(handshake())
    talk.follow(entry(3, "visitor", RequestMade(key="k", value=1)))
    (told,) = emitted(talk.follow(entry(4, "bot", fact, cause=3)))
    assert told == {"key": "k", "value": 1, "annotations": None, "result": False, "error": reason}


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        ("request", None, "request: Expected `object`"),
        ("request", {"value": 1}, "missing required field `key`"),
        ("request", {"key": 1}, "at `$.key`"),
        ("end", [], "end: Expected `object`"),
        ("user_message", {"message": "x"}, "unknown event 'user_message'"),
    ],
)
def test_bad_input_of_a_platform_is_told_what_is_wrong(event: str, payload: Any, reason: str) -> None:
    told = engaged(handshake())[0].receive(event, payload, str)
    assert isinstance(told, Emit)
    assert reason in told.data["message"]


def test_the_end_is_for_the_connections_own_agent_user_and_chat() -> None:
    talk, _ = engaged(handshake(chat={"id": 5}))
    own: list[dict[str, Any]] = [
        {"agent": {"name": "emoji"}},
        {"agent": {"name": "emoji"}, "user": {"id": "17"}, "chat": {"id": "5"}},
    ]
    for payload in own:
        assert isinstance(talk.receive("end", payload, lambda: "e"), Append)
    others: list[dict[str, Any]] = [
        {"agent": {"name": "match"}},
        {"agent": {"name": "emoji", "id": 3}},
        {"agent": {"name": "emoji"}, "user": {"id": 18}},
        {"agent": {"name": "emoji"}, "chat": {"id": 6}},
    ]
    for payload in others:
        assert isinstance(talk.receive("end", payload, str), Missing)


def test_a_request_is_stored_without_control_characters() -> None:
    talk, _ = engaged(handshake())
    payload = {"key": "k\x00", "value": {"\x1ba": ["x\r\ny\x00", 1, None]}, "annotations": "\u200b"}
    asked = talk.receive("request", payload, lambda: "r")
    assert isinstance(asked, Append)
    assert asked.entry.facts == (RequestMade(key="k", value={"a": ["x\ny", 1, None]}, annotations=""),)


def test_so_many_messages_may_wait_for_their_answers_at_the_chat() -> None:
    waiting = [entry(3 + n, "visitor", TextWritten(session="", text="hm")) for n in range(MAX_UNANSWERED)]
    talk = chat()
    talk.greet([*HISTORY[:2], *waiting], "id")
    told = talk.receive("user_message", {"message": "and this?"}, lambda: "r")
    assert told == error("user_message: 200 messages wait for their answers: wait for some of them")
    talk.follow(entry(3 + MAX_UNANSWERED, "bot", BotSaid(text="yes"), cause=3))
    assert isinstance(talk.receive("user_message", {"message": "and this?"}, lambda: "r"), Append)


def test_so_many_requests_may_wait_for_their_answers() -> None:
    talk, history = engaged(handshake())
    last = len(history)
    for number in range(MAX_UNANSWERED):
        talk.follow(entry(last + 1 + number, "visitor", RequestMade(key="k", value=1)))
    told = talk.receive("request", {"key": "k", "value": 1}, lambda: "r")
    assert told == error("request: 200 requests wait for their answers: wait for some of them")
    answer = RequestAnswered(result=True)
    talk.follow(entry(last + 1 + MAX_UNANSWERED, "bot", answer, cause=last + 1))
    assert isinstance(talk.receive("request", {"key": "k", "value": 1}, lambda: "r"), Append)


def test_a_request_that_is_nested_too_deep_is_told() -> None:
    talk, _ = engaged(handshake())
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert talk.receive("request", {"key": "k", "value": value}, str) == Emit(
        "error", {"message": "request: nested too deep"}
    )


def test_after_the_end_requests_are_not_answered() -> None:
    talk, _ = engaged(handshake())
    talk.follow(entry(3, "visitor", EngagementEnded()))
    assert talk.receive("request", {"key": "k"}, str) == Missing("the engagement is over")


def test_a_platform_that_keeps_its_cursor_misses_nothing() -> None:
    _, history = engaged(handshake())
    history += [
        entry(3, "visitor", RequestMade(key="k", value="🙂")),
        entry(
            4,
            "bot",
            RequestAnswered(result=True),
            Interjected(message="one"),
            Interjected(message="two"),
            cause=3,
        ),
    ]
    whole: list[dict[str, Any]] = []
    live = talk_of(handshake(cursor=""))
    for recorded in history:
        whole += emitted(live.follow(recorded))
    assert len(whole) == 4
    for number, told in enumerate(whole):
        again = talk_of(handshake(cursor=told["cursor"]))
        assert emitted(again.greet(history, "id")) == whole[number + 1 :]
    assert emitted(talk_of(handshake()).greet(history, "id")) == []


def test_a_file_names_agents_and_what_a_handshake_may_set() -> None:
    offered = offers(
        '{"polite": {"kind": "match", "configuration": {"words": ["please"]}, "allow": ["ignoreCase"]},'
        ' "emoji": null}',
        CONFIGURATIONS,
    )
    assert sorted(offered) == ["assistant", "match", "polite"]
    wanted = engage(
        handshake(agent={"name": "polite", "configuration": {"ignoreCase": False}}), offered, CONFIGURATIONS
    )
    assert wanted.began.agent == "match"
    assert wanted.began.configuration == {"words": ["please"], "ignoreCase": False}
    for agent, reason in (
        ({"name": "polite", "configuration": {"words": ["x"]}}, "'words' may not be configured"),
        ({"name": "emoji"}, "there is no agent 'emoji'"),
    ):
        with pytest.raises(EngagementRefused, match=reason):
            engage(handshake(agent=agent), offered, CONFIGURATIONS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "not a JSON object of agents"),
        ('{"a": {"kind": "nothing"}}', "a: there is no kind 'nothing': one of assistant, emoji, match"),
        ('{"a": {"kind": "match", "configuration": {"word": 1}}}', "a: match has no 'word'"),
        ('{"a": {"kind": "match", "allow": ["colour"]}}', "a: match has no 'colour'"),
        ('{"a": {"kind": "match", "allowed": []}}', "unknown field `allowed`"),
    ],
)
def test_a_file_that_does_not_hold_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        offers(text, CONFIGURATIONS)
    assert reason in str(caught.value)


PAGE = (Path(__file__).parents[2] / "docs/socketio.md").read_text()


def test_the_file_of_agents_on_the_page_holds() -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert sorted(offers(shown, CONFIGURATIONS)) == ["emoji", "match", "polite"]


def test_the_agent_on_the_page_works() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    module: dict[str, Any] = {}
    exec(shown, module)
    length = module["Length"]()
    answer = length.answer(configured(length.configuration, {"least": 3}), 1, AgentRequest("k", "ab"), None)
    assert answer == Answered(result=False, memory=2, interjections=("2 too short",))


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.sampled_from(["user_message", "request", "end", "other"]), JSON)
def test_any_payload_is_an_entry_or_an_error(event: str, payload: Any) -> None:
    for talk in (chat(), talk_of(handshake())):
        assert isinstance(talk.receive(event, payload, lambda: "id"), Append | Emit | Missing)


@given(st.dictionaries(st.sampled_from(["agent", "user", "chat", "token", "cursor"]), JSON))
def test_any_handshake_is_let_in_or_refused(auth: dict[str, Any]) -> None:
    with pytest.raises(EngagementRefused):
        engage(auth, OFFERED, CONFIGURATIONS)
