"""The parts that flows are made of: kept answers, languages, texts, patterns and conditions."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contract.conversation import Begun
from shared.contract.entry import MAX_ENTRY
from shared.flow.language.conditions import BadCondition, Unclear, condition
from shared.flow.language.locales import lookup, wishes
from shared.flow.language.patterns import BadPattern, pattern, words
from shared.flow.language.schema import seconds
from shared.flow.language.templates import (
    TooLong,
    Voice,
    header,
    html,
    json_template,
    plain,
    template,
    url,
)
from shared.flow.language.values import Kind, Misfit, Save, captured, picked, written


def voice(language: str = "", **variables: Any) -> Voice:
    return Voice(Begun(door="rest", flow="shop", language=language, user="u-1"), variables, ("en", "de"))


# --- kept answers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, words, kept",
    [
        ("text", "  hello ", "hello"),
        ("email", " Sam.O'Hara+shop@mail.example.com ", "Sam.O'Hara+shop@mail.example.com"),
        ("email", "jörg@müller.example", "jörg@müller.example"),
        ("number", "12", 12),
        ("number", "-1,5", -1.5),
        ("number", "1,234.50", 1234.5),
        ("number", "1.234,5", 1234.5),
        ("number", "1.234.567", 1234567),
        ("number", "12 000", 12000),
        ("number", "1'000", 1000),
        ("number", "9007199254740991", 9007199254740991),
        ("phone", "+49 (0)30 / 123-456", "+4930123456"),
        ("phone", "030.123456", "030123456"),
        ("date", "2026-1-3", "2026-01-03"),
        ("date", "31.12.2026", "2026-12-31"),
        ("date", "3. 1. 2026", "2026-01-03"),
        ("date", "13/4/2026", "2026-04-13"),
        ("date", "4/13/2026", "2026-04-13"),
        ("date", "4/4/2026", "2026-04-04"),
    ],
)
def test_answers_are_kept_in_one_form(kind: Kind, words: str, kept: Any) -> None:
    value = captured(Save("x", kind), words)
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    "kind, words",
    [
        ("email", ""),
        ("email", "sam"),
        ("email", "sam@localhost"),
        ("email", "sam@-x.example"),
        ("email", "a b@example.com"),
        ("email", "a@example.com, b@example.com"),
        ("email", "a" * 250 + "@b.de"),
        ("number", ""),
        ("number", "ten"),
        ("number", "1,2,3"),
        ("number", "1e3"),
        ("number", "NaN"),
        ("number", "10²"),
        ("number", "9007199254740992"),
        ("number", "1" * 400),
        ("phone", "1234"),
        ("phone", "+1234567890123456"),
        ("phone", "call me"),
        ("date", "tomorrow"),
        ("date", "2026-02-30"),
        ("date", "1.1.26"),
        ("date", "0000-01-01"),
    ],
)
def test_what_is_of_another_kind_misfits(kind: Kind, words: str) -> None:
    reason = {"email": "not_an_email", "number": "not_a_number", "phone": "not_a_phone", "date": "not_a_date"}
    assert captured(Save("x", kind), words) == Misfit(reason[kind])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "save, words, reason",
    [
        (Save("x", least=3), " ab ", "too_short"),
        (Save("x", most=3), "abcd", "too_long"),
        (Save("x", "number", least=0), "-1", "too_small"),
        (Save("x", "number", most=9.5), "9,6", "too_big"),
        (Save("x", "date", least="2026-01-02"), "1.1.2026", "too_early"),
        (Save("x", "date", most="2026-01-02"), "2026-01-03", "too_late"),
    ],
)
def test_what_is_beyond_a_limit_misfits(save: Save, words: str, reason: str) -> None:
    misfit = captured(save, words)
    assert isinstance(misfit, Misfit)
    assert misfit.reason == reason


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, shown",
    [
        (None, ""),
        (True, "true"),
        (3.0, "3"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (["a", 2, None], "a, 2, "),
        ({"a": ["ä"]}, '{"a": ["ä"]}'),
        ([[1]], "[[1]]"),
    ],
)
def test_values_are_written_for_people(value: Any, shown: str) -> None:
    assert written(value) == shown


def test_a_part_of_an_answer_is_picked() -> None:
    answer = {"data": [{"price": 3}, {"a.b": 4}], "0": "zero"}
    assert picked(answer, "") is answer
    assert picked(answer, "data.0.price") == 3
    assert picked(answer, "0") == "zero"
    for nothing in ("data.2", "data.price", "data.0.price.x", "data.-1", "nope"):
        assert picked(answer, nothing) is None


# --- languages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header, best_first",
    [
        ("", ()),
        ("de", ("de",)),
        ("pt_BR, zh_Hant_TW", ("pt-BR", "zh-Hant-TW")),
        ("en;q=0.5, de-CH , fr;q=0.9", ("de-CH", "fr", "en")),
        ("en, de;q=0, *;q=0.1", ("en",)),
        ("en;q=x, de;q=1.000, ;;,=", ("de",)),
        (",".join(f"x-{n}" for n in range(50)), tuple(f"x-{n}" for n in range(20))),
    ],
)
def test_wishes_are_read_as_http_has_them(header: str, best_first: tuple[str, ...]) -> None:
    assert wishes(header) == best_first


@pytest.mark.parametrize(
    "wanted, tags, chosen",
    [
        (["de-CH"], ["en", "de"], "de"),
        (["zh-Hant-CN-x-private1"], ["zh", "zh-Hant"], "zh-Hant"),
        (["fr", "EN-us"], ["en", "de"], "en"),
        (["de"], ["en", "de-CH"], "de-CH"),
        ([], ["en"], None),
        (["nb-NO"], ["en", "no"], "no"),
        (["da"], ["en", "nb"], "nb"),
        (["pt"], ["en", "pt-BR"], "pt-BR"),
        (["pt-PT"], ["en", "pt-BR"], "pt-BR"),
        (["pt-AO"], ["pt-BR", "pt-PT"], "pt-PT"),
        (["zh-Hant-TW"], ["en", "zh-CN", "zh-TW"], "zh-TW"),
        (["zh-HK"], ["en", "zh-CN", "zh-TW"], "zh-TW"),
        (["zh-Hans-CN"], ["en", "zh-TW", "zh-CN"], "zh-CN"),
        (["zh"], ["en", "zh-TW", "zh-CN"], "zh-CN"),
        (["yue"], ["en", "zh-TW"], "zh-TW"),
        (["zh-TW"], ["en", "zh"], "zh"),  # "zh" is meant for all who write Chinese, where nothing is nearer
        (["iw"], ["en", "he"], "he"),
        (["in"], ["en", "id"], "id"),
        (["sr"], ["en", "sr-Latn"], "sr-Latn"),
        (["sh"], ["en", "sr-Latn"], "sr-Latn"),
        (["es-MX"], ["en", "es-ES", "es-419"], "es-419"),
        (["gsw"], ["en", "de"], "de"),
        (["ca"], ["en", "es"], "es"),
        (["ca", "en"], ["en", "es"], "en"),  # what is asked for in second place before what is only known
        (["pt-PT", "en"], ["en", "pt-BR"], "pt-BR"),
        (["zh"], ["en", "ja"], None),
        (["ja"], ["en", "zh-TW"], None),
        (["zh"], ["en", "zh-TW"], None),  # another script is another language to its readers
        (["sv"], ["fi", "en"], None),
        (["xx-klingon", "-", "en--US", "x-", "zh-", "en-a"], ["fr"], None),  # what is no tag is no trouble
        (["x-klingon", "fr"], ["fr", "en"], "fr"),
    ],
)
def test_the_best_language_there_is_is_found(wanted: list[str], tags: list[str], chosen: str | None) -> None:
    assert lookup(wanted, tags) == chosen


# --- texts ------------------------------------------------------------------------------------


def test_placeholders_are_filled() -> None:
    known = voice(name="Sam", order={"items": ["a", "b"], "paid": True}, none=None)
    for text, filled in {
        "{{name}} {{ name }} {{  name|x }}": "Sam Sam Sam",
        "{{ order.items.1 }}{{ order.items }}": "ba, b",
        "{{ order.paid }} {{ order.nope | none }}": "true none",
        "[{{ nobody }}] [{{ none }}] [{{ none | nothing at all }}]": "[] [] [nothing at all]",
        "{{ visitor.door }}/{{ visitor.flow }}/{{ visitor.user }}": "rest/shop/u-1",
        "{{ 1 + 1 }} {{}} {{ a b }} {name} }}{{": "{{ 1 + 1 }} {{}} {{ a b }} {name} }}{{",
    }.items():
        assert template(text).said(known) == filled


def test_values_are_escaped_for_where_they_stand() -> None:
    known = voice(x="<a href='x'>&\r\n/é", dots="..")
    assert template("{{ x }}").said(known, html) == "&lt;a href=&#x27;x&#x27;&gt;&amp;\r\n/é"
    assert template("{{ x }}").said(known, plain) == "<a href='x'>&\r\n/é"
    assert template("/{{ x }}").said(known, url) == "/%3Ca%20href%3D%27x%27%3E%26%0D%0A%2F%C3%A9"
    assert template("/a/{{ dots }}/b").said(known, url) == "/a//b"
    assert template("{{ x }}").said(known, header) == "<a href='x'>&  /é"


def test_json_keeps_the_type_of_a_value_that_stands_alone() -> None:
    known = voice(n=3, deep={"a": [None]}, text='say "hi"')
    body = json_template(
        {"n": "{{ n }}", "t": "n is {{ n }}", "l": ["{{ deep }}", "{{ none | 0 }}"], "k": True}
    )
    assert body.said(known) == b'{"n":3,"t":"n is 3","l":[{"a":[null]},"0"],"k":true}'
    assert json_template("{{ text }}!").said(known) == b'"say \\"hi\\"!"'


def test_what_is_said_at_one_go_is_limited() -> None:
    long = voice(x="x" * 100_000)
    for _ in range(MAX_ENTRY // 100_000):
        template("{{ x }}").said(long)
    with pytest.raises(TooLong):
        json_template({"x": ["{{ x }}"]}).said(long)


def test_the_visitors_language_is_the_one_that_the_flow_speaks() -> None:
    assert voice("de-CH, en").visitor["language"] == "de"
    assert voice("fr").visitor["language"] == "en"
    assert Voice(Begun(language="fr-CA, de"), {}, ()).visitor["language"] == "fr-CA"
    assert Voice(Begun(), {}, ()).visitor["language"] == ""


# --- patterns ---------------------------------------------------------------------------------


def test_patterns_are_searched_for_in_any_case_unless_told_otherwise() -> None:
    assert pattern("ab+").takes("xABBy") == {}
    assert pattern("ab+", ignore_case=False).takes("xABBy") is None
    assert pattern("^ab+$").takes("xabb") is None
    assert pattern(r"(?P<n>\d+)(?P<m>x)?").takes("no 17") == {"n": "17"}
    assert pattern("ä").takes("Ä") == {}
    assert pattern("a").takes("\ud800") is None


def test_a_pattern_that_is_none_says_why() -> None:
    with pytest.raises(BadPattern, match=r"missing \): \("):
        pattern("(")
    with pytest.raises(BadPattern, match="half a character"):
        pattern("\udfff")


def test_no_text_makes_a_pattern_hang() -> None:
    nested = pattern("^(a+)+$")
    assert nested.takes("a" * 16_000) == {}
    assert nested.takes("a" * 16_000 + "!") is None


def test_words_are_whole_and_know_all_scripts() -> None:
    match = words(["human being", "Straße", "помощь"])
    for text in ("A HUMAN, being!", "in der STRASSE", "Нужна Помощь."):
        assert match.takes(text) == {}
    for text in ("humans being", "human", "Strassen", ""):
        assert match.takes(text) is None


# --- conditions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source, holds",
    [
        ("n > 2 && n < 4.5", True),
        ("name == null", True),
        ("mail.endsWith('@example.com')", True),
        ("has(order.late) && order.late", False),
        ("order.items.exists(x, x.price > 10)", True),
        ("'late' in order", False),
        ("visitor.door in ['rest', 'web'] && visitor.language == 'de'", True),
        ("mail.matches('^[a-z]+@') || n > 100", True),
        ("size(order.items) == 2 ? true : false", True),
    ],
)
def test_conditions_look_at_variables(source: str, holds: bool) -> None:
    known = voice("de", n=3, mail="sam@example.com", order={"items": [{"price": 3}, {"price": 30}]})
    assert condition(source).holds(known) is holds


@pytest.mark.parametrize(
    "source",
    [
        "n > 'x'",
        "nobody.size() > 1",
        "n",
        "1 / 0 == 1",
        "mail.matches('(')",
        "n + mail > 1",
        "n / 0.0 > 1",
        "n % 0 == 0",
    ],
)
def test_what_cannot_be_told_is_unclear(source: str) -> None:
    with pytest.raises(Unclear):
        condition(source).holds(voice(n=3, mail="x"))


@pytest.mark.parametrize(
    "source, known",
    [
        ("kilos * 4 >= 40", {"kilos": 10.5}),
        ("kilos * 4 >= 40", {"kilos": 10}),
        ("price * 1.5 > 14", {"price": 10}),
        ("a + b - c == 10.5", {"a": 10, "b": 2.5, "c": 2}),
        ("total / people == 2.5", {"total": 5, "people": 2}),
        ("items[0].price * 2 + 0.5 == 6.5", {"items": [{"price": 3}]}),
        ("items.exists(x, x * 2 > 4.5)", {"items": [1, 2.5]}),
        ("items.map(x, x + 1) == [2, 3.5]", {"items": [1, 2.5]}),
        ("size(items) * 1.5 == 3", {"items": [1, 2]}),
        ("items[size(items) - 1] == 'b'", {"items": ["a", "b"]}),
        ("items[at] == 'b' && at + 0.5 == 1.5", {"items": ["a", "b"], "at": 1}),
        ("items[at] == 'b'", {"items": ["a", "b"], "at": 1.0}),
        ("order[key] + 1 == 3", {"order": {"n": 2}, "key": "n"}),
        ("{1: 'a', 2: 'b'}[n] == 'b' && n in {2: 'b'} && n + 0.5 > 2", {"n": 2}),
        ("n % 2 == 0 && -n % 3 == -1", {"n": 4}),
        ("n % 2 == 0.5", {"n": 4.5}),
        ("int(n) + 1 == 5 && int(n) % 2 == 0", {"n": 4.9}),
        ("n - -1 == 5 && -n + 4 == 0 && (n - 2) * (n - 1) == 6", {"n": 4}),
        ("n * 0x10 + 1u == 65", {"n": 4}),
        ("n > 3 ? n * 0.5 == 2 : false", {"n": 4}),
        ("!(n + 1 > 5.5) // + 1\n && 'a' + \"b\" == r'ab'", {"n": 4}),
        ("string(n + 1) == '5'", {"n": 4}),
        ("has(order.n) && order.n + 0.5 == 2.5", {"order": {"n": 2}}),
        ("timestamp('2026-01-01T10:00:00Z').getHours() + n == 10.5", {"n": 0.5}),
        ("timestamp(day) + duration('1h') > timestamp(day)", {"day": "2026-01-01T00:00:00Z"}),
        ("type(1) != type(1.5) && n + 1 == 5", {"n": 4}),
        ("n % 10 == 5", {"n": 9007199254740995}),
        ("words + more == ['a', 'b']", {"words": ["a"], "more": ["b"]}),
    ],
)
def test_whole_and_fractional_numbers_go_together(source: str, known: dict[str, Any]) -> None:
    assert condition(source).holds(voice(**known)) is True


def test_why_a_condition_cannot_be_told_holds_no_word_of_a_visitors() -> None:
    known = voice(word="Zanzibar", order={"Zanzibar": 1}, items=[], n=3)
    for source, why in {
        "word": "it gives a text, and neither true nor false",
        "word + 1 > 2": "it calculates with a text and a number",
        "n / size(items) > 1": "it divides by zero",
        "n % 0 > 1": "it divides by zero",
        "items[0] == 1": "there is no item of that number",
        "order.late": "there is no 'late'",
        "{'a': true}[word]": "there is no such member",
        "int(word) > 1": "int() cannot take this value",
        "timestamp(word) > timestamp('2026-01-01T00:00:00Z')": "timestamp() cannot take this value",
        "'a'.matches(word + '(')": "matches() cannot take this value",
        "word > n": "a value is of the wrong type, or nothing is saved yet",
        "nobody * 2 > 1": "it calculates with nothing and a number",
    }.items():
        with pytest.raises(Unclear) as caught:
            condition(source).holds(known)
        assert str(caught.value) == why


def test_a_zero_from_a_visitor_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """What a function of ours raised would be printed by the library, values and all."""
    for source in (
        "n / 0.0 > 1",
        "n / zero > 1",
        "n % zero > 1",
        "word % 2 > 1",
        "word / word > 1",
        "[1][word] > 1",
    ):
        with pytest.raises(Unclear):
            condition(source).holds(voice(n=3.5, zero=0, word="Zanzibar"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("source", ["_key(1) == 1", "_divisor(2) == 2", "_rest(1.0, 2.0) == 1.0"])
def test_what_conditions_are_rewritten_with_is_no_authors_to_call(source: str) -> None:
    with pytest.raises(BadCondition, match="there is no function"):
        condition(source)


@pytest.mark.parametrize("source", ["", "n >", "if", "(" * 400, "'a'.b(1)", "__import__('os')", "x = 1"])
def test_what_is_no_condition_is_refused(source: str) -> None:
    with pytest.raises(BadCondition):
        condition(source)


@pytest.mark.parametrize(
    "source",
    [
        "items.map(x, x).size() > 1",
        "items.filter(x, x > 1).size() > 1",
        "items.map(x, items).size() > 1",
        "items.exists(x, !(x in items))",
        "items.exists(x, name.matches('a'))",
    ],
)
def test_a_loop_over_too_much_of_a_backends_answer_is_unclear(source: str) -> None:
    with pytest.raises(Unclear, match="its loop would look at more"):
        condition(source).holds(voice(items=list(range(60_000)), name="b"))


def test_a_loop_over_many_values_tells() -> None:
    orders = [{"number": number, "late": number == 1_999} for number in range(2_000)]
    assert condition("orders.exists(x, x.late)").holds(voice(orders=orders[-1_000:]))
    assert condition("size(orders.filter(x, x.late)) == 1").holds(voice(orders=orders[-100:]))
    assert condition("size(orders) == 2000").holds(voice(orders=orders))


def test_a_long_text_is_searched_but_is_no_pattern() -> None:
    long = voice(text="a" * 100_000, short="^a")
    assert condition("text.matches('^a+$') && text.matches( r'a' )").holds(long)
    assert condition("short.matches('a' + 'b?') && !short.matches(short)").holds(voice(short="^a"))
    for source in (
        "text.matches(text)",
        "text.matches('' + text)",
        "text.matches('a') && text.matches(short)",
    ):
        with pytest.raises(Unclear, match="a pattern has at most"):
            condition(source).holds(long)


@pytest.mark.parametrize(
    "source",
    [
        "a. // one\n map(x, b. // it's two\n map(y, y)).size() > 3",
        'a.map(x, b.map(y, """it\'s""" == y)).size() > 3',
        "a.map(x, r'\\' == x || b.exists(y, y == r'\\')).size() > 3",
        "a.map(x, 'it\\'s' == x || b.exists(y, y == 'it\\'s')).size() > 3",
    ],
)
def test_comments_and_texts_hide_no_loop(source: str) -> None:
    with pytest.raises(BadCondition, match="more than one loop"):
        condition(source)


def test_a_loop_in_a_text_or_a_comment_is_none() -> None:
    texts = "a.exists(x, x == '.map(y, 1) // it\\'s') || \"b.all(z, 1)\" == c"
    assert condition(texts).names == ("a", "c")
    assert condition("'https://x' == c // a.map(x, a.map(y, y))").names == ("c",)


def test_a_missing_member_is_named() -> None:
    with pytest.raises(Unclear, match="there is no 'late'"):
        condition("order.late").holds(voice(order={}))


def test_a_condition_names_its_variables() -> None:
    assert condition("a.b == c || visitor.door == 'x'").names == ("a", "c", "visitor")
    assert condition("list.exists(x, x == y)").names == ("list", "y")


@pytest.mark.parametrize(
    "delay, length", [("1s", 1), ("90s", 90), ("5m", 300), ("2h", 7200), ("366d", 366 * 86400)]
)
def test_delays_are_a_number_and_a_unit(delay: str, length: int) -> None:
    assert seconds(delay) == length


@pytest.mark.parametrize(
    "delay", ["", "0s", "5", "5 m", "-1s", "1.5h", "1w", "367d", "99999999d", "1M", "١s"]
)
def test_other_delays_are_none(delay: str) -> None:
    assert seconds(delay) is None
