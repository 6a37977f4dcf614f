"""Which words a text holds, in any script, and which state takes it when several might."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contract.facts import (
    AskedAgain,
    ConversationStarted,
    Fact,
    FlowAdvanced,
    InputRefused,
    VariableSaved,
)
from shared.flow.language.patterns import pattern, words
from shared.flow.language.words import SaidText, Words, best
from tests.dialogue import FlowDialogue, asks, flow_of, got, says, text
from tests.growth import growth


def taken(said: str, language: str = "", **states: Any) -> str:
    """Which of some states, each with its words (or what else it takes), a text leads to; "" for none."""
    takers = {
        name: got(next="end", **(take if isinstance(take, dict) else {"words": take}))
        for name, take in states.items()
    }
    flow = flow_of(ask=asks(), **takers, end=says("Thanks."))
    dialogue = FlowDialogue(flow).given(ConversationStarted(door="websocket", language=language))
    facts = dialogue.when(text(said))
    if facts == (InputRefused(reason="no_transition"),):
        return ""
    return path(facts)[0]


def path(facts: tuple[Fact, ...]) -> tuple[str, ...]:
    return next(fact.path for fact in facts if isinstance(fact, FlowAdvanced))


# --- scripts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "yes", "no", "said", "taken_by"),
    [
        ("hi", ["हाँ"], ["नहीं"], "नहीं, यह गलत है", "no"),
        ("hi", ["हाँ"], ["नहीं"], "यह क्या है?", ""),
        ("hi", ["हाँ"], ["नहीं"], "हाँ, ज़रूर", "yes"),
        ("ne", ["हो"], ["होइन"], "होइन", "no"),
        ("bn", ["হ্যাঁ"], ["না"], "না, ধন্যবাদ", "no"),
        ("ta", ["ஆம்"], ["இல்லை"], "ஆம், நன்றி", "yes"),
        ("th", ["ใช่"], ["ไม่ใช่"], "ไม่ใช่", "no"),
        ("th", ["ใช่"], ["ไม่ใช่"], "ไม่ใช่ครับ", "no"),
        ("th", ["ใช่"], ["ไม่ใช่"], "ใช่ค่ะ", "yes"),
        ("th", ["ใช่"], ["ไม่"], "ไม่ใช่", ""),
        ("zh", ["是"], ["不是"], "不是", "no"),
        ("zh", ["是"], ["不是"], "是！", "yes"),
        ("zh", ["是"], ["不是"], "这是什么？", ""),
        ("zh", ["是"], ["不是"], "你是谁", ""),
        ("zh", ["好"], ["不"], "不，谢谢", "no"),
        ("zh", ["好"], ["不"], "好，不退款", ""),
        ("ja", ["はい"], ["いいえ"], "いいえ", "no"),
        ("ja", ["いい"], ["いいえ"], "いいえ、結構です", "no"),
        ("ja", ["はい"], ["いいえ"], "はい、お願いします", "yes"),
        ("ko", ["네"], ["아니요"], "네, 그래요", "yes"),
        ("ko", ["네"], ["아니요"], "네이버", ""),
        ("ko", ["네"], ["아니요"], "아니요, 안 해요", "no"),
        ("km", ["យល់ព្រម"], ["មិនយល់ព្រម"], "មិនយល់ព្រម", "no"),
        ("ar", ["نعم"], ["لا"], "لا، شكرا", "no"),
        ("he", ["כן"], ["לא"], "\u200fלא, תודה", "no"),
        ("vi", ["có"], ["không"], "Không, cảm ơn", "no"),
        ("tr", ["evet"], ["hayır"], "HAYIR!", "no"),
        ("tr", ["evet"], ["iptal"], "İPTAL", "no"),
        ("de", ["ja"], ["nein"], "ＪＡ", "yes"),
        ("es", ["sí"], ["no"], "Si\u0301, claro", "yes"),
        ("fr", ["accord"], ["non"], "D’accord.", "yes"),
        ("ru", ["да"], ["нет"], "НЕТ, спасибо", "no"),
    ],
)
def test_a_yes_is_no_no_in_any_script(
    language: str, yes: list[str], no: list[str], said: str, taken_by: str
) -> None:
    assert taken(said, language, yes=yes, no=no) == taken_by


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("退款", "我要退款"),
        ("退款", "退款吗"),
        ("退款", "特别想退款"),
        ("我要退款", "我要退款！"),
        ("キャンセル", "キャンセルしたいです"),
        ("キャンセル", "ｷｬﾝｾﾙ"),
        ("予約", "予約を確認したい"),
        ("ยกเลิก", "ต้องการยกเลิกคำสั่งซื้อ"),
        ("취소", "취소하고 싶어요"),
        ("취소", "주문 취소해 주세요"),
        ("refund", "我要refund吗"),
        ("don't know", "I don’t know"),
        ("e-mail", "per E\u2010Mail bitte"),
        ("oui", "oui.merci"),
    ],
)
def test_a_keyword_is_found_within_a_sentence(keyword: str, said: str) -> None:
    assert taken(said, ask_for=[keyword]) == "ask_for"


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("退款", "不要退款"),
        ("退款", "我不想退款"),
        ("退款", "别退款"),
        ("キャンセル", "キャンセルしないでください"),
        ("キャンセル", "キャンセルしません"),
        ("取消", "取消しないで"),
        ("ยกเลิก", "ไม่ต้องการยกเลิก"),
        ("취소", "취소하지 마세요"),
        ("취소", "안 취소"),
        ("취소", "취소 안 할래요"),
        ("refund", "我不要refund"),
        ("예", "예약"),
        ("person", "personal"),
        ("ja", "jahr"),
    ],
)
def test_what_denies_a_keyword_or_only_looks_like_it_is_not_understood(keyword: str, said: str) -> None:
    assert taken(said, ask_for=[keyword]) == ""


@pytest.mark.parametrize(
    ("contains", "said", "understood"),
    [
        (True, "Rückerstattungsantrag", True),
        (True, "die Rückerstattung", True),
        (True, "Erstattung", False),
        (None, "Rückerstattungsantrag", False),
        (None, "die Rückerstattung", True),
        (False, "die Rückerstattung", False),
        (False, " RÜCKERSTATTUNG! ", True),
    ],
)
def test_a_flow_says_where_its_words_may_be(contains: bool | None, said: str, understood: bool) -> None:
    take = {"words": ["Rückerstattung"], "contains": contains}
    assert (taken(said, refund=take) == "refund") == understood


# --- several states ----------------------------------------------------------------------------


def test_the_longer_find_is_the_surer_whatever_the_order() -> None:
    states = {"sure": ["sure"], "unsure": ["not sure"]}
    assert taken("I am not sure", "", **states) == "unsure"
    assert taken("I am not sure", "", **dict(reversed(states.items()))) == "unsure"
    assert taken("sure, sure", "", **states) == "sure"


def test_the_whole_text_is_surer_than_a_word_of_it() -> None:
    whole = {"words": ["yes please"], "contains": False}
    assert taken("Yes, please!", yes=["yes"], please=whole) == "please"


@pytest.mark.parametrize("said", ["no, that is not what I meant, yes?", "yes no", "yes ... yes ... no"])
def test_what_may_be_either_is_asked_again_not_taken_by_the_first(said: str) -> None:
    assert taken(said, yes=["yes"], no=["no"]) == ""
    assert taken(said, yes=["yes"], no=["no"], other={}) == "other"
    flow = flow_of(ask=asks(fallback={"say": "Yes or no?"}), yes=got(words=["yes"]), no=got(words=["no"]))
    dialogue = FlowDialogue(flow).given(ConversationStarted(door="websocket"))
    assert dialogue.when(text(said))[0] == AskedAgain(reason="no_match", tries=1)


def test_of_the_same_word_in_two_states_the_first_state_has_it() -> None:
    assert taken("yes", one=["yes"], two=["maybe", "YES"]) == "one"


def test_a_pattern_keeps_its_place_in_the_order_of_the_file() -> None:
    number = {"pattern": "[0-9]+"}
    assert taken("a person for 17", person=["person"], number=number) == "person"
    assert taken("a person for 17", number=number, person=["person"]) == "number"


@pytest.mark.parametrize("said", ["", " ", "\u200b", "\u3164", "\ufeff\u2060"])
def test_a_text_that_shows_nothing_is_no_answer(said: str) -> None:
    assert taken(said, all={}) == ""
    assert taken(said, all={"save": "name"}) == ""
    assert taken(said, nothing={"pattern": r"^\s*$"}, all={}) in ("nothing", "")
    assert taken("", nothing={"pattern": "^$"}, all={}) == "nothing"  # what an author asks for is an answer


# --- patterns ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "said", "language"),
    [
        ("büro", "Bu\u0308ro", "de"),
        ("bu\u0308ro", "BÜRO", "de"),
        ("[A-Z]{2}-[0-9]{5}", "ＡＢ－１２３４５", "ja"),
        ("[A-Z]{2}-[0-9]{5}", "AB\u201112345", ""),
        ("^ja$", "\u200eja\u200e", ""),
        ("iptal", "İPTAL", "tr"),
        ("hayır", "HAYIR", "tr"),
        ("HAYIR", "hayır", "tr"),
        ("^İ+$", "iii", "tr"),
        ("straße", "STRASSE", "de"),
        ("strasse", "Straße", "de"),
        ("don’t", "don't", ""),
        ("don't", "don’t", ""),
        ("10–20", "10-20", ""),
        ("[–]5", "-5", ""),
        (r"(?P<Item>\p{Greek}+ß?)", "ΩΣ", "tr"),
        (r"\Qa–b\E", "a–b", ""),
    ],
)
def test_a_pattern_meets_texts_in_any_spelling(source: str, said: str, language: str) -> None:
    assert pattern(source).takes(said, language) is not None


@pytest.mark.parametrize(
    ("source", "said", "language"),
    [("hayır", "HAYIR", ""), ("ab", "a b", ""), ("[ß]{2}", "SS", ""), (r"\Qé.\E", "éx", "")],
)
def test_a_pattern_meets_no_other_texts(source: str, said: str, language: str) -> None:
    assert pattern(source).takes(said, language) is None


def test_a_pattern_that_looks_at_case_does_so_in_any_spelling() -> None:
    assert pattern("ＡＢ", ignore_case=False).takes("ab") is None
    assert pattern("^AB$", ignore_case=False).takes("ＡＢ") is not None
    assert pattern("^AB$", ignore_case=False).takes("ａｂ") is None


def test_groups_are_as_the_visitor_wrote_them_where_that_fits() -> None:
    order = pattern(r"(?P<order>[A-Z]+[-–][0-9]+)")
    assert order.takes("Order AB–12, please") == {"order": "AB–12"}
    assert order.takes("ＡＢ－１２") == {"order": "AB-12"}
    assert pattern("my name is (?P<name>.+)").takes("My Name is Zoë") == {"name": "Zoë"}
    assert pattern("straße (?P<n>.+)").takes("STRASSE Ä1") == {"n": "Ä1"}


def test_a_group_is_kept_by_the_flow() -> None:
    flow = flow_of(ask=asks(), got=got(pattern=r"^(?P<code>[a-z]\d)$"))
    facts = FlowDialogue(flow).given(ConversationStarted(door="rest")).when(text("\u200bＡ１"))
    assert VariableSaved(name="code", value="A1") in facts


# --- cost and odd texts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    ["a ", "不要退款", "我", "ใช่", "ア", "네 ", "हाँ ", "a\u0301", "😀", "yes no ", "안", "\u0301\u0316"],
)
def test_the_cost_of_words_grows_as_the_text_does(said: str) -> None:
    states = [(1, Words(("a", "a a", "退款", "yes", "네", "ใช่"))), (2, Words(("no", "不"), contains=True))]
    assert growth(lambda size: best(states, SaidText(said * (size // len(said)))), 4_000) < 12


def test_no_text_is_trouble() -> None:
    for said in ("", "\ud800", "不\udfff退款", "\x00", "\u0301", "a" * 20_000, "\U0010ffff"):
        words(["yes", "退款"]).takes(said, "no tag \x00")
        pattern("(?P<x>é)").takes(said, "tr")


# --- what denies -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("同意", "拒绝同意"),
        ("同意", "我反對，不要同意"),
        ("同意", "不同意"),
        ("取消", "我唔想取消"),
        ("同意", "唔同意"),
        ("需要", "无需需要"),
        ("返品", "返品せず交換したい"),
        ("解約", "解約したくねえ"),
        ("解約", "解約はお断りします"),
        ("解約", "解約は結構です"),
        ("キャンセル", "すみません、キャンセルしません"),
        ("キャンセル", "キャンセルしないでいただけませんか"),
        ("취소", "취소하지마"),
        ("취소", "취소하지 말아 주세요"),
        ("동의", "동의못해요"),
        ("주문", "주문않습니다"),
        ("သွား", "မသွားပါ"),
        ("ကြိုက်", "မကြိုက်ပါ"),
        ("ဝယ်", "မဝယ်ချင်ပါ"),
        ("ဝယ်", "ကျွန်မ မဝယ်ချင်ပါ"),
    ],
)
def test_what_denies_is_heard_in_every_form(word: str, said: str) -> None:
    assert taken(said, yes=[word]) == ""


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("退款", "对不起，我要退款"),
        ("退貨", "不好意思，請問怎麼退貨"),
        ("同意", "没问题，我同意"),
        ("取消", "唔好意思，我想取消"),
        ("キャンセル", "すみません、キャンセルしたいです"),
        ("キャンセル", "申し訳ありませんが、キャンセルをお願いします"),
        ("キャンセル", "キャンセルしていただけませんか？"),
        ("再発行", "カードをなくしました。再発行をお願いします"),
        ("주문", "잘못 주문했어요"),
        ("환불", "죄송하지만 환불해 주세요"),
        ("ဝယ်", "ကျွန်မ ဝယ်ချင်ပါတယ်"),
    ],
)
def test_a_polite_word_denies_nothing(word: str, said: str) -> None:
    assert taken(said, yes=[word]) == "yes"
