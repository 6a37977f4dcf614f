"""The dashboard, its API, and the API's page. Everything a page loads comes from here."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from litestar import Litestar, MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.static_files import create_static_files_router
from msgspec import Struct

from services.analytics.answers import NumberAnswers
from services.analytics.desk_hours import DeskHours
from services.analytics.domain.viewers import Viewer, viewer
from services.analytics.flow_pictures import FlowPictures
from services.analytics.logins import CannotAsk, Logins, NotLoggedIn
from services.analytics.read_model import ReadModel
from services.analytics.settings import Settings
from services.analytics.store import StoreError
from services.analytics.transports.flow_routes import flow_routes
from services.analytics.transports.number_routes import number_routes
from services.analytics.transports.parameters import (
    AskedNumbers,
    Filter,
    Hours,
    Moment,
    Req,
    Zone,
    only_of,
    when_of,
)
from services.analytics.transports.problems import StillCounting, as_problem
from services.analytics.transports.state_routes import state_routes
from services.analytics.transports.summary import Summary, summarize
from shared.contract.logins import SESSION_COOKIE
from shared.service.health import VERSION, Health
from shared.service.neighbours import neighbour

STATIC = Path(__file__).parents[1] / "static"
SWAGGER_UI = Path(str(files("openapi_ui_bundles").joinpath("swagger_ui", "vendor")))


class Parts(NamedTuple):
    """What the service is made of; each is None until it is there."""

    model: ReadModel | None = None
    answers: NumberAnswers | None = None
    logins: Logins | None = None
    hours: DeskHours | None = None


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


@get("/", media_type=MediaType.HTML, include_in_schema=False, sync_to_thread=False)
def dashboard() -> bytes:
    """The page; it holds no number, and asks for them as whoever is logged in."""
    return (STATIC / "dashboard.html").read_bytes()


def build(parts: Callable[[], Parts], health: Health, settings: Settings) -> Litestar:
    """The service's HTTP application."""

    @get(
        "/api/summary",
        summary="All numbers since the beginning",
        description="Counts cover the whole log. 503 until the service has read it to its end. It needs no "
        "login, since it holds no person.",
        responses={503: ResponseSpec(NotReady, description="The log is still being read")},
        exception_handlers={StoreError: _unusable},
        security=[{}],
        tags=["summary"],
    )
    async def summary() -> Summary | Response[NotReady]:
        found = parts().model
        if found is None or not found.complete():
            position = found.position if found is not None else 0
            body = NotReady("the log has not been read to its end yet", health.reasons, position)
            return Response(body, status_code=503, headers={"Retry-After": "1"})
        now = time.time_ns()
        return summarize(await found.numbers(), await found.per_hour(now), now, await found.last())

    pictures = FlowPictures()

    def console(scope: Any) -> str:
        return neighbour(scope, settings.operator_url, settings.operator_port)

    async def who(request: Req) -> Viewer:
        """Raises `NotLoggedIn` and `CannotAsk`, but where the dashboard is open to all."""
        try:
            logins = parts().logins
            if logins is None:
                raise CannotAsk("NATS cannot be reached, so who is logged in is not known, try again")
            found = await logins.who(request.cookies.get(SESSION_COOKIE, ""))
        except (NotLoggedIn, CannotAsk):
            if settings.dashboard_open:
                return viewer("", "", "operator", shown=False)
            raise
        return viewer(found.name, found.display, found.role, settings.operator_names)

    async def asked(
        request: Req,
        viewer: NamedDependency[Viewer],
        since: Moment = "",
        until: Moment = "",
        zone: Zone = "UTC",
        door: Filter = None,
        flow: Filter = None,
        version: Filter = None,
        queue: Filter = None,
        operator: Filter = None,
        hours: Hours = "all",
    ) -> AskedNumbers:
        model, answers, _, desk = parts()
        if model is None or answers is None or desk is None or not model.complete():
            raise StillCounting(model.position if model is not None else 0)
        only = only_of(
            viewer, {"door": door, "flow": flow, "version": version, "queue": queue, "operator": operator}
        )
        when = when_of(since, until, zone, time.time_ns())
        working = await desk.working() if hours == "working" else None
        return AskedNumbers(viewer, when, only, working, model, answers, console(request.scope))

    def model() -> ReadModel:
        found = parts().model
        if found is None:
            raise StillCounting(0)
        return found

    return Litestar(
        [
            dashboard,
            summary,
            number_routes(),
            flow_routes(),
            state_routes(),
            create_static_files_router("/static", [STATIC]),
            create_static_files_router("/docs/swagger-ui", [SWAGGER_UI]),
        ],
        dependencies={
            "viewer": Provide(who),
            "asked": Provide(asked),
            "pictures": Provide(lambda: pictures, sync_to_thread=False),
            "model": Provide(model, sync_to_thread=False),
            "reasons": Provide(lambda: dict(health.reasons), sync_to_thread=False, use_cache=False),
        },
        state=State({"console": console}),
        openapi_config=OpenAPIConfig(
            title="Switchboard analytics",
            version=VERSION,
            description="What happened on the log, counted.",
            path="/docs",
            render_plugins=[DocsPage(path="/")],
            components=Components(
                security_schemes={
                    "cookie": SecurityScheme(type="apiKey", name=SESSION_COOKIE, security_scheme_in="cookie")
                }
            ),
            security=[{"cookie": []}],
        ),
        exception_handlers={Exception: as_problem},
        logging_config=None,
    )
