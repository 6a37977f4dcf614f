"""What several routes take."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request
from litestar.params import PathParameter

Req = Request[Any, Any, Any]
Id = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$", description="the conversation")]
