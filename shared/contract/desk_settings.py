"""The desk's settings: one JSON document about queues and those who work in them. Pure.

Whoever wrote it is told of all that is wrong in it at once: which field, and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from shared.contract.working_hours import Hours, Week, WorkingHours

#: The largest document (bytes).
MAX_DOCUMENT: Final = 256 * 1024
MAX_QUEUES: Final = 200
MAX_QUEUE_NAME: Final = 64
MAX_OPERATORS: Final = 1_000
#: The most conversations that one person can be said to serve at once.
MAX_CAPACITY: Final = 100
#: The longest agreed time (hours of working time): five years of full weeks are less.
MAX_HOURS: Final = 1_000

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smh])")
_CLOCK: Final = r"([01][0-9]|2[0-3]):([0-5][0-9])"
_HOURS: Final = re.compile(rf"{_CLOCK}-(?:{_CLOCK}|(24):(00))")
_ACCOUNT: Final = re.compile(r"(?=.{1,32}$)[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_AT: Final = re.compile(r"(.*) - at `\$\.?(.*?)`", re.DOTALL)

_T = TypeVar("_T")


class SettingsError(Exception):
    """The document cannot be used. ``problems`` says what is wrong, one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class HoursDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Hours of each day such as ``["09:00-12:30", "13:30-17:00"]``; a day without any is free.

    ``zone`` is a name of the IANA database, "" the desk's. ``holidays`` are dates such as ``2026-12-25``.
    """

    zone: str = ""
    monday: list[str] = []
    tuesday: list[str] = []
    wednesday: list[str] = []
    thursday: list[str] = []
    friday: list[str] = []
    saturday: list[str] = []
    sunday: list[str] = []
    holidays: list[str] = []


class AgreedDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Working time such as ``90s``, ``5m`` or ``8h``; "": nothing is agreed."""

    first_response: str = ""
    next_response: str = ""
    resolution: str = ""


Capacity = Annotated[int, msgspec.Meta(ge=1, le=MAX_CAPACITY)]


class OperatorDocument(msgspec.Struct, forbid_unknown_fields=True):
    """What one operator can do: conversations at once (without it the desk's ``capacity``), and languages, as
    tags of BCP 47.
    """

    capacity: Capacity | None = None
    languages: list[str] = []


class QueueDocument(msgspec.Struct, forbid_unknown_fields=True):
    """What holds in one queue. Without ``hours`` it has the desk's; without ``members`` everybody serves.

    ``assignment``: by hand, or automatic; whoever does not answer within ``answer_seconds`` loses then what
    they were given.
    """

    members: list[str] | None = None
    assignment: Literal["hand", "automatic"] = "hand"
    answer_seconds: Annotated[int, msgspec.Meta(ge=10, le=3600)] = 60
    hours: HoursDocument | None = None
    agreed: AgreedDocument = msgspec.field(default_factory=AgreedDocument)


class DeskDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The whole document. Without ``hours`` people always work, without ``capacity`` it has no limit."""

    zone: str = "UTC"
    hours: HoursDocument | None = None
    capacity: Capacity | None = None
    operators: dict[str, OperatorDocument] = {}
    queues: dict[str, QueueDocument] = {}


class AgreedTimes(msgspec.Struct, frozen=True):
    """Working time for each goal (nanoseconds); 0: nothing is agreed."""

    first_response: int = 0
    next_response: int = 0
    resolution: int = 0


class Skills(msgspec.Struct, frozen=True):
    """What an operator can do. ``capacity``: conversations at once, 0: without a limit."""

    capacity: int = 0
    languages: frozenset[str] = frozenset()  # in lower case, without a region: "pt"

    def speaks(self, language: str) -> bool:
        """Whether the operator speaks a language, as a door told it."""
        return _primary(language) in self.languages


class Queue(msgspec.Struct, frozen=True):
    """What holds in a queue. ``members`` are accounts; None: everybody."""

    hours: WorkingHours
    agreed: AgreedTimes = AgreedTimes()
    members: frozenset[str] | None = None
    automatic: bool = False
    answer: int = 0  # how long somebody may take to answer what they were given (nanoseconds)

    def is_served_by(self, account: str) -> bool:
        return self.members is None or account in self.members


_ALWAYS_OPEN: Final = WorkingHours(ZoneInfo("UTC"))


class DeskSettings(msgspec.Struct, frozen=True):
    """What the document says. A queue that it does not name is open at all times, everybody serves it, and
    nothing is agreed.
    """

    queues: Mapping[str, Queue] = {}
    operators: Mapping[str, Skills] = {}
    others: Skills = Skills()  # of an operator whom the document does not name

    def queue(self, name: str) -> Queue:
        return self.queues.get(name) or _OTHER_QUEUE

    def skills(self, account: str) -> Skills:
        return self.operators.get(account) or self.others

    @property
    def assigns(self) -> bool:
        """Whether any queue gives its conversations out by itself."""
        return any(queue.automatic for queue in self.queues.values())

    @property
    def agrees(self) -> bool:
        """Whether any queue has agreed times."""
        return any(queue.agreed != AgreedTimes() for queue in self.queues.values())

    @property
    def named(self) -> frozenset[str]:
        """All accounts that the document names."""
        return frozenset(self.operators).union(*(queue.members or () for queue in self.queues.values()))


_OTHER_QUEUE: Final = Queue(_ALWAYS_OPEN)
#: While there are no settings.
NO_SETTINGS: Final = DeskSettings()


def read_settings(document: bytes) -> DeskSettings:
    """What a document says. Raises `SettingsError`."""
    return _DocumentReader().read(document)


class _DocumentReader:
    """Reads one document, and collects what is wrong in it."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    def read(self, document: bytes) -> DeskSettings:
        if len(document) > MAX_DOCUMENT:
            raise SettingsError([f"the document is larger than {MAX_DOCUMENT // 1024} KiB: shorten it"])
        try:
            whole = msgspec.json.decode(document)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingsError([f"this is not JSON: {error}"]) from error
        if not isinstance(whole, dict):
            raise SettingsError(['the document must be an object such as {"zone": "Europe/Berlin"}'])
        # One by one: msgspec does not say in which key of a dictionary something is wrong.
        queues, operators = self._part(whole, "queues"), self._part(whole, "operators")
        desk = self._convert("", whole, DeskDocument) or DeskDocument()
        zone = self._zone("zone", desk.zone or "UTC")
        hours = self._hours("hours", desk.hours, zone) if desk.hours else WorkingHours(zone)
        if len(queues) > MAX_QUEUES:
            self._problems.append(f"queues: there are {len(queues)}, and at most {MAX_QUEUES} are possible")
        if len(operators) > MAX_OPERATORS:
            self._problems.append(
                f"operators: there are {len(operators)}, and at most {MAX_OPERATORS} are possible"
            )
        others = Skills(desk.capacity or 0)
        people = {
            name: self._skills(name, value, others) for name, value in list(operators.items())[:MAX_OPERATORS]
        }
        found = {
            name: self._queue(name, value, zone, hours) for name, value in list(queues.items())[:MAX_QUEUES]
        }
        if self._problems:
            raise SettingsError(self._problems)
        return DeskSettings(queues=found, operators=people, others=others)

    def _part(self, whole: dict[str, Any], name: str) -> dict[str, Any]:
        part = whole.pop(name, {})
        if isinstance(part, dict):
            return part
        self._problems.append(f"{name}: must be an object that has a key for each name")
        return {}

    def _convert(self, path: str, value: Any, kind: type[_T]) -> _T | None:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            said, where = str(error), ""
            if found := _AT.fullmatch(said):
                said, where = found.groups()
            place = ".".join(part for part in (path, where) if part) or "the document"
            hint = ""
            if "unknown field" in said:
                hint = f"; known here are {_fields(kind, where)}"
            self._problems.append(f"{place}: {said[:1].lower()}{said[1:]}{hint}")
            return None

    def _queue(self, name: str, value: Any, zone: ZoneInfo, hours: WorkingHours) -> Queue:
        path = f"queues.{name}"
        if not 1 <= len(name) <= MAX_QUEUE_NAME:
            self._problems.append(f"{path}: a queue's name has 1 to {MAX_QUEUE_NAME} characters")
        queue = self._convert(path, value, QueueDocument) or QueueDocument()
        own = self._hours(f"{path}.hours", queue.hours, zone) if queue.hours else hours
        agreed = AgreedTimes(
            *(
                self._duration(f"{path}.agreed.{goal}", getattr(queue.agreed, goal))
                for goal in AgreedTimes.__struct_fields__
            )
        )
        for at, member in enumerate(queue.members or ()):
            self._account(f"{path}.members[{at}]", member)
        if queue.members == []:
            self._problems.append(
                f"{path}.members: nobody serves this queue; name accounts, or leave `members` out if "
                "everybody does"
            )
        members = None if queue.members is None else frozenset(queue.members)
        automatic = queue.assignment == "automatic"
        return Queue(own, agreed, members, automatic, queue.answer_seconds * 10**9)

    def _skills(self, name: str, value: Any, others: Skills) -> Skills:
        path = f"operators.{name}"
        self._account(path, name)
        found = self._convert(path, value, OperatorDocument) or OperatorDocument()
        for at, language in enumerate(found.languages):
            if not _LANGUAGE.fullmatch(language):
                self._problems.append(
                    f"{path}.languages[{at}]: {language!r} is no tag of a language; write it as de or pt-BR"
                )
        languages = frozenset(_primary(language) for language in found.languages)
        return Skills(found.capacity or others.capacity, languages)

    def _account(self, path: str, name: str) -> None:
        if not _ACCOUNT.fullmatch(name):
            self._problems.append(
                f"{path}: {name!r} cannot be an account's name: 1 to 32 of a-z, 0-9, '.', '_' and '-'"
            )

    def _hours(self, path: str, hours: HoursDocument, zone: ZoneInfo) -> WorkingHours:
        own = self._zone(f"{path}.zone", hours.zone) if hours.zone else zone
        week: Week = tuple(self._day(f"{path}.{day}", getattr(hours, day)) for day in DAYS)
        if not any(getattr(hours, day) for day in DAYS):
            self._problems.append(
                f'{path}: no day has any hours; write them as "monday": ["09:00-17:00"], or leave '
                f"`hours` out if people always work"
            )
        holidays = (self._date(f"{path}.holidays[{at}]", text) for at, text in enumerate(hours.holidays))
        return WorkingHours(own, week, frozenset(day for day in holidays if day))

    def _day(self, path: str, texts: list[str]) -> tuple[Hours, ...]:
        found: list[Hours] = []
        for at, text in enumerate(texts):
            hours = _HOURS.fullmatch(text)
            if hours is None:
                self._problems.append(f'{path}[{at}]: {text!r} are no hours; write them as "09:00-17:00"')
                continue
            numbers = [int(number) for number in hours.groups() if number is not None]
            each = Hours(numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3])
            if each.start >= each.end:
                self._problems.append(
                    f"{path}[{at}]: {text!r} ends before it begins; hours over midnight are written as two, "
                    "up to 24:00 and from 00:00 on the next day"
                )
            elif found and each.start < found[-1].end:
                self._problems.append(
                    f"{path}[{at}]: {text!r} begins before the hours ahead of it end; write them in order "
                    "and apart"
                )
            else:
                found.append(each)
        return tuple(found)

    def _date(self, path: str, text: str) -> date | None:
        try:
            if len(text) == 10:
                return date.fromisoformat(text)
        except ValueError:
            pass
        self._problems.append(f"{path}: {text!r} is no day; write it as 2026-12-25")
        return None

    def _zone(self, path: str, name: str) -> ZoneInfo:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._problems.append(
                f"{path}: {name!r} is no time zone that is known here; name one of the IANA database, such "
                "as Europe/Berlin"
            )
            return ZoneInfo("UTC")

    def _duration(self, path: str, text: str) -> int:
        """Nanoseconds."""
        if not text:
            return 0
        found = _DURATION.fullmatch(text)
        seconds = int(found[1]) * _UNITS[found[2]] if found else 0
        if 0 < seconds <= MAX_HOURS * 3600:
            return seconds * 10**9
        self._problems.append(
            f"{path}: {text!r} is no working time of at most {MAX_HOURS}h; write it as 90s, 5m or 8h (a "
            "day's work is as many hours as are worked on it)"
        )
        return 0


def _primary(language: str) -> str:
    """Of the first language, as doors tell them ("pt-BR,pt;q=0.9"), without its region."""
    return re.split("[-_,;]", language.strip(), maxsplit=1)[0].lower()


def _fields(kind: Any, where: str) -> str:
    """The names of the fields that a part of a document may have."""
    for name in filter(None, where.split(".")):
        for option in getattr(kind, "__struct_fields__", ()):
            if option == name:
                kind = _PARTS[name]
    return ", ".join(kind.__struct_fields__)


_PARTS: Final[dict[str, Any]] = {"hours": HoursDocument, "agreed": AgreedDocument}
