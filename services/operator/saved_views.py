"""Saved views: searches with a name, of all or of one operator's own. They are beside canned answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from nats.aio.client import Client

from services.operator.domain.search import MAX_QUESTION, Writer
from services.operator.kept_lists import KeptLists
from shared.contract.conversation import Status
from shared.contract.subjects import ANSWERS, VIEWS_OF, VIEWS_SHARED

#: In one list, and how large all of one may be together (bytes).
MAX_VIEWS: Final = 50
MAX_BYTES: Final = 64 * 1024


Filter = Annotated[str, msgspec.Meta(max_length=64)]
Moment = Annotated[datetime, msgspec.Meta(tz=True, examples=["2026-12-01T08:00:00Z"])]


class SavedSearch(msgspec.Struct, omit_defaults=True):
    """What is empty does not matter. ``who``: whose words; ``operator``: an account; ``since`` and ``until``:
    when something happened last.
    """

    words: Annotated[str, msgspec.Meta(max_length=MAX_QUESTION, examples=['refund "next monday"'])] = ""
    who: Writer | None = None
    status: Status | None = None
    operator: Filter = ""
    queue: Filter = ""
    label: Filter = ""
    rating: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0
    since: Moment | None = None
    until: Moment | None = None


class SavedView(msgspec.Struct, frozen=True):
    """``by`` saved it."""

    id: Annotated[str, msgspec.Meta(max_length=64)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    wanted: SavedSearch
    by: str


class SavedViews(KeptLists[SavedView]):
    """Reads and changes them."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, ANSWERS, SavedView, VIEWS_SHARED, VIEWS_OF, MAX_VIEWS, MAX_BYTES)
