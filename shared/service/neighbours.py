"""Where browsers reach another service of this installation, and whether a request is from one's own page."""

from __future__ import annotations

from urllib.parse import urlsplit

from shared.service.health import Scope


def neighbour(scope: Scope, url: str, port: int) -> str:
    """The address of another service, without a slash at its end: what a setting says, or the same host name
    at its port.
    """
    if url:
        return url.rstrip("/")
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    try:
        name = urlsplit(f"//{host}").hostname or "127.0.0.1"
    except ValueError:
        name = "127.0.0.1"
    return f"{scope.get('scheme', 'http')}://{f'[{name}]' if ':' in name else name}:{port}"


def is_own_page(headers: dict[bytes, bytes]) -> bool:
    """Whether a page of the service itself asks, or no page: no other page may, not even one of the same
    machine, which the session's cookie would be sent to at every port.

    Browsers name the origin of every request that changes something, and what kind of page it comes from
    (Sec-Fetch-Site, on HTTPS and on this machine); "none" is the address bar. Other clients name neither.
    """
    if headers.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none"):
        return False
    origin = headers.get(b"origin")
    if origin is None:
        return True
    host = headers.get(b"host", b"").decode("latin-1").lower()
    return bool(host) and urlsplit(origin.decode("latin-1").lower()).netloc == host
