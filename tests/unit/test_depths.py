"""What every service keeps and makes of a conversation takes time in proportion to its length.

Each reader is given a conversation and one of four times the length; see `test_costs` for the measure. The
laboratory's ``depths`` shows the same of the real services, in seconds. ``python -m tests.unit.test_depths``
prints what the fold keeps of a conversation of 100,000 entries, and what one more turn of it costs.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from time import perf_counter
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest

from services.operator.desk import Desk
from services.operator.domain.transcript import lines, transcript
from services.proxy.domain import sse_events
from services.proxy.domain.agent_session import AgentTalk, engage, offers
from services.proxy.domain.rest_state import state_of
from services.proxy.domain.session import BEGIN, ClientSession
from services.proxy.domain.socketio_chat import Chat
from services.proxy.domain.turns import Turns
from services.workflow.domain.assistant import conversation
from services.workflow.domain.prompt_history import so_far
from shared.contract.agents import CONFIGURATIONS
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.conversation.codec import decode, encode
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AnswerStarted,
    AssistantSaid,
    BotSaid,
    ConversationStarted,
    DecisionFailed,
    EditorOpened,
    EngagementBegan,
    Fact,
    FlowAdvanced,
    FlowStarted,
    InputRefused,
    Interjected,
    RequestAnswered,
    RequestMade,
    TextWritten,
)
from tests import examples
from tests.numbers import numbers_of
from tests.unit.test_costs import AGAIN, MAX_LENGTH, no_collector

SHORT: Final = 1_000
LONG: Final = 4 * SHORT
#: A quicker one is not told apart from the machine's own moods (seconds).
FLOOR: Final = 1e-3

__all__ = ["no_collector"]  # a fixture that every test here uses

Entries = list[RecordedEntry]


def entry(position: int, author: str, *facts: Fact, cause: int | None = None) -> RecordedEntry:
    return RecordedEntry(
        position=position,
        conversation=examples.CONVERSATION,
        author=author,
        time=examples.FIRST_TIME + position,
        id=str(cause) if cause else f"{author}{position}",
        cause=cause,
        facts=facts,
    )


def begins() -> Entries:
    advanced = FlowAdvanced(path=("ask",))
    return [
        entry(1, "visitor", ConversationStarted(door="websocket")),
        entry(2, "bot", FlowStarted(flow="f", version="v"), advanced, EditorOpened(session="s"), cause=1),
    ]


def asks(position: int) -> RecordedEntry:
    return entry(position, "visitor", TextWritten(session="s", text="hello"))


def answers(position: int, cause: int) -> list[RecordedEntry]:
    """The assistant's attempt, and its answer."""
    return [
        entry(position, "bot", AnswerStarted(cause=cause, attempt=1)),
        entry(position + 1, "bot", AssistantSaid(text="hi", attempt=1), cause=cause),
    ]


def in_turn(length: int) -> Entries:
    """Each question is answered before the next."""
    told = begins()
    for position in range(3, length, 3):
        told += [asks(position), *answers(position + 1, position)]
    return told


def unanswered(length: int) -> Entries:
    """Nothing is answered at all."""
    return [*begins(), *map(asks, range(3, length))]


def late(*facts: Fact) -> Callable[[int], Entries]:
    """All is asked, and then each gets this as its outcome."""

    def make(length: int) -> Entries:
        half = length // 2
        return [*unanswered(half), *(entry(half + at, "bot", *facts, cause=at) for at in range(3, half))]

    return make


def requests(length: int) -> Entries:
    """A platform asks an agent about many things before it is answered."""
    half = length // 2
    began = EngagementBegan(agent="emoji", user="1", name="1")
    told = [entry(1, "visitor", began), entry(2, "bot", Interjected(message="Hello"), cause=1)]
    told += [entry(at, "visitor", RequestMade(key="k", value="v")) for at in range(3, half)]
    return told + [
        entry(half + at, "bot", RequestAnswered(result=True, memory={"messages": at}), cause=at)
        for at in range(3, half)
    ]


SHAPES: Final[dict[str, Callable[[int], Entries]]] = {
    "in turn": in_turn,
    "unanswered": unanswered,
    "answered late": late(AssistantSaid(text="hi")),
    "refused late": late(InputRefused(reason="stale_answer")),
    "failed late": late(DecisionFailed(reason="internal")),
    "requests": requests,
}

# --- the readers --------------------------------------------------------------------------------


def folded(entries: Entries) -> Any:
    state = NEW
    for each in entries:
        state = evolve(state, each)
        if state.inbox.unanswered:
            state.inbox.owes(state.inbox.unanswered[0].position)
    return state


def resumed(entries: Entries) -> Any:
    return ClientSession("e", True).resume(entries, "new")


def followed(entries: Entries) -> Any:
    """A socket that was there from the beginning, of a client that says it all."""
    session = ClientSession("e", True)
    session.resume([], "new")
    for each in entries:
        session.follow(each)
    return session


