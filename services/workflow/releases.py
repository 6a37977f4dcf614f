"""Releases on NATS: a key-value bucket with a key for each flow's name.

A change names the revision that it was made from, so that of two people who publish at once one is told.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import nats.errors
from nats.aio.client import Client

from services.workflow.domain.releases import Release
from shared.contract import subjects
from shared.eventlog.errors import LogError, Unknown, Unreachable

_STREAM = f"KV_{subjects.RELEASES}"
#: Every release; core NATS brings their changes as they are made.
ALL = subjects.release(">")
#: How long a request may take (seconds).
SECONDS = 5.0

_WRONG_REVISION = (10071, 10164)
_NOT_FOUND = 10037


class Raced(LogError):
    """Somebody else changed the release meanwhile."""


class StoredRelease(NamedTuple):
    """A release and its revision; 0 where there is none yet."""

    release: Release
    revision: int


class _Error(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _State(msgspec.Struct):
    subjects: dict[str, int] = {}


class _Info(msgspec.Struct):
    state: _State = msgspec.field(default_factory=_State)
    error: _Error | None = None


class _Stored(msgspec.Struct):
    seq: int
    data: bytes = b""  # base64 on the wire


class _Found(msgspec.Struct):
    message: _Stored | None = None
    error: _Error | None = None


class _Ack(msgspec.Struct):
    seq: int = 0
    error: _Error | None = None


async def all_releases(client: Client) -> dict[str, Release]:
    """Every release by its name. Raises `Unreachable`."""
    body = msgspec.json.encode({"subjects_filter": ALL})
    info = msgspec.json.decode(await _ask(client, f"STREAM.INFO.{_STREAM}", body), type=_Info)
    if info.error is not None:
        raise Unreachable(f"the releases: {info.error.description}; run `switchboard setup`")
    names = [subject.removeprefix(ALL[:-1]) for subject in info.state.subjects]
    return {name: (await release_of(client, name)).release for name in names}


async def release_of(client: Client, name: str) -> StoredRelease:
    """One release, as the bucket's leader has it. Raises `Unreachable`."""
    body = msgspec.json.encode({"last_by_subj": subjects.release(name)})
    found = msgspec.json.decode(await _ask(client, f"STREAM.MSG.GET.{_STREAM}", body), type=_Found)
    if found.message is not None:
        try:
            return StoredRelease(msgspec.json.decode(found.message.data, type=Release), found.message.seq)
        except msgspec.DecodeError as error:
            raise Unreachable(f"the release of {name} cannot be read: {error}") from error
    if found.error is not None and found.error.err_code == _NOT_FOUND:
        return StoredRelease(Release(), 0)
    reason = found.error.description if found.error else "no answer that can be read"
    raise Unreachable(f"the release of {name}: {reason}; run `switchboard setup`")


async def keep(client: Client, name: str, release: Release, revision: int) -> None:
    """Change a release that was read at ``revision``. Raises `Raced`, `Unknown` or `LogError`."""
    headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
    subject, data = subjects.release(name), msgspec.json.encode(release)
    try:
        reply = await client.request(subject, data, timeout=SECONDS, headers=headers)
    except (nats.errors.Error, TimeoutError) as error:
        raise Unknown(
            f"no answer when {name} was to be released ({error!r}); `switchboard flow list` says what holds"
        ) from error
    ack = msgspec.json.decode(reply.data, type=_Ack)
    if ack.error is None:
        return
    if ack.error.err_code in _WRONG_REVISION:
        raise Raced(f"Somebody else changed the release of {name} at this moment; look at it and try again.")
    raise LogError(f"the release of {name} is refused: {ack.error.description}")


async def _ask(client: Client, address: str, body: bytes) -> bytes:
    try:
        return (await client.request(f"$JS.API.{address}", body, timeout=SECONDS)).data
    except (nats.errors.Error, TimeoutError) as error:
        raise Unreachable(f"the releases do not answer: {error!r}") from error
