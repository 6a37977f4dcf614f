"""What a visitor's text is compared with: a pattern in RE2's syntax, or words.

RE2 takes time in proportion to the text, whatever the pattern (https://github.com/google/re2): neither
an author nor a visitor can make it hang.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import re2

#: The longest pattern (characters), and what one may take when compiled (bytes).
LONGEST: Final = 1_000
_MEMORY: Final = 1 << 20

_WORDS = re.compile(r"\w+")


class BadPattern(ValueError):
    """What is written is no pattern; the text says why."""


class Match(msgspec.Struct, frozen=True):
    """Takes a text that the pattern is found in, or that holds one of the words."""

    pattern: Any = None  # a compiled pattern of re2
    groups: tuple[str, ...] = ()  # the pattern's named groups
    words: tuple[str, ...] = ()  # as `spaced` gives them

    def takes(self, text: str) -> Mapping[str, str] | None:
        """What the named groups found, those alone that took part; None where the text does not fit."""
        if self.words:
            said = spaced(text)
            return {} if any(word in said for word in self.words) else None
        try:
            found = self.pattern.search(text)
        except UnicodeError:  # half a character
            return None
        if found is None:
            return None
        return {name: value for name, value in found.groupdict().items() if value is not None}


def pattern(source: str, ignore_case: bool = True) -> Match:
    """A pattern that is searched for. Raises `BadPattern`."""
    if len(source) > LONGEST:
        raise BadPattern(f"it has {len(source)} characters, and may have {LONGEST}")
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False  # it would write to the service's own error output
    options.max_mem = _MEMORY
    try:
        compiled = re2.compile(source, options)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        raise BadPattern(
            detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        ) from None
    except UnicodeError:
        raise BadPattern("it holds half a character") from None
    return Match(pattern=compiled, groups=tuple(compiled.groupindex))


def words(options: Iterable[str]) -> Match:
    """Words, or several in a row, of which a text must hold one; upper and lower case alike."""
    found = tuple(spaced(option) for option in options)
    if not all(word.strip() for word in found):
        raise BadPattern("a word needs a letter or a digit")
    return Match(words=found)


def spaced(text: str) -> str:
    """The words of a text with one space before and after each."""
    return f" {' '.join(_WORDS.findall(text.casefold()))} "
