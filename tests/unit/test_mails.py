"""What is mailed to a visitor who has left, and when: without I/O."""

from __future__ import annotations

from email import message_from_bytes
from email.headerregistry import Address
from email.policy import default
from typing import Any

import pytest

from services.operator.domain import mails
from services.operator.domain.mails import MailLinks, compose, words_for
from services.operator.domain.transcript import TranscriptEntry, transcript
from services.operator.settings import Settings
from services.proxy.domain.text_answers import said_by_text
from shared.contract.conversation import Conversation
from shared.contract.facts import (
    AddressAsked,
    AddressGiven,
    ConversationClaimed,
    ConversationErased,
    ConversationReset,
    ConversationStarted,
    Fact,
    MailBegun,
    MailEnded,
    MailStopped,
    OperatorSaid,
    TextWritten,
    VariableSaved,
)
from shared.contract.mail_address import address_of
from shared.contract.presence import VisitorReport
from shared.service.links import Link, Links
from shared.service.settings import SettingError, load
from tests.examples import FIRST_TIME, SECOND, Story

STARTED, CLAIMED = ConversationStarted(door="websocket"), ConversationClaimed(operator="ada", name="Ada")
EMAIL = VariableSaved(name="email", value=" sam@shop.example ")


def said(text: str) -> OperatorSaid:
    return OperatorSaid(operator="ada", text=text, name="Ada")


def story(*operators: Fact, email: Any = EMAIL) -> Story:
    told = Story()
    told.visitor(STARTED)
    if email is not None:
        told.bot_alone(email)
    told.operator(CLAIMED)
    for fact in operators:
        told.operator(fact)
    return told


def due(state: Conversation) -> bool:
    return mails.due_since(state) > 0


# --- when something is due ---


def test_what_an_operator_says_is_due_until_the_visitor_does_something() -> None:
    told = story(said("one"), said("two"))
    assert mails.due_since(told.state) == FIRST_TIME + 3 * SECOND
    assert (told.state.mail.first, told.state.mail.last) == (4, 5)
    told.visitor(TextWritten(session="", text="I am here"))
    assert not due(told.state)


def test_without_an_address_nothing_is_due() -> None:
    assert not due(story(said("one"), email=None).state)
    for value in (
        "nobody",
        "sam@localhost",
        "a@b.example\nBcc: eve@b.example",
        "a@b.example, c@d.example",
        7,
    ):
        assert not due(story(said("one"), email=VariableSaved(name="email", value=value)).state)


@pytest.mark.parametrize("fact", [ConversationErased(by="ada"), ConversationReset(), MailStopped()])
def test_whoever_was_forgotten_or_began_anew_or_wants_none_is_mailed_nothing(fact: Fact) -> None:
    told = story(said("one"), MailBegun(until=4))
    told.eraser(fact) if isinstance(fact, ConversationErased) else told.visitor(fact)
    assert not due(told.state)
    assert mails.begin(told.state, 4) == ()
    assert mails.end(told.state, MailEnded(until=4, outcome="unknown")) == ()
    assert mails.end(told.state, MailEnded(until=4, outcome="seen")) == ()
    mailed = MailEnded(until=4, outcome="mailed")  # it was on its way
    assert mails.end(told.state, mailed) == (() if isinstance(fact, ConversationErased) else (mailed,))


def test_whoever_wants_no_more_is_mailed_nothing_that_is_said_later() -> None:
    told = story(said("one"))
    told.visitor(MailStopped())
    told.operator(said("two"))
    assert told.state.mail.since
    assert not due(told.state)


def test_a_mail_is_begun_at_most_twice() -> None:
    told = story(said("one"))
    for _ in range(2):
        assert mails.begin(told.state, 4) == (MailBegun(until=4),)
        told.operator(MailBegun(until=4))
    assert mails.begin(told.state, 4) == ()
    assert told.state.mail.attempts == 2
    told.operator(MailEnded(until=4, outcome="unknown"))
    assert not due(told.state)


