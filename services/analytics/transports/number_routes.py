"""The dashboard's API: what numbers mean, and what they are, with what is behind them."""

from __future__ import annotations

from typing import Annotated

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from services.analytics import questions
from services.analytics.domain.asked_period import BadPeriod, step_of
from services.analytics.domain.definition import Definition, Group
from services.analytics.domain.definitions import CURRENT, DEFINITIONS
from services.analytics.domain.periods import Step, TooManyPoints
from services.analytics.domain.viewers import NotForYou, Viewer, may_see
from services.analytics.questions import MAX_ROWS, NotAGroup, Question, Value
from services.analytics.transports import schemas
from services.analytics.transports.examples import answered, definitions_answered
from services.analytics.transports.parameters import (
    AskedNumbers,
    DefinitionVersion,
    NumberId,
    definition_named,
)
from services.analytics.transports.problems import problems

_MISSING = "there is no number 'turnes'; there are abandonment, answer_time, ..."
_NUMBER = problems(missing=_MISSING)


@get("/definitions", responses={**definitions_answered(), **problems(invalid="")})
async def definitions(viewer: NamedDependency[Viewer]) -> list[schemas.NumberDefinition]:
    """What each number means, in all versions."""
    return [schemas.definition_of(each, CURRENT[each.id] is each) for each in DEFINITIONS]


@get("/numbers", responses={**answered(schemas.AllNumbers), **problems()})
async def numbers(asked: NamedDependency[AskedNumbers]) -> schemas.AllNumbers:
    """All numbers of a period, and of the one before."""
    found = [await _told(asked, each) for each in CURRENT.values()]
    return schemas.AllNumbers(schemas.about(asked.when, asked.model.newest), found)


@get("/numbers/{id:str}", responses={**answered(schemas.OneNumber), **_NUMBER})
async def number(
    id: NumberId, asked: NamedDependency[AskedNumbers], definition: DefinitionVersion = None
) -> schemas.OneNumber:
    """One number of a period, and of the one before."""
    found = definition_named(id, definition)
    told = schemas.ToldNumber(
        found.id,
        found.version,
        await _value(asked, found, asked.question),
        await _value(asked, found, asked.earlier),
    )
    return schemas.OneNumber(schemas.about(asked.when, asked.model.newest), told)


@get("/numbers/{id:str}/series", responses={**answered(schemas.NumberSeries), **_NUMBER})
async def series(
    id: NumberId,
    asked: NamedDependency[AskedNumbers],
    definition: DefinitionVersion = None,
    step: Annotated[
        Step | None, QueryParameter(description="without it one by which the period can be looked at")
    ] = None,
) -> schemas.NumberSeries:
    """A number of each hour, day, week (from Monday) or month of the zone."""
    found, zone = definition_named(id, definition), asked.when.zone
    chosen = step_of(asked.when.period, zone, step)

    async def points(question: Question) -> list[schemas.ChartPoint]:
        if question.period.until <= question.period.since:
            return []
        key = asked.key("series", found.id, found.version, chosen, question.period)
        told = await asked.answers.ask(
            key, lambda store: questions.series(store, found, question, chosen, zone)
        )
        return [schemas.point(each) for each in told]

    try:
        now, earlier = await points(asked.question), await points(asked.earlier)
    except TooManyPoints as error:
        raise BadPeriod(f"step: {error}") from error
    return schemas.NumberSeries(schemas.about(asked.when, asked.model.newest), chosen, now, earlier)


@get("/numbers/{id:str}/groups", responses={**answered(schemas.NumberGroups), **_NUMBER})
async def groups(
    id: NumberId,
    asked: NamedDependency[AskedNumbers],
    by: Annotated[Group, QueryParameter(description="one of the definition's `groups`")],
    definition: DefinitionVersion = None,
) -> schemas.NumberGroups:
    """A number told apart: by queue, by operator, by state of the flow, and so on."""
    found = definition_named(id, definition)

    async def told(question: Question) -> dict[str, Value]:
        key = asked.key("groups", found.id, found.version, by, question.period)
        answer = await asked.answers.ask(key, lambda store: questions.groups(store, found, question, by))
        return may_see(asked.who, by, answer)

    now, earlier = await told(asked.question), await told(asked.earlier)
    listed = [schemas.NumberGroup(name, value, earlier.get(name)) for name, value in now.items()]
    return schemas.NumberGroups(schemas.about(asked.when, asked.model.newest), by, listed)


@get("/numbers/{id:str}/week", responses={**answered(schemas.NumberWeek), **_NUMBER})
async def week(
    id: NumberId, asked: NamedDependency[AskedNumbers], definition: DefinitionVersion = None
) -> schemas.NumberWeek:
    """A number by weekday and hour."""
    found, question, zone = definition_named(id, definition), asked.question, asked.when.zone
    key = asked.key("week", found.id, found.version)
    told = await asked.answers.ask(key, lambda store: questions.week(store, found, question, zone))
    hours = [schemas.WeekHour(day, hour, value) for (day, hour), value in sorted(told.items())]
    return schemas.NumberWeek(schemas.about(asked.when, asked.model.newest), hours)


@get("/numbers/{id:str}/rows", responses={**answered(schemas.NumberRows), **_NUMBER})
async def rows(
    id: NumberId,
    asked: NamedDependency[AskedNumbers],
    definition: DefinitionVersion = None,
    parts: Annotated[bool, QueryParameter(description="only what a share counts")] = False,
    most: Annotated[int, QueryParameter(ge=1, le=MAX_ROWS, description="at most so many")] = 50,
    where: Annotated[Group | None, QueryParameter(description="only rows of one value of this group")] = None,
    named: Annotated[str, QueryParameter(max_length=200, description="the value; see `where`")] = "",
) -> schemas.NumberRows:
    """What a number is made of: conversations, the newest first, each with a link to the console."""
    if not asked.who.sees_rows:
        raise NotForYou("the conversations behind a number are for who is logged in")
    found = definition_named(id, definition)
    only = dict(asked.only)
    if where is not None:
        if only.get(where, named) != named:
            raise BadPeriod(f"named: {where} is {only[where]!r} already")
        only[where] = named
        may_see(asked.who, where, {named: None})
        if where == "operator" and asked.who.names == "own" and named != asked.who.name:
            raise NotForYou("operators see the numbers of nobody else")
    question = Question(asked.when.period, only, asked.working)
    key = asked.key("rows", found.id, found.version, parts, most, where, named)
    told = await asked.answers.ask(key, lambda store: questions.behind(store, found, question, most, parts))
    whole = await asked.answers.ask(
        asked.key("value", found.id, found.version, question.period, where, named),
        lambda store: questions.value(store, found, question),
    )
    return schemas.NumberRows(
        schemas.about(asked.when, asked.model.newest),
        whole.parts if parts else whole.rows,
        [schemas.row(each, asked.console) for each in told],
    )


async def _told(asked: AskedNumbers, each: Definition) -> schemas.ToldNumber:
    try:
        now = await _value(asked, each, asked.question)
        before = await _value(asked, each, asked.earlier)
    except NotAGroup as error:
        return schemas.ToldNumber(each.id, each.version, None, None, str(error))
    return schemas.ToldNumber(each.id, each.version, now, before)


async def _value(asked: AskedNumbers, each: Definition, question: Question) -> Value:
    key = asked.key("value", each.id, each.version, question.period)
    return await asked.answers.ask(key, lambda store: questions.value(store, each, question))


def number_routes() -> Router:
    """All of these."""
    return Router(
        path="/api",
        route_handlers=[definitions, numbers, number, series, groups, week, rows],
        tags=["numbers"],
    )
