"""Which answers a flow knows of at all: what names anything else is not stored. Pure.

Whether an answer fits what is asked right now is the workflow's to say. This keeps a stranger's own words
out of the fields that hold a flow's ids, and needs no view of the log: the ids are those of the flow, so an
answer to a question that this proxy has not heard of yet is let through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from services.proxy.domain.limits import MAX_ID
from services.proxy.domain.rendering import OPERATOR
from shared.contract.conversation import Conversation
from shared.contract.facts import ASSISTANT_SESSION, ChoiceMade, Fact, TextWritten


class FlowIds(NamedTuple):
    """The ids of one version of a flow, as text: the editors' sessions, and the items of each group."""

    sessions: frozenset[str]
    items: dict[str, frozenset[str]]


#: What stands for the ids of a version that can be read but were not yet.
Unread = Literal["unread"]
#: The ids of a flow's version; None where they cannot be known.
Lookup = Callable[[str], FlowIds | Unread | None]


def none_known(version: str) -> FlowIds | Unread | None:
    """A `Lookup` for where there are no flows."""
    return None


#: Sessions that are no flow's own: the editor for a person, "" for whatever is asked, and the assistant's.
_ALWAYS: Final = frozenset({"", OPERATOR, ASSISTANT_SESSION})


def flow_ids(content: bytes) -> FlowIds | None:
    """The ids that a flow's file names, sub-flows included; None for what is no flow."""
    try:
        flow = msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not isinstance(flow, dict):
        return None
    sessions: set[str] = set()
    items: dict[str, set[str]] = {}
    left: list[Any] = [flow]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left.extend(value)
        elif isinstance(value, dict):
            left.extend(value.values())
            if "sessionId" in value:
                sessions.add(str(value["sessionId"]))
            if "groupId" in value:
                items.setdefault(str(value["groupId"]), set()).update(_items(value))
    return FlowIds(frozenset(sessions), {group: frozenset(found) for group, found in items.items()})


def unknown(fact: Fact, ids: FlowIds | None) -> str:
    """Why an answer is not stored: it names what the flow does not know. "" where it is stored.

    Where the ids cannot be known only their length counts.
    """
    match fact:
        case TextWritten(session=session):
            named = [str(session)]
            known = named[0] in _ALWAYS or (ids is not None and named[0] in ids.sessions)
            reason = "unknown_session"
        case ChoiceMade(group=group, item=item):
            named = [str(group), str(item)]
            known = ids is not None and named[1] in ids.items.get(named[0], ())
            reason = "unknown_choice"
        case _:
            return ""
    if known:
        return ""
    if max(map(len, named)) > MAX_ID:
        return "id_too_long"
    return reason if ids is not None else ""


def binds(state: Conversation, fact: Fact) -> bool:
    """Whether the conversation's flow, of the version that is known, decides what may be named.

    Not where another may be about to ask; and a text for a person is theirs, whatever it names.
    """
    if not isinstance(fact, TextWritten | ChoiceMade):
        return False
    if isinstance(fact, TextWritten) and (
        state.ownership.owner != "bot" or state.ownership.status == "resolved"
    ):
        return False
    return bool(state.progress.version) and not state.ownership.ended_by_bot  # a reset leaves no version


def _items(asks: dict[str, Any]) -> Iterable[str]:
    """The items of a question, or of an answer."""
    choices = asks.get("choices")
    for each in [asks, *(choices if isinstance(choices, list) else ())]:
        if isinstance(each, dict) and "itemId" in each:
            yield str(each["itemId"])
