"""Many conversations at once in one process: each of them asks a question and gets its answers.

python -m examples.many http://127.0.0.1:9998 100
"""

from __future__ import annotations

import asyncio
import sys
import time

from examples.client import ConversationClient, Frame


async def converse(url: str, number: int) -> list[str]:
    """One visitor who picks the first choice, and waits for what is said then."""
    frames: asyncio.Queue[Frame] = asyncio.Queue()
    conversation = ConversationClient(url, frames.put_nowait)
    running = asyncio.create_task(conversation.run())
    heard: list[str] = []
    picked = False
    while True:
        frame = await frames.get()
        heard.append(frame["kind"])
        if frame["kind"] == "ChoiceRequest" and not picked:
            picked = True
            await conversation.say("1")
        elif picked and frame["kind"] in ("BotText", "StartChatSession", "ChoiceRequest"):
            running.cancel()
            return heard


async def main(url: str, count: int) -> None:
    begun = time.monotonic()
    heard = await asyncio.gather(*(converse(url, number) for number in range(count)))
    seconds = time.monotonic() - begun
    print(f"{count} conversations, {sum(map(len, heard))} messages, {seconds:.1f} s")


if __name__ == "__main__":
    asyncio.run(
        main(
            sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:9998",
            int(sys.argv[2]) if len(sys.argv) > 2 else 100,
        )
    )
