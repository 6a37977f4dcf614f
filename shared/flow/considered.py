"""Why the bot did what it did: the rules of the flow that it looked at, in the order in which it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

#: ``condition``: one of a state's branches. ``otherwise``: none of them held. ``choice``: what was picked.
#: ``words``, ``pattern``, ``text``: whether a state takes the visitor's text, by words, by a pattern, or any.
#: ``value``: whether the text is what the state saves, such as a number or a date. ``tries``: whether it is
#: asked once more. ``backend``, ``assistant``: whether an answer came from there. ``people``: whether an
#: operator is there, or nobody knows.
Rule = Literal[
    "condition",
    "otherwise",
    "choice",
    "words",
    "pattern",
    "text",
    "value",
    "tries",
    "backend",
    "assistant",
    "people",
]


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that was looked at.

    ``state`` is whose rule it is, ``text`` how it stands in the flow, ``values`` what it looked at. ``holds``
    says whether it did, None where nobody can tell, which counts as no; ``why`` then says why. ``to`` is the
    state that it leads to, None for the end or where it leads nowhere.
    """

    state: str
    rule: Rule
    text: str = ""
    holds: bool | None = True
    why: str = ""
    values: Mapping[str, Any] = {}
    to: str | None = None
