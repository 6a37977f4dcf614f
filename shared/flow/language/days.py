"""Days as people write them. Where one text may be two days, both are told and nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

from shared.flow.language.comparison import unified
from shared.flow.language.formats import (
    bare,
    beside_days,
    locale_of,
    months_of,
    order_of,
    with_plain_digits,
)

#: Longer texts are no days (characters).
_MAX_LENGTH: Final = 80

_TIME = re.compile(
    r"(?<=[0-9])(?:t|,? ?(?:at|um|à|a las|alle|às|om|kl\.?|klo|o|в|о)? +|, ?)"
    r"(?:[01]?[0-9]|2[0-4]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9})?)?"
    r" ?(?:z|[+-][0-9]{2}:?[0-9]{2}|[ap]\.?m\.?|uhr|h)?(?![^\W_])",
    re.IGNORECASE,
)
_FIGURES = re.compile(r"([0-9]{1,4}) ?(?P<mark>[./ -]) ?([0-9]{1,2}) ?(?P=mark) ?([0-9]{1,4})\.?")
_EASTERN = re.compile(
    r"([0-9]{1,4}) ?[年년] ?([0-9]{1,2}) ?[月월] ?([0-9]{1,2}) ?[日일號号]?"
    r"(?: ?\(?(?:[月火水木金土日](?:曜日?)?|[월화수목금토일](?:요일)?|(?:星期|[週周])[一二三四五六日天])\)?)?"
)
#: Figures with words before or behind them: "Thu, 31/12/2026", "31.12.2026 г."
_FRAMED = re.compile(
    r"(?:(?P<before>[^\W\d_]+)[.,]* ?)?(?P<figures>[0-9][0-9./ -]*?)(?:,? ?(?P<behind>[^\W\d_]+)\.?)?"
)
_BETWEEN = re.compile(r"[0-9]+|[^\W\d_]+")
#: Between day, month and year, in any language: English, and what is written to a day's number.
_BESIDE: Final = frozenset(
    [
        *("the", "of", "st", "nd", "rd", "th"),
        *("er", "re", "e", "a", "o", "de", "del", "do", "da", "den", "der", "le", "el", "di"),
        *("ngay", "thang", "nam"),
        *("г", "год", "года", "р", "рік", "року", "r", "rok", "roku", "թ"),
    ]
)
_HEBREW_IN: Final = "ב"

#: Where other calendars are in use, and which of their years look like ordinary ones.
_OTHER_CALENDARS: Final = frozenset(["fa", "ps", "ckb", "ar", "ur", "he"])
_ORDINARY: Final = range(1600, 2400)
_BUDDHIST: Final = range(2400, 2700)
_BUDDHIST_AHEAD: Final = 543
#: Behind a day's month in Thai: the year is one of the Buddhist era, or it is none.
_ERA = re.compile(r"(พ\. ?ศ\.?)|ค\. ?ศ\.?")


class Day(NamedTuple):
    """A day of the calendar."""

    year: int
    month: int
    day: int


def readings(text: str, languages: Sequence[str]) -> tuple[Day, ...]:
    """What a text may mean: one day, or two where it is not clear which; none if it is no day.

    A year of two digits makes it none: nobody knows its century. ``languages`` are those of the
    conversation.
    """
    if len(text) > _MAX_LENGTH:
        return ()
    plain = with_plain_digits(unified(text.strip().rstrip("。")))
    if plain is None:
        return ()
    era = _ERA.search(plain)
    plain = _ERA.sub(" ", plain, count=1)
    plain = re.sub(r"\s+", " ", _TIME.sub("", re.sub(r"\s+", " ", plain), count=1)).strip()
    found = _in_figures(plain, languages) or _in_words(plain, languages)
    if era is not None:
        ahead = _BUDDHIST_AHEAD if era[1] else 0
        days = [day._replace(year=day.year - ahead) for day in found]
    else:
        days = [day for each in found for day in _of_calendar(each, languages)]
    return tuple(sorted(day for day in dict.fromkeys(days) if iso(day) is not None))


def iso(day: Day) -> str | None:
    """The day as ``2026-12-31``, None if the calendar has no such day."""
    try:
        return date(*day).isoformat()
    except ValueError:
        return None


def _in_figures(text: str, languages: Sequence[str]) -> list[Day]:
    if eastern := _EASTERN.fullmatch(text):
        year, month, day = map(int, eastern.groups())
        return [Day(year, month, day)] if len(eastern[1]) == 4 else []
    framed = _FRAMED.fullmatch(text)
    if framed is None or not _says_no_more(framed, languages):
        return []
    found = _FIGURES.fullmatch(framed["figures"].rstrip(" "))
    if found is None:
        return []
    first, last = found[1], found[4]
    one, middle, end = int(first), int(found[3]), int(last)
    if len(first) == 4:
        return [Day(one, middle, end)]
    if len(last) != 4 or len(first) > 2:
        return []
    by_day, by_month = Day(end, middle, one), Day(end, one, middle)
    if found["mark"] == "." or one > 12 or one == middle:
        return [by_day]
    if middle > 12:
        return [by_month]
    orders = {order_of(language) for language in languages}
    if orders == {"day"}:
        return [by_day]
    return [by_month] if orders == {"month"} else [by_day, by_month]


def _says_no_more(framed: re.Match[str], languages: Sequence[str]) -> bool:
    """Whether the words beside figures are such as stand beside days."""
    words = [word for word in (framed["before"], framed["behind"]) if word]
    return all(
        any(bare(word, language) in _BESIDE | beside_days(language) for language in [*languages, "en"])
        for word in words
    )


def _in_words(text: str, languages: Sequence[str]) -> list[Day]:
    for language in dict.fromkeys([*languages, "en"]):
        words = bare(text, language)
        for name, month in months_of(language).items():
            at = words.find(name)
            if at < 0:
                continue
            before, behind = words[:at], words[at + len(name) :]
            if locale_of(language) and language.startswith(("he", "iw")):
                before = before.removesuffix(_HEBREW_IN)
            if before[-1:].isalpha() or behind[:1].isalnum():
                continue
            return _around(before, month, behind, language)
    return []


def _around(before: str, month: int, behind: str, language: str) -> list[Day]:
    """Day and year, which stand before and behind the month's name."""
    parts = [*_BETWEEN.findall(before), *_BETWEEN.findall(behind)]
    if re.sub(r"[\s,،、.·°()-]", "", before + behind) != "".join(parts):
        return []
    figures = [part for part in parts if part.isdecimal()]
    words = {part for part in parts if not part.isdecimal()}
    if len(figures) != 2 or not words <= (_BESIDE | beside_days(language)):
        return []
    figures.sort(key=len)  # the year is the longer one
    day, year = figures
    return [Day(int(year), month, int(day))] if len(day) < 3 and len(year) == 4 else []


def _of_calendar(day: Day, languages: Sequence[str]) -> tuple[Day, ...]:
    """The day, if it is one of the calendar that is kept; both where it may be a Buddhist year."""
    known = [locale.language for language in languages if (locale := locale_of(language)) is not None]
    if "th" in known and day.year in _BUDDHIST:
        return (day, day._replace(year=day.year - _BUDDHIST_AHEAD))
    if day.year not in _ORDINARY and _OTHER_CALENDARS.intersection(known):
        return ()
    return (day,)
