"""What the log's parts count of their own work."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from shared.eventlog.errors import Conflict, Full, IdReused, LogError, NoAnswer, Unknown, Unreachable
from shared.eventlog.loop_histogram import LoopHistogram
from shared.eventlog.mailbox import WakeUp
from shared.eventlog.meters import APPEND_BOUNDS, AppendMeter, WorkMeter

OUTCOMES = ("stored", "conflict", "id_reused", "full", "unknown", "unreachable", "refused", "not_sent")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def appends(registry: CollectorRegistry, author: str) -> dict[str, float | None]:
    name = "switchboard_log_appends_total"
    return {each: registry.get_sample_value(name, {"author": author, "outcome": each}) for each in OUTCOMES}


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (None, "stored"),
        (Conflict("somebody was quicker"), "conflict"),
        (IdReused("with another content"), "id_reused"),
        (Full("no room"), "full"),
        (Unknown("no answer"), "unknown"),
        (Unreachable("no key"), "unreachable"),
        (NoAnswer("no key"), "unreachable"),
        (LogError("refused"), "refused"),
        (ValueError("too large"), "not_sent"),
        (asyncio.CancelledError(), "unknown"),
    ],
)
async def test_an_append_is_counted_by_how_it_ended(
    registry: CollectorRegistry, ending: BaseException | None, outcome: str
) -> None:
    meter, sequence = AppendMeter(registry), asyncio.get_running_loop().create_future()
    meter.begin("bot", sequence)
    assert appends(registry, "bot") == dict.fromkeys(OUTCOMES, 0.0)  # all are there before the first
    if ending is None:
        sequence.set_result(7)
    elif isinstance(ending, asyncio.CancelledError):
        sequence.cancel()
    else:
        sequence.set_exception(ending)
    await asyncio.sleep(0)
    assert appends(registry, "bot") == {each: float(each == outcome) for each in OUTCOMES}
    assert registry.get_sample_value("switchboard_log_append_seconds_count") == 1
    assert set(appends(registry, "visitor").values()) == {None}


@given(amounts=st.lists(st.floats(0, 20)))
def test_a_loop_histogram_says_the_same_as_prometheus_clients(amounts: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    ours_observes = LoopHistogram("took_seconds", "Time", buckets=APPEND_BOUNDS, registry=ours)
    theirs_observes = Histogram("took_seconds", "Time", buckets=APPEND_BOUNDS, registry=theirs)
    for amount in amounts:
        ours_observes.observe(amount)
        theirs_observes.observe(amount)
    assert generate_latest(ours) == generate_latest(theirs)


def test_a_loop_histogram_has_its_name_alone(registry: CollectorRegistry) -> None:
    LoopHistogram("took_seconds", "Time", buckets=(1.0,), registry=registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        LoopHistogram("took_seconds", "Time", buckets=(1.0,), registry=registry)


def wake_up(times: int) -> WakeUp:
    """As the server delivers it for the ``times``-th time."""
    return WakeUp(Msg(Client(), reply=f"$JS.ACK.CHAT-0.workflow.{times}.17.3.1700000000000000000.0"))


def test_a_wake_up_that_comes_again_is_a_redelivery(registry: CollectorRegistry) -> None:
    meter = WorkMeter(registry)
    for times in (1, 2, 1, 3):
        meter.took(wake_up(times))
    assert registry.get_sample_value("switchboard_worker_deliveries_total") == 4
    assert registry.get_sample_value("switchboard_worker_redeliveries_total") == 2


def test_what_is_made_again_is_counted_by_why(registry: CollectorRegistry) -> None:
    meter = WorkMeter(registry)
    for error in (Conflict(""), Conflict(""), Unreachable(""), RuntimeError("ours")):
        meter.again(error)
    found = {
        reason: registry.get_sample_value("switchboard_worker_retries_total", {"reason": reason})
        for reason in ("conflict", "unreachable", "fault", "unknown")
    }
    assert found == {"conflict": 2, "unreachable": 1, "fault": 1, "unknown": 0}
