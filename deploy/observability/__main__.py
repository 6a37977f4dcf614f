"""Writes docs/metrics.md, rules/slo.yml and the dashboards; ``--check`` says which is out of date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import yaml

from deploy.observability import dashboards, metrics_page, slos

ROOT: Final = Path(__file__).parents[2]
HERE: Final = Path(__file__).parent
_SLO_HEAD: Final = "# Made by `python -m deploy.observability` of slos.py, which says why; do not edit.\n"


def files() -> dict[Path, str]:
    """What each generated file should hold."""
    slo = yaml.safe_dump(slos.rules(), sort_keys=False, allow_unicode=True, width=110)
    return {
        ROOT / "docs" / "metrics.md": metrics_page.text(),
        HERE / "rules" / "slo.yml": _SLO_HEAD + slo,
        **{HERE / "grafana" / f"{name}.json": text for name, text in dashboards.texts().items()},
    }


def main() -> int:
    wanted = files()
    if "--check" not in sys.argv[1:]:
        for path, text in wanted.items():
            path.write_text(text, "utf-8")
        return 0
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        name = path.relative_to(ROOT)
        print(f"{name} is out of date: run `python -m deploy.observability`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
