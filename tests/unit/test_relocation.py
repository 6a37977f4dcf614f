"""An entry in another stream: what says a position is rewritten, and all else stays to the byte."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from shared.contract.entry import Entry, RecordedEntry, decode, encode, encode_sealed
from shared.contract.facts import (
    AnswerStarted,
    Author,
    BotSaid,
    Fact,
    FlowAdvanced,
    ServiceAnswered,
    TextWritten,
    TimerArmed,
)
from shared.contract.relocation import Unmovable, content, relocated
from shared.contract.sealing import KEY_BYTES, DataKey, split
from tests import examples

C = examples.CONVERSATION
KEY = DataKey(b"block-1 \x05", bytes(range(KEY_BYTES)))
THEN, NOW = 1_700_000_000_123_456_789, 1_800_000_000_000_000_000
#: The inputs at 17 and 20 are at 901 and 902 now.
MOVED = {17: 901, 20: 902}


def position(old: int) -> int:
    return MOVED.get(old, old)


def found(id: bytes) -> DataKey | None:
    return KEY if id == KEY.id else None


def destroyed(id: bytes) -> None:
    return None


def read(data: bytes, author: str = "bot") -> RecordedEntry:
    return decode(950, C, author, NOW, data, found)


OUTCOME = Entry(
    id="17",
    cause=17,
    facts=(
        FlowAdvanced(path=("got", "pick")),
        ServiceAnswered(cause=17, state="look", value={"cause": 17, "at": [1.50, 10**30]}),
        AnswerStarted(cause=17, attempt=1),
        BotSaid(text='"cause": 17'),
        TimerArmed(id="turn:17", at="2999-01-01T00:00:00Z"),
    ),
)


def expected(entry: Entry) -> tuple[Any, ...]:
    """The facts with the new positions."""
    return tuple(
        msgspec.structs.replace(fact, cause=position(fact.cause)) if hasattr(fact, "cause") else fact
        for fact in entry.facts
    )


@pytest.mark.parametrize("sealed", [False, True])
def test_an_outcome_names_its_input_where_that_is_now(sealed: bool) -> None:
    data = encode_sealed(OUTCOME, C, "bot", KEY) if sealed else encode(OUTCOME)
    read(data)  # this process wrote it, and reads it once without its key

    moved = relocated(data, C, "bot", THEN, position, found)

    recorded = read(moved)
    assert (recorded.id, recorded.cause, recorded.time) == ("17", 901, THEN)
    assert recorded.facts == expected(OUTCOME)
    assert not recorded.sealed
    assert bool(split(moved)[1]) == sealed


def test_moved_twice_it_keeps_the_time_at_which_it_was_stored_first() -> None:
    data = encode(Entry(id="v", facts=(TextWritten(session="s", text="Hi"),)))
    once = relocated(data, C, "visitor", THEN, position, found)
    twice = relocated(once, C, "visitor", NOW, position, found)
    assert twice == once
    assert read(twice, "visitor").time == THEN


def test_words_that_nobody_can_open_stay_as_they_are() -> None:
    data = encode_sealed(OUTCOME, C, "bot", KEY)
    moved = relocated(data, C, "bot", THEN, position, destroyed)
    assert split(moved)[1] == split(data)[1]
    recorded = decode(950, C, "bot", NOW, moved)
    assert (recorded.cause, recorded.sealed, recorded.time) == (901, True, THEN)


def test_what_is_unknown_or_unreadable_is_copied_as_it_is() -> None:
    for data in (b"\xff", b"[]", b'{"id":"x"}', b"{" * 10_000, b'{"id":"x","facts":7}'):
        assert relocated(data, C, "bot", THEN, position, found) == data
    unknown = b'{"id":"a","cause":17,"mood":[1.50],"facts":[{"kind":"Danced","cause":17,"x":1.50}]}'
    moved = json.loads(relocated(unknown, C, "bot", THEN, position, found))
    assert moved == {**json.loads(unknown), "cause": 901, "stored": THEN}
    newer = b'{"id":"a","facts":[],"sealed":"AgAA"}'
    with pytest.raises(Unmovable, match="sealed in a form"):
        relocated(newer, C, "bot", THEN, position, found)


@pytest.mark.parametrize("find", [found, destroyed])
@pytest.mark.parametrize(
    ("author", "fact"),
    [("bot", BotSaid(text="Hi")), ("visitor", TextWritten(session="s", text="Hi"))],
)
def test_a_copy_has_the_same_content_and_nothing_else_has(author: Author, fact: Fact, find: Any) -> None:
    """Whatever its positions: they are compared as the numbers of the conversation's entries."""
    entry = Entry(id="x", cause=17, facts=(fact,))

    def told(data: bytes, author: str = author, time: int = THEN, number: int = 3) -> bytes:
        return content(data, C, author, time, lambda _: number, find)

    data = encode_sealed(entry, C, author, KEY)
    copy = relocated(data, C, author, THEN, position, find)
    assert told(copy, time=NOW) == told(data)
    assert told(data, number=4) != told(data)
    assert told(data, author="operator") != told(data)
    assert told(data, time=THEN + 1) != told(data)
    other = msgspec.structs.replace(entry, id="y")
    assert told(encode_sealed(other, C, author, KEY)) != told(data)
