"""The form of every rule: what one fact does to one sub-state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from shared.contract.entry import RecordedEntry

State = TypeVar("State")

#: A sub-fold's rules, by the type of the fact. A fact without a rule changes nothing there.
#:
#: A rule is given the sub-state, the entry and the fact, and returns the next sub-state. It is asked only
#: about facts that take effect. A table, since every service runs it for every entry: a chain of type
#: tests costs more than the rules themselves.
Rules = Mapping[type, Callable[[State, RecordedEntry, Any], State]]
