"""Entries on the wire: what was once written can always be read."""

from __future__ import annotations

from typing import get_args

import jsonschema
import msgspec
import pytest

from shared.contract.desk_facts import DeskFact
from shared.contract.entry import (
    LEVEL,
    MAX_ENTRY,
    MAX_MESSAGE,
    Entry,
    EntryTooLarge,
    RecordedEntry,
    decode,
    encode,
    needed,
    schema,
)
from shared.contract.facts import (
    MAY_WRITE,
    BotFact,
    BotSaid,
    EraserFact,
    Fact,
    OperatorFact,
    TimerArmed,
    VariableSaved,
    VisitorFact,
)
from tests import examples, golden


def read(data: bytes, author: str = "bot") -> RecordedEntry:
    return decode(7, examples.CONVERSATION, author, examples.FIRST_TIME, data)


def author_of(fact: Fact) -> str:
    [author] = [author for author, facts in MAY_WRITE.items() if type(fact) in facts]
    return author


@pytest.mark.parametrize("fact", examples.EXAMPLES.values(), ids=examples.EXAMPLES)
def test_every_fact_survives_the_wire(fact: Fact) -> None:
    entry = Entry(id="5f0c", cause=3, needs=2, facts=(fact,))
    assert read(encode(entry), author_of(fact)) == RecordedEntry(
        position=7,
        conversation=examples.CONVERSATION,
        author=author_of(fact),
        time=examples.FIRST_TIME,
        id="5f0c",
        cause=3,
        needs=2,
        facts=(fact,),
    )


def test_every_fact_has_an_example_and_one_author() -> None:
    assert {type(fact) for fact in examples.EXAMPLES.values()} == set(get_args(Fact))
    unions = VisitorFact, BotFact, OperatorFact, DeskFact
    authors = [*(set(get_args(union)) for union in unions), {EraserFact}]
    assert sum(map(len, authors)) == len(set.union(*authors)) == len(get_args(Fact))


def test_an_entry_is_json_that_anyone_can_read() -> None:
    assert encode(Entry(id="2", cause=2, facts=(BotSaid(text="Grüße"),))).decode() == (
        '{"id":"2","cause":2,"facts":[{"kind":"BotSaid","text":"Grüße"}]}'
    )


# --- the promise of the wire form -------------------------------------------------------------


ANSWER = Entry(id="3", cause=3, needs=2, facts=(BotSaid(text='Say ,"facts":[] }'), BotSaid(text="\u2028")))


@pytest.mark.parametrize(
    "form",
    [
        encode(ANSWER),
        msgspec.json.format(encode(ANSWER), indent=2),
        msgspec.json.encode(dict(reversed(msgspec.json.decode(encode(ANSWER)).items()))),
        msgspec.json.encode({"new": 1, **msgspec.json.decode(encode(ANSWER))}),
        msgspec.json.encode({**msgspec.json.decode(encode(ANSWER)), "new": {"x": 1, "facts": []}}),
        msgspec.json.encode({"new": [{"x": 1, "facts": []}], **msgspec.json.decode(encode(ANSWER))}),
    ],
    ids=["as written", "with white space", "reversed", "new before", "new behind", "facts inside"],
)
def test_the_form_of_a_bots_json_does_not_matter(form: bytes) -> None:
    found = read(form)
    assert (found.id, found.cause, found.needs, found.facts) == ("3", 3, 2, ANSWER.facts)


@pytest.mark.parametrize("size", [1, 100_000])
def test_what_a_flow_says_again_is_read_again(size: int) -> None:
    said = (BotSaid(text="x" * size),)
    answers = [read(encode(Entry(id=str(cause), cause=cause, facts=said))) for cause in (3, 5)]
    assert [(answer.id, answer.cause, answer.facts) for answer in answers] == [("3", 3, said), ("5", 5, said)]


def test_what_a_flow_says_is_read_once_whenever_its_timers_are_due() -> None:
    said = BotSaid(text="Hi! How can I help?")
    first, second = (
        read(encode(Entry(id="9", cause=9, facts=(said, TimerArmed(id="inactivity:9", at=at), last))))
        for at, last in (
            ("2026-01-31T12:30:00.000Z", TimerArmed(id="after:9:0", at="2026-01-31T12:01:00.000Z")),
            ("2026-01-31T12:31:00.000Z", TimerArmed(id="after:9:0", at="2026-01-31T12:02:00.000Z")),
        )
    )
    assert first.facts[0] == said
    assert first.facts[0] is second.facts[0]
    assert [fact.at for fact in second.facts if isinstance(fact, TimerArmed)] == [
        "2026-01-31T12:31:00.000Z",
        "2026-01-31T12:02:00.000Z",
    ]


