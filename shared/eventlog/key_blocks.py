"""The stream KEYS: data keys in blocks, each block one message, wrapped by the master key.

A block is written, and on disk, before its first key is used, so that no sealed entry can be stored without
its key. In blocks, since a message for each key costs a new conversation 0.6 to 0.8 ms of CPU (made, and read
by two services) against 0.04 ms in blocks, and makes the server keep a subject in memory for each.

``key.<block>.<revision>`` holds a block. The stream takes one message for each subject, and services may
write revision 0 alone: so they can add keys, and change none. A key is destroyed by writing the block's next
revision without it, and then erasing those before: nats-server overwrites on the disk what it erases.
Whoever is killed in between does it again. The newest revision is the one that counts.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Collection
from typing import Any, Final, NamedTuple

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.eventlog.master_keys import KeyringError, MasterKeys

STREAM: Final = "KEYS"
SUBJECTS: Final = "key.*.*"

SECRET_BYTES: Final = 64
#: Keys of a block: enough that its message costs a key little, few enough that little is lost with a process.
BLOCK_KEYS: Final = 64
#: A block's name, in bytes; a key's id is this and the key's number.
NAME_BYTES: Final = 8
#: How long the server may take (seconds).
TIMEOUT: Final = 5.0

#: Stands where a key was. No key is made of zeros: there are 2 ** 512.
_DESTROYED: Final = bytes(SECRET_BYTES)
_BLOCK_BYTES: Final = BLOCK_KEYS * SECRET_BYTES
_BOUND: Final = b"switchboard keys"
_CONFLICTS: Final = (10071, 10164, 10077)  # wrong last sequence, twice; the subject has its message already
_EXPECT: Final = "Nats-Expected-Last-Subject-Sequence"


class KeyLost(KeyringError):
    """The key was there, and is not any more, and nobody destroyed it."""

    def __init__(self, block: bytes) -> None:
        super().__init__(
            f"the key block {block.hex()} is not in the stream KEYS: the words that are sealed under it "
            "cannot be read. States, choices by id, times and numbers can be read. Put the stream KEYS back "
            "from a copy that is not older than the log"
        )


class KeyDestroyed(KeyringError):
    """The key was destroyed: what was sealed under it is forgotten."""

    def __init__(self) -> None:
        super().__init__("the key was destroyed: what was sealed under it is forgotten")


class KeysUnreachable(KeyringError):
    """The stream KEYS does not answer. Nothing is known of the key: try again."""


class Block(NamedTuple):
    """A block as it is stored: ``keys`` one after the other, zeros where one was destroyed."""

    name: bytes
    revision: int
    position: int
    keys: bytes
    newest_wrapped: bool = True  # by the newest master key

    def secret(self, number: int) -> bytes:
        """Raises `KeyDestroyed`."""
        secret = self.keys[number * SECRET_BYTES : (number + 1) * SECRET_BYTES]
        if secret in (_DESTROYED, b""):
            raise KeyDestroyed
        return secret

    def without(self, numbers: Collection[int]) -> bytes:
        """The keys with zeros for those ``numbers``."""
        return b"".join(
            _DESTROYED if number in numbers else self.keys[at : at + SECRET_BYTES]
            for number, at in enumerate(range(0, len(self.keys), SECRET_BYTES))
        )


class Audit(NamedTuple):
    """What is in the stream: numbers of blocks, and of destroyed keys, and of what cannot be opened."""

    blocks: int
    destroyed: int
    older: int  # blocks that the newest master key did not wrap
    leftover: int  # revisions that a destroying or a rotation has yet to erase
    broken: tuple[str, ...]  # why, for each block that cannot be opened


def keys_stream(replicas: int) -> dict[str, Any]:
    """The stream's configuration. Messages can be erased, by whoever may, one by one; never in bulk."""
    return {
        "name": STREAM,
        "subjects": [SUBJECTS],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": 1,
        "max_age": 0,
        "max_msgs": -1,
        "deny_delete": False,
        "deny_purge": True,
        "allow_direct": True,
        "max_msg_size": 16 * 1024,
        "num_replicas": replicas,
    }


