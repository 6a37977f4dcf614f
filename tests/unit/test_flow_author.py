"""What an author of flows is given: dialogues, a conversation in the terminal, pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from deploy.cli.flow_try import TryStage
from deploy.cli.main import main
from services.workflow.domain.authoring.dialogue_runner import perform
from services.workflow.domain.authoring.dialogues import read_dialogues
from services.workflow.domain.authoring.json_positions import parse as parse_lines
from services.workflow.domain.authoring.svg import svg
from shared.flow.drawing import drawing, mermaid
from shared.flow.language.flow import Flow, FlowError, parse
from shared.flow.layout import LayoutEdge, Size, layout
from tests import examples
from tests.processes import ROOT

FLOWS = ROOT / "services/workflow/flows"
SHIPPED = sorted(file for file in FLOWS.glob("*.json") if file.name.count(".") == 1)
SCHEMA = json.loads((FLOWS / "dialogues.schema.json").read_text(encoding="utf-8"))

ORDER: dict[str, Any] = {
    "hello": {"sendRequest": {"kind": "BotText", "content": "Hi <b>there</b>!"}, "next": "ask"},
    "ask": {
        "sendRequest": {
            "kind": "ChoiceRequest",
            "groupId": "what",
            "question": "What?",
            "choices": [{"itemId": "a", "content": "An <i>order</i>"}, {"itemId": "b", "content": "Nothing"}],
        },
        "after": {"delay": "5m", "say": "Still there?"},
    },
    "isA": {"matchResponse": {"kind": "ChoiceResponse", "groupId": "what", "itemId": "a"}, "next": "number"},
    "isB": {"matchResponse": {"kind": "ChoiceResponse", "groupId": "what", "itemId": "b"}, "next": "bye"},
    "number": {"sendRequest": {"kind": "StartChatSession", "sessionId": "n", "chatText": "Which number?"}},
    "got": {"matchResponse": {"kind": "UserText", "sessionId": "n", "save": "number"}, "next": "look"},
    "look": {
        "service": {
            "url": "https://backend.example/{{ number }}",
            "save": "order",
            "onError": "desk",
        },
        "next": [{"when": "order.late", "next": "desk"}, {"next": "fine"}],
    },
    "fine": {"sendRequest": {"kind": "BotText", "content": "{{ number }} arrives soon."}, "next": "bye"},
    "desk": {"handoff": {"queue": "orders", "back": "Here I am again."}, "next": "bye"},
    "bye": {"sendRequest": {"kind": "BotText", "content": "Bye!"}},
}


def flow(states: dict[str, Any] = ORDER) -> Flow:
    return parse(json.dumps(states).encode(), "order")


def outcome(*steps: dict[str, Any], **more: Any) -> str:
    """ "" where the flow does what the steps say; else the line, what was expected, and what came."""
    content = json.dumps([{"name": "test", "dialogue": list(steps), **more}], indent=1).encode()
    (dialogue,) = read_dialogues(content)
    mismatch = perform(dialogue, flow(), examples.FIRST_TIME)
    if mismatch is None:
        return ""
    line = content.decode().splitlines()[mismatch.line - 1].strip()
    return f"{line} {mismatch.expected} | {mismatch.instead}"


GREETED = ({"bot": "Hi there!"}, {"bot": "What?", "choices": ["An order", "b"]})


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_each_flow_that_is_shipped_does_what_its_dialogues_say(file: Path) -> None:
    content = file.with_name(f"{file.stem}.test.json").read_bytes()
    jsonschema.validate(json.loads(content), SCHEMA)
    parsed = parse(file.read_bytes(), file.stem)
    for dialogue in read_dialogues(content):
        assert perform(dialogue, parsed, examples.FIRST_TIME) is None, dialogue.name


def test_the_dialogues_of_the_page_are_what_its_flow_does() -> None:
    page = (ROOT / "docs/flow-tools.md").read_text(encoding="utf-8")
    written, dialogues = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    parsed = parse(written.encode(), "order")
    jsonschema.validate(json.loads(dialogues), SCHEMA)
    read = read_dialogues(dialogues.encode())
    assert parsed.warnings == ()
    assert [perform(dialogue, parsed, examples.FIRST_TIME) for dialogue in read] == [None, None]


def test_a_dialogue_goes_all_the_way() -> None:
    assert (
        outcome(
            *GREETED,
            {"wait": "5m"},
            {"bot": "Still there?"},
            {"visitor": "1"},
            {"bot": "Which number?"},
            {"visitor": "47 11"},
            {
                "service": "look",
                "asked": {"url": "https://backend.example/47%2011"},
                "answer": {"late": False},
            },
            {"bot": {"matches": "^47 11 arrives"}},
            {"saved": {"number": "47 11", "order": {"late": False}}},
            {"bot": "Bye!"},
            {"at": None},
        )
        == ""
    )


def test_an_operator_takes_over_and_hands_back() -> None:
    assert (
        outcome(
            {"bot": "..."},
            {"visitor": "an order"},
            {"bot": "..."},
            {"visitor": "1"},
            {"service": {"state": "look", "fails": "timeout"}},
            {"handoff": "orders"},
            {"operator": "I look."},
            {"visitor": "Thanks"},
            {"operator": {"handsBack": True}},
            {"bot": "Here I am again."},
            {"bot": "Bye!"},
        )
        == ""
    )


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (({"bot": "Hello!"},), 'bot       "Hello!" | bot       "Hi there!"'),
        ((*GREETED, {"bot": "More?"}), 'bot       "More?" | (nothing is said)'),
        ((GREETED[0],), 'the dialogue ends | bot       "What?"  ["An order", "Nothing"]'),
        ((GREETED[0], {"bot": "What?", "choices": ["a"]}), 'bot       "What?"  ["a"] | bot       "What?"'),
        ((*GREETED, {"visitor": "Nobody"}), 'no such choice is offered; there are "An order", "Nothing"'),
        ((*GREETED, {"at": "bye"}), 'at        "bye" | at        "ask"'),
        ((*GREETED, {"saved": {"n": 1}}), 'saved     {"n": 1} | saved     {"n": null}'),
        ((*GREETED, {"wait": "6m"}, {"visitor": "b"}), 'visitor   "b" | bot       "Still there?"'),
        ((*GREETED, {"service": "look", "answer": 1}), 'no backend is asked by "look" now.'),
        ((*GREETED, {"assistant": "Hi"}), "the assistant is not asked now."),
        ((*GREETED, {"operator": {"handsBack": True}}), "no operator has the conversation."),
        (
            (*GREETED, {"visitor": "a"}, {"bot": "..."}, {"visitor": "7"}, {"bot": "fine"}),
            'the backend that "look" asks has to answer first',
        ),
        (
            (*GREETED, {"visitor": "a"}, {"bot": "..."}, {"visitor": "7"}, {"visitor": "8"}),
            'the backend that "look" asks has not answered yet.',
        ),
        (
            (
                *GREETED,
                {"visitor": "a"},
                {"bot": "..."},
                {"visitor": "7"},
                {"service": "look", "asked": {"url": "https://elsewhere.example/"}},
            ),
            'asked     {"url": "https://backend.example/7"}',
        ),
    ],
)
def test_the_first_step_that_comes_otherwise_is_told(steps: tuple[dict[str, Any], ...], told: str) -> None:
    assert told in outcome(*steps)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[", "line 1: the file is not JSON"),
        ("[]", "line 1: the file holds no dialogue."),
        ('[{"dialogue": [{"bot": "x"}]}]', "the dialogue has no name."),
        ('[{"name": "x"}]', "the dialogue has no steps."),
        ('[{"name": "x", "dialogues": []}]', 'the unknown key "dialogues". Did you mean "dialogue"?'),
        ('[{"name": "x", "dialogue": [\n{"bott": "x"}]}]', 'line 2: "bott" is no step'),
        ('[{"name": "x", "dialogue": [{"bot": "x", "visitor": "y"}]}]', "a step says one thing"),
        ('[{"name": "x", "dialogue": [{"bot": {"matches": "("}}]}]', "the pattern cannot be read"),
        ('[{"name": "x", "dialogue": [{"wait": "soon"}]}]', '"wait" must be a time: "30s"'),
        ('[{"name": "x", "dialogue": [{"operator": {"sings": 1}}]}]', '"operator" must be a text, or'),
        (
            '[{"name": "x", "operators": -1, "dialogue": [{"bot": "x"}]}]',
            '"operators" must be a whole number',
        ),
        ('[{"name": "x", "dialogue": ["x"]}]', "a step must be an object."),
    ],
)
def test_what_is_no_dialogue_is_refused_with_its_line(content: str, told: str) -> None:
    with pytest.raises(FlowError) as caught:
        read_dialogues(content.encode())
    assert told in str(caught.value)
    if content != "[" and "matches" not in content:  # editors that know the schema tell it, too
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(content), SCHEMA)


def test_values_have_the_lines_that_they_begin_in() -> None:
    node = parse_lines('{"a": [1,\n {"b": "[,]"}],\n\n"c": {}}')
    assert node.value == {"a": [1, {"b": "[,]"}], "c": {}}
    assert [item.line for item in node.members["a"].items] == [1, 2]
    assert node.members["c"].line == 4


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def order(tmp_path: Path) -> Path:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(ORDER, indent=1))
    return file


def test_flow_test_finds_a_planted_mismatch_with_its_line(
    order: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dialogues = order.with_name("order.test.json")
    good = {"name": "good", "dialogue": [*GREETED]}
    dialogues.write_text(json.dumps([good], indent=1))
    assert main(["flow", "test", str(order)]) == 0
    assert "1 dialogue, all as written." in capsys.readouterr().out

    planted = {"name": "planted", "dialogue": [GREETED[0], {"bot": "Why?"}]}
    dialogues.write_text(json.dumps([good, planted], indent=1))
    assert main(["flow", "test", str(order)]) == 1
    out = capsys.readouterr().out
    found = re.search(rf"{re.escape(str(dialogues))}:(\d+)\n", out)
    assert found is not None
    assert "{" in dialogues.read_text().splitlines()[int(found[1]) - 1]
    assert '        - bot       "Why?"\n        + bot       "What?"' in out
    assert "2 dialogues, 1 failed." in out


def test_flow_check_tells_file_line_state_and_remedy(order: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = order.with_name("broken.json")
    broken.write_text('{"a": {"next": "b"},\n "bb": {"nxt": "a"}}')
    assert main(["flow", "check", str(order), str(broken)]) == 1
    out = capsys.readouterr().out
    assert f"{order}: a valid flow of 10 states." in out
    assert f'{broken}:1: a: "next" names "b", which is no state. Did you mean "bb"?' in out
    assert f'{broken}:2: bb: the state has the unknown key "nxt". Did you mean "next"?' in out

    assert main(["flow", "check", "--json", str(broken)]) == 1
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["line"], first["state"], first["kind"]) == (1, "a", "error")


@pytest.mark.parametrize("verb", ["check", "draw", "test", "try"])
def test_a_file_that_is_not_there_is_named(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flow", verb, str(tmp_path / "none.json")]) == 1
    said = capsys.readouterr()
    assert "none.json" in said.out + said.err
    assert "No such file" in said.out + said.err


# --- try ------------------------------------------------------------------------------------------


def tried(*lines: str, states: dict[str, Any] = ORDER) -> str:
    """What the terminal shows for these lines."""
    shown: list[str] = []
    typed = iter(lines)

    def ask(prompt: str) -> str:
        try:
            line = next(typed)
        except StopIteration:
            raise EOFError from None
        shown.append(f"{prompt}{line}")
        return line

    TryStage(flow(states), ask, shown.append).run()
    return "\n".join(shown)


def test_a_flow_is_tried_with_its_choices_texts_and_backends() -> None:
    text = tried("1", "4711", '{"late": false}', "/vars")
    assert "           1  An order\n           2  Nothing" in text
    assert '("look" asks GET https://backend.example/4711)' in text
    assert "bot        4711 arrives soon.\nbot        Bye!" in text
    assert '  number = "4711"\n  order = {"late": false}' in text
    assert "(the flow is over; /reset begins anew)" in text


def test_time_passes_and_what_was_done_is_undone() -> None:
    text = tried("/wait", "2", "/back", "/where", "1")
    assert "(a timer fires in 5m; /wait skips to it)" in text
    assert "(5m later)\nbot        Still there?" in text
    assert "> /where\n  at ask; bot has the conversation" in text
    assert text.endswith("bot        Which number?")


def test_an_operator_is_played() -> None:
    text = tried("/handback", "1", "7", "!timeout", "anyone?", "/operator Yes, me", "/handback")
    assert "(no operator has the conversation; /operator takes it over)" in text
    assert '(the visitor waits in the queue "orders"; /operator takes over)' in text
    assert "operator   Yes, me" in text
    assert "bot        Here I am again.\nbot        Bye!" in text


def test_an_assistant_is_played() -> None:
    states = {
        "talk": {
            "assistant": {"system": "Help.", "onError": "sorry", "goTo": ["bye"], "greeting": "Ask me!"}
        },
        "sorry": {"sendRequest": {"kind": "BotText", "content": "Sorry."}},
        "bye": ORDER["bye"],
    }
    text = tried("Where?", "Here.", "Thanks", "/goto bye", states=states)
    assert "assistant  Here." in text
    assert text.count("assistant says (or ! and a failure, /goto bye)> ") == 2
    assert "bot        Bye!" in text
    assert "bot        Sorry." in tried("Where?", "!rate_limited", states=states)


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_picture_shows_each_state_or_writes_it_on_an_arrow(file: Path) -> None:
    parsed = parse(file.read_bytes(), file.stem)
    picture = drawing(parsed)
    names = {box.name for box in picture.boxes}
    assert all(name in names or state.answer for name, state in parsed.states.items())
    assert {arrow.source for arrow in picture.arrows} | {arrow.target for arrow in picture.arrows} <= names
    root = ElementTree.fromstring(svg(picture))
    shown = "".join(root.itertext())
    assert all(name.rpartition("/")[2] in shown for name in names)


def test_answers_times_and_conditions_are_on_the_arrows() -> None:
    labels = {(arrow.source, arrow.target): arrow.label for arrow in drawing(flow()).arrows}
    assert labels["ask", "number"] == "An order"
    assert labels["number", "look"] == "saves number"
    assert labels["look", "desk"] in ("order.late", "on error")
    assert labels["look", "fine"] == "else"
    assert labels["desk", "bye"] == "handed back"


def test_mermaid_gets_no_text_that_would_end_its_own() -> None:
    states = {'a"]': {"sendRequest": {"kind": "BotText", "content": 'x"] --> y; <b>'}, "next": "b"}, "b": {}}
    text = mermaid(drawing(flow(states)))
    for line in text.splitlines()[1:3]:
        assert re.fullmatch(
            r'  s\d[(\[]+"[^"\]\[<>;]*(#\d+;[^"\]\[<>;]*|<br/>[^"\]\[<>;]*)*"[)\]]+:::\w+', line
        ), line


def test_boxes_do_not_overlap_and_lines_begin_and_end_at_them() -> None:
    names = [f"b{n}" for n in range(30)]
    boxes = {name: Size(60 + 7 * (n % 5), 30 + 5 * (n % 3)) for n, name in enumerate(names)}
    edges = [LayoutEdge(names[n], names[(n * 7 + k) % 30], Size(20, 12)) for n in range(30) for k in (1, 4)]
    edges = [edge for edge in edges if edge.source != edge.target]
    placed = layout(boxes, edges)
    spots = [(placed.boxes[name], boxes[name]) for name in names]
    for index, (one, size) in enumerate(spots):
        for other, more in spots[index + 1 :]:
            apart = abs(one.x - other.x) >= (size.width + more.width) / 2
            assert apart or abs(one.y - other.y) >= (size.height + more.height) / 2
    for edge, line in zip(edges, placed.lines, strict=True):
        for end, name in ((line[0], edge.source), (line[-1], edge.target)):
            at, size = placed.boxes[name], boxes[name]
            assert abs(end.x - at.x) <= size.width / 2
            assert abs(abs(end.y - at.y) - size.height / 2) < 0.01
