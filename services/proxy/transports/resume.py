"""Where the links of mails lead: a visitor comes back to the conversation, or wants no more mails of it.

A link is opened by a page, and followed only by a press of its button (a POST): programs that look at links
in mails change nothing, and nobody is put into a stranger's conversation without being told. Who comes back
gets a cookie that names the conversation in place of a secret; that is all the right they have.
"""

from __future__ import annotations

from http.cookies import SimpleCookie
from time import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec.structs import replace

from services.proxy.admission import Admission, BodyRefused, refuse
from services.proxy.domain import origins
from services.proxy.hub import Hub
from services.proxy.settings import ProxySettings
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import MailStopped
from shared.eventlog.errors import Conflict, LogError
from shared.service.health import Receive, Scope, Send, respond

if TYPE_CHECKING:
    from shared.service.links import Link, Links

DOOR: Final = "resume"
PREFIX: Final = "/resume/"
#: How long whoever came by a link is let in with its cookie (seconds).
GRANT_SECONDS: Final = 30 * 86_400
#: What a grant begins with, so that it is told apart from a secret at a glance.
GRANT: Final = "mail."
#: The chat button opens the chat on a page whose address ends so.
OPEN: Final = "#switchboard"


class _Given(msgspec.Struct):
    token: str


class ResumeDoor:
    """Off without ``link_secret``: then no link is anybody's."""

    def __init__(self, hub: Hub, admission: Admission, settings: ProxySettings) -> None:
        """Raises ValueError where the secret is too short."""
        self._hub = hub
        self._admission = admission
        self._settings = settings
        self._links: Links | None = None
        if settings.link_secret:
            # Ciphers take a while to import: where no mails go out, nobody waits for them.
            from shared.service.links import Links

            self._links = Links(settings.link_secret, time)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        command = scope["path"].removeprefix(PREFIX)
        if command not in ("open", "stop") or self._links is None:
            await _answer(send, 404, error="there is nothing here")
            return
        if scope["method"] != "POST":
            body = b'{"error":"use POST"}'
            await respond(send, 405, body, extra=[(b"allow", b"POST")])
            return
        if not self._admission.origin_ok(scope, DOOR):
            await _answer(send, 403, error="this origin is not allowed here")
            return
        refusal = self._admission.connect(self._admission.address(scope), DOOR)
        if refusal is not None:
            await refuse(send, refusal)
            return
        try:
            token = _token(scope, await self._admission.body(receive))
        except BodyRefused as error:
            await _answer(send, error.status, error=str(error))
            return
        try:
            if command == "open":
                await self._open(scope, send, token, self._links)
            else:
                await self._stop(send, token, self._links)
        except LogError:
            await respond(send, 503, b'{"error":"not now; try again"}', extra=[(b"retry-after", b"5")])

    async def granted(self, cookie: str) -> str | None:
        """The conversation of whoever came by a mail; None where that holds no more. Raises `LogError`."""
        if self._links is None or not cookie.startswith(GRANT):
            return None
        link = self._links.read("grant", cookie.removeprefix(GRANT))
        return link.conversation if link is not None and await self._alive(link) else None

    async def _open(self, scope: Scope, send: Send, token: str, links: Links) -> None:
        link = links.read("resume", token)
        if link is None or not await self._alive(link):
            await _answer(send, 410, error="this link does not hold any more")
            return
        settings = self._settings
        grant = links.sign("grant", replace(link, until=int(time()) + GRANT_SECONDS, page=""))
        cookie: SimpleCookie = SimpleCookie()
        cookie[settings.cookie_name] = GRANT + grant
        morsel = cookie[settings.cookie_name]
        morsel["path"], morsel["max-age"] = settings.cookie_path, GRANT_SECONDS
        morsel["samesite"] = settings.cookie_samesite.capitalize()
        morsel["domain"] = settings.cookie_domain
        morsel["httponly"] = settings.cookie_httponly
        encrypted = scope["scheme"] == "https"
        morsel["secure"] = settings.cookie_secure == "yes" or (settings.cookie_secure == "auto" and encrypted)
        header = (b"set-cookie", morsel.OutputString().encode())
        body = msgspec.json.encode({"page": self._page(scope, link.page)})
        await respond(send, 200, body, extra=[header, (b"cache-control", b"no-store")])

    async def _stop(self, send: Send, token: str, links: Links) -> None:
        link = links.read("stop", token)
        if link is None:
            await _answer(send, 410, error="this link does not hold any more")
            return
        state = await self._state(link.conversation)
        if _holds(link, state) and not state.mail.stopped:
            # The same click again finds it done; a racing one is the same entry.
            entry = Entry(id=f"mail-stopped:{state.position}", facts=(MailStopped(),))
            try:
                await self._hub.append(link.conversation, entry, None)
            except Conflict:
                await _answer(send, 503, error="not now; try again")
                return
        await _answer(send, 200)

    async def _alive(self, link: Link) -> bool:
        return _holds(link, await self._state(link.conversation))

    async def _state(self, conversation: str) -> Conversation:
        state = NEW

        def take(recorded: RecordedEntry) -> None:
            nonlocal state
            state = evolve(state, recorded)

        await self._hub.read(conversation, 0, take)
        return state

    def _page(self, scope: Scope, page: str) -> str:
        """Where the visitor was, if that page may show the chat and knows the cookie; "": on our own page."""
        if not page or self._settings.cookie_samesite == "none":  # there a page has a cookie of its own
            return ""
        try:
            parts = urlsplit(page)
        except ValueError:
            return ""
        host = "".join(value.decode("latin-1") for key, value in scope["headers"] if key == b"host")
        if not origins.allowed(f"{parts.scheme}://{parts.netloc}", host, self._settings.origins):
            return ""
        return f"{parts.scheme}://{parts.netloc}{parts.path}{f'?{parts.query}' if parts.query else ''}{OPEN}"


def _holds(link: Link, state: Conversation) -> bool:
    """Whether the conversation is the one for which the link was made: it was not erased since."""
    return state.visit.started and state.visit.erased < link.at


def _token(scope: Scope, body: bytes) -> str:
    """From a page as JSON; from a mail program in the address (RFC 8058)."""
    named = _named(scope)
    if named:
        return named[0]
    try:
        token: str = msgspec.json.decode(body, type=_Given).token
        return token
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BodyRefused(400, 'the body is {"token": "..."}, with what stands in the link') from error


def _named(scope: Scope) -> list[str] | None:
    query: bytes = scope.get("query_string", b"")
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=5).get("token")
    except ValueError:  # more than these
        return None


async def _answer(send: Send, status: int, **told: Any) -> None:
    await respond(send, status, msgspec.json.encode(told), extra=[(b"cache-control", b"no-store")])
