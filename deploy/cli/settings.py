"""The settings of `switchboard run` and of the other commands."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deploy.local.embedded import USERS
from shared.eventlog.layout import MAX_STREAMS
from shared.service.settings import Port, Seconds


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine that starts Switchboard decides. The services read their own settings."""

    host: Annotated[str, msgspec.Meta(description="address that the services listen on")] = "127.0.0.1"
    internal_port: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=65535,
            description="the first of the ports of /healthz, /readyz and /metrics, one for each process; 0: "
            "they are on the services' own",
        ),
    ] = 0
    internal_host: Annotated[
        str, msgspec.Meta(description="address to listen on for these; empty: that of all else")
    ] = ""
    data: Annotated[str, msgspec.Meta(description="folder of the embedded NATS, of passwords and logs")] = (
        "data"
    )
    flow: Annotated[str, msgspec.Meta(description="the flow file of new conversations")] = ""
    flows: Annotated[str, msgspec.Meta(description="a folder of further flows, asked for by name")] = ""
    nats_url: Annotated[str, msgspec.Meta(description="a NATS to use; no embedded one is started then")] = ""
    nats_user: Annotated[str, msgspec.Meta(description="user on that NATS, if not the command's own")] = ""
    nats_password: Annotated[str, msgspec.Meta(description="the password of that user")] = ""
    nats_ca: Annotated[str, msgspec.Meta(description="file with the certificate authority for tls://")] = ""
    nats_port: Annotated[Port, msgspec.Meta(description="port of the embedded NATS")] = 4222
    nats_sync: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(always|[1-9][0-9]*s)$",
            description="when the embedded NATS writes to the disk: always, or seconds such as 120s",
        ),
    ] = "always"
    nats_max_store: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^[1-9][0-9]*[MG]B$",
            description="what the embedded NATS may store in all, such as 10GB; above the log's size",
        ),
    ] = "10GB"
    log_max_bytes: Annotated[
        int,
        msgspec.Meta(
            ge=1024**2,
            le=2**63 - 1,
            description="the log's greatest size in bytes; below the volume's",
        ),
    ] = 8 * 1024**3
    log_replicas: Annotated[
        int, msgspec.Meta(ge=1, le=5, description="on how many servers of a cluster the log is kept")
    ] = 1
    log_streams: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=MAX_STREAMS,
            description="of how many streams a new log consists, which it keeps; 0: as it is, or the default",
        ),
    ] = 0
    master_key: Annotated[
        str,
        msgspec.Meta(
            description="wraps the keys of sealed words: 128 hex digits, and while they are changed a comma "
            "and the old ones; `make run` makes its own"
        ),
    ] = ""
    proxy_port: Annotated[Port, msgspec.Meta(description="port of the proxy")] = 9998
    operator_port: Annotated[Port, msgspec.Meta(description="port of the operators' console and API")] = 9997
    analytics_port: Annotated[Port, msgspec.Meta(description="port of the dashboard and its API")] = 9996
    workflow_port: Annotated[Port, msgspec.Meta(description="port of the workflow's health and metrics")] = (
        9995
    )
    drain_seconds: Annotated[
        Seconds, msgspec.Meta(description="how long work in hand may take after SIGTERM, in seconds")
    ] = 10.0


def password_variable(user: str) -> str:
    """The variable that holds a NATS user's password, in `permissions.conf` too."""
    return f"SWITCHBOARD_NATS_PASSWORD_{user.upper()}"


#: What only one kind of service may know; no other process is given it.
SECRETS = {
    "proxy": (
        *("SWITCHBOARD_SECRET", "SWITCHBOARD_JWT_SECRET", "SWITCHBOARD_MASTER_KEY"),
        "SWITCHBOARD_LINK_SECRET",
    ),
    "workflow": ("SWITCHBOARD_ASSISTANT_KEY", "GROQ_API_KEY", "OPENAI_API_KEY", "SWITCHBOARD_MASTER_KEY"),
    "operator": ("SWITCHBOARD_MASTER_KEY", "SWITCHBOARD_ERASER_PASSWORD", "SWITCHBOARD_LINK_SECRET"),
}
PASSWORD_VARIABLES = frozenset(password_variable(user) for user in USERS)
