"""From the bytes of a flow file to its members, each with its line."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Final, NoReturn

import msgspec

from shared.flow.language.diagnostics import Diagnostic, FlowError, quoted

#: The largest flow file (bytes): the log keeps each flow's content as one message.
MAX_FILE: Final = 448 * 1024

_SPACE = re.compile(r"[ \t\n\r]*")
_HALF = re.compile("[\ud800-\udfff]")


class JsonMember(msgspec.Struct, frozen=True):
    """One member of an object of the file. ``twice``: keys written twice anywhere inside the value.

    ``members`` are those of the value itself, where it is an object whose lines are wanted.
    """

    name: str
    value: Any
    line: int
    twice: tuple[str, ...] = ()
    members: tuple[JsonMember, ...] = ()


def read(content: bytes) -> list[JsonMember]:
    """All members in their order, those of the same name too. Raises `FlowError`."""
    if len(content) > MAX_FILE:
        size = f"the file has {len(content):,} bytes; a flow may have {MAX_FILE:,} (448 KiB)."
        raise FlowError([Diagnostic("", size, "Shorten it, or split it into two flows.")])
    try:
        text = content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FlowError([Diagnostic("", "the file is not UTF-8.", "Save it as UTF-8.", line)]) from None
    try:
        whole = json.loads(text, parse_constant=_refuse)
        json.dumps(whole, allow_nan=False)
    except json.JSONDecodeError as error:
        reason = f"the file is not JSON: {error.msg} (column {error.colno})."
        raise FlowError([Diagnostic("", reason, line=error.lineno)]) from None
    except (ValueError, RecursionError) as error:
        detail = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise FlowError([Diagnostic("", f"the file is not JSON: {detail}.")]) from None
    if not isinstance(whole, dict):
        remedy = 'Write {"name of the first state": {...}, ...}.'
        raise FlowError([Diagnostic("", "the file must hold a JSON object.", remedy)])
    return _members(text, text.index("{"), 1)[0]


#: The member that holds sub-flows, each an object of states, whose lines are wanted too.
FLOWS: Final = "$flows"


def _members(text: str, begin: int, line: int, deeper: int = 0) -> tuple[list[JsonMember], int]:
    """Walk an object by hand, and where it ends: `json` drops members of the same name, and all lines.

    ``begin`` is its opening brace, in that ``line``; ``deeper`` how many levels of objects within it
    are walked too.
    """
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.extend(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        return dict(pairs)

    decoder = json.JSONDecoder(object_pairs_hook=unique)
    members: list[JsonMember] = []
    counted = begin
    at = _after_space(text, begin + 1)
    while text[at] != "}":
        line, counted = line + text.count("\n", counted, at), at
        name, at = decoder.raw_decode(text, at)
        colon = _after_space(text, at)
        place = _after_space(text, colon + 1)
        value, at = decoder.raw_decode(text, place)
        inner: list[JsonMember] = []
        levels = 2 if name == FLOWS and not deeper else deeper - 1
        if isinstance(value, dict) and levels > 0:
            inner, _ = _members(text, place, line + text.count("\n", counted, place), levels)
        members.append(JsonMember(name, value, line, tuple(twice), tuple(inner)))
        twice.clear()
        at = _after_space(text, at)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return members, at + 1


def canonical(members: list[JsonMember]) -> bytes:
    """The same JSON without white space, in the same order. For members without `faults`."""
    value = {member.name: member.value for member in members}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def faults(members: list[JsonMember]) -> list[Diagnostic]:
    """What JSON itself lets pass: names written twice (it silently drops one), halves of characters."""
    problems = []
    first: dict[str, int] = {}
    for member in members:
        name, line = member.name, member.line
        if name in first and not name.startswith("$"):
            reason = f"there are two states of this name, the first in line {first[name]}."
            problems.append(Diagnostic(name, reason, "Give one of them another name.", line))
        first.setdefault(name, line)
        if member.twice and not name.startswith("$"):
            reason = f"{quoted(member.twice)} is written twice in one object."
            problems.append(Diagnostic(name, reason, "Remove one of them.", line))
        if _HALF.search(json.dumps([name, member.value], ensure_ascii=False)):
            reason = "a text holds half a character (a lone \\ud800 to \\udfff)."
            problems.append(Diagnostic(name, reason, "Write the character itself.", line))
    return problems


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")
