"""Texts of a flow: in several languages, with variables. Split at load; saying one only joins it.

``{{ name }}`` stands for a variable, ``{{ order.items.0 }}`` for a part of one, and ``{{ name | friend }}``
has words for when there is nothing. Whatever else is in braces is shown as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any, Final

import msgspec

from shared.contract.conversation import Begun
from shared.contract.entry import MAX_ENTRY
from shared.contract.left_out import LeftOut
from shared.flow.language.locales import lookup, wishes
from shared.flow.language.values import found, written

Escape = Callable[[str], str]

PLACEHOLDER: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*)\s*(?:\|([^{}]*))?\}\}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
#: RFC 3986, 2.3: what needs no escape in any part of an address.
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

#: What may be said of the visitor, in texts and conditions.
VISITOR: Final = ("language", "door", "flow", "user")
#: What a handoff's texts may say of its queue.
PLACE_IN_LINE: Final = ("place", "minutes")
_GIVEN: Final = frozenset(
    (*(f"visitor.{name}" for name in VISITOR), *(f"handoff.{name}" for name in PLACE_IN_LINE))
)


class TooLong(Exception):
    """What is to be said is larger than the log takes."""


def html(value: str) -> str:
    """A value in HTML: it is no markup, whatever it holds."""
    return escape(value)


def plain(value: str) -> str:
    """A value where there is no markup."""
    return value


def url(value: str) -> str:
    """A value within an address: it ends no part of the address, and is no way up the path."""
    if value.strip(".") == "":
        return ""
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in value.encode("utf-8", "replace")
    )


def header(value: str) -> str:
    """A value within a header's line, which it must not end."""
    return _CONTROLS.sub(" ", value)


class Voice:
    """To whom something is said, and what is known of that visitor and from that visitor.

    ``variables`` may be set anew while it speaks. ``left`` is how many more characters may be said.
    """

    __slots__ = ("begun", "handoff", "left", "settled", "variables")

    def __init__(self, begun: Begun, variables: Mapping[str, Any], settled: tuple[str, ...]) -> None:
        self.begun = begun
        self.variables = variables
        self.handoff: Mapping[str, Any] | None = None  # how the queues stand, for conditions that look at it
        self.settled = settled  # all languages that the flow speaks
        self.left = MAX_ENTRY

    def spend(self, characters: int) -> None:
        """Count what is said. Raises `TooLong`: a text may name a long variable a thousand times."""
        self.left -= characters
        if self.left < 0:
            raise TooLong

    def value(self, path: tuple[str, ...]) -> Any:
        """What a placeholder or a condition means."""
        if path[0] == "visitor":
            return found(self.visitor, path[1:])
        return found(self.variables.get(path[0]), path[1:])

    def knowing(self, **more: Any) -> Voice:
        """The same voice, with more variables for a single text."""
        voice = Voice(self.begun, {**self.variables, **more}, self.settled)
        voice.left = self.left
        return voice

    @property
    def languages(self) -> tuple[str, ...]:
        """Those in which the conversation is held, as exactly as they are known: "de-CH" rather than "de".

        The visitor's best one that the flow speaks. Where it speaks another, that and the visitor's: the
        one is read, and the other may be written.
        """
        wanted = wishes(self.begun.language)
        if not self.settled:
            return wanted[:1]
        spoken = lookup(wanted, self.settled)
        if spoken is None:
            return (self.settled[0], *wanted[:1])
        wish = next((each for each in wanted if lookup((each,), self.settled) == spoken), spoken)
        return (wish,) if _primary(spoken) == _primary(wish) else (spoken, wish)

    @property
    def visitor(self) -> dict[str, str]:
        """``language`` is that in which the flow speaks; the visitor's own where it speaks but one."""
        wanted = wishes(self.begun.language)
        own = lookup(wanted, self.settled) or next(iter(self.settled or wanted), "")
        begun = self.begun
        if isinstance(begun.language, LeftOut):
            own = begun.language
        return {"language": own, "door": begun.door, "flow": begun.flow, "user": begun.user}


class TemplateVariable(msgspec.Struct, frozen=True):
    """A place in a text. ``fallback`` is for when there is nothing."""

    path: tuple[str, ...]
    fallback: str = ""


