"""The files that web pages load: the chat button's scripts and the demo page."""

from __future__ import annotations

from gzip import compress
from hashlib import sha256
from pathlib import Path

import msgspec

from shared.service.health import Scope, Send, respond

_SCRIPT = "text/javascript; charset=utf-8"

STATIC = Path(__file__).parent.parent / "static"

_CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; "
    b"connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


#: The address of a build's file never changes its content.
_FOR_EVER = b"public, max-age=31536000, immutable"


class Manifest(msgspec.Struct):
    """What the build says of itself (services/proxy/widget/build.js)."""

    version: str
    integrity: str


def manifest() -> Manifest:
    """The build of the chat button that `/widget.js` is."""
    return msgspec.json.decode((STATIC / "widget" / "manifest.json").read_bytes(), type=Manifest)


class Pages:
    """Serves a handful of files out of memory, with an ETag each, also compressed: a quarter of the bytes."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, bool], tuple[bytes, str, bytes, list[tuple[bytes, bytes]]]] = {}
        page = [(b"content-security-policy", _CSP), (b"referrer-policy", b"no-referrer")]
        # The script tag stands on other origins' pages.
        script = [(b"access-control-allow-origin", b"*"), (b"cross-origin-resource-policy", b"cross-origin")]
        self._add("/", "index.html", "text/html; charset=utf-8", page)
        self._add("/demo.css", "demo.css", "text/css; charset=utf-8", [])
        self._add("/resume", "resume.html", "text/html; charset=utf-8", page)
        self._add("/resume.css", "resume.css", "text/css; charset=utf-8", [])
        self._add("/resume.js", "resume.js", _SCRIPT, [])
        self._add("/demo.js", "demo.js", _SCRIPT, [])
        self._add("/widget.js", f"widget/{manifest().version}/widget.js", _SCRIPT, script)
        self._add("/widget.d.ts", "widget/widget.d.ts", "text/plain; charset=utf-8", script)
        self._add("/widget/manifest.json", "widget/manifest.json", "application/json", script)
        for file in (STATIC / "widget").glob("*/*.js"):  # of this build, and of released ones
            name = f"widget/{file.parent.name}/{file.name}"
            self._add(f"/{name}", name, _SCRIPT, script, cache=_FOR_EVER)

    def _add(
        self,
        path: str,
        name: str,
        content_type: str,
        extra: list[tuple[bytes, bytes]],
        *,
        cache: bytes = b"no-cache",
    ) -> None:
        content = (STATIC / name).read_bytes()
        tag = b'"' + sha256(content).hexdigest()[:32].encode() + b'"'
        common = [(b"cache-control", cache), (b"vary", b"accept-encoding"), *extra]
        packed_tag = tag[:-1] + b'-gzip"'  # another tag for other bytes
        packed = [(b"etag", packed_tag), (b"content-encoding", b"gzip"), *common]
        self._files[path, False] = (content, content_type, tag, [(b"etag", tag), *common])
        self._files[path, True] = (compress(content, 9, mtime=0), content_type, packed_tag, packed)

    async def __call__(self, scope: Scope, send: Send) -> None:
        asked = dict(scope["headers"])
        file = self._files.get((scope["path"], _takes_gzip(asked.get(b"accept-encoding", b""))))
        if file is None:
            await respond(send, 404, b'{"error":"there is nothing here"}')
            return
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, b'{"error":"use GET"}', extra=[(b"allow", b"GET, HEAD")])
            return
        content, content_type, tag, headers = file
        if tag in asked.get(b"if-none-match", b""):
            kept = [header for header in headers if header[0] != b"content-encoding"]
            await send({"type": "http.response.start", "status": 304, "headers": kept})
            await send({"type": "http.response.body"})
            return
        await respond(send, 200, content, content_type, headers)


def _takes_gzip(accepted: bytes) -> bool:
    """Whether the client named gzip, and not only to refuse it (``gzip;q=0``)."""
    for on_entry in accepted.lower().split(b","):
        name, _, quality = on_entry.replace(b" ", b"").partition(b";q=")
        if name == b"gzip":
            return not quality or quality.strip(b"0.") != b""
    return False
