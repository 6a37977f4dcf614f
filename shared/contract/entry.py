"""Entries: what one message of the log holds, and how it is written and read.

An entry is JSON, so that anyone can read the log with the NATS command line::

    {"id": "5f0c...", "cause": 17, "facts": [{"kind": "BotSaid", "text": "Hi!"}, ...]}

Its personal values may be sealed: see `shared.contract.sealing`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from shared.contract import desk_facts as desk
from shared.contract import facts as contract
from shared.contract import sealing
from shared.contract.facts import MAY_WRITE, Author, Fact
from shared.contract.sealing import DataKey, FindKey

#: The level of this code's contract. An entry's ``needs`` above it means: this program can read
#: the conversation, but may not decide in it.
LEVEL: Final = 6

#: What came with level 4: a program of level 3 goes on with a conversation that was erased.
_LEVEL_4: Final[frozenset[type]] = frozenset({contract.ConversationErased})
_LEVEL_5: Final[frozenset[type]] = frozenset({contract.ConversationTransferred})

#: What came with level 6: a program of level 5 takes the place of a note for that of the conversation's last
#: entry, and its expectation is never met again.
_LEVEL_6: Final[frozenset[type]] = frozenset(
    {
        *(desk.NoteWritten, desk.NoteRemoved, desk.LabelAdded, desk.LabelRemoved, desk.PrioritySet),
        *(desk.ConversationSnoozed, desk.SnoozeEnded, desk.ConversationRead, desk.ConversationAssigned),
        *(desk.SpamMarked, desk.SpamUnmarked, desk.AgreedTimeReached),
    }
)

#: What came with level 3: a program of level 2 takes sealed words for empty ones.
_SEALED_LEVEL: Final = 3

#: What came with level 2: a program of level 1 folds a conversation with these to another state.
_LEVEL_2: Final[frozenset[type]] = frozenset(
    {
        contract.EngagementBegan,
        contract.RequestMade,
        contract.EngagementEnded,
        contract.FlowMigrated,
        contract.VariableSaved,
        contract.AskedAgain,
        contract.ServiceAnswered,
        contract.AnswerStarted,
        contract.HandoffWithdrawn,
        contract.TimerArmed,
        contract.TimerFired,
        contract.ConversationEnded,
        contract.RequestAnswered,
    }
)

#: The largest encoded entry (bytes), its words in the open.
MAX_ENTRY: Final = 508 * 1024
#: The largest sealed entry (bytes). An entry of `MAX_ENTRY` that is one long text has two thirds of this once
#: it is sealed: most grow by a third of their words, and about 100 bytes.
MAX_SEALED: Final = 2 * MAX_ENTRY
#: The largest message the log takes, headers and subject included (bytes). NATS takes 1 MiB
#: (``max_payload``).
MAX_MESSAGE: Final = MAX_SEALED + 4 * 1024


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts that hold together, appended as one message.

    ``id`` is unique for its author within the conversation, for ever: the client's UUID, or for an
    answer of the bot the position of its cause. ``cause`` is the position that the entry answers.
    ``stored`` is on copies in other streams (`shared.contract.relocation`): when the entry
    was stored first, in nanoseconds since 1970, UTC.
    """

    id: str
    cause: int | None = None
    needs: int = 1
    stored: int | None = None
    facts: tuple[Fact, ...]


class RecordedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as the log holds it.

    ``position`` is its stream sequence, ``time`` when the server stored it first (nanoseconds since
    1970, UTC). ``facts`` leaves out what this program does not know and what the subject's author
    may not write; an unreadable message has no facts and the id "". ``key`` is the id of the key under which
    its personal values are sealed, b"" where they are not. ``sealed``: they are absent, since they were not
    opened. ``erased``: nobody will ever open them, since the key was destroyed.
    """

    position: int
    conversation: str
    author: str
    time: int
    id: str = ""
    cause: int | None = None
    needs: int = 1
    facts: tuple[Fact, ...] = ()
    key: bytes = b""
    sealed: bool = False
    erased: bool = False


class EntryTooLarge(ValueError):
    """The encoded entry exceeds `MAX_ENTRY`."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the entry has {size} bytes; the log takes at most {MAX_ENTRY}")
        self.size = size


