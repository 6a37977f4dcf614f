"""Values of a flow: what visitors' answers are worth, how values are found and how they are written."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from shared.flow.language import days, emails, numbers, phones
from shared.flow.language.formats import in_figures, in_words

Kind = Literal["text", "email", "number", "phone", "date"]
Wrong = Literal[
    "ambiguous",
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
    "date": "This is no date that I can use here. Please write it as 2026-12-31 or 31.12.2026, "
    "the year with four digits.",
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


class Save(msgspec.Struct, frozen=True):
    """Where an answer is kept, and what it must be.

    The limits are characters of a text, numbers, or days as ``2026-12-31``. ``units`` may stand beside a
    number; ``region`` is the country of a telephone number without one.
    """

    name: str
    kind: Kind = "text"
    least: float | str | None = None
    most: float | str | None = None
    units: tuple[str, ...] = ()
    region: str = ""


class Misfit(msgspec.Struct, frozen=True):
    """The answer is not what was asked for. ``meanings`` are the two things that it may mean."""

    reason: Wrong
    meanings: tuple[str, ...] = ()


def captured(save: Save, text: str, languages: Sequence[str] = ()) -> Any:
    """What is kept of a visitor's text: a text or a number; or a `Misfit`.

    ``languages`` are those in which the conversation is held, the best first.
    """
    text = text.strip()
    match save.kind:
        case "email":
            return emails.email(text) or Misfit("not_an_email")
        case "phone":
            return phones.phone(text, save.region, languages) or Misfit("not_a_phone")
        case "number":
            return _number(save, text, languages)
        case "date":
            return _day(save, text, languages)
        case _:
            return _between(save, text, len(text), "too_short", "too_long")


def _between(save: Save, value: Any, measure: Any, below: Wrong, above: Wrong) -> Any:
    if save.least is not None and measure < save.least:
        return Misfit(below)
    if save.most is not None and measure > save.most:
        return Misfit(above)
    return value


def _number(save: Save, text: str, languages: Sequence[str]) -> Any:
    match numbers.readings(text, save.units, languages):
        case (number,):
            return _between(save, number, number, "too_small", "too_big")
        case ():
            return Misfit("not_a_number")
        case several:
            return Misfit("ambiguous", tuple(in_figures(each, _first(languages)) for each in several))


def _day(save: Save, text: str, languages: Sequence[str]) -> Any:
    match days.readings(text, languages):
        case (day,):
            value = days.iso(day)
            return _between(save, value, value, "too_early", "too_late")
        case ():
            return Misfit("not_a_date")
        case several:
            return Misfit("ambiguous", tuple(_asked(each, languages) for each in several))


def _asked(day: days.Day, languages: Sequence[str]) -> str:
    """A day in words, as ``2026-12-31`` if the same words written back would not be understood."""
    words = in_words(*day, _first(languages))
    return words if days.readings(words, languages) == (day,) else days.iso(day) or words


def _first(languages: Sequence[str]) -> str:
    return languages[0] if languages else ""


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
        case float() if value.is_integer() and abs(value) <= numbers.MAX_LENGTH:
            return str(int(value))
        case list() | tuple() if not any(isinstance(item, dict | list | tuple) for item in value):
            return ", ".join(map(written, value))
        case _:
            return json.dumps(value, ensure_ascii=False)
