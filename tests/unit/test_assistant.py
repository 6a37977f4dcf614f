"""What the assistant is asked, what it costs, and who it is by the settings."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.workflow.assistant.client import AssistantClient, AssistantLimits
from services.workflow.assistant.profiles import PROFILES, Provider
from services.workflow.domain.assistant import (
    UNKNOWN,
    BadCall,
    ChatMessage,
    Prices,
    Prompt,
    PromptLine,
    ToolCall,
    Usage,
    Who,
    conversation,
    cost,
    estimate,
    estimated,
    tools,
)
from services.workflow.domain.completion import Completion
from services.workflow.domain.provider_errors import Trouble, retry_after
from services.workflow.settings import WorkflowSettings
from shared.service.settings import SettingError, load
from tests.llm_server import CHUNK, delta, words

PLENTY = 10_000


# --- the conversation so far --------------------------------------------------------------------


def test_everyone_who_is_not_the_visitor_is_the_assistant() -> None:
    lines = [
        PromptLine("bot", "<p>Hi &amp; welcome</p>"),
        PromptLine("visitor", "a < b & <b>c</b>"),
        PromptLine("assistant", "I see <code>"),
        PromptLine("visitor", "A person, please"),
        PromptLine("operator", "Ada here"),
        PromptLine("visitor", "Hello"),
    ]
    assert conversation("Be brief.", lines, PLENTY) == (
        ChatMessage("system", "Be brief."),
        ChatMessage("assistant", "Hi & welcome"),
        ChatMessage("user", "a < b & <b>c</b>"),
        ChatMessage("assistant", "I see <code>"),
        ChatMessage("user", "A person, please"),
        ChatMessage("assistant", "Ada here"),
        ChatMessage("user", "Hello"),
    )


def test_what_one_side_says_in_a_row_is_one_message() -> None:
    lines = [
        PromptLine("bot", "One"),
        PromptLine("assistant", "Two"),
        PromptLine("visitor", "Three"),
        PromptLine("visitor", "Four"),
    ]
    assert conversation("", lines, PLENTY) == (
        ChatMessage("assistant", "One\n\nTwo"),
        ChatMessage("user", "Three\n\nFour"),
    )


def test_what_shows_no_text_is_left_out() -> None:
    lines = [
        PromptLine("bot", '<img src="hello.png">'),
        PromptLine("visitor", " "),
        PromptLine("visitor", "Hello"),
    ]
    assert conversation("", lines, PLENTY) == (ChatMessage("user", "Hello"),)


def test_the_newest_whole_lines_are_kept() -> None:
    lines = [PromptLine("visitor" if number % 2 else "bot", f"{number}" * 40) for number in range(10)]
    kept = conversation("", lines, 3 * (10 + 4))
    assert [message.content[0] for message in kept] == ["7", "8", "9"]
    assert all(len(message.content) == 40 for message in kept)


def test_the_visitors_newest_line_and_the_instructions_are_there_beyond_any_budget() -> None:
    lines = [
        PromptLine("visitor", "old"),
        PromptLine("visitor", "x" * 1000),
        PromptLine("bot", "One moment."),
    ]
    assert conversation("Be brief.", lines, 1) == (
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "x" * 1000),
    )
    assert conversation("Greet the visitor.", [], 1) == (ChatMessage("system", "Greet the visitor."),)


WHO = st.sampled_from(Who.__args__)  # type: ignore[attr-defined]


@given(
    lines=st.lists(st.builds(PromptLine, WHO, st.text(max_size=60)), max_size=20),
    system=st.text(max_size=40),
    budget=st.integers(0, 200),
)
def test_a_budget_is_kept_and_more_of_it_never_keeps_less(
    lines: list[PromptLine], system: str, budget: int
) -> None:
    messages = conversation(system, lines, budget)
    least = conversation(system, lines, 0)
    taken = sum(estimate(message.content) for message in messages)
    assert taken <= budget or messages == least
    assert [m.role for m in messages if m.role == "system"] == ["system"] * bool(system)
    everything = "\n\n".join(message.content for message in conversation(system, lines, PLENTY))
    assert all(part in everything for message in messages for part in message.content.split("\n\n"))
    more = sum(len(message.content) for message in conversation(system, lines, budget + 20))
    assert more >= sum(len(message.content) for message in messages)


# --- tools --------------------------------------------------------------------------------------


def test_only_what_the_state_allows_is_offered() -> None:
    assert tools(handoff=False) == ()
    assert [tool.name for tool in tools(handoff=True)] == ["handoff"]
    (go_to,) = tools(handoff=False, states=("order", "returns"))
    assert go_to.schema["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "state": {
                "type": "string",
                "description": "The part of the dialogue to go to.",
                "enum": ["order", "returns"],
            }
        },
        "required": ["state"],
        "additionalProperties": False,
    }


def test_a_call_is_checked() -> None:
    handoff, go_to = tools(handoff=True, states=("order",))
    assert (
        handoff.call("")
        == handoff.call("{}")
        == handoff.call(' {"reason": null} ')
        == ToolCall("handoff", {})
    )
    assert handoff.call('{"reason": "angry", "mood": 3}') == ToolCall("handoff", {"reason": "angry"})
    assert len(handoff.call(json.dumps({"reason": "x" * 9999})).arguments["reason"]) == 500
    assert go_to.call('{"state": "order"}') == ToolCall("go_to", {"state": "order"})
    for bad in ('{"state": "elsewhere"}', "{}", "[]", "{", "null", '{"state": {}}'):
        with pytest.raises(BadCall, match="go_to"):
            go_to.call(bad)


# --- tokens and money ---------------------------------------------------------------------------


def test_tokens_are_estimated_by_bytes() -> None:
    assert [estimate(text) for text in ("", "a", "four", "fives", "漢字漢字", "\ud83d")] == [0, 1, 1, 2, 3, 1]


def test_what_the_provider_did_not_count_is_marked() -> None:
    prompt = Prompt((ChatMessage("system", "x" * 40), ChatMessage("user", "y" * 40)))
    assert estimated(prompt, "z" * 20) == Usage(tokens_in=28, tokens_out=5, estimated=True)
    offered = estimated(prompt._replace(tools=tools(handoff=True)), "").tokens_in
    assert offered > 28


def test_a_cost_is_in_millionths_of_the_prices_unit() -> None:
    assert cost(Usage(1_000_000, 1_000_000), Prices(0.4, 1.6)) == 2_000_000
    assert cost(Usage(1000, 100), Prices(0.15, 0.60)) == 210
    assert cost(Usage(1000, 100), UNKNOWN) == 0


# --- chunks -------------------------------------------------------------------------------------

KEYS = [
    *("choices", "delta", "content", "tool_calls", "function", "name", "arguments", "index", "id"),
    *("finish_reason", "usage", "prompt_tokens", "x_groq", "error", "code", "message"),
]
CHUNKS = st.one_of(
    st.text(max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=12,
    ).map(json.dumps),
    st.builds(
        lambda text, end: json.dumps(delta(end, content=text)), st.text(), st.sampled_from([None, "stop"])
    ),
    st.builds(
        lambda text, index: json.dumps(delta(tool_calls=[{"index": index, "function": {"arguments": text}}])),
        st.text(max_size=9),
        st.integers(-1, 1),
    ),
)


@given(st.lists(CHUNKS, max_size=8))
def test_whatever_comes_is_text_or_trouble_and_the_answer_is_its_pieces(events: list[str]) -> None:
    answer = Completion(tools(handoff=True), limit=30)
    pieces = []
    with contextlib.suppress(Trouble):
        for event in events:
            pieces.append(answer.take(event))
    with contextlib.suppress(Trouble):
        finished = answer.finished(Prompt(()), "test")
        assert finished.text == "".join(pieces)
        assert len(finished.text) <= 30


def test_words_after_the_end_and_other_choices_do_not_count() -> None:
    answer = Completion((), limit=100)
    other = {**CHUNK, "choices": [{"index": 1, "delta": {"content": "other"}}]}
    events = [other, delta(content="One"), delta("stop"), delta(content="late"), delta("length")]
    assert [answer.take(json.dumps(event)) for event in events] == ["", "One", "", "", ""]
    assert answer.finished(Prompt(()), "test").text == "One"


def test_a_tool_call_without_an_end_is_cut_and_makes_no_sense() -> None:
    answer = Completion(tools(handoff=True), limit=10)
    call = [{"index": 0, "id": "a", "function": {"name": "handoff", "arguments": '{"reason": "xxxxxxx'}}]
    assert answer.take(json.dumps(delta(tool_calls=call, content="too much"))) == ""
    assert answer.full
    with pytest.raises(Trouble, match="broken"):
        answer.finished(Prompt(()), "test")


def test_words_join_to_the_text_that_they_were() -> None:
    for text in ("", "one", " two  words ", "line\nline\n"):
        assert "".join(words(text)) == text


# --- when to come back --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("Thu, 99 Jan 1970 00:01:40 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: float | None) -> None:
    assert retry_after(value, now=60.0) == seconds


# --- settings -----------------------------------------------------------------------------------


def provider(**settings: str) -> Provider | None:
    long = {
        f"SWITCHBOARD_ASSISTANT_{name.upper()}": value for name, value in settings.items() if name.islower()
    }
    return load(
        WorkflowSettings, long | {name: value for name, value in settings.items() if name.isupper()}
    ).provider()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"model": "llama3.2"}, None),
        (
            {"GROQ_API_KEY": "g"},
            Provider("groq", "https://api.groq.com/openai/v1", "openai/gpt-oss-20b", "g", "GROQ_API_KEY"),
        ),
        (
            {"OPENAI_API_KEY": "o", "model": "large"},
            Provider("openai", "https://api.openai.com/v1", "large", "o", "OPENAI_API_KEY"),
        ),
        (
            {"OPENAI_API_KEY": "o", "GROQ_API_KEY": "g", "profile": "openai", "key": "ours"},
            Provider(
                "openai", "https://api.openai.com/v1", "gpt-4.1-mini", "ours", "SWITCHBOARD_ASSISTANT_KEY"
            ),
        ),
        ({"profile": "groq", "OPENAI_API_KEY": "o"}, None),
        ({"profile": "ollama"}, Provider("ollama", "http://127.0.0.1:11434/v1", "llama3.2")),
        ({"profile": "vllm", "model": "m"}, Provider("vllm", "http://127.0.0.1:8000/v1", "m")),
        ({"url": "http://gpu:11434/v1/"}, Provider("ollama", "http://gpu:11434/v1", "llama3.2")),
        (
            {"url": "https://api.groq.com/openai/v1", "GROQ_API_KEY": "g"},
            Provider("groq", "https://api.groq.com/openai/v1", "openai/gpt-oss-20b", "g", "GROQ_API_KEY"),
        ),
        (
            {"url": "http://127.0.0.1:8100/v1/chat/completions", "key": "k"},
            Provider("other", "http://127.0.0.1:8100/v1", "default", "k", "SWITCHBOARD_ASSISTANT_KEY"),
        ),
    ],
    ids=str,
)
def test_the_settings_say_who_speaks(settings: dict[str, str], expected: Provider | None) -> None:
    assert provider(**settings) == expected


@pytest.mark.parametrize(
    "url",
    ["http://api.openai.com/v1", "https://api.openai.com.evil.example/v1", "https://gateway.example/v1"],
)
@pytest.mark.parametrize("profile", ["auto", "openai"])
def test_a_key_for_one_house_is_not_sent_to_another(url: str, profile: str) -> None:
    chosen = provider(url=url, profile=profile, OPENAI_API_KEY="o")
    assert chosen is not None
    assert (chosen.url, chosen.key) == (url, "")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"key": "k"}, "SWITCHBOARD_ASSISTANT_PROFILE or SWITCHBOARD_ASSISTANT_URL"),
        ({"profile": "other"}, "SWITCHBOARD_ASSISTANT_URL is not set"),
        ({"profile": "claude"}, "one of auto, groq, openai, ollama, vllm, other"),
        ({"url": "api.openai.com"}, "SWITCHBOARD_ASSISTANT_URL may not be 'api.openai.com'"),
        ({"url": "https://me:secret@host/v1"}, "SWITCHBOARD_ASSISTANT_URL may not be"),
        ({"url": "http://host:99999/v1"}, "SWITCHBOARD_ASSISTANT_URL may not be"),
        ({"attempts": "0"}, "SWITCHBOARD_ASSISTANT_ATTEMPTS may not be '0': a whole number"),
        ({"token_seconds": "0"}, "SWITCHBOARD_ASSISTANT_TOKEN_SECONDS"),
    ],
)
def test_settings_that_mean_nothing_are_named(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        provider(**settings)


@pytest.mark.parametrize("name", ["GROQ_API_KEY", "OPENAI_API_KEY", "SWITCHBOARD_ASSISTANT_KEY"])
def test_a_key_that_was_copied_badly_is_named_and_not_shown(name: str) -> None:
    with pytest.raises(SettingError, match=name) as refused:
        load(WorkflowSettings, {name: "sk-secret and more"})
    assert "sk-secret" not in str(refused.value)


def test_the_start_says_whether_there_is_an_assistant() -> None:
    nobody = AssistantClient.of(load(WorkflowSettings, {}))
    assert nobody.describe().startswith("no assistant: set GROQ_API_KEY, OPENAI_API_KEY or")
    somebody = AssistantClient.of(load(WorkflowSettings, {"GROQ_API_KEY": "gsk-secret"}))
    assert somebody.describe() == (
        "assistant openai/gpt-oss-20b at https://api.groq.com/openai/v1 (groq), with the key of GROQ_API_KEY"
    )


def test_the_settings_reach_the_client() -> None:
    names = ("first_token_seconds", "token_seconds", "answer_seconds", "answer_characters", "attempts")
    env = {f"SWITCHBOARD_ASSISTANT_{name.upper()}": str(number) for number, name in enumerate(names, 1)}
    env |= {"SWITCHBOARD_ASSISTANT_PRICE_IN": "0.4", "SWITCHBOARD_ASSISTANT_PRICE_OUT": "1.6"}
    client = AssistantClient.of(load(WorkflowSettings, env))
    assert client.limits == AssistantLimits(1.0, 2.0, 3.0, 4, 5)
    assert client.prices == Prices(0.4, 1.6)


def test_a_client_without_settings_has_the_settings_defaults() -> None:
    assert AssistantClient.of(load(WorkflowSettings, {})).limits == AssistantLimits()


def test_every_profile_can_be_chosen() -> None:
    for name, profile in PROFILES.items():
        chosen = provider(profile=name, key="k", **({} if profile.url else {"url": "http://127.0.0.1:1/v1"}))
        assert chosen is not None
        assert chosen.profile == name
        assert chosen.endpoint.endswith("/chat/completions")
