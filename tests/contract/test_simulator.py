"""A rehearsal appends, entry by entry, what the real workflow appends to the same inputs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from nats.aio.msg import Msg

from services.workflow.domain.authoring.simulator import NOT_CONFIGURED, Simulator
from services.workflow.settings import WorkflowSettings
from shared.contract.entry import Entry, RecordedEntry, needed
from shared.contract.facts import (
    ChoiceMade,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationReset,
    ConversationStarted,
    Fact,
    OperatorSaid,
    TextWritten,
    TimerArmed,
)
from shared.flow.effects import GenerationFailed
from shared.flow.language.flow import parse
from shared.service.chat_log import ChatLog
from tests import examples
from tests.conftest import Connections, Services, flushed
from tests.replica import history

C = "0123456789abcdef0123456789abcdef"
FLOW: dict[str, Any] = {
    "ask": {
        "sendRequest": {
            "kind": "ChoiceRequest",
            "groupId": "what",
            "question": "What?",
            "choices": [{"itemId": "order", "content": "An order"}, {"itemId": "talk", "content": "Talk"}],
        },
        "after": [{"delay": "1s", "say": "Still there?"}, {"delay": "1h", "next": "desk"}],
    },
    "again": {
        "sendRequest": {
            "kind": "ChoiceRequest",
            "groupId": "what",
            "question": "And now?",
            "choices": [{"itemId": "order", "content": "An order"}, {"itemId": "talk", "content": "Talk"}],
        }
    },
    "isOrder": {
        "matchResponse": {"kind": "ChoiceResponse", "groupId": "what", "itemId": "order"},
        "next": "number",
    },
    "isTalk": {
        "matchResponse": {"kind": "ChoiceResponse", "groupId": "what", "itemId": "talk"},
        "next": "talk",
    },
    "number": {
        "sendRequest": {"kind": "StartChatSession", "sessionId": "n", "chatText": "Which number?"},
        "fallback": {"say": "A number, please.", "times": 2, "next": "desk"},
    },
    "got": {
        "matchResponse": {"kind": "UserText", "sessionId": "n", "save": {"as": "number", "kind": "number"}},
        "next": "look",
    },
    "look": {
        "service": {
            "subject": "service.look",
            "body": {"n": "{{ number }}"},
            "save": "order",
            "onError": "desk",
        },
        "next": [{"when": "order.late", "next": "desk"}, {"next": "again"}],
    },
    "talk": {"assistant": {"system": "Help.", "onError": "desk", "greeting": "Ask me!"}},
    "desk": {
        "handoff": {"queue": "orders", "waiting": "Wait, please.", "back": "Back again."},
        "next": "again",
    },
}

TURNS: tuple[tuple[str, Fact], ...] = (
    ("visitor", ConversationStarted(door="websocket", language="en")),
    ("wait", ConversationReset()),
    ("visitor", ChoiceMade(group="what", item="order")),
    ("visitor", TextWritten(session="n", text="no number")),
    ("visitor", ChoiceMade(group="what", item="order")),  # stale: refused
    ("visitor", TextWritten(session="n", text="12")),
    ("visitor", ChoiceMade(group="what", item="talk")),
    ("visitor", TextWritten(session="assistant", text="Who are you?")),
    ("visitor", TextWritten(session="", text="Anybody?")),
    ("operator", ConversationClaimed(operator="ann")),
    ("operator", OperatorSaid(operator="ann", text="Me.")),
    ("visitor", TextWritten(session="operator", text="Good.")),
    ("operator", ConversationHandedBack(operator="ann")),
    ("visitor", ConversationReset()),
)


def rehearsed(content: bytes) -> list[RecordedEntry]:
    inactivity = WorkflowSettings().inactivity_seconds
    rehearsal = Simulator(parse(content, "flow"), now=examples.FIRST_TIME, inactivity=inactivity)
    for who, fact in TURNS:
        if who == "wait":
            rehearsal.wait(1)
        elif who == "visitor":
            rehearsal.visitor(fact)
        else:
            rehearsal.operator(fact)
        if rehearsal.need is not None and isinstance(fact, TextWritten) and fact.session == "n":
            rehearsal.served({"late": False})
        elif rehearsal.need is not None:
            rehearsal.spoke(GenerationFailed(reason=NOT_CONFIGURED))
    return rehearsal.entries


def comparable(entries: list[RecordedEntry]) -> list[tuple[object, ...]]:
    """Entries without what differs from day to day: clients' ids, and times."""
    return [
        (
            recorded.position,
            recorded.author,
            _id(recorded),
            recorded.cause,
            needed(recorded.facts) if recorded.author == "bot" else 1,  # sealed, an entry needs more
            tuple(replace(fact, at="") if isinstance(fact, TimerArmed) else fact for fact in recorded.facts),
        )
        for recorded in entries
    ]


def _id(recorded: RecordedEntry) -> str:
    if recorded.author != "bot":
        return ""
    # When a timer was due is part of its entry's id.
    return re.sub(r":\d{4}-\d\d-\d\dT.*Z$", "", recorded.id)


async def test_a_rehearsal_equals_what_the_workflow_appends(
    connections: Connections, services: Services, tmp_path: Path
) -> None:
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(FLOW))
    backend = await connections.client("backend")

    async def answer(asked: Msg) -> None:
        await asked.respond(b'{"late": false}')

    await backend.subscribe("service.look", cb=answer)
    await flushed(backend)
    expected = rehearsed(file.read_bytes())
    await services.start("workflow", SWITCHBOARD_FLOW=str(file))
    logs = {
        who: await connections.log("proxy" if who == "visitor" else who) for who in ("visitor", "operator")
    }

    # The real one is given each input when it has written all that is expected before it.
    inputs = iter((who, fact) for who, fact in TURNS if who != "wait")
    for recorded in expected:
        if recorded.author == "bot":
            await _until(partial(_reached, logs["visitor"], recorded.position))
        else:
            who, fact = next(inputs)
            entry = Entry(id=f"x{recorded.position}", facts=(fact,))
            await logs[who].append(C, "visitor" if who == "visitor" else "operator", entry)

    real = await history(logs["visitor"], C)
    # The flow began anew at the end, so that more may follow: its first timer.
    assert comparable(real[: len(expected)]) == comparable(expected)


async def _reached(log: ChatLog, position: int) -> bool:
    return await log.last(C) >= position


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)
