"""Who looks at the numbers, and what they may see of whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

import msgspec

from services.analytics.domain.definition import Group
from shared.contract.roles import Role

#: Whose numbers are told apart: of ``all`` operators, one's ``own``, or those of nobody.
Names = Literal["all", "own", "none"]

T = TypeVar("T")


class NotForYou(Exception):
    """This viewer may not see that. The text says what they may."""


class Viewer(msgspec.Struct, frozen=True):
    """``name`` "": nobody is logged in, where the dashboard is open to all."""

    name: str
    display: str
    role: Role
    names: Names

    @property
    def sees_rows(self) -> bool:
        """Whether the conversations behind a number are named: only to who may read them at the console."""
        return bool(self.name)


def viewer(name: str, display: str, role: Role, shown: bool) -> Viewer:
    """Supervisors and admins see all operators, others themselves; where names are not ``shown``, nobody."""
    names: Names = "none" if not shown or not name else "own" if role == "operator" else "all"
    return Viewer(name, display, role, names)


def check_filters(who: Viewer, only: Mapping[Group, str]) -> None:
    """Raises `NotForYou` where these would tell of an operator of whom the viewer may not know."""
    operator = only.get("operator")
    if operator is None or who.names == "all" or (who.names == "own" and operator == who.name):
        return
    if who.names == "own":
        raise NotForYou(f"operators see the numbers of nobody else: leave operator out, or take {who.name}")
    raise NotForYou("numbers of single operators are not shown here: leave operator out")


def may_see(who: Viewer, by: Group, found: Mapping[str, T]) -> dict[str, T]:
    """Those of a group's values of which the viewer may know. Raises `NotForYou` where that is none."""
    if by != "operator" or who.names == "all":
        return dict(found)
    if who.names == "none":
        raise NotForYou("numbers of single operators are not shown here: tell them apart by something else")
    return {name: value for name, value in found.items() if name == who.name}
