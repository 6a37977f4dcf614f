"""An add-on: follows the log with the read-only user, and tells who waits for a person, and for how long.

    SWITCHBOARD_NATS_USER=reader SWITCHBOARD_NATS_PASSWORD=... python -m examples.addon

With `make run` the password is in `passwords.json` of the data folder. It reads the log from its
beginning, then goes on live; it misses nothing and writes nothing.
"""

from __future__ import annotations

import asyncio

from shared.contract.codec import entry_of
from shared.contract.conversation import NEW, Conversation, step
from shared.contract.facts import ConversationClaimed, HandoffRequested
from shared.eventlog.connection import ConnectionState, connect, make_broker
from shared.eventlog.messages import StoredMessage
from shared.eventlog.subscription import Start, Subscription
from shared.service import settings
from shared.service.chat_log import open_log
from shared.service.health import Health
from shared.timestamps import format_time

conversations: dict[str, Conversation] = {}
waiting: dict[str, int] = {}  # since when (nanoseconds since 1970)


def take(message: StoredMessage) -> None:
    """One more entry. `step` gives the new state, and those of the entry's facts that count."""
    recorded = entry_of(message)
    name, time = recorded.conversation, recorded.time
    conversations[name], facts = step(conversations.get(name, NEW), recorded)
    for fact in facts:
        if isinstance(fact, HandoffRequested):
            waiting[name] = time
            print(f"{format_time(time)} {name} waits in {fact.queue}: {fact.reason}", flush=True)
        elif isinstance(fact, ConversationClaimed) and name in waiting:
            seconds = (time - waiting.pop(name)) / 1e9
            print(f"{format_time(time)} {name} is with {fact.operator} after {seconds:.1f} s", flush=True)


async def main() -> None:
    health = Health("addon")
    link = ConnectionState(health)
    client = await connect(make_broker(settings.load(settings.Common), "addon", link), link)
    subscription = Subscription(
        await open_log(client), link, health, take, conversations.clear, start=Start.BEGINNING
    )
    await subscription.start()
    print(f"read up to {subscription.count}; {len(waiting)} wait", flush=True)
    await asyncio.Event().wait()  # until Ctrl-C


if __name__ == "__main__":
    asyncio.run(main())
