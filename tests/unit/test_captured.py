"""Numbers, days, telephone numbers and addresses as people write them, in their languages and scripts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from shared.contract.conversation import Begun
from shared.contract.facts import AskedAgain, ConversationStarted, Fact, VariableSaved
from shared.flow.language.templates import Voice
from shared.flow.language.values import Kind, Misfit, Save, captured
from tests.dialogue import FlowDialogue, asks, flow_of, got, said, text
from tests.growth import growth
from tests.processes import ROOT


def read(kind: Kind, words: str, *languages: str, units: tuple[str, ...] = (), region: str = "") -> Any:
    """What is kept; the meanings of what is not clear, the reason of what does not fit."""
    value = captured(Save("x", kind, units=units, region=region), words, languages)
    if isinstance(value, Misfit):
        return value.meanings or value.reason
    return value


# --- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, language, number",
    [
        ("1,000", "en", 1000),
        ("1,234.5", "en-GB", 1234.5),
        ("2.500", "en", 2.5),
        ("1.000", "de", 1000),
        ("2,500", "de", 2.5),
        ("1.234,5", "de", 1234.5),
        ("1 000", "fr", 1000),
        ("1\u202f234\u00a0567,5", "fr", 1234567.5),
        ("1’234.5", "de-CH", 1234.5),
        ("1,00,000", "en-IN", 100000),
        ("1,00,000", "en", 100000),
        ("१,००,०००", "hi", 100000),
        ("١٬٠٠٠٫٥", "ar", 1000.5),
        ("١٬٠٠٠", "", 1000),
        ("1٬000.5", "ar", 1000.5),
        ("۱۲۳", "fa", 123),
        ("১২", "bn", 12),
        ("１２", "ja", 12),
        ("１，０００", "ja", 1000),
        ("1.000", "pt-BR", 1000),
        ("1,000", "es-MX", 1000),
        ("−5", "en", -5),
        ("–5", "en", -5),
        ("+ 5", "en", 5),
        (".5", "en", 0.5),
        ("12.", "en", 12),
        # What a language writes otherwise is taken where it can mean one number only.
        ("1,234.5", "de", 1234.5),
        ("1.234.567", "en", 1234567),
        ("2,50", "en", 2.5),
        ("0,500", "", 0.5),
        ("1,234,567", "", 1234567),
        ("9007199254740991", "", 2**53 - 1),
    ],
)
def test_the_language_says_which_number_is_meant(words: str, language: str, number: float) -> None:
    value = read("number", words, *filter(None, [language]))
    assert value == number
    assert type(value) is type(number)


@pytest.mark.parametrize(
    "words, languages, meanings",
    [
        ("1,000", [], ("1000", "1")),
        ("2,500", [], ("2500", "2.5")),
        ("-2.500", [], ("-2500", "-2.5")),
        ("1.000", ["en"], ("1000", "1")),
        ("1,000", ["de"], ("1000", "1")),
        ("2.500", ["fr"], ("2500", "2,5")),
        ("2,500", ["en", "de"], ("2500", "2.5")),
        ("2,500", ["tlh"], ("2500", "2.5")),
    ],
)
def test_a_number_that_may_be_two_is_none_of_them(
    words: str, languages: list[str], meanings: tuple[str, ...]
) -> None:
    assert read("number", words, *languages) == meanings
    for meaning, value in zip(meanings, sorted(map(_plain, meanings), key=abs, reverse=True), strict=True):
        assert read("number", meaning, *languages) == value  # what the bot asks can be answered


def _plain(figures: str) -> float:
    return float(figures.replace(",", "."))


@pytest.mark.parametrize(
    "words, units",
    [
        ("12 €", ("€",)),
        ("€12", ("EUR", "€")),
        ("12 eur", ("€", "EUR")),
        ("12EUR.", ("€", "EUR")),
        ("$12", ("$",)),
        ("￥12", ("¥",)),
        ("12 m²", ("m", "m²")),
        ("12kg", ("kg", "g")),
        ("12 %", ("%",)),
        ("12 ₽", ("₽",)),
    ],
)
def test_a_unit_that_the_flow_names_is_taken_off(words: str, units: tuple[str, ...]) -> None:
    assert read("number", words, "en", units=units) == 12
    assert read("number", words, "en") == "not_a_number"


def test_a_sign_stands_before_or_behind_the_currency() -> None:
    for words in ("-$1,000", "$-1,000", "−$1,000"):
        assert read("number", words, "en", units=("$",)) == -1000


@pytest.mark.parametrize(
    "words",
    [
        *("", "ten", "1,2,3", "1 2", "1e3", "NaN", "Infinity", "10²", "½", "①", "12 apples", "12 €", "5-"),
        *("1٣", "१２٣", "12,3456", "9007199254740992", "1" * 400, "1'00", "0x10", "1_000", "--5", "1.2.3.4"),
    ],
)
def test_what_is_no_number_is_none(words: str) -> None:
    assert read("number", words, "en") == "not_a_number"


# --- days -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, language",
    [
        ("31-12-2026", "en"),
        ("31‑12‑2026", "nl"),
        ("2026/12/31", "en"),
        ("12/31/2026", "de"),
        ("31 December 2026", "en"),
        ("December 31st, 2026", "en-US"),
        ("the 31st of Dec. 2026", "en"),
        ("Thursday, 31 December 2026", "en-GB"),
        ("31. Dezember 2026", "de"),
        ("31. DEZ. 2026", "de-AT"),
        ("31 December 2026", "de"),
        ("31 déc. 2026", "fr"),
        ("31 decembre 2026", "fr"),
        ("31 de diciembre de 2026", "es"),
        ("31 декабря 2026 г.", "ru"),
        ("31 декабрь 2026", "ru"),
        ("31 grudnia 2026", "pl"),
        ("31 grudzień 2026", "pl"),
        ("31 prosince 2026", "cs"),
        ("31 ARALIK 2026", "tr"),
        ("31 aralik 2026", "tr"),
        ("31 Δεκεμβρίου 2026", "el"),
        ("٣١/١٢/٢٠٢٦", "ar"),
        ("٣١ ديسمبر ٢٠٢٦", "ar"),
        ("३१ दिसंबर २०२६", "hi"),
        ("31 בדצמבר 2026", "he"),
        ("ngày 31 tháng 12 năm 2026", "vi"),
        ("2026年12月31日", "zh-CN"),
        ("２０２６年１２月３１日", "en"),
        ("2026년 12월 31일", "ko"),
        ("2026. 12. 31.", "hu"),
        ("2026-12-31T10:00:00Z", ""),
        ("2026-12-31 10:00", "en"),
        ("2026-12-31t23:59:59.123+09:00", "ja"),
        ("２０２６-１２-３１", ""),
        ("\u200e31\u200e/12/2026\u200b", "ar"),
        ("31 декабря 2026 года", "ru"),
        ("31.12.2026 г.", "ru"),
        ("31 грудня 2026 року", "uk"),
        ("31 grudnia 2026 r.", "pl"),
        ("31.12.2026 roku", "pl"),
        ("31. decembra 2026", "sl"),
        ("31. децембра 2026.", "sr"),
        ("31. decembra 2026.", "sr-Latn"),
        ("31 ΔΕΚΕΜΒΡΙΟΥ 2026", "el"),
        ("Do., 31.12.2026", "de"),
        ("jeudi 31/12/2026", "fr"),
        ("31.12.2026, 10:00 Uhr", "de"),
        ("31/12/2026 à 10:00", "fr"),
        ("December 31, 2026 at 5:30 PM", "en"),
        ("12/31/2026 5:30 p.m.", "en"),
        ("2026年12月31日(木)", "ja"),
        ("2026年12月31日 星期四", "zh-CN"),
        ("2026년 12월 31일 (목)", "ko"),
        ("31 ธันวาคม พ.ศ. 2569", "th"),
        ("31 ธ.ค. ค.ศ. 2026", "th"),
    ],
)
def test_a_day_is_read_in_its_language(words: str, language: str) -> None:
    assert read("date", words, *filter(None, [language])) == "2026-12-31"


@pytest.mark.parametrize(
    "language, kept",
    [("de", "2026-04-03"), ("fr", "2026-04-03"), ("en-GB", "2026-04-03"), ("es-PA", "2026-03-04")],
)
def test_the_language_says_whether_the_day_or_the_month_comes_first(language: str, kept: str) -> None:
    assert read("date", "03/04/2026", language) == kept


@pytest.mark.parametrize(
    "words, languages, meanings",
    [
        ("03/04/2026", ["en"], ("March 4, 2026", "April 3, 2026")),
        ("03/04/2026", ["es-US"], ("4 de marzo de 2026", "3 de abril de 2026")),
        ("03/04/2026", ["eu"], ("2026-03-04", "2026-04-03")),  # its words would not be understood
        ("03/04/2026", ["en-US"], ("March 4, 2026", "April 3, 2026")),
        ("3-4-2026", [], ("March 4, 2026", "April 3, 2026")),
        ("03/04/2026", ["sv"], ("4 mars 2026", "3 april 2026")),
        ("03/04/2026", ["de", "en-US"], ("4. März 2026", "3. April 2026")),
        ("31/12/2569", ["th"], ("31 ธันวาคม ค.ศ. 2026", "31 ธันวาคม ค.ศ. 2569")),
    ],
)
def test_a_day_that_may_be_two_is_none_of_them(
    words: str, languages: list[str], meanings: tuple[str, ...]
) -> None:
    assert read("date", words, *languages) == meanings
    again = [read("date", meaning, *languages) for meaning in meanings]
    assert len(set(again)) == 2  # what is asked can be answered
    assert all(isinstance(each, str) and each[:4].isdecimal() for each in again)


@pytest.mark.parametrize("said", ["5 September 2026", "5 Sept 2026", "Sept. 5, 2026"])
def test_september_has_two_short_names_in_english(said: str) -> None:
    assert read("date", said, "en") == "2026-09-05"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("1. marca 2026", "03-01"),
        ("5. maja 2026", "05-05"),
        ("5. julija 2026", "07-05"),
        ("1. januarja 2026", "01-01"),
    ],
)
def test_months_have_their_genitives_in_slovene(said: str, kept: str) -> None:
    assert read("date", said, "sl") == f"2026-{kept}"


@pytest.mark.parametrize(
    "words",
    [
        *("", "tomorrow", "12/2026", "December 2026", "31 Dec", "2026-02-30", "2026-31-12", "0000-01-01"),
        *("31.12.26", "31/12/26", "31 December 26", "26-12-31", "31 Dezember 2026 oder 2027", "2026-12-3１٣"),
        *(
            "31 Marth 2026",
            "31 Dezember 2026 oder",
            "31 Dezembre 2026",
            "13/13/2026",
            "31 12 2026 5",
            "2026-12-31 25:00",
            "December the first, 2026",
            "vielleicht 31.12.2026",
            "31.12.2026 oder 1.1.2027",
            "nicht 31.12.2026",
            "31.12.2026 10:00 oder 11:00",
        ),
    ],
)
def test_what_is_no_day_is_none(words: str) -> None:
    assert read("date", words, "de") == "not_a_date"


def test_a_year_of_another_calendar_is_no_year() -> None:
    assert read("date", "۱۴۰۵/۱۰/۱۰", "fa") == "not_a_date"
    assert read("date", "۲۰۲۶/۱۲/۳۱", "fa") == "2026-12-31"


def test_a_name_of_two_months_is_none() -> None:
    """Jola-Fonyi shortens June and July alike."""
    assert read("date", "3 Su 2026", "dyo") == "not_a_date"
    assert read("date", "3 Sanvie 2026", "dyo") == "2026-01-03"


def test_names_of_months_do_not_depend_on_which_language_was_asked_for_first() -> None:
    """Babel keeps what it resolved for one language as another's."""
    script = (
        "from shared.flow.language.formats import months_of;"
        "languages = {order};"
        "found = {{each: sorted(months_of(each).items()) for each in languages}};"
        "print(sorted(found.items()))"
    )
    orders = (["zh", "ro", "nl", "sr"], ["sr", "nl", "ro", "zh"])
    printed = {
        subprocess.run(
            [sys.executable, "-c", script.format(order=order)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for order in orders
    }
    assert len(printed) == 1


# --- telephone numbers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        *(
            "+49 30 1234567",
            "0049 30 1234567",
            "+49 (0)30 1234567",
            "(+49) 30/123-4567",
            "tel:+49-30-1234567",
        ),
        *("TEL: +49.30.1234567", "+49 30‑1234567", "+49 30–1234567", "\u202a+49 30 1234567\u202c"),
        *("＋４９ ３０ １２３４５６７", "+٤٩ ٣٠ ١٢٣٤٥٦٧", "+४९ ३० १२३४५६७", "+49\u00a030\u202f1234567."),
    ],
)
@pytest.mark.parametrize("languages", [(), ("de",), ("en",)])
def test_one_number_is_kept_in_one_form(words: str, languages: tuple[str, ...]) -> None:
    assert read("phone", words, *languages) == "+49301234567"
    assert read("phone", words, *languages, region="US") == "+49301234567"


