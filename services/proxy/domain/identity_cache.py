"""What is made of objects that come again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Made = TypeVar("Made")


class IdentityCache(Generic[T, Made]):
    """``make``, once for each object, told apart by identity: comparing would cost more than making.

    Pays for facts of the bot, of which the codec gives the same objects for the same bytes. ``make``
    must depend on nothing else. Keeps at most ``most``.
    """

    def __init__(self, make: Callable[[T], Made], most: int = 1024) -> None:
        self._make = make
        self._most = most
        self._made: dict[int, tuple[T, Made]] = {}  # the object is held, so its number stays its own

    def __call__(self, source: T) -> Made:
        found = self._made.get(id(source))
        if found is not None:
            return found[1]
        if len(self._made) >= self._most:
            self._made.clear()
        made = self._make(source)
        self._made[id(source)] = source, made
        return made
