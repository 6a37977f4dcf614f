"""Words that a text must hold, and which of several states' words it holds most certainly.

Texts are cut into words where Unicode says (UAX 29, by ICU, which knows the words of Chinese, Japanese,
Thai, Lao, Khmer and Burmese from dictionaries), and at every mark within them: "l'ordre" holds "ordre".

A whole word is safe where people put spaces between words. Where they do not, or glue endings to words
(Korean), "no" is often a part of the same sentence as the word that it denies. So there:

- one character alone ("是", "네") counts only where it stands alone between spaces or punctuation;
- in Korean a word may go on as an ending does: "취소" is in "취소하고";
- a text that denies anything ("不要退款", "キャンセルしないで") holds no word that does not deny itself.
  Not to understand is asked again; to understand the opposite is done.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple, TypeVar

import msgspec
import re2

from shared.flow.language.comparison import comparable, is_turkic, whole

Span = tuple[int, int]
T = TypeVar("T")

_ASCII_RUN: Final = re.compile(r"\w+")
_RUN: Final = re2.compile(r"[\pL\pM\pN_]+")
#: Scripts whose sentences have no spaces between words.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uaa60-\uaa7f"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
_HANGUL: Final = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
#: What denies, in the languages where it may be a part of the word before or behind it.
_DENIALS: Final = {
    "Chinese, Japanese": "[不没沒未勿莫毋甭]|[无無][法需须須意]|無理|[并並]非"
    "|拒[绝絕否]|反[对對]|[谢謝][绝絕]"
    "|(?<![特分性区區个個级級类類])[别別](?![的人处處墅名])",
    "Cantonese": "[唔冇咪]|未曾",
    "Japanese": "な[いくかけ]|ません|まへん|ませぬ|[い要]らん|ねえ|ねぇ"
    "|せず|ずに|やめ|止め|断[らりるっわ]|結構"
    "|だめ|ダメ|駄目|いいえ|いや",
    "Thai": "ไม่|มิได้|อย่า|ห้าม|เปล่า",
    "Lao, Khmer": "ບໍ່|ຢ່າ|ຫ້າມ|មិន|កុំ|អត់|ទេ",
    # The prefix "ma", where it is neither a part of "I" (of a woman), "sister", "wife" nor of "morning".
    "Burmese": "ဘူး|(?<!ကျွန်)(?<!ညီ)(?<!အစ်)(?<!မိန်း)(?<!ဆရာ)မ(?!နက်|နေ့|မိန်း)(?=[က-အ](?![်္]))",
    "Korean": "않|아니|아닌|아냐|없|싫|말고|말아|말라|마세요|마십|마라|마요|지 ?마|지 ?말"
    r"|(?<!\w)[안못](?!\w)|(?<!\w)안 ?[하해할한합했됩되돼될]|(?<!잘)못 ?[하해할한합했됩되돼될]",
}
#: What holds a sign of denial and denies nothing: "excuse me", "would you ...", "few", "lost".
_EXCUSES: Final = (
    "不好意思|对不起|對不起|對唔住|对唔住|唔該|唔该|唔好意思|没问题|沒問題|没错|沒錯|不错|不錯|没关系|沒關係|不客[气氣]"
    "|[差相]不多|不久|"
    "す[みい]ません|済みません|申し訳(?:あり|ござい)ません|申し訳ない|恐れ入ります|少な[いくか]|[なく無]くし[たてま]|なくなっ"
    "|(?:いただけ|頂け|もらえ|くれ|くださ|下さ)い?(?:ませんか|ませんでしょうか|ないでしょうか|ないか|ない(?=\\?))|間違いな[いく]|間違いありません"
)
_DENIES: Final = re.compile("|".join(_DENIALS.values()))
_EXCUSE: Final = re.compile(_EXCUSES)


class Words(msgspec.Struct, frozen=True):
    """What a state's ``words`` say.

    ``contains`` None: a text holds one of them as a whole word. True: anywhere, also within a longer
    word. False: the text is one of them, and nothing else.
    """

    options: tuple[str, ...]
    contains: bool | None = None

    def spans(self, said: SaidText) -> Iterator[Span]:
        """Where a text holds the words."""
        for option in self.options:
            yield from said.spans(_prepared(option, said.turkic), self.contains)


class SaidText:
    """A text that words are looked for in, cut once for all that look."""

    __slots__ = ("_cuts", "_runs", "core", "denials", "text", "turkic")

    def __init__(self, text: str, language: str = "") -> None:
        self.turkic = is_turkic(language)
        self.text = _comparable(text, self.turkic)
        runs = _runs(self.text)
        self._runs = _Joined(self.text, runs)
        self._cuts = _Joined(self.text, _cut(self.text, runs))
        self.core: Span = (runs[0][0], runs[-1][1]) if runs else (0, 0)
        self.denials = None if self.text.isascii() else _denials(self.text)

    def spans(self, word: _Word, contains: bool | None) -> Iterator[Span]:
        if self.is_only(word):
            yield self.core  # nothing is surer
        elif contains:
            yield from _every(self.text, word.text)
        elif contains is None:
            found = (self._runs if word.alone else self._cuts).find(word.joined, word.goes_on)
            yield from (span for span in found if not (word.guarded and self._denies(span)))

    def is_only(self, word: _Word) -> bool:
        """Whether the text is the word and nothing else, except punctuation."""
        return self._runs.text == word.whole

    def may_hold(self, word: _Word) -> bool:
        """Whether the word's letters are there, be they a word of their own or not."""
        return word.text in self.text or word.joined in self._cuts.text

    def _denies(self, word: Span) -> bool:
        """Whether anything but the word itself denies."""
        return any(not (word[0] <= begin and end <= word[1]) for begin, end in self.denials or ())


