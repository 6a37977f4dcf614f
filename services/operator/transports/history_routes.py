"""The routes about a conversation at any of its positions."""

from __future__ import annotations

import time
from typing import Annotated

from litestar import Router, get
from litestar.openapi import ResponseSpec
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from services.operator.domain.decisions import Operator
from services.operator.handlers import Handlers, Still
from services.operator.transports import history_schemas as wire
from services.operator.transports.parameters import Id
from services.operator.transports.problems import as_problem, problems
from shared.service.health import VERSION
from shared.timestamps import format_time

MEDIA = "application/x-ndjson"
_MISSING = "what can be shown of this conversation begins at position 12"
At = Annotated[
    int, PathParameter(ge=0, le=2**53 - 1, description="of the log; the last entry up to there is meant")
]


@get("", responses=problems(missing="entries have numbers from 1 to 6"))
async def entries(
    id: Id,
    operator: Operator,
    handlers: Handlers,
    still: Still,
    first: Annotated[int, QueryParameter(name="from", ge=1, le=2**53 - 1, description="a number")] = 1,
    limit: Annotated[int, QueryParameter(ge=1, le=200, description="at most so many entries")] = 100,
) -> wire.HistoryPage:
    """A conversation's entries in their order, some at a time: those on the log since it was last erased."""
    await handlers.find(id)
    total, steps = await handlers.histories.steps(id, first, limit)
    await still()  # a long one takes a while
    found = [wire.history_entry(step, number) for number, step in enumerate(steps, start=first)]
    return wire.HistoryPage(total=total, entries=found)


@get("/{position:int}", responses=problems(missing=_MISSING))
async def point(
    id: Id, position: At, operator: Operator, handlers: Handlers, still: Still
) -> wire.HistoryPoint:
    """A conversation as it stood at a position: its state, its variables and what changed in them, who had
    it, the flow's version, and why the bot did what it did there.
    """
    await handlers.find(id)
    place = await handlers.histories.at(id, position)
    explained = await handlers.histories.explained(place.step)
    await still()
    return wire.history_point(place, explained)


@get(
    "/{position:int}/bundle",
    media_type=MEDIA,
    responses={
        **problems(missing=_MISSING),
        200: ResponseSpec(bytes, generate_examples=False, media_type=MEDIA, description="the file"),
    },
)
async def bundle(
    id: Id,
    position: At,
    operator: Operator,
    handlers: Handlers,
    still: Still,
    words: Annotated[
        bool, QueryParameter(description="with what was said, or only with what was done")
    ] = True,
) -> Stream:
    """A conversation up to a position as a file of JSON lines, which `switchboard replay-bundle` replays as a
    test: its entries, the flows that it ran on, and what backends and the assistant answered. Without `words`
    each text and each value in it is a "…", and what the bot decided by these cannot be told.
    """
    await handlers.find(id)
    made = format_time(time.time_ns())
    lines = await handlers.histories.bundle(id, position, words, VERSION, made)
    await still()
    name = f"conversation-{id[:8]}-{position}.bundle.jsonl"
    return Stream(lines, media_type=MEDIA, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def history_routes() -> Router:
    """All of these."""
    return Router(
        path="/api/conversations/{id:str}/history",
        route_handlers=[entries, point, bundle],
        exception_handlers={Exception: as_problem},
    )
