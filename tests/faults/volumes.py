"""File systems of our own: small, or on a disk that can lose its power. They need root."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.faults.run import Skipped


def run(*command: str) -> None:
    """Run a tool of the system. Raises `Skipped` with what it says if it cannot."""
    if shutil.which(command[0]) is None:
        raise Skipped(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skipped(f"{' '.join(command[:2])}: {done.stderr.strip() or done.returncode}")


@contextlib.asynccontextmanager
async def mounted(folder: Path, *options: str) -> AsyncIterator[Path]:
    """A file system at ``folder`` while the block runs. Raises `Skipped` where that is not possible."""
    if os.geteuid() != 0:
        raise Skipped("mounting a file system needs root")
    folder.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(run, "mount", *options, str(folder))
    try:
        yield folder
    finally:
        await asyncio.to_thread(_unmount, folder)


def release(folder: Path) -> None:
    """Unmount all that an earlier run that was killed left mounted below ``folder``."""
    mounts = Path("/proc/self/mounts")
    below = f"{folder.absolute()}/"
    for line in reversed(mounts.read_text().splitlines() if mounts.exists() else []):
        place = line.split(" ")[1].encode().decode("unicode_escape")  # a blank is written as \040
        if place.startswith(below):
            _unmount(Path(place))


def tmpfs(megabytes: int) -> tuple[str, ...]:
    """Options of a file system in memory with so much room."""
    return "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"


class Disk:
    """A disk in a file, with a file system on it, mounted over a loop device."""

    def __init__(self, folder: Path, megabytes: int = 256) -> None:
        self._image = folder / "disk.img"
        self._megabytes = megabytes
        self.folder = folder / "disk"

    async def __aenter__(self) -> Disk:
        if os.geteuid() != 0:
            raise Skipped("mounting a file system needs root")
        self.folder.mkdir(parents=True)
        with self._image.open("wb") as image:
            image.truncate(self._megabytes * 2**20)
        await asyncio.to_thread(run, "mkfs.ext4", "-q", "-F", str(self._image))
        await asyncio.to_thread(self._mount)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(_unmount, self.folder)

    def sync(self) -> None:
        """Put everything on the disk."""
        run("sync", "--file-system", str(self.folder))

    def copy(self) -> Path:
        """What is on the disk right now: what a power cut would leave, the caches left out."""
        copy = self._image.with_name("copy.img")
        run("cp", "--sparse=always", str(self._image), str(copy))
        return copy

    def replace(self, copy: Path) -> None:
        """Mount the copy where the disk was; nothing may have a file open there."""
        _unmount(self.folder)
        copy.replace(self._image)
        self._mount()

    def _mount(self) -> None:
        run("mount", "-o", "loop", str(self._image), str(self.folder))


def _unmount(folder: Path) -> None:
    for _ in range(50):
        if subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)  # a killed server's files are being closed
    subprocess.run(["umount", "--lazy", str(folder)], check=False)
