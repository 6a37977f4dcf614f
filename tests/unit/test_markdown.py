"""The assistant's Markdown as plain text, also while it comes, and as HTML."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.proxy.domain.markdown_html import markdown_as_html
from services.proxy.domain.plain_text import text as shown
from services.proxy.domain.turns import Heard
from shared.contract.drafts import DraftPiece
from shared.contract.facts import AssistantSaid
from shared.contract.markdown import PlainMarkdown, plain_markdown
from tests.growth import growth

PLAIN = [
    ("", ""),
    ("No sign at all.", "No sign at all."),
    ("**Hello** *there*, __you__ and _me_", "Hello there, you and me"),
    ("***both*** ~~gone~~", "both gone"),
    ("**a *b* c** d", "a b c d"),
    ("*two\nlines*", "two\nlines"),
    ("This is **very impor", "This is very impor"),
    ("2 * 3 * 4, 5*3*2, 2**10, 2 ** 3", "2 * 3 * 4, 5*3*2, 2**10, 2 ** 3"),
    ("a_b_c, snake_case, *footnote, Price** is", "a_b_c, snake_case, *footnote, Price** is"),
    ("f***ing, ****", "f***ing, ****"),
    (
        "**\u300c\u5f37\u8abf\u300d**\u3067\u3059 **\u7c97\u4f53**\u6587 *\u659c*\u4f53",
        "\u300c\u5f37\u8abf\u300d\u3067\u3059 \u7c97\u4f53\u6587 \u659c\u4f53",
    ),
    ("**\u0939\u093e\u0901**, **\u0646\u0939\u0940\u0902**", "\u0939\u093e\u0901, \u0646\u0939\u0940\u0902"),
    ("`**kwargs`, ``a`b``, ` x `", "**kwargs, a`b, x"),
    ("[the page](https://example.com/a_b_c)", "the page (https://example.com/a_b_c)"),
    ('[**bold**](https://example.com "title")', "bold (https://example.com)"),
    ("[https://example.com](https://example.com/)", "https://example.com/"),
    ("[example.com](https://www.example.com/)", "https://www.example.com/"),
    ("[mail](mailto:a@b.example), [call](tel:+49301)", "mail (a@b.example), call (+49301)"),
    ("[x](javascript:alert), [y](data:text/html,1)", "x, y"),
    ("[a](https://en.wikipedia.org/wiki/X_(y))", "a (https://en.wikipedia.org/wiki/X_(y))"),
    ("<https://example.com>, <a@b.example>", "https://example.com, a@b.example"),
    ("![a map](https://example.com/map.png)", "a map"),
    ("[1] [a][b] [ ] [open", "[1] [a][b] [ ] [open"),
    ("* a\n+ b\n- c\n  * d\n1. e\n2) f", "- a\n- b\n- c\n  - d\n1. e\n2) f"),
    ("- **a**: *b*", "- a: b"),
    ("# Title\n## *Sub*\n#hash", "Title\nSub\n#hash"),
    ("Title\n=====\nSub\n---\ntext", "Title\nSub\n---\ntext"),
    ("> quoted **words**\n> > twice", "quoted words\ntwice"),
    ("```py\ndef f(*a, **k):\n    return `x`\n```\n**so**", "def f(*a, **k):\n    return `x`\nso"),
    ("~~~\n*x*\n~~~", "*x*\n"),
    ("| a | b |\n|---|:-:|\n| **1** | 2 |", "| a | b |\n| 1 | 2 |"),
    ("***\n* * *\n___", "---\n---\n---"),
    ("\\*not\\* \\# 1\\. \\a", "*not* # 1. \\a"),
    ("&amp; &lt;b&gt; &copy; AT&T &x", "& <b> \u00a9 AT&T &x"),
    ("<b>bold</b> <br>", "<b>bold</b> <br>"),
    ("one\r\n**two**\rthree", "one\ntwo\nthree"),
    ("\u041d\u0435\u0442, **\u043c\u0438\u0440**!", "\u041d\u0435\u0442, \u043c\u0438\u0440!"),
    ("\u0645\u0631\u062d\u0628\u0627 **\u0628\u0643**", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0643"),
]


@pytest.mark.parametrize(("markdown", "plain"), PLAIN)
def test_a_text_only_reader_gets_the_words_without_the_signs(markdown: str, plain: str) -> None:
    assert plain_markdown(markdown) == plain


PARTS = st.one_of(
    st.sampled_from([markdown for markdown, _ in PLAIN]),
    st.text(alphabet="*_`~[]()<>!\\#->|=&;1. \n\rab\u5f37", max_size=15),
    st.text(max_size=5),
)
TEXTS = st.lists(PARTS, max_size=5).map("".join)


@given(TEXTS, st.data())
def test_what_was_given_is_the_beginning_of_the_whole_however_it_is_cut(
    text: str, data: st.DataObject
) -> None:
    whole = plain_markdown(text)
    ends = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=10)))
    chunks = [text[begin:end] for begin, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    for cut in (chunks, list(text)):
        plain = PlainMarkdown()
        given = ""
        for chunk in cut:
            given += plain.take(chunk)
            assert whole.startswith(given)
        assert given + plain.end() == whole


@given(TEXTS, st.integers(1, 9))
def test_the_words_that_are_heard_are_the_beginning_of_what_is_stored(text: str, size: int) -> None:
    heard = Heard()
    for at in range(0, len(text), size):
        heard.take(DraftPiece(1, 1, at, text[at : at + size]))
        heard.take(DraftPiece(1, 1, max(0, at - 3), text[max(0, at - 3) : at + size]))  # a part of it again
        stored = shown(AssistantSaid(text=text))
        assert not stored or stored.startswith(heard.text)


HTML = [
    ("It arrives on Monday.", "It arrives on Monday."),
    ("one\ntwo", "one<br>two"),
    ("one\n\ntwo", "<p>one</p>\n<p>two</p>"),
    ("**a** *b* ~~c~~ `d`", "<strong>a</strong> <em>b</em> <s>c</s> <code>d</code>"),
    ("5*3*2 and **very impor", "5*3*2 and very impor"),
    ("**\u300c\u5f37\u8abf\u300d**\u3067\u3059", "<strong>\u300c\u5f37\u8abf\u300d</strong>\u3067\u3059"),
    ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
    ("1. a\n2. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>"),
    ("[a](https://b.example)", '<a href="https://b.example" rel="noopener">a</a>'),
    ("![a](https://b.example/c.png)", '<a href="https://b.example/c.png" rel="noopener">a</a>'),
    *(
        (f"[a]({to}) ![b]({to})", "a b")
        for to in ("javascript:x", "/c", "//d.example", "java&#10;script:x", "data:,x")
    ),
    ("<javascript:x> <ftp://b.example>", "javascript:x ftp://b.example"),
    ("[![a](https://b.example)](https://c.example)", '<a href="https://c.example" rel="noopener">a</a>'),
    ("<b>a</b> & <script>x</script>", "&lt;b&gt;a&lt;/b&gt; &amp; &lt;script&gt;x&lt;/script&gt;"),
    ("```\na ** b\n```", "<pre><code>a ** b\n</code></pre>"),
    ("    not code", "not code"),
]


@pytest.mark.parametrize(("markdown", "html"), HTML)
def test_a_client_that_shows_html_gets_clean_html(markdown: str, html: str) -> None:
    assert markdown_as_html(markdown) == html


@given(TEXTS | st.text(alphabet="<>\"'&/=abhref:javscript()[]!*` ", max_size=60))
def test_nothing_active_comes_out_of_any_text(text: str) -> None:
    html = markdown_as_html(text)
    for tag, rest in re.findall(r"<\s*/?\s*([a-z0-9]+)([^>]*)", html, re.IGNORECASE):
        assert tag in {
            *("p", "br", "hr", "a", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote"),
            *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
        }
        assert not re.search(r"\bon\w+\s*=|javascript:|src\s*=", re.sub(r'="[^"]*"', "", rest), re.IGNORECASE)
        assert not re.search(r'href="(?!https?:|mailto:|tel:)', rest, re.IGNORECASE)


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "*",
        "**a ",
        "`a``b",
        "> ",
        "[a](",
        "![",
        "<",
        "&",
        "_a ",
        "\\",
        "~~",
        "- ",
        "|",
        "*a ",
        "**a* ",
        "#",
        "`",
        "\n",
        "* * ",
        "[[]",
        "&a",
        "<a@",
        "a**b",
        "|a|\n|-|\n",
        " - a\n  ",
        "1. ",
    ],
)
@pytest.mark.parametrize("read", [plain_markdown.__wrapped__, markdown_as_html.__wrapped__, "stream"])
def test_the_time_grows_with_the_text_and_not_with_its_square(
    unit: str, read: Callable[[str], str] | str
) -> None:
    def work(length: int) -> None:
        text = (unit * (length // len(unit) + 1))[:length]
        if callable(read):
            read(text)
        else:
            plain = PlainMarkdown()
            for at in range(0, length, 4):
                plain.take(text[at : at + 4])

    assert growth(work) < 10


@pytest.mark.parametrize("length", [100, 195, 196, 197, 199, 200, 201, 400])
@pytest.mark.parametrize("line", ["`" * 400, "~~~ " + "i" * 400, "```" + "i" * 400])
def test_a_long_line_that_may_begin_code_is_the_same_however_it_comes(line: str, length: int) -> None:
    text = f"{line[:length]}\n*one* `two`\n{line[:3]}\n*three*"
    for step in (1, 7, 199, 1_000):
        plain = PlainMarkdown()
        told = [plain.take(text[at : at + step]) for at in range(0, len(text), step)]
        assert "".join(told) + plain.end() == plain_markdown(text), step
