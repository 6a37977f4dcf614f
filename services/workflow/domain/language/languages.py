"""Which of a text's languages a visitor is spoken to in: the lookup of RFC 4647, 3.4."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

#: A language tag, as far as its form goes (RFC 5646, 2.1).
TAG: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")

#: More wishes than these are not looked at.
_MOST_RANGES: Final = 20


@lru_cache(maxsize=256)
def wishes(header: str) -> tuple[str, ...]:
    """The languages of an ``Accept-Language`` (RFC 9110, 12.5.4), best first, without what is unwanted."""
    weighed = []
    for part in header.split(",", _MOST_RANGES)[:_MOST_RANGES]:
        tag, *parameters = (piece.strip() for piece in part.split(";"))
        if TAG.fullmatch(tag) and (weight := _weight(parameters)) > 0:
            weighed.append((weight, tag))
    weighed.sort(key=lambda each: -each[0])  # stable: of two equal ones the first is the better
    return tuple(tag for _, tag in weighed)


def lookup(wishes: Iterable[str], tags: Iterable[str]) -> str | None:
    """The one of ``tags`` that fits best; None if none fits."""
    have = {tag.lower(): tag for tag in tags}
    for wish in wishes:
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
