"""Sealed words on the wire, by example; what holds for all entries is in tests/properties/test_sealing.py."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest

from shared.contract import sealing
from shared.contract.entry import (
    MAX_ENTRY,
    MAX_SEALED,
    Author,
    Entry,
    EntryTooLarge,
    RecordedEntry,
    decode,
    encode,
    encode_sealed,
    schema,
)
from shared.contract.fact import Personal
from shared.contract.facts import (
    BotSaid,
    Choice,
    ChoiceAsked,
    ConversationReset,
    EditorOpened,
    FlowAdvanced,
    TextWritten,
    VariableSaved,
)
from shared.contract.sealing import KEY_BYTES, DataKey, _plan, key_id, put_back, seal, split, take_out
from shared.flow.language.flow import parse
from tests import examples

KEY = DataKey(b"block-1 \x05", bytes(range(KEY_BYTES)))
ANSWER = Entry(
    id="3",
    cause=3,
    facts=(
        FlowAdvanced(path=("got", "pick")),
        ChoiceAsked(
            group="lang", question="Sam, which?", choices=(Choice(item=1, text="A"), Choice(item=2, text="B"))
        ),
        EditorOpened(session="fav", prompt="", text=None),
    ),
)


def sealed(entry: Entry, author: Author = "bot") -> bytes:
    """As another process wrote it: one's own entries need no opening when they come back, once."""
    data = encode_sealed(entry, examples.CONVERSATION, author, KEY)
    decode(7, examples.CONVERSATION, author, 0, data, lambda _: None)
    return data


def read(data: bytes, key: DataKey | None = None, author: str = "bot") -> RecordedEntry:
    return decode(
        7, examples.CONVERSATION, author, examples.FIRST_TIME, data, None if key is None else lambda _: key
    )


def test_states_and_choices_by_id_stay_readable_for_everybody() -> None:
    entry = json.loads(sealed(ANSWER))
    assert entry["facts"] == [
        {"kind": "FlowAdvanced", "path": ["got", "pick"]},
        {
            "kind": "ChoiceAsked",
            "group": "lang",
            "question": "",
            "choices": [{"item": 1, "text": ""}, {"item": 2, "text": ""}],
        },
        {"kind": "EditorOpened", "session": "fav"},
    ]
    assert entry.keys() == {"id", "cause", "needs", "facts", "sealed"}
    jsonschema.validate(entry, schema())


def test_the_bytes_of_a_sealed_entry_never_change() -> None:
    """A failure here means: what logs out there hold cannot be opened any more."""
    data = sealed(Entry(id="2", cause=2, facts=(BotSaid(text="Grüße"),)))
    assert data.decode() == (
        '{"id":"2","cause":2,"needs":3,"facts":[{"kind":"BotSaid","text":""}],"sealed":"AWJsb2NrLTEgBRDVadZXzkzQLZRj8xwKitsuZz1bfjnX0Rs8hO6XZblCPtEHv4PrqcBiHZ1/Ap63coSNJufL"}'
    )


class InTuple(msgspec.Struct, frozen=True):
    tags: tuple[Personal, ...] = ()


class InDict(msgspec.Struct, frozen=True):
    words: dict[str, Personal] = {}


class InOther(msgspec.Struct, frozen=True):
    one: TextWritten


@pytest.mark.parametrize("kind", [InTuple, InDict, InOther])
def test_a_personal_value_that_would_be_overlooked_is_refused(kind: type[msgspec.Struct]) -> None:
    with pytest.raises(TypeError, match=f"{kind.__name__}.* would not be sealed"):
        _plan(kind)


def test_an_empty_text_and_none_are_told_apart() -> None:
    assert read(sealed(ANSWER), KEY).facts == ANSWER.facts


def test_an_entry_without_words_is_written_as_ever() -> None:
    entry = Entry(id="4", facts=(ConversationReset(),))
    assert sealed(entry) == encode(entry)


def test_an_entry_that_only_looks_sealed_reads_as_it_is() -> None:
    odd = Entry(id="5", facts=(VariableSaved(name="x", value={"a": 1, "sealed": "eA=="}),))
    for data in (encode(odd), b'{"facts":[],"id":"5","needs":1,"sealed":"no base64!"}', b'"', b'"}'):
        assert not read(data, KEY).facts or read(data, KEY).facts == odd.facts


def test_a_fact_that_this_program_does_not_know_keeps_the_words_of_the_others_in_place() -> None:
    rest = b'{"id":"6","cause":6,"facts":[{"kind":"NotYetThere"},{"kind":"BotSaid","text":""}]}'
    words = b'[{"kind":"NotYetThere","text":"new"},{"kind":"BotSaid","text":"Hi!"}]'
    read_back = read(seal(rest, words, examples.CONVERSATION, "bot", KEY), KEY)
    assert read_back.facts == (BotSaid(text="Hi!"),)
    assert not read_back.sealed


def test_a_field_that_this_program_does_not_know_is_left_alone() -> None:
    words = b'[{"kind":"BotSaid","text":"Hi!","tone":"warm"}]'
    assert put_back((BotSaid(text=""),), words) == (BotSaid(text="Hi!"),)


