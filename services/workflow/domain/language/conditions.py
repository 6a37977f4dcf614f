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

from services.workflow.domain.language.patterns import LONGEST as LONGEST_PATTERN
from services.workflow.domain.language.texts import Voice

#: The longest condition (characters).
LONGEST: Final = 500

#: The most values (members, items and what they hold) that a loop may look at. At its worst either takes
#: about a second, as in ``items.exists(x, !(x in items))`` and ``items.map(x, items)``.
MOST_LOOPED: Final = 5_000
MOST_COPIED: Final = 500  # with map, filter or matches

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
    """The condition says neither yes nor no about these values."""


class Condition(msgspec.Struct, frozen=True):
    """``names`` are the variables that it looks at.

    ``most`` is how many values these may hold, ``longest`` how many characters a text; 0 for any.
    """

    source: str
    program: Any  # a `cel.Program`
    names: tuple[str, ...]
    most: int = 0
    longest: int = 0

    def holds(self, voice: Voice) -> bool:
        """Whether it is true; what is not saved yet is null. Raises `Unclear`."""
        values = {
            name: voice.visitor if name == "visitor" else voice.variables.get(name) for name in self.names
        }
        self._weigh(values)
        try:
            result = self.program.execute(values)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the library is no Exception
            raise Unclear(_first_line(error)) from None
        if not isinstance(result, bool):
            raise Unclear(f"it gives {result!r:.60}, and neither true nor false")
        return result

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

    if len(source) > LONGEST:
        raise BadCondition(f"it has {len(source)} characters, and may have {LONGEST}")
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
    bound = {name for _, name in loops}
    written = [bool(pattern) for pattern in _MATCHES.findall(code)]
    costly = bool(written) or any(loop in ("map", "filter") for loop, _ in loops)
    return Condition(
        source,
        program,
        tuple(name for name in program.variables() if name not in bound),
        most=(MOST_COPIED if costly else MOST_LOOPED) if loops else 0,
        longest=0 if all(written) else LONGEST_PATTERN,
    )


def _first_line(error: BaseException) -> str:
    """What the library says, without the expression, which the reader has, and without its hints."""
    if isinstance(error, KeyError):
        return f"there is no {error}"
    _, _, said = str(error).partition("ERROR: <input>:")
    said = re.sub(r"^1:(\d+): ", r"column \1: ", said) or str(error)
    first = said.partition("\n")[0].partition(" expecting {")[0].partition(". ")[0]
    return first.rstrip(".")[:200] or type(error).__name__
