"""The secrets of second factors when the master key changes."""

from __future__ import annotations

import msgspec
from nats.aio.client import Client

from deploy.cli.accounts import accounts, change_second
from shared.contract.accounts import SECOND_FACTOR
from shared.eventlog.master_keys import KeyringError, MasterKeys


async def wrap_second(client: Client, masters: MasterKeys) -> None:
    """Wrap those that are not wrapped by the newest master key. The logins of their accounts end.

    Raises `KeyringError` and `AccountError`.
    """
    for account in await accounts(client):
        second, bound = account.second, (SECOND_FACTOR, account.name.encode())
        if second is not None and not masters.newest_wrapped(second.sealed):
            sealed = masters.wrap(masters.unwrap(second.sealed, *bound), *bound)
            await change_second(client, account, msgspec.structs.replace(second, sealed=sealed))


async def broken_second(client: Client, masters: MasterKeys) -> list[str]:
    """A sentence for each that the newest master key does not open. Raises `AccountError`."""
    found = []
    for account in await accounts(client):
        if account.second is None:
            continue
        try:
            masters.unwrap(account.second.sealed, SECOND_FACTOR, account.name.encode())
        except KeyringError:
            found.append(
                f"The second factor of {account.name} cannot be opened: `switchboard operator "
                f"second-factor-off {account.name}`."
            )
        else:
            if not masters.newest_wrapped(account.second.sealed):
                found.append(
                    f"The second factor of {account.name} is wrapped by a master key before: run "
                    "`switchboard keys rotate`."
                )
    return found
