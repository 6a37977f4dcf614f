"""The graphs of flows, as they can be drawn: made once of each version's content."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from importlib import import_module
from typing import TYPE_CHECKING, Final

from shared.service.chat_log import ChatLog, flow_store

if TYPE_CHECKING:
    from shared.flow.placing import PlacedPart

#: Pictures that are kept, and states beyond which none is made: nobody could look at it.
MAX_KEPT: Final = 20
MAX_BOXES: Final = 400


class NoPicture(Exception):
    """There is none; the text says why."""


class FlowPictures:
    """Kept by version; what a version names never changes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, list[PlacedPart]] = OrderedDict()

    async def picture(self, log: ChatLog, name: str, version: str) -> list[PlacedPart]:
        """Raises `NoPicture` and `Unreachable`."""
        found = self._kept.get(version)
        if found is None:
            content = await flow_store(log).get(version)
            if content is None:
                raise NoPicture("the log holds no content of this version")
            # The language takes a while to load, and no number needs it.
            found = self._kept[version] = await asyncio.to_thread(_made, content, name)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return found


def _made(content: bytes, name: str) -> list[PlacedPart]:
    import_module("shared.flow.placing")
    from shared.flow.drawing import drawing
    from shared.flow.language.flow import FlowError, parse
    from shared.flow.placing import placed

    try:
        flow = parse(content, name)
    except FlowError as error:
        raise NoPicture("this program cannot read the version's content") from error
    picture = drawing(flow, room=2)
    if len(picture.boxes) > MAX_BOXES:
        raise NoPicture(f"it has {len(picture.boxes)} states, and {MAX_BOXES} can be drawn")
    return placed(picture)
