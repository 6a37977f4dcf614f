"""The turnstile: of a crowd that comes at once, a few are let through in each round of the event loop."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from shared.service.health import Receive, Scope, Send
from shared.service.http_hardening import AT_ONCE, Turnstile, punctual
from shared.service.websocket_hardening import BoundedWebSocket


class Rounds:
    """Counts the rounds of the running loop."""

    def __init__(self) -> None:
        self.now = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._next)

    def _next(self) -> None:
        self.now += 1
        self._loop.call_soon(self._next)


async def test_who_is_alone_goes_through_at_once() -> None:
    loop, turnstile, through = asyncio.get_running_loop(), Turnstile(), list[str]()
    for name in ("first", "second"):
        assert turnstile.enter(loop, lambda name=name: through.append(name))  # type: ignore[misc]
        assert through[-1] == name
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_of_a_crowd_a_few_go_through_in_each_round_in_their_order() -> None:
    loop, turnstile, rounds = asyncio.get_running_loop(), Turnstile(), Rounds()
    through: list[tuple[int, int]] = []
    gone = asyncio.Event()
    crowd = range(3 * AT_ONCE)
    now = [
        turnstile.enter(loop, lambda n=n: through.append((rounds.now, n)))  # type: ignore[misc]
        for n in crowd
    ]
    turnstile.enter(loop, gone.set)
    assert now == [n < AT_ONCE for n in crowd]
    await gone.wait()
    assert [n for _, n in through] == list(crowd)
    of_each_round = Counter(round for round, _ in through)
    assert len(of_each_round) == 3
    assert set(of_each_round.values()) == {AT_ONCE}


async def test_one_that_fails_does_not_hold_up_the_next(caplog: pytest.LogCaptureFixture) -> None:
    loop, turnstile, gone = asyncio.get_running_loop(), Turnstile(), asyncio.Event()

    def fail() -> None:
        raise ValueError("gone already")

    for _ in range(AT_ONCE):
        turnstile.enter(loop, lambda: None)
    turnstile.enter(loop, fail)
    turnstile.enter(loop, gone.set)
    await gone.wait()
    assert "gone already" in caplog.text


class UnwiredTransport(asyncio.Transport):
    """A connection without a network: what was written, and what became of it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.speaks = ""
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.speaks = type(protocol).__name__

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})


class Crowd:
    """Connections that ask for a WebSocket in one round of the loop; `late` waits for the next round."""

    def __init__(self, storm: dict[str, int]) -> None:
        kind = punctual(10, turned_away=lambda host: storm.get(host, 0))
        config = Config(application, http=kind, ws=BoundedWebSocket, lifespan="off", log_config=None)
        config.load()
        self.protocols = [kind(config, ServerState(), {}) for _ in range(AT_ONCE + 1)]
        self.wires = [UnwiredTransport() for _ in self.protocols]
        for protocol, wire in zip(self.protocols, self.wires, strict=True):
            protocol.connection_made(wire)
            protocol.data_received(UPGRADE)
        self.late, self.late_wire = self.protocols[-1], self.wires[-1]


async def rounds(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_rest_of_a_crowd_becomes_websockets_a_round_later() -> None:
    crowd = Crowd({})
    assert [wire.speaks for wire in crowd.wires] == ["BoundedWebSocket"] * AT_ONCE + [""]
    await rounds()
    assert crowd.late_wire.speaks == "BoundedWebSocket"
    assert crowd.late_wire.written.startswith(b"HTTP/1.1 101 ")


async def test_who_goes_on_talking_while_it_waits_is_cut_off() -> None:
    """Else a second request on the same connection would make a second WebSocket of it."""
    crowd = Crowd({})
    crowd.late.data_received(UPGRADE)
    assert crowd.late_wire.closing
    await rounds()
    assert crowd.late_wire.speaks == ""


async def test_who_is_turned_away_does_not_wait_for_that() -> None:
    storm: dict[str, int] = {}
    crowd = Crowd(storm)
    storm["127.0.0.1"] = 7
    await rounds()
    assert b"retry-after: 7" in crowd.late_wire.written  # it was one of the storm when its turn came
    assert crowd.late_wire.speaks == ""
    again = Crowd(storm)
    assert all(wire.closing and wire.written.startswith(b"HTTP/1.1 429 ") for wire in again.wires)
