"""docs/asyncapi.yaml: up to date, as AsyncAPI 3.0 wants it, and whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator

from deploy.cli.asyncapi import document
from shared.contract.entry import Entry
from shared.contract.facts import MAY_WRITE, Fact
from tests import asyncapi
from tests.examples import EXAMPLES


def nodes(tree: Any) -> Iterator[Any]:
    """The tree's objects, itself included."""
    if isinstance(tree, dict):
        yield tree
    for each in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(each)


def at(tree: Any, ref: str) -> Any:
    for name in ref.removeprefix("#/").split("/"):
        tree = tree[name]
    return tree


def test_the_file_is_what_the_code_says() -> None:
    assert asyncapi.PATH.read_text("utf-8") == asyncapi.text()
    assert yaml.safe_load(asyncapi.text()) == document()


def test_the_specification_allows_it_and_the_check_sees_what_it_does_not() -> None:
    assert asyncapi.mistakes(document()) == []
    wrong = document()
    wrong["operations"]["followLog"]["action"] = "subscribe"  # AsyncAPI 2
    assert asyncapi.mistakes(wrong)


def test_the_check_sees_an_outdated_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    old = tmp_path / "asyncapi.yaml"
    old.write_text(asyncapi.text().replace("TextWritten", "TextTyped"))
    monkeypatch.setattr(asyncapi, "PATH", old)
    monkeypatch.setattr("sys.argv", ["asyncapi", "--check"])
    assert asyncapi.main() == 1


def test_every_reference_leads_somewhere() -> None:
    whole = document()
    refs = [node["$ref"] for node in nodes(whole) if "$ref" in node]
    assert refs
    assert all(isinstance(at(whole, ref), dict) for ref in refs)


def test_every_fact_is_there_with_its_author() -> None:
    schemas = document()["components"]["schemas"]
    authors = {fact.__name__: author for author, facts in MAY_WRITE.items() for fact in facts}
    assert {kind.__name__ for kind in get_args(Fact)} == authors.keys()
    assert {name: schemas[name]["x-author"] for name in authors} == authors


@pytest.mark.parametrize("tag", EXAMPLES)
def test_what_stands_on_the_log_is_what_the_schema_says(tag: str) -> None:
    whole = document()
    entry = msgspec.json.decode(msgspec.json.encode(Entry(id="1", cause=7, facts=(EXAMPLES[tag],))))
    validator = Draft202012Validator({"$ref": "#/components/schemas/Entry", **whole})
    validator.validate(entry)
    assert not validator.is_valid({**entry, "facts": [{"kind": "Unheard"}]})
