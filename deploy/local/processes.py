"""Starting child processes that never outlive their parent, and holding a folder for one run."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

#: A killed run's processes need a moment to go: so long a taken lock is tried again (seconds).
LOCK_PATIENCE = 2.0


class FolderError(Exception):
    """The data folder cannot be used; the text says why."""


def die_with_parent() -> None:
    """For ``preexec_fn``: the kernel kills this child when its parent is gone, even by kill -9.

    Linux only. Elsewhere an orphaned server keeps the folder's lock, so that the next run says so.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        _libc.prctl(pr_set_pdeathsig, signal.SIGKILL)


# Loaded before any fork: between fork and exec as little as possible may happen.
_libc = ctypes.CDLL(None)


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[int]:
    """Hold ``folder`` for this run; the lock's descriptor. Raises `FolderError`.

    The server inherits the descriptor, so the folder is free only when nobody has its store open.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise FolderError(
            f"The data folder {folder} is not writable: {error.strerror}. Set SWITCHBOARD_DATA."
        ) from error
    try:
        end = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                    raise FolderError(
                        f"The store in {folder} is held by another run"
                        + (f" (process {holder})" if holder else "")
                        + ". Stop it, or set SWITCHBOARD_DATA to another folder."
                    ) from None
                time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)
