"""The assistant's turns against the real server and a provider that streams: one answer, whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg

from services.workflow.drafts import last_word
from shared.contract import subjects
from shared.contract.conversation import Conversation
from shared.contract.entry import Entry
from shared.contract.facts import (
    AnswerFailed,
    AnswerStarted,
    AssistantSaid,
    BotSaid,
    ConversationReset,
    DecisionFailed,
    HandoffRequested,
    OperatorSaid,
)
from shared.eventlog.errors import Unreachable
from shared.flow.language.flow import Flow, parse
from shared.service.chat_log import ChatLog
from tests.conftest import Connections, Services, flushed
from tests.examples import OTHER_CONVERSATION
from tests.llm_server import LlmServer, calls, cuts, refuses, says, stalls, words
from tests.replica import (
    CLAIM,
    HANDBACK,
    C,
    Gate,
    Replica,
    acknowledged,
    answered,
    causes,
    folded,
    greet,
    history,
    long_lease,
    said,
    text,
    until,
)


def flow_with(**assistant: object) -> Flow:
    """Talks to the assistant until it hands over, goes on, or fails."""
    wanted = {
        "system": "You help a shop's visitors.",
        "greeting": "Ask me anything.",
        "sessionId": "s",
        "goTo": ["bye"],
        "handoff": {"queue": "shop"},
        "onError": "sorry",
    }
    states = {
        "talk": {"assistant": wanted | assistant},
        "bye": {"sendRequest": {"kind": "BotText", "content": "Bye."}, "next": "end"},
        "end": {"end": True},
        "sorry": {"sendRequest": {"kind": "BotText", "content": "Sorry."}, "next": "talk"},
    }
    return parse(json.dumps(states).encode(), "talking")


TALK = flow_with()


@pytest.fixture
async def replica(connections: Connections) -> AsyncIterator[Replica]:
    replica = Replica(connections)
    yield replica
    await replica.crash()


@pytest.fixture
async def visitor(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


class DraftReader:
    """Somebody who reads a conversation's drafts."""

    def __init__(self, conversation: str = C) -> None:
        self._conversation = conversation
        self.drafts: list[dict[str, Any]] = []
        self._came = asyncio.Condition()

    async def start(self, connections: Connections) -> DraftReader:
        client = await connections.client("proxy")
        await client.subscribe(subjects.draft(self._conversation), cb=self._hear)
        await flushed(client)
        return self

    async def _hear(self, message: Msg) -> None:
        async with self._came:
            self.drafts.append(msgspec.json.decode(message.data))
            self._came.notify_all()

    def text(self, attempt: int = 1) -> str:
        """What was streamed in this attempt, put together by its offsets."""
        streamed = ""
        for draft in self.drafts:
            if draft["attempt"] == attempt and "text" in draft:
                assert draft["offset"] == len(streamed)
                streamed += draft["text"]
        return streamed

    def ends(self) -> list[tuple[int, str]]:
        return [(draft["attempt"], draft["end"]) for draft in self.drafts if "end" in draft]

    async def words(self, wanted: str, attempt: int = 1) -> None:
        """Once so much was streamed."""
        async with asyncio.timeout(10), self._came:
            await self._came.wait_for(lambda: self.text(attempt) == wanted)

    async def end(self, number: int = 1) -> None:
        """Once so many attempts ended."""
        async with asyncio.timeout(15), self._came:
            await self._came.wait_for(lambda: len(self.ends()) >= number)


@pytest.fixture
async def reader(connections: Connections) -> DraftReader:
    return await DraftReader().start(connections)


def generating(attempt: int) -> Any:
    def holds(state: Conversation) -> bool:
        return state.answer.generating is not None and state.answer.generating.attempt == attempt

    return holds


async def ask(visitor: ChatLog, words: str = "Where is my order?") -> int:
    return await visitor.append(C, "visitor", text(words))


