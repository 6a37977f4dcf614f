"""The list of rules that `python -m tests.mutants` takes out fits the tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutants.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_every_mutation_applies_and_its_tests_are_there(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text("utf-8").count(mutation.old) == 1
    assert mutation.old != mutation.new
    named = [each for each in mutation.tests if ".py" in each]
    assert named
    for file, _, test in (each.partition("::") for each in named):
        assert f"def {test}" in (ROOT / file).read_text("utf-8")


def test_every_rule_has_a_name_of_its_own() -> None:
    names = [mutation.rule for mutation in MUTATIONS]
    assert len(names) == len(set(names))


def test_every_promise_has_a_mutation() -> None:
    pages = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    table = pages.partition("## The six promises")[2].partition("\n## ")[0]
    promises = set(re.findall(r"^\| ([A-Z][^|]*?) \|", table, re.MULTILINE))
    assert len(promises) == 6
    assert promises == {mutation.promise for mutation in MUTATIONS} - {""}
