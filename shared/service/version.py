"""The version of this installation."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("switchboard")
except PackageNotFoundError:  # run from a checkout that was never installed
    VERSION = "0.0.0"
