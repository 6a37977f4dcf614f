"""Where the dashboard is, which is of another service: who logs in for it is led back there."""

from __future__ import annotations

import msgspec
from litestar import get

from services.operator.transports.parameters import Req


class DashboardAddress(msgspec.Struct):
    """``url`` has no slash at its end."""

    url: str


@get("/api/dashboard", security=[])
async def dashboard_address(request: Req) -> DashboardAddress:
    """Where the dashboard is. Nothing but a setting says so: nobody can be led elsewhere from here."""
    return DashboardAddress(request.app.state.dashboard(request.scope))
