"""Copies the log into another number of streams: `switchboard reshard`.

With the services stopped, since a copy of what grows is never whole:

1. **Copy.** Every entry goes into streams ``CHAT-NEXT-<n>``, in the order of stored time. Their sequences
   begin behind all that were ever given, so nothing that was named after a position (an entry's id, a timer,
   the key of a backend's request) is ever named again. What says a position inside an entry is rewritten
   (`shared.contract.relocation`).
2. **Verify.** What was copied is read back. Every conversation must have as many entries, and the same.
3. **Keep.** The server mirrors the old streams as ``CHAT-PREVIOUS-<n>``, until `drop_old`.
4. **Switch.** The old streams are closed: nobody can append from here on. If they are still what was copied,
   they are removed, and the server mirrors the new ones under their names. The last step says in the metadata
   of ``CHAT-0`` how many there are; until then no service begins, and nothing can be set up.

Where it is killed before it removes the first old stream, these hold all that they held, and a copy that was
not verified is made again. From there on all is verified, and the next run goes on: what is to be done stands
in the metadata of ``CHAT-NEXT-0``, which is removed last.

What else holds positions, or times:

=====================================  ===================================================================
the workflow's durables                begin with the first entry that was not acknowledged. What has its
                                       outcome behind that is acknowledged again, and not answered again
the webhooks' durables                 likewise, where there are any: an event's id is the same in the copy
webhooks that are due                  name a conversation, an event's id, and from where on to look for it:
                                       positions of the copy are behind all of before
cursors, checkpoints                   are of an old epoch: ``reset``
schedules in ``TIMERS``                name a conversation and a timer: they stay right
``DRAFTS``                             are of positions that are never given again, and gone in ten minutes
a backend's ``Idempotency-Key``        where the answer of a backend was not stored yet, it is asked again
                                       under another key: once more than without the copy
accounts, releases, ``FLOWS``,         hold no positions
``KEYS``
desk, analytics, transcripts, cursors  read the time that a copy keeps in ``stored``
merging, anchors, checkpoints          read the message's time, the copy's: new, and in the same order
=====================================  ===================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from deploy.log_copy import STALLED_SECONDS, Contents, Keys, Numbers, ReshardError, Writer
from deploy.provisioning import NEXT, PREVIOUS, declare_log_consumers
from deploy.webhook_provisioning import declare_webhooks
from shared.contract import entry, relocation, subjects
from shared.eventlog.layout import MAX_STREAMS, Layout
from shared.eventlog.master_keys import MasterKeys
from shared.eventlog.messages import StoredMessage
from shared.eventlog.provisioning import (
    DeclareError,
    api,
    create_stream,
    declare_consumer,
    find_layout,
    log_stream,
    reason,
    remove_streams,
    replay_settings,
    stream_config,
)
from shared.service.chat_log import ChatLog, chat_layout

#: Below this the copies take entries. Only the admin may write there.
_STAGED: Final = "reshard"
#: In the metadata of a stream: to which run it belongs.
_RUN: Final = "reshard"
#: Whoever is connected as one of these reads or writes the log, or does what this does.
_USERS: Final = ("proxy", "workflow", "operator", "analytics", "admin")
#: How long all servers of a cluster have to say who is connected (seconds).
CONNECTIONS_SECONDS: Final = 0.5

#: Says what is being done.
Tell = Callable[[str], None]
#: How far it is: what, how many entries of how many.
Progress = Callable[[str, int, int], None]


class _ReshardPlan(msgspec.Struct, kw_only=True):
    """What a run is to do, and how far it is: the metadata of ``CHAT-NEXT-0``, as JSON."""

    run: str
    streams: int
    old: int  # of how many streams the log consisted
    epochs: list[str]  # of the old streams
    ends: list[int]  # their last sequences, when they were copied
    first: int  # the first sequence of the new streams
    starts: list[int]  # with which sequence the workflow's durables begin
    webhooks: list[int] = []  # and the webhooks', where there are any
    verified: bool = False
    leaving: str = ""  # a digest of what the copy is without


async def reshard(
    client: Client,
    streams: int,
    masters: Callable[[], MasterKeys],
    max_bytes: int,
    replicas: int,
    tell: Tell,
    progress: Progress,
    leaving: Mapping[str, int] | None = None,
) -> bool:
    """Have the log in so many streams; False where it is already.

    ``leaving`` are conversations that the copy is to be without, whatever the number of streams, and the
    last sequence of each.
    ``masters`` is asked only where words are sealed. ``max_bytes`` is for all streams together. Raises
    `ReshardError`, `DeclareError`, `LogError`, `KeyringError` or `Unmovable`.
    """
    work = _Resharding(client, streams, masters, max_bytes, replicas, tell, progress, leaving or {})
    return await work.run()


async def drop_old(client: Client) -> list[str]:
    """Remove the old streams for good; their names. Raises `DeclareError` or `ReshardError`."""
    if await stream_config(client, f"{NEXT}-0") is not None:
        raise ReshardError(
            "a copy was not finished, and may need them: run `switchboard reshard` again first."
        )
    return await remove_streams(client, names(PREVIOUS))


def names(name: str) -> tuple[str, ...]:
    """The names that such streams may have."""
    return Layout(name, subjects.PREFIX, MAX_STREAMS).names


async def users(client: Client) -> list[str]:
    """The users of connections, other than this one, during which nothing may be copied.

    Raises `ReshardError`.
    """
    inbox, found = client.new_inbox(), list[Msg]()
    try:
        subscription = await client.subscribe(inbox)
        body = msgspec.json.encode({"auth": True, "limit": 100_000})
        await client.publish("$SYS.REQ.ACCOUNT.PING.CONNZ", body, reply=inbox)
        with contextlib.suppress(TimeoutError):
            while True:  # each server of a cluster answers for itself
                found.append(await subscription.next_msg(timeout=CONNECTIONS_SECONDS))
        await subscription.unsubscribe()
    except nats.errors.Error as error:
        raise ReshardError(f"NATS does not say which services are connected: {error!r}.") from error
    if not found or found[0].headers:
        raise ReshardError(
            "NATS does not say which services are connected: permit $SYS.REQ.ACCOUNT.PING.CONNZ to the user "
            "admin, as deploy/nats/permissions.conf does."
        )
    connections = [
        each
        for message in found
        for each in msgspec.json.decode(message.data)["data"]["connections"] or ()
        if each.get("authorized_user") in _USERS and each["cid"] != client.client_id
    ]
    return sorted({each["authorized_user"] for each in connections})


async def refuse_services(client: Client) -> None:
    """Raises `ReshardError` while anybody uses the log."""
    connected = await users(client)
    if connected:
        raise ReshardError(
            f"Nobody may use the log while it is copied. Connected are: {', '.join(connected)}. Stop "
            "these services (admin: another command), and run this again."
        )


class _Resharding:
    """One run."""

    def __init__(
        self,
        client: Client,
        streams: int,
        masters: Callable[[], MasterKeys],
        max_bytes: int,
        replicas: int,
        tell: Tell,
        progress: Progress,
        leaving: Mapping[str, int],
    ) -> None:
        self._client = client
        self._layout = chat_layout(streams)
        self._keys = Keys(client, masters)
        self._max_bytes = max_bytes
        self._replicas = replicas
        self._tell = tell
        self._progress = progress
        self._leaving = leaving

    async def run(self) -> bool:
        plan = await self._found()
        if plan is not None and await self._begun(plan):
            if plan.streams != self._layout.streams:
                raise ReshardError(
                    f"the log was on its way to {plan.streams} stream(s) when something came between: run "
                    f"`switchboard reshard --streams {plan.streams}` to finish that first."
                )
            if not await self._is_done(plan):
                await refuse_services(self._client)
                self._tell("Going on where the last run ended.")
                await self._switch(plan)
            await self._clear_next()
            return True
        layout = await find_layout(self._client, chat_layout())
        if layout is None:
            raise ReshardError(
                "there is no log yet: SWITCHBOARD_LOG_STREAMS says how many streams a new one has."
            )
        if layout.streams == self._layout.streams and not self._leaving:
            if plan is not None:
                await self._discard(plan, layout)
            return False
        await refuse_services(self._client)
        old = ChatLog(self._client, layout)
        if plan is None or not await self._still_holds(plan, old):
            if plan is not None:
                await self._discard(plan, layout)
            if await stream_config(self._client, f"{PREVIOUS}-0") is not None:
                raise ReshardError(
                    f"the streams from before the last change are still there ({PREVIOUS}-0 ...): "
                    "`switchboard reshard --drop-old` removes them for good."
                )
            plan = await self._copy(old)
        await self._keep(plan)
        await self._close(plan)
        await self._switch(plan)
        await self._clear_next()
        return True

    # --- the plan, which is kept in the metadata of the first copy ---------------------------

    async def _found(self) -> _ReshardPlan | None:
        config = await stream_config(self._client, f"{NEXT}-0")
        if config is None:
            return None
        try:
            return msgspec.json.decode(config["metadata"]["plan"], type=_ReshardPlan)
        except (KeyError, TypeError, msgspec.MsgspecError) as error:
            raise ReshardError(f"the stream {NEXT}-0 is of another version of Switchboard.") from error

    async def _begun(self, plan: _ReshardPlan) -> bool:
        """Whether the first of the old streams is gone. Until then all of the log is there, and may grow."""
        config = await stream_config(self._client, self._layout.names[0])
        return plan.verified and (config is None or (config.get("metadata") or {}).get(_RUN) == plan.run)

    async def _still_holds(self, plan: _ReshardPlan, old: ChatLog) -> bool:
        """Whether a run was cut short after it verified the copy, and nothing was appended since."""
        same = plan.streams == self._layout.streams and plan.leaving == _digest(self._leaving)
        return plan.verified and same and await self._unchanged(plan, old)

    async def _unchanged(self, plan: _ReshardPlan, old: ChatLog) -> bool:
        tails = await old.tails()
        return ([tail.epoch for tail in tails], [tail.last for tail in tails]) == (plan.epochs, plan.ends)

    async def _is_done(self, plan: _ReshardPlan) -> bool:
        """Whether nothing is left to do but to remove the copies: services may run already."""
        metadata = await self._metadata(self._layout.names[0])
        return metadata.get(_RUN) == plan.run and metadata["streams"] == str(plan.streams)

    # --- copying ----------------------------------------------------------------------------

    async def _discard(self, plan: _ReshardPlan, layout: Layout) -> None:
        """Leave nothing of a run that was cut short before it removed anything."""
        self._tell("Removing what the last run has left.")
        for number, name in enumerate(layout.names):
            await self._update(name, {"subjects": layout.subjects_of(number)})
        if (await self._metadata(f"{PREVIOUS}-0")).get(_RUN) == plan.run:
            await remove_streams(self._client, reversed(names(PREVIOUS)))
        await self._clear_next()

    async def _clear_next(self) -> None:
        """The first goes last: it says what is to be done."""
        await remove_streams(self._client, reversed(names(NEXT)))

    async def _copy(self, old: ChatLog) -> _ReshardPlan:
        tails = await old.tails()
        first = max(tail.last for tail in tails) + 1
        plan = _ReshardPlan(
            run=secrets.token_hex(8),
            streams=self._layout.streams,
            old=len(tails),
            epochs=[tail.epoch for tail in tails],
            ends=[tail.last for tail in tails],
            first=first,
            starts=[0] * self._layout.streams,
            leaving=_digest(self._leaving),
        )
        for number in range(plan.streams):
            await create_stream(
                self._client,
                {
                    "name": f"{NEXT}-{number}",
                    "subjects": [f"{_STAGED}.{number}.>"],
                    "storage": "file",
                    "discard": "new",
                    "allow_direct": True,
                    "first_seq": first,
                    "num_replicas": self._replicas,
                    "metadata": _metadata(plan) if number == 0 else {},
                },
            )
        length = sum(tail.length for tail in tails)
        self._tell(f"Copying {length:,} entries from {plan.old} stream(s) to {plan.streams}.")
        floors = [await self._acknowledged(name, subjects.WORKFLOW_DURABLE) or 0 for name in old.layout.names]
        told = [await self._acknowledged(name, subjects.WEBHOOKS_DURABLE) for name in old.layout.names]
        if any(floor is not None for floor in told):
            plan.webhooks = [0] * plan.streams
        forgotten = await self._erased(old)
        positions = Numbers([tail.first for tail in tails], [tail.length for tail in tails])
        contents, ends, writer = (
            Contents(tails, self._keys),
            [first - 1] * plan.streams,
            Writer(self._client),
        )
        await writer.start()
        try:
            read = 0
            async for batch in old.read(ends=plan.ends):
                await self._keys.load(batch)
                for message in batch:
                    if message.key in self._leaving:
                        self._refuse_growth(message)
                        continue
                    if message.sequence < forgotten.get(message.key, 0):
                        message = message._replace(data=relocation.without_open_words(message.data))
                    stream = self._layout.stream_of(message.key)
                    ends[stream] += 1
                    data = relocation.relocated(
                        message.data,
                        message.key,
                        message.author,
                        message.time,
                        positions.of(message),
                        self._keys.find,
                    )
                    subject = f"{_STAGED}.{stream}.{self._layout.subject(message.key, message.author)}"
                    await writer.write(subject, data, ends[stream])
                    positions.put(message, ends[stream])
                    contents.add(message)
                    if not plan.starts[stream] and message.sequence > floors[message.stream]:
                        plan.starts[stream] = ends[stream]
                    floor = told[message.stream]
                    if floor is not None and message.sequence > floor and plan.webhooks[stream] == 0:
                        plan.webhooks[stream] = ends[stream]
                read += len(batch)
                self._progress("Copying", read, length)
            await writer.finish()
        finally:
            await writer.stop()
        plan.starts = [start or end + 1 for start, end in zip(plan.starts, ends, strict=True)]
        if plan.webhooks:
            plan.webhooks = [start or end + 1 for start, end in zip(plan.webhooks, ends, strict=True)]
        await self._verify(contents, length)
        plan.verified = True
        await self._update(f"{NEXT}-0", {"metadata": _metadata(plan)})
        return plan

    def _refuse_growth(self, message: StoredMessage) -> None:
        """What came after a conversation was archived is nowhere else."""
        if message.sequence > self._leaving[message.key]:
            raise ReshardError(
                "something was appended while the log was copied: stop it, and run this again."
            )

    async def _erased(self, old: ChatLog) -> dict[str, int]:
        """The conversations that were erased, and where: what was said before must not live on in the copy.

        Sealed words need nothing: their keys are gone. But those from before sealing stand in the open.
        """
        found: dict[str, int] = {}
        for stream in old.streams:
            async for batch in stream.read(1, f"{subjects.PREFIX}.*.*.eraser"):
                found.update((message.key, message.sequence) for message in batch)
        return found

    async def _acknowledged(self, stream: str, durable: str) -> int | None:
        """Up to where all of a stream was acknowledged; None where it does not have the durable."""
        answer = await api(self._client, f"CONSUMER.INFO.{stream}.{durable}", {})
        floor: int | None = answer.get("ack_floor", {}).get("stream_seq")
        return floor

    async def _verify(self, wanted: Contents, length: int) -> None:
        """Read the copy back: each conversation must have as many entries, and the same."""
        self._tell("Verifying the copy.")
        copy = ChatLog(self._client, Layout(NEXT, _STAGED, self._layout.streams))
        tails, read = await copy.tails(), 0
        found = Contents(tails, self._keys)
        for tail, stream in zip(tails, copy.streams, strict=True):
            size = (await self._state(stream.name))["bytes"]
            if size > self._max_bytes // self._layout.streams:
                raise ReshardError(
                    f"one of the new streams takes {size:,} bytes, and SWITCHBOARD_LOG_MAX_BYTES divided by "
                    f"{self._layout.streams} is less: raise it. The log is as it was."
                )
            if not tail.length:
                continue
            async for batch in stream.read(tail.first):
                await self._keys.load(batch)
                for message in batch:
                    found.add(message)
                read += len(batch)
                self._progress("Verifying", read, length)
        wanted.compare(found)

    # --- switching --------------------------------------------------------------------------

    async def _keep(self, plan: _ReshardPlan) -> None:
        for number in range(plan.old):
            source, target = f"{subjects.LOG}-{number}", f"{PREVIOUS}-{number}"
            self._tell(f"Keeping {source} as {target}.")
            # Whatever is there is of this run, and may be half done.
            await self._mirrored(source, target, {_RUN: plan.run})
            await self._promote(target, {"subjects": [target], "deny_delete": True, "deny_purge": True})

    async def _close(self, plan: _ReshardPlan) -> None:
        """Nothing can be appended to the old streams any more; if something was, they are opened again."""
        await refuse_services(self._client)
        layout = chat_layout(plan.old)
        self._tell("Closing the old streams.")
        for name in layout.names:
            await self._update(name, {"subjects": [f"closed.{name}"]})
        if not await self._unchanged(plan, ChatLog(self._client, layout)):
            for number, name in enumerate(layout.names):
                await self._update(name, {"subjects": layout.subjects_of(number)})
            raise ReshardError(
                "something was appended while the log was copied: stop it, and run this again."
            )

    async def _switch(self, plan: _ReshardPlan) -> None:
        # The first goes first: without it no service begins, and what else is there cannot grow.
        for name in names(subjects.LOG):
            metadata = await self._metadata(name)
            if metadata.get(_RUN) != plan.run and await stream_config(self._client, name) is not None:
                self._tell(f"Removing the old {name}.")
                await remove_streams(self._client, [name])
        for number in reversed(range(plan.streams)):  # and comes last, unfinished as it is
            await self._make(plan, number)
        first = self._layout.names[0]
        metadata = {**await self._metadata(first), "streams": str(plan.streams)}
        await self._update(first, {"metadata": metadata})
        self._tell(f"The log has {plan.streams} stream(s) now.")

    async def _make(self, plan: _ReshardPlan, number: int) -> None:
        name, source = self._layout.names[number], f"{NEXT}-{number}"
        self._tell(f"Making {name}.")
        unfinished = {_RUN: plan.run, "streams": "0"}
        transform = [{"src": f"{_STAGED}.{number}.>", "dest": ">"}]
        await self._mirrored(source, name, unfinished, transform)
        wanted = log_stream(
            self._layout, number, self._max_bytes // plan.streams, entry.MAX_MESSAGE, self._replicas
        )
        metadata = {
            **unfinished,
            "epoch": f"{plan.run}{number}",
            "streams": "0" if number == 0 else str(plan.streams),
        }
        await self._promote(name, {**wanted, "metadata": metadata})
        for reader in subjects.REPLAYERS:
            await declare_consumer(self._client, name, replay_settings(number, reader))
        await declare_log_consumers(self._client, name)  # the eraser is woken for all, which does no harm
        if plan.webhooks:
            await declare_webhooks(self._client, name, plan.webhooks[number])
        reset = f"CONSUMER.RESET.{name}.{subjects.WORKFLOW_DURABLE}"
        answer = await api(self._client, reset, {"seq": plan.starts[number]})
        if "config" not in answer:
            raise DeclareError(f"the consumer of {name} could not be set: {reason(answer)}")

    # --- streams ----------------------------------------------------------------------------

    async def _mirrored(
        self,
        source: str,
        target: str,
        metadata: dict[str, str],
        transforms: Sequence[dict[str, str]] = (),
    ) -> None:
        """``target`` has all that ``source`` has: the same sequences, times, headers and bytes."""
        found = await stream_config(self._client, target)
        wanted = await self._state(source)
        if found is None:
            config: dict[str, Any] = {
                "name": target,
                "storage": "file",
                "num_replicas": self._replicas,
                "metadata": metadata,
            }
            if wanted["messages"]:
                config["mirror"] = {"name": source, "subject_transforms": list(transforms)}
            else:  # of nothing a mirror learns no sequence
                config |= {"first_seq": wanted["last_seq"] + 1, "subjects": [f"closed.{target}"]}
            await create_stream(self._client, config)
        loop = asyncio.get_running_loop()
        seen, since = -1, loop.time()
        while True:
            state = await self._state(target)
            if all(state[key] == wanted[key] for key in ("messages", "last_seq")):
                break
            if state["last_seq"] > wanted["last_seq"]:
                raise ReshardError(f"the stream {target} has more than {source}: something wrote there.")
            if state["last_seq"] != seen:
                seen, since = state["last_seq"], loop.time()
            elif loop.time() - since > STALLED_SECONDS:
                raise ReshardError(f"the server does not go on copying {source} to {target}.")
            self._progress(f"Making {target}", state["messages"], wanted["messages"])
            await asyncio.sleep(0.05)

    async def _promote(self, name: str, wanted: dict[str, Any]) -> None:
        """A mirror becomes a stream of its own."""
        await self._update(name, wanted, without=("mirror", "mirror_direct"))

    async def _update(self, name: str, wanted: dict[str, Any], without: Sequence[str] = ()) -> None:
        found = await stream_config(self._client, name)
        if found is None:
            raise ReshardError(f"the stream {name} is not there any more: something else removed it.")
        config = {key: value for key, value in found.items() if key not in without}
        answer = await api(self._client, f"STREAM.UPDATE.{name}", {**config, **wanted})
        if "config" not in answer:
            raise DeclareError(f"the stream {name} could not be changed: {reason(answer)}")
        kept = answer["config"]
        wrong = [
            key for key in wanted if key != "metadata" and (kept.get(key) or None) != (wanted[key] or None)
        ]
        if wrong or any(kept.get(key) for key in without):
            raise DeclareError(f"the server did not keep these settings of the stream {name}: {wrong}")

    async def _metadata(self, name: str) -> dict[str, str]:
        config = await stream_config(self._client, name) or {}
        return dict(config.get("metadata") or {})

    async def _state(self, name: str) -> dict[str, int]:
        answer = await api(self._client, f"STREAM.INFO.{name}", {})
        if "state" not in answer:
            raise DeclareError(f"the stream {name} cannot be read: {reason(answer)}")
        state: dict[str, int] = answer["state"]
        return state


def _digest(leaving: Mapping[str, int]) -> str:
    """Of which conversations there are; empty where there are none."""
    return blake2b("".join(sorted(leaving)).encode(), digest_size=8).hexdigest() if leaving else ""


def _metadata(plan: _ReshardPlan) -> dict[str, str]:
    return {"plan": msgspec.json.encode(plan).decode()}
