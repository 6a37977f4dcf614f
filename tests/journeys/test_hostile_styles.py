"""Stylesheets of other people's pages: none of them moves, hides or restyles the chat button."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.journeys.conftest import PATIENCE, People
from tests.journeys.pages import ChatPage
from tests.journeys.site import NO_POLICY, Site
from tests.journeys.stage import Stage
from tests.journeys.tour import MENU, WELCOME
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SHEETS = sorted((Path(__file__).parent / "hostile").glob("*.css"))

#: Place and style of everything in the button, and what a click would hit. With what was seen before
#: (or by another page), only the differences come back.
LOOK = """async (before) => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const chat = document.querySelector("switchboard-chat");
  const look = {};
  const describe = (name, element, pseudo) => {
    const style = getComputedStyle(element, pseudo);
    // The page's zoom is answered with the opposite zoom: the places are what counts.
    const own = [...style].filter((property) => property !== "zoom" && !property.startsWith("--"));
    look[name] = own.map((property) => `${property}: ${style.getPropertyValue(property)}`).join("; ");
  };
  [...chat.shadowRoot.querySelectorAll("*")].forEach((element, index) => {
    const name = `${index} ${element.localName}.${element.getAttribute("class")}`;
    const { x, y, width, height } = element.getBoundingClientRect();
    look[`${name} place`] = [x, y, width, height].map(Math.round).join(" ");
    describe(name, element, null);
  });
  const pseudos = { ".frame": "backdrop", ".status": "before", textarea: "placeholder" };
  for (const [selector, pseudo] of Object.entries(pseudos)) {
    describe(`${selector}::${pseudo}`, chat.shadowRoot.querySelector(selector), `::${pseudo}`);
  }
  for (const role of ["launcher", "editor", "log", "choice"]) {
    const part = chat.shadowRoot.querySelector(`[data-role=${role}]`);
    const { x, y, width, height } = part.getBoundingClientRect();
    const hit = document.elementFromPoint(x + width / 2, y + height / 2);
    look[`a click on ${role}`] = hit?.localName ?? "nothing";
  }
  look.buttons = String(document.querySelectorAll("switchboard-chat").length);
  if (before === null) return window.seen = look;
  if (before === "seen") before = window.seen;
  const wrong = {};
  for (const name of Object.keys({ ...before, ...look })) {
    if (before[name] === look[name]) continue;
    const [was, is] = [before[name], look[name]].map((text) => (text ?? "").split("; "));
    wrong[name] = [was.filter((part) => !is.includes(part)), is.filter((part) => !was.includes(part))];
  }
  return wrong;
}"""

#: The share of pixels of two pictures that differ visibly.
DIFFERENCE = """async ([one, other]) => {
  const pixels = async (data) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.width, image.height).data;
  };
  const [left, right] = [await pixels(one), await pixels(other)];
  if (left.length !== right.length) return 1;
  let differ = 0;
  for (let at = 0; at < left.length; at += 4) {
    const far = [0, 1, 2].some((channel) => Math.abs(left[at + channel] - right[at + channel]) > 24);
    if (far) differ += 1;
  }
  return differ / (left.length / 4);
}"""

ADD = """css => {
  const style = document.createElement("style");
  style.id = "hostile";
  style.textContent = css;
  document.head.append(style);
}"""


class Gallery:
    """A page with an open chat, and how it looks while nothing is wrong."""

    def __init__(self, chat: ChatPage) -> None:
        self.chat = chat
        self.page = chat.page
        self.look: dict[str, str] | str = "seen"
        self.pictures: dict[str, str] = {}

    async def remember(self) -> None:
        await self.page.evaluate(LOOK, None)
        self.pictures = await self.photograph()

    async def photograph(self) -> dict[str, str]:
        """The panel and the button, without the shadows around them, which show the page."""
        pictures = {}
        for part, inset in ((self.chat.dialog, 20), (self.chat.part("launcher"), 12)):
            box = await part.bounding_box()
            assert box is not None
            clip: Any = {
                "x": box["x"] + inset,
                "y": box["y"] + inset,
                "width": box["width"] - 2 * inset,
                "height": box["height"] - 2 * inset,
            }
            picture = await self.page.screenshot(clip=clip)
            pictures[str(inset)] = base64.b64encode(picture).decode()
        return pictures

    async def is_as_it_was(self) -> None:
        wrong = await self.page.evaluate(LOOK, self.look)
        assert wrong == {}
        for name, picture in (await self.photograph()).items():
            difference = await self.page.evaluate(DIFFERENCE, [self.pictures[name], picture])
            assert difference < 0.002, f"{difference:.1%} of the pixels of {name} are others"


async def settled(page: Page) -> ChatPage:
    """The chat on this page, open, with the tour's greeting, and nothing that moves."""
    chat = ChatPage(page)
    await chat.opens()
    await chat.hears(WELCOME, MENU)
    await chat.part("log").focus()  # a caret blinks
    await chat.sees_dot("connected")
    await page.mouse.move(1, 1)
    return chat


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gallery(browser: Browser, stage: Stage) -> AsyncIterator[Gallery]:
    """One page for all stylesheets."""
    async with Site(stage.proxy.url, NO_POLICY) as site, People(browser, stage, PageWatch()) as people:
        page = await people.page()
        await page.goto(site.url)
        gallery = Gallery(await settled(page))
        await gallery.remember()
        yield gallery


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.stem)
async def test_a_page_cannot_move_hide_or_restyle_the_button(gallery: Gallery, sheet: Path) -> None:
    await gallery.page.evaluate(ADD, sheet.read_text())
    try:
        await gallery.page.evaluate("dispatchEvent(new Event('resize'))")
        await gallery.is_as_it_was()
    finally:
        await gallery.page.evaluate("document.getElementById('hostile').remove()")
        await gallery.page.evaluate("dispatchEvent(new Event('resize'))")


