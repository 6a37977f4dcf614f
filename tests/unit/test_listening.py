"""A listener's right: asked for whatever the traffic, and ended when it ends or cannot be confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from services.operator.transports.events import EventHub
from services.operator.transports.schemas import TypingEvent
from tests import virtual_time

#: What is promised (seconds).
PROMISED = 5.0


class RememberingListener:
    """Reads a hub's stream and remembers when what came."""

    def __init__(self, hub: EventHub, still_welcome: Callable[[], Awaitable[bool]]) -> None:
        self.frames: list[bytes] = []
        self.ended = 0.0
        self._stream = hub.listen(still_welcome)
        self.task = asyncio.create_task(self._read(self._stream))

    async def _read(self, stream: AsyncIterator[bytes]) -> None:
        async for frame in stream:
            self.frames.append(frame)
        self.ended = asyncio.get_running_loop().time()


async def chatter(hub: EventHub) -> None:
    """Events without a pause: nobody who listens is ever idle."""
    number = 0
    while True:
        hub.publish("typing", TypingEvent(str(number)))
        number += 1
        await asyncio.sleep(0.05)


async def _for(
    seconds: float, busy: bool, still_welcome: Callable[[], Awaitable[bool]]
) -> RememberingListener:
    hub = EventHub()
    listener = RememberingListener(hub, still_welcome)
    await asyncio.sleep(0)
    told = asyncio.create_task(chatter(hub)) if busy else None
    await asyncio.wait([listener.task], timeout=seconds)
    if told is not None:
        told.cancel()
    listener.task.cancel()
    return listener


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_a_stream_ends_within_five_seconds_of_its_right(busy: bool) -> None:
    async def scene() -> None:
        end = 60.0

        async def welcome() -> bool:
            return asyncio.get_running_loop().time() < end

        listener = await _for(end + 60, busy, welcome)
        assert end <= listener.ended <= end + PROMISED

    virtual_time.run(scene())


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
@pytest.mark.parametrize("how", ["silent", "refused", "broken"])
def test_a_right_that_cannot_be_confirmed_ends_too(busy: bool, how: str) -> None:
    async def scene() -> None:
        end = 60.0

        async def welcome() -> bool:
            if asyncio.get_running_loop().time() < end:
                return True
            if how == "silent":
                await asyncio.sleep(3600)
            if how == "refused":
                raise ConnectionError("no NATS")
            raise ValueError("what is kept there cannot be read")

        listener = await _for(end + 60, busy, welcome)
        # It may have ended right after it was confirmed the last time, up to a question's pause before.
        assert end <= listener.ended <= end + PROMISED

    virtual_time.run(scene())


def test_one_question_without_an_answer_ends_nothing() -> None:
    async def scene() -> None:
        asked = 0

        async def welcome() -> bool:
            nonlocal asked
            asked += 1
            if asked % 2:
                await asyncio.sleep(3600)
            return True

        listener = await _for(600, True, welcome)
        assert listener.ended == 0.0
        assert asked > 100
        assert len(listener.frames) > 1000

    virtual_time.run(scene())


def test_who_does_not_read_is_told_nothing_more_once_the_right_has_ended() -> None:
    async def scene() -> None:
        hub = EventHub()
        end = 30.0

        async def welcome() -> bool:
            return asyncio.get_running_loop().time() < end

        stream = hub.listen(welcome)
        await anext(stream)
        told = asyncio.create_task(chatter(hub))
        await anext(stream)
        await asyncio.sleep(29.0)
        assert len(hub) == 1  # it lags, and is not dropped for that yet
        await asyncio.sleep(1.0 + PROMISED)
        assert len(hub) == 0
        assert [frame async for frame in stream] == []
        told.cancel()

    virtual_time.run(scene())


def test_a_logout_here_ends_the_stream_at_once() -> None:
    async def scene() -> None:
        hub = EventHub()
        welcome = True

        async def still_welcome() -> bool:
            return welcome

        listener = RememberingListener(hub, still_welcome)
        await asyncio.sleep(10.5)
        welcome = False
        hub.ask()
        await listener.task
        assert listener.ended == 10.5

    virtual_time.run(scene())


def test_who_goes_is_asked_no_more() -> None:
    async def scene() -> None:
        asked = 0

        async def welcome() -> bool:
            nonlocal asked
            asked += 1
            return True

        listener = await _for(30, False, welcome)
        await asyncio.wait([listener.task])
        before = asked
        assert before > 5
        await asyncio.sleep(60)
        assert asked == before

    virtual_time.run(scene())
