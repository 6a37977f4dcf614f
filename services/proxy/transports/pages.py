"""The files that web pages load: the chat button's script and the demo page."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from shared.runtime.vitals import Scope, Send, respond

STATIC = Path(__file__).parent.parent / "static"

_CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; "
    b"connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class Pages:
    """Serves a handful of files out of memory, with an ETag each."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, str, bytes, list[tuple[bytes, bytes]]]] = {}
        page = [(b"content-security-policy", _CSP), (b"referrer-policy", b"no-referrer")]
        # The script tag stands on other origins' pages.
        script = [(b"access-control-allow-origin", b"*"), (b"cross-origin-resource-policy", b"cross-origin")]
        self._add("/", "index.html", "text/html; charset=utf-8", page)
        self._add("/demo.css", "demo.css", "text/css; charset=utf-8", [])
        self._add("/demo.js", "demo.js", "text/javascript; charset=utf-8", [])
        self._add("/widget.js", "widget/widget.js", "text/javascript; charset=utf-8", script)

    def _add(self, path: str, name: str, content_type: str, extra: list[tuple[bytes, bytes]]) -> None:
        content = (STATIC / name).read_bytes()
        tag = b'"' + sha256(content).hexdigest()[:32].encode() + b'"'
        headers = [(b"etag", tag), (b"cache-control", b"no-cache"), *extra]
        self._files[path] = (content, content_type, tag, headers)

    async def __call__(self, scope: Scope, send: Send) -> None:
        file = self._files.get(scope["path"])
        if file is None:
            await respond(send, 404, b'{"error":"there is nothing here"}')
            return
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, b'{"error":"use GET"}', extra=[(b"allow", b"GET, HEAD")])
            return
        content, content_type, tag, headers = file
        if tag in dict(scope["headers"]).get(b"if-none-match", b""):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body"})
            return
        await respond(send, 200, content, content_type, headers)
