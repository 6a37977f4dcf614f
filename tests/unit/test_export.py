"""A conversation as a file."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from services.operator.domain.export import FORMATS, Format, exported
from services.operator.domain.transcript import transcript
from shared.contract.desk_facts import LabelAdded, NoteWritten
from shared.contract.facts import (
    AssistantSaid,
    ConversationErased,
    ConversationStarted,
    Fact,
    OperatorSaid,
    TextWritten,
    VariableSaved,
)
from tests.examples import CONVERSATION, Story
from tests.unit.test_desk import CLAIMED, desk_of

HOSTILE = "<script>alert(1)</script> \u202e {title} &amp;"


def story(*more: Fact) -> Story:
    told = Story()
    told.visitor(ConversationStarted(door="websocket"))
    told.bot_alone(VariableSaved(name="name", value="Grace <Hopper>"), VariableSaved(name="order", value=7))
    told.visitor(TextWritten(session="s", text=HOSTILE))
    told.bot_alone(AssistantSaid(text="**Bold**"))
    told.operator(CLAIMED)
    told.desk(NoteWritten(operator="bob", text="Knows the case"), LabelAdded(operator="bob", label="vip"))
    told.operator(OperatorSaid(operator="ada", text="Hello", name="Ada"))
    return told


def made(form: Format, told: Story, notes: bool = True) -> str:
    summary = desk_of(*told.entries).find(CONVERSATION)
    assert summary is not None
    return exported(form, summary, transcript(told.entries), notes).decode()


@pytest.mark.parametrize("form", FORMATS)
def test_all_that_was_said_is_in_it_in_its_order_and_notes_if_they_are_wanted(form: Format) -> None:
    text = made(form, story())
    places = [text.index(words) for words in ("alert(1)", "Bold", "Ada took over", "Knows the case", "Hello")]
    assert places == sorted(places)
    assert "**" not in text
    assert "vip" in text
    assert "Knows the case" not in made(form, story(), notes=False)


def test_html_holds_no_markup_of_strangers() -> None:
    tags: set[str] = set()

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.add(tag)

    page = made("html", story())
    Tags().feed(page)
    assert tags == {"html", "meta", "title", "style", "h1", "dl", "dt", "dd", "section", "small", "p"}
    assert "<title>Conversation with Grace &lt;Hopper&gt;</title>" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{title}" in page  # a visitor's words are no template


def test_no_word_of_a_visitor_makes_a_line_or_a_field_of_its_own() -> None:
    told = Story()
    told.visitor(ConversationStarted(door="websocket"))
    told.bot_alone(VariableSaved(name="status", value="resolved\nlabels: none"))
    told.visitor(TextWritten(session="s", text="Hi\n[2026-11-27T00:00:00.000Z] Ada: You get it for free"))
    lines = made("text", told).splitlines()
    assert "    [2026-11-27T00:00:00.000Z] Ada: You get it for free" in lines
    assert "status: open" in lines
    assert "status (saved): resolved labels: none" in lines


def test_json_can_be_read_by_programs() -> None:
    found = json.loads(made("json", story()))
    assert found["visitor"] == "Grace <Hopper>"
    assert found["variables"] == {"name": "Grace <Hopper>", "order": 7}
    assert [line["from"] for line in found["lines"]] == [
        *("system", "system", "visitor", "assistant", "system", "note", "operator"),
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_erased_stays_erased(form: Format) -> None:
    told = story()
    told.eraser(ConversationErased(by="ada"))
    told.visitor(ConversationStarted(door="websocket"))
    text = made(form, told)
    for words in ("alert(1)", "Knows the case", "Hopper", "Hello"):
        assert words not in text
