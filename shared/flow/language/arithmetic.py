"""Conditions that calculate: the same condition with every number a fractional one.

CEL tells whole numbers from fractional ones and adds neither to the other, but to a visitor 10 and 10.5
are numbers alike, and so they are in JSON. So a condition that calculates is written again: literals
become fractional, and so does what functions count. Positions in lists are made whole again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

#: Larger whole numbers have no exact fractional form; they stay as they are.
_MAX_LENGTH: Final = 2**53
#: What counts, and so gives whole numbers.
_COUNTING: Final = frozenset(
    [
        "size",
        "int",
        "uint",
        "getFullYear",
        "getMonth",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getHours",
        "getMinutes",
        "getSeconds",
    ]
)
_TOKEN = re.compile(
    r"""\s*(?://[^\n]*\s*)*(?:
      (?P<text>(?:[rR][bB]?|[bB][rR])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"]*"|'[^']*')
        |[bB]?(?:\"{3}(?:\\.|(?!\"{3}).)*\"{3}|'{3}(?:\\.|(?!'{3}).)*'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
    | (?P<real>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    | (?P<whole>0x[0-9a-fA-F]+[uU]?|[0-9]+[uU]?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<mark>\|\||&&|[<>=!]=|[-+*/%<>!?:.,()\[\]{}])
    | (?P<end>\Z))""",
    re.DOTALL | re.VERBOSE,
)
_LEVELS: Final[Mapping[str, int]] = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(["<", "<=", ">", ">=", "==", "!=", "in"], 3),
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
}


def in_fractions(source: str) -> str | None:
    """The condition with every number a fractional one; None where that changes nothing, or cannot be done.

    It calls what `HELPERS` holds.
    """
    writer = _Writer(source)
    try:
        written = writer.all()
    except (_Unknown, RecursionError):
        return None
    return written if writer.calculates else None


def fractional(value: Any) -> Any:
    """A value of JSON with every number a fractional one."""
    match value:
        case bool():
            return value
        case int() if abs(value) <= _MAX_LENGTH:
            return float(value)
        case dict():
            return {key: fractional(item) for key, item in value.items()}
        case list() | tuple():
            return [fractional(item) for item in value]
        case _:
            return value


# The helpers never raise: the library would print what they raise, visitors' words in it, to the terminal.
# What cannot be calculated becomes a value with which the operator around it fails: bytes for a zero.


def _key(value: Any) -> Any:
    """A position in a list is a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _divisor(value: Any) -> Any:
    """Division by zero cannot be told; with fractional numbers CEL would call it endless."""
    return b"" if value == 0 else value


def _rest(value: Any, divisor: Any) -> Any:
    """What ``%`` gives, with the sign of ``value``; CEL has it for whole numbers only."""
    if not (isinstance(value, float) and isinstance(divisor, float)) or math.isinf(value):
        return None
    return b"" if divisor == 0 else math.fmod(value, divisor)


HELPERS: Final[Mapping[str, Callable[..., Any]]] = {"_key": _key, "_divisor": _divisor, "_rest": _rest}


class _Unknown(Exception):
    """A form that is not known here."""


class _Writer:
    """Reads a condition by CEL's grammar, and writes it again."""

    def __init__(self, source: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._at = 0
        self.calculates = False
        at = 0
        while not self._tokens or self._tokens[-1][0] != "end":
            found = _TOKEN.match(source, at)
            if found is None:
                self._tokens = [("unknown", "")]
                break
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind]))
            at = found.end()

    def all(self) -> str:
        written = self._expression()
        if self._next[0] != "end":
            raise _Unknown
        return written

    @property
    def _next(self) -> tuple[str, str]:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def _take(self) -> tuple[str, str]:
        token = self._next
        self._at += 1
        return token

    def _has(self, mark: str) -> bool:
        if self._next != ("mark", mark):
            return False
        self._at += 1
        return True

    def _must(self, mark: str) -> None:
        if not self._has(mark):
            raise _Unknown

    def _expression(self) -> str:
        condition = self._binary(1)
        if not self._has("?"):
            return condition
        yes = self._binary(1)
        self._must(":")
        return f"{condition} ? {yes} : {self._expression()}"

    def _binary(self, least: int) -> str:
        left = self._unary()
        while (level := _LEVELS.get(self._next[1], 0)) >= least and self._next[0] in ("mark", "name"):
            _, operator = self._take()
            if operator == "in" and self._next == ("mark", "{"):
                left = f"_key({left})"  # an object's keys are no fractional numbers
            right = self._binary(level + 1)
            self.calculates = self.calculates or level > 3
            match operator:
                case "%":
                    left = f"(0.0 + _rest({left}, {right}))"
                case "/":
                    left = f"{left} / _divisor({right})"
                case _:
                    left = f"{left} {operator} {right}"
        return left

    def _unary(self) -> str:
        signs = ""
        while self._next in (("mark", "!"), ("mark", "-")):
            signs += self._take()[1]
        return signs + self._member()

    def _member(self) -> str:
        written = self._primary()
        while True:
            if self._has("."):
                kind, name = self._take()
                if kind != "name":
                    raise _Unknown
                written = f"{written}.{name}"
                if self._has("("):
                    written = self._called(written, name)
            elif self._has("["):
                written = f"{written}[{self._index()}]"
            else:
                return written

    def _index(self) -> str:
        kind, literal = self._next
        if kind in ("whole", "text") and self._tokens[self._at + 1] == ("mark", "]"):
            self._at += 2
            return literal
        self.calculates = True
        index = self._expression()
        self._must("]")
        return f"_key({index})"

    def _called(self, written: str, name: str) -> str:
        call = f"{written}({', '.join(self._until(')', self._expression))})"
        return f"double({call})" if name in _COUNTING else call

    def _primary(self) -> str:
        kind, token = self._take()
        match kind, token:
            case "whole", _:
                number = int(token.rstrip("uU"), 16 if token.startswith("0x") else 10)
                return f"{number}.0" if number <= _MAX_LENGTH else token
            case (("real" | "text"), _):
                return token
            case "name", _:
                return self._called(token, token) if self._has("(") else token
            case "mark", "(":
                inside = self._expression()
                self._must(")")
                return f"({inside})"
            case "mark", "[":
                return f"[{', '.join(self._until(']', self._expression))}]"
            case "mark", "{":
                return f"{{{', '.join(self._until('}', self._pair))}}}"
            case _:
                raise _Unknown

    def _pair(self) -> str:
        kind, token = self._next
        if kind in ("whole", "text"):
            self._at += 1
            key = token
        else:
            key = f"_key({self._expression()})"
        self._must(":")
        return f"{key}: {self._expression()}"

    def _until(self, end: str, item: Callable[[], str]) -> list[str]:
        items: list[str] = []
        while not self._has(end):
            items.append(item())
            if not self._has(","):
                self._must(end)
                break
        return items
