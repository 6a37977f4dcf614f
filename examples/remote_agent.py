"""A learning platform's side of a remote agent: it asks about each line, and prints what comes back.

.venv/bin/python examples/remote_agent.py http://127.0.0.1:9998 emoji '{}'
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import socketio


async def main(url: str = "http://127.0.0.1:9998", agent: str = "emoji", configuration: str = "{}") -> None:
    client = socketio.AsyncClient()  # which connects again by itself
    goodbye = asyncio.Event()
    answered: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def response(payload: dict[str, Any]) -> None:
        answered.put_nowait(payload)

    async def interjection(payload: dict[str, Any]) -> None:
        print(f"{agent}: {payload['message']}", flush=True)
        if payload["message"] == "Goodbye!":
            goodbye.set()

    async def error(payload: dict[str, Any]) -> None:
        print(f"! {payload['message']}", flush=True)

    for handler in (response, interjection, error):
        client.on(handler.__name__, handler)
    who = {
        "agent": {"name": agent, "configuration": json.loads(configuration)},
        "user": {"id": "sam", "name": "Sam"},
        "chat": {"id": "example"},
        # "token": a JWT whose `sub` is the user's id, where the proxy asks for one
    }
    await client.connect(url, auth=who)
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        await client.emit("request", {"key": "line", "value": line, "annotations": None})
        payload = await answered.get()
        print(f"{payload['value']!r}: {'yes' if payload['result'] else 'no'}", flush=True)
    await client.emit("end", {"agent": {"name": agent}})
    await goodbye.wait()
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
