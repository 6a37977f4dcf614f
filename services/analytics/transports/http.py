"""The dashboard, its JSON, and the API's page. Everything a page loads comes from here."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from litestar import Litestar, MediaType, Request, Response, get
from litestar.datastructures import CacheControlHeader, ResponseHeader
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.static_files import create_static_files_router
from msgspec import Struct

from services.analytics.read_model import ReadModel
from services.analytics.store import StoreError
from services.analytics.transports.summary import Summary, summarize
from shared.service.health import VERSION, Health

STATIC = Path(__file__).parents[1] / "static"
SWAGGER_UI = Path(str(files("openapi_ui_bundles").joinpath("swagger_ui", "vendor")))

#: No script, style or address but our own; pictures may also lie in the style sheet.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class NotReady(Struct):
    """The log is still being read: there are no numbers yet."""

    error: str
    reasons: dict[str, str]
    position: int


def _unusable(_: Request[Any, Any, Any], error: StoreError) -> Response[NotReady]:
    """What is wrong with the file is in the log of the service, and no business of a stranger."""
    body = NotReady("the numbers cannot be read now, try again", {}, 0)
    return Response(body, status_code=503, headers={"Retry-After": "1"})


class DocsPage(OpenAPIRenderPlugin):
    """Swagger UI from our own files, without the inline script that the policy would refuse."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return (STATIC / "docs.html").read_bytes()


def build(model: Callable[[], ReadModel | None], health: Health) -> Litestar:
    """The service's HTTP application. ``model`` None: there are no numbers yet."""

    @get("/", media_type=MediaType.HTML, include_in_schema=False, sync_to_thread=False)
    def dashboard() -> bytes:
        return (STATIC / "dashboard.html").read_bytes()

    @get(
        "/api/summary",
        summary="All numbers",
        description="Counts cover the whole log. 503 until the service has read it to its end.",
        cache_control=CacheControlHeader(no_store=True),
        responses={503: ResponseSpec(NotReady, description="The log is still being read")},
    )
    async def summary() -> Summary | Response[NotReady]:
        found = model()
        if found is None or not found.complete():
            position = found.position if found is not None else 0
            body = NotReady("the log has not been read to its end yet", health.reasons, position)
            return Response(body, status_code=503, headers={"Retry-After": "1"})
        now = time.time_ns()
        return summarize(await found.numbers(), await found.per_hour(now), now, await found.last())

    return Litestar(
        [
            dashboard,
            summary,
            create_static_files_router("/static", [STATIC]),
            create_static_files_router("/docs/swagger-ui", [SWAGGER_UI]),
        ],
        openapi_config=OpenAPIConfig(
            title="Switchboard analytics",
            version=VERSION,
            description="What happened on the log, counted.",
            path="/docs",
            render_plugins=[DocsPage(path="/")],
        ),
        response_headers=[
            ResponseHeader(name="Content-Security-Policy", value=POLICY),
            ResponseHeader(name="X-Content-Type-Options", value="nosniff"),
            ResponseHeader(name="Referrer-Policy", value="no-referrer"),
        ],
        exception_handlers={StoreError: _unusable},
        logging_config=None,
    )
