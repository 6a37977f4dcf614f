"""The dashboards, as Grafana reads them: grafana/*.json."""

from __future__ import annotations

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.observability.bot import bot
from deploy.observability.desk import desk
from deploy.observability.operations import operations


def texts() -> dict[str, str]:
    """The JSON of each dashboard, by its name."""
    made = {"operations": operations(), "desk": desk(), "bot": bot()}
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {name: encoder.encode(each.build()) + "\n" for name, each in made.items()}
