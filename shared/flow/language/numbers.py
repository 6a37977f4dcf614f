"""Numbers as people write them. Where one text may be two numbers, both are told and nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from shared.flow.language.comparison import comparable
from shared.flow.language.formats import Marks, marks_of, with_plain_digits

#: Larger whole numbers are no longer exact everywhere that reads the log.
MAX_LENGTH: Final = 2**53 - 1
#: Longer texts are no numbers (characters).
_MAX_LENGTH: Final = 60

_WHOLE: Final = re.compile(
    r"[0-9]+|[0-9]{1,3}(?P<mark>[., '])[0-9]{3}(?:(?P=mark)[0-9]{3})*|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}"
)
_SIGN: Final = re.compile(r"\s*([+-])\s*")
#: ``1.000``: a whole number with three decimals, which nobody writes, or a thousand.
_NOTHING_BEHIND: Final = re.compile(r"[1-9][0-9]{0,2}[.,]000")


def readings(text: str, units: Sequence[str], languages: Sequence[str]) -> tuple[int | float, ...]:
    """What a text may mean: one number, or two where it is not clear which; none if it is no number.

    ``units`` are taken off, before or behind the number. ``languages`` are those of the conversation,
    the first of which decides where the others do not contradict it.
    """
    read = _figures(text, units, languages[0] if languages else "")
    if read is None:
        return ()
    negative, figures, eastern = read
    if eastern:
        found = _each(_value(figures, "."))
    else:
        known = [marks for language in languages if (marks := marks_of(language)) is not None]
        told = [_told(figures, marks) for marks in dict.fromkeys(known)] or [_plausible(figures)]
        found = tuple(dict.fromkeys(number for each in told for number in each))
    if any(number > MAX_LENGTH for number in found):
        return ()
    return tuple(sorted((-number if negative else number for number in found), key=abs, reverse=True))


def _told(figures: str, marks: Marks) -> tuple[int | float, ...]:
    """What a number means in a language. What it writes otherwise is taken where it means one number only."""
    own = _value(figures, marks.decimal, marks.group)
    if own is not None and not (marks.decimal in figures and _NOTHING_BEHIND.fullmatch(figures)):
        return (own,)
    behind = len(figures.rpartition(_other(marks.decimal))[2])
    if own is None and marks.group == _other(marks.decimal) and behind > 3 and marks.group in figures:
        return _each(_value(figures, marks.decimal))  # a slip in the groups: "12,3456" is no decimal comma
    return _plausible(figures)


def _plausible(figures: str) -> tuple[int | float, ...]:
    found = (*_each(_value(figures, ".")), *_each(_value(figures, ",")))
    return tuple(dict.fromkeys(found))


def _value(figures: str, decimal: str, group: str | None = None) -> int | float | None:
    """The number with this decimal mark; ``group`` None lets every other mark stand between groups."""
    whole, mark, fraction = figures.partition(decimal)
    if mark and not (fraction.isdecimal() and fraction.isascii()):
        return None
    if whole or not mark:
        form = _WHOLE.fullmatch(whole)
        if form is None or (group is not None and not set(whole) <= {*"0123456789 '", group}):
            return None
        if form["mark"] and whole[0] == "0":  # "0.123" is no number of thousands
            return None
    digits = re.sub(r"[^0-9]", "", whole) or "0"
    if not fraction.strip("0"):
        return int(digits)
    return float(f"{digits}.{fraction}")


def _figures(text: str, units: Sequence[str], language: str) -> tuple[bool, str, bool] | None:
    """Whether it is negative; digits and marks; and whether the marks are those of Arabic digits."""
    if len(text) > _MAX_LENGTH:
        return None
    of_units = sorted(((unit, comparable(unit, language)) for unit in units), key=lambda each: -len(each[1]))
    bare = text.strip()
    for unit, _ in of_units:  # "m²" is a unit, "10²" no number
        bare = bare.removesuffix(unit)
    if with_plain_digits(bare) is None:
        return None
    rest = comparable(text, language).strip()
    signs: list[str] = []
    rest = _signed(rest, signs)
    for _, unit in of_units:
        if unit and rest.endswith((unit, unit + ".")) and rest != unit:
            rest = rest.removesuffix(".").removesuffix(unit).rstrip()
            break
    for _, unit in of_units:
        if unit and rest.startswith(unit):
            rest = rest.removeprefix(unit).lstrip()
            break
    if not signs:
        rest = _signed(rest, signs)
    plain = with_plain_digits(re.sub(r"(?<=\d)[.。]$", "", rest))
    if plain is None:
        return None
    plain = re.sub(r"\s", " ", plain).replace("،", ",")
    eastern = "٫" in plain or "٬" in plain
    if eastern:
        plain = plain.replace("٫", ".").replace("٬", ",")
    return "-" in signs, plain, eastern


def _signed(text: str, signs: list[str]) -> str:
    if (found := _SIGN.match(text)) is None:
        return text
    signs.append(found[1])
    return text[found.end() :]


def _other(mark: str) -> str:
    return "," if mark == "." else "."


def _each(number: int | float | None) -> tuple[int | float, ...]:
    return () if number is None else (number,)
