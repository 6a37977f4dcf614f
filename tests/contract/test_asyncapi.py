"""What docs/asyncapi.yaml says about the NATS users is what the real server lets them do."""

from __future__ import annotations

import re
from typing import Any

import pytest

import services.operator.subscriptions
import services.proxy.subscriptions
import services.workflow.subscriptions
from deploy.cli.asyncapi import CHANNELS, document, example
from deploy.local.embedded import USERS, EmbeddedNats
from shared.eventlog.connection import ConnectionState, make_broker
from shared.service.health import Health
from tests.conftest import Connections
from tests.contract.test_permissions import connected

ADDRESSES = [name for name, channel in CHANNELS.items() if channel.address is not None]


@pytest.mark.parametrize("user", [user for user in USERS if user != "admin"])
async def test_each_user_may_publish_and_subscribe_where_the_document_says(
    declared: EmbeddedNats, user: str
) -> None:
    async with connected(declared, user) as client:
        for name in ADDRESSES:
            channel = CHANNELS[name]
            subject = example(channel.address or "")
            assert await client.may_publish(subject) == (user in channel.publish), (name, "publish")
            assert await client.may_subscribe(subject) == (user in channel.subscribe), (name, "subscribe")


def test_an_add_ons_operations_are_what_its_user_may() -> None:
    for name, operation in document()["operations"].items():
        channel = CHANNELS[operation["channel"]["$ref"].removeprefix("#/channels/")]
        may = channel.publish if operation["action"] == "send" else channel.subscribe
        assert operation["x-user"] in may, name


def heard(name: str, connections: Connections) -> set[str]:
    """What the service's FastStream subscribers are for."""
    health = Health(name)
    broker = make_broker(connections.settings(name), name, ConnectionState(health))
    nothing: Any = None  # no message comes
    match name:
        case "proxy":
            services.proxy.subscriptions.subscribe(broker, health, nothing, nothing)
        case "operator":
            services.operator.subscriptions.subscribe(
                broker, health, nothing, nothing, nothing, nothing, nothing
            )
        case "workflow":
            services.workflow.subscriptions.subscribe(broker, health, nothing, nothing, nothing, nothing)
    return {subscriber.get_log_context(None)["subject"] for subscriber in broker.subscribers}


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("proxy", {"operatorTyping", "watched"}),
        ("operator", {"visitorTyping", "presence", "watched", "visitorPresence", "deskState"}),
        ("workflow", {"presence", "releases", "timersDue", "suggestions", "suggestionsOffered"}),
    ],
)
async def test_what_the_services_listen_to_is_described(
    connections: Connections, name: str, channels: set[str]
) -> None:
    described = {each: example(CHANNELS[each].address or "") for each in ADDRESSES}
    for subject in heard(name, connections):
        pattern = re.escape(subject).replace(r"\*", "[^.]+").replace(">", ".+")
        found = {each for each in described if re.fullmatch(pattern, described[each])}
        assert found, subject
        channels -= found
    assert not channels
