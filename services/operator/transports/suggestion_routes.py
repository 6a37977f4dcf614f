"""The routes about what the assistant suggests to operators."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.params import JSONBody

from services.operator.answers import CannedAnswers
from services.operator.domain.decisions import Operator
from services.operator.handlers import Handlers, Still
from services.operator.suggestions import Suggester
from services.operator.transports.parameters import Id
from services.operator.transports.problems import as_problem, problems
from shared.contract.suggestions import PreparedAnswer, SuggestionAsked, SuggestionKind

#: So many canned answers are offered to the assistant, and so much of each is (characters).
MAX_PREPARED = 50
MAX_PREPARED_TEXT = 2_000


class Offered(msgspec.Struct):
    """Whether the assistant can be asked for suggestions."""

    offered: Annotated[bool, msgspec.Meta(examples=[True])]


class Suggest(msgspec.Struct, forbid_unknown_fields=True):
    """``reply``: a draft of what the operator says next; ``summary``: what the talk was about so far, in
    ``language`` (BCP 47).
    """

    kind: Annotated[SuggestionKind, msgspec.Meta(examples=["reply"])]
    language: Annotated[
        str, msgspec.Meta(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$", examples=["en"])
    ] = "en"


class Suggested(msgspec.Struct, kw_only=True):
    """What the assistant suggests. ``position`` is that of the last entry it knows of."""

    kind: Annotated[SuggestionKind, msgspec.Meta(examples=["reply"])]
    text: Annotated[str, msgspec.Meta(examples=["Your refund left us on Monday. Has it arrived?"])]
    position: Annotated[int, msgspec.Meta(examples=[17])]
    model: Annotated[str, msgspec.Meta(examples=["small-1"])]


@get("/api/suggestions", responses=problems(missing=""))
async def offered(operator: Operator, suggester: Suggester) -> Offered:
    """Whether there is an assistant to ask, and operators may."""
    return Offered(await suggester.offered())


@post(
    "/api/conversations/{id:str}/suggestions",
    status_code=200,
    responses=problems(
        conflict="the visitor has not said anything yet", too_many="more than 12 suggestions in a minute"
    ),
)
async def suggest(
    id: Id,
    data: JSONBody[Suggest],
    operator: Operator,
    handlers: Handlers,
    still: Still,
    canned: CannedAnswers,
    suggester: Suggester,
) -> Suggested:
    """Ask the assistant for a draft of the next reply, or for a summary. It takes some seconds. Nothing is
    said to the visitor, and nothing is stored; the assistant's provider is sent the conversation.
    """
    await handlers.find(id)
    prepared: tuple[PreparedAnswer, ...] = ()
    if data.kind == "reply":
        answers = (*await canned.of(operator.name), *await canned.shared())
        prepared = tuple(
            PreparedAnswer(answer.title, answer.text[:MAX_PREPARED_TEXT]) for answer in answers[:MAX_PREPARED]
        )
    found = await suggester.suggest(operator.name, SuggestionAsked(id, data.kind, data.language, prepared))
    await handlers.find(id)  # it may have been erased meanwhile
    await still()
    return Suggested(kind=data.kind, text=found.text, position=found.position, model=found.model)


def suggestion_routes() -> Router:
    """All of these."""
    return Router(path="/", route_handlers=[offered, suggest], exception_handlers={Exception: as_problem})
