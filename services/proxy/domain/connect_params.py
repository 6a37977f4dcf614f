"""What a client may ask for when it opens a conversation: a flow by name, and its languages."""

from __future__ import annotations

import re
from functools import lru_cache

#: A flow's name, as in the file's name and `ConversationStarted`.
_FLOW = re.compile(r"[A-Za-z0-9_.-]{1,64}")
#: A language tag, as far as its form goes (RFC 5646): "de", "pt-BR", "zh-Hant-TW"; "pt_BR" is meant so, too.
_TAG = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,7}")
#: What a browser may list; more of it is no preference but a fingerprint.
MAX_LANGUAGES = 5
#: What is read of a header or a parameter (characters).
MAX_LENGTH = 200


def flow_name(asked: str, otherwise: str = "") -> str:
    """The name of the flow to begin with: the one asked for, else the door's own ("" for the default).

    What is no name asks for nothing.
    """
    return asked if _FLOW.fullmatch(asked) else otherwise


def languages(asked: str, accept_language: str) -> str:
    """The visitor's languages, best first, as in Accept-Language without weights; "" for unknown.

    What the page asks for, a tag or a list as a header has it, comes before what the browser says
    (RFC 9110 section 12.5.4).
    """
    return _languages(_whole(asked), _whole(accept_language))


def _whole(header: str) -> str:
    """What is read of a header: a tag that is cut might be another language's."""
    return header if len(header) <= MAX_LENGTH else header[:MAX_LENGTH].rpartition(",")[0]


@lru_cache(maxsize=1024)  # few browsers differ
def _languages(asked: str, accept_language: str) -> str:
    found: dict[str, str] = {}
    for header in (asked, accept_language):
        weighted: list[tuple[float, str]] = []
        for part in header.split(","):
            tag, _, parameter = part.partition(";")
            weighted.append((_weight(parameter), tag.strip().replace("_", "-")))
        weighted.sort(key=lambda item: -item[0])  # stable: of equals the first stays first
        for weight, tag in weighted:
            if weight > 0 and _TAG.fullmatch(tag):
                found.setdefault(tag.lower(), tag)
    return ", ".join(list(found.values())[:MAX_LANGUAGES])


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if not name.strip():
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if name.strip().lower() == "q" and 0 <= weight <= 1 else 0.0
