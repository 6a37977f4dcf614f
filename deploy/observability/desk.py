"""The dashboard of the desk. Replicas of analytics count the same: take the max of them, never the sum."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.observability.panels import (
    EACH_SECOND,
    SECONDS,
    dashboard,
    graph,
    increase,
    number,
    of_the_log,
    people_took,
    rate,
)


def desk() -> Dashboard:
    """For whoever leads the operators."""
    waiting = "max by (queue) (switchboard_conversations_waiting)"
    return dashboard(
        "desk",
        "Switchboard: the desk",
        "Who waits for a person, and what operators do",
        [
            (
                "Now",
                [
                    number("Waiting now", f"sum({waiting}) or vector(0)", about="For an operator"),
                    number(
                        "With an operator",
                        'max(switchboard_conversations_open{owner="operator"})',
                    ),
                    number("Consoles open", "sum(switchboard_operator_listeners)"),
                    number(
                        "Asked for a person",
                        "sum(max by (queue) (increase(switchboard_handoffs_total[$__range])))",
                        about="In the time shown",
                    ),
                    number(
                        "Nobody came",
                        "max(increase(switchboard_handoffs_withdrawn_total[$__range]))",
                        about="In the time shown: the flow went on without a person",
                    ),
                    number(
                        "Claims",
                        "max(increase(switchboard_claims_total[$__range]))",
                        about="In the time shown",
                    ),
                ],
            ),
            (
                "Conversations",
                [
                    graph("Waiting, by queue", (waiting, "{{queue}}"), width=12),
                    graph(
                        "Open, by who has them",
                        ("max by (owner) (switchboard_conversations_open)", "{{owner}}"),
                        width=12,
                    ),
                    graph(
                        "Handoffs and claims each hour",
                        (
                            "max by (queue) (increase(switchboard_handoffs_total[1h]))",
                            "handoffs to {{queue}}",
                        ),
                        ("max(increase(switchboard_claims_total[1h]))", "claims"),
                        width=12,
                    ),
                    graph(
                        "Given out, and lost",
                        increase("switchboard_assignments_total", "outcome"),
                        ("sum(increase(switchboard_leases_lapsed_total[1h]))", "operator gone"),
                        ("sum(increase(switchboard_agreed_times_noted_total[1h]))", "agreed times noted"),
                        about="Each hour",
                        width=12,
                    ),
                ],
            ),
            (
                "How long people took, in the day before",
                [
                    graph("Waiting", *people_took("switchboard_waiting_seconds"), unit=SECONDS, width=6),
                    graph(
                        "First response",
                        *people_took("switchboard_first_response_seconds"),
                        unit=SECONDS,
                        width=6,
                    ),
                    graph(
                        "Next responses",
                        *people_took("switchboard_next_response_seconds"),
                        unit=SECONDS,
                        width=6,
                    ),
                    graph(
                        "Resolution", *people_took("switchboard_resolution_seconds"), unit=SECONDS, width=6
                    ),
                ],
            ),
            (
                "What came of it, each hour",
                [
                    graph(
                        "Waits that ended", of_the_log("switchboard_waits_ended_total", "queue", "outcome")
                    ),
                    graph(
                        "Resolved, and gone on",
                        of_the_log(
                            "switchboard_conversations_resolved_total", "queue", legend="resolved {{queue}}"
                        ),
                        of_the_log(
                            "switchboard_conversations_reopened_total",
                            "closed_by",
                            legend="gone on, closed by {{closed_by}}",
                        ),
                    ),
                    graph("Operators' messages", of_the_log("switchboard_operator_messages_total", "queue")),
                    graph("Ratings", of_the_log("switchboard_ratings_total", "score")),
                    graph(
                        "Agreed times broken",
                        of_the_log("switchboard_agreed_times_broken_total", "goal", "queue"),
                    ),
                ],
            ),
            (
                "The console",
                [
                    graph(
                        "Commands",
                        rate("switchboard_operator_commands_total", "command", some=True),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "Commands that were not done",
                        rate(
                            'switchboard_operator_commands_total{outcome!="done"}',
                            "command",
                            "outcome",
                            legend="{{command}}: {{outcome}}",
                            some=True,
                        ),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "Logins each hour",
                        increase("switchboard_operator_logins_total", "outcome"),
                    ),
                ],
            ),
            (
                "What goes out",
                [
                    graph(
                        "E-mails each hour",
                        increase("switchboard_mails_total", "outcome"),
                        ("max(switchboard_mails_waiting)", "waiting now"),
                    ),
                    graph(
                        "Webhooks",
                        rate("switchboard_webhooks_total", "outcome"),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "Webhooks that wait",
                        ("max by (which) (switchboard_webhooks_kept)", "{{which}}"),
                        ("sum(switchboard_webhooks_in_hand)", "in hand"),
                    ),
                    graph(
                        "Webhooks that came again, or were left out",
                        increase("switchboard_webhook_redeliveries_total", "what", legend="{{what}} again"),
                        ("sum(increase(switchboard_webhook_entries_left_out_total[1h]))", "left out"),
                        about="Each hour",
                    ),
                    graph(
                        "Which replica does what only one does",
                        ("switchboard_leads", "{{task}} {{instance}}"),
                    ),
                    graph(
                        "Conversations erased each day",
                        ("sum(increase(switchboard_conversations_erased_total[1d]))", "erased"),
                    ),
                ],
            ),
        ],
    )
