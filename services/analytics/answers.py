"""NumberAnswers that are asked for by many, computed once: fifty open dashboards cost as one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple, TypeVar

import duckdb
from prometheus_client import CollectorRegistry, Counter

from services.analytics.read_model import ReadModel

T = TypeVar("T")

#: While the log grows, an answer is given again for so long (seconds); else until it grows.
FRESH_SECONDS: Final = 3.0
#: NumberAnswers that are kept, and questions that may wait for the store's thread.
MAX_KEPT: Final = 1_000
MAX_WAITING: Final = 200


class TooManyQuestions(Exception):
    """So many wait that another one would wait for too long."""


class _KeptAnswer(NamedTuple):
    revision: int
    at: float
    answer: Any


class NumberAnswers:
    """``clock`` in seconds."""

    def __init__(self, model: ReadModel, clock: Callable[[], float], registry: CollectorRegistry) -> None:
        self._model = model
        self._clock = clock
        self._asked = Counter(
            "switchboard_numbers_asked_total",
            "Questions that the numbers' store has answered for the dashboard",
            registry=registry,
        )
        self._kept: OrderedDict[Hashable, _KeptAnswer] = OrderedDict()
        self._asking: dict[Hashable, asyncio.Task[Any]] = {}

    async def ask(self, key: Hashable, question: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """The answer to ``question``, of which ``key`` says all. Raises what it raises, `StoreError`, and
        `TooManyQuestions`.
        """
        kept = self._kept.get(key)
        if kept is not None and (
            kept.revision == self._model.revision or self._clock() < kept.at + FRESH_SECONDS
        ):
            self._kept.move_to_end(key)
            answer: T = kept.answer
            return answer
        asking = self._asking.get(key)
        if asking is None:
            if len(self._asking) >= MAX_WAITING:
                raise TooManyQuestions
            asking = self._asking[key] = asyncio.create_task(self._answered(key, question))
            asking.add_done_callback(_heard)
        found: T = await asyncio.shield(asking)
        return found

    async def _answered(self, key: Hashable, question: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        self._asked.inc()
        at, revision = self._clock(), self._model.revision
        try:
            answer = await self._model.read(question)
        finally:
            del self._asking[key]
        self._kept[key] = _KeptAnswer(revision, at, answer)
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return answer


def _heard(asking: asyncio.Task[Any]) -> None:
    """Whoever asked may be gone: then nobody is told what went wrong."""
    if not asking.cancelled():
        asking.exception()
