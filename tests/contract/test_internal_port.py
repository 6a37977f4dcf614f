"""Health and metrics on a port of their own, which visitors and operators need not reach."""

from __future__ import annotations

import httpx
import pytest

from deploy.health import main as container_is_healthy
from tests.conftest import Services
from tests.processes import Service, free_port

SERVICES = ("proxy", "workflow", "operator", "analytics")
HEALTH = ("/healthz", "/readyz", "/metrics")


async def started(services: Services, name: str, **settings: str) -> tuple[Service, str]:
    """The service, and where its health is."""
    port = free_port()
    service = services.make(name, SWITCHBOARD_INTERNAL_PORT=str(port), **settings)
    service.health_port = port
    await service.start()
    return service, f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("name", SERVICES)
async def test_health_is_there_and_nowhere_else(services: Services, name: str) -> None:
    service, internal = await started(services, name)
    async with httpx.AsyncClient() as client:
        for path in HEALTH:
            assert (await client.get(internal + path)).status_code == 200
            outside = await client.get(service.url + path)
            assert outside.status_code == 404
            assert "switchboard_" not in outside.text
            assert "reasons" not in outside.text
        for path in ("/", "/api/summary", "/widget.js", "/healthz/more"):
            answer = await client.get(internal + path)
            assert answer.status_code == 404, path
            assert answer.json()["error"] == "/healthz, /readyz and /metrics are here, nothing else"
    assert await service.stop() == 0


async def test_it_answers_while_the_service_cannot_serve(services: Services) -> None:
    services.server.kill()
    port = free_port()
    service = services.make("analytics", SWITCHBOARD_INTERNAL_PORT=str(port))
    service.health_port = port
    service.launch()
    assert (await service.ready(503))["ready"] is False
    assert await service.stop() == 0
    services.server.start()


async def test_a_taken_port_is_named_with_its_setting(services: Services) -> None:
    service, internal = await started(services, "analytics")
    other = services.make("workflow", SWITCHBOARD_INTERNAL_PORT=internal.rpartition(":")[2])
    other.launch()
    assert other.process is not None
    assert other.process.wait(20) == 2
    assert "is in use. Set SWITCHBOARD_INTERNAL_PORT." in other.output
    assert await service.stop() == 0


async def test_the_container_asks_where_it_is(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    service, internal = await started(services, "proxy")
    monkeypatch.setenv("SERVICE", "proxy")
    monkeypatch.setenv("SWITCHBOARD_PROXY_PORT", str(service.port))
    assert container_is_healthy() == 1  # the service's own port has no health
    monkeypatch.setenv("SWITCHBOARD_INTERNAL_PORT", internal.rpartition(":")[2])
    assert container_is_healthy() == 0
    monkeypatch.setenv("SWITCHBOARD_INTERNAL_HOST", "0.0.0.0")
    assert container_is_healthy() == 0
