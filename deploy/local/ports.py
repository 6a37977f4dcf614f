"""Which port each process gets: found out, and refused, before anything starts."""

from __future__ import annotations

from collections.abc import Mapping

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


def assign_internal(settings: Local, ports: Mapping[str, int]) -> dict[str, int]:
    """The port of each process's health and metrics: the first gets that of the setting, the others the
    following free ones. Nothing where it is not set: they are on the processes' own ``ports`` then.

    Raises `PortError`.
    """
    if not settings.internal_port:
        return {}
    host = settings.internal_host or settings.host
    taken = {*ports.values(), *(() if settings.nats_url else (settings.nats_port,))}
    setting, first = variable("internal_port"), settings.internal_port
    if first in taken:
        raise PortError(f"{setting} names port {first}, which another setting names; each needs its own.")
    try:
        listen(host, first, setting).close()
    except CannotListen as error:
        raise PortError(str(error)) from error
    found: dict[str, int] = {}
    for name in ports:
        found[name] = _next_free(host, max(found.values()), taken) if found else first
        taken.add(found[name])
    return found


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
