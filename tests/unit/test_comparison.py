"""How what people write is compared with what a flow says, and what of it is kept."""

from __future__ import annotations

import re
import sys
from unicodedata import category, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract.visible import IGNORABLES, cleaned, is_visible
from shared.flow.language.comparison import comparable, unified
from tests.growth import growth


@pytest.mark.parametrize(
    ("written", "meant", "language"),
    [
        ("bu\u0308ro", "Büro", "de"),
        ("ＪＡ", "ja", "de"),
        ("Si\u0301", "sí", "es"),
        ("İPTAL", "iptal", "tr"),
        ("I\u0307PTAL", "iptal", "tr-TR"),
        ("HAYIR", "hayır", "tr"),
        ("İPTAL", "iptal", "en"),
        ("QƏBUL EDİRƏM", "qəbul edirəm", "az_Latn"),
        ("STRASSE", "straße", "de"),
        ("ΟΔΟΣ", "οδος", "el"),
        ("no\u200b", "no", "en"),
        ("\u2067לא\u2069", "לא", "he"),
        ("می\u200cخواهم", "میخواهم", "fa"),
        ("d’accord", "d'accord", "fr"),
        ("d´accord", "D`ACCORD", "fr"),
        ("AB\u2013123", "ab-123", ""),
        ("\u22125", "-5", ""),
        ("AB\u2011123", "ab-123", ""),
        ("« oui »", '" oui "', "fr"),
        ("ｷｬﾝｾﾙ", "キャンセル", "ja"),
        ("น\u0e49\u0e4d\u0e32", "น้ำ", "th"),
        ("ﬁn", "FIN", ""),
        ("hu\u00adman", "human", ""),
        ("❤\ufe0f", "❤", ""),
        ("ΟΧΙ", "όχι", "el"),
        ("ΑΡΙΘΜΟΣ", "αριθμός", "el"),
        ("ΜΑΪΟΥ", "Μαΐου", "el"),
        ("نَعَم", "نعم", "ar"),
        ("شكرًا", "شكرا", "ar"),
        ("نـــعم", "نعم", "ar"),
        ("الغاء", "إلغاء", "ar"),
        ("بلي", "بلی", "fa"),
        ("كتاب", "کتاب", "fa"),
        ("ہاں", "هاں", "ur"),
        ("כֵּן", "כן", "he"),
        ("לֹא", "לא", "he"),
        ("हां", "हाँ", "hi"),
        ("еще", "ЕЩЁ", "ru"),
        ("coeur", "Cœur", "fr"),
        ("huỷ", "hủy", "vi"),
        ("HOÀ", "hòa", "vi"),
        ("kho\u0309e", "khoẻ", "vi"),
    ],
)
def test_spellings_of_the_same_words_compare_as_equal(written: str, meant: str, language: str) -> None:
    assert comparable(written, language) == comparable(meant, language)


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("ILIK", "ilik", "tr"),  # lukewarm, marrow
        ("हाँ", "हा", "hi"),
        ("ไม่", "ไม", "th"),
        ("か", "が", "ja"),
        ("sí", "si", "es"),
        ("αι", "αϊ", "el"),
        ("й", "и", "ru"),
        ("cô", "có", "vi"),
        ("ة", "ه", "ar"),
        ("ja", "ja!", "de"),
    ],
)
def test_other_words_compare_as_others(one: str, other: str, language: str) -> None:
    assert comparable(one, language) != comparable(other, language)


def test_the_english_i_has_a_dot_in_every_language_but_the_turkic_ones() -> None:
    assert comparable("CANCEL IT") == "cancel it"
    assert comparable("CANCEL IT", "tr") == "cancel ıt"
    assert comparable("CANCEL IT", "trv") == "cancel it"  # Taroko, which only begins the same