@pytest.mark.parametrize(
    "words, language, region, kept",
    [
        ("030 1234567", "de", "", "+49301234567"),
        ("030 1234567", "", "DE", "+49301234567"),
        ("030 1234567", "fr", "DE", "+49301234567"),
        ("01 23 45 67 89", "fr", "", "+33123456789"),
        ("020 7946 0958", "en-GB", "", "+442079460958"),
        ("090-1234-5678", "ja", "", "+819012345678"),
        ("8 (495) 123-45-67", "ru", "", "+74951234567"),
        ("(212) 555-0100", "", "US", "+12125550100"),
        ("011 49 30 1234567", "", "US", "+49301234567"),
        ("+1 555 0100", "de", "", "+15550100"),
        # Where nobody says which country it is, no country is guessed and no number is lost.
        ("030.1234567", "", "", "0301234567"),
        ("(212) 555-0100", "en", "", "2125550100"),
        ("050 123 4567", "ar", "", "0501234567"),
        ("01 23 45 67 89", "de", "", "0123456789"),
        ("030 1234567", "es-419", "", "0301234567"),
    ],
)
def test_a_national_number_gets_its_country(words: str, language: str, region: str, kept: str) -> None:
    assert read("phone", words, *filter(None, [language]), region=region) == kept


@pytest.mark.parametrize(
    "words",
    [
        *("030 1234567 x12", "030 1234567 ext. 12", "030 1234567, ext 12", "+49301234567#12"),
        *("tel:+49-30-1234567;ext=12", "030 1234567 Durchwahl 12", "030 1234567 Extension: 12"),
    ],
)
def test_an_extension_is_kept_behind_the_number(words: str) -> None:
    assert read("phone", words, "de") == "+49301234567;ext=12"


