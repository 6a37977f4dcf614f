"""A listening socket, or a sentence that says which setting to change."""

from __future__ import annotations

import errno
import os
import socket


class CannotListen(OSError):
    """Nothing can listen there; the text says why and what to set."""


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Listen on ``host`` (IPv4, IPv6, a name). ``setting`` is the port's variable. Raises `CannotListen`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()  # every address, of IPv4 too
    try:
        return socket.create_server((host, port), family=family, backlog=4096, dualstack_ipv6=both)
    except OSError as error:
        if (error.errno or 0) < 0:  # of getaddrinfo: the name means nothing
            raise CannotListen(f"{host} is no known address. Set SWITCHBOARD_HOST.") from error
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"Port {port} on {host} is in use. Set {setting}.") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise CannotListen(f"{host} is no address of this machine. Set SWITCHBOARD_HOST.") from error
        reason = os.strerror(error.errno or 0)
        raise CannotListen(f"Port {port} on {host} cannot be had ({reason}). Set {setting}.") from error
