"""Entries in another stream: the same content, with the positions that its inputs have there.

A position is the sequence in a conversation's stream, so a copy of a log into other streams changes it. What
of an entry says a position, field by field:

==================================================  =======================================================
``cause`` of an entry                                rewritten: the fold finds the input by it
``AnswerStarted.cause``, ``ServiceAnswered.cause``,  rewritten, in sealed words too
``ConversationRead.position``
an entry's ``id`` (``17``, ``answer:17:1``,          kept. An id says nothing but that it is another one than
``service:17:name``, ``migrate:...:17``)             all others; a copy's positions begin behind all that
                                                     were ever given, so no new id can be an old one
``TimerArmed.id``, ``TimerFired.id`` (``turn:17``)   kept, for the same reason: so the schedules that the
                                                     server holds stay right
``RequestAnswered.memory`` and other values          kept: whoever wrote them knows of no positions
==================================================  =======================================================

The stored time of a copy is another, too. So the copy says in ``stored`` when it was stored first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from shared.contract import sealing
from shared.contract.entry import Entry
from shared.contract.sealing import FindKey

#: The facts that name a position, and in which field.
_POSITIONS: Final = {"AnswerStarted": "cause", "ServiceAnswered": "cause", "ConversationRead": "position"}
_FIELDS: Final = tuple({f'"{field}"'.encode() for field in _POSITIONS.values()})
#: What unreadable JSON raises: see `shared.contract.entry`.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encoder = msgspec.json.Encoder()
_entry = msgspec.json.Decoder(Entry)
_struct: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])
_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder()

#: The position in the copy of what stood at a position; one that no earlier entry has is left as it is.
NewPosition = Callable[[int], int]


class Unmovable(Exception):
    """An entry's words are sealed in a way that this program does not know: it could not seal them again."""


def relocated(
    data: bytes, conversation: str, author: str, time: int, position: NewPosition, find: FindKey
) -> bytes:
    """The entry's bytes as a copy of it holds them.

    ``time`` is when it was stored (nanoseconds since 1970, UTC). The words are sealed again, since they are
    bound to the rest of the entry; where ``find`` has no key, or the words do not open with it, nobody can
    read them, and they stay as they are. What is unreadable is copied as it is. Raises `Unmovable`.
    """
    rest, words, box = _opened(data, conversation, author, find)
    moved = _moved(rest, time, position)
    if moved is None:
        return data
    key = sealing.key_id(data)
    if words is not None and key is not None and (own := find(key)) is not None:
        return sealing.seal(moved, _moved_words(words, position), conversation, author, own)
    return moved if not box else sealing.beside(moved, box)


def content(
    data: bytes, conversation: str, author: str, time: int, position: NewPosition, find: FindKey
) -> bytes:
    """What must be equal in an entry and in its copy, where ``position`` numbers the conversation's entries.

    That holds when the author, the first stored time, what is said, and which inputs it is said of are equal.
    Raises `Unmovable`.
    """
    rest, words, box = _opened(data, conversation, author, find)
    moved = _moved(rest, time, position)
    said = box if words is None else _moved_words(words, position)
    return b"\0".join((author.encode(), data if moved is None else moved, said))


def without_open_words(data: bytes) -> bytes:
    """The entry without the personal values that stand in it unsealed; what is unreadable as it is."""
    if sealing.split(data)[1]:
        return data
    try:
        entry = _entry.decode(data)
    except _UNREADABLE:
        return data
    facts, words = sealing.take_out(entry.facts)
    return _encoder.encode(msgspec.structs.replace(entry, facts=facts)) if words else data


def _opened(data: bytes, conversation: str, author: str, find: FindKey) -> tuple[bytes, bytes | None, bytes]:
    """The entry without its words; these, where they can be read; and as they are sealed."""
    rest, box = sealing.split(data)
    if not box:
        return rest, None, box
    if sealing.key_id(data) is None:
        raise Unmovable(
            f"an entry of the conversation {conversation} is sealed in a form that this version does not "
            "know: use the version of the services that wrote it"
        )
    return rest, sealing.unseal(box, rest, conversation, author, find), box


def _moved(rest: bytes, time: int, position: NewPosition) -> bytes | None:
    """None for what is no entry."""
    try:
        fields = _struct.decode(rest)
        facts = [_fact(fact, position) for fact in _list.decode(fields.pop("facts"))]
        if "cause" in fields:
            fields["cause"] = _at(fields["cause"], position)
    except (*_UNREADABLE, KeyError):
        return None
    fields.setdefault("stored", msgspec.Raw(b"%d" % time))
    return _encoder.encode({**fields, "facts": facts})


def _moved_words(words: bytes, position: NewPosition) -> bytes:
    try:
        return _encoder.encode([_fact(fact, position) for fact in _list.decode(words)])
    except _UNREADABLE:
        return words


def _fact(fact: msgspec.Raw, position: NewPosition) -> msgspec.Raw:
    if not any(field in bytes(fact) for field in _FIELDS):
        return fact
    fields = _struct.decode(fact)
    name = _POSITIONS.get(_any.decode(fields["kind"])) if "kind" in fields else None
    if name is None or name not in fields:
        return fact
    return msgspec.Raw(_encoder.encode({**fields, name: _at(fields[name], position)}))


def _at(raw: msgspec.Raw, position: NewPosition) -> msgspec.Raw:
    value = _any.decode(raw)
    return msgspec.Raw(b"%d" % position(value)) if type(value) is int else raw
