"""A set that only grows, of which every version stays what it was.

The fold keeps the ids of a conversation, and each input makes a new state. Copying a frozenset for
each would cost the square of the conversation's length; here the versions share one dict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from itertools import islice


class PersistentSet(Set[str]):
    """Immutable to whoever holds it. `plus` takes constant time on the newest version.

    The shared dict holds each member's number of predecessors; a version sees the first ``size``.
    """

    __slots__ = ("_numbers", "_size")

    def __init__(self, numbers: dict[str, int] | None = None, size: int = 0) -> None:
        self._numbers = numbers if numbers is not None else {}
        self._size = size

    @classmethod
    def of(cls, members: Iterable[str]) -> PersistentSet:
        """The set of these members, in their order."""
        numbers = {member: number for number, member in enumerate(dict.fromkeys(members))}
        return cls(numbers, len(numbers))

    def plus(self, member: str) -> PersistentSet:
        """This set with one more member; itself where that is one already."""
        numbers, size = self._numbers, self._size
        if numbers.get(member, size) < size:
            return self
        if not size:
            numbers = {}  # the empty set begins every conversation
        elif len(numbers) > size:
            # History branched, and the dict holds the other branch's members: this one gets its own.
            numbers = {each: number for number, each in enumerate(self)}
        numbers[member] = size
        return PersistentSet(numbers, size + 1)

    def __contains__(self, member: object) -> bool:
        return self._numbers.get(member, self._size) < self._size  # type: ignore[call-overload, no-any-return]

    def __iter__(self) -> Iterator[str]:
        return islice(self._numbers, self._size)

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self))}}}"

    def __hash__(self) -> int:
        return hash(frozenset(self))
