"""The routes about who is at the desk, and what waits there."""

from __future__ import annotations

import time
from typing import Annotated, Final

import msgspec
from litestar import Router, get, post
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.params import JSONBody
from msgspec import Meta

from services.operator.desk import Desk
from services.operator.desk_state import DeskState
from services.operator.domain.agreed_times import due
from services.operator.domain.availability import Availability, availability
from services.operator.domain.decisions import Operator
from services.operator.domain.desk import ConversationSummary
from services.operator.domain.leases import Leases
from services.operator.handlers import Handlers, Still
from services.operator.transports import schemas
from services.operator.transports.login import Door
from services.operator.transports.parameters import Id
from services.operator.transports.problems import as_problem, problems
from shared.contract.desk_settings import DeskSettings
from shared.timestamps import format_time

#: It is looked for what is late among so many that wait longest, and as many that are open longest.
MAX_LOOKED_AT: Final = 500
#: At most so many of those that are late are told.
MAX_LATE: Final = 100

_OPERATOR = "only supervisors may do that"


class SetAvailability(msgspec.Struct, forbid_unknown_fields=True):
    availability: Annotated[Availability, Meta(examples=["busy"])]


class Give(msgspec.Struct, forbid_unknown_fields=True):
    """``operator``: the account that goes on; ``take_from``: the account that has it now, if one has."""

    operator: Annotated[str, Meta(min_length=1, max_length=32, examples=["bob"])]
    take_from: Annotated[str, Meta(max_length=32, examples=["ada"])] = ""


class OverviewOperator(schemas.Colleague):
    """``conversations`` are those that the operator has, without what is snoozed; ``capacity`` is how many
    that may be, null: without a limit.
    """

    conversations: int
    capacity: int | None


class OverviewQueue(msgspec.Struct):
    """``waiting`` visitors wait, the first ``since`` then. ``open``: people work now. ``late``: of those that
    are told as late.
    """

    name: str
    waiting: int
    since: str | None
    open: bool
    late: int


class Overview(msgspec.Struct):
    """``late`` are the conversations in which an agreed time is over, the longest first."""

    operators: list[OverviewOperator]
    queues: list[OverviewQueue]
    late: list[schemas.Row]


@post("/availability", status_code=200, responses=problems(missing=""))
async def set_availability(
    data: JSONBody[SetAvailability], operator: Operator, desk_state: DeskState
) -> schemas.Me:
    """Say whether you take conversations: online, busy or away."""
    await desk_state.choose(operator.name, data.availability)
    return schemas.me(operator, desk_state.chosen(operator.name))


@get("/overview", responses=problems(missing="", forbidden=_OPERATOR))
async def overview(
    operator: Operator, door: Door, desk: Desk, desk_state: DeskState, here: Leases
) -> Overview:
    """For supervisors: who is on, with how many conversations, what waits in each queue, and what is late."""
    _supervisor(operator)
    people = await door.accounts.all()
    settings, now, loads, waits = desk_state.settings, time.time_ns(), desk.loads(), desk.waits()
    late = late_ones(desk.for_people(MAX_LOOKED_AT), settings, now)
    names = sorted({*settings.queues, *waits})
    return Overview(
        [
            OverviewOperator(
                *(who.name, who.display, who.role),
                availability=availability(desk_state.chosen(who.name), here.present(who.name)),
                here=here.present(who.name),
                conversations=loads.get(who.name, 0),
                capacity=settings.skills(who.name).capacity or None,
            )
            for who in people
        ],
        [
            OverviewQueue(
                name,
                waits[name].waiting if name in waits else 0,
                format_time(waits[name].since) if name in waits else None,
                settings.queue(name).hours.open_at(now),
                sum(summary.state.ownership.queue == name for summary in late),
            )
            for name in names
        ],
        [schemas.row(summary, settings) for summary in late[:MAX_LATE]],
    )


def late_ones(
    summaries: list[ConversationSummary], settings: DeskSettings, now: int
) -> list[ConversationSummary]:
    """Those in which an agreed time is over at ``now``, the longest first."""
    found: list[tuple[int, ConversationSummary]] = []
    for summary in summaries:
        queue = settings.queue(summary.state.ownership.queue)
        first = due(summary, queue.agreed, queue.hours)
        if first is not None and first.at <= now:
            found.append((first.at, summary))
    return [summary for _, summary in sorted(found, key=lambda each: each[0])]


@post(
    "/conversations/{id:str}/give",
    status_code=200,
    responses=problems("taken by Carol", "there is no operator 'bob' who may log in", forbidden=_OPERATOR),
)
async def give(
    id: Id,
    data: JSONBody[Give],
    operator: Operator,
    handlers: Handlers,
    still: Still,
    door: Door,
    here: Leases,
    settings: DeskSettings,
) -> schemas.Row:
    """For supervisors: let an operator go on who is here, whoever has the conversation now."""
    _supervisor(operator)
    to = await door.accounts.find(data.operator)
    if to is None:
        raise HTTPException(f"there is no operator {data.operator!r} who may log in", status_code=422)
    if not here.present(to.name):
        raise HTTPException(f"{to.display} is not here: choose somebody who is", status_code=422)
    return schemas.row(await handlers.give(id, to, operator, data.take_from, still), settings)


def _supervisor(operator: Operator) -> None:
    if operator.role == "operator":
        raise PermissionDeniedException(_OPERATOR)


def team_routes() -> Router:
    """All of these."""
    return Router(
        path="/api",
        route_handlers=[set_availability, overview, give],
        exception_handlers={Exception: as_problem},
    )
