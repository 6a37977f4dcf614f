"""A real Prometheus for tests, and promtool: those on the PATH, or what `make prometheus` has fetched."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from deploy.local.processes import die_with_parent
from tests.processes import free_port

ROOT: Final = Path(__file__).parents[1]
OBSERVABILITY: Final = ROOT / "deploy" / "observability"
RULES: Final = tuple(sorted((OBSERVABILITY / "rules").glob("*.yml")))
DASHBOARDS: Final = tuple(sorted((OBSERVABILITY / "grafana").glob("*.json")))


def find(name: str) -> str | None:
    """Where the program is, if it is there."""
    path = os.pathsep.join((str(ROOT / ".venv" / "prometheus"), os.environ.get("PATH", "")))
    return shutil.which(name, path=path)


PROMTOOL: Final = find("promtool")
PROMETHEUS: Final = find("prometheus")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool: run `make prometheus`")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None, reason="there is no prometheus: run `make prometheus`"
)


def promtool(*arguments: str, given: str | None = None) -> tuple[int, str]:
    """Its exit code, and what it says."""
    assert PROMTOOL is not None
    run = subprocess.run(
        [PROMTOOL, *arguments], input=given, capture_output=True, text=True, timeout=60, check=False
    )
    return run.returncode, run.stdout + run.stderr


def plain(query: str) -> str:
    """A dashboard's query without Grafana's variables."""
    return re.sub(r"\$__(rate_interval|range)", "5m", query)


class PrometheusServer:
    """Scrapes ``targets`` (addresses by job) each second, by the rules that are handed out.

    What they say of "for" is made a second: a test would wait for minutes, and promtool tries the true times.
    """

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        self._folder = folder
        self._targets = targets
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._port}/api/v1", timeout=10)

    async def start(self) -> None:
        (self._folder / "rules").mkdir(parents=True)
        for path in RULES:
            text = re.sub(r"^(\s+for:) \w+$", r"\1 1s", path.read_text(), flags=re.MULTILINE)
            text = re.sub(r"^(\s+interval:) \w+$", r"\1 1s", text, flags=re.MULTILINE)
            (self._folder / "rules" / path.name).write_text(text)
        handed_out: dict[str, Any] = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
        handed_out["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for job in handed_out["scrape_configs"]:
            del job["dns_sd_configs"]
            job["static_configs"] = [{"targets": [self._targets[job["job_name"]]]}]
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(handed_out))
        self._process = self._launched()
        async with asyncio.timeout(30):
            while not await self._answers():
                assert self._process.poll() is None, (self._folder / "log").read_text()[-3000:]
                await asyncio.sleep(0.05)

    def _launched(self) -> subprocess.Popen[bytes]:
        assert PROMETHEUS is not None
        with (self._folder / "log").open("wb") as log:
            return subprocess.Popen(
                [
                    PROMETHEUS,
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    async def _answers(self) -> bool:
        try:
            return (await self._http.get("/status/buildinfo")).status_code == 200
        except httpx.TransportError:
            return False

    async def stop(self) -> None:
        await self._http.aclose()
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, 20)

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The series that there are now, with their values."""
        answer = await self._http.get("/query", params={"query": expression})
        body = answer.json()
        assert body["status"] == "success", f"{expression}: {body}"
        if body["data"]["resultType"] == "scalar":
            return [({}, float(body["data"]["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in body["data"]["result"]]

    async def until(
        self,
        expression: str,
        holds: Callable[[list[tuple[dict[str, str], float]]], bool],
        seconds: float = 40,
    ) -> list[tuple[dict[str, str], float]]:
        """Wait until the answer is as wanted; the answer."""
        found: list[tuple[dict[str, str], float]] = []
        try:
            async with asyncio.timeout(seconds):
                while not holds(found := await self.query(expression)):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            pytest.fail(f"{expression} is {found}")
        return found

    async def get(self, path: str) -> Any:
        """What another part of its API says."""
        return (await self._http.get(path)).json()["data"]
