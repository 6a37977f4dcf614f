"""The chat button for everyone: keyboard, languages, contrast, zoom; axe finds nothing in any state."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, expect

from tests.journeys.accessibility import finds
from tests.journeys.conftest import PATIENCE, People
from tests.journeys.pages import ChatPage, from_visitor, note
from tests.journeys.site import NO_POLICY, Site
from tests.journeys.stage import Stage
from tests.journeys.tour import BYE, CALLING, CLOSED, MENU, OPEN, REOPENED, WELCOME
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ACTIVE = "document.querySelector('switchboard-chat').shadowRoot.activeElement?.dataset.role"
SCREENS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 780}, "has_touch": True},
    "forced colours": {"forced_colors": "active"},
    "right to left": {"locale": "ar-EG"},
    "zoom of 400 %": {"viewport": {"width": 320, "height": 256}},
}


async def context(browser: Browser, watch: PageWatch, **options: Any) -> BrowserContext:
    context = await browser.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(PATIENCE)
    watch.over(context)
    return context


@pytest.mark.parametrize("screen", SCREENS)
async def test_axe_finds_nothing_in_any_state(
    browser: Browser, stage: Stage, people: People, watch: PageWatch, screen: str
) -> None:
    own = await context(browser, watch, **SCREENS[screen])
    page = await own.new_page()
    visitor = ChatPage(page)
    ada = await people.operator("ada")

    async def is_fine(state: str) -> None:
        assert await finds(page) == [], state

    await page.goto(stage.proxy.url)
    await expect(visitor.part("launcher")).to_be_visible()
    await is_fine("the button alone")
    await visitor.opens()
    await visitor.hears(WELCOME, MENU)
    await is_fine("choices")
    await visitor.part("more").click()
    await is_fine("the menu")
    await visitor.part("reset").click()
    await is_fine("the question whether it is meant")
    await page.keyboard.press("Escape")
    await visitor.picks("The editor")
    await visitor.hears(OPEN)
    await visitor.editor.fill("x" * 17_000)
    await is_fine("a text that is nearly too long")
    await visitor.editor.press("Enter")
    await expect(visitor.part("error")).to_be_visible()
    await is_fine("a text that is too long")
    await visitor.types("Short")
    await visitor.hears(REOPENED)
    await visitor.types("Again")
    await visitor.hears(CLOSED, MENU)
    await visitor.picks("A person, and back")
    await visitor.hears(CALLING)
    await is_fine("waiting for a person")
    await ada.looks_at("queue")
    await ada.opens(await visitor.conversation())
    await ada.takes_over()
    await visitor.sees(note("Ada joined") if "locale" not in SCREENS[screen] else note("انضم Ada"))
    await ada.editor.press_sequentially("H")
    await expect(visitor.typing).to_be_visible()
    await is_fine("a person types")
    await ada.says("Hello")
    await page.keyboard.press("Escape")
    await ada.says("Are you there?")
    await expect(visitor.part("preview")).to_contain_text("Are you there?")
    await is_fine("an unread message")
    await visitor.part("preview").locator("button").first.click()
    await ada.resolves()
    await expect(visitor.part("restart")).to_be_visible()
    await is_fine("closed by the person")
    await visitor.stars.nth(4).click()
    await is_fine("rated")
    await own.close()


async def test_the_keyboard_alone_is_enough(people: People, stage: Stage) -> None:
    page = await people.page()
    await page.goto(stage.proxy.url)
    visitor = ChatPage(page)
    await expect(visitor.part("launcher")).to_be_visible()
    await visitor.part("launcher").focus()
    await page.keyboard.press("Enter")
    await visitor.hears(WELCOME, MENU)
    assert await page.evaluate(ACTIVE) == "log"

    # The menu opens, goes back to where it came from, and the question too.
    await visitor.part("more").focus()
    await page.keyboard.press("Enter")
    assert await page.evaluate(ACTIVE) == "sound"
    await page.keyboard.press("Escape")
    await expect(visitor.part("menu")).to_be_hidden()
    assert await page.evaluate(ACTIVE) == "more"
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    assert await page.evaluate(ACTIVE) == "cancel-reset"
    await page.keyboard.press("Enter")
    assert await page.evaluate(ACTIVE) == "more"

    await visitor.choices.filter(has_text="The editor").focus()
    await page.keyboard.press("Enter")
    visitor.lines += from_visitor("The editor")
    await visitor.hears(OPEN)
    assert await page.evaluate(ACTIVE) == "editor"  # where somebody goes on
    await page.keyboard.type("One line")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("and another")
    await page.keyboard.press("Enter")
    visitor.lines += from_visitor("One line\nand another")
    await visitor.hears(REOPENED)
    assert await page.evaluate(ACTIVE) == "editor"
    await page.keyboard.type("Again")
    await page.keyboard.press("Enter")
    visitor.lines += from_visitor("Again")
    await visitor.hears(CLOSED, MENU)
    assert await page.evaluate(ACTIVE) == "log"  # the editor is closed
    await page.keyboard.press("Escape")
    await expect(visitor.dialog).to_be_hidden()
    assert await page.evaluate(ACTIVE) == "launcher"


async def test_enter_picks_a_candidate_while_an_input_method_composes(people: People) -> None:
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("The editor")
    await visitor.hears(OPEN)
    keyboard = await visitor.page.context.new_cdp_session(visitor.page)
    await visitor.editor.focus()
    composing = {"text": "にほ", "selectionStart": 2, "selectionEnd": 2}
    await keyboard.send("Input.imeSetComposition", composing)
    await visitor.editor.evaluate(
        """editor => editor.dispatchEvent(new KeyboardEvent("keydown",
          { key: "Enter", isComposing: true, bubbles: true, cancelable: true }))"""
    )
    await visitor.sees()  # nothing was sent
    await expect(visitor.editor).to_have_value("にほ")
    await keyboard.send("Input.insertText", {"text": "日本"})
    await visitor.editor.press("Enter")
    visitor.lines += from_visitor("日本")
    await visitor.hears(REOPENED)


@pytest.mark.parametrize(
    ("locale", "attributes", "opens", "prompt", "direction"),
    [
        ("de-AT", "", "Chat öffnen", "Bitte eine Möglichkeit wählen", "ltr"),
        ("ca", "", "Abrir el chat", "Elija una opción", "ltr"),
        ("zh-TW", "", "開啟聊天", "請選擇一項", "ltr"),
        ("he", "", "פתיחת הצ׳אט", "יש לבחור אפשרות", "rtl"),
        ("sr", "", "Open the chat", "Choose an option", "ltr"),
        ("de", 'data-lang="fr-CA, en"', "Ouvrir le chat", "Choisissez une option", "ltr"),
        ("de", 'data-choose="Na?"', "Chat öffnen", "Na?", "ltr"),
    ],
)
async def test_it_speaks_the_visitors_language(
    browser: Browser,
    stage: Stage,
    watch: PageWatch,
    locale: str,
    attributes: str,
    opens: str,
    prompt: str,
    direction: str,
) -> None:
    own = await context(browser, watch, locale=locale)
    async with Site(stage.proxy.url, attributes=attributes) as site:
        page = await own.new_page()
        await page.goto(site.url)
        visitor = ChatPage(page)
        await expect(visitor.part("launcher")).to_have_attribute("aria-label", opens)
        await visitor.opens()
        await visitor.hears(WELCOME, MENU)
        await visitor.sees_prompt(prompt, open=False)
        assert await visitor.part("log").evaluate("log => getComputedStyle(log).direction") == direction
    await own.close()


async def test_one_more_language_is_a_json_file_of_the_page(people: People, stage: Stage) -> None:
    async with Site(stage.proxy.url, NO_POLICY, attributes='data-texts="/sv.json"') as site:
        page = await people.page()
        await page.route("**/sv.json", lambda route: route.fulfill(json={"choose": "Välj ett alternativ"}))
        await page.goto(site.url)
        visitor = ChatPage(page)
        await visitor.opens()
        await visitor.hears(WELCOME, MENU)
        await visitor.sees_prompt("Välj ett alternativ", open=False)
        await expect(visitor.part("log")).to_have_attribute("aria-label", "Messages")  # the rest is English


#: WCAG's contrast of an element's text and background.
CONTRAST = """element => {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  const luminance = (color) => {
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...context.getImageData(0, 0, 1, 1).data].map((each) =>
      each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const { color, backgroundColor } = getComputedStyle(element);
  const [dark, light] = [luminance(color), luminance(backgroundColor)].sort((one, other) => one - other);
  return (light + 0.05) / (dark + 0.05);
}"""


async def test_a_light_colour_of_the_page_stays_readable(people: People, stage: Stage) -> None:
    for color in ("#ffd400", "#111", "rgb(0 150 80)", "hotpink"):
        async with Site(stage.proxy.url, NO_POLICY, attributes=f'data-color="{color}"') as site:
            visitor = await people.visitor(site.url)
            await visitor.hears(WELCOME, MENU)
            await visitor.picks("The end")
            await visitor.hears(BYE)
            for part in ("launcher", "restart"):
                assert await visitor.part(part).evaluate(CONTRAST) >= 4.5, color
            head = visitor.dialog.locator("header")
            assert await head.evaluate(CONTRAST) >= 4.5, color
            assert await finds(visitor.page) == [], color