def best(states: Sequence[tuple[T, Words]], said: SaidText) -> tuple[T, ...]:
    """Those whose words a text holds most certainly: none, one, or several if nobody can tell.

    A longer find beats those within it: "not sure" beats "sure", and the whole text beats all. Of the
    same words in two states the first state's count.
    """
    found = [
        (begin, -end, index) for index, (_, words) in enumerate(states) for begin, end in words.spans(said)
    ]
    winners: dict[int, None] = {}
    farthest = -1  # where the farthest-reaching find ends that began before
    for _, minus_end, index in sorted(found):
        if -minus_end > farthest:
            farthest = -minus_end
            winners[index] = None
    return tuple(states[index][0] for index in sorted(winners))


def holds_no_word(option: str) -> bool:
    """Whether there is nothing in an option that a text could hold."""
    return not _runs(comparable(option))


def shared(words: Words, other: Words) -> str | None:
    """The first of ``other`` that ``words`` has, too."""
    mine = {_prepared(option, False).joined for option in words.options}
    return next((option for option in other.options if _prepared(option, False).joined in mine), None)


def overlap(words: Words, other: Words) -> tuple[str, str] | None:
    """The first of ``words`` that is also in a longer one of ``other``, and that one.

    For the author: with other words around it, a text that means the longer may be taken for the shorter.
    """
    for longer in other.options:
        said = SaidText(longer)
        for shorter in words.options:
            word = _prepared(shorter, False)
            if said.is_only(word) or not said.may_hold(word):
                continue
            if word.glued or any(said.spans(word, words.contains or None)):
                return shorter, longer
    return None


class _Word(NamedTuple):
    text: str  # from its first letter to its last
    whole: str  # what punctuation parts, a space before each and behind the last
    joined: str  # its words, likewise
    alone: bool  # one character, which must stand alone
    goes_on: bool  # an ending may follow
    guarded: bool  # it is not there where anything denies
    glued: bool  # of a script that writes no spaces, or glues endings


@lru_cache(maxsize=8192)
def _prepared(option: str, turkic: bool) -> _Word:
    text = _comparable(option, turkic)
    runs = _runs(text)
    text = text[runs[0][0] : runs[-1][1]]
    runs = _runs(text)
    hangul = bool(_HANGUL.search(text))
    glued = hangul or bool(_UNSPACED.search(text))
    alone = glued and len(text) == 1
    parts = runs if alone else _cut(text, runs)
    return _Word(
        text,
        _Joined(text, runs).text,
        _Joined(text, parts).text,
        alone,
        goes_on=hangul and not alone,
        guarded=not _denials(text),
        glued=glued,
    )


class _Joined:
    """The words of a text, with one space before and behind each, and where they are in the text."""

    __slots__ = ("_parts", "_starts", "text")

    def __init__(self, text: str, parts: Sequence[Span]) -> None:
        self.text = f" {' '.join(text[begin:end] for begin, end in parts)} "
        self._parts = parts
        self._starts = list(accumulate((end - begin + 1 for begin, end in parts), initial=1))

    def find(self, joined: str, goes_on: bool) -> Iterator[Span]:
        wanted = joined[:-1] if goes_on else joined
        for begin, end in _every(self.text, wanted):
            first = bisect_left(self._starts, begin + 1)
            last = bisect_right(self._starts, end - (1 if goes_on else 2)) - 1
            # An ending is not of the word: it may deny it ("취소하지마").
            until = self._parts[last][0] + end - self._starts[last] if goes_on else self._parts[last][1]
            yield self._parts[first][0], until


def _every(text: str, wanted: str) -> Iterator[Span]:
    at = text.find(wanted)
    while at >= 0:
        yield at, at + len(wanted)
        at = text.find(wanted, at + max(1, len(wanted) - 1))  # the space behind is the one before the next


def _comparable(text: str, turkic: bool) -> str:
    return " ".join(comparable(text, "tr" if turkic else "").split())


def _runs(text: str) -> list[Span]:
    """Letters, marks, digits and underscores in a row."""
    if text.isascii():
        return [found.span() for found in _ASCII_RUN.finditer(text)]
    try:
        return [found.span() for found in _RUN.finditer(text)]
    except UnicodeError:  # half a character
        return [found.span() for found in _RUN.finditer(whole(text))]


def _cut(text: str, runs: Sequence[Span]) -> Sequence[Span]:
    """The runs, cut where one word ends and another begins without anything between them."""
    if text.isascii():
        return runs
    ends = _ends(text)
    cut: list[Span] = []
    at = 0
    for begin, end in runs:
        at = bisect_right(ends, begin, at)
        while at < len(ends) and ends[at] < end:
            cut.append((begin, ends[at]))
            begin = ends[at]
            at += 1
        cut.append((begin, end))
    return cut


def _ends(text: str) -> list[int]:
    # Imported with the first text that needs it: only flows with words do.
    from icu4py.breakers import WordBreaker

    # Not by `segments()`, which counts as UTF-16 does.
    return list(accumulate(map(len, WordBreaker(whole(text), ""))))


def _denials(text: str) -> tuple[Span, ...]:
    """The first and the last sign of a denial: enough to know whether all are within one span."""
    bare = _EXCUSE.sub(lambda found: " " * len(found[0]), text)
    found = [each.span() for each in _DENIES.finditer(bare)]
    return (found[0], found[-1]) if found else ()
