"""A provider for tests: a real HTTP server that streams OpenAI's protocol, well and badly.

In a test, the fixture ``llm`` is one on the test's own loop. It plays what the test told it, one
`Behaviour` for each request in turn, and a helpful answer when nothing is left to play:

    llm.will(refuses(429, retry_after="1"), says("Hello ", "there."))

For a person without a key: ``python -m tests.llm_server --port 8100``, and Switchboard with
``SWITCHBOARD_ASSISTANT_URL=http://127.0.0.1:8100/v1``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Self

CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "test"}
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class Gone(Exception):
    """The client closed the connection."""


class LlmRequest:
    """A request that came. ``left`` is set when the client goes away before the answer's end."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes, connection: int) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.raw = body
        self.connection = connection  # the number of the connection it came on
        self.left = asyncio.Event()

    @property
    def body(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.raw)
        return content

    @property
    def said(self) -> str:
        """The newest message of the user."""
        texts = [each["content"] for each in self.body["messages"] if each["role"] == "user"]
        return str(texts[-1]) if texts else ""


class Exchange:
    """One request and what is answered to it, down to the bytes."""

    def __init__(
        self, request: LlmRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.request = request
        self._writer = writer
        # What a client sends while it waits for an answer can only be its leaving.
        self._watch = asyncio.create_task(reader.read(1))
        self._watch.add_done_callback(self._ended)
        self._chunked = False

    def _ended(self, watch: asyncio.Task[bytes]) -> None:
        if not watch.cancelled():
            watch.exception()  # a reset connection is one that was left
            self.request.left.set()

    async def head(self, status: int, headers: dict[str, str]) -> None:
        """The status line and the headers; then chunks, unless the length is among the headers."""
        self._chunked = "content-length" not in headers
        lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
        if self._chunked:
            lines.append("transfer-encoding: chunked")
        await self.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def stream(self) -> None:
        """The head of a stream of events."""
        await self.head(200, {"content-type": "text/event-stream; charset=utf-8"})

    async def data(self, payload: bytes) -> None:
        """One chunk of the body (RFC 9112, 7.1)."""
        await self.write(b"%x\r\n%s\r\n" % (len(payload), payload))

    async def event(self, content: dict[str, Any] | str) -> None:
        """One event; an object as JSON."""
        await self.data(encoded(content))

    async def write(self, payload: bytes) -> None:
        """Bytes as they are, sent at once. Raises `Gone`."""
        if self.request.left.is_set():
            raise Gone
        try:
            self._writer.write(payload)
            await self._writer.drain()
        except ConnectionError as error:
            raise Gone from error

    async def wait(self, event: asyncio.Event | None = None) -> None:
        """Until ``event``, or until the client leaves. Raises `Gone` for the latter."""
        waiting = [
            asyncio.create_task(each.wait()) for each in (event, self.request.left) if each is not None
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if self.request.left.is_set():
            raise Gone

    async def end(self) -> None:
        """The end of the body: the connection may serve the next request."""
        await self.forget()  # before the client knows of the end: what it sends then is another request
        if self._chunked:
            await self.write(b"0\r\n\r\n")

    async def cut(self) -> None:
        """Break off, with no end of the body."""
        await self.forget()
        self._writer.close()

    async def forget(self) -> None:
        """Whether the client leaves does not matter any more."""
        self._watch.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await self._watch


Behaviour = Callable[[Exchange], Awaitable[None]]


def encoded(content: dict[str, Any] | str) -> bytes:
    """An event as it is on the wire, characters as they are (not as ``\\u`` escapes)."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk that adds these fields to the message."""
    return {**CHUNK, "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def words(text: str) -> list[str]:
    """A text in pieces as models give them: each word with the space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


# --- behaviours ---------------------------------------------------------------------------------


def says(
    *pieces: str | float | asyncio.Event,
    finish: str = "stop",
    usage: dict[str, int] | None = USAGE,
    tool: tuple[str, str] | None = None,
    done: bool = True,
) -> Behaviour:
    """Streams the pieces: a text, a pause in seconds, or an event to wait for. Then a tool call in fragments.

    ``usage`` None: it does not count. ``done`` False: the stream ends without its mark.
    """

    async def play(exchange: Exchange) -> None:
        await exchange.stream()
        await exchange.event(delta(role="assistant", content=""))
        for piece in pieces:
            if isinstance(piece, asyncio.Event):
                await exchange.wait(piece)
            elif isinstance(piece, str):
                await exchange.event(delta(content=piece))
            else:
                await asyncio.sleep(piece)
        if tool is not None:
            for fragment in fragments(*tool):
                await exchange.event(delta(tool_calls=[fragment]))
        await exchange.event(delta(finish))
        if usage is not None:
            await exchange.event({**CHUNK, "choices": [], "usage": usage})
        if done:
            await exchange.event("[DONE]")
        await exchange.end()

    return play


def calls(name: str, arguments: str, *pieces: str) -> Behaviour:
    """Says something, perhaps, and calls a tool; the arguments come in fragments of three characters."""
    return says(*pieces, finish="tool_calls", tool=(name, arguments))


def fragments(name: str, arguments: str, index: int = 0, id: str = "call_1") -> list[dict[str, Any]]:
    """A tool call as OpenAI streams it: id and name first, then its arguments piece by piece."""
    first = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
    cut = [arguments[at : at + 3] for at in range(0, len(arguments), 3)]
    return [first, *({"index": index, "function": {"arguments": piece}} for piece in cut)]


def refuses(status: int, message: str = "No.", retry_after: str | None = None, **error: str) -> Behaviour:
    """Answers with an error, as OpenAI words it; ``error`` may hold its ``code`` and ``type``."""

    async def play(exchange: Exchange) -> None:
        body = json.dumps({"error": {"message": message, **error}}).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        if retry_after is not None:
            headers["retry-after"] = retry_after
        await exchange.head(status, headers)
        await exchange.write(body)
        await exchange.end()

    return play


def answers(kind: str, body: bytes, status: int = 200, **headers: str) -> Behaviour:
    """Answers with any body of any type; a header's name is written with ``_`` for ``-``."""

    async def play(exchange: Exchange) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await exchange.head(status, {"content-type": kind, "content-length": str(len(body)), **named})
        await exchange.write(body)
        await exchange.end()

    return play


def demands(
    fits: Callable[[dict[str, Any]], bool],
    message: str,
    otherwise: Behaviour,
    status: int = 400,
    **error: str,
) -> Behaviour:
    """Answers a body that does not fit with an error, and all others as ``otherwise`` does."""

    async def play(exchange: Exchange) -> None:
        fitting = fits(exchange.request.body)
        await (otherwise if fitting else refuses(status, message, **error))(exchange)

    return play


def alternating(body: dict[str, Any]) -> bool:
    """What the templates of Mistral, Gemma and others demand of the roles."""
    roles = [message["role"] for message in body["messages"]]
    roles = roles[1:] if roles[:1] == ["system"] else roles
    ordered = all(role == ("user", "assistant")[place % 2] for place, role in enumerate(roles))
    return bool(roles) and ordered and roles[-1] == "user"


def wholly(content: Any, finish: str | None = "stop", **more: Any) -> bytes:
    """An answer in one piece, as a server gives it that does not stream."""
    message = {"role": "assistant", "content": content, **more}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return json.dumps({**CHUNK, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()


def streams(*events: dict[str, Any] | str) -> Behaviour:
    """Streams these events exactly, then ends."""

    async def play(exchange: Exchange) -> None:
        await exchange.stream()
        for event in events:
            await exchange.event(event)
        await exchange.end()

    return play


def writes(*payloads: bytes) -> Behaviour:
    """Streams these bytes, each in a chunk and a packet of its own, then ends."""

    async def play(exchange: Exchange) -> None:
        await exchange.stream()
        for payload in payloads:
            await exchange.data(payload)
            await asyncio.sleep(0)
        await exchange.end()

    return play


def stalls(*pieces: str, head: bool = True) -> Behaviour:
    """Says these pieces, and then nothing until the client leaves. Without ``head`` not even a status."""

    async def play(exchange: Exchange) -> None:
        if head:
            await exchange.stream()
        for piece in pieces:
            await exchange.event(delta(content=piece))
        await exchange.wait()

    return play


def mumbles(seconds: float = 0.01) -> Behaviour:
    """Keeps the connection alive with comments until the client leaves, and never says a word."""

    async def play(exchange: Exchange) -> None:
        await exchange.stream()
        while True:
            await exchange.data(b": still there\n\n")
            await asyncio.sleep(seconds)

    return play


def babbles(word: str = "la ", seconds: float = 0.0) -> Behaviour:
    """Says the same word over and over until the client leaves."""

    async def play(exchange: Exchange) -> None:
        await exchange.stream()
        while True:
            await exchange.event(delta(content=word))
            await asyncio.sleep(seconds)

    return play


def cuts(*pieces: str, status: bool = True) -> Behaviour:
    """Breaks the connection after these pieces; without ``status`` before it answers anything."""

    async def play(exchange: Exchange) -> None:
        if status:
            await exchange.stream()
        for piece in pieces:
            await exchange.event(delta(content=piece))
        await exchange.cut()

    return play


async def garbles(exchange: Exchange) -> None:
    """Answers in another protocol."""
    await exchange.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    await exchange.cut()


def helps(pause: float = 0.0) -> Behaviour:
    """The answer when nothing else was asked for: word by word, with a pause in seconds after each."""

    async def play(exchange: Exchange) -> None:
        offered = {tool["function"]["name"] for tool in exchange.request.body.get("tools", [])}
        asked = exchange.request.said
        if "handoff" in offered and re.search(r"\b(person|human|operator)\b", asked, re.IGNORECASE):
            await calls("handoff", json.dumps({"reason": asked[:200]}), "I will get a person.")(exchange)
            return
        text = (
            f'You said: "{asked[:200]}". I am a stand-in for an assistant and know nothing, but I answer '
            "word by word, as a real one does. Ask for a person, and I hand you over."
        )
        await says(*(piece for word in words(text) for piece in (word, pause)))(exchange)

    return play


# --- the server ---------------------------------------------------------------------------------


class LlmServer:
    """Listens on a free port of this machine, or on the one given. Plays each behaviour once, in turn."""

    def __init__(self, port: int = 0, key: str = "", pause: float = 0.0) -> None:
        self.port = port
        self.requests: list[LlmRequest] = []
        self.connections = 0
        self._key = key
        self._queue: deque[Behaviour] = deque()
        self._otherwise = helps(pause)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._came = asyncio.Condition()

    @property
    def url(self) -> str:
        """The base address, as `SWITCHBOARD_ASSISTANT_URL` wants it."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def settings(self) -> dict[str, str]:
        """The variables that make a workflow use this server."""
        return {
            "SWITCHBOARD_ASSISTANT_URL": self.url,
            "SWITCHBOARD_ASSISTANT_MODEL": "test",
            "SWITCHBOARD_ASSISTANT_KEY": self._key or "a-key",
        }

    def will(self, *behaviours: Behaviour) -> Self:
        """Play these next, one for each request."""
        self._queue.extend(behaviours)
        return self

    def always(self, behaviour: Behaviour) -> Self:
        """Play this whenever nothing else is left."""
        self._otherwise = behaviour
        return self

    async def request(self, number: int = 1) -> LlmRequest:
        """The request of this number, from 1; waits until it came."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.requests) >= number)
        return self.requests[number - 1]

    async def start(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, Gone):
                while not writer.is_closing():
                    request = await _read(reader, number)
                    await self._answer(request, reader, writer)
        except asyncio.CancelledError:
            pass  # the end of the server: asyncio would report it as an error of the connection
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _answer(
        self, request: LlmRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        exchange = Exchange(request, reader, writer)
        async with self._came:
            self.requests.append(request)
            self._came.notify_all()
        try:
            await self._behaviour(request)(exchange)
        except Gone:
            request.left.set()
            raise
        finally:
            await exchange.forget()

    def _behaviour(self, request: LlmRequest) -> Behaviour:
        if request.method != "POST" or not request.path.endswith("/chat/completions"):
            return refuses(404, f"Unknown request URL: {request.method} {request.path}")
        if self._key and request.headers.get("authorization") != f"Bearer {self._key}":
            return refuses(401, "Incorrect API key provided.", code="invalid_api_key")
        return self._queue.popleft() if self._queue else self._otherwise


async def _read(reader: asyncio.StreamReader, connection: int) -> LlmRequest:
    """One request with a body of a known length. Raises `asyncio.IncompleteReadError` at the end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = dict(_header(line) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return LlmRequest(method, path, headers, body, connection)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


async def main(port: int, key: str, pause: float) -> None:
    """A stand-in for an assistant that any OpenAI-compatible client can talk to, until Ctrl-C."""
    async with LlmServer(port, key, pause) as server:
        print(f"A stand-in for an assistant answers. SWITCHBOARD_ASSISTANT_URL={server.url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.llm_server", description=main.__doc__)
    parser.add_argument("--port", type=int, default=8100, help="the port (8100; 0 for a free one)")
    parser.add_argument("--key", default="", help="the only key that is taken; empty for any or none")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds from word to word (0.05)")
    chosen = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(chosen.port, chosen.key, chosen.pause))