@pytest.mark.parametrize(
    "label", ["Tel.: ", "tel ", "Phone: ", "Telefon: ", "WhatsApp ", "Тел. ", "電話：", "전화: ", "Mobile: "]
)
def test_what_says_that_it_is_a_number_is_taken_off(label: str) -> None:
    assert read("phone", f"{label}+49 30 1234567", "en") == "+49301234567"


@pytest.mark.parametrize(
    "words",
    [
        "",
        "1234",
        "call me",
        "Phone:",
        "Room: 030 1234567",
        "my 5 cats 1234567",
        "+1234567890123456",
        "+999 1234567",
        "1-800-FLOWERS",
    ],
)
def test_what_is_no_telephone_number_is_none(words: str) -> None:
    assert read("phone", words, "de") == "not_a_phone"


def test_a_number_without_its_area_code_is_none() -> None:
    assert read("phone", "555 0100", region="US") == "not_a_phone"


# --- e-mail -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        *("sam@example.com\u200b", "mailto:sam@example.com", "MAILTO:sam@example.com?subject=Hi"),
        *("Sam <sam@example.com>", '"Sam, A." <sam@example.com>', "<mailto:sam@example.com>."),
        *(
            "sam@example.com.",
            "sam@example.com,",
            "sam＠example．com",
            "“sam@example.com”",
            "(sam@example.com)",
        ),
        *("sam@exa\u00admple.com", "\u2066sam@example.com\u2069", "sam@example。com", "sam@example.com!"),
        *("E-mail: sam@example.com", "mail address: sam@example.com", "[Sam](mailto:sam@example.com)"),
    ],
)
def test_what_stands_around_an_address_is_taken_off(words: str) -> None:
    assert read("email", words) == "sam@example.com"


