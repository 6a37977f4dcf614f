"""How what people write is compared with what a flow says: the one form that both are brought into.

Unicode has several spellings of the same words (composed and decomposed, full-width, with invisible
marks), and keyboards have several of the same signs. Whoever compares words, patterns, choices or ids
compares these forms.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final
from unicodedata import category, normalize

import re2

from shared.contract.visible import IGNORABLES

_IGNORABLE: Final = re.compile(f"[{IGNORABLES}]")
_TURKIC: Final = re.compile(r"(tr|az)([-_]|\Z)", re.IGNORECASE)

#: The accents that keyboards offer in place of an apostrophe, and the letters that look like one.
_APOSTROPHES: Final = "`´ʹʻʼʽˈ՚׳‘’‚‛′‵‹›＇"
_QUOTES: Final = "«»“”„‟″‶〝〞〟ʺ״＂"
#: Minus signs, and the dashes among the marks (category Pd): all there are below U+10000.
_DASHES: Final = "−⁻₋﬩" + "".join(
    chr(code)
    for block in (range(0x2010, 0x2016), range(0x2E00, 0x2E80), range(0x3000, 0x3100), range(0xFE00, 0xFF10))
    for code in block
    if category(chr(code)) == "Pd"
)
_UNIFIED: Final = str.maketrans(
    {
        **dict.fromkeys(_APOSTROPHES, "'"),
        **dict.fromkeys(_QUOTES, '"'),
        **dict.fromkeys(_DASHES + "֊־᐀᠆", "-"),
    }
)


def unified(text: str) -> str:
    """A text in one spelling, upper and lower case as they are.

    NFKC (which also makes "Ａ１" of full width "A1"), without what shows nothing by itself (zero-width and
    bidi marks, soft hyphens, variation selectors), and with one kind of quotes, apostrophes and dashes.
    """
    if text.isascii():
        return text.replace("`", "'")
    # Before NFKC, which makes a space and a combining mark of an accent that stands alone; and behind it.
    text = _IGNORABLE.sub("", text.translate(_UNIFIED))
    text = normalize("NFKC", _without_heaps(text)).translate(_UNIFIED)
    # Dictionaries of Thai and Lao have these two composed, which NFKC takes apart.
    return text.replace("\u0e4d\u0e32", "\u0e33").replace("\u0ecd\u0eb2", "\u0eb3")


def comparable(text: str, language: str = "") -> str:
    """A text in the form that is compared: `unified`, and without upper and lower case.

    ``language`` is the conversation's, as a tag ("tr", "az-Latn"): Turkish and Azeri tell the dotted i
    from the dotless one. White space is kept. The same text again changes nothing more.
    """
    text = unified(text)
    if is_turkic(language):
        text = text.replace("İ", "i").replace("I", "ı")
    if text.isascii():
        return text.lower()
    folded = unified(text.casefold())
    return folded.replace("i\u0307", "i")  # what folding leaves of İ where the language is not Turkic


def whole(text: str) -> str:
    """A text without halves of characters, which RE2 and ICU cannot read."""
    return text.encode("utf-8", "replace").decode()


def _without_heaps(text: str) -> str:
    """Of a heap of marks on one letter the first 30, as in the Stream-Safe Text Format (UAX 15).

    To bring marks into their order takes time as the square of their number.
    """
    heap = _heap()
    try:
        return str(heap.sub(r"\1", text)) if heap.search(text) else text
    except UnicodeError:
        return str(heap.sub(r"\1", whole(text)))


@cache
def _heap() -> Any:
    return re2.compile(r"(\pM{30})\pM+")


def is_turkic(language: str) -> bool:
    """Whether I and i are letters of their own, each with its other case: Turkish and Azeri."""
    return bool(_TURKIC.match(language))
