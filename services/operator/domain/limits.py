"""A limit on failed logins. The clock is passed in.

Wrong passwords are counted for an account at one address, so that nobody can keep a colleague out from
elsewhere, and for the network of the address, so that many names tried from there are seen, too.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque

WINDOW_SECONDS = 60.0
#: Keys remembered at most: a flood of invented names must not fill the memory.
MAX_KEYS = 10_000
#: A network may fail so many times as often as one account at one address: an office is one.
NETWORK_FACTOR = 10


class Failures:
    """At most ``most`` failures for one key within ``window`` seconds."""

    def __init__(self, most: int, window: float = WINDOW_SECONDS) -> None:
        self._most = most
        self._window = window
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    def wait(self, key: str, now: float) -> float:
        """Seconds until another try may be made; 0 for now. Remembers nothing."""
        times = [time for time in self._times.get(key, ()) if time > now - self._window]
        return 0.0 if len(times) < self._most else times[0] + self._window - now

    def add(self, key: str, now: float) -> None:
        """Count a try as failed. Count it before it is made: tries at once are then seen together."""
        times = self._times.setdefault(key, deque(maxlen=self._most))
        times.append(now)
        self._times.move_to_end(key)
        while len(self._times) > MAX_KEYS:
            self._times.popitem(last=False)

    def take_back(self, key: str, time: float) -> None:
        """The try that was counted at ``time`` did not fail."""
        times = self._times.get(key)
        if times is not None and time in times:
            times.remove(time)
            if not times:
                del self._times[key]


class LoginLimit:
    """Whether an account may be tried from an address."""

    def __init__(self, failures: int) -> None:
        self._accounts = Failures(failures)
        self._networks = Failures(failures * NETWORK_FACTOR)

    def wait(self, name: str, address: str, now: float) -> float:
        """Seconds until the account may be tried from there; 0 for now."""
        account, network = _keys(name, address)
        return max(self._accounts.wait(account, now), self._networks.wait(network, now))

    def add(self, name: str, address: str, now: float) -> None:
        """Count a try as failed, before it is made."""
        account, network = _keys(name, address)
        self._accounts.add(account, now)
        self._networks.add(network, now)

    def take_back(self, name: str, address: str, time: float) -> None:
        """The try that was counted at ``time`` did not fail."""
        account, network = _keys(name, address)
        self._accounts.take_back(account, time)
        self._networks.take_back(network, time)


def _keys(name: str, address: str) -> tuple[str, str]:
    """What is counted: the account with the address, and the network.

    Whoever has one IPv6 address has its /64 (RFC 6177), and often a /48. What is no address counts as it is.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"{name} {address}", address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    host, network = (32, 24) if found.version == 4 else (64, 48)
    return f"{name} {_network(found, host)}", _network(found, network)


def _network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix: int) -> str:
    return str(ipaddress.ip_network((address, prefix), strict=False))
