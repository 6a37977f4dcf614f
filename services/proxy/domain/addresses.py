"""A client's address as limits count it."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

#: What one customer of a provider gets of IPv6 (RFC 6177): who has one address has all of these.
IPV6_NETWORK = 64


@lru_cache(maxsize=4096)
def counted(host: str) -> str:
    """The key under which ``host`` is counted: an IPv4 address, or the /64 network of an IPv6 one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # a Unix socket, or what a load balancer wrote instead of an address
        return host[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False))
    return str(address)


def last_hop(forwarded_for: str) -> str:
    """The right-most host of ``X-Forwarded-For``: what the balancer itself saw. "" for none."""
    host = forwarded_for.rpartition(",")[2].strip()
    if host.startswith("["):  # [2001:db8::1]:443
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host
