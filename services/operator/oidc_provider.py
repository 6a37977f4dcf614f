"""The provider of single sign-on, as it is asked over HTTP (OpenID Connect Discovery 1.0, RFC 6749)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec
from joserfc import errors, jwk

from services.operator.domain.single_sign_on import SignOnRefused

#: How long an answer may take (seconds), and how large it may be (bytes).
TIMEOUT: Final = 5.0
MAX_ANSWER: Final = 256 * 1024
#: What the provider says of itself is asked for again after so long (seconds).
METADATA_SECONDS: Final = 3600.0
#: Its keys are asked for again after so long, and where one is not known at most so often (seconds).
KEYS_SECONDS: Final = 3600.0
KEYS_PAUSE: Final = 10.0
#: Where a provider may be spoken to in the open: on this machine.
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


T = TypeVar("T")


class ProviderMetadata(msgspec.Struct, frozen=True):
    """What a provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""


class OidcProvider:
    """One provider. Everything raises `SignOnRefused`, which says what it answered, without secrets."""

    def __init__(
        self, issuer: str, client: str, secret: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._client = client
        self._secret = secret
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False)
        self._metadata: tuple[ProviderMetadata, float] | None = None
        self._keys: tuple[jwk.KeySet, float] | None = None
        self._lock = asyncio.Lock()  # whoever asks at the same time gets the same answer

    async def close(self) -> None:
        """Let go of its connections."""
        await self._http.aclose()

    async def metadata(self) -> ProviderMetadata:
        """What it says of itself."""
        async with self._lock:
            if self._metadata is None or self._clock() > self._metadata[1] + METADATA_SECONDS:
                url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
                found = _read(await self._json("GET", url), ProviderMetadata, url)
                if found.issuer != self._issuer:
                    raise SignOnRefused(
                        f"{url} is of the issuer {found.issuer!r}, and SWITCHBOARD_OIDC_ISSUER is "
                        f"{self._issuer!r}: they must be the same, to the last character"
                    )
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
                    address = getattr(found, name)
                    if address and not is_safe(address):
                        raise SignOnRefused(f"{name} is {address!r}: it must begin with https://")
                self._metadata = found, self._clock()
            return self._metadata[0]

    async def keys(self, renew: bool = False) -> jwk.KeySet:
        """With what it signs. ``renew``: a key was not among them."""
        uri = (await self.metadata()).jwks_uri
        async with self._lock:
            age = self._clock() - self._keys[1] if self._keys else float("inf")
            if self._keys is None or age > (KEYS_PAUSE if renew else KEYS_SECONDS):
                self._keys = _key_set(await self._json("GET", uri), uri), self._clock()
            return self._keys[0]

    async def tokens(self, code: str, verifier: str, redirect: str) -> tuple[str, str]:
        """The ID token and the access token for a code."""
        metadata = await self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        }
        auth: httpx.BasicAuth | None = None
        if not self._secret:
            form["client_id"] = self._client
        elif "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            # RFC 6749, section 2.3.1: both are form-encoded first.
            auth = httpx.BasicAuth(quote(self._client, safe=""), quote(self._secret, safe=""))
        else:
            form |= {"client_id": self._client, "client_secret": self._secret}
        url = metadata.token_endpoint
        found = _read(await self._json("POST", url, data=form, auth=auth), _Tokens, url)
        return found.id_token, found.access_token

    async def more_claims(self, access: str, subject: str) -> dict[str, Any]:
        """What it tells of the person apart from the ID token; nothing, where it does not."""
        url = (await self.metadata()).userinfo_endpoint
        if not url or not access:
            return {}
        found = await self._json("GET", url, headers={"Authorization": f"Bearer {access}"})
        if not isinstance(found, dict) or found.get("sub") != subject:
            raise SignOnRefused("the provider's userinfo is of somebody else than its ID token")
        return found

    async def logout_address(self, back: str) -> str:
        """Where a browser logs out at the provider, too; "" where it has no such address."""
        address = (await self.metadata()).end_session_endpoint
        if not address or not is_safe(address):
            return ""
        query = urlencode({"client_id": self._client, "post_logout_redirect_uri": back})
        return f"{address}{'&' if urlsplit(address).query else '?'}{query}"

    async def _json(self, method: str, url: str, **options: Any) -> Any:
        headers = {"Accept": "application/json", **options.pop("headers", {})}
        body = bytearray()
        try:
            async with (
                asyncio.timeout(2 * TIMEOUT),
                self._http.stream(method, url, headers=headers, **options) as answer,
            ):
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MAX_ANSWER:
                        raise SignOnRefused(f"{url} answers with more than {MAX_ANSWER} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise SignOnRefused(f"{url} cannot be reached: {error!r}") from error
        if answer.status_code != 200:
            raise SignOnRefused(f"{url} answers {answer.status_code}: {_problem(bytes(body))}")
        try:
            return msgspec.json.decode(bytes(body))
        except (msgspec.DecodeError, RecursionError) as error:
            raise SignOnRefused(f"{url} does not answer with JSON") from error


def is_safe(url: str) -> bool:
    """Whether nobody on the way can read or change what is said there."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def _read(found: Any, kind: type[T], url: str) -> T:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise SignOnRefused(f"what {url} answers is not of the form that is wanted: {error}") from error


def _key_set(found: Any, url: str) -> jwk.KeySet:
    """Those for signatures by a public key; what else there is does not matter here."""
    keys: list[Any] = []
    each = found.get("keys") if isinstance(found, Mapping) else None
    for one in each if isinstance(each, list) else []:
        if (
            isinstance(one, dict)
            and one.get("use", "sig") == "sig"
            and one.get("kty") in ("RSA", "EC", "OKP")
        ):
            try:
                keys.append(jwk.import_key(one, one["kty"]))
            except (errors.JoseError, ValueError, TypeError, KeyError):
                continue  # of a kind that is not known here
    if not keys:
        raise SignOnRefused(f"{url} has no public key for signatures")
    return jwk.KeySet(keys)


def _problem(body: bytes) -> str:
    """What an answer says is wrong (RFC 6749, section 5.2), for the log: never what it holds else."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return "no reason that can be read"
    if not isinstance(found, dict):
        return "no reason"
    error, description = found.get("error", "no reason"), found.get("error_description", "")
    return f"{str(error)[:100]} {str(description)[:200]}".strip()
