"""A conversation in a file, to be replayed as a test: its entries, and the flows that decided. Pure.

JSON lines: a `BundleHead`, then in their order the entries (`BundledEntry`), each flow (`BundledFlow`) before
the first entry that was decided by it, last a `BundleEnd`, by which a file that was cut off is known. What
backends and the assistant answered is in the entries. It is written and read line by line, so a long
conversation takes no memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from shared.contract import entry
from shared.contract.conversation import NEW, step
from shared.contract.entry import LEVEL, RecordedEntry
from shared.contract.left_out import WordsLeftOut
from shared.flow.language.flow import Flow, FlowError, parse
from shared.flow.retrace import Retraced, flow_of, is_decision, retraced

#: The form of the file. A program reads those up to its own.
FORM: Final = 1
#: The longest line (bytes): an entry, or a flow, with every character escaped, has less.
MAX_LINE: Final = 4 * 1024 * 1024
#: Decisions that are named of those that nobody can tell.
MAX_NAMED: Final = 20


class BadBundle(ValueError):
    """The file is no bundle that this program can replay; the text says why, and in which line."""


class BundleHead(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is in the file: a conversation up to ``position``, with its ``words`` or without.

    ``program`` is the version that wrote it, ``made`` when that was (RFC 3339, UTC).
    """

    bundle: int = FORM
    conversation: str
    position: int
    words: bool
    program: str
    made: str


