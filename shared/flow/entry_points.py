"""The states of a flow to which operators may hand a conversation back, by titles that they can read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

#: Of a title, in characters.
MAX_TITLE: Final = 80


def is_title(title: Any) -> bool:
    """Whether this can be read by an operator in a short list."""
    return isinstance(title, str) and 0 < len(title.strip()) <= MAX_TITLE


def entry_points(flow: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """States and titles, of a flow's JSON, in its author's order. What is none there is passed over."""
    settings = flow.get("$settings")
    named = settings.get("handback") if isinstance(settings, dict) else None
    for state, title in named.items() if isinstance(named, dict) else ():
        if state in flow and not state.startswith("$") and is_title(title):
            yield state, title.strip()
