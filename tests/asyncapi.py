"""``docs/asyncapi.yaml``: ``python -m tests.asyncapi`` writes it; ``--check`` says whether it is up to date.

Both hold it against the JSON Schema of AsyncAPI 3.0.0 (``tests/asyncapi-schema``: a file of the npm package
@asyncapi/specs 6.11.1, Apache-2.0).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft7Validator

from deploy.cli.asyncapi import document

ROOT: Final = Path(__file__).parent.parent
PATH: Final = ROOT / "docs" / "asyncapi.yaml"
SCHEMA: Final = ROOT / "tests" / "asyncapi-schema" / "3.0.0-without-$id.json"
HEAD: Final = "# Made by `python -m tests.asyncapi` of the subjects and the types of messages; do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as they stand, and no aliases for what occurs twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def text() -> str:
    """What the file should hold."""
    written: str = yaml.dump(document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return HEAD + written


def mistakes(asyncapi: Any) -> list[str]:
    """What AsyncAPI 3.0.0 does not allow, with its place in the document."""
    validator = Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(asyncapi)]


def main() -> int:
    wanted = text()
    if found := mistakes(yaml.safe_load(wanted)):
        print("\n".join(found), file=sys.stderr)
        return 1
    if "--check" not in sys.argv[1:]:
        PATH.write_text(wanted, "utf-8")
    elif not PATH.exists() or PATH.read_text("utf-8") != wanted:
        print("docs/asyncapi.yaml is out of date: run `python -m tests.asyncapi`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