@pytest.mark.parametrize("words", [b"[]", b"{}", b"[null]", b"[null,null,null]", b"\xff", b"[" * 5_000])
def test_words_of_other_facts_stay_sealed(words: bytes) -> None:
    facts = (BotSaid(text=""), take_out(ANSWER.facts)[0][1])
    assert put_back(facts, words) is None
    rest = encode(Entry(id="7", cause=7, facts=facts))
    assert read(seal(rest, words, examples.CONVERSATION, "bot", KEY), KEY).sealed


def test_an_own_entry_that_comes_back_is_as_it_was_written_and_where_it_was_stored() -> None:
    for conversation, author in ((examples.OTHER_CONVERSATION, "bot"), (examples.CONVERSATION, "operator")):
        data = encode_sealed(ANSWER, examples.CONVERSATION, "bot", KEY)
        assert decode(8, conversation, author, 0, data, lambda _: KEY).sealed
    data = encode_sealed(ANSWER, examples.CONVERSATION, "bot", KEY)
    first, again = (
        decode(position, examples.CONVERSATION, "bot", 9, data, lambda _: KEY) for position in (5, 6)
    )
    assert msgspec.structs.replace(first, position=6) == again
    assert (first.facts, first.needs, first.time) == (ANSWER.facts, 3, 9)
    assert decode(5, examples.CONVERSATION, "bot", 9, data).sealed


def test_the_words_of_the_form_before_this_one_are_not_guessed() -> None:
    data = sealed(ANSWER)
    rest, box = split(data)
    other = msgspec.json.encode(b"\x02" + msgspec.json.decode(box, type=bytes)[1:])
    assert read(rest[:-1] + b',"sealed":' + other + b"}", KEY).sealed


def test_what_the_log_takes_open_it_takes_sealed() -> None:
    text = "x" * (MAX_ENTRY - 100)
    data = sealed(Entry(id="8", facts=(TextWritten(session="", text=text),)), "visitor")
    assert MAX_ENTRY < len(data) <= MAX_SEALED
    with pytest.raises(EntryTooLarge):
        sealed(Entry(id="8", facts=(TextWritten(session="", text="x" * MAX_ENTRY),)), "visitor")


def test_a_key_of_another_length_is_refused() -> None:
    for id, secret in ((b"12345678", bytes(KEY_BYTES)), (b"123456789", b"short")):
        with pytest.raises(ValueError, match="a key has 9 bytes of id and 64 of secret"):
            DataKey(id, secret)


def test_an_entry_names_the_key_that_opens_it() -> None:
    for data in (sealed(ANSWER), sealed(Entry(id="9", facts=(BotSaid(text="x"),)))):
        assert key_id(data) == KEY.id
        assert not decode(7, examples.CONVERSATION, "bot", 0, data, {KEY.id: KEY}.get).sealed
        assert decode(7, examples.CONVERSATION, "bot", 0, data, {b"other": KEY}.get).sealed
    for data in (encode(ANSWER), b"", b'"}', b'{,"sealed":""}', b'{,"sealed":"AQ=="}', b'{,"sealed":"???"}'):
        assert key_id(data) is None


# --- what is said to everybody ----------------------------------------------------------------


def test_what_a_flow_says_to_everybody_is_nobodys_secret_and_stays_readable() -> None:
    """It is the same for every visitor: of it and of where the flow stands the log tells the same."""
    flow = {
        "hello": {"sendRequest": {"kind": "BotText", "content": "Welcome!"}, "next": "ask"},
        "ask": {
            "sendRequest": {"kind": "StartChatSession", "sessionId": "s", "chatText": {"en": "?", "de": "?"}}
        },
        "got": {"matchResponse": {"kind": "UserText", "sessionId": "s", "save": "name"}, "next": "named"},
        "named": {"sendRequest": {"kind": "BotText", "content": "Hello {{ name }}"}, "next": "both"},
        "both": {"sendRequest": {"kind": "BotText", "content": {"en": "Bye", "de": "Tschüss"}}},
    }
    parsed = parse(json.dumps(flow).encode(), "shop")
    (everybodys,) = parsed.said_to_all
    assert everybodys == BotSaid(text="Welcome!")
    sealing.said_to_all(parsed.said_to_all)
    left, words = sealing.take_out((everybodys, TextWritten(session="s", text="me")))
    assert left == (everybodys, TextWritten(session="", text=""))
    assert b"Welcome" not in words
    data = encode_sealed(Entry(id="1", facts=(everybodys,)), examples.CONVERSATION, "bot", KEY)
    assert sealing.key_id(data) is None


def test_the_same_words_from_elsewhere_are_sealed() -> None:
    """A visitor's name may be what some flow says: which of the two was said is not for everybody."""
    sealing.said_to_all((BotSaid(text="Welcome!"),))
    left, words = sealing.take_out((BotSaid(text="".join(["Wel", "come!"])),))
    assert left == (BotSaid(text=""),)
    assert b"Welcome!" in words
