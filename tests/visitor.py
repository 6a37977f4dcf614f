"""A visitor's client of ``switchboard.v1`` that behaves: resumes by cursor, sends again until acknowledged.

It keeps what it saw, so that a checker can hold it against the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import uuid
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

V1 = [Subprotocol("switchboard.v1")]


def address(url: str) -> str:
    """The WebSocket address of a proxy."""
    return url.replace("http", "ws", 1) + "/ws"


class Visitor:
    """``transcript`` holds every fact frame in the order of arrival, and each Ack where it came."""

    def __init__(self, url: str, seed: int = 0) -> None:
        self.urls = [address(url)]
        self.pauses = (0.05, 0.25)  # before it connects again (seconds)
        self.cookie = ""
        self.cursor: str | None = None
        self.transcript: list[dict[str, Any]] = []
        self.sent: dict[str, dict[str, Any]] = {}
        self.acknowledged: set[str] = set()
        self.refused: dict[str, str] = {}
        self.resets = 0
        self.state: dict[str, Any] = {}
        self.closings: list[int] = []
        self._random = random.Random(seed)
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()

    # --- talking ---

    async def say(self, frame: dict[str, Any], id: str | None = None) -> str:
        """Send a message, now and after every reconnect, until it is acknowledged or refused."""
        id = id or str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        self.sent[id] = {**frame, "id": id}
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(json.dumps(self.sent[id]))
        return id

    async def answer(self) -> str:
        """Answer what is asked: the first choice, or a text."""
        asked = await self.question()
        if asked["kind"] == "ChoiceRequest":
            pick = asked["choices"][0]
            frame = {"kind": "ChoiceResponse", "groupId": asked["groupId"], "itemId": pick["itemId"]}
        else:
            text = f"text {len(self.sent)}"
            frame = {"kind": "UserText", "sessionId": asked["sessionId"], "content": text}
        return await self.say(frame)

    # --- waiting ---

    async def until(self, condition: Any, seconds: float = 30) -> None:
        """Wait until ``condition(self)`` holds."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def question(self) -> dict[str, Any]:
        """The question that is open: asked after the last of this visitor's messages."""
        await self.until(lambda self: self._open() is not None)
        found = self._open()
        assert found is not None
        return found

    async def settled(self, seconds: float = 30) -> None:
        """Everything sent has been acknowledged or refused."""
        await self.until(lambda self: not self.unsettled, seconds)

    @property
    def unsettled(self) -> list[str]:
        return [id for id in self.sent if id not in self.acknowledged and id not in self.refused]

    def kinds(self) -> list[str]:
        return [frame["kind"] for frame in self.transcript]

    def texts(self) -> list[str]:
        return [frame["content"] for frame in self.transcript if "content" in frame]

    def _open(self) -> dict[str, Any] | None:
        for frame in reversed(self.transcript):
            if frame["kind"] in ("Ack", "UserText", "ChoiceResponse"):
                return None
            if frame["kind"] in ("ChoiceRequest", "StartChatSession"):
                return None if self.unsettled else frame
        return None

    # --- connection ---

    async def __aenter__(self) -> Visitor:
        self._task = asyncio.create_task(self._run())
        await self.until(lambda self: self.state)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def _run(self) -> None:
        while True:
            try:
                url = self._random.choice(self.urls) + (f"?cursor={self.cursor}" if self.cursor else "")
                headers = {"Cookie": self.cookie} if self.cookie else {}
                async with connect(
                    url,
                    subprotocols=V1,
                    additional_headers=headers,
                    compression=None,
                    open_timeout=10,
                    close_timeout=1,
                    ping_interval=5,
                    ping_timeout=10,
                ) as socket:
                    assert socket.response is not None
                    if "set-cookie" in socket.response.headers:
                        self.cookie = socket.response.headers["set-cookie"].split(";")[0]
                    await self._listen(socket)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else 1006
                self.closings.append(code)
                if code == 4000:
                    self.cursor = None
            except (OSError, InvalidHandshake, TimeoutError, EOFError):
                pass
            finally:
                self._gone()
            await asyncio.sleep(self._random.uniform(*self.pauses))

    def _gone(self) -> None:
        """The connection is lost."""
        self._socket = None

    async def _listen(self, socket: ClientConnection) -> None:
        self._socket = socket
        for id in self.unsettled:
            await socket.send(json.dumps(self.sent[id]))
        async for text in socket:
            self._take(json.loads(text))
            async with self._changed:
                self._changed.notify_all()

    def _take(self, frame: dict[str, Any]) -> None:
        kind = frame["kind"]
        if kind == "Resumed":
            if frame["reset"]:
                self.transcript.clear()
                self.cursor = None
                self.resets += 1
        elif kind == "State":
            self.state = frame
        elif kind == "Ack":
            first = frame["id"] not in self.acknowledged
            self.acknowledged.add(frame["id"])
            if first:
                self.cursor = frame["cursor"]
                self.transcript.append(frame)
        elif kind == "Refused":
            self.refused[frame["id"]] = frame["reason"]
        elif kind in ("Typing", "Draft"):
            pass
        else:
            self.cursor = frame["cursor"]
            if frame.get("id") in self.sent:
                self.acknowledged.add(frame["id"])
            self.transcript.append(frame)
