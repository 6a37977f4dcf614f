"""What the services ask, and what is heard of them, outside of the log: each keeps what it saw.

A backend that counts, a provider of the assistant that remembers what it streamed, a listener to drafts.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Self

from aiohttp import web
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.faults.external_checks import Call, Piece, StreamedAnswer
from tests.llm_server import Exchange, LlmServer, calls, delta, refuses, words

#: How long a backend may take (seconds).
SLOWEST = 0.8
#: How often a backend fails, and the provider before its first word or in the middle.
FAILS = 0.05
#: From word to word (seconds).
WORD_SECONDS = (0.02, 0.1)


class NumberingBackend:
    """Answers each request with a number of its own, and keeps for which key it did."""

    def __init__(self, chance: random.Random) -> None:
        self.calls: list[Call] = []
        self._chance = chance
        self._runner: web.AppRunner | None = None
        self.address = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        await request.read()
        number = len(self.calls) + 1
        fails = self._chance.random() < FAILS
        key = request.headers.get("Idempotency-Key", "")
        self.calls.append(Call(key, time.time(), None if fails else number))
        await asyncio.sleep(self._chance.uniform(0.0, SLOWEST))
        return web.Response(status=503) if fails else web.json_response({"number": number})


class NumberingProvider(LlmServer):
    """Speaks word by word, each answer with a number of its own; fails now and then."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.streams: list[StreamedAnswer] = []
        self._chance = chance
        self.always(self._speak)

    async def _speak(self, exchange: Exchange) -> None:
        asked = exchange.request.said
        if self._chance.random() < FAILS:
            await refuses(503)(exchange)
            return
        number = len(self.streams)
        text = f"Answer {number} to {asked.split(' of ')[0]}:" + " la" * self._chance.randrange(5, 20)
        cut = self._chance.random() < FAILS
        self.streams.append(StreamedAnswer(asked, text, False))
        if "person" in asked or "menu" in asked:
            tool = ("handoff", {"reason": "wanted"}) if "person" in asked else ("go_to", {"state": "leave"})
            self.streams[number] = StreamedAnswer(asked, text, True)
            await calls(tool[0], json.dumps(tool[1]), *words(text))(exchange)
            return
        await exchange.stream()
        for word in words(text):
            await exchange.event(delta(content=word))
            await asyncio.sleep(self._chance.uniform(*WORD_SECONDS))
            if cut and self._chance.random() < 0.2:
                await exchange.cut()
                return
        self.streams[number] = StreamedAnswer(asked, text, True)
        await exchange.event(delta("stop"))
        await exchange.event("[DONE]")
        await exchange.end()


class HeardDrafts:
    """Hears every draft, as a proxy does."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    async def follow(self, client: Client) -> Self:
        await client.subscribe("draft.>", cb=self._hear)
        await client.flush()
        return self

    async def _hear(self, message: Msg) -> None:
        piece = json.loads(message.data)
        self.pieces.append(
            Piece(
                message.subject.rsplit(".", 1)[1],
                piece["cause"],
                piece["attempt"],
                piece["offset"],
                piece.get("text", ""),
                piece.get("end", ""),
            )
        )
