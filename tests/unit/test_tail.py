"""`switchboard log`: one line for each message, whatever it holds."""

from __future__ import annotations

import json

import pytest

from deploy.cli.tail import line
from shared.eventlog.messages import StoredMessage
from tests import examples


@pytest.mark.parametrize("data", [b"", b"{", b'{"id":"\xa2"}', b"[" * 9_999, b"5"])
def test_what_cannot_be_read_is_shown_and_stops_nothing(data: bytes) -> None:
    printed = json.loads(line(StoredMessage(7, examples.CONVERSATION, "bot", examples.FIRST_TIME, data)))
    assert printed["position"] == 7
    assert printed["unreadable"] == data.decode(errors="replace")
