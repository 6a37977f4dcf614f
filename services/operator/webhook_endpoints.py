"""What may become of the webhooks' endpoints: all of them in, all of them out, or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from msgspec.structs import replace

from shared.contract.webhooks import (
    MAX_ENDPOINTS,
    MAX_URL,
    ROTATION_HOURS,
    WEBHOOK_EVENTS,
    WebhookEndpoint,
)

Endpoints = tuple[WebhookEndpoint, ...]


class EndpointRefused(Exception):
    """It cannot be done; the text says why."""


def wrong_url(url: str) -> str:
    """Why no webhook can go there, whoever it is; "" where one can."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises
    except ValueError:
        return "it is no address"
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "an address is like https://example.com/hooks"
    if parts.username is not None or parts.password is not None:
        return "it holds a user or a password: a webhook is known by its signature"
    if parts.fragment:
        return "it has a part behind #, which no receiver is sent"
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return f"an address has at most {MAX_URL} letters, ASCII without spaces"
    return ""


def with_endpoint(endpoints: Endpoints, new: WebhookEndpoint) -> Endpoints:
    """One more. Raises `EndpointRefused`."""
    _check_url(new.url)
    _check_events(new.events)
    for each in endpoints:
        if each.url == new.url:
            raise EndpointRefused(f"{new.url} is the endpoint {each.id} already: change that one.")
    if len(endpoints) >= MAX_ENDPOINTS:
        raise EndpointRefused(
            f"There are {MAX_ENDPOINTS} endpoints, the most there may be: remove one first."
        )
    return (*endpoints, new)


def changed(
    endpoints: Endpoints,
    id: str,
    url: str | None = None,
    events: Sequence[str] | None = None,
    words: bool | None = None,
) -> Endpoints:
    """With what is given in the place of what was. Raises `EndpointRefused`."""
    old = find(endpoints, id)
    if url is not None:
        _check_url(url)
    if events is not None:
        _check_events(events)
    new = replace(
        old,
        url=old.url if url is None else url,
        events=old.events if events is None else tuple(events),
        words=old.words if words is None else words,
    )
    return _put(endpoints, new)


def rotated(endpoints: Endpoints, id: str, secret: str, now: int) -> Endpoints:
    """With a new secret; the one of before is used beside it for a while. ``now`` in seconds since 1970.

    Raises `EndpointRefused`.
    """
    old = find(endpoints, id)
    until = now + ROTATION_HOURS * 3_600
    return _put(endpoints, replace(old, secret=secret, previous=old.secret, previous_until=until))


def switched(endpoints: Endpoints, id: str, disabled: str) -> Endpoints:
    """Off, for the reason ``disabled``, or on, where that is "". Raises `EndpointRefused`."""
    return _put(endpoints, replace(find(endpoints, id), disabled=disabled))


def without(endpoints: Endpoints, id: str) -> Endpoints:
    """Without this one. Raises `EndpointRefused`."""
    find(endpoints, id)
    return tuple(each for each in endpoints if each.id != id)


def find(endpoints: Endpoints, id: str) -> WebhookEndpoint:
    """Raises `EndpointRefused` where there is none."""
    for each in endpoints:
        if each.id == id:
            return each
    raise EndpointRefused(
        f"There is no endpoint {id!r}: "
        + (f"there are {', '.join(each.id for each in endpoints)}." if endpoints else "there are none.")
    )


def _put(endpoints: Endpoints, new: WebhookEndpoint) -> Endpoints:
    return tuple(new if each.id == new.id else each for each in endpoints)


def _check_url(url: str) -> None:
    if wrong := wrong_url(url):
        shown = url if "@" not in url else "This address"  # it may hold a password
        raise EndpointRefused(f"{shown} cannot be told: {wrong}.")


def _check_events(events: Sequence[str]) -> None:
    for event in events:
        if event not in WEBHOOK_EVENTS:
            raise EndpointRefused(f"There is no event {event!r}: there are {', '.join(WEBHOOK_EVENTS)}.")
    if not events:
        raise EndpointRefused(f"Name at least one event: there are {', '.join(WEBHOOK_EVENTS)}.")
