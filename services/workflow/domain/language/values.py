"""Values of a flow: what visitors' answers are worth, how values are found and how they are written."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any, Final, Literal

import msgspec

Kind = Literal["text", "email", "number", "phone", "date"]
Wrong = Literal[
    "not_an_email",
    "not_a_number",
    "not_a_phone",
    "not_a_date",
    "too_short",
    "too_long",
    "too_small",
    "too_big",
    "too_early",
    "too_late",
]

#: What the bot says to a wrong answer, unless the flow has words of its own.
INVALID: Final[dict[Kind, str]] = {
    "text": "Please write it in another way.",
    "email": "This is no e-mail address. It looks like name@example.com.",
    "number": "This is no number that I can use here.",
    "phone": "This is no phone number. Please write it with its area code.",
    "date": "This is no date that I can use here. Please write it as 2026-12-31 or 31.12.2026.",
}

#: What the bot asks where an answer may mean two things, unless the flow has words of its own.
AMBIGUOUS: Final = "Do you mean {{ first }} or {{ second }}?"
#: What stands for the two in such a text.
MEANINGS: Final = ("first", "second")

#: A name that texts and conditions can use.
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Words that mean something else in conditions (the CEL specification), and the visitor's own name.
RESERVED: Final = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
        "visitor",
    ]
)

#: A "valid e-mail address" of the HTML standard, but with a dot in its domain, and letters of any script.
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[^\W_]([\w-]{0,61}[^\W_])?(\.[^\W_]([\w-]{0,61}[^\W_])?)+")
_LONGEST_EMAIL: Final = 254  # characters: RFC 5321, 4.5.3.1.3
_NUMBER = re.compile(
    r"[+-]?([0-9]+([.,][0-9]+)?|[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?|[0-9]{1,3}(\.[0-9]{3})+(,[0-9]+)?)"
)
_PHONE = re.compile(r"\+?[0-9]{5,15}")  # at most 15 digits: ITU-T E.164
_DATE = re.compile(
    r"(?P<y>[0-9]{4})-(?P<m>[0-9]{1,2})-(?P<d>[0-9]{1,2})"
    r"|(?P<d1>[0-9]{1,2})\. ?(?P<m1>[0-9]{1,2})\. ?(?P<y1>[0-9]{4})"
    r"|(?P<a>[0-9]{1,2})/(?P<b>[0-9]{1,2})/(?P<y2>[0-9]{4})"
)
#: Larger whole numbers are no longer exact everywhere that reads the log.
_LARGEST: Final = 2**53 - 1


class Save(msgspec.Struct, frozen=True):
    """Where an answer is kept, and what it must be.

    The limits are characters of a text, numbers, or days as ``2026-12-31``.
    """

    name: str
    kind: Kind = "text"
    least: float | str | None = None
    most: float | str | None = None


class Misfit(msgspec.Struct, frozen=True):
    """The answer is not what was asked for."""

    reason: Wrong


def captured(save: Save, text: str) -> Any:
    """What is kept of a visitor's text: a text or a number; or a `Misfit`."""
    text = text.strip()
    match save.kind:
        case "email":
            if len(text) > _LONGEST_EMAIL or not _EMAIL.fullmatch(text):
                return Misfit("not_an_email")
            return text
        case "phone":
            digits = re.sub(r"[\s()./-]", "", text)
            return digits if _PHONE.fullmatch(digits) else Misfit("not_a_phone")
        case "number":
            number = _number(text)
            if number is None:
                return Misfit("not_a_number")
            return _between(save, number, number, "too_small", "too_big")
        case "date":
            day = _date(text)
            if day is None:
                return Misfit("not_a_date")
            return _between(save, day, day, "too_early", "too_late")
        case _:
            return _between(save, text, len(text), "too_short", "too_long")


def _between(save: Save, value: Any, measure: Any, below: Wrong, above: Wrong) -> Any:
    if save.least is not None and measure < save.least:
        return Misfit(below)
    if save.most is not None and measure > save.most:
        return Misfit(above)
    return value


def _number(text: str) -> int | float | None:
    """A number as people write it: ``1,234.5`` and ``1.234,5``; a lone comma or point is the decimal one."""
    text = re.sub(r"[\s'’]", "", text)
    if len(text) > 30 or not _NUMBER.fullmatch(text):
        return None
    marks = [mark for mark in text if mark in ".,"]
    if len(marks) == 1 or len(set(marks)) == 2:  # the last mark is the decimal one
        whole, _, fraction = text.rpartition(marks[-1])
        text = re.sub("[.,]", "", whole) + "." + fraction
    else:
        text = re.sub("[.,]", "", text)
    number = float(text)
    if abs(number) > _LARGEST:
        return None
    return int(number) if number.is_integer() else number


def _date(text: str) -> str | None:
    """A day as ``2026-12-31``. ``3/4/2026`` may be either of two days, so it is none."""
    found = _DATE.fullmatch(text)
    if not found:
        return None
    if found["a"]:
        one, other = int(found["a"]), int(found["b"])
        if one <= 12 and other <= 12 and one != other:
            return None
        day, month, year = max(one, other), min(one, other), int(found["y2"])
    else:
        year, month, day = (int(found[part] or found[part + "1"]) for part in "ymd")
    return iso_day(year, month, day)


def iso_day(year: int, month: int, day: int) -> str | None:
    """The day as ``2026-12-31``, None if the calendar has no such day."""
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def found(value: Any, path: tuple[str, ...]) -> Any:
    """What stands at ``path`` in a JSON value: names of members, numbers of items. None for nothing."""
    for name in path:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list | tuple) and name.isascii() and name.isdecimal() and len(name) < 10:
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


def picked(value: Any, path: str) -> Any:
    """What a service's ``pick`` takes out of an answer; all of it for "". None where there is nothing."""
    return found(value, tuple(path.split("."))) if path else value


def written(value: Any) -> str:
    """A value as a text shows it; "" for null, items with commas between them, objects as JSON."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) <= _LARGEST:
            return str(int(value))
        case list() | tuple() if not any(isinstance(item, dict | list | tuple) for item in value):
            return ", ".join(map(written, value))
        case _:
            return json.dumps(value, ensure_ascii=False)
