"""The pages: what they say is what the code says."""

from __future__ import annotations

import ast
import base64
import re
import time
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import msgspec
import pytest
from msgspec.structs import fields

from deploy.cli.run import SETTINGS
from deploy.cli.settings import PASSWORD_VARIABLES
from services.proxy.domain import close_codes, frames
from services.workflow.assistant.profiles import PROFILES
from services.workflow.domain.provider_errors import PASSING, Reason
from services.workflow.settings import WorkflowSettings
from shared.contract.entry import Entry
from shared.contract.facts import MAY_WRITE
from shared.contract.webhooks import WEBHOOK_EVENTS, make_secret, sign
from shared.flow.decide import Failure, Refusal
from shared.flow.language.flow import FlowError, parse
from shared.service.settings import load, variables
from tests.unit.test_widget import node

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "shared/eventlog/README.md"])
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [content for tag, content in FENCE.findall(text(name)) if tag == language]


def section(name: str, heading: str) -> str:
    """What stands below a heading, up to the next of its level or above."""
    marks = heading.split(" ")[0]
    _, _, after = text(name).partition(f"\n{heading}\n")
    assert after, f"{name} has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(marks)}}} ", after, flags=re.MULTILINE)[0]


def rows(part: str) -> list[list[str]]:
    """The cells of all tables of a text, without their heads."""
    lines = [line for line in part.splitlines() if line.startswith("|")]
    ruled = [number for number, line in enumerate(lines) if set(line) <= set("|- ")]
    dropped = {*ruled, *(number - 1 for number in ruled)}
    kept = [line for number, line in enumerate(lines) if number not in dropped]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in kept]


def anchors(page: Path) -> set[str]:
    """The names under which headings can be linked to, after GitHub's rule."""
    prose = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# --- examples ---------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", blocks("docs/flows.md", "json"), ids=lambda flow: flow.split('"')[1])
def test_flows_parse_without_a_warning(flow: str) -> None:
    assert parse(flow.encode(), "example").warnings == ()


def test_every_kind_of_state_has_an_example() -> None:
    examples = " ".join(blocks("docs/flows.md", "json"))
    schema = msgspec.json.decode((ROOT / "services/workflow/flows/flow.schema.json").read_bytes())
    kinds = {
        form["title"] for part in ("sendRequest", "matchResponse") for form in schema["$defs"][part]["oneOf"]
    }
    assert all(f'"kind": "{kind}"' in examples for kind in kinds)
    assert all(f'"{key}"' in examples for key in schema["$defs"]["state"]["properties"])


def test_the_checkers_messages_are_its_own() -> None:
    bad = """{
  "hello": {"sendRequest": {"kind": "BotText", "content": "Hi!"}, "next": "pik"},
  "pick":  {"sendRequest": {"kind": "ChoiceRequest", "groupId": "size", "question": "Which size?",
            "choices": [{"itemId": "s", "content": "Small"}]}, "nxt": "bye"}
}"""
    with pytest.raises(FlowError) as refused:
        parse(bad.encode(), "bad")
    assert str(refused.value) in text("docs/flows.md")


def test_the_entry_shown_is_one() -> None:
    (shown,) = blocks("docs/log.md", "json")
    entry = msgspec.json.decode(shown, type=Entry)
    assert entry.cause is not None
    assert entry.facts


@pytest.mark.parametrize("name", NAMES)
def test_python_is_python(name: str) -> None:
    for program in blocks(name, "python"):
        ast.parse(program)


# --- tables -----------------------------------------------------------------------------------


def test_the_closings_are_those_of_the_code() -> None:
    table = [tuple(row[:3]) for row in rows(section("docs/protocol.md", "## Closings"))]
    assert table == sorted((str(each.code), each.reason, each.reconnect) for each in close_codes.ALL)


def test_the_assistants_providers_and_failures_are_those_of_the_code() -> None:
    providers = [
        tuple(cell.strip("`") for cell in row)
        for row in rows(section("docs/assistant.md", "## Choosing a provider"))
    ]
    assert providers == [(name, known.url, known.model, known.key) for name, known in PROFILES.items()]
    failures = rows(section("docs/assistant.md", "## When there is no answer"))
    assert [row[0].strip("`") for row in failures] == list(get_args(Reason))
    assert {row[0].strip("`") for row in failures if row[2] == "yes"} == PASSING
    limits = {row[1].strip("`"): row[2] for row in rows(section("docs/assistant.md", "## Limits"))}
    defaults = load(WorkflowSettings, {})
    for name, shown in limits.items():
        default = getattr(defaults, name.removeprefix("SWITCHBOARD_").lower())
        assert shown.removesuffix(" s") == f"{default:g}"


