"""What can go wrong at the dashboard's API, as problem details (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from services.analytics.answers import TooManyQuestions
from services.analytics.desk_hours import NoHours
from services.analytics.domain.asked_period import BadPeriod
from services.analytics.domain.viewers import NotForYou
from services.analytics.logins import CannotAsk, NotLoggedIn
from services.analytics.questions import NotAGroup
from services.analytics.store import StoreError
from services.analytics.transports.schemas import NumbersProblem
from shared.eventlog.errors import Unreachable

log = structlog.get_logger()

PROBLEM_JSON: Final = "application/problem+json"
_AGAIN: Final = {"Retry-After": "1"}


class StillCounting(Exception):
    """The log has not been read to its end yet; ``position`` entries have."""

    def __init__(self, position: int) -> None:
        super().__init__("the log has not been read to its end yet, try again")
        self.position = position


class NoSuchNumber(Exception):
    """The text says which there are."""


def as_problem(request: Request[Any, Any, Any], error: Exception) -> Response[NumbersProblem]:
    """What is unforeseen goes to our log, never to the client."""
    status, detail, headers = _problem(error)
    found = NumbersProblem(HTTPStatus(status).phrase, status, detail)
    if isinstance(error, NotLoggedIn):
        found.console = request.app.state.console(request.scope)
    if isinstance(error, StillCounting):
        found.position = error.position
    return Response(found, status_code=status, headers=headers, media_type=PROBLEM_JSON)


def _problem(error: Exception) -> tuple[int, str, dict[str, str]]:
    match error:
        case NotLoggedIn():
            return 401, str(error), {}
        case NotForYou():
            return 403, str(error), {}
        case NoSuchNumber():
            return 404, str(error), {}
        case BadPeriod() | NotAGroup():
            return 400, str(error), {}
        case CannotAsk() | StillCounting():
            return 503, str(error), _AGAIN
        case NoHours():
            log.warning("no_working_hours", error=str(error))
            return 503, "the desk's working hours cannot be read now, try again", _AGAIN
        case TooManyQuestions():
            return 503, "too many questions wait, try again", _AGAIN
        case StoreError():  # what is wrong with the file is in the service's log
            return 503, "the numbers cannot be read now, try again", _AGAIN
        case Unreachable():
            return 503, "the log does not answer in time, try again", _AGAIN
        case HTTPException() if error.status_code < 500:
            extra = error.extra if isinstance(error.extra, list) else []
            fields = [
                f"{each.get('key', '')}: {each.get('message', '')}"
                for each in extra
                if isinstance(each, dict)
            ]
            return error.status_code, "; ".join(fields) or error.detail, dict(error.headers or {})
        case _:
            log.error("request_failed", exc_info=error)
            return 500, "internal error", {}


def problems(
    missing: str = "", invalid: str = "until: 2026-11-01 is before since, which is 2026-11-27"
) -> Any:
    """What can go wrong at a route, each with an example."""
    details = {
        400: ("what was asked is not possible", invalid),
        401: ("not logged in", "log in at the console first"),
        403: ("this account may not see that", "operators see the numbers of nobody else"),
        404: ("there is no such", missing),
        503: (
            "not now: try again after `Retry-After`",
            "the log has not been read to its end yet, try again",
        ),
    }
    return {
        status: ResponseSpec(
            NumbersProblem,
            generate_examples=False,
            description=said,
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
        for status, (said, detail) in details.items()
        if detail
    }
