"""What docs/asyncapi.yaml says about the NATS users is what the real server lets them do."""

from __future__ import annotations

import pytest

from deploy.cli.asyncapi import CHANNELS, document, example
from deploy.local.embedded import USERS, EmbeddedNats
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
