"""Which pages may connect: exact origins (RFC 6454), no look-alikes."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

LOOPBACK = "loopback"


def allowed(origin: str | None, host: str, origins: tuple[str, ...]) -> bool:
    """Whether a page of this origin may open a channel to ``host`` (the request's Host header).

    No Origin header means: no browser, so no cookie of a stranger's to abuse. The page that the
    proxy itself serves is always allowed. ``loopback`` in ``origins`` allows this machine's pages on
    any port.
    """
    if origin is None:
        return True
    if origin in origins:
        return True
    try:
        parts = urlsplit(origin)
        name, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not name:
        return False
    if origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        return False
    if LOOPBACK in origins and _is_loopback(name):
        return True
    default = 443 if parts.scheme == "https" else 80
    return _authority(host, default) == (name, port or default) and bool(host)


def _authority(host: str, default: int) -> tuple[str, int] | None:
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "", parts.port or default)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine to itself: ``localhost`` or a loopback address."""
    authority = _authority(host, 80)
    return authority is not None and _is_loopback(authority[0])


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
