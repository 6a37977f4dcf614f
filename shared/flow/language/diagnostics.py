"""What is wrong with a flow file, in words that the flow's author understands."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

#: Longer names are cut in messages, and never searched for similar ones.
_MAX_NAME = 60


class Diagnostic(msgspec.Struct, frozen=True):
    """One finding. ``state`` "" means the whole file; ``line`` counts from 1, 0 for unknown.

    ``file`` is that of the sub-flow that it is found in, "" for the flow's own file.
    """

    state: str
    reason: str
    remedy: str = ""
    line: int = 0
    file: str = ""

    def __str__(self) -> str:
        line = f"line {self.line}: " if self.line else ""
        if self.file:
            line = f"{shown(self.file)}, {line}"
        state = f"{shown(self.state)}: " if self.state else ""
        return f"{line}{state}{self.reason} {self.remedy}".rstrip()


class FlowError(ValueError):
    """The flow cannot be used; ``problems`` holds everything that was found."""

    def __init__(self, problems: Iterable[Diagnostic]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def shown(name: str) -> str:
    """A name as messages show it: short, and without characters that would spoil a terminal."""
    cut = name if len(name) <= _MAX_NAME else name[:_MAX_NAME] + "..."
    return cut if cut.isprintable() else json.dumps(cut)[1:-1]


def quoted(names: Iterable[str]) -> str:
    """``"a", "b"``"""
    return ", ".join(f'"{shown(name)}"' for name in names)


def similar(word: str, options: Iterable[str], otherwise: str) -> str:
    """``Did you mean "...?"`` if an option resembles ``word``."""
    if len(word) <= _MAX_NAME:
        short = [option for option in options if len(option) <= _MAX_NAME]
        if close := get_close_matches(word, short, n=1):
            return f"Did you mean {quoted(close)}?"
    return otherwise
