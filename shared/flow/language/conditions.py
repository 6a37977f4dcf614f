"""Conditions of a flow, in the Common Expression Language (https://cel.dev): compiled at load, never `eval`.

Bounded, for what a backend answers is in nobody's hand here: an expression is short and has at most one
loop (``.exists(...)`` and its like). A loop may look at everything again in each round, and the library
copies what ``map`` and ``filter`` have kept so far, so that time grows with the square or the cube of the
values: a loop looks at a bounded number of them. A pattern that is not written in the condition itself is
as short as one that is: compiling a long one takes minutes.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from shared.contract.left_out import LeftOut, NeedsWords
from shared.flow.language.arithmetic import HELPERS, fractional, in_fractions
from shared.flow.language.patterns import MAX_LENGTH as MAX_PATTERN
from shared.flow.language.templates import Voice
from shared.flow.language.values import NAME

#: The longest condition (characters).
MAX_LENGTH: Final = 500

#: The most values (members, items and what they hold) that a loop may look at. At its worst either takes
#: about a second, as in ``items.exists(x, !(x in items))`` and ``items.map(x, items)``.
MAX_LOOPED: Final = 5_000
MAX_COPIED: Final = 500  # with map, filter or matches

#: What is no code: texts, raw and plain, with three quotes and with one; and comments.
_NO_CODE = re.compile(
    r"""
    [rR][bB]?("{3}|'{3}|"|').*?\1 | [bB][rR]("{3}|'{3}|"|').*?\2
    | ("{3}|'{3}|"|')(?:\\.|(?!\3).)*\3
    | (?P<comment>//[^\n]*)
    """,
    re.DOTALL | re.VERBOSE,
)
_TEXT: Final = "''"  # stands for any of these texts
_MATCHES = re.compile(r"\bmatches\s*\(\s*(''\s*\))?")
_LOOP = re.compile(r"\.\s*(all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_FUNCTIONS: Final = frozenset(
    [
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "string",
        "int",
        "uint",
        "double",
        "bool",
        "bytes",
        "dyn",
        "type",
        "min",
        "max",
        "timestamp",
        "duration",
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


class BadCondition(ValueError):
    """What is written is no condition; the text says why."""


class Unclear(Exception):
    """The condition says neither yes nor no about these values.

    The text says why, without the values: it goes to logs, and these may be a visitor's words.
    """


class Condition(msgspec.Struct, frozen=True):
    """``names`` are the variables that it looks at.

    ``most`` is how many values these may hold, ``longest`` how many characters a text; 0 for any.
    """

    source: str
    program: Any  # a `cel.Program`
    names: tuple[str, ...]
    calculating: Any = None  # the same with every number a fractional one, where it calculates
    most: int = 0
    longest: int = 0

    def values(self, voice: Voice) -> dict[str, Any]:
        """What it looks at; what is not saved yet is null."""
        given: dict[str, Any] = {"visitor": voice.visitor} if "visitor" in self.names else {}
        if voice.handoff is not None:
            given["handoff"] = voice.handoff
        return {name: given[name] if name in given else voice.variables.get(name) for name in self.names}

    def holds(self, voice: Voice) -> bool:
        """Whether it is true. Raises `Unclear`, and `NeedsWords` where it looks at what was left out."""
        values = self.values(voice)
        for name, value in values.items():
            parts = value.values() if name == "visitor" else (value,)
            if any(isinstance(part, LeftOut) for part in parts):
                raise NeedsWords(f'the condition "{self.source}" looks at "{name}"')
        self._weigh(values)
        result = self._told(values)
        if not isinstance(result, bool):
            raise Unclear(f"it gives {_kind(result)}, and neither true nor false")
        return result

    def _told(self, values: dict[str, Any]) -> Any:
        if self.calculating is None:
            return _run(self.program, values, self.source)
        import cel

        fractions = {name: fractional(value) for name, value in values.items()}
        try:
            return _run(self.calculating, cel.Context(fractions, dict(HELPERS)), self.source)
        except Unclear as error:
            if str(error) == _BY_ZERO:
                raise
            try:  # some things take whole numbers only: an object's keys, and numbers that are very large
                return _run(self.program, values, self.source)
            except Unclear:
                raise error from None

    def _weigh(self, values: dict[str, Any]) -> None:
        """Raises `Unclear` where an answer could take too long."""
        if not (self.most or self.longest):
            return
        ahead: list[Any] = list(values.values())
        seen = 0
        while ahead:
            value = ahead.pop()
            seen += 1
            if isinstance(value, str) and 0 < self.longest < len(value):
                raise Unclear(f"a pattern has at most {self.longest} characters")
            if isinstance(value, dict):
                ahead += value.values()
            elif isinstance(value, list | tuple):
                ahead += value
            if 0 < self.most < seen + len(ahead):
                raise Unclear(f"its loop would look at more than {self.most} values")


def condition(source: str) -> Condition:
    """Compile a condition. Raises `BadCondition`."""
    # The package imports its own command line with it, which takes longer than the rest of the workflow's
    # code: only flows with conditions wait for it.
    import cel

    if len(source) > MAX_LENGTH:
        raise BadCondition(f"it has {len(source)} characters, and may have {MAX_LENGTH}")
    code = _NO_CODE.sub(lambda found: " " if found["comment"] else _TEXT, source)
    loops = _LOOP.findall(code)
    if len(loops) > 1:
        raise BadCondition("it has more than one loop (all, exists, map, filter)")
    try:
        program = cel.compile(source)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise BadCondition(_first_line(error)) from None
    unknown = [name for name in program.functions() if name.isidentifier() and name not in _FUNCTIONS]
    if unknown:
        raise BadCondition(f"there is no function {', '.join(unknown)}")
    # "type" tells whole numbers from fractional ones, so there every number stays what it is.
    fractions = None if "type" in program.functions() else in_fractions(source)
    bound = {name for _, name in loops}
    written = [bool(pattern) for pattern in _MATCHES.findall(code)]
    costly = bool(written) or any(loop in ("map", "filter") for loop, _ in loops)
    return Condition(
        source,
        program,
        tuple(name for name in program.variables() if name not in bound),
        calculating=None if fractions is None else cel.compile(fractions),
        most=(MAX_COPIED if costly else MAX_LOOPED) if loops else 0,
        longest=0 if all(written) else MAX_PATTERN,
    )


_BY_ZERO: Final = "it divides by zero"
_KINDS: Final = {
    "int": "a number",
    "uint": "a number",
    "float": "a number",
    "double": "a number",
    "str": "a text",
    "string": "a text",
    "bool": "true or false",
    "NoneType": "nothing",
    "null": "nothing",
    "list": "a list",
    "dict": "an object",
    "map": "an object",
}
_OPERATION: Final = re.compile(r"Unsupported operation: (\w+) \S (\w+)\.")
_CALL: Final = re.compile(r"(?:Function|Undefined variable or function:) '(\w+)'")


def _run(program: Any, values: Any, source: str) -> Any:
    try:
        return program.execute(values)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the library is no Exception
        raise Unclear(_why(error, source)) from None


def _why(error: BaseException, source: str) -> str:
    """What went wrong, without any of the values: the library's own words hold them."""
    said = str(error)
    if isinstance(error, KeyError):
        name = str(error.args[0]) if error.args else ""
        return (
            f"there is no {name!r}" if NAME.fullmatch(name) and name in source else "there is no such member"
        )
    if isinstance(error, IndexError):
        return "there is no item of that number"
    if operation := _OPERATION.match(said):
        left, right = operation.groups()
        return _BY_ZERO if right == "bytes" else f"it calculates with {_named(left)} and {_named(right)}"
    if "by zero" in said:
        return _BY_ZERO
    if call := _CALL.match(said):
        return f"{call[1]}() cannot take this value" if call[1] in source else "a value is of the wrong type"
    if said.startswith("Arithmetic overflow"):
        return "its numbers are too large"
    return "a value is of the wrong type, or nothing is saved yet"


def _kind(value: Any) -> str:
    return _named(type(value).__name__)


def _named(kind: str) -> str:
    return _KINDS.get(kind, "something else")


def _first_line(error: BaseException) -> str:
    """What the library says, without the expression, which the reader has, and without its hints."""
    _, _, said = str(error).partition("ERROR: <input>:")
    said = re.sub(r"^1:(\d+): ", r"column \1: ", said) or str(error)
    first = said.partition("\n")[0].partition(" expecting {")[0].partition(". ")[0]
    return first.rstrip(".")[:200] or type(error).__name__
