"""States as they are written: their contracts, and what is refused."""

from __future__ import annotations

from typing import Any, Final

import pytest

from shared.contract.conversation import (
    NEW,
    Answer,
    Begun,
    Conversation,
    Engagement,
    Generating,
    Inbox,
    Input,
    Ownership,
    Progress,
    Timer,
    Timers,
    Visit,
)
from shared.contract.conversation.asked import OperatorAsks
from shared.contract.conversation.codec import UnreadableState, decode, encode
from shared.contract.conversation.mail import Mail
from shared.contract.facts import ConversationReset, ServiceAnswered
from shared.contract.persistent_queue import PersistentQueue
from shared.contract.persistent_set import PersistentSet

#: Each contract, as it is written. If a change of the fold changes one of these texts, raise the number
#: after the slash: states that were written before are then refused, instead of being read as another.
WRITTEN: Final[dict[str, Any]] = {
    '{"contract":"visit/2","started":true,"session":1,'
    '"begun":{"door":"web","flow":"f","language":"de","user":"u"},"erased":3}': Visit(
        started=True, session=1, begun=Begun(door="web", flow="f", language="de", user="u"), erased=3
    ),
    '{"contract":"ownership/3","owner":"operator","status":"open","operator":"ann","operator_name":"Ann",'
    '"queue":"sales","resolved":5,"ended_by_bot":false,"waiting":7}': Ownership(
        owner="operator", operator="ann", operator_name="Ann", queue="sales", resolved=5, waiting=7
    ),
    '{"contract":"inbox/1","unanswered":[{"position":7,"id":"a","fact":{"kind":"ConversationReset"}}],'
    '"ids":["visitor:b","visitor:a"]}': Inbox(
        PersistentQueue([Input(7, "a", ConversationReset())]), PersistentSet.of(["visitor:b", "visitor:a"])
    ),
    '{"contract":"progress/2","flow":"f","version":"v","place":"ask","ended":false,"stack":["contact"],'
    '"variables":{"age":[44,null]},"tries":2}': Progress(
        flow="f", version="v", place="ask", stack=("contact",), variables={"age": [44, None]}, tries=2
    ),
    '{"contract":"answer/1","generating":{"cause":7,"attempt":2,"position":9},"attempts":2,'
    '"services":[{"kind":"ServiceAnswered","cause":7,"state":"stock","value":3}],"failed":false}': Answer(
        generating=Generating(7, 2, 9),
        attempts=2,
        services=(ServiceAnswered(cause=7, state="stock", value=3),),
    ),
    '{"contract":"timers/1","armed":[{"id":"after:7:0","at":"2030-01-01T00:00:00Z"}],"fired":1}': Timers(
        (Timer("after:7:0", "2030-01-01T00:00:00Z"),), fired=1
    ),
    '{"contract":"asked/1","rating":"asked","over":true,"last":"rating"}': OperatorAsks(
        rating="asked", over=True, last="rating"
    ),
    '{"contract":"mail/1","since":5,"first":7,"last":8,"begun":8,"attempts":1,"times":[6],'
    '"stopped":true}': Mail(since=5, first=7, last=8, begun=8, attempts=1, times=(6,), stopped=True),
    '{"contract":"engagement/1","agent":"emoji","user":"1","name":"Sam","configuration":{"x":1},'
    '"over":false,"memory":{"count":1}}': Engagement(
        agent="emoji", user="1", name="Sam", configuration={"x": 1}, memory={"count": 1}
    ),
}


@pytest.mark.parametrize(("written", "state"), WRITTEN.items(), ids=lambda each: type(each).__name__)
def test_each_contract_has_one_form(written: str, state: Any) -> None:
    assert encode(state).decode() == written
    assert decode(type(state), written.encode()) == state


def test_a_conversation_is_written_with_its_sub_states() -> None:
    parts = {type(state): state for state in WRITTEN.values()}
    state = Conversation(
        position=9,
        needs=2,
        active=5,
        visit=parts[Visit],
        ownership=parts[Ownership],
        inbox=parts[Inbox],
        progress=parts[Progress],
        answer=parts[Answer],
        timers=parts[Timers],
        asked=parts[OperatorAsks],
        mail=parts[Mail],
        engagement=parts[Engagement],
    )
    fields = ("visit", "ownership", "inbox", "progress", "answer", "timers", "asked", "mail", "engagement")
    inner = ",".join(f'"{name}":{text}' for name, text in zip(fields, WRITTEN, strict=True))
    written = f'{{"contract":"conversation/2","position":9,"needs":2,"active":5,{inner}}}'
    assert encode(state).decode() == written
    assert decode(Conversation, written.encode()) == state


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (
            b'{"contract":"ownership/2","owner":"bot"}',
            "contract 'ownership/2'; this program reads 'ownership/3'",
        ),
        (encode(Timers()), "contract 'timers/1'; this program reads 'ownership/3'"),
        (b'{"owner":"bot"}', "missing required field `contract`"),
        (b'{"contract":"ownership/3","team":"x"}', "unknown field `team`"),
        (b'{"contract":"ownership/3","owner":"nobody"}', "Invalid enum value 'nobody'"),
        (b'{"contract":"ownership/3"', "truncated"),
        (b"[" * 100_000, "ownership/3"),
        (b"", "truncated"),
    ],
)
def test_what_is_no_state_of_the_contract_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableState) as refused:
        decode(Ownership, data)
    assert why in str(refused.value)


def test_a_conversation_with_a_sub_state_of_another_contract_is_refused() -> None:
    written = encode(NEW).replace(b"timers/1", b"timers/2")
    with pytest.raises(UnreadableState, match=r"'timers/2' - at `\$\.timers\.contract`"):
        decode(Conversation, written)
