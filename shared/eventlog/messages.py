"""Stored messages, read off the wire."""

from __future__ import annotations

from typing import NamedTuple

from shared.eventlog.layout import Position, key_and_author
from shared.timestamps import parse_time

_SEQUENCE = b"\r\nNats-Sequence: "
_TIME = b"\r\nNats-Time-Stamp: "
_SUBJECT = b"\r\nNats-Subject: "
#: The expectation that nothing came before, and what it is about.
_FIRST = b"\r\nNats-Expected-Last-Subject-Sequence: 0\r\n"
_FIRST_OVER = b"\r\nNats-Expected-Last-Subject-Sequence-Subject: %b.*\r\n"


class StoredMessage(NamedTuple):
    """A stored message, not decoded. ``time`` in nanoseconds since 1970, UTC.

    ``first``: it was appended with the expectation that nothing of its key came before, so the server has
    proven that. A first entry may lack the mark (a replay does not carry it).
    """

    sequence: int
    key: str
    author: str
    time: int
    data: bytes
    first: bool = False
    stream: int = 0

    @property
    def position(self) -> Position:
        return Position(self.stream, self.sequence)


def stored(stream: int, subject: str, head: bytes, data: bytes) -> StoredMessage | None:
    """The stored message that was republished, or is the answer to a direct get; None for what is none.

    Only the few headers that count are looked for: a dict of all costs more than the rest.
    """
    at = head.rfind(_SEQUENCE)
    stamp = head.rfind(_TIME)
    if at < 0 or stamp < 0:
        return None  # without the server's marks it is no entry
    at += len(_SEQUENCE)
    stamp += len(_TIME)
    sequence = int(head[at : head.index(b"\r", at)])
    time = parse_time(head[stamp : head.index(b"\r", stamp)].decode())
    key, author = key_and_author(subject)
    first = head.find(_FIRST) > 0 and _FIRST_OVER % _address(head) in head
    return StoredMessage(sequence, key, author, time, data, first, stream)


def _address(head: bytes) -> bytes:
    """The subject under which it is stored, without its author, as the server says it.

    Not what the publisher may have said: of two headers with one name the last is the server's.
    """
    at = head.rfind(_SUBJECT) + len(_SUBJECT)
    return head[at : head.index(b"\r", at)].rpartition(b".")[0]


def delivered(answer: str) -> tuple[int, int, int]:
    """Sequence, stored time (nanoseconds) and number of deliveries of a consumer's message.

    Read off its reply subject, ``answer``, since nats-py's ``metadata`` makes five objects of it. ADR-15:
    $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<seq>.<time>.<pending>, and with a domain
    two tokens more behind $JS.ACK.
    """
    tokens = answer.split(".")
    at = 4 if len(tokens) == 9 else 6
    return int(tokens[at + 1]), int(tokens[at + 3]), int(tokens[at])
