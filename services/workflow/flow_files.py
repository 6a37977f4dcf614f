"""Flow files: read and checked at start, and again whenever they change.

A broken edit never replaces a flow that works: its problems are told, and the last good one stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import structlog

from services.workflow.domain.releases import is_name
from shared.flow.language.diagnostics import shown
from shared.flow.language.flow import Diagnostic, Flow, FlowError, parse
from shared.service.settings import SettingError

log = structlog.get_logger()

#: How often the files are looked at (seconds). Polled, since not every file system tells of changes
#: (containers' volumes, network drives), and a look at a few files costs nothing.
LOOK_SECONDS = 0.5
#: What stands in a folder of flows and is none.
NO_FLOWS = (".test.json", ".schema.json")

#: What a file was at the last look: time of change (ns), size, inode.
_Look = tuple[int, int, int]


class FlowFiles:
    """The flows of one file, the default, and of a folder, by name."""

    def __init__(self, default: Path, folder: Path | None = None) -> None:
        """Read them all. Raises `SettingError` with everything that is wrong."""
        self._default = default
        self._folder = folder
        self.default = default.stem
        self.flows: dict[str, Flow] = {}
        self._looked = self._look()
        self._settled = self._looked
        problems: list[str] = []
        for file in self._files():
            try:
                self._take(file, anew=False)
            except BrokenFlow as broken:
                problems += broken.lines
        if problems:
            raise SettingError("\n".join(problems))

    @property
    def warnings(self) -> list[str]:
        """What the checker would rather have otherwise, in all flows as they are now."""
        files = {file.stem: file for file in self._files()}
        flows = [(files[name], flow) for name, flow in self.flows.items() if name in files]
        return [f"{told(file, warning)} (a warning)" for file, flow in flows for warning in flow.warnings]

    async def watch(self) -> None:
        """Tell the warnings, and read anew what changes, for ever."""
        for warning in self.warnings:
            log.warning(warning)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """One look: what has changed, and has been left alone since the last look, is read anew."""
        seen = self._look()
        before, self._looked = self._looked, seen
        if seen == self._settled or seen != before:  # unchanged, or somebody is still writing
            return
        self._settled = seen
        for file in self._files():
            try:
                self._take(file)
            except BrokenFlow as broken:
                for line in broken.lines:
                    log.error(line)
                if file.stem in self.flows:
                    log.error(f"{file}: not taken; the last good one stays.")

    def _take(self, file: Path, anew: bool = True) -> None:
        flow = read_flow(file)
        known = self.flows.get(file.stem)
        if known is not None and known.version == flow.version:
            return
        self.flows[file.stem] = flow
        if known is None and not anew:
            return
        # A warning each, so that whoever edits the file in `make run` sees it.
        for warning in flow.warnings:
            log.warning(f"{told(file, warning)} (a warning)")
        if known is not None:
            log.warning(f"{file}: read anew; who begins with this file gets version {flow.version[:8]}.")

    def _files(self) -> Iterator[Path]:
        yield self._default
        if self._folder is None:
            return
        try:
            found = sorted(self._folder.glob("*.json"))
        except OSError:
            return
        for file in found:
            if file.name.endswith(NO_FLOWS) or file.stem == self._default.stem or not is_name(file.stem):
                continue
            yield file

    def _look(self) -> Mapping[Path, _Look]:
        """Every file that may be part of a flow: flows call others beside them."""
        found: dict[Path, _Look] = {}
        for folder in {self._default.parent, self._folder or self._default.parent}:
            for file in folder.glob("*.json"):
                try:
                    stat = file.stat()
                except OSError:  # gone between the two
                    continue
                found[file] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return found


class BrokenFlow(Exception):
    """A flow that cannot be used; ``lines`` say what is wrong and where."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read_flow(file: Path, name: str = "") -> Flow:
    """Read and check one flow, with the sub-flows beside it that it calls. Raises `BrokenFlow`."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BrokenFlow([f"{file} cannot be read: {error.strerror}."]) from error
    try:
        return parse(content, name or file.stem, beside(file))
    except FlowError as error:
        raise BrokenFlow([told(file, problem) for problem in error.problems]) from error


def beside(file: Path) -> Callable[[str], bytes | None]:
    """Gives the content of the flow of that name in the same folder, None if there is none."""

    def find(name: str) -> bytes | None:
        if not is_name(name):
            return None
        try:
            return (file.parent / f"{name}.json").read_bytes()
        except OSError:
            return None

    return find


def told(file: Path, problem: Diagnostic) -> str:
    """``file:line: words``, a form that terminals and editors make links of."""
    place = file.parent / problem.file if problem.file else file
    where = f"{place}:{problem.line}" if problem.line else str(place)
    state = f"{shown(problem.state)}: " if problem.state else ""
    return f"{where}: {state}{problem.reason} {problem.remedy}".rstrip()
