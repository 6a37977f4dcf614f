"""axe-core, in a page of a test."""

from __future__ import annotations

from playwright.async_api import Page

from tests.javascript import ROOT, packages

AXE = ROOT / "node_modules/axe-core/axe.min.js"
RUN = """async (part) => {
  const { violations } = await axe.run({ include: [[part]] });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${help} at ${target.join(" ")}: ${failureSummary}`));
}"""


async def finds(page: Page, part: str = "switchboard-chat") -> list[str]:
    """What is wrong with a part of the page as it is shown, one line each."""
    packages(ROOT)
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    problems: list[str] = await page.evaluate(RUN, part)
    return problems
