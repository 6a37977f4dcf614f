"""The flows' ids, read once each."""

from __future__ import annotations

from services.proxy.known_flows import KnownFlows


async def test_a_version_that_is_not_there_yet_is_asked_for_again_and_kept_once_it_is() -> None:
    contents: list[bytes | None] = [None, b'{"ask": {"sendRequest": {"sessionId": "name"}}}']
    asked: list[str] = []

    async def read(version: str) -> bytes | None:
        asked.append(version)
        return contents[min(len(asked), len(contents)) - 1]

    flows = KnownFlows(read)
    assert await flows.learn("v") is None
    assert flows.ids("v") == "unread"
    for _ in range(3):
        found = await flows.learn("v")
        assert found is not None
        assert found.sessions == {"name"}
    assert asked == ["v", "v"]


async def test_what_is_no_flow_is_read_once() -> None:
    asked: list[str] = []

    async def read(version: str) -> bytes | None:
        asked.append(version)
        return b"no flow"

    flows = KnownFlows(read)
    assert [await flows.learn("v") for _ in range(3)] == [None] * 3
    assert flows.ids("v") is None
    assert asked == ["v"]
