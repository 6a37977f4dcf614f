"""What a page may ask for: a flow by name, and the visitor's languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.proxy.domain.connect_params import MAX_LENGTH, flow_name, languages


@pytest.mark.parametrize("name", ["support", "shop-2.de", "A_b", "x" * 64])
def test_a_flow_is_asked_for_by_its_name(name: str) -> None:
    assert flow_name(name) == name


@pytest.mark.parametrize("name", ["../etc", "a b", "a/b", "x" * 65, "grün", "a\n", "{}"])
def test_what_is_no_name_asks_for_nothing(name: str) -> None:
    assert flow_name(name) == ""


def test_no_flow_asked_for_is_the_doors_own_or_the_default() -> None:
    assert flow_name("") == ""
    assert flow_name("", "sales") == "sales"
    assert flow_name("support", "sales") == "support"


@pytest.mark.parametrize(
    ("asked", "accept", "wanted"),
    [
        ("", "", ""),
        ("de", "", "de"),
        ("", "de-CH, de;q=0.9, en;q=0.8", "de-CH, de, en"),
        ("", "en;q=0.5, de;q=0.9, fr", "fr, de, en"),
        ("fr", "de, fr;q=0.5", "fr, de"),
        ("", "*, de;q=0.3", "de"),
        ("", "de;q=0, en", "en"),
        ("", "zh-Hant-TW;q=0.7,pt-BR", "pt-BR, zh-Hant-TW"),
        ("", "de;q=much, en;level=1, fr;q=2, it", "it"),
        ("<script>", "x", ""),
        ("", ",".join(f"d{letter}" for letter in "abcdefgh"), "da, db, dc, dd, de"),
        ("DE", "de, en", "DE, en"),
        ("pt_BR", "en", "pt-BR, en"),
        ("", "zh_Hant_TW, pt_BR;q=0.5", "zh-Hant-TW, pt-BR"),
        ("fr-CA, de;q=0.5", "it", "fr-CA, de, it"),
        ("", "de-DE-u-co-phonebk", "de-DE-u-co-phonebk"),
        ("", "de, " + "x" * 196 + ", en-GB", "de"),  # what does not fit is left out whole
        ("pt_", "de__AT, _", ""),
    ],
)
def test_languages_come_best_first_and_the_pages_word_before_the_browsers(
    asked: str, accept: str, wanted: str
) -> None:
    assert languages(asked, accept) == wanted


@given(st.text(), st.text())
def test_whatever_a_browser_says_the_result_is_short_and_made_of_tags(asked: str, accept: str) -> None:
    found = languages(asked, accept)
    assert len(found) <= 2 * MAX_LENGTH
    assert all(character.isascii() and (character.isalnum() or character in "-, ") for character in found)
