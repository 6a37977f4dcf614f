"""HTML as a reader of plain text sees it."""

from __future__ import annotations

import html
import re

import nh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.domain.transcript import spoken
from services.proxy.domain.plain_text import lines
from services.workflow.domain.assistant import PromptLine, conversation
from shared.contract.facts import BotSaid, Choice, ChoiceAsked, EditorOpened
from shared.contract.html_text import plain


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            'See our <a href="https://example.com/r">return form</a>.',
            "See our return form (https://example.com/r).",
        ),
        ("<a href='http://例え.jp/戻る' target=_blank>返品</a>", "返品 (http://例え.jp/戻る)"),
        ("<a href=https://example.com/a?b=1&amp;c=2>q</a>", "q (https://example.com/a?b=1&c=2)"),
        ("<a href='https://example.com/?a=1&copy=2'>q</a>", "q (https://example.com/?a=1&copy=2)"),
        ("<a class=x HREF = 'https://example.com/x'>q</a>", "q (https://example.com/x)"),
        ("<a href='https://one.example' href='https://two.example'>q</a>", "q (https://one.example)"),
        ("<a href='https://example.com/a b'>q</a>", "q (https://example.com/a%20b)"),
        ("<a href='\n https://example.com/x\t'>q</a>", "q (https://example.com/x)"),
        # not twice
        ("<a href='https://example.com'>https://example.com</a>", "https://example.com"),
        ("<a href='https://example.com/'>example.com</a>", "example.com"),
        ("<a href='mailto:help@example.com'>help@example.com</a>", "help@example.com"),
        ("<a href='tel:+49301234567'>+49 30 123-4567</a>", "+49 30 123-4567"),
        # as a person would write it
        ("<a href='mailto:help@example.com?subject=Hi'>write</a>", "write (help@example.com)"),
        ("<a href='TEL:+49301234567'>call</a>", "call (+49301234567)"),
        # what leads nowhere, or runs something
        ("<a href='javascript:alert(1)'>x</a>", "x"),
        ("<a href='java\nscript:alert(1)'>x</a>", "x"),
        ("<a href='&#106;avascript:alert(1)'>x</a>", "x"),
        ("<a href='data:text/html,x'>x</a>", "x"),
        ("<a href='/returns'>x</a>", "x"),
        ("<a href='//example.com'>x</a>", "x"),
        ("<a href=''>x</a>", "x"),
        ("<a name=top>x</a>", "x"),
        # around other things
        (
            "<a href='https://example.com/x'><b>big</b> <i>words</i></a>!",
            "big words (https://example.com/x)!",
        ),
        ("<a href='https://example.com/x'><p>a block</p></a>after", "a block (https://example.com/x)\nafter"),
        ("<a href='https://example.com/x'><img alt='Form' src=f></a>", "Form (https://example.com/x)"),
        ("<a href='https://example.com/x'><img src=f></a>", "https://example.com/x"),
        (
            "<a href=https://a.example/1>1<a href=https://b.example/2>2</a>",
            "1 (https://a.example/1)2 (https://b.example/2)",
        ),
        ("<a href='https://example.com/x'>never closed", "never closed (https://example.com/x)"),
        ("<ul><li><a href='https://example.com/1'>1</a><li>two</ul>", "1 (https://example.com/1)\ntwo"),
        ("x<template><a href='https://example.com'>y</a></template>z", "xz"),
    ],
)
def test_a_link_keeps_where_it_leads(source: str, text: str) -> None:
    assert plain(source, addresses=True) == text
    assert "://" not in plain(re.sub(r">https?://[^<]*<", "><", source))  # nor where words are compared


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('<img src="x.png" alt="Our shop">', "Our shop"),
        ("<p>Look: <img alt='a &lt; b'/></p>", "Look: a < b"),
        ("<img src=x>", ""),
        ("<img alt=''>", ""),
        ("one<br/>two<BR>three</br>", "one\ntwo\nthree"),
        ("<h2>Title</h2>text", "Title\ntext"),
        ("a<!-- <b> -->b<!-->c<!--->d<!-- e --!>f", "abcdf"),
        ("a<!-- never closed <b>b</b>", "a"),
        ("a<?php x ?>b<!DOCTYPE html>c<![CDATA[d]]>e</ f>g</>h", "abcegh"),
        ("a < b, 1<2 and <3 &lt; 4", "a < b, 1<2 and <3 < 4"),
        ("a<style>p > b {}</style>b<SCRIPT>if (a</b) x</script >c", "abc"),
        ("a<script>never closed <b>b</b>", "a"),
        ("a<b title='>'>b</b>c", "abc"),
        ("a<b title='never closed>b</b>c", "a"),
        ("a<b", "a"),
        ("&amp;lt; &nbsp;&hellip;&#x1F600;&#65;&bogus;", "&lt; \u00a0…😀A&bogus;"),
        (f"&#{'9' * 5000};x", "\ufffdx"),
        (f"&#{'0' * 5000}65;x", "Ax"),
        ("&#99999999;", "\ufffd"),
        ("&", "&"),
        ("<", "<"),
        ("</", "</"),
    ],
)
def test_tags_go_and_words_stay(source: str, text: str) -> None:
    assert plain(source) == text


PIECES = st.sampled_from(
    [
        *(
            "<",
            ">",
            "</",
            "/>",
            "<b>",
            "</b>",
            "<b",
            "<i class=x>",
            "<p>",
            "</p>",
            "<br>",
            "<a href=",
            "<a href='x'>",
            "</a>",
        ),
        *(
            "<!--",
            "-->",
            "--!>",
            "<!-->",
            "<!",
            "<?",
            "</ ",
            "'",
            '"',
            "=",
            " ",
            "\n",
            "&",
            "&amp;",
            "&lt;",
            "&#65;",
            "&#",
            ";",
        ),
        *(
            "x",
            "word",
            "é",
            "日本",
            "1",
            "-",
            "!",
            "/",
            "<script>",
            "</script>",
            "<style>",
            "</style >",
            "<img alt='y'>",
        ),
    ]
)


def words(text: str) -> str:
    """Without white space, since what breaks a line is ours to say, and without controls."""
    return "".join(sign for sign in text if sign.isprintable() and not sign.isspace())


@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_is_a_tag_and_what_a_word_is_as_in_a_browser(source: str) -> None:
    source = source.replace("alt", "art")  # an image's words are in no browser's text
    assert words(plain(source)) == words(html.unescape(nh3.clean(source, tags=set())))


@given(st.text(alphabet=st.characters() | st.sampled_from("<>&'\"=/!-?#;abp ")))
def test_whatever_is_written_has_a_text(source: str) -> None:
    plain(source)
    plain(source, addresses=True)


LINKED = 'The <a href="https://example.com/returns">form</a>'
TOLD = "The form (https://example.com/returns)"


def test_text_doors_operators_and_the_assistant_are_told_addresses() -> None:
    asked = ChoiceAsked(group="g", question=LINKED, choices=(Choice(item=1, text=LINKED),))
    assert lines(BotSaid(text=LINKED)) == [TOLD]
    assert lines(EditorOpened(session="s", text=LINKED)) == [TOLD]
    assert lines(asked) == [TOLD, f"1. {TOLD}"]
    assert spoken(BotSaid(text=LINKED), None) == TOLD
    assert spoken(asked, None) == f"{TOLD}\n• {TOLD}"
    assert conversation("", [PromptLine("bot", LINKED)], 1_000)[0].content == TOLD
