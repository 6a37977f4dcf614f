"""The key-value buckets that the operator service reads for each request."""

from __future__ import annotations

from typing import Final

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

#: What the broker's client raises.
ERRORS: Final = (nats.errors.Error, nats.js.errors.Error, TimeoutError)


class Unavailable(Exception):
    """Accounts, sessions or settings cannot be read or written now."""


def open_bucket(js: JetStreamContext, name: str) -> KeyValue:
    """The bucket. Not by direct get: a replica that is behind would not know the login of a moment ago."""
    return KeyValue(name=name, stream=f"KV_{name}", pre=f"$KV.{name}.", js=js, direct=False)


async def read_key(bucket: KeyValue, key: str) -> tuple[bytes, int] | None:
    """A key's value and revision. Raises `Unavailable`."""
    try:
        entry = await bucket.get(key)
    except nats.js.errors.KeyNotFoundError:
        return None
    except ERRORS as error:
        raise Unavailable(f"accounts cannot be read: {error!r}") from error
    return (entry.value or b"", entry.revision or 0)


async def keys_below(js: JetStreamContext, bucket: str, filter: str) -> tuple[list[str], int]:
    """The keys that fit, also of removed values, and the bucket's last sequence. Raises `Unavailable`."""
    prefix = f"$KV.{bucket}."
    try:
        info = await js.stream_info(f"KV_{bucket}", subjects_filter=prefix + filter)
    except ERRORS as error:
        raise Unavailable(f"accounts cannot be listed: {error!r}") from error
    return sorted(key.removeprefix(prefix) for key in info.state.subjects or {}), info.state.last_seq
