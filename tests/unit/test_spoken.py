"""Of a model's text the visitor gets what is for the visitor, however the text is cut into chunks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.workflow.domain.spoken import Spoken
from services.workflow.domain.textual_calls import Called
from tests.growth import growth

TOOLS = ("handoff", "go_to")


def heard(chunks: Iterable[str], tools: tuple[str, ...] = TOOLS, bare: bool = False) -> tuple[str, Spoken]:
    """The text that counts in the end: what was given away before `anew` is void."""
    spoken = Spoken(tools, bare)
    text = ""
    for chunk in chunks:
        given = spoken.take(chunk)
        text, spoken.anew = ("" if spoken.anew else text) + given, False
    given = spoken.end()
    return ("" if spoken.anew else text) + given, spoken


REASONING = [
    ("<think>Hm, so.</think>It arrives.", "It arrives."),
    ("<think>\nHm.\n</think>\n\nIt arrives.", "It arrives."),
    ("<THINK>Hm.</Think>It arrives.", "It arrives."),
    ('< think type="long" >Hm < 3.</ think >It arrives.', "It arrives."),
    ("<think></think>\n\nIt arrives.", "It arrives."),
    ("<think/>It arrives.", "It arrives."),
    ("<thinking>Hm.</thinking>It arrives.", "It arrives."),
    ("<thinking>Hm.</think>It arrives.", "It arrives."),
    ("<thought>Hm.</thought>It arrives.", "It arrives."),
    ("<reasoning>Hm.</reasoning>It arrives.", "It arrives."),
    ("<thinking>a<reflection>b</reflection>c</thinking>It arrives.", "It arrives."),
    ("<seed:think>Hm.</seed:think>It arrives.", "It arrives."),
    ("<scratchpad>Hm.</scratchpad><answer>It arrives.</answer>", "It arrives."),
    ("[THINK]Hm.[/THINK]It arrives.", "It arrives."),
    ("\u25c1think\u25b7Hm.\u25c1/think\u25b7It arrives.", "It arrives."),
    ("<|begin_of_thought|>Hm.<|end_of_thought|><|begin_of_solution|>Yes.<|end_of_solution|>", "Yes."),
    ("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|>", "Yes."),
    ("<|inner_prefix|>Hm.<|inner_suffix|>Yes.", "Yes."),
    ("<|channel>thought\nHm.<channel|>Yes.", "Yes."),
    (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        "Yes.",
    ),
    (
        "<|channel|>analysis<|message|>Hm.<|start|>assistant<|channel|>commentary<|message|>So.<|end|>"
        "<|start|>assistant<|channel|>final <|constrain|>text<|message|>Yes.",
        "Yes.",
    ),
    ("Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.", "Yes."),
    ("analysisThe user wants it.assistantfinalYes.", "Yes."),
    ("Here is my thought process: Hm. Here is my response: Yes.", "Yes."),
    ("First. <think>Hm.</think>Second.", "First. Second."),
    ("analysiswe need the date.assistantfinalYes.", "Yes."),
    ("Thought: I know it.\nFinal Answer: Yes.", "Yes."),
    ("<think>One <think>two</think> three</think>Yes.", "Yes."),
    ("<think>I may write <think> here</think>Yes.", "Yes."),
    ("```thinking\nHm.\n```\n\nYes.", "Yes."),
    ('<details type="reasoning" done="true">\n<summary>Thought for 3 s</summary>Hm.</details>\nYes.', "Yes."),
    ("<thought_process>Hm.</thought_process>Yes.", "Yes."),
    ("<|im_start|>assistant\n<think>Hm.</think>Yes.", "Yes."),
    ("<|start_header_id|>assistant<|end_header_id|>\n\nYes.<|eot_id|>", "Yes."),
    # what the model imagines others to say
    ("Yes.<|im_end|>\n<|im_start|>user\nThanks!<|im_end|>", "Yes."),
    ("Yes.<end_of_turn>\n<start_of_turn>user\nThanks!", "Yes."),
    ("Yes.[|endofturn|]\n[|user|]Thanks!", "Yes."),
    ("Yes.<SPECIAL_12>", "Yes."),
    # without a beginning
    ("Let me ```py\nx\n``` ok</think>Yes.", "Yes."),
    ("So the user asks for it.\n</think>\n\nIt arrives.", "It arrives."),
    ("Hm.[/THINK]It arrives.", "It arrives."),
    ("Hm.\u25c1/think\u25b7It arrives.", "It arrives."),
    ("One<think>two</think>three</think>It arrives.", "It arrives."),
    ("```\ncode\n</think>It arrives.", "It arrives."),
    # without an end
    ("<think>It goes on and on", ""),
    ("<|channel|>analysis<|message|>It goes on", ""),
    ("It arrives.<think>Or not", "It arrives."),
    ("[THINK]It goes on", ""),
    ("Hm.</think>", ""),
    # cut in a marker
    ("It arrives.<thin", "It arrives."),
    ("It arrives.<|im_e", "It arrives."),
    # control tokens
    ("It arrives.<|im_end|>", "It arrives."),
    ("It arrives.<|eot_id|>", "It arrives."),
    ("It arrives.</s>", "It arrives."),
    ("<\uff5cbegin\u2581of\u2581sentence\uff5c>It arrives.", "It arrives."),
]
CALLS = [
    '{"name": "go_to", "arguments": {"state": "order"}}',
    '{"name": "go_to", "parameters": {"state": "order"}}',
    '{"function": "go_to", "arguments": {"state": "order"}}',
    '{"tool": "go_to", "args": {"state": "order"}}',
    '{"action": "go_to", "action_input": {"state": "order"}}',
    '{"name": "go_to", "arguments": "{\\"state\\": \\"order\\"}"}',
    '{"type": "function", "function": {"name": "go_to", "arguments": {"state": "order"}}}',
    '{"tool_calls": [{"id": "1", "function": {"name": "go_to", "arguments": "{\\"state\\": \\"order\\"}"}}]}',
    '{"go_to": {"state": "order"}}',
    '{"name": "go_to", "state": "order"}',
    '[{"name": "go_to", "arguments": {"state": "order"}}]',
    '{\n  "name": "functions.go_to",\n  "arguments": {"state": "order"}\n}',
    '```json\n{"name": "go_to", "arguments": {"state": "order"}}\n```',
    '```\n{"name": "go_to", "arguments": {"state": "order"}}\n```',
    '```tool_call\n{"name": "go_to", "arguments": {"state": "order"}}\n```',
    '<tool_call>{"name": "go_to", "arguments": {"state": "order"}}</tool_call>',
    '<tool_call>\n{"name": "go_to", "arguments": {"state": "order"}}',
    '```xml\n<tool_call>{"name": "go_to", "arguments": {"state": "order"}}</tool_call>\n```',
    '<function_call>{"name": "go_to", "arguments": {"state": "order"}}</function_call>',
    "<tool_call>\n<function=go_to>\n<parameter=state>\norder\n</parameter>\n</function>\n</tool_call>",
    "<tool_call>go_to\n<arg_key>state</arg_key>\n<arg_value>order</arg_value>\n</tool_call>",
    '<function=go_to>{"state": "order"}</function>',
    '<invoke name="go_to"><parameter name="state">order</parameter></invoke>',
    '<minimax:tool_call><invoke name="go_to"><parameter name="state">order</parameter></invoke>'
    "</minimax:tool_call>",
    '[TOOL_CALLS][{"name": "go_to", "arguments": {"state": "order"}}]',
    '[TOOL_CALLS]go_to[ARGS]{"state": "order"}',
    '[TOOL_CALLS]go_to{"state": "order"}</s>',
    '<|python_tag|>{"name": "go_to", "parameters": {"state": "order"}}<|eom_id|>',
    '<|python_tag|>go_to(state="order")',
    '[go_to(state="order")]',
    "go_to(state='order')",
    '<|tool_call|>[{"name": "go_to", "arguments": {"state": "order"}}]',
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.go_to:0<|tool_call_argument_begin|>"
    '{"state": "order"}<|tool_call_end|><|tool_calls_section_end|>',
    "<\uff5ctool\u2581calls\u2581begin\uff5c><\uff5ctool\u2581call\u2581begin\uff5c>function<\uff5ctool\u2581sep"
    '\uff5c>go_to\n```json\n{"state": "order"}\n```<\uff5ctool\u2581call\u2581end\uff5c>',
    '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "go_to", "parameters": {"state": "order"}}]'
    "<|END_ACTION|>",
    '<|channel|>commentary to=functions.go_to <|constrain|>json<|message|>{"state": "order"}<|call|>',
    '<|start|>assistant to=functions.go_to<|channel|>commentary json<|message|>{"state": "order"}',
    'Action: go_to\nAction Input: {"state": "order"}',
    "<go_to><state>order</state></go_to>",
    '<go_to state="order"/>',
    '```python\ngo_to(state="order")\n```',
    "```\nprint(default_api.go_to(state='order'))\n```",
    '<\uff5cDSML\uff5cfunction_calls><\uff5cDSML\uff5cinvoke name="go_to"><\uff5cDSML\uff5cparameter '
    'name="state" string="true">order</\uff5cDSML\uff5cparameter></\uff5cDSML\uff5cinvoke>'
    "</\uff5cDSML\uff5cfunction_calls>",
]
TEXTS = [
    "",
    " ",
    "a < b, c > d, i <3 you, <b>bold</b>, x<y",
    "Write `<think>` to begin and `</think>` to end, or `[THINK]`.",
    "```html\n<think>Hm.</think>\n<|im_end|>\n```\nSo.",
    "~~~\n<think>Hm.</think>\n~~~",
    '{"order": 7, "items": [{"name": "x"}]}',
    '{"name": "Sam", "age": 3}',
    '```json\n{"name": "Sam", "type": "dog"}\n```\nSo.',
    "[a link](https://example.com), [x], {placeholder}, {{, [[, [THINK](https://example.com)",
    "analysis of it, response in a day: <s>old</s>",
    "handoff is a word, go_to too",
    '{"name"',
    "A thinking <thinker> and a <tool>.",
    "<details><summary>More</summary>Yes.</details> <spec> <special> [| a |] [|x|]",
    "```python\nprint(1)\n```\nWrite `<go_to>` and `<|im_end|>`.",
    "\u25c1 \u25b7 <| |> | <",
    "`code` ``more`` ``` three",
    "  indented\n\n\t- list\n",
]


@pytest.mark.parametrize(("text", "visible"), REASONING, ids=[text[:40] for text, _ in REASONING])
def test_reasoning_is_not_for_the_visitor(text: str, visible: str) -> None:
    assert heard([text])[0] == visible
    assert heard(text)[0] == visible
    assert heard(text, bare=True)[0] == visible


@pytest.mark.parametrize("text", CALLS)
@pytest.mark.parametrize("before", ["", "One moment.\n"])
def test_a_call_that_is_written_out_is_a_call(text: str, before: str) -> None:
    for chunks in ([before + text], before + text):
        visible, spoken = heard(chunks)
        assert visible.strip() == before.strip()
        assert spoken.call is not None, spoken.refused
        assert (spoken.call.name, json.loads(spoken.call.arguments)) == ("go_to", {"state": "order"})


@pytest.mark.parametrize("text", TEXTS)
def test_all_else_is_for_the_visitor_to_the_letter(text: str) -> None:
    visible, spoken = heard([text])
    assert visible == text
    assert (spoken.call, spoken.refused, spoken.anew) == (None, "", False)
    assert heard(text)[0] == text
    assert heard(text, bare=True)[0] == text


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "shut_down", "arguments": {}}',
        '<tool_call>{"name": "shut_down", "arguments": {}}</tool_call>',
        "[TOOL_CALLS]shut_down{}",
        "<tool_call>?</tool_call>",
        '{"name": "go_to", "arguments": {"state": "or',
        '{"name": "go_to", "arguments": {\'state\'}}',
        '<|channel|>commentary to=browser.search<|message|>{"query": "x"}<|call|>',
    ],
)
def test_a_call_of_nothing_that_was_offered_is_never_shown(text: str) -> None:
    for chunks in ([text], text):
        visible, spoken = heard(chunks)
        assert (visible, spoken.call) == ("", None)
        assert spoken.refused


def test_where_no_tool_is_offered_a_call_is_no_answer_either() -> None:
    visible, spoken = heard(['<tool_call>{"name": "go_to"}</tool_call>'], tools=())
    assert (visible, spoken.call) == ("", None)
    assert heard(["go_to(x) handoff"], tools=())[0] == "go_to(x) handoff"


def test_what_a_model_imagines_after_a_call_is_not_said() -> None:
    call = '{"name": "handoff", "arguments": {}}'
    visible, spoken = heard([f"Wait. {call}\nTool: done.\nYou talk to Ann now."])
    assert (visible, spoken.call) == ("Wait. ", Called("handoff", "{}"))


def test_words_are_given_away_as_soon_as_they_are_certain() -> None:
    spoken = Spoken(TOOLS)
    assert [spoken.take(text) for text in ("One", " two <", "b> th", "ree [", "x]")] == [
        *("One", " two ", "<b> th", "ree ", "[x]"),
    ]


def test_words_that_were_given_away_and_were_reasoning_are_void() -> None:
    spoken = Spoken()
    assert spoken.take("I should say ") == "I should say "
    assert (spoken.take("yes.</th"), spoken.anew) == ("yes.", False)
    assert (spoken.take("ink>\n\nYes."), spoken.anew, spoken.unopened) == ("Yes.", True, True)


def test_of_a_model_that_is_known_to_leave_out_the_beginning_nothing_is_given_away_too_soon() -> None:
    spoken = Spoken(bare=True)
    assert [spoken.take(text) for text in ("Hm. ", "So.", "</think>", "Yes", ".")] == ["", "", "", "Yes", "."]
    assert not spoken.anew
    spoken = Spoken(bare=True)
    assert (spoken.take("It did not think."), spoken.end()) == ("", "It did not think.")


def test_reasoning_within_reasoning_is_never_given_away() -> None:
    spoken = Spoken()
    parts = ("<think>One <think>two</think>", " three", "</think>", "Yes", ".")
    assert [spoken.take(text) for text in parts] == ["", "", "", "Yes", "."]
    assert not spoken.anew


def test_a_model_that_marks_its_reasoning_after_all_is_given_away_from_its_end_on() -> None:
    spoken = Spoken(bare=True)
    assert [spoken.take(text) for text in ("<think>Hm.", "</think>", "Yes", ".")] == ["", "", "Yes", "."]


def test_what_waits_for_an_end_that_had_no_room_is_not_said() -> None:
    spoken = Spoken(bare=True)
    spoken.take("It goes on and on")
    assert spoken.end(broken_off=True) == ""


FORMS = [text for text, _ in REASONING] + CALLS + TEXTS
PARTS = st.one_of(
    st.sampled_from(FORMS),
    st.text(alphabet="<>[]{}|/`~\n \"':think(),\u25c1\u25b7abc", max_size=12),
    st.sampled_from(["<think>", "</think>", "```", "`", '{"name": "', "<|channel|>", "[/THINK]", "x", "\n"]),
)


@given(st.lists(PARTS, max_size=5).map("".join), st.data(), st.booleans())
def test_however_a_text_is_cut_the_same_is_visible(text: str, data: st.DataObject, bare: bool) -> None:
    whole, one = heard([text], bare=bare)
    ends = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    chunks = [text[begin:end] for begin, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    for cut in (chunks, text):
        visible, other = heard(cut, bare=bare)
        assert (visible, other.call, other.refused) == (whole, one.call, one.refused)


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "[",
        "{",
        "<think>",
        "</think>",
        "<|",
        '{"name":',
        '{"name":{"a":',
        "```\n",
        "[{",
        "<think ",
        "`",
        "go_to",
        "\n",
        "<tool_call",
        "\u25c1",
        "<|channel|>",
        '{"name": "x"}',
        "<s",
        "</",
    ],
)
def test_the_time_grows_with_the_text_and_not_with_its_square(unit: str) -> None:
    def work(length: int, step: int) -> None:
        text = (unit * (length // len(unit) + 1))[:length]
        heard(text[at : at + step] for at in range(0, length, step))

    for step in (3, 100_000):
        assert growth(partial(work, step=step)) < 10
