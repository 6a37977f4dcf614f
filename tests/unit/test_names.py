"""One word for one thing: no two classes have the same name, whatever file they are in."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
#: Each service has settings of its own.
EXCEPT = {"Settings"}


def test_no_class_name_is_defined_in_two_files() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for folder in ("services", "shared", "deploy", "examples", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name].add(str(path.relative_to(ROOT)))
    assert len(places) > 500
    assert {name: found for name, found in places.items() if len(found) > 1}.keys() <= EXCEPT
