"""E-mail addresses, with what people and programs put around them taken off."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category

from shared.flow.language.comparison import unified

#: A "valid e-mail address" of the HTML standard, but with a dot in its domain, and letters of any script.
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[^\W_]([\w-]{0,61}[^\W_])?(\.[^\W_]([\w-]{0,61}[^\W_])?)+")
_MAX_LENGTH: Final = 254  # characters: RFC 5321, 4.5.3.1.3
#: With a name before the address (characters).
_MAX_TEXT: Final = 600
_MAILTO: Final = "mailto:"
#: What people write before an address.
_LABEL = re.compile(r"(?:e-?)?mail(?: ?address)? *: *(?!//)", re.IGNORECASE)
#: A link as programs write it in Markdown.
_LINK = re.compile(r"\[[^\[\]]*\]\((mailto:[^()\s]+)\)", re.IGNORECASE)
_ESCAPE = re.compile(r"%([2-7][0-9A-Fa-f])")  # RFC 6068: "%2B" is a plus sign


def email(text: str) -> str | None:
    """The address, None if there is none or more than one."""
    if len(text) > _MAX_TEXT:
        return None
    if not text.isascii():
        text = unified(text)
    text = text.strip().rstrip(".,;:!?。、").strip()
    if label := _LABEL.match(text):
        text = text[label.end() :]
    if link := _LINK.fullmatch(text):
        text = link[1]
    if text.endswith(">"):  # Sam <sam@example.com>
        name, _, text = text[:-1].rpartition("<")
        if "@" in name and name.strip(" \"'()") != text.strip():
            return None
    text = _stripped(text)
    if text[: len(_MAILTO)].lower() == _MAILTO:
        address = text[len(_MAILTO) :].partition("?")[0]
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), address)
    text = _stripped(text)
    name, mark, domain = text.rpartition("@")
    text = name + mark + domain.replace("。", ".")
    if len(text) > _MAX_LENGTH or not _EMAIL.fullmatch(_shape(text)):
        return None
    return text


def _stripped(text: str) -> str:
    """Without quotes and brackets around it, and without the end of a sentence."""
    text = text.strip().rstrip(".,;:!?。、").strip()
    for opening, closing in ('""', "''", "()", "<>", "[]"):
        if text.startswith(opening) and text.endswith(closing) and len(text) > 1:
            text = text[1:-1].strip()
    return text


def _shape(text: str) -> str:
    """Marks are parts of letters in many scripts, but no word characters to Python."""
    if text.isascii():
        return text
    return "".join("a" if category(sign).startswith("M") else sign for sign in text)