@given(st.text(), st.sampled_from(["", "tr", "az-Cyrl", "de", "not a tag \x00"]))
def test_what_was_brought_into_the_form_stays_as_it_is(text: str, language: str) -> None:
    assert comparable(comparable(text, language), language) == comparable(text, language)
    assert unified(unified(text)) == unified(text)


@given(st.text())
def test_composed_and_decomposed_texts_are_one(text: str) -> None:
    assert comparable(normalize("NFD", text)) == comparable(normalize("NFC", text))


# --- what is kept ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a\x00b\x1bc\x7f\x85\x9f", "abc"),
        ("one\r\ntwo\rthree\n\tfour", "one\ntwo\nthree\n\tfour"),
        ("a\ud800b", "a\ufffdb"),
        (
            "👨‍👩‍👧 ❤\ufe0f 🏴\U000e0067\U000e0062\U000e007f",
            "👨‍👩‍👧 ❤\ufe0f 🏴\U000e0067\U000e0062\U000e007f",
        ),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u2067שלום\u2069", "\u2067שלום\u2069"),
        (" spaces stay ", " spaces stay "),
        ("\U0001fae9", "\U0001fae9"),  # newer than some Pythons
    ],
)
def test_of_a_text_all_is_kept_but_what_nobody_may_have_meant(written: str, kept: str) -> None:
    assert cleaned(written) == kept


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "\n\t",
            "\u00a0",
            "\u3000",
            "\u200b",
            "\u3164",
            "\uffa0",
            "\u115f",
            "\ufeff",
            "\u200e\u200f",
        ),
        *("\u202a\u202c", "\u2066\u2069", "\ufe0f", "\U000e0100", "\U000e0041", "\u2800", "\u00ad", "\u180e"),
        *("\u034f", "\u2065", "\U000e0fff", "\x00", "\r\n", "\x1b\x08", "\u2028", " \u200b \u3164\n"),
    ],
)
def test_a_text_that_shows_nothing_is_empty(text: str) -> None:
    assert cleaned(text) == ""
    assert not is_visible(text)


@pytest.mark.parametrize(
    "text", ["x", "0", "。", "👍", "\u0301", "ـ", "\ue000", "\u3164x", "\ufffd", "\U0001fae9"]
)
def test_a_text_that_shows_anything_is_none(text: str) -> None:
    assert is_visible(text)
    assert cleaned(text) == text


def test_what_shows_nothing_holds_every_format_character_but_those_that_have_a_shape() -> None:
    # Signs that span the digits behind them, marks of annotations, and hieroglyphs' joiners.
    shaped = {
        *range(0x600, 0x606),
        0x6DD,
        0x70F,
        0x890,
        0x891,
        0x8E2,
        *range(0xFFF9, 0xFFFC),
        0x110BD,
        0x110CD,
    }
    shaped |= set(range(0x13430, 0x13440))
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    formats = {ord(sign) for sign in every if category(sign) == "Cf"}
    ignored = set(map(ord, re.findall(f"[{IGNORABLES}]", every)))
    assert formats - shaped <= ignored
    assert not ignored & shaped
    letters = {code for code in ignored if category(chr(code))[0] in "LNPS"}
    assert letters == {0x115F, 0x1160, 0x3164, 0xFFA0}  # Hangul's fillers, and nothing that is seen


@given(st.text())
def test_what_was_cleaned_stays_as_it_is(text: str) -> None:
    assert cleaned(cleaned(text)) == cleaned(text)


@pytest.mark.parametrize(
    "text",
    [
        *("a", "İ", "我", "\u3164", "\x00", "\r", "\ud800", "ﷺ", "\u0301", "\u0301\u0316", "i\u0307"),
        *("ά", "ò", "ـ", "\u0301\u0316" * 15 + "ـ"),
    ],
)
def test_the_cost_grows_as_the_text_does(text: str) -> None:
    for compare in (comparable, cleaned):
        assert growth(lambda size, compare=compare: compare(text * size)) < 16  # type: ignore[misc]
