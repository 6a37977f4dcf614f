"""Settings: environment variables ``SWITCHBOARD_<NAME>`` (and ``.env``), checked at start.

A service's settings are a struct; each field is one variable. A bad value is named together with
what it may be, before anything starts.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from dotenv import dotenv_values
from dotenv.parser import parse_stream
from msgspec.structs import fields

PREFIX = "SWITCHBOARD_"

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
#: A page's origin as browsers spell it, or ``loopback`` for any page of this machine.
Origin = Annotated[str, msgspec.Meta(pattern=r"^(loopback|https?://[^/?#@\sA-Z]+)$")]
#: An IP address or a network; ``*`` for any.
Network = Annotated[str, msgspec.Meta(pattern=r"^(\*|[0-9A-Fa-f.:]+(/[0-9]{1,3})?)$")]


class SettingVariable(NamedTuple):
    """In a field's annotation: the variable has a name that others gave it, such as ``OPENAI_API_KEY``."""

    name: str


class SettingError(ValueError):
    """One or more settings are wrong; the text names each, and what it may be."""


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that every service has."""

    host: Annotated[str, msgspec.Meta(description="address to listen on")] = "127.0.0.1"
    internal_port: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=65535,
            description="port of /healthz, /readyz and /metrics, which the service's own port has no more; "
            "0: they are there",
        ),
    ] = 0
    internal_host: Annotated[
        str, msgspec.Meta(description="address to listen on for these; empty: that of all else")
    ] = ""
    nats_url: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(nats|tls)://[^,\s]+(\s*,\s*(nats|tls)://[^,\s]+)*$",
            description="nats://host:port or tls://host:port, comma-separated",
        ),
    ] = "nats://127.0.0.1:4222"
    nats_user: Annotated[str, msgspec.Meta(description="user of this service on NATS")] = ""
    nats_password: Annotated[str, msgspec.Meta(description="the password of that user")] = ""
    nats_ca: Annotated[str, msgspec.Meta(description="file with the certificate authority for tls://")] = ""
    trusted_proxies: Annotated[
        tuple[Network, ...],
        msgspec.Meta(description="addresses or networks of load balancers whose X-Forwarded-* headers hold"),
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], msgspec.Meta(description="least level that is logged")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "console"],
        msgspec.Meta(description="auto: console on a terminal, JSON elsewhere"),
    ] = "auto"
    handshake_seconds: Annotated[
        float,
        msgspec.Meta(ge=0.1, description="how long a client may take to send a whole request, in seconds"),
    ] = 10.0
    drain_seconds: Annotated[
        Seconds, msgspec.Meta(description="how long work in hand may take after SIGTERM, in seconds")
    ] = 10.0


class Sealing(Common, frozen=True, kw_only=True):
    """Those of a service that reads and writes what people say."""

    master_key: Annotated[
        str,
        msgspec.Meta(
            description="wraps the keys of sealed words: 128 hex digits, and while they are changed a comma "
            "and the old ones; `make run` makes its own"
        ),
    ] = ""
    sealing: Annotated[
        bool,
        msgspec.Meta(description="seal what people say; no: for the one update from a version before it"),
    ] = True


S = TypeVar("S", bound=msgspec.Struct)


def environment() -> dict[str, str]:
    """The process's environment over the values of ``.env`` in the working folder. Raises `SettingError`."""
    try:
        with open(".env", encoding="utf-8") as file:
            for line in parse_stream(file):
                if line.error:
                    words = line.original.string.strip()
                    raise SettingError(f".env, line {line.original.line}: not NAME=value: {words!r}")
    except FileNotFoundError:
        return dict(os.environ)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f".env cannot be read: {error}") from error
    values = {key: value for key, value in dotenv_values(".env").items() if value is not None}
    return {**values, **os.environ}


def load(kind: type[S], env: Mapping[str, str] | None = None) -> S:
    """Read ``kind`` from the environment. Raises `SettingError` that names all that is wrong."""
    env = environment() if env is None else env
    hints = get_type_hints(kind, include_extras=True)
    names = variables(kind)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in fields(kind):
        name = names[field.name]
        text = env.get(name, "").strip()
        if not text:
            if field.required:
                problems.append(f"{name} is not set: {describe(hints[field.name])}.")
            continue
        try:
            values[field.name] = _convert(text, hints[field.name])
        except (msgspec.ValidationError, ValueError):
            secret = any(word in name for word in ("PASSWORD", "SECRET", "KEY"))
            shown = "the value given" if secret else repr(text)
            problems.append(f"{name} may not be {shown}: {describe(hints[field.name])}.")
    if problems:
        raise SettingError("\n".join(problems))
    try:
        return kind(**values)
    except ValueError as error:  # two settings that do not go together
        raise SettingError(str(error)) from error


def variable(field: str) -> str:
    """The environment variable of a field, where the field names no other."""
    return PREFIX + field.upper()


def variables(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The environment variable of each field of ``kind``."""
    return {
        name: next(
            (each.name for each in _annotations(hint) if isinstance(each, SettingVariable)), variable(name)
        )
        for name, hint in get_type_hints(kind, include_extras=True).items()
        if name in kind.__struct_fields__
    }


def _annotations(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__metadata__", ())


def unknown(known: Iterable[str], env: Mapping[str, str]) -> list[str]:
    """A sentence for each ``SWITCHBOARD_`` variable that no service knows: most likely a typo."""
    names = set(known)
    sentences = []
    for name in sorted(env):
        if name.startswith(PREFIX) and name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            sentences.append(f"{name} is no setting" + (f"; did you mean {close[0]}?" if close else "."))
    return sentences


def describe(hint: Any) -> str:
    """What a value of this type may be, in words."""
    meta = [m for m in _annotations(hint) if isinstance(m, msgspec.Meta)]
    words = next((m.description for m in meta if m.description), "")
    form = _form(hint)
    return f"{form} ({words})" if words else form


def _form(hint: Any) -> str:
    least: Any = None
    most: Any = None
    while get_origin(hint) is Annotated:
        for meta in hint.__metadata__:
            least = getattr(meta, "ge", None) if least is None else least
            most = getattr(meta, "le", None) if most is None else most
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if hint is bool:
        return "yes or no"
    if hint in (int, float):
        kind = "a whole number" if hint is int else "a number"
        if least is not None and most is not None:
            return f"{kind} from {least} to {most}"
        return f"{kind}, at least {least}" if least is not None else kind
    if get_origin(hint) is tuple:
        return "a comma-separated list"
    return "a text"


def _convert(text: str, hint: Any) -> Any:
    bare = hint
    while get_origin(bare) is Annotated:
        bare = get_args(bare)[0]
    if bare is bool:
        lowered = text.lower()
        if lowered in ("1", "true", "yes", "on"):
            return True
        if lowered in ("0", "false", "no", "off"):
            return False
        raise ValueError(text)
    if get_origin(bare) is tuple:
        return msgspec.convert([part.strip() for part in text.split(",") if part.strip()], hint)
    return msgspec.convert(text, hint, strict=False)


def fail(error: Exception) -> None:
    """Say what is wrong and leave, exit code 2: for a service's ``__main__``."""
    print(error, file=sys.stderr)
    raise SystemExit(2)
