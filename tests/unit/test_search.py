"""Finding conversations: what can be found, by which words, and what was forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.desk import Desk, FoundPage
from services.operator.domain.search import EXCERPT, Search, Writer, excerpt, question, spaced
from shared.contract.desk_facts import LabelAdded, NoteRemoved, NoteWritten
from shared.contract.facts import (
    AssistantSaid,
    BotSaid,
    ConversationErased,
    ConversationRated,
    ConversationResolved,
    ConversationStarted,
    HandoffRequested,
    OperatorSaid,
    TextWritten,
    VariableSaved,
)
from tests.contract.test_desk_file import PLACE
from tests.examples import CONVERSATION, FIRST_TIME, OTHER_CONVERSATION, SECOND, recorded
from tests.unit.test_desk import CLAIMED, desk_of

TALKS = (
    recorded(1, "visitor", ConversationStarted(door="websocket")),
    recorded(2, "visitor", TextWritten(session="s", text="Where is my Rückerstattung?")),
    recorded(3, "bot", HandoffRequested(queue="sales"), BotSaid(text="One moment"), cause=2),
    recorded(4, "operator", CLAIMED),
    recorded(5, "operator", OperatorSaid(operator="ada", text="It was paid back next Monday")),
    recorded(
        6,
        "desk",
        NoteWritten(operator="ada", text="Called the warehouse"),
        LabelAdded(operator="ada", label="vip"),
    ),
    recorded(7, "visitor", ConversationStarted(door="rest", user="u-77"), conversation=OTHER_CONVERSATION),
    recorded(
        8, "bot", VariableSaved(name="email", value="grace@example.org"), conversation=OTHER_CONVERSATION
    ),
    recorded(
        9,
        "bot",
        AssistantSaid(text="**Bold** claim about 退款申请 and คืนเงิน"),
        conversation=OTHER_CONVERSATION,
    ),
    recorded(10, "visitor", ConversationRated(score=2, comment="slow"), conversation=OTHER_CONVERSATION),
    recorded(
        11, "operator", ConversationResolved(operator="bob", unjoined=True), conversation=OTHER_CONVERSATION
    ),
)
ONE, OTHER = CONVERSATION, OTHER_CONVERSATION


def found(desk: Desk, words: str = "", **filters: Any) -> list[str]:
    page = desk.search(Search(question=question(words), **filters), 10)
    return [summary.id for summary, _ in page.conversations]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("rückerstattung", [ONE]),
        ("RUCKERSTATTUNG", [ONE]),  # without accents, in capitals
        ("rück where", [ONE]),  # the beginnings of words, in any order
        ("erstattung", []),  # but not their ends
        ("paid warehouse", []),  # in one text
        ("warehouse", [ONE]),  # a note
        ("grace@example.org", [OTHER]),
        ("example", [OTHER]),
        ("u-77", [OTHER]),
        ("slow", [OTHER]),
        ("退款", [OTHER]),
        ("款申", [OTHER]),
        ("申退", []),  # these do not follow one another
        ("คืน", [OTHER]),
        ('"next monday"', [ONE]),
        ('"monday next"', []),
        ('"next mon"', []),  # in quotes words are whole
        ("moment", []),  # the flow's own words
        ('" OR 1=1 -- NEAR( * ^ text:', []),  # no language that anybody must know
    ],
)
def test_words_are_found_where_somebody_wrote_them(words: str, expected: list[str]) -> None:
    assert found(desk_of(*TALKS), words) == expected


@pytest.mark.parametrize("words", ["", "  ", "?!", '""', "*", "_"])
def test_a_question_without_a_word_is_none(words: str) -> None:
    assert question(words) == ""


@given(st.text(max_size=300))
def test_whatever_is_asked_is_a_question_that_can_be_answered(words: str) -> None:
    desk = Desk()
    desk.search(Search(question=question(words)), 10)
    assert len(excerpt(words, words)) <= EXCERPT + 2
    assert "".join(spaced(words).split()) == "".join(normalize("NFC", words).split())


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [OTHER, ONE]),
        ({"status": "open"}, [ONE]),
        ({"status": "resolved"}, [OTHER]),
        ({"operator": "ada"}, [ONE]),
        ({"queue": "sales"}, [ONE]),
        ({"label": "vip"}, [ONE]),
        ({"label": "vi"}, []),
        ({"rating": 2}, [OTHER]),
        ({"since": FIRST_TIME + 6 * SECOND}, [OTHER]),
        ({"until": FIRST_TIME + 6 * SECOND}, [ONE]),
    ],
)
def test_conversations_are_found_by_what_is_known_of_them(
    filters: dict[str, Any], expected: list[str]
) -> None:
    desk = desk_of(*TALKS)
    assert found(desk, **filters) == expected
    assert found(desk, "warehouse", **filters) == [id for id in expected if id == ONE]


def test_by_whose_words() -> None:
    desk = desk_of(*TALKS)
    whose: list[tuple[Writer, str]] = [("visitor", "where"), ("operator", "paid"), ("note", "called")]
    for who, words in whose:
        assert found(desk, words, who=who) == [ONE]
        assert found(desk, words, who="assistant") == []


def test_what_was_found_is_shown_the_latest_first() -> None:
    entries = [recorded(1, "visitor", ConversationStarted(door="websocket"))]
    entries += [
        recorded(n, "visitor", TextWritten(session="s", text=f"refund number {n}")) for n in range(2, 9)
    ]
    ((summary, matches),) = desk_of(*entries).search(Search(question=question("refund")), 10).conversations
    assert summary.id == ONE
    assert [match.text for match in matches] == ["refund number 8", "refund number 7", "refund number 6"]


def test_pages_go_on_behind_one_another() -> None:
    desk = Desk()
    ids = [f"{number:032x}" for number in range(7)]
    position = 0
    for id in ids:
        desk.apply(
            recorded(
                position := position + 1, "visitor", ConversationStarted(door="websocket"), conversation=id
            )
        )
        for _ in range(3):
            desk.apply(
                recorded(
                    position := position + 1,
                    "visitor",
                    TextWritten(session="s", text="help"),
                    conversation=id,
                )
            )
    for words in ("help", ""):
        seen: list[str] = []
        page = FoundPage([], 0)
        while page.next is not None:
            page = desk.search(Search(question=question(words)), 3, page.next)
            seen += [summary.id for summary, _ in page.conversations]
        assert seen == ids[::-1]


def test_a_note_that_was_removed_is_found_no_more() -> None:
    note = TALKS[5]
    desk = desk_of(*TALKS)
    assert found(desk, "warehouse") == [ONE]  # it is in the file
    desk.apply(recorded(12, "desk", NoteRemoved(operator="ada", note=note.id)))
    assert found(desk, "warehouse") == []
    assert found(desk, "paid") == [ONE]
    assert (
        found(desk_of(*TALKS, recorded(12, "desk", NoteRemoved(operator="ada", note=note.id))), "warehouse")
        == []
    )


@pytest.mark.parametrize("written", [True, False])
def test_nothing_that_was_erased_is_found_or_left_in_the_file(tmp_path: Path, written: bool) -> None:
    path = tmp_path / "desk.sqlite"
    desk = Desk(path)
    for entry in TALKS:
        desk.apply(entry)
    if written:
        desk.flush()
    desk.apply(recorded(12, "eraser", ConversationErased(by="ada")))
    assert found(desk, "warehouse") == found(desk, "rückerstattung") == []
    assert found(desk, "grace") == [OTHER]
    desk.close()
    left = path.read_bytes().lower()
    for word in (b"warehouse", b"erstattung", b"monday"):
        assert word not in left
    assert b"grace" in left  # of another conversation


def test_the_words_are_there_after_a_restart_and_once(tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite"
    desk = Desk(path)
    for entry in TALKS[:8]:
        desk.apply(entry)
    desk.write(PLACE)
    desk.close()
    desk = Desk(path)
    assert desk.checkpoint == PLACE
    for entry in TALKS:  # some come again
        desk.apply(entry)
    for words in ("paid", "warehouse", "where", "claim"):
        ((_, matches),) = desk.search(Search(question=question(words)), 10).conversations
        assert len(matches) == 1, words


def test_words_are_found_however_their_accents_are_written() -> None:
    apart = normalize("NFD", "résumé")
    for written, asked in (("résumé tiếng Việt", "résumé"), (apart, "résumé"), ("résumé", apart[:-1])):
        entries = [
            recorded(1, "visitor", ConversationStarted(door="websocket")),
            recorded(2, "visitor", TextWritten(session="s", text=written)),
        ]
        assert found(desk_of(*entries), asked) == [ONE], (written, asked)
    assert question(normalize("NFD", "việt")) == question("việt")
    assert "résumé" in excerpt("x " * 200 + apart, "résumé")


def test_a_restored_log_is_searched_alone() -> None:
    desk = desk_of(*TALKS)
    desk.search(Search(), 1)
    desk.clear()
    assert found(desk, "warehouse") == found(desk) == []


def test_an_excerpt_shows_where_it_was_found() -> None:
    text = "x " * 200 + "the refund came" + " y" * 200
    shown = excerpt(text, "refund")
    assert "the refund came" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert excerpt("short\n  text", "absent") == "short text"
