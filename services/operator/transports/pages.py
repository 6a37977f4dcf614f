"""The pages: the console at ``/``, and the API's description at ``/docs``, with nothing from elsewhere."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import openapi_ui_bundles.swagger_ui
from litestar import Request, Router, get
from litestar.enums import MediaType
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.response import File
from litestar.static_files import create_static_files_router

STATIC = Path(__file__).parents[1] / "static"
CONSOLE = STATIC / "console"
DOCS = STATIC / "docs"

_DOCS_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start/start.js"></script>
</body>
</html>
"""


class OfflineSwagger(OpenAPIRenderPlugin):
    """Litestar's own page loads scripts from a CDN and holds one inline; this one does neither."""

    def __init__(self) -> None:
        super().__init__(path="/swagger")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return _DOCS_PAGE.format(title=html.escape(openapi_schema["info"]["title"])).encode()


@get("/", include_in_schema=False, media_type=MediaType.HTML)
async def index() -> File:
    """The console."""
    return File(
        CONSOLE / "index.html",
        filename="index.html",
        content_disposition_type="inline",
        media_type="text/html",
    )


def pages() -> list[Any]:
    """The routes of all pages."""
    vendor = openapi_ui_bundles.swagger_ui.static_path
    return [
        index,
        _files("/console", CONSOLE),
        _files("/docs/start", DOCS),
        _files("/docs/assets", Path(vendor)),
    ]


def _files(path: str, folder: Path) -> Router:
    return create_static_files_router(path=path, directories=[folder], name=path.strip("/").replace("/", "-"))
