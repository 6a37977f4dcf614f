"""The assistant's client against a real server that streams OpenAI's protocol, well and badly."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from email.utils import formatdate

import pytest
import structlog

from services.workflow.assistant.client import (
    Anew,
    AssistantClient,
    AssistantFailed,
    AssistantLimits,
    StreamPiece,
)
from services.workflow.assistant.profiles import Provider
from services.workflow.domain.assistant import ChatMessage, Prompt, ToolCall, Usage, tools
from services.workflow.domain.completion import Finished
from tests.llm_server import (
    CHUNK,
    Behaviour,
    LlmServer,
    answers,
    babbles,
    calls,
    cuts,
    delta,
    encoded,
    fragments,
    garbles,
    mumbles,
    refuses,
    says,
    stalls,
    streams,
    words,
    writes,
)
from tests.processes import ROOT, free_port

KEY = "sk-secret-key"
PROMPT = Prompt((ChatMessage("system", "Be brief."), ChatMessage("user", "Where is my order?")))
WITH_TOOLS = PROMPT._replace(tools=tools(handoff=True, states=("order", "returns")))
#: Long enough that nothing of it is reached where all goes well.
PATIENT = AssistantLimits(first_token=30, token=30, answer=60, characters=10_000, attempts=3)

Make = Callable[..., AssistantClient]


@pytest.fixture
async def client(llm: LlmServer) -> AsyncIterator[Make]:
    """Makes clients of the test's server, which are closed at the end. They never wait by chance."""
    made = []

    def make(limits: AssistantLimits = PATIENT, url: str = llm.url, clock: float = 0.0) -> AssistantClient:
        provider = Provider("openai", url, "small", KEY, "OPENAI_API_KEY")
        made.append(AssistantClient(provider, limits, chance=lambda: 0.0, clock=lambda: clock))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def asked(client: AssistantClient, prompt: Prompt = PROMPT) -> tuple[list[str], Finished]:
    """The pieces, and what they came to: exactly their concatenation, always."""
    pieces: list[str] = []
    finished = None
    async with aclosing(client.stream(prompt)) as answer:
        async for part in answer:
            assert finished is None
            if isinstance(part, StreamPiece):
                assert part.text
                pieces.append(part.text)
            elif isinstance(part, Anew):
                pieces.clear()
            else:
                finished = part
    assert finished is not None
    assert finished.text == "".join(pieces)
    return pieces, finished


async def failed(client: AssistantClient, prompt: Prompt = PROMPT) -> tuple[str, AssistantFailed]:
    """What came before the failure, and the failure."""
    text = ""
    with pytest.raises(AssistantFailed) as failure:
        async with aclosing(client.stream(prompt)) as answer:
            async for part in answer:
                assert isinstance(part, StreamPiece)
                text += part.text
    assert failure.value.began == bool(text)
    return text, failure.value


# --- answers ------------------------------------------------------------------------------------


async def test_an_answer_comes_word_by_word_and_is_what_its_pieces_are(llm: LlmServer, client: Make) -> None:
    said = words("It left our house this  morning.\nTwo days, I think. ")
    llm.will(says(*said))
    pieces, finished = await asked(client())
    assert pieces == said
    assert finished == Finished("".join(said), None, Usage(11, 7), "stop", "small")


async def test_a_word_is_given_away_before_the_next_is_there(llm: LlmServer, client: Make) -> None:
    go_on = asyncio.Event()
    llm.will(says("First", go_on, " second"))
    async with aclosing(client().stream(PROMPT)) as answer:
        assert await anext(answer) == StreamPiece("First")
        go_on.set()
        assert await anext(answer) == StreamPiece(" second")


