"""How far a read model has read the log: kept with what it made of it, in the same transaction."""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True, array_like=True):
    """How far one stream was read: its epoch, and the sequence and stored time of the last entry.

    Time in nanoseconds since 1970, UTC. A sequence alone would not do: a store that is put back from a copy
    uses it anew.
    """

    epoch: str
    sequence: int
    time: int


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """The places of all streams, by their numbers."""

    places: tuple[Place, ...]


_decoder = msgspec.json.Decoder(Checkpoint)


def encode(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as JSON."""
    return msgspec.json.encode(checkpoint)


def decode(data: bytes) -> Checkpoint | None:
    """The checkpoint, or None where the bytes are none: then begin at the beginning."""
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError:
        return None
