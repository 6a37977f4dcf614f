"""The settings of single sign-on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from services.operator.domain.single_sign_on import SignOnRules
from services.operator.oidc_provider import is_safe
from shared.contract.roles import ROLES, Role
from shared.service.settings import Sealing, SettingError, variable


class SignOnSettings(Sealing, frozen=True, kw_only=True):
    """Each field is one variable, ``SWITCHBOARD_<NAME>``."""

    oidc_issuer: Annotated[
        str,
        msgspec.Meta(
            description="provider of single sign-on (OpenID Connect) for operators: its issuer, as it writes "
            "it; empty: none"
        ),
    ] = ""
    oidc_client_id: Annotated[str, msgspec.Meta(description="this installation's name at the provider")] = ""
    oidc_client_secret_file: Annotated[
        str, msgspec.Meta(description="file with its secret there; empty: a public client, with PKCE alone")
    ] = ""
    oidc_scopes: Annotated[str, msgspec.Meta(description="what is asked for, with openid")] = "openid profile"
    oidc_name_claim: Annotated[str, msgspec.Meta(description="claim that is the account's name")] = (
        "preferred_username"
    )
    oidc_name_domain: Annotated[
        str,
        msgspec.Meta(
            description="if that is an address: its domain, the only one; the account is what is before"
        ),
    ] = ""
    oidc_role_claim: Annotated[
        str, msgspec.Meta(description="claim that gives the role at each login; empty: roles are given here")
    ] = ""
    oidc_roles: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="what it may be: operator=chat,supervisor=chat-leads,admin=it"),
    ] = ()
    oidc_accounts: Annotated[
        Literal["known", "create"],
        msgspec.Meta(description="whether accounts must be there, or are made at the first login"),
    ] = "known"
    oidc_label: Annotated[str, msgspec.Meta(description="what the button says")] = "Single sign-on"
    oidc_logout: Annotated[bool, msgspec.Meta(description="log out at the provider, too")] = False
    operator_url: Annotated[
        str,
        msgspec.Meta(description="the console's own address, as browsers have it: https://desk.example.com"),
    ] = ""
    password_login: Annotated[
        bool, msgspec.Meta(description="no: operators log in by single sign-on alone")
    ] = True

    def __post_init__(self) -> None:
        if not self.oidc_issuer:
            if not self.password_login:
                raise ValueError(
                    f"{variable('password_login')}=no needs {variable('oidc_issuer')}: nobody could log in."
                )
            return
        if not is_safe(self.oidc_issuer):
            raise ValueError(f"{variable('oidc_issuer')} must begin with https:// (http:// on this machine).")
        for name in ("oidc_client_id", "operator_url"):
            if not getattr(self, name):
                raise ValueError(f"{variable(name)} is not set: single sign-on needs it.")
        if not is_safe(self.operator_url):
            raise ValueError(
                f"{variable('operator_url')} must begin with https:// (http:// on this machine alone)."
            )
        if "openid" not in self.oidc_scopes.split():
            raise ValueError(f"{variable('oidc_scopes')} lacks openid: it would not be single sign-on.")
        if bool(self.oidc_role_claim) != bool(self.oidc_roles):
            raise ValueError(f"{variable('oidc_role_claim')} and {variable('oidc_roles')} go together.")
        self._roles()

    def sign_on_rules(self) -> SignOnRules:
        """What a token must hold, and whose account that is."""
        return SignOnRules(
            self.oidc_issuer,
            self.oidc_client_id,
            self.oidc_name_claim,
            self.oidc_name_domain,
            self.oidc_role_claim,
            self._roles(),
            self.oidc_accounts == "create",
        )

    def oidc_secret(self) -> str:
        """That of the file. Raises `SettingError`."""
        if not self.oidc_client_secret_file:
            return ""
        name = variable("oidc_client_secret_file")
        try:
            secret = Path(self.oidc_client_secret_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{name} names a file that cannot be read: {error}.") from error
        if not secret:
            raise SettingError(f"{name} names an empty file.")
        return secret

    def _roles(self) -> dict[Role, frozenset[str]]:
        found: dict[Role, set[str]] = {}
        for each in self.oidc_roles:
            given, _, value = each.partition("=")
            role = next((role for role in ROLES if role == given.strip()), None)
            if role is None or not value.strip():
                raise ValueError(
                    f"{variable('oidc_roles')} may not hold {each!r}: each is ROLE=VALUE, with the roles "
                    f"{', '.join(ROLES)}."
                )
            found.setdefault(role, set()).add(value.strip())
        return {role: frozenset(values) for role, values in found.items()}
