"""The assistant's words on their way: in order, once, whatever the network does with them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.contract.drafts import MAX_CHARACTERS, DraftAssembly, DraftPiece

CAUSE, ATTEMPT = 7, 2


def draft(
    offset: int, text: str = "", *, attempt: int = ATTEMPT, cause: int = CAUSE, end: str = ""
) -> DraftPiece:
    return DraftPiece(cause, attempt, offset, text, end)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, list[DraftPiece]]:
    """An answer, and its pieces as they may come: late, twice, cut elsewhere, but each at least once."""
    text = draw(st.text(min_size=1, max_size=60))
    cuts = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=8))})
    pieces = [draft(begin, text[begin:end]) for begin, end in pairwise(cuts)]
    again = draw(st.lists(st.tuples(st.integers(0, len(text)), st.integers(0, len(text))), max_size=5))
    pieces += [draft(begin, text[begin:end]) for begin, end in again if begin < end]
    return text, draw(st.permutations(pieces))


@given(answers())
def test_in_whatever_order_the_pieces_come_they_are_told_in_order_and_once(
    given_: tuple[str, list[DraftPiece]],
) -> None:
    text, pieces = given_
    answer = DraftAssembly(CAUSE, ATTEMPT)
    told = ""
    for piece in pieces:
        news = answer.take(piece)
        if news is not None:
            assert news.offset == len(told)
            assert news.text
            told += news.text
        assert answer.whole.text == told
    assert told == text
    assert not answer.gap


def test_who_joins_in_the_middle_is_told_everything_so_far_in_one_piece() -> None:
    answer = DraftAssembly(CAUSE, ATTEMPT)
    answer.take(draft(0, "Good "))
    answer.take(draft(5, "morning"))
    assert answer.whole == draft(0, "Good morning")


def test_a_gap_shows_and_closes() -> None:
    answer = DraftAssembly(CAUSE, ATTEMPT)
    assert answer.take(draft(5, "morning")) is None
    assert answer.gap
    assert answer.take(draft(0, "Good ")) == draft(0, "Good morning")
    assert not answer.gap


def test_the_end_shows_that_something_before_it_was_lost() -> None:
    answer = DraftAssembly(CAUSE, ATTEMPT)
    answer.take(draft(0, "Good "))
    assert answer.take(draft(12, end="committed")) is None
    assert answer.gap
    assert answer.take(draft(5, "morning")) == draft(5, "morning")
    assert not answer.gap


def test_other_attempts_and_other_turns_are_not_heard() -> None:
    answer = DraftAssembly(CAUSE, ATTEMPT)
    for stranger in (
        draft(0, "old", attempt=1),
        draft(0, "new", attempt=3),
        draft(0, "other", cause=8),
        draft(-1, "x"),
    ):
        assert answer.take(stranger) is None
    assert answer.whole.text == ""


def test_characters_are_counted_and_not_bytes() -> None:
    answer = DraftAssembly(CAUSE, ATTEMPT)
    assert answer.take(draft(0, "Grüße 👋")) is not None
    assert answer.take(draft(7, "!")) == draft(7, "!")


def test_an_endless_answer_fills_no_memory() -> None:
    answer = DraftAssembly(CAUSE, ATTEMPT)
    for number in range(100):
        answer.take(draft(number * 10_000, "x" * 10_000))
    assert len(answer.whole.text) <= MAX_CHARACTERS
    assert answer.take(draft(10**9, "far ahead")) is None
    assert not answer.gap