class _Envelope(msgspec.Struct):
    """An entry whose facts are looked at one by one: for messages of newer programs."""

    id: str = ""
    cause: int | None = None
    needs: int = 1
    stored: int | None = None
    facts: list[msgspec.Raw] = []


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    """What this program writes before an entry's facts."""

    id: str
    cause: int | None = None
    needs: int = 1
    stored: int | None = None


#: Between the head and the facts, as this program writes them. Inside a JSON text the quote would
#: have a backslash before it.
_FACTS: Final = b',"facts":'
#: Where the timers begin, which stand behind all that was said. As a part of some other fact it would
#: leave brackets open before it.
_TIMERS: Final = b',{"kind":"TimerArmed"'
#: Longer facts are not kept: a flow's are short, and the assistant's are new each time (bytes).
_MAX_KEPT: Final = 4096

#: The bot's facts that hold any JSON, which whoever reads it may change in place: never shared.
HOLD_ANY: Final[frozenset[type]] = frozenset(
    {contract.VariableSaved, contract.ServiceAnswered, contract.RequestAnswered}
)

#: What this program has sealed and not read yet: its own entries come back by the feed, and need no opening.
_written: dict[bytes, RecordedEntry] = {}
_MAX_WRITTEN: Final = 1000

#: What unreadable JSON raises; the second for texts that are no UTF-8, the third for brackets nested deep.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encoder = msgspec.json.Encoder()
_entry = msgspec.json.Decoder(Entry)
_envelope = msgspec.json.Decoder(_Envelope)
_fact: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Fact)
_head = msgspec.json.Decoder(_Head)
_facts: msgspec.json.Decoder[tuple[Fact, ...]] = msgspec.json.Decoder(tuple[Fact, ...])


def encode(entry: Entry) -> bytes:
    """The entry's JSON. Raises `EntryTooLarge`: check the size before the log refuses it."""
    data = _encoder.encode(entry)
    if len(data) > MAX_ENTRY:
        raise EntryTooLarge(len(data))
    return data


def encode_sealed(entry: Entry, conversation: str, author: str, key: DataKey) -> bytes:
    """The entry's JSON with its personal values sealed; without any it is that of `encode`.

    The same arguments give the same bytes. Raises `EntryTooLarge` for what `encode` refuses, and for more
    than `MAX_SEALED`.
    """
    facts, words = sealing.take_out(entry.facts)
    if not words:
        return encode(entry)
    rest = Entry(id=entry.id, cause=entry.cause, needs=max(entry.needs, _SEALED_LEVEL), facts=facts)
    data = sealing.seal(_encoder.encode(rest), words, conversation, author, key)
    if len(data) > MAX_ENTRY:
        encode(entry)
        if len(data) > MAX_SEALED:
            raise EntryTooLarge(len(data))
    elif len(data) <= _MAX_KEPT and HOLD_ANY.isdisjoint(map(type, entry.facts)):
        if len(_written) >= _MAX_WRITTEN:
            _written.clear()
        _written[data] = RecordedEntry(
            position=0,
            conversation=conversation,
            author=author,
            time=0,
            id=entry.id,
            cause=entry.cause,
            needs=rest.needs,
            facts=entry.facts,
            key=key.id,
        )
    return data


def needed(facts: tuple[Fact, ...]) -> int:
    """The lowest level that may decide after these facts: an entry's ``needs``."""
    if not _LEVEL_6.isdisjoint(map(type, facts)):
        return 6
    if any(type(fact) is contract.ConversationResolved and fact.unjoined for fact in facts):
        return 6
    if not _LEVEL_5.isdisjoint(map(type, facts)):
        return 5
    if not _LEVEL_4.isdisjoint(map(type, facts)):
        return 4
    for fact in facts:
        if type(fact) in _LEVEL_2 or (type(fact) is contract.FlowAdvanced and fact.stack):
            return 2
    return 1


