"""A client of `switchboard.v1` that loses nothing: resumes by cursor, sends again until acknowledged.

python examples/client.py http://127.0.0.1:9998     # type answers; a choice is answered by its number
"""

import asyncio
import contextlib
import json
import random
import re
import sys
import uuid
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

Frame = dict[str, Any]
STAY_AWAY = {1000, 1001, 1003, 1007, 1008, 1009}  # the table of closings is in docs/protocol.md


class ConversationClient:
    """Calls `show` with each frame of the conversation, once and in order."""

    def __init__(self, url: str, show: Callable[[Frame], None]) -> None:
        self.url, self.show = url.replace("http", "ws", 1) + "/ws", show
        self.cookie = self.cursor = ""
        self.question: Frame = {}
        self.unacknowledged: dict[str, Frame] = {}
        self.socket: ClientConnection | None = None

    async def say(self, text: str) -> None:
        """Answer what is asked: now, and again after every reconnect until it is stored."""
        frame: Frame = {"kind": "UserText", "sessionId": self.question.get("sessionId", ""), "content": text}
        if self.question.get("kind") == "ChoiceRequest":
            item = self.question["choices"][int(text) - 1]["itemId"]
            frame = {"kind": "ChoiceResponse", "groupId": self.question["groupId"], "itemId": item}
        frame["id"] = str(uuid.uuid4())
        self.unacknowledged[frame["id"]] = frame
        if self.socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self.socket.send(json.dumps(frame))

    async def run(self) -> None:
        """Stay connected until the server says that it makes no sense."""
        code, pause = 1006, 0.5
        while code not in STAY_AWAY:
            headers, reason = {"Cookie": self.cookie} if self.cookie else {}, ""
            address, v1 = f"{self.url}?cursor={self.cursor}", [Subprotocol("switchboard.v1")]
            with contextlib.suppress(OSError, InvalidHandshake, EOFError):
                async with connect(address, subprotocols=v1, additional_headers=headers) as self.socket:
                    assert self.socket.response is not None
                    cookie = self.socket.response.headers.get("set-cookie", self.cookie)
                    self.cookie, pause = cookie.split(";")[0], 0.5
                    with contextlib.suppress(ConnectionClosed):
                        for frame in [*self.unacknowledged.values()]:
                            await self.socket.send(json.dumps(frame))
                        async for text in self.socket:
                            self.take(json.loads(text))
                    code, reason = self.socket.close_code or 1006, self.socket.close_reason or ""
            self.socket = None
            if code == 4000:  # the cursor no longer holds
                self.cursor = ""
            wait = re.search(r"\d+", reason) if code == 4029 else None
            await asyncio.sleep(float(wait[0]) if wait else pause * random.uniform(0.5, 1))
            pause = min(pause * 2, 30)

    def take(self, frame: Frame) -> None:
        if frame["kind"] in ("ChoiceRequest", "StartChatSession"):
            self.question = frame
        self.cursor = "" if frame.get("reset") else frame.get("cursor") or self.cursor
        self.unacknowledged.pop(frame.get("id", ""), None)  # by an Ack, a Refused, or the message itself
        if "time" in frame or frame["kind"] == "Refused":  # what is said has a time
            self.show(frame)


def show(frame: Frame) -> None:
    words = [frame.get(key, "") for key in ("question", "content", "chatText", "reason")]
    words += [f"  {number}. {choice['content']}" for number, choice in enumerate(frame.get("choices", []), 1)]
    print("\n".join(filter(None, words)), flush=True)


async def main() -> None:
    conversation = ConversationClient(sys.argv[1], show)
    running = asyncio.create_task(conversation.run())
    while line := await asyncio.to_thread(sys.stdin.readline):
        await conversation.say(line.strip())
    while conversation.unacknowledged:
        await asyncio.sleep(0.1)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main())
