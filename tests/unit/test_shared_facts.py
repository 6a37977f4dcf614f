"""What one conversation holds is never another's: facts that hold any JSON are nobody else's objects."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from services.workflow.domain.agents import respond_agent
from shared.contract.agents import AgentRequest, Answered, Ask
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import HOLD_ANY, Entry, RecordedEntry, decode, encode
from shared.contract.facts import BotFact, EngagementBegan, RequestAnswered, RequestMade
from shared.flow.effects import Moment
from tests import examples


def holds_any(kind: type[msgspec.Struct]) -> bool:
    """Whether a field of this fact may hold something that can be changed in place."""
    _, components = msgspec.json.schema_components([kind])
    fields = components[kind.__name__]["properties"].values()
    return any(
        not field.keys() & {"type", "anyOf", "enum"} or field.get("type") == "object" for field in fields
    )


def test_every_fact_of_the_bot_that_holds_any_json_is_known_to_do_so() -> None:
    assert {kind for kind in get_args(BotFact) if holds_any(kind)} == HOLD_ANY


def read(data: bytes, conversation: str) -> RecordedEntry:
    return decode(7, conversation, "bot", examples.FIRST_TIME, data)


@pytest.mark.parametrize("kind", sorted(HOLD_ANY, key=str))
@pytest.mark.parametrize("spaced", [False, True])
def test_a_fact_that_holds_any_json_is_read_anew_for_each_conversation(kind: type, spaced: bool) -> None:
    example = examples.EXAMPLES[kind.__name__]
    name = "memory" if kind is RequestAnswered else "value"
    fact = msgspec.structs.replace(example, **{name: {"list": [1], "deep": {"n": 1}}})
    data = encode(Entry(id="3", cause=3, facts=(fact, examples.BOT_SAID)))
    if spaced:  # as another program might write it
        head, _, tail = data.partition(b',"facts":')
        data = head + b',"facts":' + json.dumps(json.loads(tail[:-1])).encode() + b"}"
    one, other = (getattr(read(data, each).facts[0], name) for each in ("one", "other"))
    one["list"].append(2)
    one["deep"]["n"] = 2
    assert other == {"list": [1], "deep": {"n": 1}}
    assert getattr(read(data, "third").facts[0], name) == other


def test_what_cannot_be_changed_is_read_once() -> None:
    data = encode(Entry(id="3", cause=3, facts=(examples.BOT_SAID, examples.CHOICE_ASKED)))
    assert read(data, "one").facts is read(data, "other").facts


# --- an agent that changes what it remembers in place ---------------------------------------------


class SharedConfiguration(msgspec.Struct, frozen=True):
    seen: Any = None


class Careless:
    """It keeps one object for all, changes it in place, and so it does with all that it is given."""

    configuration = SharedConfiguration

    def __init__(self) -> None:
        self.first: dict[str, Any] = {"count": 0, "values": []}

    def answer(
        self, configuration: Any, memory: Any, request: AgentRequest, said: bool | None
    ) -> Answered | Ask:
        memory = self.first if memory is None else memory
        memory["count"] += 1
        memory["values"].append(request.value["n"])
        request.value["n"] = -1
        configuration.seen.append(1)
        return Answered(result=len(configuration.seen) == 1, memory=memory)


class EngagedUser:
    """An engagement whose entries go over the wire, as they do between proxy, log and workflow."""

    def __init__(self, name: str, agent: Careless) -> None:
        self.name = name
        self.agents = {"careless": agent}
        self.state: Conversation = NEW
        began = EngagementBegan(agent="careless", user=name, configuration={"seen": []})
        self.tell("visitor", began)
        self.tell("bot", examples.INTERJECTED, cause=1)

    def tell(self, author: str, *facts: Any, cause: int | None = None) -> None:
        position = self.state.position + 1
        data = encode(Entry(id=str(cause or f"i{position}"), cause=cause, facts=facts))
        self.state = evolve(self.state, decode(position, self.name, author, examples.FIRST_TIME, data))

    def asks(self, number: int) -> None:
        self.tell("visitor", RequestMade(key="k", value={"n": number}))

    def decided(self) -> RequestAnswered:
        [item] = self.state.inbox.unanswered
        entry = respond_agent(self.state, item, Moment(examples.FIRST_TIME), {}, self.agents)
        assert isinstance(entry, Entry)
        fact = entry.facts[0]
        assert isinstance(fact, RequestAnswered)
        return fact

    def answered(self) -> RequestAnswered:
        cause = self.state.inbox.unanswered[0].position
        fact = self.decided()
        self.tell("bot", fact, cause=cause)
        return fact


def memory(user: EngagedUser) -> Any:
    assert user.state.engagement is not None
    return user.state.engagement.memory


def test_deciding_again_after_a_conflict_gives_the_same() -> None:
    user = EngagedUser("one", Careless())
    user.asks(1)
    user.answered()
    user.asks(2)
    before = msgspec.json.encode(memory(user))
    assert (
        user.decided()
        == user.decided()
        == RequestAnswered(result=True, memory={"count": 2, "values": [1, 2]})
    )
    assert msgspec.json.encode(memory(user)) == before


def test_another_users_memory_stays_what_it_was() -> None:
    """Their entries have the same bytes, so the same objects were read of them."""
    agent = Careless()
    one, other = EngagedUser("one", agent), EngagedUser("other", Careless())
    for user in (one, other):
        user.asks(1)
        user.answered()
    assert memory(one) == memory(other)
    one.asks(5)
    one.answered()
    assert memory(one) == {"count": 2, "values": [1, 5]}
    assert memory(other) == {"count": 1, "values": [1]}


def test_what_an_agent_gives_back_is_no_longer_its_own() -> None:
    agent = Careless()
    one = EngagedUser("one", agent)
    one.asks(1)
    fact = one.decided()
    agent.first["count"] = 99
    assert fact.memory == {"count": 1, "values": [1]}