async def test_the_request_is_openais(llm: LlmServer, client: Make) -> None:
    llm.will(says("Yes."))
    await asked(client(), WITH_TOOLS._replace(max_tokens=50, temperature=0.2))
    request = await llm.request()
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    body = request.body
    assert [tool["function"]["name"] for tool in body.pop("tools")] == ["handoff", "go_to"]
    assert body == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Where is my order?"},
        ],
        "max_completion_tokens": 50,
        "temperature": 0.2,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_a_flow_may_choose_its_own_model(llm: LlmServer, client: Make) -> None:
    llm.will(says("Yes."))
    _, finished = await asked(client(), PROMPT._replace(model="large"))
    assert (await llm.request()).body["model"] == finished.model == "large"


async def test_one_connection_serves_one_answer_after_the_other(llm: LlmServer, client: Make) -> None:
    llm.will(says("One."), refuses(429, retry_after="0"), says("Two."), says("Three.", usage=None))
    each = client()
    for _ in range(3):
        await asked(each)
    assert [request.connection for request in llm.requests] == [1, 1, 1, 1]


async def test_many_answers_at_once_do_not_mix(llm: LlmServer, client: Make) -> None:
    count = 50
    go_on = asyncio.Event()
    for number in range(count):
        llm.will(says(f"{number}: ", go_on, f"all of {number}"))
    each = client()
    answers = [asyncio.create_task(asked(each)) for _ in range(count)]
    await llm.request(count)
    go_on.set()
    texts = [finished.text for _, finished in await asyncio.gather(*answers)]
    assert sorted(texts) == sorted(f"{number}: all of {number}" for number in range(count))


async def test_characters_that_are_split_over_packets_come_whole(llm: LlmServer, client: Make) -> None:
    text = "Größe: 👩‍👩‍👧 漢字 – ½ é"
    stream = encoded(delta(content=text)) + encoded(delta("stop")) + encoded("[DONE]")
    llm.will(writes(*(stream[at : at + 1] for at in range(len(stream)))))
    _, finished = await asked(client())
    assert finished.text == text


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_every_line_end_of_server_sent_events_is_read(llm: LlmServer, client: Make, end: str) -> None:
    stream = b": ping\n\nid: 7\nevent: message\n" + encoded(delta(content="a\u2028b")) + b"\n\n\n"
    stream += encoded(delta("stop")) + encoded("[DONE]")
    llm.will(writes(stream.replace(b"\n", end.encode())))
    _, finished = await asked(client())
    assert finished.text == "a\u2028b"


async def test_comments_between_words_are_no_words(llm: LlmServer, client: Make) -> None:
    ping = b": OPENROUTER PROCESSING\n\n"
    llm.will(
        writes(
            ping,
            encoded(delta(content="Hel")),
            ping,
            ping,
            encoded(delta(content="lo")),
            encoded(delta("stop")),
        )
    )
    pieces, finished = await asked(client())
    assert pieces == ["Hel", "lo"]
    assert finished.finish_reason == "stop"


@pytest.mark.parametrize(
    "end",
    [
        (delta("stop"), "[DONE]"),
        (delta("stop"),),  # no mark at the end
        ("[DONE]",),  # no reason
    ],
)
async def test_an_answer_is_whole_with_either_sign_of_its_end(
    llm: LlmServer, client: Make, end: tuple[dict[str, object] | str, ...]
) -> None:
    llm.will(streams(delta(content="All."), *end))
    _, finished = await asked(client())
    assert (finished.text, finished.finish_reason) == ("All.", "stop")


async def test_an_answer_at_the_most_tokens_says_so(llm: LlmServer, client: Make) -> None:
    llm.will(says("And so", finish="length"))
    _, finished = await asked(client())
    assert finished.finish_reason == "length"


async def test_an_endless_answer_is_cut_at_the_most_characters(llm: LlmServer, client: Make) -> None:
    llm.will(babbles("twelve chars"))
    pieces, finished = await asked(client(PATIENT._replace(characters=100)))
    assert finished.text == ("twelve chars" * 9)[:100]
    assert pieces[-1] == "twel"
    assert finished.finish_reason == "length"
    await (await llm.request()).left.wait()


