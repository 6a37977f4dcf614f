"""Canned answers: what operators say often, shared by all or of one operator's own."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from nats.aio.client import Client

from services.operator.kept_lists import KeptLists
from shared.contract.subjects import ANSWERS, ANSWERS_OF

SHARED: Final = "shared"
#: In one list, and how large all of one may be together (bytes).
MAX_ANSWERS: Final = 500
MAX_BYTES: Final = 256 * 1024


class CannedAnswer(msgspec.Struct, frozen=True):
    """``text`` may name ``{{visitor}}``, ``{{me}}``, or what the flow has saved; ``by`` wrote it."""

    id: Annotated[str, msgspec.Meta(max_length=64)]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]
    by: str


class CannedAnswers(KeptLists[CannedAnswer]):
    """Reads and changes them."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, ANSWERS, CannedAnswer, SHARED, ANSWERS_OF, MAX_ANSWERS, MAX_BYTES)
