"""The pages that describe the REST door: ``/docs`` and ``/redoc``, with nothing from elsewhere.

Litestar's own load their scripts from a CDN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openapi_ui_bundles.redoc
import openapi_ui_bundles.swagger_ui
from litestar import get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import File

STATIC = Path(__file__).parent.parent / "static" / "docs"

# Both write style attributes; Redoc searches in a worker that it makes of a blob.
_CSP = (
    "default-src 'none'; script-src 'self'; worker-src blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _CSP,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


def pages() -> list[HTTPRouteHandler]:
    """The routes of both pages and of what they load."""
    swagger = Path(openapi_ui_bundles.swagger_ui.static_path)
    redoc = Path(openapi_ui_bundles.redoc.static_path)
    return [
        *_page("/docs", STATIC / "swagger.html", STATIC / "swagger.js", swagger),
        *_page("/redoc", STATIC / "redoc.html", STATIC / "redoc.js", redoc),
    ]


def _page(path: str, page: Path, script: Path, assets: Path) -> list[HTTPRouteHandler]:
    files = {file.name: file for file in assets.iterdir() if file.suffix in _TYPES and file.suffix != ".html"}

    @get(path, include_in_schema=False, sync_to_thread=False, name=f"page{path}")
    def show() -> File:
        return _file(page)

    @get(f"{path}/start.js", include_in_schema=False, sync_to_thread=False)
    def start() -> File:
        return _file(script)

    @get(f"{path}/assets/{{name:str}}", include_in_schema=False, sync_to_thread=False)
    def asset(name: FromPath[str]) -> File:
        if name not in files:
            raise NotFoundException("there is nothing here")
        return _file(files[name])

    return [show, start, asset]


def _file(path: Path) -> File:
    headers: dict[str, Any] = {**_HEADERS, "cache-control": "no-cache"}
    return File(
        path,
        filename=path.name,
        content_disposition_type="inline",
        media_type=_TYPES[path.suffix],
        headers=headers,
    )
