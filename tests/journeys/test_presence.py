"""Where the visitor is, which page they are on and what they have seen, as the operator sees it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.journeys.conftest import People
from tests.journeys.pages import HIDDEN, from_operator, note
from tests.journeys.site import Site
from tests.journeys.stage import Stage
from tests.journeys.tour import CALLING, MENU, WELCOME

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_an_operator_sees_where_the_visitor_is_and_what_they_have_seen(
    people: People, stage: Stage
) -> None:
    ada = await people.operator("ada")
    where, seen = ada.part("presence"), ada.part("seen")
    async with Site(stage.proxy.url, attributes='data-share="page browser"') as shop:
        visitor = await people.visitor(f"{shop.url}/?token=secret")
        await visitor.hears(WELCOME, MENU)
        await visitor.picks("A person, and back")
        await visitor.hears(CALLING)
        conversation = await visitor.conversation()
        await ada.looks_at("queue")
        await ada.opens(conversation)
        await expect(where).to_have_text("Online: A shop")
        await expect(ada.part("page")).to_contain_text(f"{shop.url}/")
        assert "secret" not in await ada.page.content()
        await expect(ada.part("browser")).to_contain_text("Chrome")
        await expect(ada.part("referrer")).to_have_count(0)  # the page does not allow it

        # What is behind another tab is not seen, until somebody looks.
        await ada.takes_over()
        await visitor.sees(note("Ada joined"))
        await visitor.page.evaluate(HIDDEN, True)
        await expect(where).to_have_attribute("data-whereabouts", "away")
        await ada.says("Hello?")
        await visitor.sees(from_operator("Hello?"))
        mine = ada.rows.filter(has_text="Hello?")
        await expect(mine).to_have_count(1)
        await expect(mine.locator(seen)).to_have_count(0)
        await visitor.page.evaluate(HIDDEN, False)
        await expect(mine.locator(seen)).to_have_text("Seen")
        await expect(where).to_have_attribute("data-whereabouts", "online")

        # A page's own script shows another page; the next one is loaded; the last one is closed.
        await visitor.page.evaluate("history.pushState(null, '', '/?cart'); document.title = 'The cart'")
        await expect(where).to_have_text("Online: The cart")
        await visitor.reloads()
        await visitor.sees_the_same()
        await expect(where).to_have_text("Online: A shop")

        # They begin anew. What was said before can still be read, in a window of its own.
        await visitor.starts_over()
        await visitor.hears(WELCOME, MENU)
        await expect(ada.rows).to_have_count(2)
        await expect(ada.part("earlier-talk")).to_contain_text("Hello?")
        await ada.part("earlier-talk").click()
        before = ada.part("earlier-lines").locator("[data-role=line]")
        await expect(before.filter(has_text="Hello?")).to_have_count(1)
        await ada.page.keyboard.press("Escape")
        await expect(ada.part("earlier-dialog")).to_be_hidden()
        size = len(await stage.entries(conversation))
        await visitor.page.close()
        await expect(where).to_have_text("Gone: A shop")
        assert len(await stage.entries(conversation)) == size  # none of it is on the log

        # What is erased leaves the page while it is read.
        await ada.part("earlier-talk").click()
        await expect(before.filter(has_text="Hello?")).to_have_count(1)
        await stage.erases(conversation)
        await expect(ada.part("nothing")).to_be_visible()
        assert "Hello?" not in await ada.page.content()
