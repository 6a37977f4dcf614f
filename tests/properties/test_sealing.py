"""Laws of sealed words, over random facts of every kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from shared.contract.conversation import NEW, Conversation, step
from shared.contract.entry import (
    Author,
    Entry,
    RecordedEntry,
    decode,
    encode,
    encode_sealed,
)
from shared.contract.facts import MAY_WRITE, Choice, Fact
from shared.contract.sealing import KEY_BYTES, DataKey, key_id, split, take_out
from tests import examples
from tests.properties.test_laws import histories

quick = settings(max_examples=200, deadline=None)

KEY: Final = DataKey(b"block-1 \x05", bytes(range(KEY_BYTES)))
OTHER_KEY: Final = DataKey(b"block-1 \x06", bytes(reversed(range(KEY_BYTES))))

# --- facts of every kind ----------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
whole = st.integers(-(2**63), 2**63 - 1)
values = st.recursive(
    st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    if get_origin(hint) is Annotated:
        bare, *metas = get_args(hint)
        bounds = next((meta for meta in metas if meta.ge is not None), None)
        return st.integers(bounds.ge, bounds.le) if bounds is not None else of_type(bare)
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if hint is Any:
        return values
    if get_origin(hint) is tuple:
        return st.lists(of_type(get_args(hint)[0]), max_size=3).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(texts, values, max_size=3)
    if hint is Choice:
        return of_kind(Choice)
    if options := get_args(hint):
        return st.one_of(*map(of_type, options))
    return {str: texts, int: whole, bool: st.booleans(), type(None): st.none()}[hint]


def of_kind(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{field.name: of_type(hints[field.name]) for field in fields(kind)})


@st.composite
def written(draw: st.DrawFn, texts_of_ids: st.SearchStrategy[str] = texts) -> tuple[Author, Entry]:
    """An author and an entry that the author may write."""
    author: Author = draw(st.sampled_from(get_args(Author)))
    kinds = sorted(MAY_WRITE[author], key=lambda kind: kind.__name__)
    facts = draw(st.lists(st.sampled_from(kinds).flatmap(of_kind), max_size=4))
    cause = draw(st.none() | st.integers(0, 2**60))
    return author, Entry(
        id=draw(texts_of_ids), cause=cause, needs=draw(st.integers(1, 2)), facts=tuple(facts)
    )


def read(author: str, data: bytes, key: DataKey | None = None) -> RecordedEntry:
    return decode(
        7, examples.CONVERSATION, author, examples.FIRST_TIME, data, None if key is None else lambda _: key
    )


def sealed(author: Author, entry: Entry) -> bytes:
    """As another process wrote it: one's own entries need no opening when they come back, once."""
    data = encode_sealed(entry, examples.CONVERSATION, author, KEY)
    decode(7, examples.CONVERSATION, author, 0, data, lambda _: None)
    return data


def plain(author: Author, entry: Entry) -> RecordedEntry:
    return read(author, encode(entry))


# --- sealing and opening ----------------------------------------------------------------------


@given(written())
@quick
def test_with_the_key_an_entry_reads_as_it_was_written(one: tuple[Author, Entry]) -> None:
    author, entry = one
    opened = read(author, sealed(author, entry), KEY)
    assert opened.facts == entry.facts
    own = encode_sealed(entry, examples.CONVERSATION, author, KEY)
    assert read(author, own, KEY) == opened
    assert (opened.id, opened.cause, opened.sealed) == (entry.id, entry.cause, False)
    assert key_id(sealed(author, entry)) == (KEY.id if take_out(entry.facts)[1] else None)


@given(written())
@quick
def test_without_the_key_the_rest_is_readable_and_all_words_are_absent(one: tuple[Author, Entry]) -> None:
    author, entry = one
    rest, words = take_out(entry.facts)
    closed = read(author, sealed(author, entry))
    assert closed.facts == rest
    assert take_out(closed.facts) == (rest, b"")
    assert closed.sealed == bool(words)
    assert read(author, sealed(author, entry), OTHER_KEY) == closed


@given(written(texts_of_ids=st.just("7")))
@quick
def test_no_personal_value_is_in_the_bytes(one: tuple[Author, Entry]) -> None:
    author, entry = one
    _, words = take_out(entry.facts)
    if not words:
        return
    rest, box = split(sealed(author, entry))
    known = {value for fact in take_out(entry.facts)[0] for value in strings(msgspec.to_builtins(fact))}
    known.update(re.findall(r'"(\w+)":', rest.decode()))  # somebody's name may be that of a field
    for value in strings(json.loads(words)):
        if value not in known and len(value) > 3:
            assert msgspec.json.encode(value)[1:-1] not in rest
            assert value not in strings(json.loads(rest))
            assert value.encode() not in msgspec.json.decode(box, type=bytes)


