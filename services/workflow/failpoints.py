"""Named points of a turn at which tests hold or die. The product does nothing there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

#: Called with the point's name and the conversation.
FaultPoint = Callable[[str, str], Awaitable[None]]


async def no_fault(point: str, conversation: str) -> None:
    """The product's fault point: none."""