class BundledFlow(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A version of a flow, exactly as the log keeps it."""

    flow: str
    version: str
    content: str


class BundledEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An entry as the log has it, with its place. ``unopened``: its words could not be read."""

    position: int
    author: str
    id: str
    cause: int | None = None
    needs: int = 1
    stored: int  # nanoseconds since 1970, UTC
    unopened: bool = False
    facts: tuple[Any, ...]


class BundleEnd(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How many entries there are."""

    entries: int


class UntoldDecision(msgspec.Struct, frozen=True):
    """A decision of which nobody can say whether it would be the same, and why."""

    position: int
    place: str | None
    why: str


class BundleReport(msgspec.Struct, kw_only=True):
    """How many decisions came out the ``same``, are the service's ``own``, or are ``untold``.

    ``difference`` is the first that came out otherwise, at ``position``; nothing behind it was replayed,
    since nobody knows what the visitor would have done then. ``instead`` counts those of another flow.
    """

    conversation: str
    entries: int = 0
    same: int = 0
    own: int = 0
    untold: int = 0
    instead: int = 0
    named: list[UntoldDecision] = []
    position: int | None = None
    difference: Retraced | None = None


_encode = msgspec.json.Encoder(enc_hook=str).encode


class BundleWriter:
    """Makes a bundle's lines. Without ``words`` they are left out of each entry."""

    def __init__(self, words: bool) -> None:
        self._words = words
        self._left_out = WordsLeftOut(not words)
        self._entries = 0

    def head(self, conversation: str, position: int, program: str, made: str) -> bytes:
        """The first line."""
        return _line(
            BundleHead(
                conversation=conversation, position=position, words=self._words, program=program, made=made
            )
        )

    def flow(self, name: str, version: str, content: bytes) -> bytes:
        """The line of a flow, before the first entry that was decided by it."""
        return _line(BundledFlow(flow=name, version=version, content=content.decode()))

    def entry(self, recorded: RecordedEntry) -> bytes:
        """The line of the next entry."""
        self._entries += 1
        shown = recorded if self._words else self._left_out.entry(recorded)
        return _line(
            BundledEntry(
                position=recorded.position,
                author=recorded.author,
                id=recorded.id,
                cause=recorded.cause,
                needs=recorded.needs,
                stored=recorded.time,
                unopened=recorded.sealed,
                facts=shown.facts,
            )
        )

    def end(self) -> bytes:
        """The last line."""
        return _line(BundleEnd(entries=self._entries))


def _line(what: msgspec.Struct) -> bytes:
    return _encode(what) + b"\n"


def replayed(lines: Iterable[bytes], instead: Flow | None = None) -> BundleReport:
    """Decide each turn of a bundle again, up to the first that comes out otherwise.

    ``instead`` decides in place of the flow of its name. Raises `BadBundle`.
    """
    reading = _BundleReader(lines)
    left_out = WordsLeftOut(not reading.head.words)
    report = BundleReport(conversation=reading.head.conversation, named=[])
    state = NEW
    for recorded in reading.entries():
        recorded = left_out.entry(recorded)
        before, (state, _) = state, step(state, recorded)
        report.entries += 1
        if report.difference is not None or not is_decision(before, recorded):
            continue
        name, version = flow_of(before, recorded)
        flow = reading.flows.get(version)
        if instead is not None and instead.name == name:
            flow, report.instead = instead, report.instead + 1
        found = retraced(before, recorded, flow, words=not left_out.some)
        match found:
            case Retraced(verdict="same"):
                report.same += 1
            case Retraced(verdict="own"):
                report.own += 1
            case Retraced(verdict="untold", place=place, why=why):
                report.untold += 1
                if len(report.named) < MAX_NAMED:
                    report.named.append(UntoldDecision(recorded.position, place, why))
            case Retraced():
                report.difference, report.position = found, recorded.position
    return report


class _BundleReader:
    """The lines of a bundle. ``flows`` are those so far, by version; None for one that cannot run here."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = enumerate(lines, start=1)
        self.flows: dict[str, Flow | None] = {}
        _, line = next(self._lines, (1, b""))
        try:
            self.head = msgspec.json.decode(line, type=BundleHead)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadBundle(
                "line 1: this is no bundle; one is made by “Save as a test” in a conversation's history"
            ) from None
        if not 1 <= self.head.bundle <= FORM:
            raise BadBundle(f"line 1: form {self.head.bundle}; this program reads those up to {FORM}")

    def entries(self) -> Iterator[RecordedEntry]:
        """The entries in their order. Raises `BadBundle`."""
        position = count = 0
        for number, line in self._lines:
            if len(line) > MAX_LINE:
                raise BadBundle(f"line {number}: longer than {MAX_LINE:,} bytes")
            match self._read(number, line):
                case BundledFlow() as flow:
                    self._keep(number, flow)
                case BundleEnd(entries=entries):
                    if entries != count:
                        raise BadBundle(f"line {number}: {entries} entries are named, {count} are there")
                    if (behind := next(self._lines, None)) is not None:
                        raise BadBundle(f"line {behind[0]}: nothing may follow the end")
                    return
                case BundledEntry() as found:
                    if found.position <= position:
                        raise BadBundle(f"line {number}: position {found.position} comes behind {position}")
                    if found.needs > LEVEL:
                        raise BadBundle(
                            f"line {number}: it takes a newer program (level {found.needs}; this has {LEVEL})"
                        )
                    position, count = found.position, count + 1
                    recorded = entry.decode(
                        position, self.head.conversation, found.author, found.stored, line
                    )
                    yield replace(recorded, sealed=found.unopened)
        raise BadBundle(f"the file ends behind entry {count}, without its last line: it was cut off")

    def _read(self, number: int, line: bytes) -> BundledFlow | BundleEnd | BundledEntry:
        try:
            members = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            if "content" in members:
                return msgspec.json.decode(line, type=BundledFlow)
            if "entries" in members:
                return msgspec.json.decode(line, type=BundleEnd)
            return msgspec.json.decode(line, type=BundledEntry)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadBundle(f"line {number}: neither a flow nor an entry: {error}") from None

    def _keep(self, number: int, found: BundledFlow) -> None:
        try:
            flow = parse(found.content.encode(), found.flow)
        except FlowError:
            self.flows[found.version] = None
            return
        if flow.version != found.version:
            raise BadBundle(
                f"line {number}: the flow “{found.flow}” is not version {found.version}: it was changed"
            )
        self.flows[found.version] = flow
