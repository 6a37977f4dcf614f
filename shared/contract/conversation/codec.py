"""Codec: a conversation's state, or one sub-state, as JSON and back, for snapshots and checkpoints.

Each state carries the id of its contract::

    {"contract": "ownership/3", "owner": "queue", "status": "open", ...}

If you change a state's fields, or what a rule makes of them, raise the number: states that were written
before are then refused, and their conversations are read from the log again. A state holds personal words,
like the facts that it was made of: store one only where it can be erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from shared.contract.conversation.inbox import Input
from shared.contract.conversation.state import Conversation
from shared.contract.persistent_queue import PersistentQueue
from shared.contract.persistent_set import PersistentSet

#: A conversation's, a sub-state, or a service's own state with a contract.
State = TypeVar("State", bound=msgspec.Struct)


class UnreadableState(ValueError):
    """This is not a state of the wanted contract; the text says which it is, or what is wrong."""


class _StateHead(msgspec.Struct):
    """What is read of a state of any contract."""

    contract: str


def contracts() -> tuple[str, ...]:
    """The ids of the contracts of a conversation and its sub-states: a store of states is made by these."""
    kinds = chain.from_iterable((kind, *get_args(kind)) for kind in get_type_hints(Conversation).values())
    tags = (getattr(getattr(kind, "__struct_config__", None), "tag", None) for kind in kinds)
    return (str(Conversation.__struct_config__.tag), *(str(tag) for tag in tags if tag))


def encode(state: msgspec.Struct) -> bytes:
    """The state's JSON: all that is needed to go on from here."""
    return _encoder.encode(state)


def decode(kind: type[State], data: bytes) -> State:
    """The state that `encode` made ``data`` of. Raises `UnreadableState`."""
    wanted = kind.__struct_config__.tag
    try:
        contract = _head.decode(data).contract
        if contract != wanted:
            raise UnreadableState(f"a state of the contract {contract!r}; this program reads {wanted!r}")
        state: State = _decoder(kind).decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableState(f"not a state of the contract {wanted!r}: {error}") from error
    return state


def _plain(value: Any) -> Sequence[Any]:
    if isinstance(value, PersistentQueue | PersistentSet):
        return list(value)
    raise NotImplementedError(type(value))


def _shared(kind: Any, value: Any) -> PersistentQueue[Input] | PersistentSet:
    if kind is PersistentSet:
        return PersistentSet.of(msgspec.convert(value, list[str]))
    if get_origin(kind) is PersistentQueue:
        return PersistentQueue(msgspec.convert(value, list[Input]))
    raise NotImplementedError(kind)


_head: Final = msgspec.json.Decoder(_StateHead)
_encoder: Final = msgspec.json.Encoder(enc_hook=_plain)


@cache
def _decoder(kind: type[State]) -> msgspec.json.Decoder[State]:
    return msgspec.json.Decoder(kind, dec_hook=_shared)
