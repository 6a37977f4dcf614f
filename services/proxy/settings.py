"""The proxy's settings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from shared.service.settings import Origin, Port, PositiveInt, Sealing

#: A flow by its name, "" for the workflow's default.
FlowName = Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{0,64}$")]


class ProxySettings(Sealing, frozen=True, kw_only=True):
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
    cookie_partitioned: Annotated[
        bool,
        Meta(
            description="a cookie of its own for each site that shows the chat button: browsers that "
            "block third-party cookies keep it; needs COOKIE_SAMESITE=none"
        ),
    ] = False
    cookie_path: Annotated[
        str, Meta(description="path of the session cookie", pattern=r"^/[^;,\s\x00-\x1f\x7f]*$")
    ] = "/"
    cookie_domain: Annotated[
        str,
        Meta(
            description="domain of the session cookie, empty for this host alone", pattern=r"^[A-Za-z0-9.-]*$"
        ),
    ] = ""
    max_sockets: Annotated[PositiveInt, Meta(description="open sockets and streams in all")] = 20_000
    max_sockets_per_visitor: Annotated[
        PositiveInt, Meta(description="open sockets and streams of one visitor")
    ] = 20
    max_sockets_per_address: Annotated[
        PositiveInt, Meta(description="open sockets and streams from one address")
    ] = 10_000
    connects_per_minute: Annotated[
        PositiveInt,
        Meta(description="connects of one address in a minute, on average; an office may share one"),
    ] = 1_200
    connect_burst: Annotated[PositiveInt, Meta(description="connects of one address at once")] = 1_200
    messages_per_minute: Annotated[
        PositiveInt, Meta(description="messages of one visitor in a minute, on average")
    ] = 600
    message_burst: Annotated[PositiveInt, Meta(description="messages of one visitor at once")] = 60

    websocket_flow: Annotated[
        FlowName, Meta(description="flow of new conversations at the chat button's door, if it asks for none")
    ] = ""
    rest_flow: Annotated[FlowName, Meta(description="the same for REST")] = ""
    socketio_flow: Annotated[FlowName, Meta(description="the same for Socket.IO")] = ""

    turn_seconds: Annotated[
        PositiveInt, Meta(description="an answer of the assistant without a word for so long has failed")
    ] = 30
    ping_seconds: Annotated[
        float,
        Meta(ge=1, description="how often an open socket is pinged, and how long it may take to answer"),
    ] = 20.0

    secret: Annotated[
        str,
        Meta(description="names the conversations of agents' users; the same for all proxies, for ever"),
    ] = ""
    agents_open: Annotated[
        bool,
        Meta(
            description="let agents' users of other machines in without a token: anyone may say to be anyone"
        ),
    ] = False
    agents_file: Annotated[
        str, Meta(description="JSON file with agents of your own: see docs/socketio.md")
    ] = ""
    link_secret: Annotated[
        str,
        Meta(
            description="signs links in e-mails to visitors, at least 32 bytes; the same for proxy and "
            "operator service"
        ),
    ] = ""
    jwt_secret: Annotated[
        str, Meta(description="who is let in by a token (JWT): the issuer's secret, at least 32 bytes")
    ] = ""
    jwt_key: Annotated[
        str, Meta(description="the same with the issuer's public key: PEM, JWK or JWK set")
    ] = ""
    jwt_algorithms: Annotated[
        tuple[str, ...],
        Meta(description="algorithms that tokens may have; empty for the one that fits the key"),
    ] = ()
    jwt_issuer: Annotated[str, Meta(description="whose tokens count (iss); empty for any")] = ""
    jwt_audience: Annotated[str, Meta(description="for whom tokens count (aud); empty for any")] = ""

    def __post_init__(self) -> None:
        if self.cookie_samesite == "none" and self.cookie_secure == "no":
            raise ValueError(
                "SWITCHBOARD_COOKIE_SAMESITE=none and SWITCHBOARD_COOKIE_SECURE=no do not go together: "
                "browsers drop such a cookie. Set SWITCHBOARD_COOKIE_SECURE to yes or auto."
            )
        if self.cookie_partitioned and self.cookie_samesite != "none":
            raise ValueError(
                "SWITCHBOARD_COOKIE_PARTITIONED=yes needs SWITCHBOARD_COOKIE_SAMESITE=none: any other "
                "cookie is not sent from pages of another site. Set both, and serve the proxy over HTTPS."
            )
