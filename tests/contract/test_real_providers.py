"""Providers that answer as real ones do, beside the protocol: there is an answer, or `onError`.

Each of them is a server that really answers so. Nothing that is internal ever reaches a visitor, and what
is stored is what was streamed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
import structlog

from services.workflow.assistant.client import (
    GRACE_SECONDS,
    Anew,
    AssistantClient,
    AssistantFailed,
    AssistantLimits,
    StreamPiece,
)
from services.workflow.assistant.profiles import ProfileName, Provider
from services.workflow.domain.assistant import ChatMessage, Prompt, ToolCall, Usage, tools
from services.workflow.domain.completion import Finished
from shared.contract.facts import AnswerFailed, AnswerStarted, AssistantSaid, BotSaid, HandoffRequested
from shared.service.chat_log import ChatLog
from tests.conftest import Connections
from tests.contract.test_assistant import DraftReader, ask, flow_with
from tests.llm_server import (
    CHUNK,
    USAGE,
    Behaviour,
    Exchange,
    LlmServer,
    alternating,
    answers,
    delta,
    demands,
    encoded,
    refuses,
    says,
    streams,
    wholly,
    words,
    writes,
)
from tests.replica import Replica, answered, greet, said

PROMPT = Prompt((ChatMessage("system", "Be brief."), ChatMessage("user", "Where is my order?")))
WITH_TOOLS = PROMPT._replace(tools=tools(handoff=True, states=("order", "returns")))
LIMITS = AssistantLimits(first_token=30, token=30, answer=60, attempts=1)
SAID = "It arrives on Monday."

Make = Callable[..., AssistantClient]


@pytest.fixture
async def client(llm: LlmServer) -> AsyncIterator[Make]:
    made = []

    def make(profile: ProfileName = "other", limits: AssistantLimits = LIMITS) -> AssistantClient:
        made.append(AssistantClient(Provider(profile, llm.url, "small"), limits, chance=lambda: 0.0))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def asked(client: AssistantClient, prompt: Prompt = PROMPT) -> Finished:
    """What it came to: exactly the pieces that were not made void."""
    pieces: list[str] = []
    finished = None
    async with aclosing(client.stream(prompt)) as answer:
        async for part in answer:
            if isinstance(part, StreamPiece):
                pieces.append(part.text)
            elif isinstance(part, Anew):
                pieces.clear()
            else:
                finished = part
    assert finished is not None
    assert finished.text == "".join(pieces)
    return finished


async def failure(client: AssistantClient, prompt: Prompt = PROMPT) -> str:
    with pytest.raises(AssistantFailed) as failed:
        await asked(client, prompt)
    return failed.value.reason


def choice(**fields: Any) -> dict[str, Any]:
    return {**CHUNK, "choices": [{"index": 0, **fields}]}


# --- forms of an answer -------------------------------------------------------------------------


ANSWERS: dict[str, Behaviour] = {
    "finish_reason null as a string": streams(
        *(choice(delta={"content": word}, finish_reason="null") for word in words(SAID)),
        delta("stop"),
        "[DONE]",
    ),
    "finish_reason empty": streams(
        *(choice(delta={"content": word}, finish_reason="") for word in words(SAID)), delta("stop"), "[DONE]"
    ),
    "finish_reason of another type": streams(
        *(choice(delta={"content": word}, finish_reason=False) for word in words(SAID)), "[DONE]"
    ),
    "a list of parts": streams(
        delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]),
        delta(content=[{"type": "text", "text": "It arrives "}, {"type": "text", "text": "on Monday."}]),
        delta("stop"),
    ),
    "a reasoning part with a text": streams(
        delta(content=[{"type": "reasoning", "text": "Hm."}, {"type": "output_text", "text": SAID}]),
        delta("stop"),
    ),
    "reasoning_content": streams(
        delta(reasoning_content="Hm."),
        delta(content=None, reasoning_content="So."),
        delta(content=SAID),
        delta("stop"),
    ),
    "reasoning": streams(delta(reasoning="Hm.", content=""), delta(content=SAID), delta("stop")),
    "thinking": streams(delta(thinking="Hm."), delta(content=SAID), delta("stop")),
    "whole, as JSON": answers("application/json", wholly(SAID)),
    "whole, of another type": answers("text/plain; charset=utf-8", b"\n " + wholly(SAID)),
    "whole, called a stream": answers("text/event-stream", wholly(SAID)),
    "whole, without a reason": answers("application/json", wholly(SAID, None)),
    "whole, with reasoning": answers(
        "application/json", wholly(f"<think>Hm.</think>\n{SAID}", reasoning_content="x")
    ),
    "whole, without a beginning": answers("application/json", wholly(f"Hm.</think>\n{SAID}")),
    "whole, in parts": answers("application/json", wholly([{"type": "text", "text": SAID}])),
    "a line of JSON for each chunk": answers(
        "application/x-ndjson", b"\n".join(json.dumps(delta(content=word)).encode() for word in words(SAID))
    ),
    "message in place of delta": streams(
        *(choice(message={"role": "assistant", "content": word}) for word in words(SAID)),
        choice(message={"content": ""}, finish_reason="stop"),
    ),
    "the whole message after its pieces": streams(
        *(delta(content=word) for word in words(SAID)),
        choice(message={"content": SAID}, finish_reason="stop"),
    ),
    "an index as a string": streams(
        {**CHUNK, "choices": [{"index": "0", "delta": {"content": SAID}}]}, delta("stop")
    ),
    "Ollama's own form": answers(
        "application/x-ndjson",
        b"\n".join(
            json.dumps({"message": {"content": word}, "done": False}).encode() for word in words(SAID)
        ),
    ),
    "Cloudflare's own form": streams(*({"response": word} for word in words(SAID)), "[DONE]"),
    "one choice without its list": streams(
        *({**CHUNK, "choices": {"delta": {"content": word}}} for word in words(SAID)), "[DONE]"
    ),
    "a choice that is null": streams(
        {**CHUNK, "choices": [None]}, *(delta(content=word) for word in words(SAID)), delta("stop")
    ),
    "a reason that is not specified": streams(
        *(choice(delta={"content": word}, finish_reason="FINISH_REASON_UNSPECIFIED") for word in words(SAID)),
        delta("STOP"),
    ),
    "a thought that is marked beside it": streams(
        delta(content="**Hm.**", extra_content={"google": {"thought": True}}),
        delta(content=SAID),
        delta("stop"),
    ),
    "a channel beside the text": streams(
        delta(content="Hm.", channel="analysis"), delta(content=SAID, channel="final"), delta("stop")
    ),
    "status 201": answers("text/event-stream", encoded(delta("stop", content=SAID)), 201),
    "no pair of surrogates in one chunk": streams(
        delta(content="It arrives on Mon"), delta(content="day."), delta("stop")
    ),
}


@pytest.mark.parametrize("behaviour", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_in_another_form_is_an_answer(
    llm: LlmServer, client: Make, behaviour: Behaviour
) -> None:
    llm.will(behaviour)
    assert (await asked(client())).text == SAID
    assert len(llm.requests) == 1


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/octet-stream", "application/json", "text/event-stream"]
)
async def test_a_stream_is_known_by_its_beginning_whatever_it_is_called(
    llm: LlmServer, client: Make, kind: str
) -> None:
    events = b": hello\n\n" + b"".join(encoded(delta(content=word)) for word in words(SAID))
    llm.will(answers(kind, events + encoded(delta("stop")) + encoded("[DONE]")))
    assert (await asked(client())).text == SAID


@pytest.mark.parametrize(
    "behaviour", [answers("text/html", b"<p>Hello</p>"), answers("text/plain", b"Hello")]
)
async def test_a_page_is_no_answer(llm: LlmServer, client: Make, behaviour: Behaviour) -> None:
    llm.will(behaviour)
    assert await failure(client()) == "broken"


@pytest.mark.parametrize(
    ("halves", "expected"),
    [
        (("Hi \\ud83d", "\\ude00!"), "Hi \U0001f600!"),
        (("Hi \\ud83d", " there"), "Hi \ufffd there"),
        (("Hi \\ude00", "!"), "Hi \ufffd!"),
        (("Hi ", "\\ud83d"), "Hi \ufffd"),
        (("Hi \\ud83d\\ud83d", "\\ude00"), "Hi \ufffd\U0001f600"),
    ],
)
async def test_half_a_character_is_joined_with_its_other_half_or_replaced(
    llm: LlmServer, client: Make, halves: tuple[str, ...], expected: str
) -> None:
    chunks = [f'data: {{"choices":[{{"delta":{{"content":"{half}"}}}}]}}\n\n'.encode() for half in halves]
    llm.will(writes(*chunks, encoded("[DONE]")))
    assert (await asked(client())).text == expected


@pytest.mark.parametrize(
    "end", [" ", "\n\n", "\u200b", "\u3164", "\ufeff", "\u202e", "\u00a0 \u2028", "#", "&nbsp;"]
)
async def test_an_answer_that_shows_nothing_is_none(llm: LlmServer, client: Make, end: str) -> None:
    llm.will(says(end, end))
    assert await failure(client()) == "empty"
    llm.will(says(end, "<think>Hm.</think>", end))
    assert await failure(client()) == "empty"


@pytest.mark.parametrize("text", ["\x01\x02\x1b", "\x00", "\x7f \u200b\x85", "\ufeff\x08"])
async def test_controls_show_nothing(llm: LlmServer, client: Make, text: str) -> None:
    llm.will(says(*text))
    assert await failure(client()) == "empty"


async def test_markdown_that_shows_nothing_is_no_answer(llm: LlmServer, client: Make) -> None:
    llm.will(says("```\n", "```"))
    assert await failure(client()) == "empty"


async def test_white_space_before_the_first_word_is_given_away_with_it(llm: LlmServer, client: Make) -> None:
    llm.will(says("\u200b", " ", "\n", "One"))
    async with aclosing(client().stream(PROMPT)) as answer:
        assert await anext(answer) == StreamPiece("\u200b \nOne")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": "5", "completion_tokens": "2"}, Usage(5, 2)),
        ({"prompt_tokens": 5.0, "completion_tokens": 2.0}, Usage(5, 2)),
        ({"prompt_tokens": "5.0", "completion_tokens": None}, Usage(5, 0)),
        ({"input_tokens": 5, "output_tokens": 2}, Usage(5, 2)),
        ({"prompt_tokens": -5, "completion_tokens": -2}, Usage(0, 0)),
        ({"prompt_tokens": "many", "completion_tokens": 2}, None),
        ({"prompt_tokens": True}, None),
        ({"prompt_tokens": 1e300}, None),
        ({"prompt_tokens": 10**30}, None),
        ("5", None),
        ([5, 2], None),
    ],
)
async def test_usage_is_read_however_it_is_written(
    llm: LlmServer, client: Make, usage: Any, expected: Usage | None
) -> None:
    llm.will(
        streams(delta(content="Yes."), delta("stop"), {**CHUNK, "choices": [], "usage": usage}, "[DONE]")
    )
    finished = await asked(client())
    assert finished.usage == (expected or Usage(16, 1, estimated=True))


# --- tools --------------------------------------------------------------------------------------


GO = {"state": "order"}


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_calls": [{"index": 0, "function": {"name": "go_to", "arguments": GO}}]},
        {
            "tool_calls": [
                {"index": "0", "id": "a", "function": {"name": "go_to", "arguments": json.dumps(GO)}}
            ]
        },
        {"tool_calls": {"function": {"name": "go_to", "arguments": GO}}},
        {"tool_calls": [{"name": "go_to", "arguments": GO}]},
        {"tool_calls": [{"function": {"name": "functions.go_to", "arguments": json.dumps(GO)}}]},
        {"tool_calls": [{"function": {"name": " go_to ", "arguments": json.dumps(json.dumps(GO))}}]},
        {"function_call": {"name": "go_to", "arguments": json.dumps(GO)}},
        {"content": '```json\n{"name": "go_to", "arguments": {"state": "order"}}\n```'},
        {
            "content": '<think>Hm.</think><tool_call>{"name": "go_to", "arguments": '
            '{"state": "order"}}</tool_call>'
        },
    ],
    ids=str,
)
async def test_a_call_is_read_however_it_is_written(
    llm: LlmServer, client: Make, fields: dict[str, Any]
) -> None:
    each = client()
    for behaviour in (
        streams(delta(**fields), delta("tool_calls"), "[DONE]"),
        streams(choice(message=fields, finish_reason="stop")),
        answers("application/json", wholly(**({"content": None} | fields))),
    ):
        llm.will(behaviour)
        finished = await asked(each, WITH_TOOLS)
        assert (finished.text, finished.tool) == ("", ToolCall("go_to", GO))


async def test_a_name_that_comes_in_pieces_is_one(llm: LlmServer, client: Make) -> None:
    pieces = [{"index": 0, "function": {"name": name, "arguments": ""}} for name in ("go", "_to")]
    rest = {"index": 0, "function": {"arguments": json.dumps(GO)}}
    llm.will(streams(*(delta(tool_calls=[each]) for each in (*pieces, rest)), delta("tool_calls")))
    assert (await asked(client(), WITH_TOOLS)).tool == ToolCall("go_to", GO)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("content_filter: SAFETY", "content_filter"),
        ("SAFETY", "content_filter"),
        ("refusal", "content_filter"),
        ("insufficient_system_resource", "unavailable"),
    ],
)
async def test_an_end_that_is_not_the_answers_is_a_failure(
    llm: LlmServer, client: Make, finish: str, reason: str
) -> None:
    llm.will(says("It arr", finish=finish))
    assert await failure(client()) == reason


async def test_indexes_as_strings_tell_two_calls_apart(llm: LlmServer, client: Make) -> None:
    one = {"index": "0", "function": {"name": "go_to", "arguments": '{"state":'}}
    two = {"index": "1", "function": {"name": "handoff", "arguments": "{}"}}
    rest = {"index": "0", "function": {"arguments": ' "order"}'}}
    llm.will(streams(*(delta(tool_calls=[each]) for each in (one, two, rest)), delta("tool_calls")))
    assert (await asked(client(), WITH_TOOLS)).tool == ToolCall("go_to", GO)


# --- refusals that say how to ask ---------------------------------------------------------------


def without(field: str) -> Callable[[dict[str, Any]], bool]:
    return lambda body: field not in body


REFUSALS: dict[str, tuple[ProfileName, Behaviour]] = {
    "stream_options": (
        "other",
        demands(
            without("stream_options"), "Unrecognized request argument supplied: stream_options", says(SAID)
        ),
    ),
    "stream_options, as pydantic words it": (
        "other",
        demands(
            without("stream_options"), "body.stream_options: Extra inputs are not permitted", says(SAID), 422
        ),
    ),
    "max_tokens": (
        "other",
        demands(
            without("max_tokens"),
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            says(SAID),
            code="unsupported_parameter",
        ),
    ),
    "max_completion_tokens": (
        "openai",
        demands(without("max_completion_tokens"), "Unknown field: max_completion_tokens", says(SAID)),
    ),
    "any limit": (
        "other",
        demands(
            lambda body: "max_tokens" not in body and "max_completion_tokens" not in body,
            "max_tokens and max_completion_tokens are not supported",
            says(SAID),
        ),
    ),
    "a limit that is too high": (
        "other",
        demands(without("max_tokens"), "max_tokens must be less than or equal to 512", says(SAID)),
    ),
    "temperature": (
        "other",
        demands(without("temperature"), "'temperature' does not support 0.2 with this model", says(SAID)),
    ),
    "two fields, one after the other": (
        "other",
        demands(
            without("stream_options"),
            "stream_options: unknown field",
            demands(without("max_tokens"), "use max_completion_tokens, not max_tokens", says(SAID)),
        ),
    ),
}


@pytest.mark.parametrize(("profile", "behaviour"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_field_is_left_out_and_so_from_then_on(
    llm: LlmServer, client: Make, profile: ProfileName, behaviour: Behaviour
) -> None:
    llm.always(behaviour)
    each = client(profile)
    prompt = PROMPT._replace(temperature=0.2)
    with structlog.testing.capture_logs() as logs:
        assert (await asked(each, prompt)).text == SAID
        first = len(llm.requests)
        assert first > 1
        assert (await asked(each, prompt)).text == SAID
    assert len(llm.requests) == first + 1  # nothing is asked in vain twice
    assert [line["event"] for line in logs].count("assistant_learned") == 1


async def test_what_is_learned_of_one_model_is_not_said_of_another(llm: LlmServer, client: Make) -> None:
    llm.will(refuses(400, "stream_options is unknown"), says(SAID), says(SAID))
    each = client()
    await asked(each)
    await asked(each, PROMPT._replace(model="another"))
    assert ["stream_options" in request.body for request in llm.requests] == [True, False, True]


async def test_a_refusal_that_stays_is_an_outcome(llm: LlmServer, client: Make) -> None:
    llm.always(refuses(400, "stream_options, max_tokens, temperature, role: all of it is wrong"))
    assert await failure(client()) == "bad_request"
    assert len(llm.requests) <= 6


GREETED = (
    ChatMessage("system", "Be brief."),
    ChatMessage("assistant", "Hello!"),
    ChatMessage("user", "Where is it?"),
)


@pytest.mark.parametrize(
    "messages",
    [
        GREETED,
        GREETED[1:],
        (ChatMessage("system", "Greet the visitor."),),
        (ChatMessage("system", "Greet the visitor."), ChatMessage("assistant", "Hello!")),
        (*GREETED, ChatMessage("assistant", "On its way."), ChatMessage("assistant", "Bye.")),
        (ChatMessage("user", "One."), ChatMessage("user", "Two.")),
    ],
)
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (400, 'messages: first message must use the "user" role'),
        (
            422,
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
        ),
        (500, "Jinja Exception: After the optional system message, conversation roles must alternate"),
    ],
)
async def test_a_server_that_demands_alternating_roles_is_given_them(
    llm: LlmServer, client: Make, messages: tuple[ChatMessage, ...], status: int, message: str
) -> None:
    llm.always(demands(alternating, message, says(SAID), status))
    each = client()
    assert (await asked(each, Prompt(messages))).text == SAID
    body = llm.requests[-1].body
    told = "\n".join(each["content"] for each in body["messages"])
    assert all(message.content in told for message in messages)
    assert body["messages"][0]["role"] == messages[0].role or messages[0].role == "assistant"


async def test_a_server_without_a_system_role_is_told_the_instructions_by_the_user(
    llm: LlmServer, client: Make
) -> None:
    def fits(body: dict[str, Any]) -> bool:
        return alternating(body) and body["messages"][0]["role"] == "user"

    for message in ("System role not supported", "Conversation roles must alternate user/assistant/..."):
        llm.always(demands(fits, message, says(SAID)))
        assert (await asked(client(), Prompt(GREETED))).text == SAID
        assert llm.requests[-1].body["messages"][0]["content"].startswith("Be brief.\n\n")


# --- reasoning whose beginning is missing -------------------------------------------------------


async def test_a_quick_model_that_leaves_out_the_beginning_of_its_reasoning_shows_none_of_it(
    llm: LlmServer, client: Make
) -> None:
    llm.will(says(*words(f"The user wants to know it.\n</think>\n\n{SAID}")))
    async with aclosing(client().stream(PROMPT)) as answer:
        parts = [part async for part in answer]
    assert "".join(part.text for part in parts if isinstance(part, StreamPiece)) == SAID


async def test_a_slow_one_is_found_out_at_its_end_and_remembered(llm: LlmServer, client: Make) -> None:
    each = client()
    go_on = asyncio.Event()
    llm.will(says("A question", go_on, " of orders.</think>", SAID), says("Hm. ", "So.", "</think>", SAID))
    parts: list[object] = []
    async with aclosing(each.stream(PROMPT)) as answer:
        async for part in answer:
            parts.append(part)
            go_on.set()
    assert parts[:2] == [StreamPiece("A question"), Anew()]
    assert "".join(part.text for part in parts if isinstance(part, StreamPiece)) == f"A question{SAID}"
    assert parts[-1].text == SAID  # type: ignore[attr-defined]
    async with aclosing(each.stream(PROMPT)) as answer:
        assert [part async for part in answer][:-1] == [StreamPiece(SAID)]


MUSINGS = [
    "Okay, the customer wants to know where it is.",
    "We need to find the order.",
    "Hmm, where might it be?",
    "Der Nutzer fragt nach seiner Bestellung.",
    "\u597d\u7684\uff0c\u7528\u6237\u60f3\u77e5\u9053\u3002",
]
#: Longer than the first words of a new model are held in any case.
LONG = GRACE_SECONDS * 1.5


@pytest.mark.parametrize("musing", MUSINGS)
async def test_a_slow_one_that_muses_shows_none_of_it(llm: LlmServer, client: Make, musing: str) -> None:
    llm.will(says(*words(musing), LONG, " So.", LONG, "</think>", "\n\n", SAID))
    assert await shown(client()) == [StreamPiece(SAID)]


@pytest.mark.parametrize(
    "model", ["deepseek-ai/DeepSeek-R1", "qwq:32b", "Qwen3-30B-A3B-Thinking-2507", "magistral-small"]
)
async def test_a_slow_one_that_is_known_by_its_name_shows_none_of_it(
    llm: LlmServer, client: Make, model: str
) -> None:
    llm.always(says("A question of", LONG, " orders.</think>", SAID))
    assert await shown(client(), PROMPT._replace(model=model)) == [StreamPiece(SAID)]


async def test_the_name_may_be_in_the_chunks_alone(llm: LlmServer, client: Make) -> None:
    chunks = [
        {**delta(content=text), "model": "deepseek-r1:7b"} for text in ("A question", ".</think>", SAID)
    ]

    async def play(exchange: Exchange) -> None:
        await exchange.stream()
        for chunk in chunks:
            await exchange.event(chunk)
            await asyncio.sleep(LONG)
        await exchange.event("[DONE]")
        await exchange.end()

    llm.will(play)
    assert await shown(client()) == [StreamPiece(SAID)]


async def test_a_reasoning_field_ends_the_wait(llm: LlmServer, client: Make) -> None:
    go_on = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream()
        await exchange.event(delta(reasoning_content="Hm."))
        await exchange.event(delta(content="It "))
        await exchange.wait(go_on)
        await exchange.event(delta("stop", content="arrives."))
        await exchange.event("[DONE]")
        await exchange.end()

    llm.will(play)
    async with aclosing(client().stream(PROMPT._replace(model="deepseek-r1"))) as answer:
        assert await anext(answer) == StreamPiece("It ")
        go_on.set()
        assert await anext(answer) == StreamPiece("arrives.")


@pytest.mark.parametrize("model", ["deepseek-r1", "small"])
async def test_reasoning_that_had_no_room_for_its_end_is_no_answer(
    llm: LlmServer, client: Make, model: str
) -> None:
    llm.will(says(*words("We need to find the order. It"), finish="length"))
    assert await failure(client(), PROMPT._replace(model=model)) == "empty"


async def test_a_long_answer_that_only_looks_like_reasoning_is_given_away_in_time(
    llm: LlmServer, client: Make
) -> None:
    go_on = asyncio.Event()
    llm.will(says("We need ", go_on, "your number."))
    limits = LIMITS._replace(first_token=3)
    async with aclosing(client(limits=limits).stream(PROMPT)) as answer:
        assert await anext(answer) == StreamPiece("We need ")
        go_on.set()
        assert await anext(answer) == StreamPiece(
            "your number."
        )  # it was not the provider's time that was up


async def test_settings_may_say_that_all_words_wait_or_none(llm: LlmServer) -> None:
    go_on = asyncio.Event()
    llm.will(says("A question", LONG, ".</think>", SAID), says("We need", go_on, "."))
    each = AssistantClient(Provider("other", llm.url, "small"), LIMITS, reasoning="yes")
    assert await shown(each) == [StreamPiece(SAID)]
    await each.close()
    each = AssistantClient(Provider("other", llm.url, "deepseek-r1"), LIMITS, reasoning="no")
    async with aclosing(each.stream(PROMPT)) as answer:
        assert await anext(answer) == StreamPiece("We need")
        go_on.set()
    await each.close()


async def shown(client: AssistantClient, prompt: Prompt = PROMPT) -> list[object]:
    """All that was given away, also what was void later."""
    async with aclosing(client.stream(prompt)) as answer:
        return [part async for part in answer if not isinstance(part, Finished)]


# --- the whole way, to the log ------------------------------------------------------------------


TALK = flow_with()


@pytest.fixture
async def replica(connections: Connections) -> AsyncIterator[Replica]:
    replica = Replica(connections)
    yield replica
    await replica.crash()


@pytest.fixture
async def visitor(connections: Connections) -> ChatLog:
    return await connections.log("proxy")


@pytest.fixture
async def reader(connections: Connections) -> DraftReader:
    return await DraftReader().start(connections)


@pytest.mark.parametrize(
    "answer",
    [
        f"<think>The user wants it.</think>\n\n{SAID}",
        f"The user wants it.\n</think>\n\n{SAID}",
        f"[THINK]Hm.[/THINK]{SAID}",
        f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>{SAID}",
    ],
)
async def test_reasoning_is_in_no_draft_and_on_no_log(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader, answer: str
) -> None:
    llm.will(says(*answer))  # every character is a chunk
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor)
    entries = await answered(visitor)
    await reader.end()
    (spoken,) = said(entries, AssistantSaid)
    assert spoken.text == SAID == reader.text(spoken.attempt)
    assert not any("Hm" in str(draft) or "user" in str(draft) for draft in reader.drafts)


async def test_reasoning_that_was_drafted_is_replaced_by_another_attempt(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    go_on = asyncio.Event()
    llm.will(
        says("A question of orders.", go_on, "</think>", *words(SAID)), says(*words(f"Hm.</think>{SAID}"))
    )
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    cause = await ask(visitor)
    await reader.words("A question of orders.")
    go_on.set()
    entries = await answered(visitor)
    await reader.end(2)
    (spoken,) = said(entries, AssistantSaid)
    assert (spoken.text, spoken.attempt, reader.text(2)) == (SAID, 2, SAID)
    assert reader.ends() == [(1, "interrupted"), (2, "committed")]
    started = [AnswerStarted(cause=cause, attempt=attempt) for attempt in (1, 2)]
    assert said(entries, AnswerStarted) == started
    assert len(llm.requests) == 1  # the same stream went on
    await ask(visitor, "And now?")
    entries = await answered(visitor)
    assert said(entries, AssistantSaid)[-1].attempt == 1  # it is known now


async def test_a_call_that_is_written_out_is_done_and_not_said(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader
) -> None:
    call = '{"name": "handoff", "arguments": {"reason": "angry"}}'
    llm.will(says(*words("One moment.\n" + call)))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor)
    entries = await answered(visitor)
    await reader.end()
    assert said(entries, HandoffRequested) == [HandoffRequested(queue="shop", reason="angry")]
    (spoken,) = said(entries, AssistantSaid)
    assert spoken.text == reader.text() == "One moment.\n"


@pytest.mark.parametrize(
    "behaviour",
    [
        says("<think>It never ends"),
        says('{"name": "delete_user", "arguments": {"id": 7}}'),
        says(" ", "\u200b"),
        refuses(400, "Internal: tenant 7 of cluster blue is misconfigured"),
        answers("text/html", b"<h1>502 Bad Gateway: nginx at 10.0.0.7</h1>"),
    ],
)
async def test_what_is_no_answer_takes_the_flow_to_its_on_error_and_shows_nothing(
    replica: Replica, visitor: ChatLog, llm: LlmServer, reader: DraftReader, behaviour: Behaviour
) -> None:
    llm.always(behaviour)
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor)
    entries = await answered(visitor)
    await reader.end()
    assert len(said(entries, AnswerFailed)) == 1
    assert said(entries, AssistantSaid) == []
    assert BotSaid(text="Sorry.") in said(entries, BotSaid)
    assert reader.text() == ""
    assert not any(word in str(entries) for word in ("tenant", "nginx", "delete_user", "never ends"))


async def test_the_providers_usage_is_on_the_log(replica: Replica, visitor: ChatLog, llm: LlmServer) -> None:
    usage = {name: str(value) for name, value in USAGE.items()}
    llm.will(streams(delta(content=SAID), delta("stop"), {**CHUNK, "choices": [], "usage": usage}, "[DONE]"))
    await replica.start(TALK, llm=llm)
    await greet(visitor)
    await ask(visitor)
    (spoken,) = said(await answered(visitor), AssistantSaid)
    assert (spoken.tokens_in, spoken.tokens_out) == (11, 7)