def chatted(entries: Entries) -> Any:
    chat = Chat("s", "e", BEGIN, "")
    chat.greet([], "new")
    for each in entries:
        chat.follow(each)
    return Chat("s", "e", BEGIN, "").greet(entries, "new")


def engaged(entries: Entries) -> Any:
    auth = {"agent": {"name": "emoji"}, "user": {"id": 1}}
    talk = AgentTalk(engage(auth, offers("", CONFIGURATIONS), CONFIGURATIONS), "e")
    return talk.greet(entries, "new")


def in_turns(entries: Entries) -> Any:
    turns, place = Turns(), sse_events.newest(Turns())
    for each in entries:
        turns.add(each)
        _, place = sse_events.tell(turns, place, "s")
        state_of(turns)
    return turns


def on_the_desk(entries: Entries) -> Any:
    desk = Desk()
    return [lines(desk.apply(each)) for each in entries]


def counted(entries: Entries) -> Any:
    return numbers_of(entries)


READERS: Final[dict[str, Callable[[Entries], Any]]] = {
    "the fold": folded,
    "a socket that resumes": resumed,
    "a socket that follows": followed,
    "a Socket.IO chat": chatted,
    "an agent's room": engaged,
    "a REST session": in_turns,
    "the assistant's history": lambda entries: conversation("", so_far(entries, entries[-1].position), 6000),
    "the desk": on_the_desk,
    "the transcript": transcript,
    "the numbers": counted,
}


PAIRS: Final = [
    (reader, shape)
    for reader in READERS
    for shape in SHAPES
    if (reader, shape) != ("a REST session", "requests")  # a platform's requests come through no REST session
]


@pytest.mark.parametrize(("reader", "shape"), PAIRS)
def test_four_times_the_conversation_costs_about_four_times_as_much(reader: str, shape: str) -> None:
    read = READERS[reader]
    short, long = SHAPES[shape](SHORT), SHAPES[shape](LONG)
    ratios = []
    for _ in range(AGAIN):
        least = max(FLOOR, min(seconds(read, short) for _ in range(2)))
        ratios.append(seconds(read, long) / least)
        if ratios[-1] <= MAX_LENGTH:
            return
    pytest.fail(f"{min(ratios):.1f} times")


def seconds(read: Callable[[Entries], Any], entries: Entries) -> float:
    begun = perf_counter()
    read(entries)
    return perf_counter() - begun


# --- one very long conversation -----------------------------------------------------------------

VERY_LONG: Final = 100_000
#: For each of its inputs the fold keeps the id, which is a client's UUID (bytes).
MAX_KEPT: Final = 250


def endless() -> Iterator[RecordedEntry]:
    """Each question is answered before the next; nobody keeps the entries."""
    yield from begins()
    position = 3
    while True:
        yield msgspec.structs.replace(asks(position), id=str(UUID(int=position)))
        yield entry(position + 1, "bot", FlowAdvanced(path=("ask",)), BotSaid(text="hi"), cause=position)
        position += 2


def grown(length: int) -> tuple[Conversation, Iterator[RecordedEntry]]:
    """The state after so many entries, and the entries that follow."""
    told = endless()
    state = NEW
    for each in islice(told, length):
        state = evolve(state, each)
    return state, told


def traced(length: int) -> tuple[Conversation, int]:
    """The state after so many entries, and the bytes that it takes."""
    tracemalloc.start()
    try:
        state, _ = grown(length)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return state, kept


def turn_of(state: Conversation, told: Iterator[RecordedEntry]) -> float:
    """What one more turn costs (seconds): the least of many, since the machine has other work."""
    least = float("inf")
    for _ in range(500):
        turns = list(islice(told, 20))
        begun = perf_counter()
        for each in turns:
            state = evolve(state, each)
        least = min(least, (perf_counter() - begun) / 10)
    return least


def test_a_very_long_conversation_keeps_little_more_than_the_ids_of_its_inputs() -> None:
    state, kept = traced(VERY_LONG)
    assert kept <= MAX_KEPT * len(state.inbox.ids)


def test_one_more_turn_costs_the_same_however_long_the_conversation_is() -> None:
    ratios = []
    for _ in range(AGAIN):
        ratios.append(turn_of(*grown(VERY_LONG)) / turn_of(*grown(SHORT)))
        if ratios[-1] <= 2:
            return
    pytest.fail(f"{min(ratios):.1f} times")


def figures() -> None:
    """What the record long-conversations-stay-cheap in docs/decisions/ says."""
    for length in (SHORT, VERY_LONG):
        state, kept = traced(length)
        begun = perf_counter()
        written = encode(state)
        encoded = perf_counter()
        decode(Conversation, written)
        decoded = perf_counter()
        print(
            f"{length:,} entries: {kept / 1e6:.2f} MB, one more turn {turn_of(*grown(length)) * 1e6:.1f} us; "
            f"written {len(written) / 1e6:.2f} MB in {(encoded - begun) * 1e3:.1f} ms, "
            f"read in {(decoded - encoded) * 1e3:.1f} ms"
        )


if __name__ == "__main__":
    figures()
