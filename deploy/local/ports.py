"""Which port each process gets: found out, and refused, before anything starts."""

from __future__ import annotations

from deploy.cli.settings import Local
from shared.service.settings import variable
from shared.service.sockets import CannotListen, listen

SERVICES = ("proxy", "workflow", "operator", "analytics")
LOOPBACK = "127.0.0.1"


class PortError(Exception):
    """A port cannot be had; the text names it and its setting."""


def assign(settings: Local, replicas: dict[str, int]) -> dict[str, int]:
    """The port of each process by its name: ``proxy``, ``proxy-2``, ... Raises `PortError`.

    The first of each kind takes the port of its setting, its replicas the following free ones.
    """
    fixed = {name: getattr(settings, f"{name}_port") for name in SERVICES}
    wanted = dict(fixed) if settings.nats_url else {"nats": settings.nats_port, **fixed}
    owners: dict[int, str] = {}
    for name, port in wanted.items():
        setting = variable(f"{name}_port")
        if port in owners:
            raise PortError(f"{owners[port]} and {setting} both name port {port}; each needs its own.")
        owners[port] = setting
        host = LOOPBACK if name == "nats" else settings.host
        try:
            listen(host, port, setting).close()
        except CannotListen as error:
            raise PortError(f"{'nats-server' if name == 'nats' else name}: {error}") from error
    taken = set(owners)
    ports = {}
    for name, port in fixed.items():
        ports[name] = port
        for number in range(2, replicas.get(name, 1) + 1):
            port = _next_free(settings.host, port, taken)
            taken.add(port)
            ports[f"{name}-{number}"] = port
    return ports


def in_use(host: str, port: int) -> bool:
    """Whether something listens there already, or nothing can."""
    try:
        listen(host, port, "").close()
    except CannotListen:
        return True
    return False


def _next_free(host: str, port: int, taken: set[int]) -> int:
    for following in range(port + 1, 65536):
        if following not in taken and not in_use(host, following):
            return following
    raise PortError(f"No port above {port} is free for a replica.")
