"""The example on the library's page runs as it stands there."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from tests.contract.eventlog.conftest import OpenNats

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "shared/eventlog/README.md"


async def run(program: str, url: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, url),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_counter_counts_and_once_more_changes_nothing(open_server: OpenNats) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    lines = [line for line in program.splitlines() if line and not line.startswith(("import", "from", '"""'))]
    assert len(lines) <= 40
    for _ in range(2):
        code, output = await run(program, open_server.url())
        assert (code, output.splitlines()[-1]) == (0, "{'till-7': 42}")


def test_every_file_is_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    files = {path.name for path in PAGE.parent.glob("*.py")} - {"__init__.py"}
    inside = {"api.py", "batch_get.py", "errors.py", "messages.py", "observer.py", "witness.py"}
    assert files - inside == set(re.findall(r"\]\((\w+\.py)\)", page))
