"""Sealed words: the personal values of an entry, taken out of its facts and encrypted together.

A sealed entry has facts without personal values, and behind these, encrypted, the facts that have some::

    {"id": "5f0c...", "needs": 3, "facts": [{"kind": "BotSaid", "text": ""}], "sealed": "AeK3..."}

Which fields are personal is said by their type (`shared.contract.facts.Personal` and alike). All else stays
readable without a key: the kinds, the states, the choices' ids, the times, and what a flow says to everybody
in the same words. Whoever destroys the
conversation's key has forgotten the words, and the log stays whole. What is sealed begins with a version, and
with the key's id: so each entry says by itself which key opens it.

The cipher is AES-SIV with keys of AES-256 (RFC 5297, AEAD_AES_SIV_CMAC_512), deterministic and without a
nonce (section 4): a retry of an append has the same bytes, and the server takes it for the same. Associated
data binds the words to the conversation, the author, and the rest of the entry's bytes. So they open nowhere
else; and since the entry's id is among these, equal words in two entries have different bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Final, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from msgspec.structs import fields, replace

from shared.contract.facts import BotSaid, ChoiceAsked, EditorOpened, Fact

#: Bytes of a conversation's key: two keys of AES-256, one for each half of AES-SIV.
KEY_BYTES: Final = 64
#: Bytes of a key's id: whoever keeps the keys says what they mean.
KEY_ID_BYTES: Final = 9

#: The first byte of what is sealed: AES-256-SIV over a JSON array, a fact or null for each of the entry's.
_VERSION: Final = b"\x01"
#: Bytes of version and key's id, and how many characters of JSON hold them, the quote included.
_HEAD: Final = len(_VERSION) + KEY_ID_BYTES
_HEAD_CHARACTERS: Final = 1 + 4 * -(-_HEAD // 3)
#: Between an entry as it would be without its words, and the words. Inside a JSON text the quote would have
#: a backslash before it.
_MARK: Final = b',"sealed":'
_END: Final = b'"}'

S = TypeVar("S", bound=msgspec.Struct)

_encoder = msgspec.json.Encoder()
_base64 = msgspec.json.Decoder(bytes)
_one: msgspec.json.Decoder[Fact | None] = msgspec.json.Decoder(Fact | None)
_whole: msgspec.json.Decoder[list[Fact | None]] = msgspec.json.Decoder(list[Fact | None])
_each = msgspec.json.Decoder(list[msgspec.Raw])
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
#: What unreadable JSON raises; the second for texts that are no UTF-8, the third for brackets nested deep.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class DataKey:
    """The key of one conversation's words. Making one costs more than sealing a text: keep it."""

    __slots__ = ("_cipher", "id")

    def __init__(self, id: bytes, secret: bytes) -> None:
        """``id`` has `KEY_ID_BYTES`, ``secret`` `KEY_BYTES`. Raises ValueError."""
        if len(id) != KEY_ID_BYTES or len(secret) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_ID_BYTES} bytes of id and {KEY_BYTES} of secret")
        self.id = id
        self._cipher = AESSIV(secret)

    def encrypt(self, words: bytes, bound: bytes) -> bytes:
        """``words`` encrypted, 16 bytes longer; they open only together with what is ``bound`` to them."""
        return self._cipher.encrypt(words, [bound])

    def decrypt(self, encrypted: bytes, bound: bytes) -> bytes | None:
        """What was encrypted, or None where the key, the bytes or what is ``bound`` are others."""
        try:
            return self._cipher.decrypt(encrypted, [bound])
        except (InvalidTag, ValueError):  # the latter: shorter than the shortest
            return None


#: Finds a key by its id; None where the words are to stay sealed.
FindKey = Callable[[bytes], DataKey | None]


class _Plan(NamedTuple):
    """Where a kind has personal values: what each is when absent, and in which fields other structs have."""

    absent: Mapping[str, Any]
    within: Mapping[str, _Plan]


def said_to_all(facts: Iterable[Fact]) -> None:
    """What a flow says to everybody, whoever they are and whatever they answered: nothing personal.

    These very objects, not what is equal to them: of another fact nobody knows where its words are from.
    """
    for fact in facts:
        if len(_said_to_all) >= _MAX_SAID_TO_ALL:
            _said_to_all.clear()
        _said_to_all[id(fact)] = fact


