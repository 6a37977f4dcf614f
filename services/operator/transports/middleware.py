"""What holds for every request, before any of them is looked at: origin, readiness, safe headers."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from shared.service.health import Asgi, Health, Receive, Scope, Send, respond

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
        if (changes or scope["path"].startswith("/api/")) and not _own_page(headers):
            await _refuse(send, 403, "this origin may not do that")
        elif scope["path"].startswith(("/api/", "/login/")) and reasons:
            await _refuse(send, 503, "not ready: " + "; ".join(reasons.values()))
        else:
            await self._app(scope, receive, send)


def _own_page(headers: dict[bytes, bytes]) -> bool:
    """Only the console itself may ask and change things: no other page, not even one of the same machine,
    which the session's cookie would be sent to at every port.

    Browsers name the origin of every request that changes something, and what kind of page it comes from
    (Sec-Fetch-Site, on HTTPS and on this machine); "none" is the address bar. Other clients name neither.
    """
    if headers.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none"):
        return False
    origin = headers.get(b"origin")
    if origin is None:
        return True
    host = headers.get(b"host", b"").decode("latin-1").lower()
    return bool(host) and urlsplit(origin.decode("latin-1").lower()).netloc == host


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
