"""A remote platform's side of an engagement, without I/O (see docs/socketio.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from services.proxy.domain import close_codes
from services.proxy.domain.limits import MAX_UNANSWERED
from services.proxy.domain.past import Past, is_erased
from services.proxy.domain.session import Append
from services.proxy.domain.socketio_protocol import Emit, Missing, Output, Talk, error, held
from shared.contract import cursor as cursors
from shared.contract.agents import BadConfiguration, configured
from shared.contract.conversation import NEW, Conversation, step
from shared.contract.cursor import Cursor
from shared.contract.entry import Entry, RecordedEntry, needed
from shared.contract.facts import (
    DecisionFailed,
    EngagementBegan,
    EngagementEnded,
    Fact,
    InputRefused,
    Interjected,
    RequestAnswered,
    RequestMade,
)
from shared.contract.visible import cleaned, cleaned_json

#: Names and ids of the platform (characters).
MAX_NAME: Final = 200
FAILED: Final = "the agent failed"
TOO_MANY: Final = f"{MAX_UNANSWERED} requests wait for their answers: wait for some of them"


class EngagementRefused(Exception):
    """The handshake lets nobody in; the text says why, and goes to the client."""


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent as this proxy offers it: its kind, what is set, and what a handshake may set."""

    kind: str
    configuration: dict[str, Any] = {}
    allow: tuple[str, ...] | None = None  # None: everything


class _Agent(msgspec.Struct, frozen=True):
    name: str
    id: str | int | None = None
    configuration: dict[str, Any] | None = None


class _User(msgspec.Struct, frozen=True):
    id: str | int | None = None
    name: Any = None
    username: Any = None
    personalname: Any = None

    @property
    def called(self) -> str:
        """How to greet: the first there is of personalname, username, name, id."""
        for name in (self.personalname, self.username, self.name):
            if isinstance(name, str) and (shown := cleaned(name).strip()):
                return shown[:MAX_NAME]
        return str(self.id)


class _Chat(msgspec.Struct, frozen=True):
    id: str | int | None = None


class _Handshake(msgspec.Struct, frozen=True):
    agent: _Agent
    user: _User
    chat: _Chat | None = None
    token: str | None = None
    cursor: str | None = None


class _Request(msgspec.Struct, frozen=True):
    key: str
    value: Any = None
    annotations: Any = None


class _End(msgspec.Struct, frozen=True):
    agent: _Agent | str | None = None
    chat: _Chat | None = None
    user: _User | None = None


class Engaged(msgspec.Struct, frozen=True):
    """A handshake that lets its client in."""

    agent: str  # as the client calls it
    began: EngagementBegan
    chat: str
    token: str
    cursor: str | None
    agent_id: str

    @property
    def user(self) -> str:
        return self.began.user

    def conversation(self, secret: str) -> str:
        """The engagement's name on the log: who knows the ids alone cannot tell it."""
        ids = msgspec.json.encode((self.agent, self.agent_id, self.user, self.chat))
        key = blake2b(secret.encode(), person=b"agents").digest()
        return blake2b(ids, digest_size=16, key=key, person=b"agents").hexdigest()


def offers(text: str, kinds: Mapping[str, type[msgspec.Struct]]) -> dict[str, Offer]:
    """The agents of a file, besides those that come along; null takes one of these away.

    Raises ValueError, which says what is wrong.
    """
    offered = {name: Offer(name) for name in kinds}
    try:
        content = msgspec.json.decode(text or "{}", type=dict[str, Offer | None])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"not a JSON object of agents: {error}") from error
    for name, on_entry in content.items():
        if on_entry is None:
            offered.pop(name, None)
            continue
        if on_entry.kind not in kinds:
            raise ValueError(f"{name}: there is no kind {on_entry.kind!r}: one of {', '.join(sorted(kinds))}")
        fields = kinds[on_entry.kind].__struct_fields__
        for field in (*on_entry.configuration, *(on_entry.allow or ())):
            if field not in fields:
                raise ValueError(
                    f"{name}: {on_entry.kind} has no {field!r}: {', '.join(fields) or 'nothing'}"
                )
        offered[name] = on_entry
    return offered


