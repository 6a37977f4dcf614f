"""Which choice a text means, at doors that have no buttons."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contract.facts import (
    AskedAgain,
    ChoiceAsked,
    ConversationStarted,
    Fact,
    HandoffRequested,
    VariableSaved,
)
from shared.flow.language.choices import Option, meant
from tests.dialogue import FlowDialogue, flow_of, picked, said, text
from tests.growth import growth


def options(*words: str, ids: list[str] | None = None) -> list[Option]:
    return [Option(ids[number] if ids else f"id-{number}", each) for number, each in enumerate(words)]


SHOP = options("¿Dónde está?", "Łódź", "C", "C++", "C#", "Größe", "か", "が", "हाँ", "हा")


@pytest.mark.parametrize(
    ("said", "index"),
    [
        *[("1", 0), ("#1", 0), ("１", 0), ("①", 0), ("1️⃣", 0), ("1.", 0), ("1)", 0), ("(1)", 0), (" 1. ", 0)],
        *[("❶", 0), ("⑴", 0), ("⒈", 0), ("٣", 2), ("३", 2), ("10", 9), ("🔟", 9), ("⑩", 9), ("❿", 9)],
        *[("no. 2", 1), ("Nr. 2", 1), ("№ 2", 1), ("＃２", 1), ("#\u200b2", 1)],
        *[("donde esta", 0), ("DÓNDE ESTÁ", 0), ("Do\u0301nde esta\u0301?", 0), ("id-0", 0), ("ID-0", 0)],
        *[
            ("lodz", 1),
            ("łódź!", 1),
            ("c", 2),
            ("c++", 3),
            ("C#", 4),
            ("c#", 4),
            ("GRÖSSE", 5),
            ("grosse", 5),
        ],
        *[("1!", 0), ("1,", 0), ("1 .", 0), ("nº 2", 1), ("N° 2", 1)],
        *[("1. ¿Dónde está?", 0), ("1) donde esta", 0), ("1️⃣ Dónde está", 0), ("(2) lodz", 1), ("2 łódź", 1)],
        *[("か", 6), ("が", 7), ("हाँ", 8), ("हा", 9)],
    ],
)
def test_a_choice_is_meant_by_its_words_its_id_or_its_number(said: str, index: int) -> None:
    assert meant(SHOP, said) == (index,)


@pytest.mark.parametrize(
    "said",
    ["", " ", "!", "0", "11", "²", "1st", "1 2", "-1", "1.5", "½", "99999999999", "one", "\u200b", "#"],
)
def test_what_is_none_of_them_means_none(said: str) -> None:
    assert meant(SHOP, said) == ()


@pytest.mark.parametrize(
    ("said", "indexes"),
    [
        ("2", (0, 1)),  # the words of the first, the number of the second
        ("4", (1, 3)),
        ("1", (0, 3)),
        ("２.", (0, 1)),
        ("6", (2,)),  # there is no sixth
        ("3", (2,)),  # there are no words "3"
        ("#2", (1,)),
        ("#1", (0,)),
    ],
)
def test_where_words_and_number_disagree_both_are_meant(said: str, indexes: tuple[int, ...]) -> None:
    assert meant(options("2", "4", "6", "1"), said) == indexes


def test_a_line_of_the_list_whose_number_and_words_disagree_is_asked_back() -> None:
    assert meant(options("Yes", "No"), "1. no") == (0, 1)
    assert meant(options("Yes", "No"), "1. yes") == (0,)
    assert meant(options("Yes", "No"), "1. never") == ()
    assert meant(options("Yes", "No"), "3. no") == ()
    assert meant(options("2 rooms", "3 rooms"), "2 rooms") == (0,)
    assert meant(options("2 rooms", "3 rooms"), "2. 2 rooms") == (0, 1)


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        ("Don't know", "dont know"),
        ("E-mail", "email"),
        ("Æble", "aeble"),
        ("Œuvre", "oeuvre"),
        ("👍", "👍🏽"),
        ("ΟΧΙ", "όχι"),
        ("إلغاء", "الغاء"),
        ("हाँ", "हां"),
    ],
)
def test_signs_within_words_and_shades_need_not_be_written(offered: str, said: str) -> None:
    assert meant(options("?", offered), said) == (1,)


def test_figures_are_not_run_together() -> None:
    assert meant(options("1-2", "5"), "12") == ()
    assert meant(options("1.5", "2.5"), "15") == ()


def test_an_id_that_is_another_choices_number_is_not_taken_for_it() -> None:
    assert meant(options("Yes", "No", ids=["0", "1"]), "1") == (0, 1)
    assert meant(options("Yes", "No", ids=["1", "2"]), "2") == (1,)
    assert meant(options("Yes", "No", ids=["7", "8"]), "8") == (1,)


def test_words_that_name_a_number_are_these_very_words() -> None:
    assert meant(options("#2", "#1"), "#1") == (0, 1)
    assert meant(options("Win #1", "#1 fan"), "#1 fan") == (1,)


def test_of_words_that_are_alike_but_for_case_nobody_can_tell() -> None:
    assert meant(options("Ja", "JA!"), "ja") == (0,)  # the surer of the two
    assert meant(options("Ja!", "JA!"), "ja") == (0, 1)
    assert meant(options("Ja!", "JA!"), "JA!") == (1,)


@pytest.mark.parametrize(("offered", "said"), [("が", "か"), ("ไม่", "ไม"), ("क्ष", "कष"), ("ख़", "ख")])
def test_marks_that_make_another_letter_are_no_accents(offered: str, said: str) -> None:
    assert meant(options(offered), said) == ()


def test_the_very_id_is_surer_than_one_in_another_case() -> None:
    assert meant(options("x", "y", ids=["A", "a"]), "a") == (1,)


def test_turkish_choices_have_two_letters_i() -> None:
    assert meant(options("Isı", "İptal"), "İPTAL", "tr") == (1,)
    assert meant(options("ılık", "ilik"), "ILIK", "tr") == (0,)


@pytest.mark.parametrize("said", ["1", "a", "\u0301", "#", "(", "ﷺ", "不", " ", "İ"])
def test_the_cost_grows_as_the_text_does(said: str) -> None:
    assert growth(lambda size: meant(SHOP, said * size)) < 12


# --- in a conversation -------------------------------------------------------------------------


def sizes(**settings: Any) -> FlowDialogue:
    contents = ["2", "4", "6", "1"]
    choices = [{"itemId": f"s{each}", "content": f"<b>{each}</b>"} for each in contents]
    request = {"kind": "ChoiceRequest", "groupId": "size", "question": "How many?", "choices": choices}
    takers = {f"is{each}": picked("size", f"s{each}", save="size") for each in contents}
    flow = flow_of(
        settings=settings, pick={"sendRequest": request}, **takers, desk={"handoff": {"queue": "q"}}
    )
    return FlowDialogue(flow).given(ConversationStarted(door="rest", language="de"))


def saved(facts: tuple[Fact, ...]) -> list[Any]:
    return [fact.value for fact in facts if isinstance(fact, VariableSaved)]


def test_what_may_be_two_choices_is_asked_back_with_both_and_can_be_answered() -> None:
    dialogue = sizes()
    again = dialogue.when(text("2", session=""))
    assert again[0] == AskedAgain(reason="ambiguous", tries=1)
    assert said(again) == ["Do you mean “2” (#1) or “4” (#2)?", "How many?"]
    assert isinstance(again[-1], ChoiceAsked)
    assert saved(dialogue.when(text("#2", session=""))) == ["s4"]


def test_a_flow_asks_back_in_words_of_its_own() -> None:
    words = {"de": "{{ first }} oder {{ second }}?", "en": "{{ first }} or {{ second }}?"}
    again = sizes(language="de", invalid={"ambiguous": words}).when(text("1", session=""))
    assert said(again)[0] == "“2” (#1) oder “1” (#4)?"


def test_asking_back_has_an_end_where_the_flow_says_so() -> None:
    dialogue = sizes(fallback={"times": 1, "next": "desk"})
    dialogue.when(text("2", session=""))
    assert any(isinstance(fact, HandoffRequested) for fact in dialogue.when(text("2", session="")))


def test_a_line_is_taken_with_the_address_that_it_was_shown_with() -> None:
    choices = [
        {"itemId": "form", "content": '<a href="https://example.com/form">The form</a>'},
        {"itemId": "desk", "content": "A person"},
    ]
    request = {"kind": "ChoiceRequest", "groupId": "how", "question": "How?", "choices": choices}
    flow = flow_of(
        pick={"sendRequest": request},
        form=picked("how", "form", save="how"),
        desk=picked("how", "desk", save="how"),
    )
    for line in ("1. The form (https://example.com/form)", "The form", "1"):
        dialogue = FlowDialogue(flow).given(ConversationStarted(door="rest"))
        assert saved(dialogue.when(text(line, session=""))) == ["form"]
