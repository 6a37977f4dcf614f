"""What must happen in no journey: script errors, dialogs of the browser, requests to foreign hosts."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Dialog, Page, WebError

#: The browser's own note about the console's question whether somebody is logged in already.
NOT_LOGGED_IN = r"status of 401 .* /api/me$"
#: The browser's notes about connections that a journey breaks on purpose.
NETWORK = r"^WebSocket connection to|^Failed to load resource: (net::ERR_|.* status of 50\d)"


class PageWatch:
    """Collects the problems of all pages of a test; `allow` names those that it provokes."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.errors: list[str] = []  # all that the consoles of the browsers said, allowed or not
        self._allowed = [NOT_LOGGED_IN]

    def allow(self, pattern: str) -> None:
        """Errors in the browser's console in which this is found are part of the journey."""
        self._allowed.append(pattern)

    def over(self, context: BrowserContext) -> None:
        """Watch everything that happens in this context."""
        context.on("console", self._console)
        context.on("weberror", self._script)
        context.on("dialog", self._dialog)
        context.on("request", lambda request: self._address(request.url))
        context.on("page", self._page)

    def _page(self, page: Page) -> None:
        page.on("websocket", lambda socket: self._address(socket.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        path = urlsplit(message.location["url"]).path
        text = f"{message.text} {path}".strip()
        self.errors.append(text)
        if not any(re.search(pattern, text) for pattern in self._allowed):
            self.problems.append(f"console: {text}")

    def _script(self, error: WebError) -> None:
        self.problems.append(f"script: {getattr(error.error, 'stack', None) or error.error}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname != "127.0.0.1":
            self.problems.append(f"foreign host: {url}")
