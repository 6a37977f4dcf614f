"""`switchboard webhooks`: where other systems are told what happens at the desk (docs/webhooks.md)."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from deploy.cli.connection import connected
from deploy.cli.settings import Local
from deploy.webhook_provisioning import declare_webhooks, remove_webhooks
from services.operator import webhook_endpoints
from services.operator.webhook_endpoints import EndpointRefused
from services.operator.webhook_store import DeadWebhook, EndpointChange, WebhookStore, WebhooksUnreadable
from shared.contract import subjects
from shared.contract.webhooks import (
    ROTATION_HOURS,
    SECRET_BYTES,
    WEBHOOK_EVENTS,
    WebhookEndpoint,
    make_secret,
)
from shared.eventlog.provisioning import find_layout, stream_config
from shared.service.chat_log import chat_layout
from shared.service.settings import environment, load
from shared.timestamps import format_time

_T = TypeVar("_T")


class WebhookCommandError(Exception):
    """It cannot be done; the text says why."""


def add(options: argparse.Namespace) -> int:
    """Make an endpoint. Raises `WebhookCommandError`, `DeclareError` or `ConnectionFailed`."""
    secret = make_secret(secrets.token_bytes(SECRET_BYTES))
    new = WebhookEndpoint(
        id=secrets.token_hex(4),
        url=options.url,
        secret=secret,
        events=tuple(dict.fromkeys(options.event or WEBHOOK_EVENTS)),
        since=time.time_ns(),
        words=options.words,
    )

    async def command(client: Client, store: WebhookStore) -> None:
        def change(endpoints: webhook_endpoints.Endpoints) -> webhook_endpoints.Endpoints:
            return webhook_endpoints.with_endpoint(endpoints, new)

        change(tuple((await store.endpoints()).values()))  # before anything is made
        for stream in await _log_streams(client):
            await declare_webhooks(client, stream)
        await store.change(change)

    _run(command)
    print(f"The endpoint {new.id} is told from now on, within seconds: {', '.join(new.events)}.")
    _tell_secret(secret)
    if new.url.startswith("http:"):
        print(
            "Plain http is for the own network: set SWITCHBOARD_WEBHOOKS_PRIVATE for the operator service.",
            file=sys.stderr,
        )
    return 0


def listed(options: argparse.Namespace) -> int:
    """Name all endpoints. Raises `WebhookCommandError` or `ConnectionFailed`."""

    async def command(client: Client, store: WebhookStore) -> list[WebhookEndpoint]:
        return list((await store.endpoints()).values())

    for each in _run(command):
        print(f"{each.id}  {each.url}")
        print(f"          {', '.join(each.events)}{'; with words' if each.words else ''}")
        if each.disabled:
            print(f"          off: {each.disabled}")
        if each.previous and time.time() < each.previous_until:
            until = format_time(each.previous_until * 10**9)
            print(f"          signed with the secret of before, too, until {until}")
    return 0


def change(options: argparse.Namespace) -> int:
    """Change an endpoint. Raises `WebhookCommandError` or `ConnectionFailed`."""
    if options.url is None and options.event is None and options.words is None:
        raise WebhookCommandError("Say what is to be changed: --url, --event, --words or --no-words.")
    _change(
        lambda endpoints: webhook_endpoints.changed(
            endpoints, options.id, options.url, options.event, options.words
        )
    )
    print(f"The endpoint {options.id} is changed; that holds within seconds.")
    return 0


def rotate(options: argparse.Namespace) -> int:
    """Give an endpoint a new secret. Raises `WebhookCommandError` or `ConnectionFailed`."""
    secret = make_secret(secrets.token_bytes(SECRET_BYTES))
    _change(lambda endpoints: webhook_endpoints.rotated(endpoints, options.id, secret, int(time.time())))
    print(f"For {ROTATION_HOURS} hours webhooks to {options.id} are signed with both secrets.")
    _tell_secret(secret)
    return 0


def disable(options: argparse.Namespace) -> int:
    """Tell an endpoint nothing for now. Raises `WebhookCommandError` or `ConnectionFailed`."""
    _change(lambda endpoints: webhook_endpoints.switched(endpoints, options.id, "switched off by hand"))
    print(
        f"The endpoint {options.id} is off: what happens now it is not told, and what is due counts as dead."
    )
    return 0


def enable(options: argparse.Namespace) -> int:
    """Tell an endpoint again. Raises `WebhookCommandError` or `ConnectionFailed`."""
    _change(lambda endpoints: webhook_endpoints.switched(endpoints, options.id, ""))
    print(
        f"The endpoint {options.id} is on. What died meanwhile is sent by "
        f"`switchboard webhooks resend {options.id}`."
    )
    return 0


def remove(options: argparse.Namespace) -> int:
    """Remove an endpoint, if that is meant.

    Raises `WebhookCommandError`, `DeclareError` or `ConnectionFailed`.
    """
    if not options.yes:
        print(f"This removes the endpoint {options.id}, and all that it was not told yet, for good.")
        with contextlib.suppress(EOFError):
            options.yes = input("Type yes to go on: ").strip() == "yes"
        if not options.yes:
            print("Nothing was removed.")
            return 1

    async def command(client: Client, store: WebhookStore) -> None:
        await store.change(lambda endpoints: webhook_endpoints.without(endpoints, options.id))
        await client.jsm().purge_stream(subjects.WEBHOOKS, subject=f"webhook.*.{options.id}.*")
        if not await store.endpoints():
            for stream in await _log_streams(client):
                await remove_webhooks(client, stream)

    _run(command)
    print(f"The endpoint {options.id} is removed.")
    return 0


def dead(options: argparse.Namespace) -> int:
    """List webhooks that no attempt delivered. Raises `WebhookCommandError` or `ConnectionFailed`."""
    for one in _run(lambda client, store: _dead(store, options.id)):
        at = one.at.isoformat(timespec="seconds").replace("+00:00", "Z") if one.at else ""
        print(f"{one.endpoint}  {one.id}  {at}  {one.job.event}  {one.job.conversation}  {one.job.why}")
    return 0


def resend(options: argparse.Namespace) -> int:
    """Send dead webhooks again. Raises `WebhookCommandError` or `ConnectionFailed`."""

    async def command(client: Client, store: WebhookStore) -> int:
        endpoints = await store.endpoints()
        if options.id is not None:
            webhook_endpoints.find(tuple(endpoints.values()), options.id)
        wanted = [
            one
            for one in await _dead(store, options.id)
            if options.webhook in (None, one.id) and one.endpoint in endpoints
        ]
        if off := {one.endpoint for one in wanted if endpoints[one.endpoint].disabled}:
            raise EndpointRefused(
                f"{', '.join(sorted(off))} is off: `switchboard webhooks enable` first, or they die again."
            )
        for one in wanted:
            await store.resend(one)
        return len(wanted)

    count = _run(command)
    if options.webhook is not None and not count:
        raise WebhookCommandError(
            f"No dead webhook is called {options.webhook}: `switchboard webhooks dead`."
        )
    print(f"{count} {'is' if count == 1 else 'are'} sent again.")
    return 0


async def _dead(store: WebhookStore, endpoint: str | None) -> list[DeadWebhook]:
    return [one async for one in store.dead(endpoint or "*")]


async def _log_streams(client: Client) -> tuple[str, ...]:
    layout = await find_layout(client, chat_layout())
    if layout is None:
        raise WebhookCommandError("There is no log yet: run `switchboard setup`.")
    return layout.names


def _change(change: EndpointChange) -> None:
    _run(lambda client, store: store.change(change))


def _tell_secret(secret: str) -> None:
    print(f"The secret, which is shown only now: {secret}")


def _run(command: Callable[[Client, WebhookStore], Awaitable[_T]]) -> _T:
    env = environment()

    async def connect() -> _T:
        async with connected(load(Local, env), env, "admin") as client:
            if await stream_config(client, subjects.WEBHOOKS) is None:
                raise WebhookCommandError("There is no place for webhooks: run `switchboard setup`.")
            return await command(client, WebhookStore(client))

    try:
        return asyncio.run(connect())
    except (EndpointRefused, WebhooksUnreadable) as error:
        raise WebhookCommandError(str(error)) from error
    except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
        raise WebhookCommandError(f"NATS does not answer: {error!r}. Run it again.") from error
