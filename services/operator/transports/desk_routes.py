"""The routes about what operators note. Each act is one request and one fact."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any
from uuid import UUID

from litestar import Router, get, post
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.params import JSONBody

from services.operator.desk_commands import DeskCommands
from services.operator.domain.decisions import Operator
from services.operator.handlers import Handlers, Still
from services.operator.transports import desk_schemas as wire
from services.operator.transports import schemas
from services.operator.transports.login import Door
from services.operator.transports.parameters import Id
from services.operator.transports.problems import as_problem, problems
from shared.contract.desk_facts import (
    ConversationAssigned,
    ConversationRead,
    ConversationSnoozed,
    DeskFact,
    LabelAdded,
    LabelRemoved,
    NoteRemoved,
    NoteWritten,
    PrioritySet,
    SnoozeEnded,
    SpamMarked,
    SpamUnmarked,
)
from shared.contract.desk_settings import DeskSettings
from shared.contract.visible import cleaned

#: Examples of what is answered.
_NOBODY = "there is no operator 'carol' who may log in"
_UNSEEN = "label: there is nothing to see in it"


class DeskAct:
    """What one operator does about one conversation, within one request."""

    def __init__(self, conversation: str, operator: Operator, commands: DeskCommands, still: Still) -> None:
        self._conversation = conversation
        self._commands = commands
        self._still = still
        self.by = operator.name

    async def note(self, command: str, wish: DeskFact, id: UUID | None) -> wire.DeskDetail:
        summary = await self._commands.note(command, self._conversation, wish, self._still, id)
        return wire.desk_detail(summary)


async def _act(id: Id, operator: Operator, handlers: Handlers, still: Still) -> DeskAct:
    return DeskAct(id, operator, DeskCommands(handlers), still)


def _command(
    conflict: str = "this id was used before, with another content", invalid: str = ""
) -> dict[str, Any]:
    return {"status_code": 200, "responses": problems(conflict, invalid)}


@get("/desk", responses=problems())
async def desk(id: Id, operator: Operator, handlers: Handlers) -> wire.DeskDetail:
    """What was noted about a conversation: labels, priority, notes and the like."""
    return wire.desk_detail(await DeskCommands(handlers).noted(id))


@post("/note", **_command("a conversation has at most 500 notes: remove some first", _NOBODY))
async def note(data: JSONBody[wire.WriteNote], act: DeskAct, door: Door) -> wire.DeskDetail:
    """Write a note for colleagues. The visitor is never shown it."""
    if len(data.text.encode()) > wire.MAX_NOTE:
        raise HTTPException(f"text: longer than {wire.MAX_NOTE} bytes of UTF-8", status_code=422)
    await _exist(door, data.mentions)
    text, mentions = _visible(data.text, "text"), tuple(dict.fromkeys(data.mentions))
    return await act.note("note", NoteWritten(operator=act.by, text=text, mentions=mentions), data.id)


@post("/remove-note", **_command("bob wrote this note, and may remove it"))
async def remove_note(data: JSONBody[wire.RemoveNote], act: DeskAct) -> wire.DeskDetail:
    """Remove a note of yours."""
    return await act.note("remove_note", NoteRemoved(operator=act.by, note=data.note), data.id)


@post("/label", **_command("a conversation has at most 20 labels: remove one first", _UNSEEN))
async def label(data: JSONBody[wire.SetLabel], act: DeskAct) -> wire.DeskDetail:
    """Add a label."""
    return await act.note("label", LabelAdded(operator=act.by, label=_label(data.label)), data.id)


@post("/unlabel", **_command(invalid=_UNSEEN))
async def unlabel(data: JSONBody[wire.SetLabel], act: DeskAct) -> wire.DeskDetail:
    """Remove a label."""
    return await act.note("unlabel", LabelRemoved(operator=act.by, label=_label(data.label)), data.id)


@post("/priority", **_command())
async def priority(data: JSONBody[wire.SetPriority], act: DeskAct) -> wire.DeskDetail:
    """Say how urgent it is."""
    return await act.note("priority", PrioritySet(operator=act.by, priority=data.priority), data.id)


@post(
    "/snooze",
    **_command(
        "the conversation is resolved: nobody needs to look at it", "until: name a time within a year"
    ),
)
async def snooze(data: JSONBody[wire.Snooze], act: DeskAct) -> wire.DeskDetail:
    """Nobody needs to look at it until a time to come, or until the visitor writes."""
    try:
        until = data.until.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        raise HTTPException("until: name a time within a year", status_code=422) from None
    return await act.note("snooze", ConversationSnoozed(operator=act.by, until=until), data.id)


@post("/unsnooze", **_command())
async def unsnooze(act: DeskAct, data: JSONBody[wire.Wish | None] = None) -> wire.DeskDetail:
    """Look at it again before that time."""
    return await act.note("unsnooze", SnoozeEnded(operator=act.by), data.id if data else None)


@post("/read", **_command("nothing is at position 18: the last entry is at 17"))
async def read(data: JSONBody[wire.MarkRead], act: DeskAct) -> wire.DeskDetail:
    """Say up to where you have seen it. What was seen stays seen."""
    return await act.note("read", ConversationRead(operator=act.by, position=data.position), data.id)


@post("/assign", **_command("Ada has this conversation: who has it may transfer it", _NOBODY))
async def assign(act: DeskAct, door: Door, data: JSONBody[wire.Assign | None] = None) -> wire.DeskDetail:
    """Say who should take it: an operator, a queue or nobody. To pass on what is yours, transfer it."""
    data = data or wire.Assign()
    if data.operator and data.queue:
        raise HTTPException("say which operator, or which queue, not both", status_code=422)
    await _exist(door, [data.operator] if data.operator else [])
    to, queue, words = data.operator or "", data.queue or "", cleaned(data.note)
    return await act.note(
        "assign", ConversationAssigned(operator=act.by, to=to, queue=queue, note=words), data.id
    )


@post("/spam", **_command())
async def spam(act: DeskAct, data: JSONBody[wire.Wish | None] = None) -> wire.DeskDetail:
    """It is no request of a customer."""
    return await act.note("spam", SpamMarked(operator=act.by), data.id if data else None)


@post("/unspam", **_command())
async def unspam(act: DeskAct, data: JSONBody[wire.Wish | None] = None) -> wire.DeskDetail:
    """It is one after all."""
    return await act.note("unspam", SpamUnmarked(operator=act.by), data.id if data else None)


@post("/reopen", **_command("this conversation is not resolved: claim it to take it over"))
async def reopen(
    id: Id, operator: Operator, handlers: Handlers, still: Still, settings: DeskSettings
) -> schemas.Row:
    """Take a resolved conversation, and go on with it."""
    return schemas.row(await handlers.reopen(id, operator, still), settings)


def desk_routes() -> Router:
    """All of these."""
    return Router(
        path="/api/conversations/{id:str}",
        route_handlers=[
            *(desk, note, remove_note, label, unlabel, priority, snooze, unsnooze),
            *(read, assign, spam, unspam, reopen),
        ],
        dependencies={"act": Provide(_act)},
        exception_handlers={Exception: as_problem},
    )


def _visible(text: str, field: str) -> str:
    found = cleaned(text).strip()
    if not found:
        raise HTTPException(f"{field}: there is nothing to see in it", status_code=422)
    return found


def _label(text: str) -> str:
    found = _visible(text, "label")
    if "\n" in found or "\t" in found:
        raise HTTPException("label: one line, without tabs", status_code=422)
    return found


async def _exist(door: Door, accounts: Iterable[str]) -> None:
    for account in accounts:
        if await door.accounts.find(account) is None:
            raise HTTPException(f"there is no operator {account!r} who may log in", status_code=422)