def test_what_is_said_while_a_mail_is_on_its_way_is_due_behind_it() -> None:
    told = story(said("one"), MailBegun(until=4), said("two"))
    assert mails.begin(told.state, 6) == ()  # not before the first is done
    told.operator(MailEnded(until=4, outcome="mailed"))
    assert (told.state.mail.first, told.state.mail.last, due(told.state)) == (5, 6, True)
    assert mails.begin(told.state, 6) == (MailBegun(until=6),)


def test_of_one_conversation_four_go_in_an_hour() -> None:
    told = story()
    for number in range(4):
        at = told.operator(said(str(number))).position
        assert not mails.too_many(told.state, FIRST_TIME + number)
        told.operator(MailBegun(until=at))
        told.operator(MailEnded(until=at, outcome="mailed"))
    begun = told.state.mail.times[0]
    assert mails.too_many(told.state, begun + mails.HOUR - 1)
    assert not mails.too_many(told.state, begun + mails.HOUR)


def test_who_is_there_or_has_seen_it_is_told_apart() -> None:
    state = story(said("one")).state
    assert mails.is_seen(state, VisitorReport("", "gone", seen=4))
    assert not mails.is_seen(state, VisitorReport("", "gone", seen=3))
    assert all(mails.is_there(VisitorReport("", where)) for where in ("online", "away", "untold"))
    assert not any(mails.is_there(VisitorReport("", where)) for where in ("gone", "unknown"))


# --- the address that an operator asks for ---


def test_the_next_text_that_is_an_address_is_the_answer() -> None:
    told = story(AddressAsked(operator="ada", text="Your e-mail?", name="Ada"), email=None)
    assert said_by_text(told.state, "operator", "why?") == TextWritten(session="operator", text="why?")
    given = said_by_text(told.state, "operator", " sam@shop.example\n")
    assert given == AddressGiven(session="operator", address="sam@shop.example")
    told.visitor(given)
    told.operator(said("Thank you"))
    assert told.state.progress.variables == {"email": "sam@shop.example"}
    assert due(told.state)
    assert [(line.who, line.text) for line in transcript(told.entries)][1:] == [
        ("operator", "Your e-mail?"),
        ("visitor", "sam@shop.example"),
        ("operator", "Thank you"),
    ]
    assert said_by_text(told.state, "", "eve@shop.example") == TextWritten(
        session="", text="eve@shop.example"
    )


def test_an_address_that_is_given_again_is_wanted_again() -> None:
    told = story(said("one"))
    told.visitor(MailStopped())
    told.visitor(AddressGiven(session="", address="sam@shop.example"))
    told.operator(said("two"))
    assert due(told.state)


def test_what_became_of_it_is_in_the_transcript() -> None:
    told = story(
        said("one"), MailBegun(until=4), MailEnded(until=4, outcome="failed", reason="550 no such user")
    )
    assert transcript(told.entries)[-1].text == "What was said could not be mailed: 550 no such user"


