"""Releases: which version of a flow new conversations begin with, and how that changes. Pure.

Conversations that have begun are not touched by any of this.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Annotated, Final

import msgspec
from msgspec.structs import replace

#: A flow's name as a release: what a client may ask for, and what a key of a bucket may be (ADR-8).
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_MAX_NAME: Final = 64
#: Steps of the history that are kept.
MAX_STEPS: Final = 200

#: Percent of the new conversations.
Share = Annotated[int, msgspec.Meta(ge=0, le=100)]


class ReleaseError(ValueError):
    """What was asked cannot be done; the text says why and what can."""


class ReleaseStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a release was from ``at`` (RFC 3339, UTC) on, and who made it so.

    ``back``: what was published after ``version`` was taken back. (Steps of releases older than this
    field lack it.)
    """

    version: str
    candidate: str | None = None
    share: Share = 0
    back: bool = False
    at: str
    by: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What new conversations of one name begin with.

    ``share`` percent of them get the ``candidate``, if there is one, the others ``version``; "" is
    what the workflow reads from its files under this name.
    """

    version: str = ""
    share: Share = 0
    candidate: str | None = None
    history: tuple[ReleaseStep, ...] = ()


def is_name(name: str) -> bool:
    """Whether a flow can be published under this name."""
    return len(name) <= _MAX_NAME and _NAME.fullmatch(name) is not None


def chosen(release: Release, conversation: str) -> str:
    """The version with which this conversation begins: the same for all replicas, and after a reset."""
    if release.candidate is None:
        return release.version
    # The candidate is part of it, so that it is not always the same visitors who try something new.
    digest = blake2b(f"{release.candidate}:{conversation}".encode(), digest_size=8).digest()
    return release.candidate if int.from_bytes(digest) * 100 < release.share << 64 else release.version


def published(release: Release, version: str, share: int, at: str, by: str) -> Release:
    """``version`` for ``share`` percent of the new conversations; 100: for all of them."""
    if share == 100:
        return _changed(release, version, None, 0, at, by)
    if version == release.version:
        raise ReleaseError(f"All new conversations begin with {version} already.")
    return _changed(release, release.version, version, share, at, by)


def shared(release: Release, share: int, at: str, by: str) -> Release:
    """Another share for the candidate; with 100 it is the version from now on."""
    if release.candidate is None:
        raise ReleaseError("There is no candidate to share with: `switchboard flow publish FILE --share 10`.")
    if share == 100:
        return _changed(release, release.candidate, None, 0, at, by)
    return _changed(release, release.version, release.candidate, share, at, by)


def rolled_back(release: Release, version: str, at: str, by: str) -> Release:
    """Back to ``version``; "" is the one before: without the candidate, else what was published before.

    What was taken back or withdrawn is none before: the same again goes one further back.
    """
    if version:
        return _changed(release, version, None, 0, at, by, back=True)
    if release.candidate is not None:
        return _changed(release, release.version, None, 0, at, by)
    before = _standing(release.history)
    while before and before[-1] == release.version:
        before.pop()
    if not before:
        raise ReleaseError("There is no version before this one: name one, or `switchboard flow withdraw`.")
    return _changed(release, before[-1], None, 0, at, by, back=True)


def withdrawn(release: Release, at: str, by: str) -> Release:
    """New conversations begin with the workflow's own file again."""
    return _changed(release, "", None, 0, at, by)


def _standing(history: tuple[ReleaseStep, ...]) -> list[str]:
    """The versions that were published for all and not taken back or withdrawn, the newest last."""
    versions: list[str] = []
    stood = ""
    for step in history:
        if stood and not step.version:  # withdrawn
            versions.pop()
        elif step.back and step.version in versions:
            while versions[-1] != step.version:
                versions.pop()
        elif step.version and versions[-1:] != [step.version]:
            versions.append(step.version)
        stood = step.version
    return versions


def versions(release: Release) -> tuple[str, ...]:
    """Every version that was ever released under the name, the newest first."""
    found: dict[str, None] = {}
    for step in reversed(release.history):
        for version in (step.candidate, step.version):
            if version:
                found.setdefault(version)
    return tuple(found)


def _changed(
    release: Release, version: str, candidate: str | None, share: int, at: str, by: str, back: bool = False
) -> Release:
    if (version, candidate, share) == (release.version, release.candidate, release.share):
        return release
    step = ReleaseStep(version=version, candidate=candidate, share=share, back=back, at=at, by=by)
    history = (*release.history, step)[-MAX_STEPS:]
    return replace(release, version=version, candidate=candidate, share=share, history=history)
