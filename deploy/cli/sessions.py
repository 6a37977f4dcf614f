"""The logins of operators, for whoever runs Switchboard: with the NATS user admin, past all roles."""

from __future__ import annotations

import time

import msgspec
from nats.aio.client import Client
from nats.js.errors import KeyNotFoundError, NotFoundError

from deploy.cli.accounts import AccountError, revision_of
from shared.contract.sessions import LoginSession
from shared.contract.subjects import OPERATOR_SESSIONS

#: So much of a login's id is shown, and needed to name it.
SHOWN = 12

_STREAM = f"KV_{OPERATOR_SESSIONS}"


async def logins_of(client: Client, name: str) -> list[tuple[str, LoginSession]]:
    """Where an account is logged in, with the logins' ids, the last used first. Raises `AccountError`."""
    revision = await revision_of(client, name)
    prefix, now = f"$KV.{OPERATOR_SESSIONS}.{name}.", time.time_ns()
    try:
        info = await client.jetstream().stream_info(_STREAM, subjects_filter=f"{prefix}*")
        bucket = await client.jetstream().key_value(OPERATOR_SESSIONS)
    except NotFoundError:
        raise AccountError("There is no place for logins yet: run `switchboard setup`.") from None
    found = []
    for id in sorted(subject.removeprefix(prefix) for subject in info.state.subjects or {}):
        try:
            entry = await bucket.get(f"{name}.{id}")
        except KeyNotFoundError:
            continue  # it has ended
        session = msgspec.json.decode(entry.value or b"", type=LoginSession)
        if session.stands(revision, now):
            found.append((id, session))
    return sorted(found, key=lambda each: each[1].used, reverse=True)


async def end_logins(client: Client, name: str, id: str | None) -> int:
    """End the login whose id begins so, or with None all of the account; how many. Raises `AccountError`."""
    found = [each for each, _ in await logins_of(client, name) if each.startswith(id or "")]
    if id is not None and len(found) != 1:
        what = "several logins begin" if found else "no login begins"
        raise AccountError(f"Of {name} {what} with {id!r}; `switchboard operator logins {name}` names them.")
    for each in found:
        # A purge, since this user may write no session: what is gone cannot be renewed either.
        await client.jetstream().purge_stream(_STREAM, subject=f"$KV.{OPERATOR_SESSIONS}.{name}.{each}")
    return len(found)
