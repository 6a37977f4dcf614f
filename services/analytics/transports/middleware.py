"""What holds for every request to the dashboard: whose page asks, safe headers."""

from __future__ import annotations

from typing import Final

import msgspec

from services.analytics.transports.schemas import NumbersProblem
from shared.service.health import Asgi, Receive, Scope, Send, respond
from shared.service.neighbours import is_own_page

#: No script, style or address but our own; pictures may also lie in the style sheet.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
#: Needs no login, and holds no person: any page may ask for it, and read it where CORS lets it.
SUMMARY: Final = "/api/summary"


class DashboardMiddleware:
    """Wraps the service's ASGI application."""

    def __init__(self, app: Asgi) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            # uvicorn answers 403 to a WebSocket that is closed before it was accepted.
            return await send({"type": "websocket.close", "code": 1000})
        path: str = scope["path"]
        send = _with_headers(path, send)
        if path.startswith("/api/") and path != SUMMARY and not is_own_page(dict(scope["headers"])):
            found = NumbersProblem("Forbidden", 403, "only the dashboard's own page may ask for that")
            return await respond(send, 403, msgspec.json.encode(found), "application/problem+json")
        return await self._app(scope, receive, send)


def _with_headers(path: str, send: Send) -> Send:
    cache = b"no-store" if path.startswith("/api/") else b"no-cache"
    added = [*_HEADERS, (b"cache-control", cache)]

    async def send_with_headers(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers") or []
            assert isinstance(given, list | tuple)
            names = {name.lower() for name, _ in added}
            kept = [(name, value) for name, value in given if name.lower() not in names]
            message = {**message, "headers": [*kept, *added]}
        await send(message)

    return send_with_headers
