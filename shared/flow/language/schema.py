"""The form of a flow file: which keys each object may have, and of which type each of them is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from shared.flow.language.locales import TAG
from shared.flow.language.state import is_id
from shared.flow.language.values import NAME, RESERVED

#: The fields of an object and their types; "?" marks those that may be left out.
Fields = Mapping[str, str]

STATE: Final[Fields] = {
    "sendRequest?": "object",
    "matchResponse?": "object",
    "handoff?": "object",
    "service?": "object",
    "assistant?": "object",
    "call?": "text",
    "end?": "flag",
    "next?": "next",
    "fallback?": "object",
    "after?": "afters",
}
#: A state does at most one of these.
DEEDS: Final = ("sendRequest", "matchResponse", "handoff", "service", "assistant", "call", "end")

MESSAGES: Final[Mapping[str, Fields]] = {
    "BotText": {"content": "words"},
    "ChoiceRequest": {"groupId": "id", "question": "words", "choices": "list"},
    "StartChatSession": {"sessionId": "id", "chatPrompt?": "words", "chatText?": "words"},
    "EndChatSession": {"sessionId": "id"},
}
RESPONSES: Final[Mapping[str, Fields]] = {
    "ChoiceResponse": {"groupId": "id", "itemId": "id", "content?": "text", "save?": "save"},
    "UserText": {
        "sessionId": "id",
        "content?": "text",
        "pattern?": "text",
        "ignoreCase?": "flag",
        "words?": "texts",
        "contains?": "flag",
        "save?": "save",
    },
}
CHOICE: Final[Fields] = {"itemId": "id", "content": "words"}
SAVE: Final[Fields] = {
    "as": "name",
    "kind?": "kind",
    "invalid?": "words",
    "ambiguous?": "words",
    "min?": "limit",
    "max?": "limit",
    "unit?": "units",
    "region?": "region",
}
BRANCH: Final[Fields] = {"when?": "text", "next": "text"}
FALLBACK: Final[Fields] = {"say?": "words", "times?": "count", "next?": "text"}
AFTER: Final[Fields] = {"delay": "delay", "say?": "words", "next?": "text"}
HANDOFF: Final[Fields] = {
    "queue": "text",
    "reason?": "words",
    "waiting?": "words",
    "nobody?": "object",
    "back?": "words",
}
NOBODY: Final[Fields] = {"say?": "words", "next?": "text"}
SERVICE: Final[Fields] = {
    "url?": "text",
    "subject?": "subject",
    "method?": "method",
    "headers?": "object",
    "body?": "any",
    "timeout?": "delay",
    "save?": "name",
    "pick?": "path",
    "onError?": "text",
}
ASSISTANT: Final[Fields] = {
    "system": "words",
    "onError": "text",
    "model?": "text",
    "maxTokens?": "count",
    "temperature?": "number",
    "goTo?": "texts",
    "handoff?": "object",
    "once?": "flag",
    "sessionId?": "id",
    "greeting?": "words",
    "prompt?": "words",
}
SETTINGS: Final[Fields] = {
    "language?": "tag",
    "fallback?": "object",
    "invalid?": "object",
    "inactivity?": "delay",
    "region?": "region",
    "handback?": "object",
    "thanks?": "object",
}

KINDS: Final = ("text", "email", "number", "phone", "date")
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: The longest delay, a year; most people are not there any more.
MAX_DELAY: Final = 366 * 86_400
MAX_TRIES: Final = 1_000_000

MEANING: Final = {
    "text": 'a text in "quotes"',
    "words": 'a text in "quotes", or one for each language: {"en": "..."}',
    "id": "a text or a whole number",
    "list": "a list: [...]",
    "object": "an object: {...}",
    "flag": "true or false",
    "texts": 'a list of texts: ["...", "..."]',
    "next": 'the name of a state, or a list: [{"when": "...", "next": "..."}, {"next": "..."}]',
    "afters": 'an object {"delay": "10m", ...}, or a list of them',
    "save": 'the name of a variable, or an object: {"as": "...", "kind": "email"}',
    "name": "a name of letters, digits and _, not beginning with a digit, and no word of conditions",
    "kind": "one of " + ", ".join(f'"{kind}"' for kind in KINDS),
    "limit": 'a number; for a date a day as "2026-12-31"',
    "units": 'what stands beside the number, as "kg" or ["€", "EUR"]',
    "region": 'a country, as "DE" or "US"',
    "count": "a whole number from 1",
    "number": "a number from 0 to 2",
    "delay": 'a whole number and s, m, h or d: "30s", "10m", "2h", "1d"',
    "subject": 'a subject that begins with service, as "service.orders.get"',
    "method": "one of " + ", ".join(f'"{method}"' for method in METHODS),
    "path": 'names and numbers with points between them: "items.0.price"',
    "tag": 'a language, as "en" or "pt-BR"',
    "any": "any JSON",
}

_DELAY: Final = re.compile(r"([1-9][0-9]{0,7})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SUBJECT: Final = re.compile(r"service(\.[A-Za-z0-9_-]+)+")
_REGION: Final = re.compile(r"[A-Z]{2}")
_PATH: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def is_of(kind: str, value: Any) -> bool:
    """Whether a value is of a type that `MEANING` explains. What is inside objects is not looked at."""
    match kind:
        case "text":
            return isinstance(value, str)
        case "id":
            return is_id(value)
        case "list":
            return isinstance(value, list)
        case "flag":
            return isinstance(value, bool)
        case "words" | "save":
            return isinstance(value, str | dict)
        case "texts":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case "next":
            return isinstance(value, str | list)
        case "afters":
            return isinstance(value, dict | list)
        case "name":
            return isinstance(value, str) and is_name(value)
        case "kind":
            return value in KINDS
        case "method":
            return value in METHODS
        case "limit":
            return isinstance(value, int | float | str) and not isinstance(value, bool)
        case "units":
            return isinstance(value, str) or is_of("texts", value)
        case "region":
            return isinstance(value, str) and bool(_REGION.fullmatch(value))
        case "count":
            return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_TRIES
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 2
        case "delay":
            return isinstance(value, str) and seconds(value) is not None
        case "subject":
            return isinstance(value, str) and bool(_SUBJECT.fullmatch(value))
        case "path":
            return isinstance(value, str) and bool(_PATH.fullmatch(value))
        case "tag":
            return isinstance(value, str) and bool(TAG.fullmatch(value))
        case "any":
            return True
        case _:
            return isinstance(value, dict)


def is_name(name: str) -> bool:
    """Whether texts and conditions can use ``name`` for a variable."""
    return bool(NAME.fullmatch(name)) and len(name) <= 60 and name not in RESERVED


def seconds(delay: str) -> int | None:
    """The seconds of ``30s``, ``10m``, ``2h`` or ``1d``; None for another form, and for more than a year."""
    found = _DELAY.fullmatch(delay)
    if not found:
        return None
    value = int(found[1]) * _SECONDS[found[2]]
    return value if value <= MAX_DELAY else None
