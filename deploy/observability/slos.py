"""The services' objectives, and the rules that watch them: rules/slo.yml.

Several windows, several burn rates (Google's SRE workbook, chapter 5): a budget that is used up 14.4 times
too fast for an hour, or 6 times for six hours, is worth waking somebody up; 3 times for a day, or at all for
three days, can wait for the morning. The short window beside each ends the alert when the trouble is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

#: The windows over which ratios are recorded.
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
#: With so few bad events in the long window nobody is called: of ten turns at night, one is no trend.
FEWEST: Final = 5
_SECONDS: Final = {"m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Burn:
    """A budget that is used up ``rate`` times too fast over both windows."""

    rate: float
    long: str
    short: str


FAST: Final = (Burn(14.4, "1h", "5m"), Burn(6, "6h", "30m"))
SLOW: Final = (Burn(3, "1d", "2h"), Burn(1, "3d", "6h"))


@dataclass(frozen=True, slots=True)
class Objective:
    """``good`` of all events shall be good. ``bad`` and ``all`` give events a second over a window."""

    key: str
    title: str
    target: float
    promise: str
    bad: Callable[[str], str]
    all: Callable[[str], str]
    action: str

    def ratio(self, window: str) -> str:
        """The name of the recorded ratio of bad events."""
        return f"switchboard:{self.key}_bad:ratio_rate{window}"


def _slow_turns(window: str) -> str:
    soon = f'sum(rate(switchboard_turn_seconds_bucket{{asked="no",le="1.0"}}[{window}]))'
    return f"({_turns(window)} - {soon})"


def _turns(window: str) -> str:
    done = f'sum(rate(switchboard_turn_seconds_count{{asked="no"}}[{window}]))'
    return f'({done} + sum(rate(switchboard_outcomes_total{{outcome="failed"}}[{window}])))'


def _late_deliveries(window: str) -> str:
    return f'({_deliveries(window)} - sum(rate(switchboard_delivery_seconds_bucket{{le="0.5"}}[{window}])))'


def _deliveries(window: str) -> str:
    return f"sum(rate(switchboard_delivery_seconds_count[{window}]))"


def _lost_appends(window: str) -> str:
    outcomes = "unknown|full|refused|unreachable"
    return f'sum(rate(switchboard_log_appends_total{{outcome=~"{outcomes}"}}[{window}]))'


def _appends(window: str) -> str:
    return f'sum(rate(switchboard_log_appends_total{{outcome!="not_sent"}}[{window}]))'


def _failed_requests(window: str) -> str:
    faults = f'sum(rate(switchboard_http_responses_total{{job="operator",status=~"5.."}}[{window}]))'
    return f"({faults} or vector(0))"  # there is no series before the first


def _requests(window: str) -> str:
    return f'sum(rate(switchboard_http_responses_total{{job="operator"}}[{window}]))'


OBJECTIVES: Final = (
    Objective(
        "turns",
        "Turns",
        0.99,
        "99 % of the turns for which nothing outside is asked are answered within a second of being stored.",
        _slow_turns,
        _turns,
        "Look whether messages wait for the workflow, whether appends are slow, and what the log says of "
        "failures.",
    ),
    Objective(
        "deliveries",
        "Deliveries",
        0.99,
        "99 % of all entries reach those who follow the conversation within half a second of being stored.",
        _late_deliveries,
        _deliveries,
        "Look at the proxies' processor time, at healed messages, and whether clocks agree.",
    ),
    Objective(
        "appends",
        "Appends",
        0.999,
        "99.9 % of all appends are stored, or refused for a good reason such as a conflict.",
        _lost_appends,
        _appends,
        "Look at NATS: is it up, has it room, is its disk slow?",
    ),
    Objective(
        "console",
        "Console",
        0.999,
        "99.9 % of the requests to the operator service are answered without a fault of its own (5xx).",
        _failed_requests,
        _requests,
        "The operator service's log has `request_failed` with what went wrong.",
    ),
)


def rules() -> dict[str, Any]:
    """The content of rules/slo.yml."""
    recorded = [
        {"record": each.ratio(window), "expr": f"{each.bad(window)} / {each.all(window)}"}
        for each in OBJECTIVES
        for window in WINDOWS
    ]
    alerts = [alert for each in OBJECTIVES for alert in (_alert(each, FAST), _alert(each, SLOW))]
    return {
        "groups": [
            {"name": "switchboard-slo-ratios", "interval": "30s", "rules": recorded},
            {"name": "switchboard-slo-alerts", "rules": alerts},
        ]
    }


def _alert(each: Objective, burns: tuple[Burn, ...]) -> dict[str, Any]:
    fast = burns is FAST
    name = f"Switchboard{each.title}Budget{'Fast' if fast else 'Slow'}"
    how = "fast" if fast else "slowly, but too fast"
    return {
        "alert": name,
        "expr": " or ".join(f"({_burning(each, burn)})" for burn in burns),
        "for": "2m" if fast else "15m",
        "labels": {"severity": "critical" if fast else "warning", "slo": each.key},
        "annotations": {
            "summary": f"{each.title}: the error budget is used up {how}",
            "description": f"{each.promise} Now {{{{ $value | humanizePercentage }}}} are not.",
            "action": each.action,
            "runbook": f"docs/alerts.md#objective-{each.key}",
        },
    }


def _burning(each: Objective, burn: Burn) -> str:
    limit = f"{burn.rate} * {round(1 - each.target, 6)}"
    seconds = int(burn.long[:-1]) * _SECONDS[burn.long[-1]]
    return (
        f"{each.ratio(burn.long)} > {limit} and {each.ratio(burn.short)} > {limit}"
        f" and {each.bad(burn.long)} * {seconds} >= {FEWEST}"
    )
