"""The way to the dashboard, which is of another service: who logs in for it is led back there."""

from __future__ import annotations

from litestar import Response, get

from services.operator.transports.parameters import Req


@get("/dashboard", include_in_schema=False)
async def to_dashboard(request: Req) -> Response[None]:
    """To where a setting says that it is, and nowhere else. What is looked at there is the fragment of the
    address, which browsers keep on the way.
    """
    return Response(None, status_code=303, headers={"Location": request.app.state.dashboard(request.scope)})
