"""Visitors at the doors that know text only, as real clients: REST with server-sent events, and Socket.IO."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import uuid
from collections.abc import Sequence
from typing import Any

import httpx
import socketio
from socketio.exceptions import SocketIOError

from shared.contract.subjects import conversation_of
from tests.faults.checker import position_of
from tests.faults.history import Deeds, Outcome
from tests.faults.text_door_checks import HeardText

#: How long a client waits for an answer before it says something more (seconds).
PATIENCE = 8.0


class TextGuest:
    """What both have in common: what to say next. The deeds of both are in ``history``."""

    door = ""

    def __init__(self, urls: Sequence[str], history: Deeds, seed: int, people: float = 0.0) -> None:
        self.urls = list(urls)
        self.heard: list[HeardText] = []
        self.answers = 0
        self.session = ""
        self.leaving = False  # it takes no further turn
        self._history = history
        self._people = people
        self._random = random.Random(seed)
        self._last = ""  # what was said to it last

    @property
    def conversation(self) -> str:
        return conversation_of(self.session, self.door) if self.session else ""

    def next(self) -> str:
        """The answer to what was asked: a choice's number, or a text that nobody else writes."""
        if re.search(r"^2\. ", self._last, re.MULTILINE):
            return "2" if self._random.random() < self._people else "1"
        return f"text of {self._random.random()}"

    async def turn(self) -> None:
        """Say something until it is stored, and wait for an answer."""
        raise NotImplementedError

    async def close(self) -> None:
        """Go away for good."""
        raise NotImplementedError

    async def talk(self, pause: float) -> None:
        """One turn after the other, until the guest leaves.

        Not until it is cancelled: before Python 3.12 the `asyncio.wait_for` in the Socket.IO client loses a
        cancellation where the answer comes at the same instant.
        """
        while not self.leaving:
            await self.turn()
            await asyncio.sleep(self._random.uniform(0.0, pause))


class Poster(TextGuest):
    """Posts messages and reads the streams of their answers, at any of the proxies.

    A message has no id of the client's: what the client knows of it is its text.
    """

    door = "rest"

    def __init__(self, urls: Sequence[str], history: Deeds, seed: int, people: float = 0.0) -> None:
        super().__init__(urls, history, seed, people)
        self.user = f"user-{seed}"
        self._client = httpx.AsyncClient(timeout=PATIENCE)
        self._place = ""  # the last event's id
        self._text = ""  # of the answer that is being told
        self.streamed: list[str] = []
        self.posted: list[tuple[str, Outcome]] = []
        self.gone = 0  # how often its own session was denied

    async def close(self) -> None:
        await self._client.aclose()

    async def turn(self) -> None:
        message = self.next()
        answer = await self._ask("POST", f"/sessions/{self.user}/messages", message)
        outcome: Outcome = "unknown"
        if answer is not None and answer.status_code == 200:
            self.session = answer.json()["session_id"]
            outcome = "ok"
        elif answer is not None and answer.status_code != 503:
            self.gone += answer.status_code == 404
            outcome = "fail"
        if self.session:  # else it was said in a session that nobody knows
            self.posted.append((message, outcome))
            await self._read()

    async def session_now(self) -> dict[str, Any]:
        """The session as it is told."""
        async with asyncio.timeout(60):
            while True:
                answer = await self._ask("GET", f"/sessions/{self.session}")
                if answer is not None and answer.status_code == 200:
                    session: dict[str, Any] = answer.json()["session"]
                    return session
                await asyncio.sleep(0.3)

    async def read_all(self) -> None:
        """Read on until nothing more follows."""
        async with asyncio.timeout(60):
            while await self._read():
                await asyncio.sleep(0.2)

    async def _ask(self, method: str, path: str, message: str = "") -> httpx.Response | None:
        body = {"user_id": self.user, "message": message, "session_id": self.session or None}
        try:
            url = self._random.choice(self.urls) + path
            return await self._client.request(method, url, json=body if message else None)
        except httpx.TransportError:
            return None

    async def _read(self) -> bool:
        """One stream, until it ends or says nothing for long; whether more may follow."""
        url = f"{self._random.choice(self.urls)}/sessions/{self.session}/stream"
        headers = {"Last-Event-ID": self._place} if self._place else {}
        event = {"event": "", "data": ""}
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self._client.stream("GET", url, headers=headers) as response,
            ):
                if response.status_code != 200:
                    self.gone += response.status_code == 404
                    return response.status_code != 204
                async for line in response.aiter_lines():
                    name, _, value = line.partition(": ")
                    if not line:
                        self._take(event)
                        event = {"event": "", "data": ""}
                    elif name == "data" and event.get("some"):
                        event["data"] += "\n" + value
                    elif name:
                        event[name] = value
                        event["some"] = "yes" if name == "data" else event.get("some", "")
        except (httpx.TransportError, TimeoutError):
            pass
        return True

    def _take(self, event: dict[str, str]) -> None:
        if not event["event"]:
            return  # a comment
        self._place = event["id"]
        match event["event"]:
            case "token":
                self._text += event["data"]
            case "commit_done":
                self.streamed.append(self._text)
                self._last, self._text = self._text, ""
                self.answers += 1
            case "error":
                self._text = ""
            case _:
                pass


