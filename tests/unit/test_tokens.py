"""Whose token lets whom in: pinned algorithms, issuer, audience, subject, time."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt

from services.proxy.domain.tokens import BadToken, Tokens

NOW = 1_700_000_000
SECRET = "a secret of more than 32 bytes, as it should be"
RSA = jwk.RSAKey.generate_key(2048)
EC = jwk.ECKey.generate_key("P-256")
ED = jwk.OKPKey.generate_key("Ed25519")


class Settings(msgspec.Struct, frozen=True):
    jwt_secret: str = ""
    jwt_key: str = ""
    jwt_algorithms: tuple[str, ...] = ()
    jwt_issuer: str = ""
    jwt_audience: str = ""


def tokens(**settings: Any) -> Tokens:
    return Tokens(Settings(**settings), lambda: NOW)


def public(key: Any) -> str:
    text: str = key.as_pem(private=False).decode()
    return text


def signed(key: Any = None, algorithm: str = "HS256", **claims: Any) -> str:
    key = key or jwk.OctKey.import_key(SECRET)
    filled = {"sub": "17", "exp": NOW + 60, **claims}
    kept = {name: value for name, value in filled.items() if value is not None}
    return jwt.encode({"alg": algorithm}, kept, key, [algorithm])


def test_without_a_key_no_token_is_asked_for() -> None:
    assert not tokens().required
    with pytest.raises(BadToken, match="not taken here"):
        tokens().subject(signed())


def test_a_good_token_says_who_it_is() -> None:
    assert tokens(jwt_secret=SECRET).subject(signed()) == "17"
    strict = tokens(jwt_secret=SECRET, jwt_issuer="https://school", jwt_audience="chat")
    assert strict.subject(signed(iss="https://school", aud=["chat", "mail"])) == "17"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": NOW - 31}, "has expired"),
        ({"exp": None}, "exp is missing"),
        ({"exp": "tomorrow"}, "exp is missing or not"),
        ({"nbf": NOW + 31}, "nbf is missing or not"),
        ({"sub": None}, "sub is missing"),
        ({"sub": ""}, "sub is missing or not"),
        ({"sub": 17}, "sub is missing or not"),
        ({"iss": "https://elsewhere"}, "iss is missing or not"),
        ({"iss": None}, "iss is missing"),
        ({"aud": "mail"}, "aud is missing or not"),
        ({"aud": None}, "aud is missing"),
    ],
)
def test_a_claim_that_does_not_hold_lets_nobody_in(claims: dict[str, Any], reason: str) -> None:
    strict = tokens(jwt_secret=SECRET, jwt_issuer="https://school", jwt_audience="chat")
    with pytest.raises(BadToken, match=reason):
        strict.subject(signed(**{"iss": "https://school", "aud": "chat", **claims}))


def test_clocks_may_be_half_a_minute_apart() -> None:
    assert tokens(jwt_secret=SECRET).subject(signed(exp=NOW - 29, nbf=NOW + 29)) == "17"


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # by RFC 9864; issuers still write it
@pytest.mark.parametrize("key", [RSA, EC, ED])
@pytest.mark.parametrize("form", ["PEM", "one line", "JWK", "set"])
def test_a_public_key_in_every_form(key: Any, form: str) -> None:
    algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}[key.key_type]
    forms = {
        "PEM": public(key),
        "one line": public(key).replace("\n", "\\n"),
        "JWK": json.dumps(key.as_dict(private=False)),
        "set": json.dumps(
            {"keys": [key.as_dict(private=False), jwk.ECKey.generate_key("P-256").as_dict(private=False)]}
        ),
    }
    taken = tokens(jwt_key=forms[form])
    header = {"alg": algorithm, **({"kid": key.kid or key.thumbprint()} if form == "set" else {})}
    token = jwt.encode(header, {"sub": "17", "exp": NOW + 60}, key, [algorithm])
    assert taken.subject(token) == "17"


def test_the_algorithm_is_ours_to_choose() -> None:
    """RFC 8725, 2.1: a public key is no secret, and "none" is no algorithm."""
    taken = tokens(jwt_key=public(RSA))
    confused = jwk.OctKey.import_key(json.dumps(RSA.as_dict(private=False)))
    unsigned = "eyJhbGciOiJub25lIn0." + signed().split(".")[1] + "."
    for token in (
        signed(confused),
        signed(RSA, "RS512"),
        signed(RSA, "PS256"),
        signed(EC, "ES256"),
        unsigned,
    ):
        with pytest.raises(BadToken, match="not valid"):
            taken.subject(token)
    with pytest.raises(BadToken, match="not valid"):
        tokens(jwt_secret=SECRET).subject(signed(algorithm="HS512"))
    assert tokens(jwt_secret=SECRET, jwt_algorithms=("HS512",)).subject(signed(algorithm="HS512")) == "17"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"jwt_secret": "short"}, "SWITCHBOARD_JWT_SECRET is too short"),
        ({"jwt_secret": SECRET, "jwt_key": "x"}, "not both"),
        ({"jwt_key": "x"}, "SWITCHBOARD_JWT_KEY is not a public key"),
        ({"jwt_key": "{}"}, "SWITCHBOARD_JWT_KEY is not a public key"),
        ({"jwt_key": '{"keys": []}'}, "no public key for signatures"),
        ({"jwt_key": RSA.as_pem(private=True).decode()}, "a private key"),
        ({"jwt_key": json.dumps(jwk.OctKey.generate_key(256).as_dict())}, "a private key"),
        ({"jwt_issuer": "https://school"}, "SWITCHBOARD_JWT_ISSUER checks nothing"),
        ({"jwt_secret": SECRET, "jwt_algorithms": ("none",)}, "may hold HS256, HS384, HS512"),
        ({"jwt_key": public(EC), "jwt_algorithms": ("HS256",)}, "may hold ES256"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tokens(**settings)


@given(st.text() | st.text(alphabet="eyJhbGciOiJIUzI1NiJ9.-_", max_size=200))
def test_nothing_that_is_sent_as_a_token_breaks_the_door(token: str) -> None:
    with pytest.raises(BadToken):
        tokens(jwt_secret=SECRET).subject(token)


def test_a_token_that_was_changed_is_none() -> None:
    head, body, signature = signed().split(".")
    other = signed(sub="18").split(".")[1]
    for token in (f"{head}.{other}.{signature}", f"{head}.{body}.", f"{head}.{body}", "x" * 8_193):
        with pytest.raises(BadToken):
            tokens(jwt_secret=SECRET).subject(token)


@pytest.mark.parametrize(
    ("exp", "until"),
    [(NOW + 60, NOW + 60), (NOW + 1, NOW + 1), (NOW, NOW + 30), (NOW - 29, NOW + 1)],
)
def test_what_is_open_for_a_token_ends_with_it(exp: int, until: float) -> None:
    """One that is let in though its time is over, because clocks differ, counts for as long as they may."""
    assert tokens(jwt_secret=SECRET).holder(signed(exp=exp)) == ("17", until)