def decode(
    position: int, conversation: str, author: str, time: int, data: bytes, find: FindKey | None = None
) -> RecordedEntry:
    """Read one message of the log; its sealed words, too, where ``find`` knows their key.

    Never raises: history is never refused. Words that the key does not open stay sealed.
    """
    known = MAY_WRITE.get(author, frozenset())
    entry: Entry | _Envelope | _Head
    facts: tuple[Fact | None, ...]  # None: unknown here. It keeps its place, for the words of the others.
    if (
        find is not None
        and (own := _written.pop(data, None)) is not None
        and (own.conversation, own.author) == (conversation, author)
    ):
        return msgspec.structs.replace(own, position=position, time=time)
    data, box = sealing.split(data)
    try:
        if author == "bot":
            entry, facts = _of_bot(data)
        else:
            entry = _entry.decode(data)
            facts = entry.facts
    except _UNREADABLE:
        try:
            entry = _envelope.decode(data)
        except _UNREADABLE:
            return RecordedEntry(position=position, conversation=conversation, author=author, time=time)
        facts = tuple(map(_lenient, entry.facts))
    key = sealing.key_of(box) if box else None
    if key is not None and find is not None:
        words = sealing.unseal(box, data, conversation, author, find)
        again = author == "bot" and HOLD_ANY.isdisjoint(map(type, facts))  # what a flow says
        restored = sealing.put_back(facts, words, again) if words is not None else None
        if restored is not None:
            facts, box = restored, b""
    for fact in facts:
        if type(fact) not in known:
            facts = tuple(fact for fact in facts if type(fact) in known)
            break
    return RecordedEntry(
        position=position,
        conversation=conversation,
        author=author,
        time=time if entry.stored is None else entry.stored,
        id=entry.id,
        cause=entry.cause,
        needs=entry.needs,
        facts=facts,  # type: ignore[arg-type] # None is of no known type
        key=key or b"",
        sealed=bool(box),
    )


def _of_bot(data: bytes) -> tuple[_Head, tuple[Fact, ...]]:
    """A bot's entry: a flow says the same in many conversations, so its facts are decoded once.

    But for timers, whose times are never the same, and for `HOLD_ANY`: an agent that changes what it
    remembers in place would change what it remembers of another user. Raises for entries in another form
    than `encode` gives them.
    """
    head, mark, tail = data.partition(_FACTS)
    if not mark:
        raise msgspec.DecodeError
    said, mark, timers = tail.partition(_TIMERS)
    if mark:
        said += b"]}"
    try:
        facts = (_kept if len(said) <= _MAX_KEPT else _facts_of)(said)
    except _Unshared as unshared:
        facts = unshared.facts
    if mark:
        facts += _facts_of(b"[" + mark[1:] + timers)
    return _head.decode(head + b"}"), facts


def _facts_of(tail: bytes) -> tuple[Fact, ...]:
    if not tail.endswith(b"}"):
        raise msgspec.DecodeError
    return _facts.decode(tail[:-1])


class _Unshared(Exception):
    """These facts are this entry's alone. Raised, since the cache keeps only what is returned."""

    def __init__(self, facts: tuple[Fact, ...]) -> None:
        self.facts = facts


@lru_cache(maxsize=512)
def _kept(tail: bytes) -> tuple[Fact, ...]:
    facts = _facts_of(tail)
    if not HOLD_ANY.isdisjoint(map(type, facts)):
        raise _Unshared(facts)
    return facts


def _lenient(raw: msgspec.Raw) -> Fact | None:
    try:
        fact: Fact = _fact.decode(raw)
    except _UNREADABLE:
        return None
    return fact


def schema() -> dict[str, Any]:
    """The JSON Schema of an entry, facts included: what `switchboard log schema` prints."""
    (ref,), components = msgspec.json.schema_components([Entry], ref_template="#/$defs/{name}")
    components["Entry"]["properties"]["sealed"] = {
        "type": "string",
        "contentEncoding": "base64",
        "description": "The personal values of the facts, encrypted; they are absent or empty there.",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ref, "$defs": components}


__all__ = [
    "LEVEL",
    "MAX_ENTRY",
    "MAX_MESSAGE",
    "MAX_SEALED",
    "Author",
    "Entry",
    "EntryTooLarge",
    "RecordedEntry",
    "decode",
    "encode",
    "encode_sealed",
    "needed",
    "schema",
]
