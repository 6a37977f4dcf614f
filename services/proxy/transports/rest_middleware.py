"""What holds for every request at the REST door before it is looked at: origins (CORS) and safe headers."""

from __future__ import annotations

from services.proxy.admission import Admission
from shared.service.health import Asgi, Receive, Scope, Send, respond

#: What pages of allowed origins may send, and read of an answer.
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, Last-Event-ID"),
    (b"access-control-max-age", b"600"),
]
_EXPOSED = (b"access-control-expose-headers", b"Retry-After")


class RestMiddleware:
    """Wraps the door's ASGI application."""

    def __init__(self, app: Asgi, admission: Admission, door: str) -> None:
        self._app = app
        self._admission = admission
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._admission.origin_ok(scope, self._door):
            await respond(send, 403, b'{"error":"this origin is not allowed here"}')
            return
        cors = self._admission.cors(scope)
        names = {name for name, _ in scope["headers"]}
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in names:
            await send({"type": "http.response.start", "status": 204, "headers": [*cors, *_PREFLIGHT]})
            await send({"type": "http.response.body"})
            return
        await self._app(scope, receive, _with_headers(send, [*cors, _EXPOSED] if len(cors) > 1 else cors))


def _with_headers(send: Send, extra: list[tuple[bytes, bytes]]) -> Send:
    async def wrapped(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            message = {**message, "headers": [*headers, *extra]}  # type: ignore[misc]
        await send(message)

    return wrapped