def test_a_link_to_an_address_is_unescaped() -> None:
    assert read("email", "mailto:sam%2Bshop@example.com?subject=100%25") == "sam+shop@example.com"


@pytest.mark.parametrize(
    "address",
    ["jörg@müller.example", "नाम@उदाहरण.भारत", "Sam.O'Hara+shop@mail.example.com", "a`b@example.com"],
)
def test_an_address_is_kept_as_it_is_written(address: str) -> None:
    assert read("email", f" {address} ") == address


@pytest.mark.parametrize(
    "words",
    [
        *("", "sam", "sam@localhost", "a b@example.com", "a@example.com, b@example.com", "a@b@c.de"),
        *("Sam <a@x.de>, Bo <b@x.de>", "b@x.de <a@x.de>", "mailto:", "<>", "a" * 250 + "@b.de"),
    ],
)
def test_what_is_no_address_is_none(words: str) -> None:
    assert read("email", words) == "not_an_email"


# --- what the bot does ------------------------------------------------------------------------


def asking(settings: Any = None, language: str = "", **save: Any) -> FlowDialogue:
    flow = flow_of(
        ask=asks(),
        got=got(next="bye", save={"as": "x", **save}),
        bye={"end": True},
        settings=settings or {},
    )
    dialogue = FlowDialogue(flow)
    dialogue.when(ConversationStarted(door="websocket", language=language))
    return dialogue


