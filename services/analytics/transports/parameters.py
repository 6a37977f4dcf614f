"""What the routes of the dashboard's API take, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from litestar import Request
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

from services.analytics.answers import NumberAnswers
from services.analytics.domain.asked_period import AskedPeriod, asked_period, zone_of
from services.analytics.domain.definition import Definition, Group
from services.analytics.domain.definitions import BY_NAME, CURRENT
from services.analytics.domain.viewers import Viewer, check_filters
from services.analytics.domain.working_time import WorkingTime
from services.analytics.questions import Question
from services.analytics.read_model import ReadModel
from services.analytics.transports.problems import NoSuchNumber

Req = Request[Any, Any, Any]

Moment = Annotated[
    str,
    QueryParameter(
        max_length=40,
        description="a date of the zone, the last one included, or a time of ISO 8601",
        examples=[Example(value="2026-11-01"), Example(value="2026-11-01T09:00:00+01:00")],
    ),
]
Zone = Annotated[
    str, QueryParameter(max_length=64, description="time zone by its IANA name, as Europe/Berlin")
]
Filter = Annotated[str | None, QueryParameter(max_length=200, description="only what has this one")]
Hours = Annotated[
    Literal["all", "working"],
    QueryParameter(description="times in working time, for definitions with `working` and queues with hours"),
]
NumberId = Annotated[str, PathParameter(max_length=64, description="see `/api/definitions`")]
DefinitionVersion = Annotated[
    int | None, QueryParameter(ge=1, description="a version of the definition; without it the newest")
]


class AskedNumbers(NamedTuple):
    """Who asks, of when, and of whom."""

    who: Viewer
    when: AskedPeriod
    only: Mapping[Group, str]
    working: WorkingTime | None
    model: ReadModel
    answers: NumberAnswers
    console: str

    @property
    def question(self) -> Question:
        return Question(self.when.period, self.only, self.working)

    @property
    def earlier(self) -> Question:
        return Question(self.when.before, self.only, self.working)

    def key(self, *parts: object) -> tuple[object, ...]:
        """What an answer depends on: nobody's name, for what is the same for all."""
        period, before, zone = self.when
        return (*parts, period, before, zone.key, self.working, *sorted(self.only.items()))


def only_of(who: Viewer, given: Mapping[Group, str | None]) -> dict[Group, str]:
    """The filters that were given. Raises `NotForYou`."""
    only = {group: value for group, value in given.items() if value is not None}
    check_filters(who, only)
    return only


def when_of(since: str, until: str, zone: str, now: int) -> AskedPeriod:
    """Raises `BadPeriod`."""
    return asked_period(since, until, zone_of(zone), now)


def definition_named(id: str, version: int | None) -> Definition:
    """Raises `NoSuchNumber`."""
    found = CURRENT.get(id) if version is None else BY_NAME.get((id, version))
    if found is None and id in CURRENT:
        versions = ", ".join(str(each) for name, each in BY_NAME if name == id)
        raise NoSuchNumber(f"{id} has no definition {version}; there are {versions}")
    if found is None:
        raise NoSuchNumber(f"there is no number {id[:40]!r}; there are {', '.join(sorted(CURRENT))}")
    return found
