"""Who starts something waits for what it needs, and not for what something else does."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from deploy.cli.main import parser
from tests.processes import ROOT

#: One line for each command.
LINES = (
    "run",
    "setup --new-epoch",
    "wipe --yes",
    "log --last 5 --follow",
    "log schema",
    "log asyncapi",
    "operator add ann",
    "operator passwd ann",
    "operator list",
    "operator remove ann --yes",
    "operator disable ann",
    "operator enable ann",
    "flow check a.json b.json",
    "flow draw a.json",
    "flow try a.json",
    "flow test a.json",
    "flow publish a.json",
    "flow share a 20%",
    "flow rollback a",
    "flow withdraw a",
    "flow list",
    "flow migrate a --to b.json",
    "flow replay a.json",
)


@pytest.mark.parametrize("line", LINES)
def test_a_command_is_where_the_parser_says(line: str) -> None:
    assert callable(parser().parse_args(line.split()).command.load())


def imported(statement: str) -> set[str]:
    """The packages that a fresh Python has imported after the statement."""
    show = "import json, sys; print(json.dumps(sorted(name.partition('.')[0] for name in sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{show}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_help_waits_for_no_library() -> None:
    packages = imported("from deploy.cli.main import parser; parser().format_help()")
    assert packages.isdisjoint({"nats", "faststream", "structlog", "msgspec", "httpx", "cel"})


def test_checking_a_flow_waits_for_no_connection() -> None:
    packages = imported(
        "from deploy.cli.main import parser; parser().parse_args(['flow', 'check', 'a']).command.load()"
    )
    assert "msgspec" in packages
    assert packages.isdisjoint({"nats", "faststream", "httpx", "cel"})


def test_a_workflow_waits_for_the_language_of_conditions_when_a_flow_has_some() -> None:
    assert "cel" not in imported("import services.workflow.app")
    condition = "from shared.flow.language.conditions import condition; condition('1 < 2')"
    assert "cel" in imported(condition)


def test_a_proxy_waits_for_ciphers_when_it_takes_tokens() -> None:
    assert "joserfc" not in imported("import services.proxy.app")


def test_a_workflow_waits_for_word_breaks_and_near_languages_when_a_flow_needs_them() -> None:
    assert imported("import services.workflow.app").isdisjoint({"icu4py", "langcodes"})
    words = "from shared.flow.language.patterns import words; "
    assert "icu4py" not in imported(f"{words}words(['yes']).takes('yes please')")
    assert "icu4py" in imported(f"{words}words(['退款']).takes('我要退款')")
    lookup = "from shared.flow.language.locales import lookup; "
    assert "langcodes" not in imported(f"{lookup}lookup(['de'], ['en', 'de'])")
    assert "langcodes" in imported(f"{lookup}lookup(['nb'], ['en', 'no'])")