def take_out(facts: Sequence[Fact]) -> tuple[tuple[Fact, ...], bytes]:
    """The facts without their personal values, and as JSON those that have some, whole; b"" for none.

    But for those that are `said_to_all`, which stay as they are.

    In the JSON, null stands for a fact that has none: so each keeps its place.
    """
    left: list[Fact] = []
    words: list[bytes] = []
    for fact in facts:
        rest, own = _taken_once(fact) if type(fact) in _SAID else _taken(fact)
        left.append(rest)
        words.append(own)
    if all(own is _NOTHING for own in words):
        return tuple(left), b""
    return tuple(left), b"[" + b",".join(words) + b"]"


def bare(fact: Fact) -> Fact:
    """The fact with nothing where personal values are, whoever else is told the same."""
    plan = _PLANS.get(type(fact))
    return fact if plan is None else _without(fact, plan)


def masked(fact: Fact, mark: str, all: bool = False) -> Fact:
    """The fact with ``mark`` for each personal value, if there is one, or for ``all``; {} for an object."""
    plan = _PLANS.get(type(fact))
    return fact if plan is None else _with_marks(fact, plan, mark, all)


def put_back(
    facts: Sequence[Fact | None], words: bytes, again: bool = False
) -> tuple[Fact | None, ...] | None:
    """The facts with those from which `take_out` took; None where the words are not of these facts.

    Among the ``facts`` None stands for one that this program does not know. ``again``: the same words are
    likely to come again, and whoever reads them changes nothing in them.
    """
    whole = (_read_once if again and len(words) <= _MAX_KEPT else _read)(words)
    if whole is None or len(whole) != len(facts):
        return None
    return tuple([fact if own is None else own for fact, own in zip(facts, whole, strict=True)])


def _read(words: bytes) -> list[Fact | None] | None:
    try:
        return _whole.decode(words)
    except _UNREADABLE:
        try:
            return list(map(_lenient, _each.decode(words)))
        except _UNREADABLE:
            return None


def seal(rest: bytes, words: bytes, conversation: str, author: str, key: DataKey) -> bytes:
    """An entry's bytes with its ``words`` sealed, ``rest`` being those that it has without them."""
    encrypted = key.encrypt(words, _bound(rest, conversation, author))
    return beside(rest, _encoder.encode(_VERSION + key.id + encrypted))


def beside(rest: bytes, box: bytes) -> bytes:
    """An entry's bytes of what `split` makes of them."""
    return b"".join((rest[:-1], _MARK, box, b"}"))


def split(data: bytes) -> tuple[bytes, bytes]:
    """What an entry's bytes are without its words, and these as they are sealed; b"" for none."""
    if not data.endswith(_END):  # quick, since it is asked of every entry: without words it ends in ]}
        return data, b""
    quote = data.rfind(b'"', 0, -len(_END))
    end = quote - len(_MARK)
    return (data[:end] + b"}", data[quote:-1]) if data[end:quote] == _MARK else (data, b"")


def unseal(box: bytes, rest: bytes, conversation: str, author: str, find: FindKey) -> bytes | None:
    """The words that `split` found beside ``rest``; None without their key, or beside another entry."""
    try:
        sealed = _base64.decode(box)
    except msgspec.DecodeError:
        return None
    if not sealed.startswith(_VERSION) or (key := find(sealed[len(_VERSION) : _HEAD])) is None:
        return None
    return key.decrypt(sealed[_HEAD:], _bound(rest, conversation, author))


def opened(data: bytes, conversation: str, author: str, find: FindKey) -> bytes:
    """An entry's bytes with its words in their places; ``data`` itself where none are sealed, or stay so."""
    rest, box = split(data)
    words = unseal(box, rest, conversation, author, find) if box else None
    try:
        fields = _fields.decode(rest)
        facts, whole = _each.decode(fields["facts"]), _each.decode(words or b"[]")
    except (*_UNREADABLE, KeyError):
        return data
    if len(facts) != len(whole):
        return data
    fields["facts"] = msgspec.Raw(_encoder.encode([_first(*both) for both in zip(whole, facts, strict=True)]))
    return _encoder.encode(fields)


def _first(own: msgspec.Raw, fact: msgspec.Raw) -> msgspec.Raw:
    return fact if bytes(own) == _NOTHING else own


def key_id(data: bytes) -> bytes | None:
    """The id of the key that opens an entry's words; None where nothing is sealed that this program knows."""
    return key_of(split(data)[1])


def key_of(box: bytes) -> bytes | None:
    """The same of what `split` found."""
    try:
        head = _base64.decode(box[:_HEAD_CHARACTERS] + b'"')
    except msgspec.DecodeError:
        return None
    return head[len(_VERSION) : _HEAD] if head.startswith(_VERSION) and len(head) >= _HEAD else None


