"""The dashboard's API: how conversations went through flows."""

from __future__ import annotations

from typing import Annotated

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import PathParameter

from services.analytics import questions
from services.analytics.domain.definition import Definition, Group
from services.analytics.domain.definitions import CURRENT
from services.analytics.domain.measures import OTHER
from services.analytics.flow_pictures import FlowPictures, NoPicture
from services.analytics.funnel import BEGUN, MAX_STATES, REACHED, state_numbers
from services.analytics.questions import Question, Value
from services.analytics.transports import schemas
from services.analytics.transports.examples import answered
from services.analytics.transports.flow_schemas import BegunVersion, BegunVersions, FlowFunnel, drawn
from services.analytics.transports.parameters import AskedNumbers
from services.analytics.transports.problems import NoSuchNumber, problems
from shared.eventlog.errors import Unreachable

Version = Annotated[
    str, PathParameter(pattern="^[0-9A-Za-z_-]{1,64}$", description="of a flow, see `/api/flows`")
]


@get("/flows", responses={**answered(BegunVersions), **problems()})
async def flows(asked: NamedDependency[AskedNumbers]) -> BegunVersions:
    """Versions of flows that were begun in the period."""
    found = await _groups(asked, BEGUN, "state")
    versions = [
        BegunVersion(name, version, value.rows)
        for version, _, name in (each.partition(" ") for each in found if each != OTHER)
        for value in (found[f"{version} {name}"],)
    ]
    return BegunVersions(schemas.about(asked.when, asked.model.newest), versions)


@get(
    "/flows/{id:str}/funnel",
    responses={**answered(FlowFunnel), **problems(missing="there is no version 5f3a of a flow")},
)
async def funnel(
    id: Version, asked: NamedDependency[AskedNumbers], pictures: NamedDependency[FlowPictures]
) -> FlowFunnel:
    """How conversations went through a version of a flow, with what draws its own graph."""
    version = id
    asked = asked._replace(only={**asked.only, "version": version})
    begun = await _groups(asked, BEGUN, "state")
    reached = await _groups(asked, REACHED, "state")
    left = await _groups(asked, CURRENT["drop_off"], "state")
    name = next((each.partition(" ")[2] for each in begun), "")
    log = asked.model.log
    if log is None:
        raise Unreachable("the log is not connected yet")
    parts, why = [], ""
    try:
        parts = await pictures.picture(log, name or "flow", version)
    except NoPicture as error:
        why = str(error)
        if not reached and not begun:
            raise NoSuchNumber(f"there is no version {version} of a flow") from error
    return FlowFunnel(
        schemas.about(asked.when, asked.model.newest),
        name,
        version,
        sum(value.rows for value in begun.values()),
        state_numbers(reached, left),
        [drawn(part) for part in parts],
        why,
    )


async def _groups(asked: AskedNumbers, each: Definition, by: Group) -> dict[str, Value]:
    question = Question(asked.when.period, asked.only)
    return await asked.answers.ask(
        asked.key("flow", each.id, by),
        lambda store: questions.groups(store, each, question, by, most=MAX_STATES),
    )


def flow_routes() -> Router:
    """All of these."""
    return Router(path="/api", route_handlers=[flows, funnel], tags=["flows"])