def engage(
    auth: Mapping[str, Any], offered: Mapping[str, Offer], kinds: Mapping[str, type[msgspec.Struct]]
) -> Engaged:
    """Read a handshake. Raises `EngagementRefused`."""
    try:
        asked = msgspec.convert(auth, _Handshake)
    except msgspec.ValidationError as problem:
        raise EngagementRefused(f"auth: {problem}") from problem
    on_entry = offered.get(asked.agent.name)
    if on_entry is None:
        raise EngagementRefused(f"there is no agent {asked.agent.name[:50]!r}")
    user, agent_id = _id(asked.user.id), _id(asked.agent.id)
    chat = _id(asked.chat.id) if asked.chat else ""
    if not user:
        raise EngagementRefused("auth.user.id is missing")
    if max(map(len, (user, agent_id, chat))) > MAX_NAME:
        raise EngagementRefused(f"an id may have at most {MAX_NAME} characters")
    if any(cleaned(id) != id for id in (user, agent_id, chat)):
        raise EngagementRefused("an id holds control characters, or nothing that shows")
    wanted = asked.agent.configuration or {}
    for field in wanted:
        if on_entry.allow is not None and field not in on_entry.allow:
            raise EngagementRefused(f"{asked.agent.name}: {field[:50]!r} may not be configured")
    configuration = {**on_entry.configuration, **wanted}
    try:
        configured(kinds[on_entry.kind], configuration)
    except BadConfiguration as problem:
        raise EngagementRefused(f"auth.agent.configuration of {asked.agent.name}: {problem}") from problem
    began = EngagementBegan(
        agent=on_entry.kind, user=user, name=asked.user.called, configuration=configuration
    )
    return Engaged(asked.agent.name, began, chat, asked.token or "", asked.cursor, agent_id)