async def test_a_line_without_an_end_is_not_gathered_for_ever(
    llm: LlmServer, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.workflow.assistant.client.MAX_RESPONSE", 10_000)
    llm.will(writes(b"data: ", *([b"x" * 1000] * 20)))
    _, failure = await failed(client(PATIENT._replace(attempts=1)))
    assert failure.reason == "broken"


# --- usage --------------------------------------------------------------------------------------


async def test_usage_is_counted_by_the_provider_or_estimated(llm: LlmServer, client: Make) -> None:
    each = client()
    llm.will(says("Yes, it is.", usage=None))
    _, finished = await asked(each)
    assert finished.usage == Usage(tokens_in=16, tokens_out=3, estimated=True)


@pytest.mark.parametrize(
    "events",
    [
        (delta("stop"), {**CHUNK, "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}),
        # Groq's own place for it
        ({**delta("stop"), "x_groq": {"id": "r", "usage": {"prompt_tokens": 5, "completion_tokens": 2}}},),
        # vLLM's continuous form: it grows
        (
            {**delta(content="s"), "usage": {"prompt_tokens": 5, "completion_tokens": 1}},
            {**delta("stop"), "usage": {"prompt_tokens": 5, "completion_tokens": 2}},
        ),
    ],
)
async def test_usage_is_found_wherever_a_provider_puts_it(
    llm: LlmServer, client: Make, events: tuple[dict[str, object], ...]
) -> None:
    llm.will(streams(delta(content="Ye"), *events, "[DONE]"))
    _, finished = await asked(client())
    assert finished.usage == Usage(5, 2)


@pytest.mark.parametrize("end", [b"data: {not json\n\n", b": that was all\n\n"])
async def test_what_breaks_after_the_last_word_costs_the_usage_alone(
    llm: LlmServer, client: Make, end: bytes
) -> None:
    llm.will(writes(encoded(delta(content="Whole.")), encoded(delta("stop")), end))
    _, finished = await asked(client())
    assert finished.text == "Whole."
    assert finished.usage.estimated


# --- tools --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [(), ("One moment.",)])
async def test_a_tool_call_is_put_together_from_its_fragments(
    llm: LlmServer, client: Make, text: tuple[str, ...]
) -> None:
    arguments = json.dumps({"reason": 'wants "a person" – now'})
    llm.will(calls("handoff", arguments, *text))
    pieces, finished = await asked(client(), WITH_TOOLS)
    assert pieces == list(text)
    assert finished.tool == ToolCall("handoff", {"reason": 'wants "a person" – now'})


@pytest.mark.parametrize(
    "events",
    [
        # Ollama: whole in one chunk, no index, and "stop" as the reason
        (
            delta(tool_calls=[{"function": {"name": "go_to", "arguments": '{"state":"order"}'}}]),
            delta("stop"),
        ),
        # two calls, both with the index 0
        (
            delta(
                tool_calls=[
                    {"index": 0, "id": "a", "function": {"name": "go_to", "arguments": '{"state":"order"}'}},
                    {
                        "index": 0,
                        "id": "b",
                        "function": {"name": "go_to", "arguments": '{"state":"returns"}'},
                    },
                ]
            ),
            delta("tool_calls"),
        ),
        # two calls whose fragments alternate
        (
            *(
                delta(tool_calls=list(pair))
                for pair in zip(
                    fragments("go_to", '{"state":"order"}'),
                    fragments("go_to", '{"state":"other"}', index=1, id="call_2"),
                    strict=True,
                )
            ),
            delta("tool_calls"),
        ),
    ],
)
async def test_the_first_call_counts_however_servers_write_it(
    llm: LlmServer, client: Make, events: tuple[dict[str, object], ...]
) -> None:
    llm.will(streams(*events, "[DONE]"))
    _, finished = await asked(client(), WITH_TOOLS)
    assert finished.tool == ToolCall("go_to", {"state": "order"})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("handoff", '{"reason": "cut'),
        ("handoff", "[1]"),
        ("go_to", '{"state": "elsewhere"}'),
        ("go_to", "{}"),
        ("go_to", '{"state": ["order"]}'),
        ("shut_down", "{}"),
    ],
)
async def test_a_call_that_makes_no_sense_is_tried_again_and_then_an_outcome(
    llm: LlmServer, client: Make, name: str, arguments: str
) -> None:
    each = client()
    llm.will(calls(name, arguments), calls("go_to", '{"state": "order"}'))
    _, finished = await asked(each, WITH_TOOLS)
    assert finished.tool == ToolCall("go_to", {"state": "order"})
    llm.will(calls(name, arguments, "Wait."))
    text, failure = await failed(each, WITH_TOOLS)
    assert (text, failure.reason) == ("Wait.", "broken")


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (refuses(401, f"Incorrect API key provided: {KEY}"), "refused_key"),
        (refuses(402), "refused_key"),
        (refuses(403), "refused_key"),
        (refuses(400), "bad_request"),
        (refuses(404, "The model `small` does not exist", code="model_not_found"), "bad_request"),
        (refuses(400, "Too long.", code="context_length_exceeded"), "too_long"),
        (refuses(400, "This model's maximum context length is 4096 tokens."), "too_long"),
        (refuses(413, "Request too large", code="rate_limit_exceeded"), "too_long"),
        (refuses(400, "Filtered.", code="content_filter"), "content_filter"),
        (refuses(429, "Pay first.", code="insufficient_quota"), "rate_limited"),
        (answers("text/plain", b"", 301, location="http://127.0.0.1:1/"), "bad_request"),
        (says("No", finish="content_filter"), "content_filter"),
    ],
)
async def test_what_no_second_try_would_mend_is_not_tried_again(
    llm: LlmServer, client: Make, behaviour: Behaviour, reason: str
) -> None:
    llm.will(behaviour)
    _, failure = await failed(client())
    assert failure.reason == reason
    assert len(llm.requests) == 1


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (refuses(429, retry_after="0"), "rate_limited"),
        (refuses(500, retry_after="0"), "unavailable"),
        (refuses(503, retry_after="0"), "unavailable"),
        (refuses(408, retry_after="0"), "unavailable"),
        (refuses(400, code="tool_use_failed", retry_after="0"), "broken"),
        (cuts(status=False), "unavailable"),
        (garbles, "unavailable"),
        (cuts(), "cut"),
        (streams(delta(role="assistant")), "cut"),
        (streams({"error": {"message": "Overloaded", "type": "server_error"}}, "[DONE]"), "unavailable"),
        (streams({"error": "STREAM_EXPLODED"}), "unavailable"),
        (streams({"error": {"message": "Slow down", "code": 429}}), "rate_limited"),
        (streams({"object": "error", "message": "Busy", "code": 503}), "unavailable"),
        (streams({**delta(), "x_groq": {"error": "over capacity"}}), "cut"),
        (streams(delta("error")), "unavailable"),
        (streams("{not json"), "broken"),
        (streams('{"choices": 5}'), "broken"),
        (streams("[]"), "broken"),
        (streams('{"choices": [{"index": 0, "delta": {"content": "\\ud83d"}}]}'), "broken"),
        (answers("application/json", b'{"choices": []}'), "broken"),
        (answers("text/html", b"<h1>Log in to the Wi-Fi</h1>"), "broken"),
        (answers("text/event-stream", b"\x1f\x8b", content_encoding="gzip"), "broken"),
        (says(), "empty"),
        (streams("[DONE]"), "empty"),
        (says("", finish="tool_calls"), "empty"),
    ],
)
async def test_what_a_second_try_may_mend_is_tried_again_before_the_first_word(
    llm: LlmServer, client: Make, behaviour: Behaviour, reason: str, without_pauses: None
) -> None:
    each = client()
    llm.will(behaviour, says("Now."))
    _, finished = await asked(each)
    assert (finished.text, len(llm.requests)) == ("Now.", 2)
    llm.always(behaviour)
    _, failure = await failed(each)
    assert (failure.reason, len(llm.requests)) == (reason, 2 + PATIENT.attempts)


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.workflow.assistant.client.BACKOFF_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (cuts("Half an"), "cut"),
        (streams(delta(content="Half an")), "cut"),
        (streams(delta(content="Half an"), "{not json"), "broken"),
        (
            streams(delta(content="Half an"), {"error": {"message": "Rate", "code": "rate_limit"}}),
            "rate_limited",
        ),
        (streams(delta(content="Half an"), {"error": {"message": "No"}}), "unavailable"),
        (says("Half an", finish="content_filter"), "content_filter"),
    ],
)
async def test_after_the_first_word_nothing_is_tried_again(
    llm: LlmServer, client: Make, behaviour: Behaviour, reason: str
) -> None:
    llm.will(behaviour)
    text, failure = await failed(client())
    assert (text, failure.reason) == ("Half an", reason)
    assert len(llm.requests) == 1


