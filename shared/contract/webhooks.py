"""Webhooks: what another system is told of, where, and how it knows that we said it.

Signed as Standard Webhooks says (https://www.standardwebhooks.com): HMAC-SHA256 over the id, the time of the
attempt and the body, with the endpoint's secret.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec

#: What happened. A receiver is told of those that its endpoint names.
WebhookEvent = Literal[
    "conversation.handoff",
    "conversation.claimed",
    "message.operator",
    "conversation.handed_back",
    "conversation.transferred",
    "conversation.resolved",
    "conversation.rated",
    "agreed_time.near",
    "agreed_time.over",
]
WEBHOOK_EVENTS: Final[tuple[WebhookEvent, ...]] = get_args(WebhookEvent)

#: What a secret begins with. Base64 of 24 to 64 bytes follows; ours are of `SECRET_BYTES`.
SECRET_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
_SECRET_SIZES: Final = range(24, 65)
#: How long both secrets are used after a rotation (hours), until each receiver knows the new one.
ROTATION_HOURS: Final = 24
#: How many endpoints there may be, and how long an address.
MAX_ENDPOINTS: Final = 16
MAX_URL: Final = 1_000


class WebhookEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where events are sent.

    ``since`` (nanoseconds since 1970) is when it was added: of what was before it is told nothing.
    ``events`` may name some that this program does not know, where a newer one wrote them.
    ``disabled`` says why it gets nothing now; "" where it does.
    ``previous`` is the secret before the last rotation, used beside the new one until ``previous_until``
    (seconds since 1970).
    """

    id: str
    url: str
    secret: str
    events: tuple[str, ...]
    since: int
    words: bool = False  # also what people wrote, not only what happened
    disabled: str = ""
    previous: str = ""
    previous_until: int = 0

    def wants(self, event: WebhookEvent, time: int) -> bool:
        """Whether it is told of an event of this time (nanoseconds since 1970)."""
        return not self.disabled and event in self.events and time >= self.since

    def secrets(self, now: int) -> tuple[str, ...]:
        """Those that a webhook of now (seconds since 1970) is signed with, the newest first."""
        return (self.secret, self.previous) if self.previous and now < self.previous_until else (self.secret,)


class WebhookJob(msgspec.Struct, frozen=True):
    """One event for one endpoint; both are named by the subject that it stands under.

    The entry stands at ``position``, or behind it in a log that was resharded since. ``attempt`` is the one
    that comes next, 1 for the first, and ``why`` how the last one failed.
    """

    conversation: str
    position: int
    event: str
    attempt: int = 1
    why: str = ""


def make_secret(random: bytes) -> str:
    """A secret of `SECRET_BYTES` random bytes. Raises ValueError for another number."""
    if len(random) != SECRET_BYTES:
        raise ValueError(f"a secret is of {SECRET_BYTES} bytes, not of {len(random)}")
    return SECRET_PREFIX + base64.b64encode(random).decode()


def sign(secrets: Sequence[str], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt at ``timestamp`` (seconds since 1970), with a signature of each secret.

    Raises ValueError for what is no secret; the message does not quote it.
    """
    signed = f"{id}.{timestamp}.".encode() + body
    digests = (base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode() for secret in secrets)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{digest}" for digest in digests),
    }


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or len(key) not in _SECRET_SIZES:
        raise ValueError(f"a webhook's secret is {SECRET_PREFIX} and base64 of 24 to 64 bytes")
    return key