async def test_what_is_stored_is_exactly_what_was_streamed(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    answer = "It's on its way \u2014 \U0001f69a caf\u00e9.\n\n  Bye!  "
    llm.will(says(*words(answer)))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    cause = await ask(visitor)
    entries = await answered(visitor)
    await reader.end()
    (spoken,) = said(entries, AssistantSaid)
    assert spoken.text == answer == reader.text()
    assert (spoken.attempt, spoken.model, spoken.tokens_in, spoken.tokens_out) == (1, "test", 11, 7)
    assert reader.ends() == [(1, "committed")]
    assert {draft["cause"] for draft in reader.drafts} == {cause}
    assert causes(entries) == [1, cause]
    assert said(entries, AnswerStarted) == [AnswerStarted(cause=cause, attempt=1)]
    assert replica.metric("switchboard_assistant_answers_total", outcome="answered") == 1
    assert replica.metric("switchboard_assistant_tokens_total", direction="out") == 7
    assert replica.metric("switchboard_assistant_first_token_seconds_count") == 1


async def test_the_turn_goes_from_committed_to_generating_to_idle(
    replica: Replica, visitor: ChatLog, llm: LlmServer
) -> None:
    go_on = asyncio.Event()
    llm.will(says("One", go_on, " two"))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await answered(visitor)
    await ask(visitor)
    assert (await until(visitor, generating(1))).turn == "ai_generating"
    go_on.set()
    await answered(visitor)
    assert (await folded(visitor)).turn == "idle"
    assert (await folded(visitor)).timers.armed == ()


async def test_slow_words_are_drafts_of_their_own(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    llm.will(says("One", gates[0], " two", gates[1], " three", gates[2]))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor)
    for number, so_far in enumerate(("One", "One two", "One two three")):
        await reader.words(so_far)
        gates[number].set()
    await reader.end()
    assert [draft.get("text") for draft in reader.drafts] == ["One", " two", " three", None]


async def test_much_at_once_is_streamed_in_pieces_that_the_drafts_can_take(
    connections: Connections, replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    """Control characters grow six times in JSON; the stream of drafts takes 64 KiB a message.

    They show nothing, so there is a letter behind them.
    """
    much = "\x01" * 15_999 + "."
    llm.will(says(much))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    cause = await ask(visitor)
    entries = await answered(visitor)
    await reader.end()
    (spoken,) = said(entries, AssistantSaid)
    assert spoken.text == much == reader.text()
    assert await last_word(replica.client, C, cause, 1) > 0
    admin = await connections.client("admin")
    kept = (await admin.jsm().stream_info(subjects.DRAFTS)).state.messages
    assert kept == len(reader.drafts)


async def test_the_assistant_is_told_what_was_said_and_nothing_of_before_a_reset(
    connections: Connections, replica: Replica, visitor: ChatLog, llm: LlmServer
) -> None:
    llm.will(says("Before."), says("It is on its way."), says("On Monday."))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor, "an old question")
    await answered(visitor)
    await visitor.append(C, "visitor", Entry(id="r", facts=(ConversationReset(),)))
    await answered(visitor)
    await ask(visitor, "Where is it?")
    await answered(visitor)
    operator = await connections.log("operator")
    await operator.append(C, "operator", CLAIM)
    spoken = Entry(id="o", facts=(OperatorSaid(operator="ann", text="I looked."),))
    await operator.append(C, "operator", spoken)
    await operator.append(C, "operator", HANDBACK)
    await answered(visitor)
    await visitor.append(C, "visitor", text("refused", session="unknown"))
    await ask(visitor, "And when?")
    await answered(visitor)
    messages = (await llm.request(3)).body["messages"]
    assert messages == [
        {"role": "system", "content": "You help a shop's visitors."},
        {"role": "assistant", "content": "Ask me anything."},
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": "It is on its way.\n\nI looked.\n\nAsk me anything."},
        {"role": "user", "content": "And when?"},
    ]


async def test_two_texts_in_a_row_are_two_questions_each_answered_once(
    replica: Replica, visitor: ChatLog, llm: LlmServer
) -> None:
    """The second comes while the first is being answered; it neither stops it nor is told in it."""
    go_on = asyncio.Event()
    llm.will(says("First", go_on, "."), says("Second."))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    first = await ask(visitor, "one?")
    await until(visitor, generating(1))
    second = await ask(visitor, "two?")
    go_on.set()
    entries = await answered(visitor)
    assert causes(entries) == [1, first, second]
    assert [each.text for each in said(entries, AssistantSaid)] == ["First.", "Second."]
    assert len(llm.requests) == 2
    assert [each["content"] for each in llm.requests[1].body["messages"][2:]] == ["one?", "First.", "two?"]


async def test_a_text_before_the_prompt_is_made_waits_for_its_own_answer(
    replica: Replica, visitor: ChatLog, llm: LlmServer
) -> None:
    llm.will(says("First."), says("Second."))
    await replica.start(TALK, llm=llm, places=1)
    await greet(visitor)
    await answered(visitor)
    async with replica.speech.place():  # the only one is taken: the question waits
        await ask(visitor, "one?")
        await ask(visitor, "two?")
        async with asyncio.timeout(30):
            while len(next(iter(replica.workflow.worker.mailboxes.values()), ())) < 2:
                await asyncio.sleep(0.01)
    entries = await answered(visitor)
    assert [each.text for each in said(entries, AssistantSaid)] == ["First.", "Second."]
    assert [each["content"] for each in llm.requests[0].body["messages"][2:]] == ["one?"]


async def test_a_takeover_while_a_question_waits_for_a_place_and_nothing_is_asked(
    connections: Connections, replica: Replica, visitor: ChatLog, llm: LlmServer
) -> None:
    await replica.start(TALK, llm=llm, places=1)
    await greet(visitor)
    await answered(visitor)
    operator = await connections.log("operator")
    async with replica.speech.place():
        await ask(visitor)
        claim = await operator.append(C, "operator", CLAIM)
        await replica.subscription.of(C).reached(claim)
    await acknowledged(replica)
    assert (await history(visitor))[-1].position == claim
    assert llm.requests == []


async def test_a_takeover_during_the_stream_stops_it_at_once(
    connections: Connections, replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    llm.will(stalls("I think", " that"))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor)
    await reader.words("I think that")
    operator = await connections.log("operator")
    claim = await operator.append(C, "operator", CLAIM)
    request = await llm.request()
    async with asyncio.timeout(30):
        await request.left.wait()  # the provider's stream is closed: no more words are paid for
    await reader.end()
    assert reader.ends() == [(1, "interrupted")]
    await acknowledged(replica)
    entries = await history(visitor)
    assert entries[-1].position == claim
    assert said(entries, AssistantSaid) == []
    assert replica.metric("switchboard_assistant_answers_total", outcome="interrupted") == 1


async def test_an_answer_that_is_whole_when_somebody_claims_never_lands(
    connections: Connections, replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    gate = Gate("before_append")
    gate.open()
    await replica.start(TALK, llm=llm, fault=gate)
    await greet(visitor)
    await answered(visitor)
    gate.close()
    llm.will(says("All of it."))
    await ask(visitor)
    await gate.held.wait()
    operator = await connections.log("operator")
    claim = await operator.append(C, "operator", CLAIM)
    gate.open()
    await reader.end()
    await acknowledged(replica)
    assert (await history(visitor))[-1].position == claim
    assert reader.ends() == [(1, "interrupted")]


async def test_a_reset_during_the_stream_stops_it_and_the_flow_begins_anew(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    llm.will(stalls("I think"))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor)
    await reader.words("I think")
    reset = await visitor.append(C, "visitor", Entry(id="r", facts=(ConversationReset(),)))
    await reader.end()
    entries = await answered(visitor)
    assert causes(entries)[-1] == reset
    assert said(entries, AssistantSaid) == []
    assert reader.ends() == [(1, "interrupted")]
    await (await llm.request()).left.wait()


async def test_a_crash_in_mid_generation_another_replica_answers_and_the_visitor_sees_one_answer(
    connections: Connections, replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    llm.will(stalls("I was about to say"), says("Here you are."))
    doomed = await Replica(connections).start(TALK, llm=llm)
    await greet(visitor)
    cause = await ask(visitor)
    await reader.words("I was about to say")
    await doomed.crash()
    await replica.start(TALK, llm=llm)
    entries = await answered(visitor)  # after the lease of five seconds
    await reader.end()
    assert causes(entries) == [1, cause]
    assert [(each.text, each.attempt) for each in said(entries, AssistantSaid)] == [("Here you are.", 2)]
    assert [each.attempt for each in said(entries, AnswerStarted)] == [1, 2]
    assert reader.text(2) == "Here you are."
    assert reader.ends() == [(2, "committed")]


@pytest.mark.slow
@pytest.mark.parametrize("point", ["before_generation", "before_append", "after_append"])
async def test_kill_9_at_any_point_of_an_answer_gives_one_answer(
    services: Services, visitor: ChatLog, llm: LlmServer, tmp_path: Path, point: str
) -> None:
    flow = tmp_path / "talking.json"
    flow.write_bytes(TALK.content)
    lives = "0" if point == "before_generation" else "1"  # it greets before
    settings = {"SWITCHBOARD_FLOW": str(flow), **llm.settings}
    doomed = await services.start(
        "workflow", "tests.faults.faulty_workflow", DIE_AT=point, DIE_AFTER=lives, **settings
    )
    llm.always(says("Here", " you", " are."))
    await greet(visitor)
    cause = await ask(visitor)
    assert doomed.process is not None
    assert await asyncio.to_thread(doomed.process.wait, 60) == -9
    await services.start("workflow", **settings)
    entries = await answered(visitor)
    assert causes(entries) == [1, cause]
    assert [each.text for each in said(entries, AssistantSaid)] == ["Here you are."]


async def test_while_one_replica_speaks_another_that_is_woken_for_the_next_text_waits(
    connections: Connections, replica: Replica, visitor: ChatLog, llm: LlmServer
) -> None:
    go_on = asyncio.Event()
    llm.will(says("One", go_on, "."))
    llm.always(says("Other."))
    other = await Replica(connections).start(TALK, llm=llm)
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await answered(visitor)
    inputs = [await ask(visitor, "0?")]
    await until(visitor, generating(1))
    inputs += [await ask(visitor, f"{n}?") for n in range(1, 9)]
    async with asyncio.timeout(30):
        while (
            sum(
                len(mailbox)
                for each in (other, replica)
                for mailbox in each.workflow.worker.mailboxes.values()
            )
            < 9
        ):
            await asyncio.sleep(0.01)
    assert len(llm.requests) == 1
    go_on.set()
    entries = await answered(visitor)
    assert causes(entries) == [1, *inputs]
    assert {each.attempt for each in said(entries, AnswerStarted)} == {1}
    assert [each.text for each in said(entries, AssistantSaid)] == ["One."] + ["Other."] * 8
    await other.crash()


async def test_a_replica_that_was_taken_for_dead_gives_way_to_the_one_that_began_anew(
    connections: Connections, replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    go_on = asyncio.Event()
    llm.will(stalls("I was"), says("Here", go_on, " you are."))
    frozen = await Replica(connections).start(TALK, llm=llm)
    frozen.workflow.worker._renewer.cancel()  # frozen: nothing renews its lease
    await greet(visitor)
    await ask(visitor)
    await reader.words("I was")
    await frozen.deaf()
    await replica.start(TALK, llm=llm)
    await until(visitor, generating(2))
    await reader.end()
    assert reader.ends() == [(1, "interrupted")]  # the first has seen that it is not its turn any more
    go_on.set()
    entries = await answered(visitor)
    await reader.end(2)
    assert [(each.text, each.attempt) for each in said(entries, AssistantSaid)] == [("Here you are.", 2)]
    assert [each.attempt for each in said(entries, AnswerStarted)] == [1, 2]
    assert len(llm.requests) == 2
    await frozen.crash()


@pytest.mark.parametrize(
    ("behaviour", "reason", "streamed"),
    [
        (refuses(401), "refused_key", ""),
        (refuses(429), "rate_limited", ""),
        (refuses(500), "unavailable", ""),
        (cuts("Half an"), "cut", "Half an"),
        (says(), "empty", ""),
    ],
)
async def test_each_failure_takes_the_flow_to_its_on_error(
    replica: Replica,
    visitor: ChatLog,
    llm: LlmServer,
    reader: DraftReader,
    behaviour: Any,
    reason: str,
    streamed: str,
) -> None:
    llm.will(behaviour)
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor)
    entries = await answered(visitor)
    await reader.end()
    assert said(entries, AnswerFailed) == [AnswerFailed(reason=reason, attempt=1)]
    assert said(entries, BotSaid) == [BotSaid(text="Sorry.")]
    assert reader.text() == streamed
    assert reader.ends() == [(1, "failed")]
    assert replica.metric("switchboard_assistant_answers_total", outcome=reason) == 1
    await ask(visitor, "again?")  # the conversation goes on
    assert len(said(await answered(visitor), AssistantSaid)) == 1


async def test_without_an_assistant_the_flow_takes_its_on_error(replica: Replica, visitor: ChatLog) -> None:
    await replica.start(TALK)
    await greet(visitor)
    await ask(visitor)
    entries = await answered(visitor)
    assert said(entries, AnswerFailed) == [AnswerFailed(reason="not_configured")]
    assert said(entries, BotSaid) == [BotSaid(text="Sorry.")]
    assert said(entries, AnswerStarted) == []


async def test_the_assistant_hands_off_and_goes_to_states(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    llm.will(calls("go_to", '{"state": "bye"}', "So long."))
    llm.will(calls("handoff", '{"reason": "refund"}', "I get", " somebody."))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor)
    entries = await answered(visitor)
    assert said(entries, BotSaid) == [BotSaid(text="Bye.")]
    assert [each.text for each in said(entries, AssistantSaid)] == ["So long."]
    await visitor.append(C, "visitor", Entry(id="r", facts=(ConversationReset(),)))
    await ask(visitor, "a refund")
    entries = await answered(visitor)
    assert said(entries, HandoffRequested) == [HandoffRequested(queue="shop", reason="refund")]
    assert (await folded(visitor)).ownership.owner == "queue"
    await reader.end(2)
    assert reader.ends() == [(1, "committed"), (1, "committed")]


async def test_as_many_speak_at_once_as_there_are_places(
    replica: Replica, visitor: ChatLog, llm: LlmServer
) -> None:
    names = [subjects.conversation_of(str(n), "web") for n in range(5)]
    gates = [asyncio.Event() for _ in names]
    llm.will(*(says("A", gate, "B") for gate in gates))
    await replica.start(TALK, llm=llm, places=2)
    for name in names:
        await greet(visitor, name)
        await visitor.append(name, "visitor", text("?"))
    await llm.request(2)
    for number, gate in enumerate(gates):
        assert replica.metric("switchboard_assistant_busy") == min(2, len(names) - number)
        gate.set()
        if number + 3 <= len(names):
            await llm.request(number + 3)
        else:
            async with asyncio.timeout(30):
                while replica.metric("switchboard_assistant_busy") > len(names) - number - 1:
                    await asyncio.sleep(0.01)
    for name in names:
        entries = await answered(visitor, conversation=name)
        assert [each.text for each in said(entries, AssistantSaid)] == ["AB"]


async def test_a_stuck_answer_fails_after_its_time_and_the_conversation_goes_on(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    llm.will(stalls())
    llm.always(says("Better."))
    await replica.start(TALK, llm=llm, turn_seconds=1)
    await greet(visitor)
    await ask(visitor)
    entries = await answered(visitor)
    assert said(entries, DecisionFailed) == [DecisionFailed(reason="session_timeout")]
    assert (await folded(visitor)).turn == "error"
    await reader.end()
    assert reader.ends() == [(1, "interrupted")]
    await (await llm.request()).left.wait()
    await ask(visitor, "again?")
    entries = await answered(visitor)
    assert [each.text for each in said(entries, AssistantSaid)] == ["Better."]
    await acknowledged(replica, [subjects.TIMERS], subjects.TIMERS_DURABLE)


async def test_an_answer_whose_words_still_flow_is_not_stuck(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    go_on = asyncio.Event()
    llm.will(says("One", 0.7, " two", 0.7, " three", 0.7, " four", go_on, " five."))
    await replica.start(TALK, llm=llm, turn_seconds=1)
    await greet(visitor)
    cause = await ask(visitor)
    await reader.words("One two three four")
    state = await folded(visitor)
    assert state.answer.generating is not None
    assert any(
        each.id.startswith(f"turn:{cause}:") for each in await history(visitor) if each.author == "bot"
    )
    go_on.set()
    entries = await answered(visitor)
    assert [each.text for each in said(entries, AssistantSaid)] == ["One two three four five."]


async def test_a_timer_that_could_not_be_scheduled_anew_at_once_still_ends_a_stuck_answer(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    """It was armed anew on the log, then no schedule could be stored: nobody would be woken for it again."""
    points: list[str] = []

    async def fault(point: str, conversation: str) -> None:
        if point == "before_schedule":
            points.append(point)
            if len(points) == 2:  # the first was stored when the answer began
                raise Unreachable("no schedule is taken just now")

    llm.will(says("One", 0.7, " two", asyncio.Event()))
    await replica.start(TALK, llm=llm, turn_seconds=1, fault=fault)
    await greet(visitor)
    await ask(visitor)
    await reader.words("One two")
    entries = await answered(visitor, seconds=10)
    assert said(entries, DecisionFailed) == [DecisionFailed(reason="session_timeout")]
    await acknowledged(replica, [subjects.TIMERS], subjects.TIMERS_DURABLE)


async def test_an_orderly_end_in_mid_generation_gives_the_question_to_another_at_once(
    connections: Connections, replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    llm.will(stalls("I was"), says("Here you are."))
    await long_lease(connections)
    first = await Replica(connections).start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor)
    await reader.words("I was")
    await first.deaf()
    await first.workflow.stop(0.05)
    await flushed(first.client)
    await replica.start(TALK, llm=llm)
    entries = await answered(visitor)
    assert [(each.text, each.attempt) for each in said(entries, AssistantSaid)] == [("Here you are.", 2)]
    assert reader.ends()[0] == (1, "interrupted")
    await first.crash()


async def test_the_newest_word_of_an_attempt_is_known_by_its_time(
    connections: Connections, replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    llm.will(says("Hello."))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    cause = await ask(visitor)
    await reader.end()
    client = replica.client
    assert await last_word(client, C, cause, 1) > 0
    assert await last_word(client, C, cause, 2) == 0
    assert await last_word(client, OTHER_CONVERSATION, cause, 1) == 0
