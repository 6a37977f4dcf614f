"""The operator service's settings."""

from __future__ import annotations

import ipaddress
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from services.operator.erasure import AGE
from services.operator.sso_settings import SignOnSettings
from shared.contract.mail_address import address_of
from shared.contract.roles import Role
from shared.service.settings import Port, PositiveInt, variable


class Settings(SignOnSettings, frozen=True, kw_only=True):
    """Each field is one variable, ``SWITCHBOARD_<NAME>``."""

    operator_port: Annotated[Port, msgspec.Meta(description="port of the operators' console and API")] = 9997
    operator_file: Annotated[
        str,
        msgspec.Meta(
            description="file in which the lists of conversations are kept, of one replica; empty: a "
            "temporary one, so that the log is read anew at each start"
        ),
    ] = ""
    analytics_port: Annotated[Port, msgspec.Meta(description="port of the dashboard and its API")] = 9996
    analytics_url: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(https?://[^\s/?#@]+/?)?$",
            description="the dashboard's own address, as browsers have it: https://numbers.example.com",
        ),
    ] = ""
    session_domain: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^([a-z0-9-]+(\.[a-z0-9-]+)+)?$",
            description="the domain of console and dashboard, where they have names of their own: all its "
            "hosts get the logins' cookie; empty: the console's host alone",
        ),
    ] = ""
    login_failures: Annotated[
        PositiveInt,
        msgspec.Meta(
            description="failed logins a minute for one account at one address; ten times as many for one "
            "network"
        ),
    ] = 5
    second_factor_roles: Annotated[
        tuple[Role, ...],
        msgspec.Meta(
            description="roles that must have a second factor, such as supervisor,admin: whoever has none "
            "sets one up before anything else"
        ),
    ] = ()
    lease_seconds: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            description="an operator who is not heard of for so long loses their conversations to the queue "
            "(at least 30); 0: never",
        ),
    ] = 60
    smtp_host: Annotated[
        str,
        msgspec.Meta(description="the mail server that takes e-mails to visitors who have left; empty: none"),
    ] = ""
    smtp_port: Annotated[Port, msgspec.Meta(description="its port")] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"],
        msgspec.Meta(description="none only for a server of this machine, or without a password"),
    ] = "starttls"
    smtp_user: Annotated[str, msgspec.Meta(description="the user there; empty: it asks for none")] = ""
    smtp_password_file: Annotated[str, msgspec.Meta(description="file with the password of that user")] = ""
    smtp_ca: Annotated[
        str, msgspec.Meta(description="file with the authority of its certificate; empty: the system's")
    ] = ""
    mail_from: Annotated[
        str, msgspec.Meta(description="from whom e-mails are, as: Our shop <help@shop.example>")
    ] = ""
    mail_wait_seconds: Annotated[
        PositiveInt,
        msgspec.Meta(description="so long after an operator's words they are mailed, if they are unseen"),
    ] = 120
    mail_link_days: Annotated[
        int, msgspec.Meta(ge=1, le=90, description="how long the links in e-mails hold")
    ] = 7
    mails_per_hour: Annotated[
        PositiveInt, msgspec.Meta(description="e-mails in an hour, of all together")
    ] = 200
    public_url: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(https?://[^\s/?#@]+/?)?$",
            description="where visitors' browsers reach the proxy, as https://chat.example.com",
        ),
    ] = ""
    link_secret: Annotated[
        str,
        msgspec.Meta(
            description="signs links in e-mails to visitors, at least 32 bytes; the same for proxy and "
            "operator service"
        ),
    ] = ""
    eraser_password: Annotated[
        str,
        msgspec.Meta(
            description="the password of the NATS user eraser; without it another replica must destroy keys"
        ),
    ] = ""
    retention: Annotated[
        str,
        msgspec.Meta(
            pattern=AGE,
            description="erase what was silent for so long: 400d, 36h; empty: nothing",
        ),
    ] = ""

    webhooks_private: Annotated[
        bool,
        msgspec.Meta(
            description="whether webhooks may go to addresses inside the own network, and over plain http"
        ),
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.lease_seconds < 30:
            raise ValueError(
                f"{variable('lease_seconds')} is {self.lease_seconds}: consoles are heard of every ten "
                "seconds, so it must be at least 30, or 0 for no lease."
            )
        if self.smtp_host:
            self._check_mail()
        if self.retention and not self.eraser_password:
            raise ValueError(
                f"{variable('retention')} is set, and {variable('eraser_password')} is not: "
                "only the NATS user eraser may erase."
            )

    @property
    def sender(self) -> Address:
        """``mail_from``, taken apart."""
        name, address = parseaddr(self.mail_from)
        return Address(name, addr_spec=address)

    def smtp_password(self) -> str:
        """What the file holds, "" without one. Raises OSError and UnicodeError."""
        return Path(self.smtp_password_file).read_text().strip() if self.smtp_password_file else ""

    def _check_mail(self) -> None:
        """Raises ValueError, which names the setting, where no e-mail could go out."""
        why = f"{variable('smtp_host')} is set, and "
        name, address = parseaddr(self.mail_from)
        if not address_of(address) or not (name + address).isprintable():
            raise ValueError(
                f"{why}{variable('mail_from')} is {self.mail_from!r}: it is an address, as help@shop.example "
                "or Our shop <help@shop.example>."
            )
        if not self.public_url:
            raise ValueError(f"{why}{variable('public_url')} is not: where do the links in e-mails lead?")
        if len(self.link_secret.encode()) < 32:
            raise ValueError(
                f"{why}{variable('link_secret')} has less than 32 bytes: take `openssl rand -hex 32`, and "
                "the same for the proxy."
            )
        if bool(self.smtp_user) != bool(self.smtp_password_file):
            raise ValueError(
                f"{why}of {variable('smtp_user')} and {variable('smtp_password_file')} only one: set both or "
                "none."
            )
        if self.smtp_security == "none" and self.smtp_user and not is_loopback(self.smtp_host):
            raise ValueError(
                f"{why}{variable('smtp_security')} is none: the password would go over the network in the "
                "open. Take starttls or tls."
            )
        try:
            self.smtp_password()
        except (OSError, UnicodeError) as error:
            raise ValueError(f"{variable('smtp_password_file')} cannot be read: {error}") from error


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
