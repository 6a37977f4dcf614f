"""Flows of the laboratory. Each has a menu: 1 leads to what the scenario is about, 2 to a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Flow = dict[str, Any]

#: After how long without a word a conversation of `timers` ends (seconds).
INACTIVITY = 5


def _says(content: str, next: str) -> Flow:
    return {"sendRequest": {"kind": "BotText", "content": content}, "next": next}


def _picks(item: int, next: str) -> Flow:
    return {"matchResponse": {"kind": "ChoiceResponse", "groupId": 1, "itemId": item}, "next": next}


def _opens(session: str, **more: Any) -> Flow:
    return {"sendRequest": {"kind": "StartChatSession", "sessionId": session, "chatText": "Please."}, **more}


def _closes(session: str, next: str) -> Flow:
    return {"sendRequest": {"kind": "EndChatSession", "sessionId": session}, "next": next}


def _around(part: Flow, menu: Flow | None = None, desk: Flow | None = None) -> Flow:
    """A whole flow; ``part`` begins at its state "go" and comes back to "menu"."""
    choices = [{"itemId": 1, "content": "Go"}, {"itemId": 2, "content": "A person"}]
    question = {"kind": "ChoiceRequest", "groupId": 1, "question": "What now?", "choices": choices}
    return {
        "hello": _says("Welcome to the laboratory.", "menu"),
        "menu": {"sendRequest": question, **(menu or {})},
        "isGo": _picks(1, "go"),
        "isPerson": _picks(2, "person"),
        "person": {"handoff": {"queue": "lab", "back": "Here I am again."}, "next": "menu", **(desk or {})},
        **part,
    }


def plain() -> Flow:
    """A menu, an editor and a person, in texts without HTML."""
    return _around(
        {
            "go": _opens("plain"),
            "got": {"matchResponse": {"kind": "UserText", "sessionId": "plain"}, "next": "thanks"},
            "thanks": _says("Thank you.", "close"),
            "close": _closes("plain", "menu"),
        }
    )


def timers() -> Flow:
    """Waits of one to three seconds, where somebody must say something, and an end for who never does."""
    again = {"delay": "2s", "say": "Are you still there?"}
    part = {
        "go": _opens(
            "quiet",
            after=[{"delay": "1s", "say": "Take your time."}, {"delay": "2s", "next": "late"}],
        ),
        "got": {"matchResponse": {"kind": "UserText", "sessionId": "quiet"}, "next": "thanks"},
        "thanks": _closes("quiet", "menu"),
        "late": _closes("quiet", "tooLate"),
        "tooLate": _says("Too late.", "menu"),
        "nobody": _says("Nobody is there.", "menu"),
    }
    desk = {"after": [{"delay": "1s", "say": "Still looking."}, {"delay": "3s", "next": "nobody"}]}
    return {"$settings": {"inactivity": f"{INACTIVITY}s"}, **_around(part, {"after": again}, desk)}


def backends(address: str) -> Flow:
    """A backend at ``address`` (``http://host:port``) is asked to book a wish, and then for its state."""
    wish = {"kind": "UserText", "sessionId": "wish", "save": "wish"}
    booking = {
        "url": f"{address}/book",
        "body": {"wish": "{{ wish }}"},
        "save": "booking",
        "onError": "sorry",
    }
    look = {"url": f"{address}/look/{{{{ booking.number }}}}", "save": "seen", "onError": "sorry"}
    return _around(
        {
            "go": _opens("wish"),
            "got": {"matchResponse": wish, "next": "close"},
            "close": _closes("wish", "book"),
            "book": {"service": booking, "next": "look"},
            "look": {"service": look, "next": "booked"},
            "booked": _says("Booked {{ booking.number }}, seen {{ seen.number }}.", "menu"),
            "sorry": _says("That did not work.", "menu"),
        }
    )


def assistant() -> Flow:
    """The assistant answers until it is asked for the menu or for a person."""
    speaks = {
        "system": "You are the assistant of a laboratory.",
        "greeting": "Ask me.",
        "goTo": ["leave"],
        "handoff": {"queue": "lab", "back": "Here I am again."},
        "onError": "sorry",
    }
    return _around(
        {
            "go": {"assistant": speaks},
            "leave": _says("Back to the menu.", "menu"),
            "sorry": _says("I could not answer.", "go"),
        }
    )


def written(flow: Flow, path: Path) -> str:
    """The flow as a file; its path."""
    path.write_text(json.dumps(flow, indent=2))
    return str(path)
