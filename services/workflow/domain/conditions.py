"""Conditions of a flow, in the Common Expression Language (https://cel.dev): compiled at load, never `eval`.

Bounded: an expression is short and has at most one loop (``.exists(...)`` and its like), so that it
takes time in proportion to the values that it looks at.
"""

from __future__ import annotations

import re
from typing import Any, Final

import cel
import msgspec

from services.workflow.domain.texts import Voice

#: The longest condition (characters).
LONGEST: Final = 500

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
    """``names`` are the variables that it looks at."""

    source: str
    program: Any  # a `cel.Program`
    names: tuple[str, ...]

    def holds(self, voice: Voice) -> bool:
        """Whether it is true; what is not saved yet is null. Raises `Unclear`."""
        values = {
            name: voice.visitor if name == "visitor" else voice.variables.get(name) for name in self.names
        }
        try:
            result = self.program.execute(values)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the library is no Exception
            raise Unclear(_first_line(error)) from None
        if not isinstance(result, bool):
            raise Unclear(f"it gives {result!r:.60}, and neither true nor false")
        return result


def condition(source: str) -> Condition:
    """Compile a condition. Raises `BadCondition`."""
    if len(source) > LONGEST:
        raise BadCondition(f"it has {len(source)} characters, and may have {LONGEST}")
    loops = _LOOP.findall(source)
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
    return Condition(source, program, tuple(name for name in program.variables() if name not in bound))


def _first_line(error: BaseException) -> str:
    """What the library says, without the expression, which the reader has, and without its hints."""
    _, _, said = str(error).partition("ERROR: <input>:")
    said = re.sub(r"^1:(\d+): ", r"column \1: ", said) or str(error)
    first = said.partition("\n")[0].partition(" expecting {")[0].partition(". ")[0]
    return first.rstrip(".")[:200] or type(error).__name__
