"""A queue of which every version stays what it was.

The fold keeps the inputs that wait for their outcome, and each input and each outcome makes a new state.
Copying a tuple for each would cost the square of how many wait; here the versions share one list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Final, Protocol, TypeVar, overload

#: Below this length nothing is gained by letting go of what was taken.
_SHORT: Final = 32
_place = attrgetter("position")


class Placed(Protocol):
    """Something with a place in the log's order."""

    @property
    def position(self) -> int: ...


T = TypeVar("T", bound=Placed)


class PersistentQueue(Sequence[T]):
    """Immutable to whoever holds it; its items are ordered by their position.

    `plus` takes constant time on the newest version, and so does `without` for the oldest item; for one in
    the middle it copies the queue. A version sees the items from ``begin`` up to ``end`` of the shared list.
    """

    __slots__ = ("_begin", "_end", "_items")

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = list(items)
        self._begin = 0
        self._end = len(self._items)

    def plus(self, item: T) -> PersistentQueue[T]:
        """This queue with one more item; its position is not below that of the last."""
        items, end = self._items, self._end
        if self._begin == end:  # every conversation begins with the one empty queue: it is never added to
            return PersistentQueue((item,))
        if len(items) > end:
            # History branched, and the list holds the other branch's items. This one gets its own.
            return PersistentQueue([*self, item])
        items.append(item)
        return self._version(self._begin, end + 1)

    def without(self, position: int) -> PersistentQueue[T]:
        """This queue without the items at ``position``; itself where there are none."""
        first, last = self._range(position)
        if first == last:
            return self
        if first != self._begin:
            return PersistentQueue([*self._items[self._begin : first], *self._items[last : self._end]])
        if last == self._end:
            return PersistentQueue()
        if last > _SHORT and 2 * last > len(self._items):  # most of the list was taken: let go of it
            return PersistentQueue(self._items[last : self._end])
        return self._version(last, self._end)

    def at(self, position: int) -> list[T]:
        """The items at ``position``: mostly one, or none."""
        first, last = self._range(position)
        return self._items[first:last]

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        at = index + (self._end if index < 0 else self._begin)
        if not self._begin <= at < self._end:
            raise IndexError(index)
        return self._items[at]

    def __iter__(self) -> Iterator[T]:
        return islice(self._items, self._begin, self._end)

    def __len__(self) -> int:
        return self._end - self._begin

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, PersistentQueue | tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def _range(self, position: int) -> tuple[int, int]:
        items, begin, end = self._items, self._begin, self._end
        if end - begin == 1:  # nearly always: no search needed
            return begin, end if items[begin].position == position else begin
        first = bisect_left(items, position, begin, end, key=_place)
        return first, bisect_right(items, position, first, end, key=_place)

    def _version(self, begin: int, end: int) -> PersistentQueue[T]:
        version: PersistentQueue[Any] = PersistentQueue.__new__(PersistentQueue)
        version._items, version._begin, version._end = self._items, begin, end
        return version
