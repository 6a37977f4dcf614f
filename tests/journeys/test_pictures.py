"""The pictures of docs/operators.md are of the console as it is.

`SWITCHBOARD_TEST_PICTURES=docs pytest tests/journeys/test_pictures.py` makes them anew, in that folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.journeys.conftest import People
from tests.journeys.stage import Stage
from tests.journeys.test_console_desk import looks_at_waiting, waiting
from tests.journeys.tour import CALLING
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DOCS = Path(__file__).parent.parent.parent / "docs"
SIZE = (1280, 800)
PHONE = (390, 800)


def size(picture: Path) -> tuple[int, int]:
    """That of a PNG, from its head."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


async def test_the_console_in_pictures(
    people: People, stage: Stage, watch: PageWatch, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("SWITCHBOARD_TEST_PICTURES") or tmp_path)
    ada = await people.operator("ada")
    await ada.page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
    for name in ("Sam Rivers", ""):
        _, other = await waiting(people)
        if name:
            await stage.saves(other, name=name)
    visitor, conversation = await looks_at_waiting(people, ada)
    await stage.saves(conversation, name="Grace Miller", email="grace@example.org", order="A-1017")
    await ada.takes_over()
    await ada.says("Hello Grace, I am Ada. What can I do for you?")
    await expect(visitor.editor).to_be_enabled()
    await visitor.editor.fill("My order A-1017 came without the lamp: https://shop.example.org/orders/A-1017")
    await visitor.editor.press("Enter")
    await expect(ada.texts.last).to_contain_text("without the lamp")
    await ada.notes_down("The warehouse says it was packed. @bob please check the photo")
    await expect(ada.notes.last).to_contain_text("please check")
    await ada.part("label-text").fill("missing part")
    await ada.part("label-text").press("Enter")
    await expect(ada.part("unlabel")).to_be_visible()
    await ada.part("kind-reply").click()
    await ada.looks_at("live")
    await ada.toast.evaluate("toast => { toast.hidden = true }")  # it would go by itself, ten seconds later
    await ada.page.screenshot(path=folder / "console.png")
    await ada.page.emulate_media(color_scheme="dark")
    await ada.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    await ada.page.screenshot(path=folder / "console-phone.png")
    await ada.page.emulate_media(color_scheme="light")
    await ada.page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
    asked = ada.page.locator("[data-role=line]", has_text=CALLING)
    await asked.hover()
    await asked.locator("[data-role=why]").click()
    await expect(ada.part("history-path")).to_contain_text("calling")
    await ada.page.screenshot(path=folder / "console-history.png")
    for name, wanted in (("console.png", SIZE), ("console-phone.png", PHONE), ("console-history.png", SIZE)):
        assert size(folder / name) == size(DOCS / name) == wanted
