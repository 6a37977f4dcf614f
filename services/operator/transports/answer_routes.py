"""The routes about canned answers."""

from __future__ import annotations

import uuid
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody

from services.operator.answers import CannedAnswer, CannedAnswers
from services.operator.domain.decisions import Operator
from services.operator.transports.problems import as_problem, problems
from shared.contract.visible import cleaned


class Answers(msgspec.Struct):
    """Those that all may use, and the operator's own."""

    shared: tuple[CannedAnswer, ...]
    own: tuple[CannedAnswer, ...]


class SaveAnswer(msgspec.Struct, forbid_unknown_fields=True):
    """With the ``id`` of an answer it is changed; without one it is a new one."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=80, examples=["Refund is on its way"])]
    text: Annotated[
        str,
        msgspec.Meta(
            min_length=1, max_length=8192, examples=["Hello {{visitor}}, your refund is on its way."]
        ),
    ]
    shared: bool = False
    id: uuid.UUID | None = None


class RemoveAnswer(msgspec.Struct, forbid_unknown_fields=True):
    id: uuid.UUID
    shared: bool = False


@get("", responses=problems(missing=""))
async def answers(operator: Operator, canned: CannedAnswers) -> Answers:
    """All that the operator may use."""
    return Answers(await canned.shared(), await canned.of(operator.name))


@post(
    "",
    status_code=200,
    responses=problems(
        "there are 500 already: remove some first", "title: there is nothing to see in it", ""
    ),
)
async def save(data: JSONBody[SaveAnswer], operator: Operator, canned: CannedAnswers) -> Answers:
    """Add an answer, or change one."""
    title, text = " ".join(cleaned(data.title).split()), cleaned(data.text).strip()
    for name, value in (("title", title), ("text", text)):
        if not value:
            raise HTTPException(f"{name}: there is nothing to see in it", status_code=422)
    answer = CannedAnswer(str(data.id or uuid.uuid4()), title, text, operator.name)
    await canned.save(answer, None if data.shared else operator.name)
    return Answers(await canned.shared(), await canned.of(operator.name))


@post("/remove", status_code=200, responses=problems(missing=""))
async def remove(data: JSONBody[RemoveAnswer], operator: Operator, canned: CannedAnswers) -> Answers:
    """Remove an answer."""
    await canned.remove(str(data.id), None if data.shared else operator.name)
    return Answers(await canned.shared(), await canned.of(operator.name))


def answer_routes() -> Router:
    """All of these."""
    return Router(
        path="/api/answers",
        route_handlers=[answers, save, remove],
        exception_handlers={Exception: as_problem},
    )