def test_a_value_that_looks_like_a_timer_stays_a_value() -> None:
    lookalike = [1, {"kind": "TimerArmed", "id": "x", "at": "y"}, [{"kind": "TimerArmed"}]]
    facts = (VariableSaved(name="odd", value=lookalike), BotSaid(text=',{"kind":"TimerArmed"'))
    assert read(encode(Entry(id="9", cause=9, facts=facts))).facts == facts


@pytest.mark.parametrize("tag", golden.load())
def test_what_was_ever_written_means_the_same(tag: str) -> None:
    """A failure here means: a fact was renamed, removed or changed. Logs out there hold it."""
    for form in golden.load()[tag]:
        fact: Fact = msgspec.json.decode(msgspec.json.encode(form), type=Fact)
        assert type(fact).__name__ == tag
        assert golden.wire(fact) == form


def test_todays_facts_are_in_the_golden_file() -> None:
    """A failure here means: something new. Run ``python -m tests.golden`` to add it."""
    assert golden.missing(golden.load()) == {}


# --- what cannot be read ----------------------------------------------------------------------


def test_an_unknown_fact_is_skipped() -> None:
    data = b'{"id":"1","cause":4,"facts":[{"kind":"Waved"},{"kind":"BotSaid","text":"Hi"},{"kind":"Waved"}]}'
    assert read(data).facts == (BotSaid(text="Hi"),)
    assert (read(data).id, read(data).cause) == ("1", 4)


@pytest.mark.parametrize(
    "fact",
    [
        *(b"{}", b"5", b"null", b'{"kind":"BotSaid"}', b'{"kind":"BotSaid","text":5}'),
        b'{"kind":"BotSaid","text":"\xa2"}',
        b'{"kind":"ChoiceAsked","group":"\xa2","question":"","choices":[]}',
    ],
)
def test_a_malformed_fact_is_skipped(fact: bytes) -> None:
    data = b'{"id":"1","facts":[' + fact + b',{"kind":"BotSaid","text":"Hi"}]}'
    assert read(data).facts == (BotSaid(text="Hi"),)


def test_an_entry_of_a_newer_program() -> None:
    newer = b'{"id":"1","needs":9,"new":[1],"facts":[{"kind":"BotSaid","text":"Hi","tone":"warm"}]}'
    assert read(newer).facts == (BotSaid(text="Hi"),)
    assert read(newer).needs == 9 > LEVEL


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"null",
        b"\xff\xfe",
        b'{"id":"\xa2","facts":[]}',
        b'{"id":5,"facts":[]}',
        b'{"facts":{}}',
        b'{"cause":"x"}',
        b"[" * 9999,
        b'{"id":"p","facts":[' + b"[" * 5000 + b"]" * 5000 + b"]}",
    ],
)
def test_an_unreadable_message_is_an_entry_without_facts(data: bytes) -> None:
    nothing = RecordedEntry(
        position=7, conversation=examples.CONVERSATION, author="bot", time=examples.FIRST_TIME
    )
    assert read(data) == nothing


def test_an_unknown_author_may_write_nothing() -> None:
    assert read(encode(Entry(id="1", facts=(examples.BOT_SAID,))), "stranger").facts == ()


# --- sizes ------------------------------------------------------------------------------------


def test_an_entry_may_be_as_large_as_the_log_takes() -> None:
    empty = len(encode(Entry(id="1", facts=(BotSaid(text=""),))))
    largest = Entry(id="1", facts=(BotSaid(text="x" * (MAX_ENTRY - empty)),))
    assert len(encode(largest)) == MAX_ENTRY < MAX_MESSAGE
    with pytest.raises(EntryTooLarge, match=f"{MAX_ENTRY + 1} bytes") as caught:
        encode(Entry(id="1", facts=(BotSaid(text="x" * (MAX_ENTRY - empty + 1)),)))
    assert caught.value.size == MAX_ENTRY + 1


# --- the published schema ---------------------------------------------------------------------


def test_the_schema_describes_every_entry() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    for fact in examples.EXAMPLES.values():
        validator.validate(msgspec.json.decode(encode(Entry(id="1", facts=(fact,)))))
    assert not validator.is_valid({"id": "1", "facts": [{"kind": "Waved"}]})


def test_the_schema_says_what_is_personal() -> None:
    properties = schema()["$defs"]["TextWritten"]["properties"]
    assert properties["text"]["x-personal"] is True
    assert properties["session"]["x-personal"] is True  # as a stranger sent it
    assert "x-personal" not in schema()["$defs"]["EditorOpened"]["properties"]["session"]


@pytest.mark.parametrize("fact", [*examples.DESK_FACTS, examples.CONVERSATION_CLOSED])
def test_a_program_that_knows_no_notes_decides_nothing_after_one(fact: Fact) -> None:
    """It would take the place of the note for that of the conversation's last entry."""
    assert needed((fact,)) == 6 == LEVEL
    assert needed((examples.CONVERSATION_RESOLVED,)) == 1