def kept(facts: tuple[Fact, ...]) -> list[Any]:
    return [fact.value for fact in facts if isinstance(fact, VariableSaved)]


def test_what_is_not_clear_is_asked_back_and_then_is() -> None:
    dialogue = asking(kind="number")
    again = dialogue.when(text("1,000"))
    assert again[0] == AskedAgain(reason="ambiguous", tries=1)
    assert said(again) == ["Do you mean 1000 or 1?"]
    assert dialogue.state.progress.variables == {}
    assert kept(dialogue.when(text("1000"))) == [1000]


def test_a_flow_asks_back_in_its_own_words() -> None:
    words = {"en": "{{ first }}? {{ second }}?", "de": "Der {{ first }} oder der {{ second }}?"}
    for dialogue in (
        asking({"invalid": {"ambiguous": words}}, "de, en-US", kind="date"),
        asking({"language": "en"}, "de", kind="date", ambiguous=words),
    ):
        assert dialogue.flow.warnings == ()
        assert said(dialogue.when(text("31/12/2026"))) == []
    english = asking({"language": "en"}, "en-US", kind="date", ambiguous=words)
    assert said(english.when(text("03/04/2026"))) == ["March 4, 2026? April 3, 2026?"]


def test_the_conversations_language_decides() -> None:
    assert kept(asking(language="de-DE,de;q=0.9", kind="number").when(text("1.000"))) == [1000]
    assert kept(asking({"language": "de"}, kind="number").when(text("1.000"))) == [1000]
    # The bot speaks English to somebody who wishes German: either may be written.
    both = asking({"language": "en"}, "de", kind="number")
    assert said(both.when(text("2,500"))) == ["Do you mean 2500 or 2.5?"]


