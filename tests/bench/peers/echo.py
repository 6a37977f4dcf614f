"""The echo server: the proxy's own uvicorn settings, by construction, around a trivial application."""

from __future__ import annotations

import contextlib

from shared.service.health import Health, Receive, Scope, Send
from shared.service.lifecycle import main
from shared.service.settings import Common, Port


class EchoSettings(Common, frozen=True, kw_only=True):
    echo_port: Port


class Echo:
    def __init__(self, settings: EchoSettings, health: Health) -> None:
        pass

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with contextlib.suppress(OSError):  # the client went before its answer
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})


if __name__ == "__main__":
    main("echo", EchoSettings, lambda settings: settings.echo_port, Echo)
