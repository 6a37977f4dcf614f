"""The dashboard of the bot. Replicas of analytics count the same: take the max of them, never the sum."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.observability.panels import (
    EACH_SECOND,
    SECONDS,
    SHARE,
    dashboard,
    graph,
    increase,
    number,
    of_the_log,
    quantile,
    quantiles,
    rate,
    share_of,
)

STARTED: Final = "max(increase(switchboard_conversations_started_total[$__range]))"


def bot() -> Dashboard:
    """For whoever writes the flows."""
    handoffs = "sum(max by (queue) (increase(switchboard_handoffs_total[$__range])))"
    return dashboard(
        "bot",
        "Switchboard: the bot",
        "What the bot answers, how quickly, and where it does not",
        [
            (
                "In the time shown",
                [
                    number("Conversations", STARTED, about="A reset begins another"),
                    number(
                        "Turns",
                        "max(increase(switchboard_turns_total[$__range]))",
                        about="Answered by the bot",
                    ),
                    number("Handoffs for each conversation", f"({handoffs} or vector(0)) / {STARTED}", SHARE),
                    number(
                        "Failures",
                        'max(increase(switchboard_refusals_total{reason="failed"}[$__range]))',
                        about="Inputs for which the bot could decide or store no answer",
                    ),
                    number(
                        "Assistant's cost",
                        "sum(increase(switchboard_assistant_cost_total[$__range]))",
                        about="In the unit of the prices that are set",
                    ),
                    number("Open now", "sum(max by (owner) (switchboard_conversations_open))"),
                ],
            ),
            (
                "Answers",
                [
                    graph(
                        "Answer time",
                        *(
                            (
                                f"histogram_quantile({share}, max by (le) "
                                "(rate(switchboard_bot_answer_seconds_bucket[$__rate_interval])))",
                                f"p{share * 100:.0f}",
                            )
                            for share in (0.5, 0.95, 0.99)
                        ),
                        unit=SECONDS,
                        about="From the stored time of the visitor's message to that of the answer",
                        width=12,
                    ),
                    graph(
                        "Answer time, p95, by whether something outside was asked",
                        (quantile(0.95, "switchboard_turn_seconds", "asked"), "asked: {{asked}}"),
                        unit=SECONDS,
                        width=12,
                    ),
                    graph(
                        "Turns and refusals",
                        ("max(rate(switchboard_turns_total[$__rate_interval]))", "turns"),
                        (
                            "max by (reason) (rate(switchboard_refusals_total[$__rate_interval])) > 0",
                            "{{reason}}",
                        ),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "Outcomes",
                        rate("switchboard_outcomes_total", "outcome"),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "Conversations each hour",
                        ("max(increase(switchboard_conversations_started_total[1h]))", "started"),
                        ("max(increase(switchboard_conversations_ended_total[1h]))", "ended by silence"),
                    ),
                ],
            ),
            (
                "Flows",
                [
                    graph(
                        "Flows begun and completed, each hour",
                        of_the_log("switchboard_flows_started_total", "flow", legend="{{flow}} begun"),
                        of_the_log("switchboard_flows_completed_total", "flow", legend="{{flow}} completed"),
                    ),
                    graph(
                        "Questions asked and answered, each hour",
                        of_the_log(
                            "switchboard_questions_asked_total", "flow", "state", legend="{{state}} asked"
                        ),
                        of_the_log(
                            "switchboard_questions_answered_total",
                            "flow",
                            "state",
                            legend="{{state}} answered",
                        ),
                    ),
                    graph(
                        "Questions without an answer, each hour",
                        of_the_log("switchboard_questions_unanswered_total", "flow", "reason"),
                    ),
                    graph("Doors, each hour", of_the_log("switchboard_doors_entered_total", "door")),
                    graph(
                        "Conditions that say neither yes nor no",
                        increase(
                            "switchboard_conditions_untold_total",
                            "flow",
                            "state",
                            legend="{{flow}}: {{state}}",
                            some=True,
                        ),
                        about="Each hour; they count as false",
                    ),
                    graph(
                        "Backends",
                        rate("switchboard_service_calls_total", "outcome"),
                        unit=EACH_SECOND,
                    ),
                    graph("Backends' answer time", *quantiles("switchboard_service_seconds"), unit=SECONDS),
                    graph(
                        "Timers that took effect",
                        rate("switchboard_timers_fired_total", "purpose"),
                        unit=EACH_SECOND,
                    ),
                ],
            ),
            (
                "The assistant",
                [
                    graph(
                        "Answers",
                        rate("switchboard_assistant_answers_total", "outcome"),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "Answered",
                        (
                            share_of(
                                'switchboard_assistant_answers_total{outcome="answered"}',
                                "switchboard_assistant_answers_total",
                            ),
                            "answered",
                        ),
                        unit=SHARE,
                    ),
                    graph(
                        "First word", *quantiles("switchboard_assistant_first_token_seconds"), unit=SECONDS
                    ),
                    graph(
                        "Tokens",
                        rate("switchboard_assistant_tokens_total", "direction"),
                        unit=EACH_SECOND,
                    ),
                    graph(
                        "In the making",
                        ("sum(switchboard_assistant_busy)", "answers"),
                        ("sum(rate(switchboard_draft_pieces_total[$__rate_interval]))", "pieces a second"),
                    ),
                    graph(
                        "Messages, each hour",
                        of_the_log("switchboard_assistant_messages_total", "flow"),
                        of_the_log("switchboard_assistant_messages_failed_total", "flow", "reason"),
                    ),
                    graph(
                        "Suggestions for operators",
                        rate("switchboard_suggestions_total", "kind", "outcome"),
                        unit=EACH_SECOND,
                    ),
                ],
            ),
        ],
    )