@pytest.mark.parametrize(
    "wishes, settled, languages",
    [
        ("de-CH, de;q=0.9, en", (), ("de-CH",)),
        ("de-CH, de;q=0.9, en", ("en", "de"), ("de-CH",)),
        ("fr, de-AT;q=0.5", ("en", "de"), ("de-AT",)),
        ("da, en;q=0.1", ("nb",), ("nb", "da")),  # near enough to be read
        ("ja", ("en", "de"), ("en", "ja")),
        ("", ("de", "en"), ("de",)),
        ("", (), ()),
    ],
)
def test_a_conversation_is_held_in_what_is_read_and_written(
    wishes: str, settled: tuple[str, ...], languages: tuple[str, ...]
) -> None:
    assert Voice(Begun(language=wishes), {}, settled).languages == languages


def test_numbers_are_read_in_the_language_that_is_spoken() -> None:
    """Catalans who also named English are spoken to in English, not in Spanish."""
    texts = {"en": "How many?", "es": "¿Cuántos?"}
    flow = flow_of(
        ask=asks(text=texts), got=got(next="bye", save={"as": "x", "kind": "number"}), bye={"end": True}
    )
    dialogue = FlowDialogue(flow)
    begun = dialogue.when(ConversationStarted(door="websocket", language="ca, en;q=0.5"))
    assert "How many?" in said(begun)
    assert kept(dialogue.when(text("1,000"))) == [1000]


def test_limits_hold_for_what_is_meant() -> None:
    dialogue = asking(language="de", kind="number", min=100, max=2000, unit=["€", "EUR"])
    for words, reason in (("1,5 €", "too_small"), ("2.500 EUR", "too_big"), ("zehn", "not_a_number")):
        assert isinstance(again := dialogue.when(text(words))[0], AskedAgain)
        assert again.reason == reason
    assert kept(dialogue.when(text("1.500 €"))) == [1500]


def test_an_unclear_answer_is_not_made_clear_by_its_limits() -> None:
    """Of "2,500" the limit allows 2.5 alone, but that is not what was meant."""
    assert said(asking(kind="number", max=100).when(text("2,500"))) == ["Do you mean 2500 or 2.5?"]


def test_the_region_is_the_answers_or_the_whole_flows() -> None:
    assert kept(asking({"region": "DE"}, kind="phone").when(text("030 1234567"))) == ["+49301234567"]
    swiss = asking({"region": "DE"}, kind="phone", region="CH")
    assert kept(swiss.when(text("044 668 18 00"))) == ["+41446681800"]


LONG: dict[str, tuple[Kind, Callable[[int], str]]] = {
    "digits": ("number", lambda size: "1" * size),
    "groups": ("number", lambda size: "1," * size),
    "spaces in a number": ("number", lambda size: "1" + " " * size + "1"),
    "words in a day": ("date", lambda size: "of " * size),
    "months": ("date", lambda size: "may " * size),
    "spaces before an extension": ("phone", lambda size: "1" + " ;" * size),
    "an address of points": ("email", lambda size: "a." * size + "@b"),
    "addresses": ("email", lambda size: "<a@b.c>" * size),
    "quotes": ("email", lambda size: '"' * size),
}


@pytest.mark.parametrize("what", LONG)
def test_a_long_answer_costs_no_more_than_its_length(what: str) -> None:
    kind, made = LONG[what]
    assert growth(lambda size: read(kind, made(size), "en")) < 10


def test_nothing_large_is_imported_before_an_answer_needs_it() -> None:
    script = (
        "import sys; from shared.flow.language.values import Save, captured;"
        "import services.workflow.app;"
        "captured(Save('x'), 'hello'); captured(Save('x', 'email'), 'a@b.de');"
        "large = {'babel', 'phonenumbers', 'langcodes'};"
        "assert large.isdisjoint(sys.modules), large & set(sys.modules);"
        "captured(Save('x', 'phone'), '+49 30 1234567'); captured(Save('x', 'number'), '1', ['de']);"
        "assert large & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