def test_the_facts_are_those_of_the_code() -> None:
    written = {
        row[0].strip("`"): (row[1], set(re.findall(r"`(\w+\??)`", row[2])))
        for row in rows(section("ARCHITECTURE.md", "### Facts"))
    }
    assert written == {
        fact.__name__: (author, {field.name + "?" * (not field.required) for field in fields(fact)})
        for author, facts in MAY_WRITE.items()
        for fact in facts
    }


def test_every_frame_is_on_the_page() -> None:
    page = text("docs/protocol.md")
    kinds = {
        kind.__struct_config__.tag
        for kind in vars(frames).values()
        if isinstance(kind, type) and issubclass(kind, frames.Frame) and not kind.__name__.startswith("_")
    } - {"Frame"}
    assert {kind for kind in kinds if f"`{kind}" not in page} == set()


def test_every_reason_is_explained() -> None:
    explained = section("docs/flows.md", "## What the visitor may answer")
    assert all(f"`{reason}`" in explained for reason in (*get_args(Refusal), *get_args(Failure)))
    assert all(f"`{reason}`" in text("docs/protocol.md") for reason in get_args(Refusal))


@pytest.mark.parametrize("name", NAMES)
def test_only_settings_that_exist(name: str) -> None:
    known = {name for kind in SETTINGS for name in variables(kind).values()} | PASSWORD_VARIABLES
    tests_only = {"SWITCHBOARD_TEST_PICTURES", "SWITCHBOARD_TEST_SEED", "SWITCHBOARD_TEST_STREAMS"}
    named = set(re.findall(r"SWITCHBOARD_[A-Z_]+[A-Z](?!_?[\w$])", text(name)))
    assert named <= known | tests_only


# --- places -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("name", NAMES)
def test_tests_that_are_named_exist(name: str) -> None:
    for path, test in re.findall(r"(tests/[\w/]+\.py)::(\w+)", text(name)):
        assert re.search(rf"def {test}\(", text(path)), f"{path}::{test}"


@pytest.mark.parametrize("name", [*NAMES, "docs/overview.svg"])
def test_no_path_of_a_machine(name: str) -> None:
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users|opt)/", text(name))


def linked_from(page: Path) -> set[Path]:
    """The files that a page links to."""
    return {(page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(page.read_text())}


def test_every_page_is_reached_from_the_first() -> None:
    records = ROOT / "docs" / "decisions" / "README.md"
    linked = linked_from(ROOT / "README.md")
    assert records in linked
    assert {*PAGES} - {ROOT / "README.md"} <= linked | linked_from(records)


def test_each_decision_has_a_number_and_a_line_in_the_index() -> None:
    index = re.findall(r"^- \[(\d{4})\]\((\S+)\) (.+)$", text("docs/decisions/README.md"), re.MULTILINE)
    titles = {record.name: record.read_text().partition("\n")[0] for record in RECORDS}
    assert sorted(index) == [
        (name[:4], name, title.partition(". ")[2]) for name, title in sorted(titles.items())
    ]
    assert all(title.startswith(f"# {int(name[:4])}. ") for name, title in titles.items())
    assert len({name[:4] for name in titles}) == len(titles)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_decision_has_context_decision_and_consequence(record: Path) -> None:
    headings = re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequence"]


@pytest.mark.parametrize("path", [*(ROOT / "docs").glob("*.png")], ids=lambda path: path.name)
def test_pictures_are_small(path: Path) -> None:
    assert path.stat().st_size < 200_000


# --- webhooks ---------------------------------------------------------------------------------


def test_the_events_of_webhooks_are_those_of_the_code() -> None:
    assert [row[0].strip("`") for row in rows(section("docs/webhooks.md", "## Events"))] == [*WEBHOOK_EVENTS]


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_receiver_that_checks_as_the_page_says_finds_what_is_right(language: str) -> None:
    (code,) = blocks("docs/webhooks.md", language)
    secrets = [make_secret(bytes([number]) * 32) for number in range(3)]
    body, now = '{"text": "né"}'.encode(), int(time.time())
    tried = [
        ([secrets[0]], now, True),
        (secrets[1::-1], now, True),  # signed with both, while they are changed
        (secrets[1:], now, False),
        ([secrets[0]], now - 3_600, False),
        ([secrets[0]], now + 3_600, False),
    ]
    for by, at, right in tried:
        headers = sign(by, "id", at, body)
        if language == "python":
            names: dict[str, Any] = {}
            exec(code, names)
            assert names["verified"](secrets[0], headers, body) is right
        else:
            given = msgspec.json.encode([secrets[0], headers, base64.b64encode(body).decode()]).decode()
            ask = f"const [s, h, b] = {given};\nconsole.log(verified(s, h, Buffer.from(b, 'base64')));"
            said = node("--eval", code + ask)
            assert said.stdout.strip() == str(right).lower()
