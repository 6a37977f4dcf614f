"""Builds the images of all services and tries each: ``make images``.

It needs buildah and podman. Where no registry can be reached, the images stand on a base of this machine's
own Debian instead (made by debootstrap, once), and it says so: they show that the recipe works, and are not
the ones to ship. Each image is then started as it is to run: read-only, without capabilities, as a user of
its own. Its size and how long it took to be alive are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

from deploy.health import PORTS
from deploy.local.embedded import binary

ROOT: Final = Path(__file__).parents[1]
RECIPE: Final = ROOT / "deploy" / "Dockerfile"
#: `setup` is the `switchboard` command: it has no port.
SERVICES: Final = (*PORTS, "setup")
STAND_IN: Final = "localhost/switchboard-base:debian"
STAND_IN_SERVER: Final = "localhost/switchboard-nats:stand-in"
_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "switchboard"
_RELEASE: Final = "bookworm"
#: Until a service must be alive (seconds).
ALIVE_SECONDS: Final = 60.0
#: Files in the image have this time, so that the same sources give the same image.
_TIMESTAMP: Final = "1700000000"


class CannotBuild(Exception):
    """The text says what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.images", description=__doc__)
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=f"of {', '.join(SERVICES)}; all")
    parser.add_argument("--base", help="an image to stand on, instead of the Dockerfile's")
    parser.add_argument("--tag", default="latest")
    parser.add_argument("--no-cache", action="store_true", help="use no layer of an earlier build")
    given = parser.parse_args()
    if unknown := [each for each in given.services if each not in SERVICES]:
        parser.error(f"there is no service {unknown[0]!r}; there are {', '.join(SERVICES)}")
    try:
        _find("buildah", "podman")
        base = given.base or reachable_base()
        print(f"base: {base}", flush=True)
        for service in given.services or SERVICES:
            begun = time.monotonic()
            image = build(service, base, given.tag, cached=not given.no_cache)
            built = time.monotonic() - begun
            seconds = started(service, image)
            size = inspected(image)["Size"] / 1e6
            print(
                f"{image}: built in {built:.0f} s, {size:.0f} MB, alive after {seconds:.2f} s, read-only,"
                " no capabilities",
                flush=True,
            )
    except CannotBuild as error:
        print(f"make images: {error}", file=sys.stderr)
        return 1
    return 0


def build(service: str, base: str, tag: str = "latest", cached: bool = True) -> str:
    """The image's name. Raises `CannotBuild`."""
    image = f"localhost/switchboard-{service}:{tag}"
    revision = _output("git", "-C", str(ROOT), "rev-parse", "HEAD", fails="unknown").strip()
    with _pip_settings() as volumes:
        _run(
            "buildah",
            "bud",
            *("--format", "docker"),  # OCI's own has no HEALTHCHECK
            *(() if cached else ("--no-cache",)),
            *("--isolation", "chroot", "--ulimit", "nofile=1024:1024", "--timestamp", _TIMESTAMP),
            *(part for volume in volumes for part in ("--volume", volume)),
            *("--build-arg", f"BASE={base}", "--build-arg", f"SERVICE={service}"),
            *("--build-arg", f"REVISION={revision}"),
            *("--tag", image, "--file", str(RECIPE), str(ROOT)),
        )
    return image


def started(service: str, image: str) -> float:
    """How long until the service in it is alive (seconds); for `setup`, until the command ended.

    Raises `CannotBuild`.
    """
    confined = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    if service not in PORTS:
        container = _output("podman", "create", *confined, image, "--version").strip()
        begun = time.monotonic()
        _run("podman", "start", "--attach", container)
        seconds = time.monotonic() - begun
        _output("podman", "rm", container, fails="")
        return seconds
    settings = {
        "SWITCHBOARD_NATS_URL": "nats://127.0.0.1:4222",  # nobody is there: alive, and not ready
        "SWITCHBOARD_NATS_USER": service,
        "SWITCHBOARD_NATS_PASSWORD": secrets.token_hex(),
        "SWITCHBOARD_MASTER_KEY": secrets.token_hex(64),
        "SWITCHBOARD_ERASER_PASSWORD": secrets.token_hex(),
    }
    container = _output(
        *("podman", "create", *confined, "--publish", f"127.0.0.1::{PORTS[service]}"),
        *(part for name, value in settings.items() for part in ("--env", f"{name}={value}")),
        image,
    ).strip()
    begun = time.monotonic()  # to copy the image's files is no part of it
    try:
        _run("podman", "start", container)
        address = _output("podman", "port", container, str(PORTS[service])).strip()
        while time.monotonic() - begun < ALIVE_SECONDS:
            try:
                with urlopen(f"http://{address}/healthz", timeout=2) as answer:
                    if answer.status == 200:
                        seconds = time.monotonic() - begun
                        _run("podman", "healthcheck", "run", container)
                        return seconds
            except (URLError, OSError):
                if (
                    _output("podman", "inspect", "--format", "{{.State.Running}}", container).strip()
                    != "true"
                ):
                    break
                time.sleep(0.02)
        said = subprocess.run(["podman", "logs", container], check=False, capture_output=True, text=True)
        seconds = time.monotonic() - begun
        raise CannotBuild(f"{image} is not alive after {seconds:.0f} s:\n{said.stdout}{said.stderr}")
    finally:
        _output("podman", "rm", "--force", "--time", "5", container, fails="")


