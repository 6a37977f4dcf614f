"""The REST door against requests that schemathesis makes of its own description."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.conftest import Services
from tests.processes import ROOT


async def test_the_door_is_as_it_is_described_whatever_is_sent(services: Services, tmp_path: Path) -> None:
    proxy = services.make(
        "proxy", SWITCHBOARD_CONNECT_BURST="1000000", SWITCHBOARD_CONNECTS_PER_MINUTE="1000000"
    )
    workflow = services.make("workflow")
    proxy.launch()
    workflow.launch()
    await proxy.ready()
    await workflow.ready()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{proxy.url}/schema/openapi.json"),
        # A session id that is made up is well-formed and yet unknown.
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--phases", "examples,coverage,fuzzing", "--max-time", "15", "--request-timeout", "10"),
        *("--continue-on-failure", "--no-color", "--generation-database", "none"),
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed = (await process.communicate())[0].decode()
    assert process.returncode == 0, printed
    assert "request_failed" not in proxy.output
    assert (await proxy.ready())["ready"]
