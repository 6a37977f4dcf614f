"""Commands whose modules are imported when they are called: nobody waits for what another command needs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module

#: Does what the options say; the exit code.
Command = Callable[[argparse.Namespace], int]


class LazyCommand:
    """The ``function`` of a ``module`` of this package."""

    def __init__(self, module: str, function: str) -> None:
        self._module = module
        self._function = function

    def load(self) -> Command:
        """The function itself."""
        command: Command = getattr(import_module(f"deploy.cli.{self._module}"), self._function)
        return command

    def __call__(self, options: argparse.Namespace) -> int:
        return self.load()(options)


def count(text: str) -> int:
    """An option's whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)
