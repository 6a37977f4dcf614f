"""Where webhooks may be sent to, and when a delivery that failed is tried again. Pure."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

#: How long after each attempt that failed the next one is (seconds): for about 32 hours.
DELAYS: Final = (5.0, 60.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0)
#: So much of a delay is chance, so that what failed together does not come again together.
_JITTER: Final = 0.2

#: IPv6 addresses of the internet at large (IANA, Internet Protocol Version 6 Address Space).
_GLOBAL: Final = IPv6Network("2000::/3")
#: Of these, those that are not, or that stand for an IPv4 address (IANA's special-purpose registry).
_SPECIAL_6: Final = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))
)
#: Not every Python knows these to be none: relays of 6to4 (RFC 7526).
_SPECIAL_4: Final = IPv4Network("192.88.99.0/24")


def delay_after(attempt: int, chance: float) -> float | None:
    """How long to wait after this attempt (1 is the first), in seconds; None: it was the last.

    ``chance`` is between 0 and 1: of it depends by how much the delay is longer.
    """
    if attempt > len(DELAYS):
        return None
    return DELAYS[attempt - 1] * (1 + _JITTER * chance)


def is_public(address: str) -> bool:
    """Whether an IP address is of the internet at large. Raises ValueError for what is no address.

    Not so are those of IANA's special-purpose registries, multicast, and all IPv6 addresses that stand for
    an IPv4 address: a translator may lead inside.
    """
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        return ip in _GLOBAL and not any(ip in special for special in _SPECIAL_6)
    return ip.is_global and not ip.is_multicast and ip not in _SPECIAL_4
