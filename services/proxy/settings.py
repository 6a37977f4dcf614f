"""The proxy's settings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from shared.runtime.settings import Common, Port, PositiveInt


class ProxySettings(Common, frozen=True, kw_only=True):
    proxy_port: Annotated[Port, Meta(description="port of the proxy")] = 9998
    origins: Annotated[
        tuple[str, ...],
        Meta(
            description="web origins that may connect, as https://shop.example; 'loopback' for any local one"
        ),
    ] = ()
    cookie_name: Annotated[
        str, Meta(description="name of the session cookie", pattern="^[A-Za-z0-9_.-]+$")
    ] = "switchboard"
    cookie_httponly: Annotated[bool, Meta(description="hide the session cookie from scripts")] = True
    cookie_samesite: Annotated[
        Literal["lax", "strict", "none"],
        Meta(description="none: the chat button works on pages of another site, over HTTPS only"),
    ] = "lax"
    cookie_secure: Annotated[
        Literal["auto", "yes", "no"], Meta(description="auto: the cookie is Secure under HTTPS")
    ] = "auto"
    cookie_path: Annotated[str, Meta(description="path of the session cookie", pattern="^/[^;]*$")] = "/"
    cookie_domain: Annotated[
        str, Meta(description="domain of the session cookie, empty for this host alone", pattern="^[^;]*$")
    ] = ""
    max_sockets: Annotated[PositiveInt, Meta(description="sockets in all")] = 20_000
    max_sockets_per_visitor: Annotated[PositiveInt, Meta(description="sockets of one visitor")] = 20
    messages_per_minute: Annotated[
        PositiveInt, Meta(description="messages that one socket may send in a minute, on average")
    ] = 600
    message_burst: Annotated[PositiveInt, Meta(description="messages that one socket may send at once")] = 60
