"""`switchboard operator`: the operators' accounts."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys

from deploy.local import accounts
from deploy.local.connection import connected
from deploy.local.settings import Local
from shared.runtime.settings import environment, load


def add(options: argparse.Namespace) -> int:
    """Make an account. Raises `AccountError` or `ConnectionFailed`."""
    env = environment()
    settings = load(Local, env)
    accounts.check_name(options.name)
    password = _ask_password()

    async def command() -> None:
        async with connected(settings, env, "admin") as client:
            await accounts.add(client, options.name, options.display, password)

    asyncio.run(command())
    print(f"The account {options.name} is made.")
    return 0


def passwd(options: argparse.Namespace) -> int:
    """Change a password. Raises `AccountError` or `ConnectionFailed`."""
    env = environment()
    settings = load(Local, env)
    password = _ask_password()

    async def command() -> None:
        async with connected(settings, env, "admin") as client:
            await accounts.change(client, options.name, password)

    asyncio.run(command())
    print(f"The password of {options.name} is changed.")
    return 0


def listed(options: argparse.Namespace) -> int:
    """Name all accounts. Raises `ConnectionFailed`."""
    env = environment()
    settings = load(Local, env)

    async def command() -> list[accounts.Account]:
        async with connected(settings, env, "admin") as client:
            return await accounts.accounts(client)

    for account in asyncio.run(command()):
        print(f"{account.name:<32} {account.display:<32} {account.created}")
    return 0


def _ask_password() -> str:
    """From the terminal, twice; else the first line of the input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise accounts.AccountError("The two were not the same.")
    return password
