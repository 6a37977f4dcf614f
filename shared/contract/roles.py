"""What an operator's account may do beyond serving visitors."""

from __future__ import annotations

from typing import Final, Literal, get_args

#: A supervisor may take over from anyone; an admin may do what a supervisor may.
Role = Literal["operator", "supervisor", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
