"""What holds for every request, before any of them is looked at: origin, readiness, safe headers."""

from __future__ import annotations

import msgspec

from shared.service.health import Asgi, Health, Receive, Scope, Send, respond
from shared.service.neighbours import is_own_page

_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Swagger UI writes style attributes.
_DOCS = _PAGES.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class OperatorMiddleware:
    """Wraps the service's ASGI application."""

    def __init__(self, app: Asgi, health: Health) -> None:
        self._app = app
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # uvicorn answers 403 to a WebSocket that is closed before it was accepted.
            await send({"type": "websocket.close", "code": 1000})
            return
        send = _with_headers(scope["path"], send)
        headers = dict(scope["headers"])
        # While it drains the service still serves whoever is connected.
        reasons = {part: why for part, why in self._health.reasons.items() if part != "drain"}
        changes = scope["method"] not in ("GET", "HEAD")
        if (changes or scope["path"].startswith("/api/")) and not is_own_page(headers):
            await _refuse(send, 403, "this origin may not do that")
        elif scope["path"].startswith(("/api/", "/login/")) and reasons:
            await _refuse(send, 503, "not ready: " + "; ".join(reasons.values()))
        else:
            await self._app(scope, receive, send)


def _with_headers(path: str, send: Send) -> Send:
    policy = _DOCS if path.startswith("/docs") else _PAGES
    # What the API says is for one operator, now; pages are asked about again each time.
    cache = b"no-store" if path.startswith(("/api/", "/login/")) else b"no-cache"
    added = [*_HEADERS, (b"content-security-policy", policy.encode()), (b"cache-control", cache)]

    async def send_with_headers(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers") or []
            assert isinstance(given, list | tuple)
            names = {name.lower() for name, _ in added}
            kept = [(name, value) for name, value in given if name.lower() not in names]
            message = {**message, "headers": [*kept, *added]}
        await send(message)

    return send_with_headers


async def _refuse(send: Send, status: int, error: str) -> None:
    extra = [(b"retry-after", b"1")] if status == 503 else []
    await respond(send, status, msgspec.json.encode({"error": error}), extra=extra)