class Chatter(TextGuest):
    """Speaks Socket.IO, with a cursor, and says each message again until it is stored."""

    door = "socketio"

    def __init__(self, urls: Sequence[str], history: Deeds, seed: int, people: float = 0.0) -> None:
        super().__init__(urls, history, seed, people)
        self._socket: socketio.AsyncClient | None = None
        self._cursor = ""
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self.resets = 0

    async def open(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._over = True  # not by cancelling: the library would hand that on to whoever disconnects
        if self._socket is not None:
            with contextlib.suppress(SocketIOError, OSError, TimeoutError):
                await asyncio.wait_for(self._socket.disconnect(), 5)
        if self._task is not None:
            await asyncio.wait([self._task], timeout=10)
            self._task.cancel()

    async def turn(self) -> None:
        seen = len(self.heard)
        await self._until(lambda: bool(self.session))
        message = {"message": self.next(), "id": str(uuid.UUID(int=self._random.getrandbits(128), version=4))}
        number = self._history.invoke("visitor", self.conversation, "user_message", message["id"])
        while True:
            socket = self._socket
            with contextlib.suppress(SocketIOError, TimeoutError):
                if socket is not None and socket.connected:
                    told = await socket.call("user_message", message, timeout=PATIENCE)
                    if told and told.get("stored"):
                        break
            await asyncio.sleep(0.2)
        self._history.end(number, "ok")
        with contextlib.suppress(TimeoutError):
            await self._until(lambda: len(self.heard) > seen, PATIENCE)

    async def caught_up(self, messages: int) -> None:
        """Wait until it was told so many. Where it never is, `plainly.heard` will say what is missing."""
        with contextlib.suppress(TimeoutError):
            await self._until(lambda: len(self.heard) >= messages, 30)

    async def _until(self, condition: Any, seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _run(self) -> None:
        while not self._over:
            self._socket = socket = socketio.AsyncClient(reconnection=False, logger=False)
            socket.on("session_id", self._named)
            socket.on("bot_message", self._told)
            auth = {"cursor": self._cursor, **({"session_id": self.session} if self.session else {})}
            with contextlib.suppress(SocketIOError, OSError, TimeoutError):
                url = self._random.choice(self.urls)
                await socket.connect(url, auth=auth, transports=["websocket"], wait_timeout=5)
                await socket.wait()
            with contextlib.suppress(Exception):
                await socket.disconnect()
            await asyncio.sleep(self._random.uniform(0.05, 0.25))

    def _named(self, data: dict[str, Any]) -> None:
        self.resets += bool(data.get("reset"))
        if not self.heard:  # nobody had said a word: that session was never begun
            self.session = data["session_id"]
        elif self.session != data["session_id"]:
            self.resets += 1
        self._changed.set()

    def _told(self, data: dict[str, Any]) -> None:
        self._cursor = data["cursor"]
        self._last = data["message"]
        self.heard.append(HeardText(position_of(data["cursor"]), data["message"]))
        self.answers += 1
        self._changed.set()
