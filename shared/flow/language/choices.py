"""Which of the choices that were offered a text means: for those who have no buttons to press."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple
from unicodedata import category, combining, decomposition, normalize, numeric

from shared.flow.language.comparison import comparable, unified

#: "1", "1.", "1)", "(1)", "[1]", "1:", "1!", "Nº 1", "#1": a number as lists and people write it.
_NUMBER: Final = re.compile(
    r"(?P<sign>#|no\.? ?|n[ro]\.? |n° ?|№ ?)? ?[(\[]?(?P<digits>\d{1,5}) ?[.)\]:,;!。]{0,2}"
)
#: A line of the list, as it was shown: "1. Yes".
_LINE: Final = re.compile(r"[(\[]?(?P<digits>\d{1,5})(?:[.)\]:]{1,2}| )\s*(?P<words>\S.*)", re.DOTALL)
#: An apostrophe, a hyphen or a full stop within a word: "don't", "e-mail".
_WITHIN: Final = re.compile(r"(?<=[^\W\d_])['.-](?=[^\W\d_])")
_SKIN: Final = re.compile("[\U0001f3fb-\U0001f3ff]")
#: The frame of a keycap emoji, and the one emoji that is a number by itself.
_KEYCAP: Final = "\u20e3"
_TEN: Final = "🔟"
#: Kinds of decomposition: figures that stand for something else, as in "10²".
_NO_NUMBERS: Final = ("<super>", "<sub>", "<fraction>")
#: Letters whose stroke or shape no normal form takes off, as people without such keys write them.
_STROKES: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae"}
)


class Option(NamedTuple):
    """A choice: its id, and its words without markup."""

    item: str
    words: str


def meant(options: Sequence[Option], text: str, language: str = "") -> tuple[int, ...]:
    """The options that a text means, by index: none, one, or several where only the visitor can tell.

    The most certain counts: the same words, the same id, the same words except for case, then for accents,
    then for punctuation; and then the number in the list. Where words (or an id) say one and the number
    another, both are meant. "#2" is the number, unless an option has these very words.
    """
    said = text.strip()
    # What is much longer than any choice in any spelling is no choice's words.
    named = _named(options, said, language) if len(said) <= 100 + 4 * _longest(options) else ()
    number, explicit = _number(said)
    if not named and not number and (line := _line(said)) is not None:
        return _of_line(options, *line, language)
    listed = number - 1 if 0 < number <= len(options) else None
    if listed is None:
        return named
    if not named or (explicit and not any(options[index].words.strip() == said for index in named)):
        return (listed,)
    if any(options[index].item == options[listed].item for index in named):
        return named if len(named) == 1 else (listed,)
    return tuple(sorted({*named, listed}))


def _line(said: str) -> tuple[int, str] | None:
    """The number and the words of a line that was copied from the list."""
    found = _LINE.fullmatch(said.replace("\ufe0f", "").replace(_KEYCAP, "."))
    return (int(found["digits"]), found["words"]) if found else None


def _of_line(options: Sequence[Option], number: int, words: str, language: str) -> tuple[int, ...]:
    """What a line means: its words, if the number is theirs; both if it is another's."""
    named = _named(options, words.strip(), language) if len(words) < 100 + 4 * _longest(options) else ()
    if not named or not 0 < number <= len(options):
        return ()
    listed = number - 1
    if any(options[index].item == options[listed].item for index in named):
        return (listed,)
    return tuple(sorted({*named, listed}))


def _longest(options: Sequence[Option]) -> int:
    return max((len(part) for option in options for part in option), default=0)


def _named(options: Sequence[Option], said: str, language: str) -> tuple[int, ...]:
    for same in _measures(options, language):
        if found := tuple(index for index, each in enumerate(options) if same(each, said)):
            items = {options[index].item for index in found}
            return found if len(items) > 1 else found[:1]
    return ()


def _measures(options: Sequence[Option], language: str) -> Iterator[Callable[[Option, str], bool]]:
    """From the surest to the least sure. Nothing is never the same as nothing."""
    yield lambda option, said: bool(said) and option.words.strip() == said
    yield lambda option, said: bool(said) and option.item == said
    for form in (_cased, _unmarked, _unpunctuated, _run_together):
        yield _alike(form, language, lambda option: option.words)
        if form is _cased:
            yield _alike(form, language, lambda option: option.item)


def _alike(
    form: Callable[[str, str], str], language: str, part: Callable[[Option], str]
) -> Callable[[Option, str], bool]:
    known: dict[str, str] = {}

    def same(option: Option, said: str) -> bool:
        if said not in known:
            known[said] = form(said, language)
        return bool(known[said]) and form(part(option), language) == known[said]

    return same


def _cased(text: str, language: str) -> str:
    return " ".join(comparable(text, language).split())


def _unmarked(text: str, language: str) -> str:
    """Without accents, points and harakat. Marks that make another letter (Thai, Hindi, kana) stay."""
    letters = normalize("NFD", _SKIN.sub("", _cased(text, language)).translate(_STROKES))
    return normalize("NFC", "".join(sign for sign in letters if not _is_accent(sign)))


def _is_accent(sign: str) -> bool:
    kind = combining(sign)
    return 10 <= kind <= 36 or kind >= 200


def _unpunctuated(text: str, language: str) -> str:
    letters = (sign if category(sign)[0] in "LMN" else " " for sign in _unmarked(text, language))
    return " ".join("".join(letters).split())


def _run_together(text: str, language: str) -> str:
    """Without the signs within words, too: "dont know", "email"."""
    return _unpunctuated(_WITHIN.sub("", _unmarked(text, language)), language)


def _number(said: str) -> tuple[int, bool]:
    """The number that a text is, 0 if it is none; and whether it says so itself ("#2")."""
    if len(said) > 20:
        return 0, False
    bare = said.replace("\ufe0f", "").replace(_KEYCAP, "").replace(_TEN, "10")
    if any(sign not in "ºª" and decomposition(sign).startswith(_NO_NUMBERS) for sign in bare):
        return 0, False
    if len(bare) == 1 and category(bare) == "No" and numeric(bare).is_integer():  # ❶, ⓫, ➉
        return int(numeric(bare)), False
    found = _NUMBER.fullmatch(unified(bare).strip().lower())
    return (int(found["digits"]), bool(found["sign"])) if found else (0, False)
