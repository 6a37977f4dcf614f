"""Which of a text's languages a visitor is spoken to in: CLDR's language matching, by langcodes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

#: A language tag, as far as its form goes (RFC 5646, 2.1).
TAG: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
#: The same as visitors' programs write it: "pt_BR", too.
_WISH: Final = re.compile(r"[A-Za-z]{1,8}([-_][A-Za-z0-9]{1,8})*")

#: More wishes than these are not looked at.
_MAX_RANGES: Final = 20

#: How far a language may be from a wish, in CLDR's measure. Up to the first it is the same language in
#: another place or script, or one that its speakers read (Danish for Norwegian). Up to the second most of
#: them know it (Spanish for Catalan), and it is taken only if nothing nearer is there for any wish.
#: Chinese and Japanese are 134 apart.
_NEAR: Final = 14
_FAR: Final = 24


@lru_cache(maxsize=256)
def wishes(header: str) -> tuple[str, ...]:
    """The languages of an ``Accept-Language`` (RFC 9110, 12.5.4), best first, without what is unwanted."""
    weighed = []
    for part in header.split(",", _MAX_RANGES)[:_MAX_RANGES]:
        tag, *parameters = (piece.strip() for piece in part.split(";"))
        if _WISH.fullmatch(tag) and (weight := _weight(parameters)) > 0:
            weighed.append((weight, tag.replace("_", "-")))
    weighed.sort(key=lambda each: -each[0])  # stable: of two equal ones the first is the better
    return tuple(tag for _, tag in weighed)


def lookup(wishes: Iterable[str], tags: Iterable[str]) -> str | None:
    """The one of ``tags`` that fits best; None if none fits. What is no tag fits nothing."""
    return _lookup(tuple(wishes)[:_MAX_RANGES], tuple(tags))


@lru_cache(maxsize=1024)
def _lookup(wishes: tuple[str, ...], tags: tuple[str, ...]) -> str | None:
    have = {tag.lower(): tag for tag in tags}
    if wishes and (exact := have.get(wishes[0].lower())) is not None:
        return exact  # most often, and langcodes need not be imported for it
    for most in (_NEAR, _FAR):
        for wish in wishes:
            if (tag := _nearest(wish, tuple(have.values()), most)) is not None:
                return tag
            if most == _NEAR and (tag := _shortened(wish, have)) is not None:
                return tag
    return None


def _nearest(wish: str, tags: tuple[str, ...], most: int) -> str | None:
    if not tags:
        return None
    from langcodes import tag_distance  # with the first flow that speaks several languages

    best: tuple[int, str] | None = None
    for tag in tags:
        try:
            distance = tag_distance(wish, tag)
        except ValueError:  # it has the form of a tag, and is none
            continue
        if distance <= most and (best is None or distance < best[0]):
            best = distance, tag
    return best[1] if best else None


def _shortened(wish: str, have: dict[str, str]) -> str | None:
    """RFC 4647, 3.4: a language without anything more is meant for all who speak it ("zh" for "zh-TW")."""
    subtags = wish.lower().split("-")
    while subtags:
        if (tag := have.get("-".join(subtags))) is not None:
            return tag
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:  # such a subtag says something only with what followed
            subtags.pop()
    return None


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return float(value) if re.fullmatch(r"[01](\.[0-9]{0,3})?", value.strip()) else 0.0
    return 1.0
