"""The sans-I/O session: given this history, when this comes, then that is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.proxy.domain import close_codes
from services.proxy.domain.limits import MAX_UNANSWERED
from services.proxy.domain.session import Append, ClientSession, Listen, Look, Output, Send, Typed
from shared.contract import cursor as cursors
from shared.contract.drafts import DraftPiece
from shared.contract.facts import (
    AnswerStarted,
    AssistantSaid,
    BotSaid,
    ConversationHandedBack,
    ConversationRated,
    ConversationStarted,
    ConversationTransferred,
    EditorClosed,
    EditorOpened,
    FlowAdvanced,
    OperatorSaid,
    TextWritten,
)
from tests import examples
from tests.examples import Story

EPOCH = "e1"
ID = "5f0c7f3e-0000-4000-8000-000000000001"


def told(output: list[Output]) -> list[dict[str, Any]]:
    return [json.loads(item.text) for item in output if isinstance(item, Send)]


def kinds(output: list[Output]) -> list[str]:
    return [frame["kind"] for frame in told(output)]


def asked() -> Story:
    """A conversation that was greeted and asked a question: positions 1 and 2."""
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    advanced = FlowAdvanced(path=("hello", "pick"))
    story.bot(examples.FLOW_STARTED, advanced, examples.BOT_SAID, examples.CHOICE_ASKED, cause=1)
    return story


def opened(story: Story, modern: bool = True, cursor: str = "") -> tuple[ClientSession, list[Output]]:
    session = ClientSession(EPOCH, modern, cursors.decode(cursor) if cursor else None)
    return session, session.resume(story.entries, "new")


def sent(session: ClientSession, **frame: Any) -> list[Output]:
    return session.receive(json.dumps(frame), lambda: "made-up")


def choice(**more: Any) -> dict[str, Any]:
    return {"kind": "ChoiceResponse", "groupId": "lang", "itemId": "rust", **more}


def test_a_new_visitor_starts_the_conversation_with_nothing_before_it() -> None:
    _, output = opened(Story(), modern=False)
    (append,) = output
    assert isinstance(append, Append)
    assert append.expect == 0
    assert append.entry.facts == (ConversationStarted(door="websocket"),)


def test_a_new_visitor_comes_with_what_the_page_asks_for() -> None:
    wish = ConversationStarted(door="websocket", flow="support", language="de, en")
    (append,) = ClientSession(EPOCH, False).resume([], "new", wish)
    assert isinstance(append, Append)
    assert append.entry.facts == (wish,)


def test_a_known_visitor_is_told_everything_and_starts_nothing() -> None:
    _, output = opened(asked(), modern=False)
    assert kinds(output) == ["BotText", "ChoiceRequest"]
    assert all(set(frame) <= {"kind", "content", "groupId", "question", "choices"} for frame in told(output))


def test_an_ack_comes_when_the_stored_entry_comes_by_and_in_its_place() -> None:
    story = asked()
    session, _ = opened(story)
    (append,) = sent(session, **choice(id=ID))
    assert isinstance(append, Append)
    meanwhile = story.operator(examples.CONVERSATION_CLAIMED)
    assert kinds(session.follow(meanwhile)) == ["OperatorJoined", "State"]
    stored = story.visitor(*append.entry.facts, id=ID)
    (ack,) = told(session.follow(stored))
    assert (ack["kind"], ack["id"]) == ("Ack", ID)


def test_a_duplicate_of_what_was_stored_is_acknowledged_and_never_moves_the_cursor_back() -> None:
    story = asked()
    story.visitor(examples.CHOICE_MADE, id=ID)
    story.bot(examples.BOT_SAID, cause=3)
    session, output = opened(story)
    newest = told(output)[-2]["cursor"]
    (ack,) = told(sent(session, **choice(id=ID, content="Rust")))
    assert ack == {"kind": "Ack", "id": ID, "cursor": newest}
    assert kinds(sent(session, **choice(id=ID, content="other words"))) == ["Refused"]


def test_while_it_is_on_its_way_the_same_id_waits_and_another_content_is_refused() -> None:
    session, _ = opened(asked())
    sent(session, **choice(id=ID))
    assert sent(session, **choice(id=ID)) == []
    (refused,) = told(sent(session, kind="UserText", sessionId="fav", content="x", id=ID))
    assert refused == {"kind": "Refused", "id": ID, "reason": "id_reused"}


def test_two_tabs_with_one_id_and_different_contents() -> None:
    story = asked()
    session, _ = opened(story)
    sent(session, **choice(id=ID))
    other = story.visitor(TextWritten(session="fav", text="from the other tab"), id=ID)
    assert told(session.follow(other))[0] == {"kind": "Refused", "id": ID, "reason": "id_reused"}


def test_a_refusal_follows_its_ack_and_is_left_out_of_a_replay() -> None:
    story = asked()
    session, _ = opened(story)
    sent(session, **choice(id=ID, content="Rust"))
    assert kinds(session.follow(story.visitor(examples.CHOICE_MADE, id=ID))) == ["Ack"]
    refused = session.follow(story.bot(examples.INPUT_REFUSED, cause=3))
    assert told(refused) == [{"kind": "Refused", "id": ID, "reason": "stale_answer"}]
    _, replay = opened(story)
    assert "ChoiceResponse" not in kinds(replay)


def test_a_client_that_left_before_the_refusal_is_told_when_it_resumes() -> None:
    story = asked()
    session, _ = opened(story)
    sent(session, **choice(id=ID, content="Rust"))
    (ack,) = told(session.follow(story.visitor(examples.CHOICE_MADE, id=ID)))
    story.bot(examples.INPUT_REFUSED, cause=3)
    _, output = opened(story, cursor=ack["cursor"])
    assert kinds(output) == ["Resumed", "Refused", "State"]


def test_an_entry_that_comes_twice_is_told_once() -> None:
    story = asked()
    session, _ = opened(story)
    entry = story.visitor(examples.CHOICE_MADE)
    assert kinds(session.follow(entry)) == ["ChoiceResponse"]
    assert session.follow(entry) == []


@pytest.mark.parametrize("modern", [False, True])
def test_a_takeover(modern: bool) -> None:
    story = asked()
    session, _ = opened(story, modern)
    output = [
        session.follow(story.operator(examples.CONVERSATION_CLAIMED)),
        session.follow(story.operator(OperatorSaid(operator="desk-1", name="Ann", text="<b>"))),
        session.follow(story.operator(OperatorSaid(operator="another", text="not mine to say"))),
        session.follow(story.operator(ConversationHandedBack(operator="desk-1"))),
    ]
    shown = [frame for item in output for frame in told(item) if frame["kind"] != "State"]
    if modern:
        assert [frame["kind"] for frame in shown] == ["OperatorJoined", "OperatorText", "OperatorLeft"]
        assert shown[1]["content"] == "<b>"
    else:
        assert shown == [
            {"kind": "StartChatSession", "sessionId": "operator"},
            {"kind": "BotText", "content": "&lt;b&gt;"},
            {"kind": "EndChatSession", "sessionId": "operator"},
        ]


@pytest.mark.parametrize("modern", [False, True])
def test_another_person_goes_on_and_then_nobody(modern: bool) -> None:
    story = asked()
    session, _ = opened(story, modern)
    output = [
        session.follow(story.operator(examples.CONVERSATION_CLAIMED)),
        session.follow(story.operator(examples.CONVERSATION_TRANSFERRED)),
        session.follow(story.operator(ConversationTransferred(operator="desk-2", queue="orders"))),
    ]
    shown = [frame for item in output[1:] for frame in told(item)]
    if modern:
        assert [frame["kind"] for frame in shown] == ["OperatorJoined", "OperatorLeft", "State"]
        assert (shown[0]["name"], shown[2]["owner"]) == ("Billing", "queue")
    else:
        assert shown == [
            {"kind": "StartChatSession", "sessionId": "operator"},
            {"kind": "EndChatSession", "sessionId": "operator"},
        ]


def test_typing_reaches_only_an_operator() -> None:
    story = asked()
    session, _ = opened(story)
    assert sent(session, kind="Typing") == []
    session.follow(story.operator(examples.CONVERSATION_CLAIMED))
    assert sent(session, kind="Typing") == [Typed()]


def test_a_reset_holds_back_what_was_on_its_way_and_begins_anew() -> None:
    story = asked()
    session, _ = opened(story, modern=False)
    (append,) = sent(session, kind="ResetSession")
    assert isinstance(append, Append)
    assert session.follow(story.visitor(examples.TEXT_WRITTEN)) == []  # another tab's, from before
    assert session.follow(story.visitor(*append.entry.facts, id=append.entry.id)) == []
    assert kinds(session.follow(story.bot(examples.BOT_SAID, cause=4))) == ["BotText"]
    _, replay = opened(story, modern=False)
    assert kinds(replay) == ["BotText"]


def test_a_reset_that_could_not_be_stored_closes_a_socket_that_was_held_back() -> None:
    session, _ = opened(asked(), modern=False)
    (append,) = sent(session, kind="ResetSession")
    assert isinstance(append, Append)
    assert session.refuse(append.entry.id, "log_full") == [close_codes.STALE]


def test_another_tabs_reset_makes_a_bare_client_come_back() -> None:
    story = asked()
    bare, _ = opened(story, modern=False)
    modern, _ = opened(story)
    reset = story.visitor(examples.CONVERSATION_RESET)
    assert bare.follow(reset) == [close_codes.STALE]
    assert told(modern.follow(reset))[0] == {"kind": "Resumed", "cursor": None, "reset": True}


def test_a_cursor_from_before_a_reset_no_longer_holds() -> None:
    story = asked()
    _, output = opened(story)
    cursor = told(output)[1]["cursor"]
    story.visitor(examples.CONVERSATION_RESET)
    _, resumed = opened(story, cursor=cursor)
    assert told(resumed)[0] == {"kind": "Resumed", "cursor": None, "reset": True}


def test_a_choice_is_replayed_with_the_flows_words_whatever_the_client_sent() -> None:
    story = asked()
    hostile = examples.CHOICE_MADE.__class__(group="lang", item="rust", text="<script>x()</script>")
    story.visitor(hostile)
    _, output = opened(story, modern=False)
    assert told(output)[-1] == choice(content="<b>Rust</b>")


def test_the_state_says_what_the_conversation_waits_for() -> None:
    story = asked()
    session, output = opened(story)
    waiting = [told(output)[-1]["waiting"]]
    for entry in (
        story.visitor(examples.CHOICE_MADE),
        story.bot(FlowAdvanced(path=("ask",)), examples.EDITOR_OPENED, cause=3),
        story.visitor(examples.TEXT_WRITTEN),
        story.bot(FlowAdvanced(path=("bye",), ended=True), examples.BOT_SAID, cause=5),
        story.operator(examples.CONVERSATION_CLAIMED),
    ):
        waiting += [frame["waiting"] for frame in told(session.follow(entry)) if frame["kind"] == "State"]
    assert waiting == ["choice", "text", "end", None]


@pytest.mark.parametrize(
    "frame",
    [
        {"kind": "UserText", "sessionId": "fav", "content": "x" * 16385},
        {"kind": "UserText", "sessionId": "x" * 16385, "content": "x"},
        choice(content="x" * 16385),
        {"kind": "Rate", "score": 5, "comment": "x" * 16385},
    ],
)
def test_whatever_a_visitor_writes_is_at_most_16_kib(frame: dict[str, Any]) -> None:
    session, _ = opened(asked())
    assert told(sent(session, **frame, id=ID)) == [{"kind": "Refused", "id": ID, "reason": "text_too_long"}]


def test_so_many_messages_may_wait_for_their_answers_and_one_more_when_one_has_come() -> None:
    story = asked()
    session, _ = opened(story)
    for _ in range(MAX_UNANSWERED):
        session.follow(story.visitor(examples.TEXT_WRITTEN))
    text = {"kind": "UserText", "sessionId": "fav", "content": "and this?"}
    refused = [{"kind": "Refused", "id": ID, "reason": "too_many_unanswered"}]
    assert told(sent(session, **text, id=ID)) == refused
    assert told(sent(session, **choice(), id=ID)) == refused
    session.follow(story.bot(examples.BOT_SAID, cause=story.state.inbox.unanswered[0].position))
    assert isinstance(sent(session, **text, id=ID)[0], Append)


@pytest.mark.parametrize("frame", [{"kind": "ResetSession"}, {"kind": "Rate", "score": 5}])
def test_whatever_waits_the_visitor_may_begin_anew_and_rate(frame: dict[str, Any]) -> None:
    story = asked()
    for _ in range(MAX_UNANSWERED):
        story.visitor(examples.TEXT_WRITTEN)
    session, _ = opened(story)
    assert isinstance(sent(session, **frame, id=ID)[0], Append)


def test_to_a_person_a_visitor_may_write_as_much_as_they_like() -> None:
    story = asked()
    story.operator(examples.CONVERSATION_CLAIMED)
    for _ in range(2 * MAX_UNANSWERED):
        story.visitor(examples.TEXT_WRITTEN)
    session, _ = opened(story)
    assert isinstance(sent(session, kind="UserText", sessionId="", content="hi", id=ID)[0], Append)


# --- the assistant's words ---------------------------------------------------------------------


def answering() -> Story:
    """The visitor asked something (position 3), and the assistant began to answer (position 4)."""
    story = asked()
    story.visitor(examples.TEXT_WRITTEN)
    story.bot_alone(AnswerStarted(cause=3, attempt=1))
    return story


def words(text: str, offset: int = 0, attempt: int = 1, cause: int = 3) -> DraftPiece:
    return DraftPiece(cause, attempt, offset, text)


def test_drafts_are_listened_to_while_an_answer_is_made_and_by_modern_clients_only() -> None:
    story = asked()
    modern, _ = opened(story)
    bare, _ = opened(story, modern=False)
    for entry in (story.visitor(examples.TEXT_WRITTEN), story.bot_alone(AnswerStarted(cause=3, attempt=1))):
        heard = [item for item in modern.follow(entry) if isinstance(item, Listen)]
        assert not any(isinstance(item, Listen) for item in bare.follow(entry))
    assert heard == [Listen(story.state.answer.generating)]
    assert told(modern.draft(words("It ")) + modern.draft(words("arrives", 3))) == [
        {"kind": "Draft", "turn": "3", "attempt": 1, "offset": 0, "text": "It "},
        {"kind": "Draft", "turn": "3", "attempt": 1, "offset": 3, "text": "arrives"},
    ]
    said = story.bot(AssistantSaid(text="It arrives\n1 < 2", attempt=1), cause=3)
    output = modern.follow(said)
    assert Listen(None) in output
    assert "Draft" not in kinds(output)
    (committed,) = (frame for frame in told(output) if frame["kind"] == "BotText")
    assert (committed["content"], committed["turn"]) == ("It arrives<br>1 &lt; 2", "3")
    assert told(bare.follow(said)) == [{"kind": "BotText", "content": "It arrives<br>1 &lt; 2"}]
    assert modern.draft(words("late", 10)) == []


def test_who_joins_in_the_middle_listens_and_who_joins_after_does_not() -> None:
    story = answering()
    _, output = opened(story)
    assert output[-1] == Listen(story.state.answer.generating)
    story.bot(examples.ASSISTANT_SAID, cause=3)
    _, output = opened(story)
    assert not any(isinstance(item, Listen) for item in output)


def test_a_new_attempt_replaces_the_one_before_without_a_word_in_between() -> None:
    story = answering()
    session, _ = opened(story)
    session.draft(words("It "))
    output = session.follow(story.bot_alone(AnswerStarted(cause=3, attempt=2)))
    assert kinds(output) == ["Typing"]
    assert output[-1] == Listen(story.state.answer.generating)
    assert session.draft(words("of the first", 3)) == []
    assert told(session.draft(words("Well", attempt=2)))[0]["offset"] == 0


def test_a_takeover_interrupts_what_was_being_said() -> None:
    story = answering()
    session, _ = opened(story)
    session.draft(words("It "))
    output = session.follow(story.operator(examples.CONVERSATION_CLAIMED))
    (end,) = (frame for frame in told(output) if frame["kind"] == "Draft")
    assert end == {
        "kind": "Draft",
        "turn": "3",
        "attempt": 1,
        "offset": 0,
        "text": "",
        "end": "interrupted",
    }
    assert kinds(output)[0] == "Draft"
    assert Listen(None) in output
    assert session.draft(words("arrives", 3)) == []


def test_an_answer_that_failed_takes_its_words_back() -> None:
    story = answering()
    session, _ = opened(story)
    output = session.follow(story.bot(examples.ANSWER_FAILED, examples.BOT_SAID, cause=3))
    assert [frame.get("end") for frame in told(output)][:2] == ["failed", None]
    assert kinds(output)[:2] == ["Draft", "BotText"]


def test_a_reset_forgets_what_was_being_said() -> None:
    story = answering()
    session, _ = opened(story)
    output = session.follow(story.visitor(examples.CONVERSATION_RESET))
    assert kinds(output)[0] == "Resumed"
    assert "Draft" not in kinds(output)
    assert Listen(None) in output


# --- whatever comes ---------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("lang") | st.just(ID)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner), max_leaves=8
)
KINDS = st.sampled_from(
    ["ChoiceResponse", "UserText", "ResetSession", "Rate", "Typing", "BotText", "Ack", ""]
)
FIELDS = st.sampled_from(["id", "groupId", "itemId", "sessionId", "content", "score", "comment", "cursor"])
FRAMES = st.builds(
    lambda kind, fields: json.dumps({"kind": kind, **fields}),
    KINDS | VALUES,
    st.dictionaries(FIELDS | st.text(), VALUES, max_size=5),
)
INPUT = st.one_of(FRAMES, VALUES.map(json.dumps), st.text(), FRAMES.map(lambda text: text[:-2]))


@given(st.booleans(), st.lists(INPUT, max_size=5))
def test_whatever_a_client_sends_is_stored_refused_or_closed_and_never_raises(
    modern: bool, texts: list[str]
) -> None:
    session, _ = opened(asked(), modern)
    numbers = iter(range(100))
    for text in texts:
        for item in session.receive(text, lambda: f"made-up-{next(numbers)}"):
            assert isinstance(item, Send | Append | Typed | close_codes.CloseCode)
            if isinstance(item, Send):
                assert modern
                assert json.loads(item.text)["kind"] in ("Ack", "Refused")
            if isinstance(item, close_codes.CloseCode):
                assert item.code == close_codes.NOT_A_FRAME.code
                assert len(item.reason.encode()) <= 123
            if isinstance(item, Append):
                assert len(item.entry.facts) == 1


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_whatever_is_given_as_a_cursor_is_one_or_means_to_begin_anew(text: str) -> None:
    cursor = cursors.decode(text)
    output = ClientSession(EPOCH, True, cursor).resume(asked().entries, "new")
    assert told(output)[0]["kind"] == "Resumed"


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a\x00b\x1b\r\nc", "ab\nc"),
        ("\u200b\u3164\ufeff", ""),
        ("", ""),
        ("👩\u200d🔧 ❤\ufe0f می\u200cخواهم", "👩\u200d🔧 ❤\ufe0f می\u200cخواهم"),
    ],
)
def test_what_is_stored_has_no_control_characters_and_shows_something_or_is_empty(
    modern: bool, written: str, kept: str
) -> None:
    session, _ = opened(asked(), modern)
    frames = [{"kind": "UserText", "sessionId": "fav", "content": written}, choice(content=written)]
    if modern:
        frames.append({"kind": "Rate", "score": 5, "comment": written})
    for number, frame in enumerate(frames):
        (append,) = session.receive(json.dumps(frame), lambda number=number: f"id-{number}")  # type: ignore[misc]
        assert isinstance(append, Append)
        (fact,) = append.entry.facts
        assert (fact.comment if isinstance(fact, ConversationRated) else fact.text) == kept  # type: ignore[union-attr]


def test_the_same_id_with_what_is_kept_alike_is_the_same_message() -> None:
    story = asked()
    session, _ = opened(story)
    assert len(sent(session, kind="UserText", sessionId="fav", content="a\x00b", id=ID)) == 1
    assert sent(session, kind="UserText", sessionId="fav", content="ab", id=ID) == []  # it is on its way


def test_a_ping_is_answered_and_changes_nothing() -> None:
    session, _ = opened(asked())
    before = session.state
    assert told(sent(session, kind="Ping")) == [{"kind": "Pong"}]
    assert session.state is before


def test_a_bare_client_knows_no_ping() -> None:
    session, _ = opened(asked(), modern=False)
    (closing,) = sent(session, kind="Ping")
    assert isinstance(closing, close_codes.CloseCode)
    assert closing.code == close_codes.NOT_A_FRAME.code


def long_story(count: int) -> Story:
    story = asked()
    for number in range(count):
        cause = story.visitor(TextWritten(session="fav", text=f"number {number}")).position
        story.bot(BotSaid(text=f"heard {number}"), cause=cause)
    return story


def earlier(session: ClientSession, story: Story, before: str) -> dict[str, Any]:
    """What the session answers, its entries read in two parts."""
    (look,) = sent(session, kind="Earlier", before=before)
    if isinstance(look, Send):
        return dict(json.loads(look.text))
    assert isinstance(look, Look)
    entries = [entry for entry in story.entries if look.first <= entry.position <= look.last]
    first, second = told(session.looked(look, entries[:1]) + session.looked(look, entries[1:]))
    assert "earlier" not in first
    assert first["before"] == second["before"] == before
    return {**second, "frames": first["frames"] + second["frames"]}


@pytest.mark.parametrize("window", [2, 3, 7, 50])
def test_the_newest_part_and_then_all_that_is_before_it_are_the_whole(window: int) -> None:
    story = long_story(23)
    whole = [frame for frame in told(opened(story)[1]) if "cursor" in frame and frame["kind"] != "Resumed"]
    session = ClientSession(EPOCH, True, None, window)
    resumed, *shown = told(session.resume(story.entries, "new"))
    assert resumed["reset"] is True
    shown = [frame for frame in shown if "cursor" in frame]
    before = resumed.get("earlier")
    assert (before is None) == (window >= len(story.entries))
    while before is not None:
        answer = earlier(session, story, before)
        shown = answer["frames"] + shown
        before = answer["earlier"]
    assert shown == whole


def test_earlier_parts_leave_the_place_of_acknowledgements_alone() -> None:
    story = long_story(10)
    cause = story.visitor(examples.CHOICE_MADE, id=ID).position
    newest = story.bot(BotSaid(text="newest"), cause=cause)
    session = ClientSession(EPOCH, True, None, 3)
    resumed = told(session.resume(story.entries, "new"))[0]
    earlier(session, story, resumed["earlier"])
    (ack,) = told(sent(session, **choice(id=ID, content="Rust")))
    place = cursors.decode(ack["cursor"])
    assert place is not None
    assert place.position == newest.position


def test_what_was_refused_is_left_out_of_earlier_parts_too() -> None:
    story = asked()
    cause = story.visitor(examples.CHOICE_MADE, id=ID).position
    story.bot(examples.INPUT_REFUSED, cause=cause)
    for number in range(2):
        cause = story.visitor(TextWritten(session="fav", text=str(number))).position
        story.bot(BotSaid(text=f"heard {number}"), cause=cause)
    session = ClientSession(EPOCH, True, None, 2)
    resumed = told(session.resume(story.entries, "new"))[0]
    answer = earlier(session, story, resumed["earlier"])
    answer = earlier(session, story, answer["earlier"])
    assert "ChoiceResponse" not in [frame["kind"] for frame in answer["frames"]]


def test_after_a_reset_nothing_earlier_is_told_and_a_cursor_of_nobody_is_refused() -> None:
    story = long_story(10)
    session = ClientSession(EPOCH, True, None, 3)
    before = told(session.resume(story.entries, "new"))[0]["earlier"]
    session.follow(story.visitor(examples.CONVERSATION_RESET))
    empty = {"kind": "Earlier", "before": before, "frames": [], "earlier": None}
    assert told(sent(session, kind="Earlier", before=before)) == [empty]
    (closing,) = sent(session, kind="Earlier", before="no cursor")
    assert closing.code == close_codes.NOT_A_FRAME.code  # type: ignore[union-attr]
    # Who did not ask for a window was told everything.
    session, _ = opened(story)
    assert told(sent(session, kind="Earlier", before=before)) == [empty]


def test_a_client_that_comes_back_with_a_cursor_gets_all_that_it_missed_whatever_its_window() -> None:
    story = long_story(10)
    whole = told(opened(story)[1])
    cursor = whole[1]["cursor"]
    session = ClientSession(EPOCH, True, cursors.decode(cursor), 3)
    assert told(session.resume(story.entries, "new"))[1:] == whole[2:]


def test_a_bare_client_has_no_window() -> None:
    session = ClientSession(EPOCH, False, None, 2)
    assert told(session.resume(long_story(10).entries, "new")) == told(opened(long_story(10), False)[1])


def test_a_socket_that_goes_on_from_a_cursor_may_ask_for_what_was_before_too() -> None:
    story = long_story(10)
    first = told(ClientSession(EPOCH, True, None, 3).resume(story.entries, "new"))
    before = first[0]["earlier"]
    cursor = [frame["cursor"] for frame in first if "cursor" in frame][-1]
    again = ClientSession(EPOCH, True, cursors.decode(cursor), 3)
    (resumed, _state) = told(again.resume(story.entries, "new"))
    assert resumed == {"kind": "Resumed", "cursor": cursor, "reset": False}
    answer = earlier(again, story, before)
    assert len(answer["frames"]) == 3
    assert answer["earlier"] is not None


def test_an_editor_that_opened_before_the_newest_part_is_told_once_more() -> None:
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    story.bot(EditorOpened(session="fav", prompt="Say it", text="The editor is open"), cause=1)
    for number in range(20):
        story.bot_alone(BotSaid(text=str(number)))
    frames = told(ClientSession(EPOCH, True, None, 5).resume(story.entries, "new"))
    assert frames[-2] == {"kind": "StartChatSession", "sessionId": "fav", "chatPrompt": "Say it"}
    assert frames[-1]["waiting"] == "text"
    shown = told(ClientSession(EPOCH, True, None, 500).resume(story.entries, "new"))
    assert [frame["kind"] for frame in shown].count("StartChatSession") == 1
    story.bot_alone(EditorClosed(session="fav"))
    closed = told(ClientSession(EPOCH, True, None, 5).resume(story.entries, "new"))
    assert "StartChatSession" not in [frame["kind"] for frame in closed]


def test_choices_that_were_asked_before_the_newest_part_are_told_once_more() -> None:
    story = asked()
    for number in range(20):
        cause = story.visitor(TextWritten(session="fav", text=str(number))).position
        story.bot(BotSaid(text="first choose"), cause=cause)
    *_, question, state = told(ClientSession(EPOCH, True, None, 5).resume(story.entries, "new"))
    assert (question["kind"], question["groupId"]) == ("ChoiceRequest", "lang")
    assert "cursor" not in question
    assert state["waiting"] == "choice"
    cause = story.visitor(examples.CHOICE_MADE).position
    story.bot(FlowAdvanced(path=("isRust",)), BotSaid(text="well"), cause=cause)
    answered = told(ClientSession(EPOCH, True, None, 1).resume(story.entries, "new"))
    assert "ChoiceRequest" not in [frame["kind"] for frame in answered]


def test_what_was_open_before_the_visitor_began_anew_is_not_told() -> None:
    story = asked()
    story.bot_alone(EditorOpened(session="fav"))
    story.visitor(examples.CONVERSATION_RESET)
    for number in range(20):
        story.bot_alone(BotSaid(text=str(number)))
    frames = told(ClientSession(EPOCH, True, None, 5).resume(story.entries, "new"))
    assert not {"StartChatSession", "ChoiceRequest"} & {frame["kind"] for frame in frames}


@pytest.mark.parametrize("modern", [True, False])
def test_nobody_leaves_who_never_came(modern: bool) -> None:
    story = asked()
    session, _ = opened(story, modern)
    output = session.follow(story.operator(examples.CONVERSATION_CLOSED))
    assert kinds(output) == (["State"] if modern else [])
    assert story.state.ownership.status == "resolved"


def test_the_note_of_a_transfer_is_for_colleagues() -> None:
    story = asked()
    session, _ = opened(story)
    session.follow(story.operator(examples.CONVERSATION_CLAIMED))
    shown = told(session.follow(story.operator(examples.CONVERSATION_TRANSFERRED)))
    assert [frame["kind"] for frame in shown] == ["OperatorJoined"]
    assert examples.CONVERSATION_TRANSFERRED.note not in json.dumps(shown)
