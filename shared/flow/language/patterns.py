"""What a visitor's text is compared with: a pattern in RE2's syntax, or words.

RE2 takes time in proportion to the text, whatever the pattern (https://github.com/google/re2): neither
an author nor a visitor can make it hang.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from unicodedata import normalize

import msgspec
import re2

from shared.flow.language.comparison import comparable, is_turkic, unified
from shared.flow.language.words import SaidText, Words, best, holds_no_word

#: The longest pattern (characters), and what one may take when compiled (bytes).
MAX_LENGTH: Final = 1_000
_MEMORY: Final = 1 << 20

#: The pieces of a pattern that are not characters to be found: escapes, quoted texts, groups' beginnings
#: with their names and flags, names of classes.
_SYNTAX: Final = re.compile(
    r"\\Q.*?(?:\\E|\Z)|\\[pPx]\{[^}]*\}|\\[pP].|\\x..|\\.|\(\?P?<[^>]*>|\(\?[A-Za-z-]*|\[:\^?[a-z]+:\]",
    re.DOTALL,
)


class BadPattern(ValueError):
    """What is written is no pattern; the text says why."""


class TextMatch(msgspec.Struct, frozen=True):
    """Takes a text that the pattern is found in, or that holds one of the words."""

    pattern: Any = None  # a compiled pattern of re2
    ignore_case: bool = True
    groups: tuple[str, ...] = ()  # the pattern's named groups
    words: Words | None = None

    def takes(self, text: str, language: str = "") -> Mapping[str, str] | None:
        """What the named groups found, those alone that took part; None where the text does not fit.

        For a pattern, the text is searched as it is written, and the groups are what the visitor wrote.
        Where that does not fit, it is searched as the comparison has it: first `unified`, so that
        "ＡＢ–１" is "AB-1", then, if the pattern ignores case, `comparable`.
        """
        if self.words is not None:
            return {} if best([(None, self.words)], SaidText(text, language)) else None
        groups = _searched(self.pattern, text)
        turkic = self.ignore_case and is_turkic(language)
        if groups is not None or (text.isascii() and self.pattern.pattern.isascii() and not turkic):
            return groups
        again = _compared(self.pattern.pattern, self.ignore_case, turkic) or self.pattern
        plain = unified(text)
        groups = _searched(again, plain)
        if groups is None and self.ignore_case:
            groups = _searched(again, comparable(plain, language))
        return groups


def _searched(compiled: Any, text: str) -> Mapping[str, str] | None:
    try:
        found = compiled.search(text)
    except UnicodeError:  # half a character
        return None
    if found is None:
        return None
    return {name: value for name, value in found.groupdict().items() if value is not None}


def pattern(source: str, ignore_case: bool = True) -> TextMatch:
    """A pattern that is searched for. Raises `BadPattern`."""
    if len(source) > MAX_LENGTH:
        raise BadPattern(f"it has {len(source)} characters, and may have {MAX_LENGTH}")
    try:
        compiled = _compiled(source, ignore_case)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        raise BadPattern(
            detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        ) from None
    except UnicodeError:
        raise BadPattern("it holds half a character") from None
    return TextMatch(pattern=compiled, ignore_case=ignore_case, groups=tuple(compiled.groupindex))


def words(options: Iterable[str], contains: bool | None = None) -> TextMatch:
    """Words, or several in a row, of which a text must hold one, as `Words` says."""
    found = tuple(dict.fromkeys(options))
    if any(map(holds_no_word, found)):
        raise BadPattern("a word needs a letter or a digit")
    return TextMatch(words=Words(found, contains))


def _compiled(source: str, ignore_case: bool) -> Any:
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False  # it would write to the service's own error output
    options.max_mem = _MEMORY
    return re2.compile(source, options)


@lru_cache(maxsize=1024)
def _compared(source: str, ignore_case: bool, turkic: bool) -> Any:
    """The pattern for texts in the form that is compared; None where it cannot be brought there."""
    source = normalize("NFC", source)
    pieces: list[str] = []
    at = 0
    inside = False
    for begin, end in [*(syntax.span() for syntax in _SYNTAX.finditer(source)), (len(source), len(source))]:
        for sign in source[at:begin]:
            inside = (inside or sign == "[") and sign != "]"
            pieces.append(_literal(sign, inside, ignore_case, turkic))
        pieces.append(source[begin:end])
        at = end
    try:
        return _compiled("".join(pieces), ignore_case)
    except (re2.error, UnicodeError):
        return None


def _literal(sign: str, inside: bool, ignore_case: bool, turkic: bool) -> str:
    """How a character of a pattern is found in the form that is compared; ``inside`` brackets."""
    if sign.isascii() and not (turkic and sign == "I"):
        return sign
    other = comparable(sign, "tr" if turkic else "") if ignore_case else unified(sign)
    if other == "-":
        return r"\-"
    if len(other) == 1:
        return other if other.isalnum() or other in "'\"" else sign
    # Several in place of one, as "ss" for "ß", would be others within brackets: there it stays.
    return sign if inside else f"(?:{re2.escape(other)})"
