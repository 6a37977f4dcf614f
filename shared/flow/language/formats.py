"""How a language writes numbers and days: CLDR's data, through Babel.

Babel is large, so it is imported where the first answer needs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal
from unicodedata import category, combining, decimal, normalize

import msgspec

from shared.flow.language.comparison import comparable

if TYPE_CHECKING:
    from babel import Locale

#: Longer tags are no language's; what a stranger's browser sends is cut here.
_MAX_TAG: Final = 35
#: In which order days are written in figures; None where people do both, or the language is not known.
Order = Literal["day", "month"] | None

_QUOTED = re.compile(r"'([^']*)'")
_SOUTH_SLAVIC: Final = frozenset(["sl", "sr", "bs"])
_CYRILLIC = re.compile("[а-я]")
_LETTERS = re.compile(r"[^\W\d_]+")


class Marks(msgspec.Struct, frozen=True):
    """The decimal mark and the mark between groups, as a language writes numbers with the digits 0 to 9."""

    decimal: str
    group: str


@lru_cache(maxsize=256)
def locale_of(language: str) -> Locale | None:
    """What is known of a language; None for one that nothing is known of."""
    from babel import Locale, UnknownLocaleError
    from langcodes import standardize_tag
    from langcodes.tag_parser import LanguageTagError

    if not language or len(language) > _MAX_TAG:
        return None
    # Babel keeps what it resolved by the root's data for all languages, for whichever asks first.
    Locale.parse("root").months["stand-alone"]["wide"]
    try:
        subtags = standardize_tag(language).split("-")
    except (LanguageTagError, ValueError):
        return None
    while subtags:
        try:
            return Locale.parse("_".join(subtags))
        except (UnknownLocaleError, ValueError, TypeError):
            subtags.pop()
    return None


@lru_cache(maxsize=256)
def marks_of(language: str) -> Marks | None:
    locale = locale_of(language)
    if locale is None:
        return None
    symbols = locale.number_symbols["latn"]
    return Marks(symbols["decimal"], comparable(symbols["group"]))


@lru_cache(maxsize=256)
def order_of(language: str) -> Order:
    """What comes first in ``03/04/2026``.

    English is written both ways, and most browsers that say "en-US" have never seen America; so is every
    language in America. Where the year comes first, nothing is known of a day that is written with the
    year behind.
    """
    locale = locale_of(language)
    if locale is None or locale.territory == "US" or (locale.language == "en" and locale.territory is None):
        return None
    fields = [letter for letter in locale.date_formats["short"].pattern if letter in "yMd"]
    order = "".join(dict.fromkeys(fields))
    return {"dMy": "day", "Mdy": "month"}.get(order)  # type: ignore[return-value]


@lru_cache(maxsize=256)
def months_of(language: str) -> Mapping[str, int]:
    """The number of each month by its names, in the form of `bare`; the longest names first."""
    locale = locale_of(language)
    names: dict[str, int] = {}
    twice: set[str] = set()
    if locale is None:
        return names
    for context in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            for number, name in locale.months[context][width].items():
                key = bare(name, language)
                if not _LETTERS.search(key) or key == f"m{number:02}":  # no name, but the root's number
                    continue
                if names.setdefault(key, number) != number:
                    twice.add(key)
    for key, number in list(names.items()):
        for other in _other_forms(key, locale.language):
            if names.setdefault(other, number) != number:
                twice.add(other)
    kept = {key: number for key, number in names.items() if key not in twice}
    return dict(sorted(kept.items(), key=lambda each: -len(each[0])))


def _other_forms(name: str, language: str) -> tuple[str, ...]:
    """Forms of a month's name that CLDR lacks: the genitive of South Slavic languages, and "Sept"."""
    if language == "en":
        return ("sept",) if name == "september" else ()
    if language not in _SOUTH_SLAVIC or len(name) < 3:
        return ()
    stem = re.sub(r"(?<=[bб])[eaа](?=[rр]$)|e(?=c$)", "", name)
    return (f"{stem}а",) if _CYRILLIC.search(name) else (f"{stem}a", f"{stem}ja")


@lru_cache(maxsize=256)
def beside_days(language: str) -> frozenset[str]:
    """Words that may stand between day, month and year: "de", "of", the days of the week."""
    locale = locale_of(language)
    if locale is None:
        return frozenset()
    words: set[str] = set()
    for width in ("full", "long", "medium"):
        for literal in _QUOTED.findall(locale.date_formats[width].pattern):
            words.update(_LETTERS.findall(bare(literal, language)))
    for width in ("wide", "abbreviated"):
        for name in locale.days["format"][width].values():
            words.update(bare(name, language).split())
    return frozenset(words)


def in_figures(number: float, language: str) -> str:
    """A number as the language writes it, without marks between groups: they are what was unclear."""
    marks = marks_of(language)
    if marks is None:
        return f"{number:.15g}"
    from babel.numbers import format_decimal

    written: str = format_decimal(
        number, locale=locale_of(language), group_separator=False, decimal_quantization=False
    )
    return written


def in_words(year: int, month: int, day: int, language: str) -> str:
    """A day with its month's name, in English where nothing is known of the language."""
    from datetime import date

    from babel.dates import format_date

    return format_date(date(year, month, day), "long", locale=locale_of(language) or "en")


def bare(text: str, language: str) -> str:
    """Words as names of months are compared: without case, accents, full stops and apostrophes."""
    parts = normalize("NFKD", comparable(text, language).replace("ı", "i"))
    return "".join(sign for sign in parts if not combining(sign) and sign not in ".'\u0970").strip()


def with_plain_digits(text: str) -> str | None:
    """The text with the digits 0 to 9 in place of another script's.

    None where digits of several scripts stand together, or figures that are no digits: ``10²``, ``½``.
    """
    if text.isascii():
        return text
    written: list[str] = []
    zeros: set[int] = set()
    for sign in text:
        kind = category(sign)
        if kind in ("No", "Nl"):
            return None
        if kind == "Nd":
            value = decimal(sign)
            zeros.add(ord(normalize("NFKC", sign)) - value)
            sign = str(value)
        written.append(sign)
    return "".join(written) if len(zeros) < 2 else None
