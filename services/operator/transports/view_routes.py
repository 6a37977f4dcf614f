"""The routes about saved views: searches that operators keep under a name."""

from __future__ import annotations

import uuid
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.params import JSONBody

from services.operator.domain.decisions import Operator
from services.operator.domain.search import question
from services.operator.saved_views import SavedSearch, SavedView, SavedViews
from services.operator.transports.problems import as_problem, problems
from shared.contract.visible import cleaned

_SUPERVISORS = "only supervisors may share views with all"


class Views(msgspec.Struct):
    """Those of all, and the operator's own."""

    shared: tuple[SavedView, ...]
    own: tuple[SavedView, ...]


class WantedSearch(SavedSearch, forbid_unknown_fields=True):
    """What the view looks for: as `POST /api/search` takes it."""


class SaveView(msgspec.Struct, forbid_unknown_fields=True):
    """With the ``id`` of a view it is changed; without one it is a new one. ``shared``: for all, which
    supervisors may say.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60, examples=["Late refunds"])]
    wanted: WantedSearch
    shared: bool = False
    id: uuid.UUID | None = None


class RemoveView(msgspec.Struct, forbid_unknown_fields=True):
    id: uuid.UUID
    shared: bool = False


@get("", responses=problems(missing=""))
async def views(operator: Operator, saved: SavedViews) -> Views:
    """All that the operator has in the console."""
    return await _all(operator, saved)


@post(
    "",
    status_code=200,
    responses=problems(
        "there are 50 already: remove some first",
        "wanted: there is nothing in it to look for",
        "",
        _SUPERVISORS,
    ),
)
async def save(data: JSONBody[SaveView], operator: Operator, saved: SavedViews) -> Views:
    """Save a view, or change one."""
    name = " ".join(cleaned(data.name).split())
    if not name:
        raise HTTPException("name: there is nothing to see in it", status_code=422)
    wanted = msgspec.convert(msgspec.to_builtins(data.wanted), SavedSearch)
    if wanted == SavedSearch() or (wanted.words.strip() and not question(wanted.words)):
        raise HTTPException("wanted: there is nothing in it to look for", status_code=422)
    view = SavedView(str(data.id or uuid.uuid4()), name, wanted, operator.name)
    await saved.save(view, _whose(operator, data.shared))
    return await _all(operator, saved)


@post("/remove", status_code=200, responses=problems(missing="", forbidden=_SUPERVISORS))
async def remove(data: JSONBody[RemoveView], operator: Operator, saved: SavedViews) -> Views:
    """Remove a view."""
    await saved.remove(str(data.id), _whose(operator, data.shared))
    return await _all(operator, saved)


def view_routes() -> Router:
    """All of these."""
    return Router(
        path="/api/views",
        route_handlers=[views, save, remove],
        exception_handlers={Exception: as_problem},
    )


def _whose(operator: Operator, shared: bool) -> str | None:
    if shared and operator.role == "operator":
        raise PermissionDeniedException(_SUPERVISORS)
    return None if shared else operator.name


async def _all(operator: Operator, saved: SavedViews) -> Views:
    return Views(await saved.shared(), await saved.of(operator.name))
