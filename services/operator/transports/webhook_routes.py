"""The routes about webhooks, for admins: the endpoints, what is dead, and to send that again.

Endpoints are made by `switchboard webhooks`, which has the right to let the log tell of itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import msgspec
from litestar import Router, get, post
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.params import JSONBody

from services.operator import webhook_endpoints
from services.operator.buckets import Unavailable
from services.operator.domain.decisions import Operator
from services.operator.transports.problems import as_problem, problems
from services.operator.webhook_endpoints import EndpointRefused
from services.operator.webhook_store import (
    NATS_ERRORS,
    DeadWebhook,
    EndpointChange,
    WebhookStore,
    WebhooksUnreadable,
)
from shared.timestamps import format_time

#: So many dead ones are shown, and sent again, at once.
MAX_DEAD: Final = 200

_ADMINS = "only admins may look after webhooks"
_MISSING = "there is no such endpoint"
_OFF = "the endpoint is off: enable it first"

EndpointId = Annotated[str, msgspec.Meta(pattern="^[0-9a-z]{1,32}$", examples=["6f2c01aa"])]
WebhookId = Annotated[
    str, msgspec.Meta(pattern="^[0-9a-f]{32}$", examples=["0cc175b9c0f1b6a831c399e269772661"])
]


class WebhookEndpointDetail(msgspec.Struct):
    """``disabled`` says why it is told nothing now, and is "" where it is. ``since`` is RFC 3339."""

    id: str
    url: str
    events: list[str]
    words: bool
    disabled: str
    since: str


class DeadWebhookDetail(msgspec.Struct):
    """``since`` it is dead (RFC 3339); ``why`` is how the last attempt failed."""

    endpoint: str
    id: str
    event: str
    conversation: str
    why: str
    since: str


class WebhookOverview(msgspec.Struct):
    """``dead``: the oldest of those that no attempt delivered, and whether there are ``more``."""

    endpoints: list[WebhookEndpointDetail]
    dead: list[DeadWebhookDetail]
    more: bool


class ResendWebhooks(msgspec.Struct, forbid_unknown_fields=True):
    """Without ``webhook`` all dead ones of the endpoint, at most 200 at once."""

    endpoint: EndpointId
    webhook: WebhookId | None = None


class SwitchWebhooks(msgspec.Struct, forbid_unknown_fields=True):
    endpoint: EndpointId


@get("", responses=problems(missing="", forbidden=_ADMINS))
async def webhooks(operator: Operator, hooks: WebhookStore) -> WebhookOverview:
    """All endpoints, and what is dead. No secret is told."""
    _check(operator)
    return await _overview(hooks)


@post("/resend", status_code=200, responses=problems(_OFF, "", _MISSING, _ADMINS))
async def resend(data: JSONBody[ResendWebhooks], operator: Operator, hooks: WebhookStore) -> WebhookOverview:
    """Send dead webhooks again, with all attempts before them."""
    _check(operator)
    async with _asked():
        endpoint = (await hooks.newest()).get(data.endpoint)
        if endpoint is None:
            raise HTTPException(_MISSING, status_code=404)
        if endpoint.disabled:
            raise HTTPException(_OFF, status_code=409)
        dead, _ = await _dead(hooks, data.endpoint, data.webhook)
        if data.webhook is not None and not dead:
            raise HTTPException("there is no such dead webhook", status_code=404)
        for one in dead:
            await hooks.resend(one)
    return await _overview(hooks)


@post("/enable", status_code=200, responses=problems("", "", _MISSING, _ADMINS))
async def enable(data: JSONBody[SwitchWebhooks], operator: Operator, hooks: WebhookStore) -> WebhookOverview:
    """Tell an endpoint again what happens from now on."""
    _check(operator)
    return await _changed(hooks, lambda all: webhook_endpoints.switched(all, data.endpoint, ""))


@post("/disable", status_code=200, responses=problems("", "", _MISSING, _ADMINS))
async def disable(data: JSONBody[SwitchWebhooks], operator: Operator, hooks: WebhookStore) -> WebhookOverview:
    """Tell an endpoint nothing until it is enabled. What is due to it is kept as dead."""
    _check(operator)
    why = f"switched off by {operator.name}"
    return await _changed(hooks, lambda all: webhook_endpoints.switched(all, data.endpoint, why))


def webhook_routes() -> Router:
    """All of these."""
    return Router(
        path="/api/webhooks",
        route_handlers=[webhooks, resend, enable, disable],
        exception_handlers={Exception: as_problem},
    )


def _check(operator: Operator) -> None:
    if operator.role != "admin":
        raise PermissionDeniedException(_ADMINS)


@asynccontextmanager
async def _asked() -> AsyncIterator[None]:
    try:
        yield
    except EndpointRefused as error:
        raise HTTPException(_MISSING, status_code=404) from error
    except (*NATS_ERRORS, WebhooksUnreadable) as error:
        raise Unavailable(f"webhooks: {error!r}") from error


async def _changed(hooks: WebhookStore, change: EndpointChange) -> WebhookOverview:
    async with _asked():
        await hooks.change(change)
    return await _overview(hooks)


async def _dead(
    hooks: WebhookStore, endpoint: str = "*", webhook: str | None = None
) -> tuple[list[DeadWebhook], bool]:
    """The oldest, and whether there are more."""
    found: list[DeadWebhook] = []
    async for one in hooks.dead(endpoint, webhook or "*"):
        if len(found) == MAX_DEAD:
            return found, True
        found.append(one)
    return found, False


async def _overview(hooks: WebhookStore) -> WebhookOverview:
    async with _asked():
        endpoints = (await hooks.newest()).values()
        dead, more = await _dead(hooks)
    return WebhookOverview(
        [
            WebhookEndpointDetail(
                each.id, each.url, list(each.events), each.words, each.disabled, format_time(each.since)
            )
            for each in endpoints
        ],
        [
            DeadWebhookDetail(
                *(one.endpoint, one.id, one.job.event, one.job.conversation, one.job.why),
                since=one.at.isoformat(timespec="seconds").replace("+00:00", "Z") if one.at else "",
            )
            for one in dead
        ],
        more,
    )
