"""`switchboard operator`: the operators' accounts."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nats.aio.client import Client

from deploy.cli import accounts
from deploy.cli.connection import connected
from deploy.cli.sessions import SHOWN, end_logins, logins_of
from deploy.cli.settings import Local
from shared.service.settings import environment, load
from shared.timestamps import format_time

Answer = TypeVar("Answer")


def add(options: argparse.Namespace) -> int:
    """Make an account. Raises `AccountError` or `ConnectionFailed`."""
    accounts.check_name(options.name)
    password = None if options.sso else _ask_password()
    _change(lambda client: accounts.add(client, options.name, options.display, password, options.role))
    print(f"The account {options.name} is made.")
    return 0


def passwd(options: argparse.Namespace) -> int:
    """Change a password. Raises `AccountError` or `ConnectionFailed`."""
    accounts.check_name(options.name)
    password = _ask_password()
    _change(lambda client: accounts.change(client, options.name, password))
    print(f"The password of {options.name} is changed; its logins end within five seconds.")
    return 0


def role(options: argparse.Namespace) -> int:
    """Change what an account may do. Raises `AccountError` or `ConnectionFailed`."""
    _change(lambda client: accounts.change_role(client, options.name, options.role))
    print(f"The account {options.name} has the role {options.role}; its logins end within five seconds.")
    return 0


def remove(options: argparse.Namespace) -> int:
    """Remove an account, if that is meant. Raises `AccountError` or `ConnectionFailed`."""
    accounts.check_name(options.name)
    if not options.yes:
        print(f"This removes the account {options.name} for good, and ends its logins.")
        with contextlib.suppress(EOFError):
            options.yes = input("Type yes to go on: ").strip() == "yes"
        if not options.yes:
            print("Nothing was removed.")
            return 1
    _change(lambda client: accounts.remove(client, options.name))
    print(f"The account {options.name} is removed; its logins end within five seconds.")
    return 0


def disable(options: argparse.Namespace) -> int:
    """Let nobody log in with an account. Raises `AccountError` or `ConnectionFailed`."""
    _change(lambda client: accounts.disable(client, options.name))
    print(f"The account {options.name} is disabled; its logins end within five seconds.")
    return 0


def enable(options: argparse.Namespace) -> int:
    """Let a disabled account log in again. Raises `AccountError` or `ConnectionFailed`."""
    _change(lambda client: accounts.enable(client, options.name))
    print(f"The account {options.name} may log in again, with its password.")
    return 0


def _change(change: Callable[[Client], Awaitable[None]]) -> None:
    _ask(change)


def _ask(question: Callable[[Client], Awaitable[Answer]]) -> Answer:
    env = environment()
    settings = load(Local, env)

    async def command() -> Answer:
        async with connected(settings, env, "admin") as client:
            return await question(client)

    return asyncio.run(command())


def listed(options: argparse.Namespace) -> int:
    """Name all accounts. Raises `ConnectionFailed`."""
    for account in _ask(accounts.accounts):
        state = "  disabled" if account.disabled else ""
        state += "  second factor" if account.second else ""
        state += "  single sign-on" if account.signs_on else ""
        print(f"{account.name:<32} {account.display:<32} {account.role:<10} {account.created}{state}")
    return 0


def sso(options: argparse.Namespace) -> int:
    """Let an account log in by single sign-on alone. Raises `AccountError` or `ConnectionFailed`."""
    _change(lambda client: accounts.let_sign_on(client, options.name))
    print(
        f"The account {options.name} is that of whoever comes next by single sign-on under this name; its "
        "logins end within five seconds."
    )
    return 0


def second_factor_off(options: argparse.Namespace) -> int:
    """Take the second factor off. Raises `AccountError` or `ConnectionFailed`."""
    _change(lambda client: accounts.take_off_second(client, options.name))
    print(f"The account {options.name} logs in with its password alone; its logins end within five seconds.")
    return 0


def logins(options: argparse.Namespace) -> int:
    """Where an account is logged in. Raises `AccountError` or `ConnectionFailed`."""
    found = _ask(lambda client: logins_of(client, options.name))
    print(f"{'LOGIN':<13} {'SINCE':<25} {'LAST USED':<25} BROWSER")
    for id, session in found:
        began, used = format_time(session.began), format_time(session.used)
        print(f"{id[:SHOWN]:<13} {began:<25} {used:<25} {session.browser or '-'}")
    return 0


def logout(options: argparse.Namespace) -> int:
    """End a login, or all of them. Raises `AccountError` or `ConnectionFailed`."""
    ended = _ask(lambda client: end_logins(client, options.name, None if options.all else options.login))
    print(f"{ended} login(s) of {options.name} end within five seconds.")
    return 0


def _ask_password() -> str:
    """From the terminal, twice; else the first line of the input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise accounts.AccountError("The two were not the same.")
    return password
