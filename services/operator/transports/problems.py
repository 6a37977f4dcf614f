"""What can go wrong, and how it is answered: in one of two forms, as the route has it."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import NamedTuple

import structlog
from litestar import MediaType, Response
from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example

from services.operator.accounts import SecondFactorDemanded
from services.operator.buckets import Unavailable
from services.operator.desk import DeskError
from services.operator.desk_commands import NoteRefused
from services.operator.domain.accounts import AccountRefused
from services.operator.handlers import Busy, CommandRefused, NoSuchState, NotFound
from services.operator.history import NothingThere, StillReading
from services.operator.kept_lists import ListFull
from services.operator.second_factor import NoMasterKey
from services.operator.suggestions import NotSuggested, TooManySuggestions
from services.operator.transports import schemas
from services.operator.transports.login import CodeWanted, PasswordsOff, TooMany
from services.operator.transports.parameters import Req
from shared.eventlog.errors import Full, IdReused, LogError

log = structlog.get_logger()

#: RFC 9457.
PROBLEM_JSON = "application/problem+json"


class HttpProblem(NamedTuple):
    """What is answered: the status, what is said, the headers."""

    status: int
    said: schemas.ProblemDetail
    headers: dict[str, str]


def as_json(request: Req, error: Exception) -> Response[schemas.ProblemDetail]:
    """The form of the first routes."""
    status, said, headers = _http_problem(error)
    return Response(said, status_code=status, headers=headers, media_type=MediaType.JSON)


def as_problem(request: Req, error: Exception) -> Response[schemas.ProblemDocument]:
    """The form of RFC 9457."""
    status, said, headers = _http_problem(error)
    problem = schemas.ProblemDocument(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=said.error,
        operator=said.operator,
        operator_name=said.operator_name,
        second_factor=said.second_factor,
    )
    return Response(problem, status_code=status, headers=headers, media_type=PROBLEM_JSON)


_TOLD = {
    400: "not of the form that this page describes",
    401: "not logged in",
    403: "this account may not do that",
    404: "no such conversation",
    409: "someone else has the conversation, or was quicker",
    422: "what was asked cannot be done",
    429: "too many failed logins",
    503: "not ready, or the log is out of reach: try again after `Retry-After`",
}


_AS_PROBLEM = {409: "not now, or not with this id", 429: "too often: try again after `Retry-After`"}


def answers(*statuses: int) -> dict[int, ResponseSpec]:
    """What can go wrong at a route in the first form, for its description."""
    return {
        status: ResponseSpec(schemas.ProblemDetail, generate_examples=False, description=_TOLD[status])
        for status in (*statuses, 503)
    }


def problems(
    conflict: str = "",
    invalid: str = "",
    missing: str = "no such conversation",
    forbidden: str = "",
    too_many: str = "",
) -> dict[int, ResponseSpec]:
    """What can go wrong at a route in the form of RFC 9457, each with an example.

    ``conflict`` is that of 409, ``invalid`` that of 422, ``missing`` that of 404, ``forbidden`` that of 403,
    ``too_many`` that of 429, for routes that answer so.
    """
    details = {
        400: "id: Invalid UUID",
        401: "log in first",
        403: forbidden,
        404: missing,
        409: conflict,
        422: invalid,
        429: too_many,
        503: "the log does not answer in time, try again",
    }
    return {
        status: ResponseSpec(
            schemas.ProblemDocument,
            generate_examples=False,
            description=_AS_PROBLEM.get(status) or _TOLD[status],
            media_type=PROBLEM_JSON,
            examples=[
                Example(
                    value={
                        "type": "about:blank",
                        "title": HTTPStatus(status).phrase,
                        "status": status,
                        "detail": detail,
                    }
                )
            ],
        )
        for status, detail in details.items()
        if detail
    }


def _http_problem(error: Exception) -> HttpProblem:
    """What is unforeseen goes to our log, never to the client."""
    said, again = schemas.ProblemDetail(error=str(error)), {"Retry-After": "1"}
    match error:
        case StillReading():
            return HttpProblem(503, said, again)
        case NothingThere():
            return HttpProblem(404, said, {})
        case NotFound():
            return HttpProblem(404, schemas.ProblemDetail(error="no such conversation"), {})
        case CommandRefused(why=why):
            name, shown = why.operator or None, why.operator_name or None
            told = schemas.ProblemDetail(error=why.error, operator=name, operator_name=shown)
            return HttpProblem(409, told, {})
        case NotSuggested(again=True):
            return HttpProblem(503, said, again)
        case TooManySuggestions(seconds=seconds):
            return HttpProblem(429, said, {"Retry-After": str(math.ceil(seconds))})
        case IdReused() | NotSuggested() | NoteRefused() | ListFull():
            return HttpProblem(409, said, {})
        case AccountRefused(kind=kind):
            return HttpProblem({"missing": 404, "forbidden": 403, "conflict": 409}[kind], said, {})
        case CodeWanted(why=why):
            status = 401 if why == "needed" else 422
            return HttpProblem(status, schemas.ProblemDetail(error=str(error), second_factor=why), {})
        case SecondFactorDemanded():
            return HttpProblem(403, schemas.ProblemDetail(error=str(error), second_factor="demanded"), {})
        case PasswordsOff():
            return HttpProblem(403, said, {})
        case NoMasterKey():
            needs = schemas.ProblemDetail(error="a second factor needs SWITCHBOARD_MASTER_KEY to be set")
            return HttpProblem(409, needs, {})
        case NoSuchState():
            return HttpProblem(422, said, {})
        case TooMany(seconds=seconds):
            return HttpProblem(429, said, {"Retry-After": str(seconds)})
        case Full():
            return HttpProblem(507, said, again)
        case DeskError():
            log.error("desk_unusable", error=str(error))
            return HttpProblem(
                503, schemas.ProblemDetail(error="the lists cannot be read now, try again"), again
            )
        case LogError() | Busy() | Unavailable():
            log.warning("log_out_of_reach", error=str(error))
            late = schemas.ProblemDetail(error="the log does not answer in time, try again")
            return HttpProblem(503, late, again)
        case HTTPException():
            headers = dict(error.headers or {})
            return HttpProblem(error.status_code, schemas.ProblemDetail(error=_words(error)), headers)
        case _:
            log.error("request_failed", exc_info=error)
            return HttpProblem(500, schemas.ProblemDetail(error="internal error"), {})


def _words(error: HTTPException) -> str:
    """What a client may know of a bad request: which field, not which code."""
    if error.status_code >= 500:
        return "internal error"
    extra = error.extra if isinstance(error.extra, list) else []
    fields = [f"{item.get('key', '')}: {item.get('message', '')}" for item in extra if isinstance(item, dict)]
    return "; ".join(fields) or error.detail
