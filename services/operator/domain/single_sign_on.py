"""Single sign-on (OpenID Connect Core 1.0): what a provider's token must hold, and whose account that is.

Clock and chance are given. What is raised is for whoever runs Switchboard, not for who logs in.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from joserfc import errors, jwk, jwt

from shared.contract.accounts import ACCOUNT_NAME, MAX_DISPLAY, NO_PASSWORD, Account
from shared.contract.roles import ROLES, Role

#: How far the provider's clock may be off (seconds).
LEEWAY: Final = 60
#: How long somebody may take at the provider (seconds).
PENDING_SECONDS: Final = 600
#: Signatures by a public key alone. Never what the token says, nor one by the client's secret, nor "none"
#: (RFC 8725, section 3.1).
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
MAX_SUBJECT: Final = 255


class SignOnRefused(Exception):
    """Nobody is logged in. The text is for the log."""


class UnknownKey(SignOnRefused):
    """No key that is known made the signature: the provider may have another one by now."""


class SignOnRules(msgspec.Struct, frozen=True):
    """What the settings say. ``roles``: of each role the values of the claim that give it."""

    issuer: str
    client: str
    name_claim: str
    name_domain: str
    role_claim: str
    roles: Mapping[Role, frozenset[str]]
    create: bool


class PendingSignOn(msgspec.Struct, frozen=True):
    """One that was sent to the provider. ``began``: seconds since 1970."""

    state: str
    nonce: str
    verifier: str
    began: float


class Person(msgspec.Struct, frozen=True):
    """Whom the provider names. ``role`` is None where accounts have their roles from here."""

    subject: str
    name: str
    display: str
    role: Role | None


def challenge(verifier: str) -> str:
    """That of PKCE with S256 (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def check_answer(answer: Mapping[str, str], rules: SignOnRules, names_itself: bool) -> str:
    """The code of the provider's answer. Raises `SignOnRefused`.

    ``names_itself``: it says that its answers name their issuer (RFC 9207), against one that is another's.
    """
    issuer = answer.get("iss")
    if issuer is None and names_itself:
        raise SignOnRefused("the answer does not name its issuer, as this provider's answers do")
    if issuer not in (None, rules.issuer):
        raise SignOnRefused(f"the answer is of another issuer: {_short(issuer)}")
    if "error" in answer:
        why = answer.get("error_description", "")
        raise SignOnRefused(f"the provider answers {_short(answer['error'])}: {_short(why)}")
    if not answer.get("code"):
        raise SignOnRefused("the provider's answer has no code")
    return answer["code"]


def check_token(
    token: str, keys: jwk.KeySet, rules: SignOnRules, nonce: str, clock: Callable[[], float]
) -> dict[str, Any]:
    """The claims of an ID token (section 3.1.3.7). Raises `SignOnRefused`, and `UnknownKey`."""
    try:
        claims: dict[str, Any] = jwt.decode(token, keys, list(ALGORITHMS)).claims
    except (errors.InvalidKeyIdError, errors.BadSignatureError) as error:
        raise UnknownKey(f"the ID token's signature is by no key of the provider: {error!r}") from error
    except (errors.JoseError, ValueError, TypeError, RecursionError) as error:
        raise SignOnRefused(f"the ID token is not valid: {error!r}") from error
    wanted = jwt.JWTClaimsRegistry(
        now=lambda: int(clock()),
        leeway=LEEWAY,
        iss={"essential": True, "value": rules.issuer},
        aud={"essential": True, "value": rules.client},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    try:
        wanted.validate(claims)
    except errors.ExpiredTokenError as error:
        raise SignOnRefused("the ID token has expired: are both clocks right?") from error
    except (errors.MissingClaimError, errors.InvalidClaimError) as error:
        raise SignOnRefused(f"the ID token's {error.claim} is missing or not the one wanted") from error
    except (errors.JoseError, ValueError, TypeError) as error:
        raise SignOnRefused(f"the ID token's claims are not valid: {error!r}") from error
    audience = claims["aud"]
    if (isinstance(audience, list) and len(audience) > 1 and "azp" not in claims) or claims.get(
        "azp", rules.client
    ) != rules.client:
        raise SignOnRefused("the ID token's azp is not this client: it was made for another one")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise SignOnRefused("the ID token's sub is no text of 1 to 255 characters")
    return claims


def lacks(claims: Mapping[str, Any], rules: SignOnRules) -> bool:
    """Whether a claim is missing that the provider may give apart (userinfo)."""
    wanted = [rules.name_claim, *([rules.role_claim] if rules.role_claim else [])]
    return any(_claim(claims, name) is None for name in wanted)


def person_of(claims: Mapping[str, Any], rules: SignOnRules) -> Person:
    """Whom the claims name. Raises `SignOnRefused`."""
    name = _claim(claims, rules.name_claim)
    if not isinstance(name, str) or not name:
        raise SignOnRefused(
            f"SWITCHBOARD_OIDC_NAME_CLAIM: there is no text {rules.name_claim!r} in the claims"
        )
    if rules.name_claim == "email" and claims.get("email_verified") is False:
        raise SignOnRefused("the provider has not verified the e-mail address, so it names nobody")
    account = name.lower()
    if rules.name_domain:
        account, _, domain = account.rpartition("@")
        if domain != rules.name_domain.lower():
            raise SignOnRefused(
                f"{_short(name)} is not of {rules.name_domain} (SWITCHBOARD_OIDC_NAME_DOMAIN)"
            )
    if not ACCOUNT_NAME.fullmatch(account):
        raise SignOnRefused(
            f"{rules.name_claim} is {_short(name)}: no account can be called so (1 to 32 of a-z, 0-9, '.', "
            "'_' and '-'). SWITCHBOARD_OIDC_NAME_CLAIM names another claim, SWITCHBOARD_OIDC_NAME_DOMAIN "
            "takes a domain off"
        )
    display = claims.get("name")
    shown = display.strip() if isinstance(display, str) and display.isprintable() else ""
    subject = f"{rules.issuer} {claims['sub']}"
    return Person(subject, account, shown[:MAX_DISPLAY] or account, _role(claims, rules))


def account_for(accounts: Iterable[Account], person: Person, rules: SignOnRules, now: str) -> Account:
    """The account as it must be for this person to be logged in. Raises `SignOnRefused`.

    It is theirs by the provider's own name for them (``sub``), not by what they are called: that may become
    another's. Only an account that waits for single sign-on becomes somebody's.
    """
    known = {account.name: account for account in accounts}
    found = next((account for account in known.values() if account.subject == person.subject), None)
    if found is None:
        found = known.get(person.name)
        if found is None and not rules.create:
            raise SignOnRefused(
                f"there is no account {person.name}: `switchboard operator add {person.name} --sso` makes one"
            )
        if found is None:
            role = person.role or "operator"
            return Account(person.name, person.display, NO_PASSWORD, now, role, None, person.subject)
        if found.subject:
            raise SignOnRefused(
                f"the account {found.name} is another person's at the provider: if they are the same, "
                f"`switchboard operator sso {found.name}` lets whoever comes next have it"
            )
        if not found.awaits_sign_on:
            raise SignOnRefused(
                f"the account {found.name} logs in with a password: `switchboard operator sso {found.name}` "
                "lets it log in by single sign-on instead"
            )
    if found.disabled:
        raise SignOnRefused(f"the account {found.name} is disabled")
    return msgspec.structs.replace(found, subject=person.subject, role=person.role or found.role)


def _role(claims: Mapping[str, Any], rules: SignOnRules) -> Role | None:
    """The highest that a value of the claim gives."""
    if not rules.role_claim:
        return None
    value = _claim(claims, rules.role_claim)
    values = {each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)}
    for role in reversed(ROLES):
        if values & rules.roles.get(role, frozenset()):
            return role
    raise SignOnRefused(
        f"{rules.role_claim} is {_short(value)}, which gives no role: see SWITCHBOARD_OIDC_ROLES"
    )


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by the names that lead to it, such as ``realm_access.roles``."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _short(value: Any) -> str:
    return repr(value)[:200]
