"""The proxy's settings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from shared.runtime.settings import Common, Origin, Port, PositiveInt


class ProxySettings(Common, frozen=True, kw_only=True):
    proxy_port: Annotated[Port, Meta(description="port of the proxy")] = 9998
    origins: Annotated[
        tuple[Origin, ...],
        Meta(
            description="web origins that may connect, as https://shop.example; 'loopback' for any local one"
        ),
    ] = ()
    cookie_name: Annotated[
        str,
        Meta(description="name of the session cookie: letters, digits, _ . -", pattern="^[A-Za-z0-9_.-]+$"),
    ] = "switchboard"
    cookie_httponly: Annotated[bool, Meta(description="hide the session cookie from scripts")] = True
    cookie_samesite: Annotated[
        Literal["lax", "strict", "none"],
        Meta(description="none: the chat button works on pages of another site, over HTTPS only"),
    ] = "lax"
    cookie_secure: Annotated[
        Literal["auto", "yes", "no"], Meta(description="auto: the cookie is Secure under HTTPS")
    ] = "auto"
    cookie_path: Annotated[
        str, Meta(description="path of the session cookie", pattern=r"^/[^;,\s\x00-\x1f\x7f]*$")
    ] = "/"
    cookie_domain: Annotated[
        str,
        Meta(
            description="domain of the session cookie, empty for this host alone", pattern=r"^[A-Za-z0-9.-]*$"
        ),
    ] = ""
    max_sockets: Annotated[PositiveInt, Meta(description="sockets in all")] = 20_000
    max_sockets_per_visitor: Annotated[PositiveInt, Meta(description="sockets of one visitor")] = 20
    messages_per_minute: Annotated[
        PositiveInt, Meta(description="messages that one socket may send in a minute, on average")
    ] = 600
    message_burst: Annotated[PositiveInt, Meta(description="messages that one socket may send at once")] = 60

    def __post_init__(self) -> None:
        if self.cookie_samesite == "none" and self.cookie_secure == "no":
            raise ValueError(
                "SWITCHBOARD_COOKIE_SAMESITE=none and SWITCHBOARD_COOKIE_SECURE=no do not go together: "
                "browsers drop such a cookie. Set SWITCHBOARD_COOKIE_SECURE to yes or auto."
            )
