"""What all facts are made of: their base, and the types of the fields that can be forgotten."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

#: Text that a person wrote, or that says who a person is.
Personal = Annotated[str, msgspec.Meta(extra_json_schema={"x-personal": True})]

#: Any JSON value that a person gave, or that says something about a person.
PersonalValue = Annotated[Any, msgspec.Meta(extra_json_schema={"x-personal": True})]

#: A JSON object of that kind.
PersonalObject = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema={"x-personal": True})]


class FactBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=True, omit_defaults=True):
    """What all facts share: immutable, tagged by their class name in ``kind``."""