async def test_nobody_listening_is_unavailable(client: Make, without_pauses: None) -> None:
    _, failure = await failed(client(url=f"http://127.0.0.1:{free_port()}/v1"))
    assert failure.reason == "unavailable"


async def test_without_a_provider_there_is_a_reason_and_no_answer() -> None:
    _, failure = await failed(AssistantClient(None, PATIENT))
    assert failure.reason == "no_key"


async def test_whatever_bytes_come_there_is_an_answer_or_a_reason(llm: LlmServer, client: Make) -> None:
    seed = int(os.environ.get("SWITCHBOARD_TEST_SEED", time.time_ns()))
    print(f"SWITCHBOARD_TEST_SEED={seed}")
    chance = random.Random(seed)
    chunks = (delta(content="One "), delta(content="é 👩"), delta("stop"))
    whole = b"".join(encoded(chunk) for chunk in chunks) + encoded("[DONE]")
    each = client(PATIENT._replace(attempts=1))
    for _ in range(60):
        body = bytearray(whole)
        for _ in range(chance.randrange(1, 20)):
            body[chance.randrange(len(body))] = chance.choice([chance.randrange(256), *b'\n\r:{}"\\'])
        llm.will(writes(bytes(body[: chance.randrange(1, len(body))]), bytes(body)))
        with suppress(AssistantFailed):
            await asked(each)
    assert len(llm.requests) == 60


