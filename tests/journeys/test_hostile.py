"""Hostile words, names and flows: all of it is text, none of it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage, from_bot, from_operator, from_visitor, note
from tests.journeys.site import NO_POLICY, Site
from tests.journeys.stage import Stage
from tests.journeys.tour import CALLING, MENU, MENU_AT_DESK, WELCOME, WELCOME_AT_DESK
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

IMAGE = "<img src=x onerror=alert(1)>"
SCRIPT = "</p><script>alert(2)</script><b onclick='alert(3)'>&lt;hi&gt;</b>"
NAME = "<i>Eve</i><img src=x onerror=alert(4)>"

#: Every way to run something that HTML has a name for. The image's data is broken on purpose.
HTML = "".join(
    (
        '<img src="data:image/png;base64,AAAA" onerror="alert(5)"><script>alert(6)</script>',
        '<svg onload="alert(7)"><script>alert(8)</script></svg>',
        '<iframe srcdoc="<script>alert(9)</script>"></iframe>',
        '<math><mtext><table><mglyph><style><img src="data:," onerror="alert(10)"></style></mglyph></table>',
        "</mtext></math><style>* { display: none }</style>",
        '<link rel="stylesheet" href="data:text/css,*{display:none}">',
        '<form action="javascript:alert(11)"><button formaction="javascript:alert(12)">F</button></form>',
        '<a href="javascript:alert(13)" onclick="alert(14)">J</a>',
        '<a href="data:text/html,<script>alert(15)</script>">D</a>',
        '<details open ontoggle="alert(16)">T</details>',
        '<video onloadstart="alert(17)"><source onerror="alert(18)"></video>',
        '<b onmouseover="alert(19)" onfocus="alert(20)" tabindex="1" autofocus style="position:fixed">B</b>',
    )
)
#: What may not be found in the chat once the HTML is in it.
ACTIVE = (
    "script, iframe, style, link, svg:not([class^=icon]), math, form, [srcdoc], [formaction], [autofocus]"
)
ATTRIBUTES = "all => all.flatMap(one => one.getAttributeNames()).filter(name => name.startsWith('on'))"


async def is_harmless(visitor: ChatPage) -> None:
    """Nothing active is in the chat, and touching all that looks alive does nothing."""
    log = visitor.part("log")
    await expect(log.locator(ACTIVE)).to_have_count(0)
    assert await log.locator("*").evaluate_all(ATTRIBUTES) == []
    for link in await log.locator("a").all():
        assert await link.get_attribute("href") is None
    for element in await log.locator("[part=bubble] :is(a, b, summary, details)").all():
        await element.hover()
        await element.click()
    assert len(visitor.page.context.pages) == 1


async def test_what_people_type_is_shown_as_they_typed_it(people: People, stage: Stage) -> None:
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("A person, and back")
    await visitor.hears(CALLING)
    await visitor.types(IMAGE)
    await visitor.sees_the_same()

    await stage.account("eve", NAME)
    eve = await people.operator("eve")
    await expect(eve.row(await visitor.conversation())).to_contain_text(IMAGE)
    await eve.opens(await visitor.conversation())
    await eve.takes_over()
    await visitor.sees(note(f"{NAME} joined"))
    await eve.says(SCRIPT)
    await visitor.sees(from_operator(SCRIPT))
    eve.lines.clear()
    await eve.sees(
        from_bot(WELCOME_AT_DESK, MENU_AT_DESK),
        from_visitor("A person, and back"),
        from_bot(CALLING),
        note("Waiting for a person in “tour”: A guest of the tour"),
        from_visitor(IMAGE),
        note(f"{NAME} took over"),
        from_operator(SCRIPT),
    )
    await visitor.reloads()
    await visitor.sees_the_same()
    for page in (visitor.page, eve.page):
        await expect(page.locator("[src=x], [onclick]")).to_have_count(0)


def hostile_flow() -> dict[str, Any]:
    """A flow whose author means harm."""
    choice = {"itemId": 1, "content": f"{HTML}Pick me"}
    ask = {"kind": "ChoiceRequest", "groupId": 1, "question": f"{HTML}Asked", "choices": [choice]}
    edit = {"kind": "StartChatSession", "sessionId": 1, "chatPrompt": IMAGE, "chatText": f"{HTML}Opened"}
    return {
        "say": {"sendRequest": {"kind": "BotText", "content": f"{HTML}Said"}, "next": "ask"},
        "ask": {"sendRequest": ask},
        "isMe": {"matchResponse": {"kind": "ChoiceResponse", "groupId": 1, "itemId": 1}, "next": "edit"},
        "edit": {"sendRequest": edit},
        "got": {"matchResponse": {"kind": "UserText", "sessionId": 1}},
    }


async def test_hostile_html_of_a_flow_does_nothing(
    browser: Browser, watch: PageWatch, tmp_path: Path
) -> None:
    flow = tmp_path / "flow.json"
    flow.write_text(json.dumps(hostile_flow()))
    async with (
        Stage(tmp_path, flow) as stage,
        Site(stage.proxy.url, NO_POLICY) as site,
        People(browser, stage, watch) as people,
    ):
        visitor = await people.visitor(site.url)
        await expect(visitor.texts).to_contain_text(["Said", "Asked"])
        await is_harmless(visitor)
        await visitor.choices.click()
        await visitor.sees_prompt(IMAGE, open=True)
        await expect(visitor.texts).to_contain_text(["Said", "Asked", "Pick me", "Opened"])
        await is_harmless(visitor)

        ada = await people.operator("ada")
        await ada.looks_at("live")
        await ada.opens(await visitor.conversation())
        await expect(ada.texts).to_contain_text(["Said", "Asked", "Pick me", "Opened"])
        await expect(ada.texts.locator("*")).to_have_count(0)  # plain text


async def test_the_button_cleans_again_what_a_server_would_let_through(people: People, stage: Stage) -> None:
    def pass_on_dirty(route: WebSocketRoute) -> None:
        def dirty(message: str | bytes) -> None:
            frame = json.loads(message)
            if frame["kind"] == "BotText":
                frame["content"] = f"{HTML}Said"
            route.send(json.dumps(frame))

        route.connect_to_server().on_message(dirty)

    async with Site(stage.proxy.url, NO_POLICY) as site:
        page = await people.page()
        await page.route_web_socket("**/ws*", pass_on_dirty)
        await page.goto(site.url)
        visitor = ChatPage(page)
        await visitor.opens()
        await expect(visitor.texts).to_contain_text(["Said", MENU])
        await is_harmless(visitor)
