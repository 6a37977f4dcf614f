"""The container's health check: exit code 0 if the service in it is alive."""

from __future__ import annotations

import os
import sys
from urllib.error import URLError
from urllib.request import urlopen

PORTS = {"proxy": 9998, "operator": 9997, "analytics": 9996, "workflow": 9995}


def main() -> int:
    service = os.environ["SERVICE"]
    if service not in PORTS:
        return 0  # `setup` ends by itself
    internal = int(os.environ.get("SWITCHBOARD_INTERNAL_PORT") or 0)
    port = internal or os.environ.get(f"SWITCHBOARD_{service.upper()}_PORT") or PORTS[service]
    host = (os.environ.get("SWITCHBOARD_INTERNAL_HOST") if internal else "") or "127.0.0.1"
    try:
        with urlopen(f"http://{_reachable(host)}:{port}/healthz", timeout=2) as answer:
            return 0 if answer.status == 200 else 1
    except (URLError, OSError):
        return 1


def _reachable(host: str) -> str:
    """An address under which the container reaches what listens on ``host``."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