Parts = tuple[str | TemplateVariable, ...]


class Text(msgspec.Struct, frozen=True):
    """A text in each of its languages; the first is its own, spoken where no other fits.

    A text without languages has one with the tag "".
    """

    languages: Mapping[str, Parts]

    @property
    def own(self) -> str:
        """As it is written in its first language."""
        return "".join(map(_spelt, next(iter(self.languages.values()))))

    @property
    def constant(self) -> bool:
        """Whether it is the same for every visitor."""
        return len(self.languages) == 1 and all(isinstance(part, str) for part in self._first)

    @property
    def variables(self) -> Iterator[TemplateVariable]:
        """All places of all languages."""
        for parts in self.languages.values():
            yield from (part for part in parts if isinstance(part, TemplateVariable))

    @property
    def _first(self) -> Parts:
        return next(iter(self.languages.values()))

    def said(self, voice: Voice, escape: Escape = html) -> str:
        """The text for this visitor. Raises `TooLong`."""
        parts = self._first
        if len(self.languages) > 1:
            tag = lookup(wishes(voice.begun.language), self.languages)
            parts = parts if tag is None else self.languages[tag]
        pieces: list[str] = []
        for part in parts:
            piece = part if isinstance(part, str) else escape(_shown(part, voice))
            voice.spend(len(piece))
            pieces.append(piece)
        return "".join(pieces)


class Json(msgspec.Struct, frozen=True):
    """A JSON value with variables in its texts. A text that is one placeholder becomes the value itself."""

    value: Any  # objects, lists, `Text` and what JSON has besides

    def said(self, voice: Voice) -> bytes:
        """The JSON for this visitor. Raises `TooLong`."""
        return msgspec.json.encode(_filled(self.value, voice))


def split(text: str, saved: bool = True) -> Parts:
    """The parts of a text. Where nothing is ``saved``, braces mean nothing, except for what is given."""
    parts: list[str | TemplateVariable] = []
    at = 0
    for place in PLACEHOLDER.finditer(text):
        if not (saved or place[1] in _GIVEN):
            continue
        if place.start() > at:
            parts.append(text[at : place.start()])
        parts.append(TemplateVariable(tuple(place[1].split(".")), (place[2] or "").strip()))
        at = place.end()
    if at < len(text) or not parts:
        parts.append(text[at:])
    return tuple(parts)


def template(text: str, saved: bool = True) -> Text:
    """A text in one language."""
    return Text({"": split(text, saved)})


def json_template(value: Any, saved: bool = True) -> Json:
    """A JSON value, its texts split."""
    return Json(_split_json(value, saved))


def texts_of(value: Json) -> Iterator[Text]:
    """All texts with variables in a JSON value."""
    ahead = [value.value]
    while ahead:
        match ahead.pop():
            case Text() as text:
                yield text
            case dict() as members:
                ahead += members.values()
            case list() as items:
                ahead += items
            case _:
                pass


def _split_json(value: Any, saved: bool) -> Any:
    match value:
        case str():
            text = template(value, saved)
            return value if text.constant else text
        case dict():
            return {key: _split_json(item, saved) for key, item in value.items()}
        case list():
            return [_split_json(item, saved) for item in value]
        case _:
            return value


def _filled(value: Any, voice: Voice) -> Any:
    match value:
        case Text():
            (parts,) = value.languages.values()
            if len(parts) == 1 and isinstance(parts[0], TemplateVariable):
                filled = voice.value(parts[0].path)
                if filled is None and parts[0].fallback:
                    filled = parts[0].fallback
                voice.spend(len(written(filled)))
                return filled
            return value.said(voice, plain)
        case dict():
            return {key: _filled(item, voice) for key, item in value.items()}
        case list():
            return [_filled(item, voice) for item in value]
        case _:
            return value


def _primary(tag: str) -> str:
    return tag.partition("-")[0].lower()


def _shown(variable: TemplateVariable, voice: Voice) -> str:
    return written(voice.value(variable.path)) or variable.fallback


def _spelt(part: str | TemplateVariable) -> str:
    if isinstance(part, str):
        return part
    fallback = f" | {part.fallback}" if part.fallback else ""
    return f"{{{{ {'.'.join(part.path)}{fallback} }}}}"
