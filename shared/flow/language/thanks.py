"""Mere thanks: what a visitor writes who wants nothing more.

The rule, in full. A text is cut into words (letters, marks and digits in a row) and pictures. It is mere
thanks if it has at most `MAX_CHARACTERS` characters; if every word and picture belongs to a phrase of one of
the two lists of one language, the longest phrase first; if at least one phrase is of the list that thanks;
and if nothing but spaces and `_MARKS` stands between them. So a question mark, a number, a name or any other
word makes it something that somebody should read. Capitals and the like do not matter (`comparable`).

It takes one pass over a short text, whatever is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeVar

import msgspec
import re2

from shared.flow.language.comparison import comparable, is_turkic, whole
from shared.flow.language.templates import Text
from shared.flow.language.thanks_words import OWN_THANKS

T = TypeVar("T")

MAX_CHARACTERS: Final = 120
#: The longest phrase (words).
MAX_WORDS: Final = 6
#: As many phrases of one language in one list.
MAX_PHRASES: Final = 200

#: What may stand between words: a full stop says nothing, a question mark does. Smileys are of these, too.
_MARKS: Final = frozenset(" \t\r\n.,!~-'\":;)&*…。、，！．․¡،۔।")
_PIECE: Final = re2.compile(r"[\pL\pM\pN_]+|[\x{1F3FB}-\x{1F3FF}]|[^\pL\pM\pN_]")
_SKIN: Final = frozenset(chr(code) for code in range(0x1F3FB, 0x1F400))
#: Pictures that go with thanks, and are none by themselves.
_PICTURES: Final = "🙏 👍 👌 🙂 😊 😀 😃 😄 😁 ☺ 😉 ❤ 💙 💚 💛 🧡 💜 🤍 🎉 👏 🤝 💐 🌹 ✌ 👋 ✅"


class Thanks(msgspec.Struct, frozen=True):
    """What a flow says about mere thanks.

    ``seconds`` after which they reopen a conversation like any text; None leaves it to the service, 0: they
    always do. ``words`` and ``beside``, by language, take the place of the lists that are here. ``say`` is
    what the bot answers; None for nothing.
    """

    seconds: int | None = None
    words: Mapping[str, tuple[str, ...]] = {}
    beside: Mapping[str, tuple[str, ...]] = {}
    say: Text | None = None


class _Phrases(msgspec.Struct, frozen=True):
    """Each phrase as its words with a space between."""

    thank: frozenset[str]
    beside: frozenset[str]


def only_thanks(text: str, thanks: Thanks, languages: Iterable[str]) -> bool:
    """Whether a text is nothing but thanks, in one of these languages (tags), or in English."""
    if not text or len(text) > MAX_CHARACTERS:
        return False
    wanted = {tag.lower(): tag for tag in (*languages, "en") if tag}
    return any(_only_thanks(text, _phrases_of(thanks, tag), tag) for tag in wanted.values())


def phrase_fault(phrase: str) -> str:
    """What is wrong with a phrase of a flow's; "" for nothing."""
    words = _words(phrase, "")
    if not words:
        return "there is no word in it, or a sign that is never in mere thanks"
    return f"it has more than {MAX_WORDS} words" if len(words) > MAX_WORDS else ""


def _only_thanks(text: str, phrases: _Phrases, tag: str) -> bool:
    words = _words(text, tag)
    thanked, at = False, 0
    while at < len(words):
        for count in range(min(MAX_WORDS, len(words) - at), 0, -1):
            phrase = " ".join(words[at : at + count])
            if phrase in phrases.thank or phrase in phrases.beside:
                thanked = thanked or phrase in phrases.thank
                break
        else:
            return False
        at += count
    return thanked


def _words(text: str, tag: str) -> list[str]:
    """The words and pictures of a text; none where it has a sign that is neither, nor one of `_MARKS`."""
    words = []
    for piece in _PIECE.findall(whole(comparable(text, "tr" if is_turkic(tag) else ""))):
        if piece in _MARKS or piece in _SKIN:
            continue
        if piece in _PICTURE_SET or piece[0].isalnum():
            words.append(piece)
        else:
            return []
    return words


_PICTURE_SET: Final = frozenset(comparable(_PICTURES).split())


def _phrases_of(thanks: Thanks, tag: str) -> _Phrases:
    own = _built_in(tag)
    words, beside = _in(thanks.words, tag), _in(thanks.beside, tag)
    if words is None and beside is None:
        return own
    return _Phrases(
        own.thank if words is None else _prepared(words, tag),
        own.beside if beside is None else _prepared(beside, tag) | _PICTURE_SET,
    )


@lru_cache(maxsize=256)
def _built_in(tag: str) -> _Phrases:
    lists = _in(OWN_THANKS, tag) or ("", "")
    thank, beside = (_prepared(tuple(filter(None, each.split("|"))), tag) for each in lists)
    return _Phrases(thank, beside | _PICTURE_SET)


@lru_cache(maxsize=256)
def _prepared(phrases: tuple[str, ...], tag: str) -> frozenset[str]:
    return frozenset(" ".join(_words(phrase, tag)) for phrase in phrases)


def _in(lists: Mapping[str, T], tag: str) -> T | None:
    """Those of a language, or where there are none for just this one, of the language it is a kind of."""
    lower = {each.lower(): each for each in lists}
    parts = tag.lower().split("-")
    for end in range(len(parts), 0, -1):
        found = lower.get("-".join(parts[:end]))
        if found is not None:
            return lists[found]
    return None