def _bound(rest: bytes, conversation: str, author: str) -> bytes:
    """One text, which is cheaper than three; neither name holds a point, since both stand in subjects."""
    return b"%b.%b.%b" % (conversation.encode(), author.encode(), rest)


#: Stands for a fact without personal values.
_NOTHING: Final = b"null"
#: What a flow says in many conversations: taken out once.
_SAID: Final[frozenset[type]] = frozenset({BotSaid, ChoiceAsked, EditorOpened})
#: How many of these are kept; longer ones are not (bytes).
_KEPT: Final = 256
_MAX_KEPT: Final = 4096
_kept: dict[Fact, tuple[Fact, bytes]] = {}
#: By their identity; the object is held, so its number stays its own.
_said_to_all: dict[int, Fact] = {}
_MAX_SAID_TO_ALL: Final = 50_000
_read_once = lru_cache(maxsize=_KEPT)(_read)


def _taken_once(fact: Fact) -> tuple[Fact, bytes]:
    if id(fact) in _said_to_all:
        return fact, _NOTHING
    found = _kept.get(fact)
    if found is None:
        found = _taken(fact)
        if len(found[1]) <= _MAX_KEPT:
            if len(_kept) >= _KEPT:
                _kept.clear()
            _kept[fact] = found
    return found


def _taken(fact: Fact) -> tuple[Fact, bytes]:
    plan = _PLANS.get(type(fact))
    if plan is None:
        return fact, _NOTHING
    rest = _without(fact, plan)
    return (fact, _NOTHING) if rest == fact else (rest, _encoder.encode(fact))


def _without(struct: S, plan: _Plan) -> S:
    """``struct`` with nothing where personal values are."""
    if not plan.within:
        return replace(struct, **plan.absent)
    inner = {
        name: tuple(_without(each, within) for each in getattr(struct, name))
        for name, within in plan.within.items()
    }
    return replace(struct, **plan.absent, **inner)


def _with_marks(struct: S, plan: _Plan, mark: str, all: bool) -> S:
    marks = {
        name: absent if isinstance(absent, dict) else mark
        for name, absent in plan.absent.items()
        if all or getattr(struct, name) not in (absent, None, "")
    }
    inner = {
        name: tuple(_with_marks(each, within, mark, all) for each in getattr(struct, name))
        for name, within in plan.within.items()
    }
    return replace(struct, **marks, **inner)


def _lenient(raw: msgspec.Raw) -> Fact | None:
    try:
        return _one.decode(raw)
    except _UNREADABLE:
        return None


def _plan(kind: type[msgspec.Struct]) -> _Plan | None:
    """None for a kind without personal values. Raises `TypeError` where some would be overlooked."""
    hints = get_type_hints(kind, include_extras=True)
    absent: dict[str, Any] = {}
    within: dict[str, _Plan] = {}
    for field in fields(kind):
        hint = hints[field.name]
        if _is_personal(hint):
            absent[field.name] = _absent(field)
        elif (inner := _struct_of(hint)) is not None and (plan := _plan(inner)) is not None:
            within[field.name] = plan
        elif _holds_personal(hint):
            raise TypeError(
                f"{kind.__name__}.{field.name} would not be sealed: personal are whole fields, or those of "
                "structs in a tuple"
            )
    return _Plan(absent, within) if absent or within else None


def _is_personal(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return any(
            isinstance(meta, msgspec.Meta) and (meta.extra_json_schema or {}).get("x-personal")
            for meta in hint.__metadata__
        )
    return get_origin(hint) in (Union, UnionType) and any(map(_is_personal, get_args(hint)))


def _holds_personal(hint: Any) -> bool:
    """Whether something in there is personal, however deep."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return any(map(_holds_personal, get_type_hints(hint, include_extras=True).values()))
    return _is_personal(hint) or any(map(_holds_personal, get_args(hint)))


def _struct_of(hint: Any) -> type[msgspec.Struct] | None:
    """The kind of struct of which ``hint`` is a tuple."""
    inner = get_args(hint)[0] if get_origin(hint) is tuple else None
    return inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None


def _absent(field: msgspec.structs.FieldInfo) -> Any:
    """What the field holds where its value is sealed: its default, or what its type has for nothing."""
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    bare = get_args(field.type)[0]
    return None if bare is Any else ""


_PLANS: Final[dict[type, _Plan]] = {
    kind: plan for kind in get_args(Fact) if (plan := _plan(kind)) is not None
}
