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
    port = os.environ.get(f"SWITCHBOARD_{service.upper()}_PORT") or PORTS[service]
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return 0 if answer.status == 200 else 1
    except (URLError, OSError):
        return 1


if __name__ == "__main__":
    sys.exit(main())