# --- waiting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["0.2", formatdate(1000.2 + 1, usegmt=True)])
async def test_retry_after_is_honoured_in_both_forms(llm: LlmServer, client: Make, wanted: str) -> None:
    each = client(clock=1000.8)
    llm.will(refuses(429, retry_after=wanted), says("Now."))
    loop = asyncio.get_running_loop()
    started = loop.time()
    await asked(each)
    assert loop.time() - started >= 0.15  # never earlier than it asked


async def test_who_asks_for_a_longer_wait_than_a_visitor_has_is_not_waited_for(
    llm: LlmServer, client: Make
) -> None:
    llm.will(refuses(429, retry_after="3600"))
    _, failure = await failed(client())
    assert (failure.reason, failure.retry_after, len(llm.requests)) == ("rate_limited", 3600.0, 1)


@pytest.mark.parametrize("behaviour", [stalls(head=False), stalls(), stalls(""), mumbles()])
async def test_no_word_within_the_time_ends_it(llm: LlmServer, client: Make, behaviour: Behaviour) -> None:
    llm.will(behaviour)
    _, failure = await failed(client(PATIENT._replace(first_token=0.3)))
    assert failure.reason == "timeout_first"
    await (await llm.request()).left.wait()
    assert len(llm.requests) == 1


async def test_no_further_word_within_the_time_ends_it(llm: LlmServer, client: Make) -> None:
    llm.will(stalls("One", " two"))
    text, failure = await failed(client(PATIENT._replace(token=0.3)))
    assert (text, failure.reason) == ("One two", "timeout_between")
    await (await llm.request()).left.wait()