def strings(value: Any) -> set[str]:
    return set(_strings(value))


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _strings(inner)
        case list() | tuple():
            for inner in value:
                yield from _strings(inner)


@given(written(), texts)
@quick
def test_the_same_entry_has_the_same_bytes_and_another_has_others(
    one: tuple[Author, Entry], other_id: str
) -> None:
    author, entry = one
    data = sealed(author, entry)
    assert sealed(author, entry) == data
    other = msgspec.structs.replace(entry, id=other_id)
    if other_id != entry.id and split(data)[1]:
        assert split(sealed(author, other))[1] != split(data)[1]


@given(written(), written(), st.data())
@quick
def test_words_open_beside_their_own_entry_only(
    one: tuple[Author, Entry], two: tuple[Author, Entry], data: st.DataObject
) -> None:
    author, entry = one
    whole = sealed(author, entry)
    _, box = split(whole)
    if not box:
        return
    moved = encode(msgspec.structs.replace(two[1], id=entry.id + "'"))[:-1] + b',"sealed":' + box + b"}"
    assert read(two[0], moved, KEY).sealed
    at = data.draw(st.integers(0, len(whole) - len(b'=="}') - 2))  # base64's last bits may mean nothing
    broken = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    found = decode(7, examples.CONVERSATION, author, 0, broken, {KEY.id: KEY}.get)
    assert found.sealed or found.facts != entry.facts
    for conversation, other in ((examples.OTHER_CONVERSATION, author), (examples.CONVERSATION, "stranger")):
        assert decode(7, conversation, other, 1, whole, lambda _: KEY).sealed


@given(written())
@quick
def test_a_sealed_entry_is_bounded(one: tuple[Author, Entry]) -> None:
    author, entry = one
    assert len(sealed(author, entry)) <= len(encode(entry)) * 7 // 3 + 80


@given(written())
@quick
def test_what_is_not_sealed_reads_as_ever(one: tuple[Author, Entry]) -> None:
    """An old log holds no sealed entry, and an entry without words is none."""
    author, entry = one
    assert read(author, encode(entry), KEY) == plain(author, entry)
    _, words = take_out(entry.facts)
    if not words:
        assert sealed(author, entry) == encode(entry)


@given(written())
@quick
def test_an_older_program_may_not_decide_after_sealed_words(one: tuple[Author, Entry]) -> None:
    author, entry = one
    closed = read(author, sealed(author, entry))
    assert closed.needs == (max(entry.needs, 3) if closed.sealed else entry.needs)


# --- the fold ---------------------------------------------------------------------------------


def control(state: Conversation) -> tuple[Any, ...]:
    """What the state says but for words: what deciding who may speak, and every number, depends on."""
    answer, visit, progress = state.answer, state.visit, state.progress
    return (
        *(state.position, state.needs, state.active, state.turn, state.timers),
        *(visit.started, visit.session, visit.begun.door, state.inbox.ids),
        *msgspec.structs.astuple(msgspec.structs.replace(state.ownership, operator_name="")),
        *msgspec.structs.astuple(
            msgspec.structs.replace(progress, variables=dict.fromkeys(progress.variables))
        ),
        *(answer.generating, answer.attempts, answer.failed),
        *((item.position, item.id, type(item.fact)) for item in state.inbox.unanswered),
        *((service.cause, service.state, service.failure) for service in answer.services),
        *(("engaged", state.engagement.agent, state.engagement.over) if state.engagement else ()),
    )


@given(histories)
@quick
def test_the_fold_depends_on_no_word(history: list[RecordedEntry]) -> None:
    opened, closed = NEW, NEW
    for entry in history:
        without = msgspec.structs.replace(entry, facts=take_out(entry.facts)[0], sealed=True)
        opened, said = step(opened, entry)
        closed, unsaid = step(closed, without)
        assert [type(fact) for fact in said] == [type(fact) for fact in unsaid]
        assert control(opened) == control(closed)


def test_every_kind_of_fact_is_tried() -> None:
    kinds = {kind for author in MAY_WRITE for kind in MAY_WRITE[author]}
    assert kinds == set(get_args(Fact))
