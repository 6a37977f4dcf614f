"""Long conversations, written as the proxy and the workflow would have written them."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client

from shared.contract import subjects
from shared.contract.entry import Entry, encode
from shared.contract.facts import Author, BotSaid, ConversationStarted, Fact, TextWritten
from shared.service.chat_log import open_log

#: How many texts stand there before their answers follow.
WAVE = 50


async def write_long(
    visitor: Client, bot: Client, conversation: str, turns: int, size: int, door: str = "websocket"
) -> int:
    """``turns`` texts of ``size`` characters, each with an answer as long; how many entries there are.

    Each begins with its number, which counts from 0, the start of the conversation. Nobody else may write to
    its stream meanwhile: answers name their causes by position.
    """
    stream = (await open_log(visitor)).stream_of(conversation)
    first = (await stream.tail()).last + 1
    count = 0

    async def write(client: Client, author: Author, fact: Fact, cause: int | None) -> None:
        nonlocal count
        entry = Entry(id=f"{author}{count}", cause=cause, facts=(fact,))
        await client.publish(subjects.chat(conversation, author), encode(entry))
        count += 1

    async def written() -> None:
        async with asyncio.timeout(60):
            while (await stream.tail(timeout=30)).last < first + count - 1:
                await asyncio.sleep(0.005)

    left = turns + 1  # and the start
    while left:
        wave, begin = min(WAVE, left), first + count
        for _ in range(wave):
            fact: Fact = TextWritten(session="s", text=f"{count} ".ljust(size, "x"))
            await write(visitor, "visitor", fact if count else ConversationStarted(door=door), None)
        await written()
        for number in range(wave):
            await write(bot, "bot", BotSaid(text=f"{count} ".ljust(size, "x")), begin + number)
        await written()
        left -= wave
    return count
