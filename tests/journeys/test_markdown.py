"""The assistant's Markdown, drawn in the chat button and in the console by real browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.journeys.conftest import People
from tests.journeys.stage import Stage
from tests.journeys.test_drafts import asked
from tests.journeys.watch import PageWatch
from tests.processes import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ANSWER = """**Your order** is on *its way*:

1. It left on `Monday`
2. It takes **two days**
   - or *three*

See [the page](https://example.com/orders) or ![a map](https://evil.example/map.png).

> Quoted *words*

```
a = b ** c
```
<img src=x onerror="document.title='taken'"> 2 * 3 = 6"""
SELECTORS = (
    "strong",
    "em",
    "ol > li",
    "ul > li",
    "code",
    "pre",
    "blockquote",
    "a[href='https://example.com/orders']",
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(tmp_path_factory.mktemp("markdown")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def stage(own_stage: Stage, watch: PageWatch) -> Stage:
    await own_stage.up()
    return own_stage


async def test_an_answer_is_drawn_while_it_is_made_and_when_it_is_stored(
    people: People, stage: Stage
) -> None:
    visitor, assistant = await asked(people, stage)
    bubble = visitor.page.locator("[data-role=draft] [part=bubble]")
    await assistant.begins()
    for end in range(7, len(ANSWER) + 7, 7):  # cut anywhere: no sign is shown on the way
        await assistant.drafts(end - 7, ANSWER[end - 7 : end])
        if end in (7, 14, 28):
            await expect(bubble).to_contain_text("Your")
            assert "*" not in await bubble.inner_text()
    await expect(bubble).to_contain_text("2 * 3 = 6")
    for selector in SELECTORS:
        assert await bubble.locator(selector).count() > 0, selector
    assert await bubble.locator("img, script").count() == 0
    await assistant.says(ANSWER)
    stored = visitor.rows.last.locator("[part=bubble]")
    await expect(stored).to_contain_text("2 * 3 = 6")
    for selector in SELECTORS:
        assert await stored.locator(selector).count() > 0, selector
    assert await stored.locator("img, script").count() == 0
    assert "**c" not in await stored.inner_text()
    assert await visitor.page.title() != "taken"
    link = stored.locator("a").first
    assert await link.get_attribute("target") == "_blank"

    operator = await people.operator("ada")
    await operator.looks_at("live")
    await operator.opens(await visitor.conversation())
    drawn = operator.rows.last.locator(".markdown")
    await expect(drawn).to_contain_text("2 * 3 = 6")
    for selector in SELECTORS:
        assert await drawn.locator(selector).count() > 0, selector
    assert await drawn.locator("img, script").count() == 0
    assert await operator.page.title() != "taken"


LOAD = """async () => {
  const { drawMarkdown } = await import("/console/markdown.js");
  window.draw = drawMarkdown;
  window.html = (text, growing) => {
    const box = document.createElement("div");
    box.append(drawMarkdown(text, growing));
    return box.innerHTML;
  };
}"""
TIME = """unit => {
  const once = (length) => {
    const text = unit.repeat(length / unit.length), begin = performance.now();
    window.draw(text);
    window.draw(text, true);
    return performance.now() - begin;
  };
  const least = (length) => Math.min(once(length), once(length), once(length));
  return [least(4000), least(32000)];
}"""
UNITS = [
    "[",
    "*",
    "**a ",
    "*a ",
    "`",
    "`a``",
    "> ",
    "[a](",
    "![",
    "_a ",
    "- a\n  ",
    "|-",
    "a|b\n-|-\n",
    "#",
    "<",
    "\\",
    "a\n",
]
DRAWN = [
    ("plain", "<p>plain</p>"),
    ("**a** _b_ ***c*** ~~d~~", "<p><strong>a</strong> <em>b</em> <strong>c</strong> <s>d</s></p>"),
    ("**a *b* c**", "<p><strong>a <em>b</em> c</strong></p>"),
    ("*two\nlines*", "<p><em>two\nlines</em></p>"),
    ("2 * 3, 5*3*2, 2**10, a_b_c, *footnote", "<p>2 * 3, 5*3*2, 2**10, a_b_c, *footnote</p>"),
    ("**\u300c\u5f37\u300d**\u3067\u3059", "<p><strong>\u300c\u5f37\u300d</strong>\u3067\u3059</p>"),
    ("This is **very impor", "<p>This is <strong>very impor</strong></p>"),
    ("`**kwargs` ``a`b``", "<p><code>**kwargs</code> <code>a`b</code></p>"),
    ("# A\n## **B**\nc", "<h1>A</h1><h2><strong>B</strong></h2><p>c</p>"),
    ("* a\n* b\n  * c\n* d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
    ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
    ("```py\n**x**\n```\ny", "<pre><code>**x**</code></pre><p>y</p>"),
    ("> a\n> *b*\nc", "<blockquote>a\n<em>b</em>\nc</blockquote>"),
    ("a\n\n---\n***", "<p>a</p><hr><hr>"),
    (
        "Prices:\n| a | *b* |\n|:--|--:|\n| 1 | 2\\|3 | 4 |\n| 5 |\n\nSo.",
        "<p>Prices:</p><table><tr><th>a</th><th><em>b</em></th></tr><tr><td>1</td><td>2|3</td></tr>"
        "<tr><td>5</td></tr></table><p>So.</p>",
    ),
    ("a | b\n-- | --\n1 | 2", "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"),
    ("a | b\n1 | 2", "<p>a | b\n1 | 2</p>"),
    ("<b>x</b> \\*y\\*", "<p>&lt;b&gt;x&lt;/b&gt; *y*</p>"),
    ("[x](javascript:alert) [y](data:text/html,1)", "<p>x y</p>"),
    ("[**x**](https://a.b/c_(d))", '<p><a href="https://a.b/c_(d)"><strong>x</strong></a></p>'),
    ("![x](https://a.b/c.png)", '<p><a href="https://a.b/c.png">x</a></p>'),
]


async def test_markdown_becomes_nodes_in_time_in_proportion_to_it(people: People, stage: Stage) -> None:
    page = await people.page()
    await page.goto(stage.operator.url)
    await page.evaluate(LOAD)
    texts = [text for text, _ in DRAWN]
    drawn: list[str] = await page.evaluate("texts => texts.map((text) => window.html(text, false))", texts)
    outside = ' target="_blank" rel="noopener noreferrer"'
    assert [html.replace(outside, "") for html in drawn] == [html for _, html in DRAWN]
    assert sum(html.count(outside) for html in drawn) == 2

    # Of a growing text no sign is shown before it is certain what it is.
    growing = [ANSWER[:end] for end in range(len(ANSWER)) if "```" not in ANSWER[:end]]
    drawn = await page.evaluate("texts => texts.map((text) => window.html(text, true))", growing)
    for text, html in zip(growing, drawn, strict=True):
        assert not set("*[`") & set(html), (text, html)

    for unit in UNITS:
        small, large = await page.evaluate(TIME, unit)
        assert large < 30 * small + 200, unit


async def test_both_pages_draw_with_the_same_lines() -> None:
    button, console = "services/proxy/widget/chat/view", "services/operator/static/console"
    assert (Path(ROOT) / button / "markdown.js").read_text() == (
        Path(ROOT) / console / "markdown.js"
    ).read_text()
