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
#: Marks of Arabic and Hebrew that most people leave out: harakat, tatweel, niqqud, cantillation.
_VOWEL_SIGNS: Final = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u0652\u0656-\u065f"
    "\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff]"
)
#: Letters for which many people write another one in the same words. Arabic: alef with hamza or madda, and
#: the two ya, kaf and ha of Arabic and of Persian and Urdu keyboards. Hindi: the moon and the dot above a
#: letter. Russian: yo. French: the ligature.
_SAME_LETTERS: Final = str.maketrans(
    {
        **dict.fromkeys("أإآٱ", "ا"),
        **dict.fromkeys("یى", "ي"),
        "ک": "ك",
        "ہ": "ه",
        "ۀ": "ه",
        "\u0901": "\u0902",
        "ё": "е",
        "œ": "oe",
    }
)
#: Capitals are written without the accent: "ΟΧΙ" is "όχι". The dialytika stays ("ΜΑΪΟΣ").
_GREEK: Final = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")
_GREEK_ACCENTS: Final = re.compile("([αεηιουωρ])([\u0300-\u0345]+)")
#: Vietnamese keyboards put the tone on either letter of these two: "hủy" and "huỷ".
_TONE_AHEAD: Final = re.compile(
    "o([\u0300\u0301\u0303\u0309\u0323])([ae])|u([\u0300\u0301\u0303\u0309\u0323])y"
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
    # What folding leaves of İ where the language is not Turkic.
    return _respelled(folded.replace("i\u0307", "i"))


def _respelled(text: str) -> str:
    """In lower case, with one spelling for words that people spell in several ways without a thought."""
    # Without the letters between them (tatweel) there may be heaps of marks again.
    text = _without_heaps(_VOWEL_SIGNS.sub("", text)).translate(_SAME_LETTERS)
    apart = normalize("NFD", text)
    if _GREEK.search(text):
        apart = _GREEK_ACCENTS.sub(_without_greek_accents, apart)
    return unified(_TONE_AHEAD.sub(_tone_behind, apart))


def _without_greek_accents(found: re.Match[str]) -> str:
    return found[1] + ("\u0308" if "\u0308" in found[2] else "")


def _tone_behind(found: re.Match[str]) -> str:
    return f"o{found[2]}{found[1]}" if found[1] else f"uy{found[3]}"


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
