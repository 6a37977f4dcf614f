"""What the dashboard's API answers, by examples, for its description."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from services.analytics.domain.definitions import CURRENT
from services.analytics.funnel import StateNumbers
from services.analytics.questions import Value
from services.analytics.transports import flow_schemas, schemas

_ABOUT: Final = schemas.AboutNumbers(
    since="2026-10-31T23:00:00.000Z",
    until="2026-11-07T23:00:00.000Z",
    before_since="2026-10-24T22:00:00.000Z",
    before_until="2026-10-31T23:00:00.000Z",
    zone="Europe/Berlin",
    counted_until="2026-11-27T12:34:56.789Z",
)
_NOW: Final = Value(41.5, 120, 120, 190.0, 260.0)
_BEFORE: Final = Value(38.0, 98, 98, 170.0, 255.0)
_TOLD: Final = schemas.ToldNumber("waiting_time", 1, _NOW, _BEFORE)
_CONVERSATION: Final = "8c974cd324caeebe8f00f2f36a8825a9"

EXAMPLES: Final[tuple[Any, ...]] = (
    schemas.SeenBy("ada", "Ada", "supervisor", "all", True, "https://desk.example.com"),
    schemas.NumbersState(
        complete=True,
        position=48_210,
        lag=0,
        counted_until=_ABOUT.counted_until,
        streams=[schemas.CountedStream(0, 48_210, 48_210, _ABOUT.counted_until)],
        missing=["Words: the numbers' file holds none, and the service has no key to them."],
    ),
    schemas.AllNumbers(_ABOUT, [_TOLD]),
    schemas.OneNumber(_ABOUT, _TOLD),
    schemas.NumberSeries(
        _ABOUT,
        "day",
        [schemas.ChartPoint(_ABOUT.since, _NOW)],
        [schemas.ChartPoint(_ABOUT.before_since, _BEFORE)],
    ),
    schemas.NumberGroups(_ABOUT, "queue", [schemas.NumberGroup("sales", _NOW, _BEFORE)]),
    schemas.NumberWeek(_ABOUT, [schemas.WeekHour(1, 9, _NOW)]),
    schemas.NumberRows(
        _ABOUT,
        120,
        [
            schemas.NumberRow(
                time="2026-11-07T15:04:05.678Z",
                conversation=_CONVERSATION,
                link=f"https://desk.example.com/#conversation={_CONVERSATION}",
                matter=1,
                position=4711,
                value=33.2,
                part=True,
            )
        ],
    ),
    flow_schemas.BegunVersions(_ABOUT, [flow_schemas.BegunVersion("helpdesk", "5f3a", 120)]),
    flow_schemas.FlowFunnel(
        _ABOUT,
        "helpdesk",
        "5f3a",
        120,
        [StateNumbers("topic", 120, 120, 18, 0.15)],
        [
            flow_schemas.DrawnPart(
                "",
                *(180.0, 60.0),
                [flow_schemas.DrawnBox("topic", "asks", 10.0, 0.0, 160.0, 60.0, [("n", "topic"), ("s", "")])],
                [],
            )
        ],
    ),
)


def answered(kind: type[Any]) -> dict[int, ResponseSpec]:
    """The answer of a route that gives this kind, by its example."""
    (found,) = [each for each in EXAMPLES if type(each) is kind]
    return {200: _spec(kind, found)}


def definitions_answered() -> dict[int, ResponseSpec]:
    return {
        200: _spec(list[schemas.NumberDefinition], [schemas.definition_of(CURRENT["waiting_time"], True)])
    }


def _spec(kind: Any, example: Any) -> ResponseSpec:
    return ResponseSpec(
        kind,
        generate_examples=False,
        description="what was asked for",
        examples=[Example(value=msgspec.to_builtins(example))],
    )
