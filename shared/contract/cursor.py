"""Cursors: a client's place in its conversation, opaque to it.

A cursor holds the log's epoch, a position, the stored time of the entry there, and the index of the
last fact the client has. A position alone would be reused when a store is put back from a copy; the
time of the entry tells the difference.
"""

from __future__ import annotations

import base64
import binascii

import msgspec


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """``time`` in nanoseconds since 1970, UTC; ``fact`` counts from 0."""

    epoch: str
    position: int
    time: int
    fact: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Cursor)


def encode(cursor: Cursor) -> str:
    """URL-safe text without padding."""
    return base64.urlsafe_b64encode(_encoder.encode(cursor)).rstrip(b"=").decode()


def decode(text: str) -> Cursor | None:
    """The cursor, or None if the text is none of ours (it then means: begin anew)."""
    try:
        raw = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        return _decoder.decode(raw)
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError):
        return None