async def test_an_answer_that_never_ends_is_ended(llm: LlmServer, client: Make) -> None:
    llm.will(babbles(seconds=0.01))
    text, failure = await failed(client(PATIENT._replace(answer=1.0)))
    assert text
    assert failure.reason == "timeout_whole"


async def test_a_reader_who_takes_time_is_no_stall_of_the_provider(llm: LlmServer, client: Make) -> None:
    go_on = asyncio.Event()
    llm.will(says("One", go_on, " two"))
    limits = PATIENT._replace(token=1.0)
    async with aclosing(client(limits).stream(PROMPT)) as answer:
        await anext(answer)
        await asyncio.sleep(1.1 * limits.token)
        go_on.set()
        assert await anext(answer) == StreamPiece(" two")


# --- stopping -----------------------------------------------------------------------------------


async def test_who_stops_reading_closes_the_stream_at_once(llm: LlmServer, client: Make) -> None:
    llm.will(stalls("One"), says("Another."))
    each = client()
    answer = each.stream(PROMPT)
    assert await anext(answer) == StreamPiece("One")
    await answer.aclose()
    await (await llm.request()).left.wait()
    assert (await asked(each))[1].text == "Another."


@pytest.mark.parametrize("behaviour", [stalls("One"), stalls(), stalls(head=False)])
async def test_a_cancelled_turn_closes_the_stream_at_once(
    llm: LlmServer, client: Make, behaviour: Behaviour
) -> None:
    llm.will(behaviour)
    task = asyncio.create_task(asked(client()))
    request = await llm.request()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await request.left.wait()


async def test_a_turn_that_is_cancelled_while_it_waits_is_not_tried_again(
    llm: LlmServer, client: Make
) -> None:
    llm.will(refuses(429, retry_after="20"))
    task = asyncio.create_task(asked(client()))
    await llm.request()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(llm.requests) == 1


# --- secrets ------------------------------------------------------------------------------------


async def test_the_providers_words_go_to_the_log_shortened_and_without_the_key(
    llm: LlmServer, client: Make
) -> None:
    llm.will(refuses(401, f"Incorrect API key provided: {KEY}. " + "x" * 5000))
    with structlog.testing.capture_logs() as logs:
        _, failure = await failed(client())
    (line,) = logs
    assert line["event"] == "assistant_failed"
    assert "Incorrect API key provided: ***" in line["detail"]
    assert len(line["detail"]) == 500
    assert KEY not in str(logs)
    assert (str(failure), failure.__cause__) == ("refused_key", None)


async def test_the_key_is_nowhere_to_be_seen(client: Make) -> None:
    each = client()
    assert KEY not in repr(each.provider) + str(each.provider) + each.describe() + repr(vars(each))
    assert "the key of OPENAI_API_KEY" in each.describe()


# --- the stand-in -------------------------------------------------------------------------------


async def test_a_person_can_try_it_without_a_key(client: Make) -> None:
    command = (sys.executable, "-m", "tests.llm_server", "--port", "0", "--pause", "0", "--key", KEY)
    stand_in = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert stand_in.stdout is not None
        said = (await stand_in.stdout.readline()).decode()
        address = re.search(r"SWITCHBOARD_ASSISTANT_URL=(\S+)", said)
        assert address is not None
        each = client(url=address[1])
        pieces, finished = await asked(each)
        assert finished.text.startswith('You said: "Where is my order?".')
        assert len(pieces) > 10
        _, finished = await asked(
            each, WITH_TOOLS._replace(messages=(ChatMessage("user", "A person, please"),))
        )
        assert finished.tool == ToolCall("handoff", {"reason": "A person, please"})
    finally:
        stand_in.kill()
        await stand_in.wait()
