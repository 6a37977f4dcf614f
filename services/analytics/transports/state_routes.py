"""Who looks at the numbers, and how far they go."""

from __future__ import annotations

from litestar import Router, get
from litestar.di import NamedDependency

from services.analytics.domain.viewers import Viewer
from services.analytics.read_model import ReadModel
from services.analytics.transports import schemas
from services.analytics.transports.examples import answered
from services.analytics.transports.parameters import Req
from services.analytics.transports.problems import problems
from shared.timestamps import format_time

_NEVER_COUNTED = (
    "Words: the numbers' file holds none, and the service has no key to them. "
    "The console shows the comments.",
    "Agents of other platforms: their engagements are no conversations with visitors.",
    "What conversations that were erased would still do: their numbers up to then stay.",
)


@get("/me", responses={**answered(schemas.SeenBy), **problems(invalid="")})
async def me(viewer: NamedDependency[Viewer], request: Req) -> schemas.SeenBy:
    """Who looks, and what they may see."""
    console = request.app.state.console(request.scope)
    return schemas.SeenBy(viewer.name, viewer.display, viewer.role, viewer.names, viewer.sees_rows, console)


@get("/state", responses={**answered(schemas.NumbersState), **problems(invalid="")})
async def state(
    viewer: NamedDependency[Viewer],
    model: NamedDependency[ReadModel],
    reasons: NamedDependency[dict[str, str]],
) -> schemas.NumbersState:
    """How far the numbers go, by stream of the log, and what is missing of them."""
    ends, lag = await model.ends(), await model.last()
    checkpoint = model.checkpoint
    places = checkpoint.places if checkpoint is not None else ()
    streams = [
        schemas.CountedStream(
            number,
            place.sequence,
            ends[number] if ends is not None and number < len(ends) else None,
            format_time(place.time) if place.sequence else None,
        )
        for number, place in enumerate(places)
    ]
    missing = list(_NEVER_COUNTED)
    if not model.complete():
        missing.insert(0, f"The log is still being read: {model.position} entries so far.")
    if lag is None:
        missing.insert(0, "What came since: the log cannot be reached.")
    missing += [f"Not in order: {reason}." for part, reason in reasons.items() if part != "numbers"]
    return schemas.NumbersState(
        model.complete(),
        model.position,
        None if lag is None else max(0, lag - model.position),
        format_time(model.newest) if model.newest else None,
        streams,
        missing,
    )


def state_routes() -> Router:
    """All of these."""
    return Router(path="/api", route_handlers=[me, state], tags=["state"])
