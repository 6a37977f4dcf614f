"""What people write, as it is kept: no control characters, and what shows nothing is nothing.

One rule for every door, so that no service has to expect what another let in.
"""

from __future__ import annotations

import re
from typing import Any, Final
from unicodedata import category

#: Unicode's property Default_Ignorable_Code_Point (DerivedCoreProperties.txt): what shows nothing by
#: itself. Zero-width and bidi marks, variation selectors, fillers, tags, and what is kept for more of them.
#: Python has no such property; a test compares this with the categories it does have.
IGNORABLES: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
#: Characters that are blank by their very name, though Unicode counts them as symbols, letters or marks.
_BLANKS: Final = "\u2800\U00016fe4\U0001d159\U00013441\U00013442"
_NOTHING: Final = re.compile(f"[{IGNORABLES}{_BLANKS}]")
#: Categories without a shape: controls, formats, halves of characters, spaces and separators.
_SHAPELESS: Final = frozenset(["Cc", "Cf", "Cs", "Zs", "Zl", "Zp"])

_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HALVES: Final = re.compile("[\ud800-\udfff]")


def cleaned(text: str) -> str:
    """A text as it is kept: "" if it shows nothing, else without controls other than tab and line feed.

    Line ends of other systems become line feeds, halves of characters U+FFFD. Everything else stays,
    also what shows nothing by itself: it makes one emoji of several, and joins letters in Persian.
    """
    if text.isascii() and text.isprintable():
        return text if text.strip() else ""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _HALVES.sub("\ufffd", _CONTROLS.sub("", text))
    return text if is_visible(text) else ""


def cleaned_json(value: Any) -> Any:
    """JSON with each of its texts `cleaned`, names of members too. Raises `RecursionError`."""
    match value:
        case str():
            return cleaned(value)
        case dict():
            return {cleaned_json(name): cleaned_json(item) for name, item in value.items()}
        case list():
            return [cleaned_json(item) for item in value]
        case _:
            return value


def is_visible(text: str) -> bool:
    """Whether a text shows anything. Characters that Unicode has not named yet count: new emoji come."""
    return any(category(sign) not in _SHAPELESS and not _NOTHING.match(sign) for sign in text)
