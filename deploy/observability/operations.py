"""The dashboard for operations, in words: what it shows, and by which query."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.observability.panels import (
    BYTES,
    EACH_SECOND,
    SECONDS,
    SHARE,
    dashboard,
    graph,
    increase,
    number,
    quantiles,
    rate,
)
from deploy.observability.slos import OBJECTIVES

JOBS: Final = 'job=~"proxy|workflow|operator|analytics"'
REPLICA: Final = "{{job}} {{instance}}"


def operations() -> Dashboard:
    """For whoever runs it: the services, the log, and what visitors notice of them."""
    objectives = [
        number(
            f"{each.title}: bad, 6 h",
            each.ratio("6h"),
            SHARE,
            f"{each.promise} {1 - each.target:.1%} may be bad.",
            width=6,
        )
        for each in OBJECTIVES
    ]
    burning = graph(
        "Error budgets, how fast they are used up",
        *((f"{each.ratio('1h')} / {1 - each.target:.6g}", each.title) for each in OBJECTIVES),
        about="Over the last hour; 1 is exactly as fast as is promised, 14.4 calls somebody",
        width=24,
    )
    return dashboard(
        "operations",
        "Switchboard: operations",
        "The services, the log and what visitors notice of them",
        [
            ("Objectives", [*objectives, burning]),
            (
                "Services",
                [
                    graph("Replicas that answer", ("job:switchboard_replicas:sum", "{{job}}")),
                    graph("Ready", ("min by (job) (switchboard_ready)", "{{job}}"), about="1: all replicas"),
                    graph(
                        "Connected to NATS",
                        ("min by (job) (switchboard_nats_connected)", "{{job}}"),
                        increase(
                            "switchboard_nats_disconnects_total", "job", legend="{{job}} lost", some=True
                        ),
                    ),
                    graph(
                        "Processor time",
                        (f"rate(process_cpu_seconds_total{{{JOBS}}}[$__rate_interval])", REPLICA),
                        unit=SHARE,
                        about="100 % is one core, which is all that a replica can use",
                    ),
                    graph("Memory", (f"process_resident_memory_bytes{{{JOBS}}}", REPLICA), unit=BYTES),
                    graph(
                        "HTTP answers that are faults",
                        rate('switchboard_http_responses_total{status=~"5.."}', "job", "status"),
                        unit=EACH_SECOND,
                    ),
                ],
            ),
            (
                "The log",
                [
                    graph("Append time", *quantiles("switchboard_log_append_seconds"), unit=SECONDS),
                    graph(
                        "Appends",
                        rate("switchboard_log_appends_total", "author"),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "Appends that were not stored",
                        rate(
                            'switchboard_log_appends_total{outcome!="stored"}', "author", "outcome", some=True
                        ),
                        rate(
                            "switchboard_log_append_repeats_total",
                            "author",
                            legend="{{author}} duplicate",
                            some=True,
                        ),
                        unit=EACH_SECOND,
                        about="A conflict: somebody was quicker, and what was decided on less is fenced off",
                    ),
                    graph(
                        "Entries behind, by stream",
                        ("max by (job, stream) (switchboard_follower_lag_entries)", "{{job}} {{stream}}"),
                    ),
                    graph(
                        "Messages that the live feed lacked",
                        rate("switchboard_follower_healed_total", "job"),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "Since the log was known to be whole",
                        (
                            "time() - min by (job) (switchboard_follower_checked_timestamp_seconds > 0)",
                            "{{job}}",
                        ),
                        unit=SECONDS,
                    ),
                    graph(
                        "Known to be the log as it stands",
                        ("min by (job) (switchboard_follower_certain)", "{{job}}"),
                        about="0: a connection was lost, and nothing is decided until it is proven",
                    ),
                    graph(
                        "Files of operator and analytics behind",
                        ("job_instance:switchboard_read_model_lag_entries:sum", REPLICA),
                        about="Entries that were read and are not in the file",
                    ),
                    graph(
                        "Age of the newest entry in these files",
                        ("time() - (switchboard_read_model_entry_timestamp_seconds > 0)", REPLICA),
                        unit=SECONDS,
                        about="With a quiet log that is right: nothing was stored since",
                    ),
                    graph(
                        "Questions asked of the numbers",
                        rate("switchboard_numbers_asked_total", "job"),
                        unit=EACH_SECOND,
                        about="By the dashboard of the analytics service",
                    ),
                    graph(
                        "Other messages over NATS that could not be handled",
                        rate(
                            'switchboard_subscriber_messages_total{outcome="failed"}',
                            "job",
                            "subscription",
                        ),
                        unit=EACH_SECOND,
                    ),
                ],
            ),
            (
                "Workflow",
                [
                    graph(
                        "Turns, from stored to stored", *quantiles("switchboard_turn_seconds"), unit=SECONDS
                    ),
                    graph("Decisions", *quantiles("switchboard_decide_seconds"), unit=SECONDS),
                    graph(
                        "Messages that wait, or are in hand",
                        ("stream:switchboard_consumer_pending:max", "{{stream}} waiting"),
                        (
                            "max by (stream) (switchboard_consumer_unacknowledged)",
                            "{{stream}} in hand",
                        ),
                    ),
                    graph(
                        "Redeliveries",
                        ("switchboard:worker_redeliveries:ratio_rate10m", "{{job}}"),
                        unit=SHARE,
                        about="Of all that workers are woken for",
                    ),
                    graph(
                        "Work of durable consumers",
                        rate("switchboard_worker_acknowledged_total", "job", legend="{{job}} done"),
                        (
                            "sum by (job) (switchboard_worker_conversations_in_hand)",
                            "{{job}} conversations in hand",
                        ),
                        about="Done in a second, and in hand right now",
                    ),
                    graph(
                        "Steps that are made again",
                        rate("switchboard_worker_retries_total", "job", "reason", some=True),
                        unit=EACH_SECOND,
                    ),
                    graph("How late timers are", *quantiles("switchboard_timer_delay_seconds"), unit=SECONDS),
                ],
            ),
            (
                "Visitors",
                [
                    graph("Open sockets", ("sum by (door) (switchboard_sockets_open)", "{{door}}")),
                    graph(
                        "Delivery, from stored to sent",
                        *quantiles("switchboard_delivery_seconds"),
                        unit=SECONDS,
                    ),
                    graph(
                        "Conversations followed, and answers in the making",
                        ("sum(switchboard_conversations_followed)", "conversations"),
                        ("sum(switchboard_drafts_followed)", "answers"),
                    ),
                    graph(
                        "Sockets that the server closed",
                        rate("switchboard_sockets_closed_total", "door", "code", some=True),
                        unit=EACH_SECOND,
                        about="The codes are in docs/protocol.md",
                    ),
                    graph(
                        "Refused",
                        rate(
                            "switchboard_limited_total",
                            "door",
                            "limit",
                            legend="{{door}}: {{limit}}",
                            some=True,
                        ),
                        rate(
                            "switchboard_origin_refused_total", "door", legend="{{door}}: origin", some=True
                        ),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "Slow readers",
                        increase("switchboard_slow_readers_total", "door"),
                        about="Cut off in the hour before",
                    ),
                    graph(
                        "REST requests",
                        rate("switchboard_rest_requests_total", "status"),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "What clients said, and was not stored",
                        rate('switchboard_appends_total{outcome!="stored"}', "door", "outcome", some=True),
                        unit=EACH_SECOND,
                    ),
                ],
            ),
        ],
    )