def inspected(image: str) -> Any:
    """What podman knows of the image."""
    return json.loads(_output("podman", "image", "inspect", image))[0]


# --- the base ------------------------------------------------------------------------------------


def reachable_base() -> str:
    """The Dockerfile's base where its registry can be reached, else the stand-in. Raises `CannotBuild`."""
    found = re.search(r"^ARG BASE=(\S+)", RECIPE.read_text(), re.MULTILINE)
    assert found is not None, "the Dockerfile names its base"
    pulled = subprocess.run(
        ["buildah", "pull", "--quiet", found[1]], check=False, capture_output=True, text=True
    )
    if pulled.returncode == 0:
        return found[1]
    reason = pulled.stderr.strip().splitlines()[-1:] or ["it does not say why"]
    print(
        f"The base {found[1]} cannot be had here: {reason[0]}\n"
        "These images stand on this machine's own Debian instead: they show that the recipe works, and are"
        " not the ones to ship.",
        flush=True,
    )
    return stand_in()


def stand_in() -> str:
    """A base of Debian, made once. Raises `CannotBuild`."""
    known = subprocess.run(["podman", "image", "exists", STAND_IN], check=False)
    if known.returncode == 0:
        return STAND_IN
    archive = _CACHE / f"base-{_RELEASE}.tar"
    if not archive.exists():
        _find("debootstrap")
        print("debootstrap makes a base, which takes some minutes …", flush=True)
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="switchboard-base-") as folder:
            packages = "--include=python3,python3-venv,ca-certificates,wget"  # the last for NATS
            os.chmod(folder, 0o755)  # it is the root of what runs in it
            _run("debootstrap", "--variant=minbase", packages, _RELEASE, folder, *_mirror())
            whole = archive.with_suffix(".part")
            _run("tar", "--directory", folder, "--exclude", "./var/cache/apt/*", "-cf", str(whole), ".")
            whole.rename(archive)
    _run("podman", "import", "--quiet", str(archive), STAND_IN)
    return STAND_IN


def _mirror() -> tuple[str, ...]:
    """Where this machine has Debian from; without one, debootstrap's own choice."""
    form = "$(CODENAME) $(REPO_URI)"
    told = _output("apt-get", "indextargets", "--format", form, "Created-By: Packages", fails="")
    found = [line.split() for line in told.splitlines()]
    return next(((each[1],) for each in found if len(each) == 2 and each[0] == _RELEASE), ())


def stand_in_server() -> str:
    """An image of this environment's nats-server on the stand-in. Raises `CannotBuild`."""
    base = stand_in()
    with tempfile.TemporaryDirectory(prefix="switchboard-nats-") as folder:
        shutil.copy(binary(), Path(folder) / "nats-server")
        recipe = f'FROM {base}\nCOPY nats-server /usr/local/bin/\nENTRYPOINT ["nats-server"]\n'
        (Path(folder) / "Dockerfile").write_text(recipe)
        _run(
            *("buildah", "bud", "--format", "docker", "--isolation", "chroot"),
            "--tag",
            STAND_IN_SERVER,
            folder,
        )
    return STAND_IN_SERVER


@contextmanager
def _pip_settings() -> Iterator[list[str]]:
    """This machine's settings of pip and the folders and certificates that they name, as volumes of a build:
    they are there while it lasts, and in no image.
    """
    settings: dict[str, str] = {}
    for line in _output(sys.executable, "-m", "pip", "config", "list", fails="").splitlines():
        name, _, value = line.partition("=")
        if name.startswith((":env:.", "global.")):
            settings[name.rpartition(".")[2]] = value.strip("'\"")
    settings.pop("constraint", None)  # the lock is all that holds in a build
    settings.pop("disable-pip-version-check", None)
    named = {Path(part.removeprefix("file://")) for value in settings.values() for part in value.split()}
    paths = sorted({path for path in named if path.is_absolute() and path.exists()})
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        file.flush()
        os.chmod(file.name, 0o644)
        roots = sorted({_top(path) for path in paths})
        yield [f"{file.name}:/etc/pip.conf:ro", *(f"{path}:{path}:ro" for path in roots)]


def _top(path: Path) -> Path:
    """An index's pages name files beside it: its folder. Of a file, itself."""
    return path.parent if path.is_dir() and path.parent != Path("/") else path


# --- commands ------------------------------------------------------------------------------------


def _find(*commands: str) -> None:
    if missing := [each for each in commands if shutil.which(each) is None]:
        raise CannotBuild(
            f"{' and '.join(missing)} is missing. On Debian: apt-get install buildah podman runc netavark"
            " aardvark-dns debootstrap"
        )


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        said = "\n".join(done.stdout.splitlines()[-30:])
        raise CannotBuild(f"{_short(command)} failed ({done.returncode}):\n{said}")


def _output(*command: str, fails: str | None = None) -> str:
    """What it prints; ``fails`` where it cannot be run, or raises `CannotBuild`."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as error:
        if fails is not None:
            return fails
        raise CannotBuild(f"{_short(command)} cannot be run: {error}") from error
    if done.returncode:
        if fails is not None:
            return fails
        raise CannotBuild(f"{_short(command)} failed ({done.returncode}):\n{done.stderr}")
    return done.stdout


def _short(command: Sequence[str]) -> str:
    return " ".join(command[:3])


if __name__ == "__main__":
    sys.exit(main())