async def test_the_pictures_would_show_a_difference(gallery: Gallery) -> None:
    """The instrument itself: a part that is styled from inside looks different to it."""
    await gallery.chat.part("log").evaluate("log => (log.style.background = 'red')")
    with pytest.raises(AssertionError):
        await gallery.is_as_it_was()
    (before, after) = gallery.pictures["20"], (await gallery.photograph())["20"]
    assert await gallery.page.evaluate(DIFFERENCE, [before, after]) > 0.1
    await gallery.chat.part("log").evaluate("log => log.removeAttribute('style')")
    await gallery.is_as_it_was()


@pytest.mark.parametrize("name", ["all-relative-important", "body-transform", "popovers-hidden", "zoomed"])
async def test_a_stylesheet_that_is_there_first_changes_nothing_either(
    gallery: Gallery, people: People, stage: Stage, name: str
) -> None:
    css = next(sheet for sheet in SHEETS if sheet.stem == name).read_text()
    async with Site(stage.proxy.url, NO_POLICY, head=f"<style>{css}</style>") as site:
        page = await people.page()
        await page.goto(site.url)
        there = Gallery(await settled(page))
        there.look, there.pictures = await gallery.page.evaluate("window.seen"), gallery.pictures
        await there.is_as_it_was()


async def test_what_is_meant_to_be_set_by_the_page_is(people: People, stage: Stage) -> None:
    style = "<style>:root { --switchboard-accent: rgb(1, 2, 3); --switchboard-x: 60px; }</style>"
    async with Site(stage.proxy.url, NO_POLICY, head=style) as site:
        page = await people.page()
        await page.goto(site.url)
        launcher = ChatPage(page).part("launcher")
        await expect(launcher).to_have_css("background-color", "rgb(1, 2, 3)")
        box, view = await launcher.bounding_box(), page.viewport_size
        assert box is not None
        assert view is not None
        assert view["width"] - box["x"] - box["width"] == 60


async def test_a_browser_without_a_top_layer_shows_the_button_all_the_same(
    browser: Browser, stage: Stage, watch: PageWatch
) -> None:
    async with Site(stage.proxy.url, NO_POLICY) as site, People(browser, stage, watch) as people:
        page = await people.page()
        await page.add_init_script("delete HTMLElement.prototype.showPopover")
        await page.goto(site.url)
        await page.evaluate(ADD, "* { position: relative !important; } body { transform: scale(.5); }")
        chat = ChatPage(page)
        await chat.opens()
        await chat.hears(WELCOME, MENU)
        await page.mouse.move(1, 1)  # it grows under the mouse
        box, view = await chat.part("launcher").bounding_box(), page.viewport_size
        assert box is not None
        assert view is not None
        assert (view["width"] - box["x"] - box["width"], view["height"] - box["y"] - box["height"]) == (
            20,
            20,
        )


async def test_a_narrow_screen_is_filled_whatever_the_page_says(
    browser: Browser, stage: Stage, watch: PageWatch
) -> None:
    context = await browser.new_context(viewport={"width": 390, "height": 780}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    watch.over(context)
    css = "".join(sheet.read_text() for sheet in SHEETS if sheet.stem in ("dialogs", "backdrops", "boxes"))
    async with Site(stage.proxy.url, NO_POLICY, head=f"<style>{css}</style>") as site:
        page = await context.new_page()
        await page.goto(site.url)
        chat = ChatPage(page)
        await chat.opens()
        await chat.hears(WELCOME, MENU)
        assert await chat.dialog.bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 780}
    await context.close()
