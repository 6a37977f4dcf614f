"""The image's one entry: the service that the image was built for, or the `switchboard` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Become the process itself, so that SIGTERM reaches it."""
    service = os.environ["SERVICE"]
    module = "deploy.cli.main" if service == "setup" else f"services.{service}"
    os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])


if __name__ == "__main__":
    main()