class KeyBlocks:
    """The blocks over a NATS connection. Everything here raises `KeyringError`."""

    def __init__(self, client: Client, masters: MasterKeys) -> None:
        self._nc = client
        self._masters = masters

    # --- what services do ---------------------------------------------------------------------

    async def create(self) -> Block:
        """A block of new keys, on disk. Raises `KeysUnreachable`; a block of unknown fate is never used."""
        block = Block(secrets.token_bytes(NAME_BYTES), 0, 0, secrets.token_bytes(_BLOCK_BYTES))
        position = await self._write(block, expect=0)
        if position is None:
            raise KeysUnreachable("a block of the same name is there already")  # one of 2 ** 64
        return block._replace(position=position)

    async def load(self, name: bytes) -> Block:
        """The block's newest revision. Raises `KeyLost`, `WrongMasterKey` or `KeysUnreachable`."""
        wanted = {"last_by_subj": f"key.{name.hex()}.*"}
        reply = await self._ask(f"$JS.API.DIRECT.GET.{STREAM}", wanted)
        headers = reply.headers or {}
        if "Nats-Subject" in headers:
            return self._read(headers["Nats-Subject"], int(headers["Nats-Sequence"]), reply.data)
        # Of several replicas one that is behind may have answered; the leader is never behind.
        if (found := await self._get(wanted)) is None:
            raise KeyLost(name)
        return self._read(*found)

    async def end(self) -> int:
        """The position of the newest message, 0 for none."""
        found = await self._get({"last_by_subj": SUBJECTS})
        return 0 if found is None else found[1]

    async def newest(self) -> Block | None:
        """The newest block there is, to see whether the master key is the right one."""
        found = await self._get({"last_by_subj": SUBJECTS})
        return None if found is None else self._read(*found)

    # --- what whoever forgets does ------------------------------------------------------------

    async def destroy(self, name: bytes, numbers: Collection[int]) -> None:
        """Destroy keys of a block for good. A block that is not there is no error: its keys are gone.

        To be called again where it was cut short, and harmless then.
        """
        while True:
            found = await self._get({"last_by_subj": f"key.{name.hex()}.*"})
            if found is None:
                return
            block = self._read(*found)
            left = block.without(numbers)
            if left == block.keys or await self._replace(block, left):
                break
        await self._erase_older(name)

    async def rotate(self) -> AsyncIterator[int]:
        """Wrap by the newest master key all that is wrapped by one before, and erase the rest.

        Gives the position that it has come to. To be called again where it was cut short. A block that
        cannot be opened raises, and is left as it is.
        """
        position = 0
        while (found := await self._get({"seq": position + 1, "next_by_subj": SUBJECTS})) is not None:
            subject, position, _ = found
            name = _name(subject)
            newest = await self._get({"last_by_subj": f"key.{name.hex()}.*"})
            if newest is not None:
                block = self._read(*newest)
                if not block.newest_wrapped:
                    await self._replace(block, block.keys)  # refused: another did, which is as well
                await self._erase_older(name)
            yield position

    async def audit(self) -> Audit:
        """Open everything, and count."""
        newest: dict[bytes, int] = {}
        blocks: dict[bytes, Block] = {}
        broken: dict[bytes, str] = {}
        position = leftover = 0
        while (found := await self._get({"seq": position + 1, "next_by_subj": SUBJECTS})) is not None:
            subject, position, _ = found
            name = _name(subject)
            leftover += name in newest
            newest[name] = position
            broken.pop(name, None)
            try:
                blocks[name] = self._read(*found)
            except KeyringError as error:
                blocks.pop(name, None)
                broken[name] = f"{name.hex()}: {error}"
        return Audit(
            len(newest),
            sum(_destroyed(block) for block in blocks.values()),
            sum(not block.newest_wrapped for block in blocks.values()),
            leftover,
            tuple(broken.values()),
        )

    # --- requests -----------------------------------------------------------------------------

    async def _replace(self, block: Block, keys: bytes) -> bool:
        """Write the block's next revision; False where another was quicker."""
        after = block._replace(revision=block.revision + 1, keys=keys)
        return await self._write(after, expect=block.position) is not None

    async def _erase_older(self, name: bytes) -> None:
        """Erase all revisions of a block but the newest, also those that a kill has left."""
        subject = f"key.{name.hex()}.*"
        last = await self._get({"last_by_subj": subject})
        position = 0
        while (found := await self._get({"seq": position + 1, "next_by_subj": subject})) is not None:
            position = found[1]
            if last is None or position >= last[1]:
                return
            answer = await self._api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": position})
            if not answer.get("success") and await self._get({"seq": position}) is not None:
                raise KeyringError(f"the stream KEYS erases nothing: {_reason(answer)}")

    async def _write(self, block: Block, expect: int) -> int | None:
        """Store the block; its position. None where it is not the first after ``expect``."""
        name = block.name.hex()
        wrapped = self._masters.wrap(block.keys, _BOUND, block.name, str(block.revision).encode())
        headers = {_EXPECT: str(expect), f"{_EXPECT}-Subject": f"key.{name}.*"}
        try:
            reply = await self._nc.request(
                f"key.{name}.{block.revision}", wrapped, timeout=TIMEOUT, headers=headers
            )
        except (nats.errors.Error, TimeoutError) as error:
            raise KeysUnreachable(f"the stream KEYS does not answer: {error!r}") from error
        answer: dict[str, Any] = msgspec.json.decode(reply.data)
        if answer.get("error", {}).get("err_code") in _CONFLICTS:
            return None
        if "error" in answer:
            raise KeysUnreachable(f"the stream KEYS takes no key: {_reason(answer)}")
        return int(answer["seq"])

    def _read(self, subject: str, position: int, data: bytes) -> Block:
        name, revision = _name(subject), subject.rpartition(".")[2]
        keys = self._masters.unwrap(data, _BOUND, name, revision.encode())
        return Block(name, int(revision), position, keys, self._masters.newest_wrapped(data))

    async def _get(self, wanted: dict[str, Any]) -> tuple[str, int, bytes] | None:
        """A message as the leader knows it: subject, position, data."""
        answer = await self._api(f"STREAM.MSG.GET.{STREAM}", wanted)
        if answer.get("error", {}).get("err_code") == 10037:  # no message found
            return None
        if "message" not in answer:
            raise KeysUnreachable(
                f"the stream KEYS cannot be read: {_reason(answer)}; run `switchboard setup`"
            )
        message = answer["message"]
        return message["subject"], message["seq"], base64.b64decode(message.get("data", ""))

    async def _api(self, subject: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = await self._ask(f"$JS.API.{subject}", body)
        answer: dict[str, Any] = msgspec.json.decode(reply.data)
        return answer

    async def _ask(self, subject: str, body: dict[str, Any]) -> Any:
        try:
            return await self._nc.request(subject, msgspec.json.encode(body), timeout=TIMEOUT)
        except (nats.errors.Error, TimeoutError) as error:
            raise KeysUnreachable(f"the stream KEYS does not answer: {error!r}") from error


def _name(subject: str) -> bytes:
    return bytes.fromhex(subject.split(".")[1])


def _destroyed(block: Block) -> int:
    return sum(
        block.keys[at : at + SECRET_BYTES] == _DESTROYED for at in range(0, len(block.keys), SECRET_BYTES)
    )


def _reason(answer: dict[str, Any]) -> str:
    return str(answer.get("error", {}).get("description", answer))
