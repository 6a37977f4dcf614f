"""JSON with the line of each of its values, for messages that say where."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_decoder: Final = json.JSONDecoder()


class JsonNode(msgspec.Struct, frozen=True):
    """A value and the line that it begins in, counted from 1; its members or items, where it has any."""

    value: Any
    line: int
    members: Mapping[str, JsonNode] = {}
    items: tuple[JsonNode, ...] = ()


def parse(text: str) -> JsonNode:
    """The whole text as one value. Raises `json.JSONDecodeError`, or RecursionError where it is too deep."""
    json.loads(text)  # finds every mistake; what follows is only walked
    return _Walk(text).node()


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted = 0
        self._line = 1

    def node(self) -> JsonNode:
        self._skip()
        line = self._line
        match self._text[self._at]:
            case "{":
                members = self._members()
                return JsonNode({name: each.value for name, each in members.items()}, line, members)
            case "[":
                items = self._items()
                return JsonNode([each.value for each in items], line, {}, tuple(items))
            case _:
                value, self._at = _decoder.raw_decode(self._text, self._at)
                return JsonNode(value, line)

    def _members(self) -> dict[str, JsonNode]:
        members: dict[str, JsonNode] = {}
        while self._more("}"):
            name, self._at = _decoder.raw_decode(self._text, self._at)
            self._skip()
            self._at += 1  # the colon
            members[name] = self.node()
        return members

    def _items(self) -> list[JsonNode]:
        items: list[JsonNode] = []
        while self._more("]"):
            items.append(self.node())
        return items

    def _more(self, end: str) -> bool:
        """Past the opening bracket or a comma, to the next value; False past the closing bracket."""
        self._skip()
        found = self._text[self._at]
        self._at += 1 if found in "{[,]}" else 0
        if found == end:
            return False
        self._skip()
        if self._text[self._at] == end:  # nothing between the brackets
            self._at += 1
            return False
        return True

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
