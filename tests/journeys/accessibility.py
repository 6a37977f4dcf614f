"""axe-core, in a page of a test; and the sizes and colours in which a page must hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from playwright.async_api import Page, ViewportSize

from tests.javascript import ROOT, packages

AXE = ROOT / "node_modules/axe-core/axe.min.js"
RUN = """async (inside) => {
  const { violations } = await axe.run({ include: [[inside]] });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${help} at ${target.join(" ")}: ${failureSummary}`));
}"""
DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 800}
COLORS: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def finds(page: Page, inside: str = "switchboard-chat") -> list[str]:
    """What is wrong with this part of the page as it is shown, one line each."""
    packages(ROOT)
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    problems: list[str] = await page.evaluate(RUN, inside)
    return problems


async def fits_everyone(page: Page, inside: str, picture: str = "") -> None:
    """This part is readable at a desk and on a phone, light and dark, and needs no scrolling sideways.

    With SWITCHBOARD_TEST_PICTURES it is drawn there, as ``picture``, to be looked at.
    """
    before, folder = page.viewport_size or DESK, os.environ.get("SWITCHBOARD_TEST_PICTURES")
    for color in COLORS:
        await page.emulate_media(color_scheme=color)
        for size in (DESK, PHONE):
            await page.set_viewport_size(size)
            problems = await finds(page, inside)
            assert not problems, (color, size, problems)
            wide, shown = await page.locator(inside).evaluate("part => [part.scrollWidth, part.clientWidth]")
            assert wide <= shown, (size, wide, shown)
            if folder:
                name = picture or "".join(filter(str.isalnum, inside.removeprefix("[data-role=")))
                await page.screenshot(path=Path(folder) / f"{name}-{color}-{size['width']}.png")
    await page.emulate_media(color_scheme=None)
    await page.set_viewport_size(before)