class AgentTalk(Talk):
    """One connection of an engaged user's. All of them hear the same: they are the agent's room."""

    def __init__(self, engaged: Engaged, epoch: str) -> None:
        self._state: Conversation = NEW
        self._engaged = engaged
        self._epoch = epoch
        self._past: Past | None = None  # while the history is told
        self._start: Cursor | None = None  # behind which that begins
        self._asked: dict[int, RequestMade] = {}  # requests of the history without an answer so far

    @property
    def state(self) -> Conversation:
        return self._state

    def open(self, past: Past, shared: bool = True) -> list[Output]:
        """What came after the cursor is told; the engagement begins where it is new, over, or another."""
        self._past, self._state = past, past.state
        self._start = held(self._engaged.cursor or "", self._epoch, past)
        return []

    @property
    def lacks(self) -> int | None:
        """All of it, or none: an answer tells its request too, which may be from long before."""
        return None if self._start is None else 0

    def tell(self, recorded: RecordedEntry) -> list[Output]:
        past, start = self._past, self._start
        if past is None or start is None or not past.begins <= recorded.position <= past.state.position:
            return []
        effective = past.effective(recorded)
        if recorded.author == "visitor":
            self._asked.update(
                (recorded.position, fact) for fact in effective if isinstance(fact, RequestMade)
            )
        request = self._asked.pop(recorded.cause, None) if effective and recorded.cause is not None else None
        if recorded.position < start.position:
            return []
        output = self._tell(recorded, effective, request)
        if recorded.position == start.position:
            return [each for each in output if _after(each, start)]
        return output

    def told(self, new_id: str) -> list[Output]:
        self._past = self._start = None
        self._asked.clear()
        return [] if self._engages() else [Append(_entry(new_id, self._engaged.began))]

    def follow(self, recorded: RecordedEntry) -> list[Output]:
        if recorded.position <= self.state.position:
            return []
        owed = self.state.inbox.unanswered
        self._state, effective = step(self._state, recorded)
        if is_erased(effective):
            return [close_codes.STALE]
        request = next((item.fact for item in owed.at(recorded.cause or 0)), None)
        return self._tell(recorded, effective, request)

    def _tell(
        self, recorded: RecordedEntry, effective: tuple[Fact, ...], request: Fact | None
    ) -> list[Output]:
        output: list[Output] = []
        for index, fact in enumerate(effective):
            answer = _told(fact, request)
            if answer is not None:
                if self._engaged.cursor is not None:
                    place = Cursor(self._epoch, recorded.position, recorded.time, index)
                    answer.data["cursor"] = cursors.encode(place)
                output.append(answer)
        return output

    def receive(self, event: str, payload: Any, new_id: Callable[[], str]) -> Append | Emit | Missing:
        try:
            if event == "request":
                return self._request(msgspec.convert(payload, _Request), new_id)
            if event == "end":
                return self._end(msgspec.convert(payload, _End), new_id)
        except msgspec.ValidationError as problem:
            return error(f"{event}: {problem}")
        return error(f"unknown event {event[:50]!r}: agents take request and end")

    def _request(self, request: _Request, new_id: Callable[[], str]) -> Append | Emit | Missing:
        if self.state.engagement is not None and self.state.engagement.over:
            return Missing("the engagement is over")
        if len(self.state.inbox.unanswered) >= MAX_UNANSWERED:
            return error(f"request: {TOO_MANY}")
        try:
            value, annotations = cleaned_json(request.value), cleaned_json(request.annotations)
        except RecursionError:
            return error("request: nested too deep")
        fact = RequestMade(key=cleaned(request.key), value=value, annotations=annotations)
        return Append(_entry(new_id(), fact))

    def _end(self, end: _End, new_id: Callable[[], str]) -> Append | Missing:
        mine = self._engaged
        agent = end.agent.name if isinstance(end.agent, _Agent) else end.agent
        if agent not in (None, mine.agent):
            return Missing("another agent than the connection's")
        if isinstance(end.agent, _Agent) and end.agent.id is not None and _id(end.agent.id) != mine.agent_id:
            return Missing("another agent than the connection's")
        if end.user is not None and end.user.id is not None and _id(end.user.id) != mine.user:
            return Missing("another user than the connection's")
        if end.chat is not None and end.chat.id is not None and _id(end.chat.id) != mine.chat:
            return Missing("another chat than the connection's")
        return Append(_entry(new_id(), EngagementEnded()))

    def _engages(self) -> bool:
        return self.state.engagement is not None and self.state.engagement.is_as(self._engaged.began)


def _told(fact: Fact, request: Fact | None) -> Emit | None:
    """What the platform hears of a fact; ``request`` is what its entry answers."""
    if isinstance(fact, Interjected):
        return Emit("interjection", {"message": fact.message})
    if not isinstance(request, RequestMade):
        return None
    data = {"key": request.key, "value": request.value, "annotations": request.annotations}
    match fact:
        case RequestAnswered(result=result, error=""):
            return Emit("response", {**data, "result": result})
        case RequestAnswered(error=reason):
            return Emit("response", {**data, "result": False, "error": reason})
        case DecisionFailed() | InputRefused():
            return Emit("response", {**data, "result": False, "error": FAILED})
        case _:
            return None


def _after(told: Output, start: Cursor) -> bool:
    """Whether the client lacks this one of the entry that its cursor names."""
    place = cursors.decode(told.data["cursor"]) if isinstance(told, Emit) else None
    return place is not None and place.fact > start.fact


def _id(given: str | int | None) -> str:
    """Ids compare as text: ``1`` is ``"1"``."""
    return "" if given is None else str(given)


def _entry(id: str, fact: Fact) -> Entry:
    return Entry(id=id, needs=needed((fact,)), facts=(fact,))