@pytest.mark.parametrize(
    "text", ["a" * 65 + "@b.example", "a@" + "b" * 64 + ".example", "a@b", "a@-b.example", "ä@b.example"]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert address_of(text) == ""


# --- the mail ---

LINKS = MailLinks(
    resume="https://chat.example/resume#go=a&b", stop="https://chat.example/resume#stop=c",
    one_click=f"https://chat.example/resume/stop?token={'c.' * 150}", days=7,
)  # fmt: skip
SHOP = Address("Our shop", addr_spec="help@shop.example")


def line(text: str, name: str = "Ada") -> TranscriptEntry:
    return TranscriptEntry(4, FIRST_TIME, "operator", text, name)


def test_a_mail_has_both_forms_and_the_headers_against_loops() -> None:
    written = [line("Hello <b>you</b>\nBcc: eve@b.example"), line("Grüße", "Ada\r\nBcc: x@y.example")]
    mail = compose(SHOP, "sam@shop.example", written, LINKS, words_for("en"), ("c" * 32, 4), FIRST_TIME)
    read = message_from_bytes(mail.as_bytes(), policy=default)
    assert f"List-Unsubscribe: <{LINKS.one_click}>\r\n".encode() in mail.as_bytes()  # whole, and not encoded
    assert max(len(line) for line in mail.as_bytes().splitlines()) <= 998
    assert read["Date"] == "Tue, 14 Nov 2023 22:13:20 -0000"
    assert read["To"] == "sam@shop.example"
    assert read["Bcc"] is None
    assert read["From"] == "Our shop <help@shop.example>"
    assert read["Auto-Submitted"] == "auto-generated"
    assert read["List-Unsubscribe"] == f"<{LINKS.one_click}>"
    assert read["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert read["Message-ID"].endswith("@shop.example>")
    plain, html = read.get_body(("plain",)), read.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "Hello <b>you</b>" in plain.get_content()
    assert LINKS.resume in plain.get_content()
    assert "Hello &lt;b&gt;you&lt;/b&gt;<br>" in html.get_content()
    assert 'href="https://chat.example/resume#go=a&amp;b"' in html.get_content()


def test_the_same_mail_has_the_same_name_and_another_has_another() -> None:
    def name(until: int) -> str:
        return str(compose(SHOP, "a@b.example", [], LINKS, words_for(""), ("c" * 32, until), 0)["Message-ID"])

    assert name(4) == name(4) != name(5)


def test_a_long_talk_is_cut() -> None:
    mail = compose(SHOP, "a@b.example", [line("x" * 30_000), line("y")], LINKS, words_for(""), ("c", 4), 0)
    assert len(mail.as_bytes()) < 60_000


def test_it_speaks_the_visitors_language_where_it_can() -> None:
    assert words_for("ja, de-AT;q=0.8").subject == "Eine Antwort auf Ihren Chat"
    assert words_for("ja").subject == words_for("").subject == "An answer to your chat"


# --- links ---

SECRET = "0123456789abcdef" * 2


def test_a_link_holds_for_its_purpose_and_its_time() -> None:
    now = [1_000.0]
    links = Links(SECRET, lambda: now[0])
    link = Link("c" * 32, 5, 2_000, "https://shop.example/a")
    token = links.sign("resume", link)
    assert links.read("resume", token) == link
    assert links.read("stop", token) is None
    assert links.read("grant", token) is None
    assert Links(SECRET[::-1], lambda: now[0]).read("resume", token) is None
    for broken in ("", "a.b.c", token[:-2], token + "x" * 3_000, token.replace(".", "")):
        assert links.read("resume", broken) is None
    now[0] = 2_000.0
    assert links.read("resume", token) is None
    with pytest.raises(ValueError, match="32 bytes"):
        Links("short", lambda: 0.0)


# --- settings ---

GOOD = {
    "SWITCHBOARD_SMTP_HOST": "mail.example",
    "SWITCHBOARD_MAIL_FROM": "Our shop <help@shop.example>",
    "SWITCHBOARD_PUBLIC_URL": "https://chat.example",
    "SWITCHBOARD_LINK_SECRET": SECRET,
}


def test_good_settings_say_who_sends() -> None:
    assert load(Settings, GOOD).sender == SHOP


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"MAIL_FROM": "nobody"}, "SWITCHBOARD_MAIL_FROM is 'nobody'"),
        ({"PUBLIC_URL": ""}, "SWITCHBOARD_PUBLIC_URL is not"),
        ({"LINK_SECRET": "short"}, "SWITCHBOARD_LINK_SECRET has less than 32 bytes"),
        ({"SMTP_USER": "shop"}, "only one"),
        (
            {"SMTP_USER": "shop", "SMTP_PASSWORD_FILE": "/nowhere"},
            "SWITCHBOARD_SMTP_PASSWORD_FILE cannot be read",
        ),
        ({"SMTP_USER": "shop", "SMTP_PASSWORD_FILE": "/x", "SMTP_SECURITY": "none"}, "in the open"),
    ],
)
def test_bad_settings_are_named(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        load(Settings, {**GOOD, **{f"SWITCHBOARD_{name}": value for name, value in changed.items()}})
