"""The two pages, as the people in front of them use and see them.

Each keeps what its page must show by now. Every look compares the whole transcript with that, so
that a line which is lost, doubled, out of order or of the wrong author fails the next step.
"""

from __future__ import annotations

import re
from typing import Literal

from playwright.async_api import Locator, Page, expect

from shared.contract.subjects import conversation_of
from tests.journeys.stage import PASSWORD

State = Literal["connected", "connecting", "offline"]
Who = Literal["visitor", "bot", "operator", "system"]

#: The page as if another tab covered it, or nothing any more.
HIDDEN = """hidden => {
  const set = (name, value) => Object.defineProperty(document, name, { configurable: true, value });
  set("hidden", hidden);
  set("visibilityState", hidden ? "hidden" : "visible");
  document.dispatchEvent(new Event("visibilitychange"));
}"""

FROM = "rows => rows.map(row => row.dataset.from)"

Line = tuple[Who, str]


def from_bot(*texts: str) -> list[Line]:
    return [("bot", text) for text in texts]


def from_visitor(*texts: str) -> list[Line]:
    return [("visitor", text) for text in texts]


def from_operator(*texts: str) -> list[Line]:
    return [("operator", text) for text in texts]


def note(*texts: str) -> list[Line]:
    """Lines about what happened, said by nobody."""
    return [("system", text) for text in texts]


class TalkPage:
    """A page that shows a conversation: ``rows`` carry the authors, ``texts`` the words."""

    def __init__(self, page: Page, rows: Locator, texts: Locator) -> None:
        self.page = page
        self.rows = rows
        self.texts = texts
        self.lines: list[Line] = []  # what is or will be shown

    async def sees(self, *said: list[Line]) -> None:
        """These lines follow what was shown before, and nothing else does."""
        for lines in said:
            self.lines += lines
        await expect(self.texts).to_have_text([text for _, text in self.lines])
        assert await self.rows.evaluate_all(FROM) == [who for who, _ in self.lines]

    def part(self, role: str) -> Locator:
        return self.page.locator(f"[data-role={role}]")


class ChatPage(TalkPage):
    """The chat button on a page, and the visitor who uses it."""

    def __init__(self, page: Page) -> None:
        bubbles = page.locator("[data-role=message] [part=bubble], [data-role=message][data-from=system]")
        super().__init__(page, page.locator("[data-role=message]"), bubbles)
        self.dialog = self.part("dialog")
        self.status = self.part("status")
        self.editor = self.part("editor")
        self.avatar = self.part("avatar")
        self.waiting = self.part("waiting")
        self.typing = self.part("typing")
        self.closed = self.part("closed")
        self.stars = self.part("star")
        self.lit = page.locator("[data-role=star][data-lit]")
        self.restart = self.part("restart")
        self.notice = self.part("notice")
        self.unread = self.part("unread")
        self.choices = self.part("choice")
        self.pending = page.locator("[data-role=message][data-pending]")

    # --- what the visitor does ---

    async def opens(self) -> None:
        await self.part("launcher").click()
        await expect(self.dialog).to_be_visible()

    async def picks(self, words: str) -> None:
        """Click one of the choices that are open; it becomes the visitor's answer."""
        await self.page.locator("[data-role=choice]:enabled").filter(has_text=words).click()
        self.lines += from_visitor(words)

    async def types(self, words: str) -> None:
        await expect(self.editor).to_be_enabled()
        await self.editor.fill(words)
        await self.editor.press("Enter")
        self.lines += from_visitor(words)

    async def starts_over(self) -> None:
        """The menu's entry, and the question whether it is meant."""
        await self.part("more").click()
        await self.part("reset").click()
        await self.part("confirm-reset").click()
        self.lines.clear()

    async def starts_anew(self) -> None:
        """The button below a closed conversation."""
        await self.restart.click()
        self.lines.clear()

    async def reloads(self) -> None:
        await self.page.reload()
        await self.opens()

    # --- what the visitor sees ---

    async def hears(self, *texts: str) -> None:
        """The bot says this next."""
        await self.sees(from_bot(*texts))

    async def sees_the_same(self) -> None:
        """The transcript is what it was, and all of it is stored."""
        await self.sees()
        await expect(self.pending).to_have_count(0)

    async def sees_prompt(self, prompt: str, open: bool) -> None:
        """The empty editor's words, and whether it takes text."""
        await expect(self.editor).to_have_attribute("placeholder", prompt)
        await expect(self.editor).to_be_enabled(enabled=open)

    async def sees_dot(self, *states: State) -> None:
        await expect(self.status).to_have_attribute("data-state", re.compile("|".join(states)))

    async def conversation(self) -> str:
        """The conversation's name on the log."""
        (cookie,) = [c for c in await self.page.context.cookies() if c.get("name") == "switchboard"]
        return conversation_of(cookie.get("value", ""), "websocket")


class ConsolePage(TalkPage):
    """The operators' console, and the operator in front of it."""

    def __init__(self, page: Page) -> None:
        lines = page.locator("[data-role=transcript] [data-role=line]")
        super().__init__(page, lines, lines.locator("p"))
        self.owner = self.part("owner")
        self.connection = self.part("connection")
        self.claim = self.part("claim")
        self.notice = self.part("notice")
        self.editor = self.part("say-text")
        self.typing = self.part("typing")
        self.unsent = self.part("unsent")
        self.notes = self.part("note").locator("p")
        self.toast = self.part("toast")

    # --- what the operator does ---

    async def logs_in(self, name: str) -> None:
        await self.part("login-name").fill(name)
        await self.part("login-password").fill(PASSWORD)
        await self.part("login-submit").click()
        await expect(self.part("desk")).to_be_visible()
        await expect(self.part("login")).to_be_hidden()
        await expect(self.connection).to_have_text("")

    async def looks_at(self, view: Literal["queue", "mine", "live", "snoozed", "resolved"]) -> None:
        await self.page.locator(f"[data-role=tab][data-view={view}]").click()

    def row(self, conversation: str) -> Locator:
        """The conversation in the list that is shown."""
        return self.page.locator(f"[data-role=row][data-id='{conversation}']")

    async def opens(self, conversation: str) -> None:
        await self.row(conversation).click()
        self.lines.clear()

    async def takes_over(self) -> None:
        await self.claim.click()
        await expect(self.owner).to_have_text("With you")

    async def says(self, text: str) -> None:
        await self.editor.fill(text)
        await self.editor.press("Enter")
        self.lines += from_operator(text)

    async def hands_back(self, state: str = "") -> None:
        await self.part("handback-state").select_option(state)
        await self.part("handback").click()

    async def releases(self) -> None:
        await self.part("release").click()

    async def resolves(self) -> None:
        await self.part("resolve").click()

    async def notes_down(self, text: str) -> None:
        """Write a note for colleagues."""
        await self.part("kind-note").click()
        await self.editor.fill(text)
        await self.editor.press("Enter")

    async def undoes(self) -> None:
        await self.part("undo").click()

    async def rows_in_list(self) -> list[str]:
        """The conversations of the list that is shown, in its order."""
        rows = self.page.locator("[data-role=list] [data-role=row]")
        return [str(id) for id in await rows.evaluate_all("rows => rows.map(row => row.dataset.id)")]
