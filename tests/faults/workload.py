"""Many visitors and operators at work: each behaves as a real client does and keeps its history."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Sequence
from typing import Any

import httpx

from shared.contract.subjects import conversation_of
from shared.service.tasks import end
from tests.faults.checker import position_of
from tests.faults.history import Deeds
from tests.visitor import Visitor, address

#: How long a client waits for anything before the run counts as hung (seconds): longer than any fault.
PATIENCE = 150.0
#: How often an operator closes a conversation and does not hand it back.
RESOLVES = 0.2
#: How often one notes something about a conversation before.
NOTES = 0.3
#: Reasons of a refusal that say the message was not stored. Others are the flow's, after an Ack.
NOT_STORED = {"log_full", "too_large", "id_reused", "text_too_long"}


class Guest(Visitor):
    """A visitor with several proxies to go to, who takes turns along the tour flow.

    ``people`` is how often the guest asks for a person, ``haste`` how often it says something more before
    it is answered, ``anew`` how often it begins anew.
    """

    def __init__(
        self,
        urls: Sequence[str],
        history: Deeds,
        seed: int = 0,
        pauses: tuple[float, float] = (0.05, 0.25),
        people: float = 0.0,
        haste: float = 0.0,
        anew: float = 0.0,
    ) -> None:
        super().__init__(urls[0], seed)
        self.urls = [address(url) for url in urls]
        self.pauses = pauses
        self._history = history
        self._people = people
        self._haste = haste
        self._anew = anew
        self._deeds: dict[str, int] = {}
        self._told = False
        self.turns: list[tuple[float, float]] = []  # when each began, and how long its answer took

    @property
    def conversation(self) -> str:
        return conversation_of(self.cookie.split("=")[1], "websocket") if self.cookie else ""

    @property
    def connected(self) -> bool:
        """Whether a socket is open and has told all that was missed."""
        return self._told

    async def turn(self) -> None:
        """Answer what is asked, and wait for the next question. Or begin anew, and wait for the first."""
        asked = await self.question()
        if await self._silent(asked):
            return
        if self._random.random() < self._anew:
            await self.say({"kind": "ResetSession"})
            await self.settled()
            await self.question()
            return
        person = False
        if asked["kind"] == "ChoiceRequest":
            person = self._random.random() < self._people
            frame = {"kind": "ChoiceResponse", "groupId": asked["groupId"], "itemId": 2 if person else 1}
        else:
            text = self._text()
            frame = {"kind": "UserText", "sessionId": asked["sessionId"], "content": text}
        seen = len(self.transcript)
        begun = time.monotonic()
        await self.say(frame)
        if self._random.random() < self._haste:
            await asyncio.sleep(self._random.uniform(0.0, 0.1))
            await self.say({"kind": "UserText", "sessionId": "plain", "content": "hello?"})
        await self.settled()
        if person:
            await self.until(
                lambda self: self.state.get("owner") != "bot" or self._closed() or self._open() is not None
            )
            await self.say({"kind": "UserText", "sessionId": "operator", "content": "is anybody there?"})
        await self.question()
        if not person and "OperatorJoined" not in self.kinds()[seen:]:
            self.turns.append((begun, time.monotonic() - begun))

    def _text(self) -> str:
        return f"text {len(self.sent)} of {self._random.random()}"

    async def question(self) -> dict[str, Any]:
        """The question that is open. Where somebody closed the conversation, a word opens it again."""
        while True:
            await self.until(lambda self: self._open() is not None or self._closed())
            found = self._open()
            if found is not None and not self._closed():
                return found
            if self._closed():
                await self.say({"kind": "UserText", "sessionId": "operator", "content": "one thing more"})
                await self.settled()
                await self.until(lambda self: not self._closed())

    async def _silent(self, asked: dict[str, Any]) -> bool:
        """Whether the guest said nothing to this, and waited for what came of that."""
        return False

    def _closed(self) -> bool:
        return bool(self.state.get("status") == "resolved")

    async def say(self, frame: dict[str, Any], id: str | None = None) -> str:
        id = id or str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        if id not in self._deeds:
            self._deeds[id] = self._history.invoke("visitor", self.conversation, frame["kind"], id)
        return await super().say(frame, id)

    async def until(self, condition: Any, seconds: float = PATIENCE) -> None:
        try:
            await super().until(condition, seconds)
        except TimeoutError as error:
            last = self.transcript[-3:]
            raise AssertionError(
                f"conversation {self.conversation} hung: unsettled {self.unsettled}, state {self.state}, "
                f"closings {self.closings[-5:]}, last frames {last}"
            ) from error

    async def settled(self, seconds: float = PATIENCE) -> None:
        await super().settled(seconds)

    def position(self) -> int:
        """How far this guest was told."""
        return position_of(self.cursor) if self.cursor else 0

    def _take(self, frame: dict[str, Any]) -> None:
        super()._take(frame)
        self._told |= frame["kind"] == "State"
        id = frame.get("id", "")
        if frame["kind"] == "Ack" and self.sent[id]["kind"] == "ResetSession":
            self.transcript = [other for other in self.transcript if other is not frame]  # it shows nothing
        if id in self._deeds and id in self.acknowledged:
            self._history.end(self._deeds[id], "ok")
        elif frame["kind"] == "Refused" and id in self._deeds and frame["reason"] in NOT_STORED:
            self._history.end(self._deeds[id], "fail", frame["reason"])

    def _open(self) -> dict[str, Any] | None:
        """The latest question; what the flow refused did not answer it."""
        for frame in reversed(self.transcript):
            if frame["kind"] in ("Ack", "UserText", "ChoiceResponse"):
                if frame.get("id") not in self.refused:
                    return None
            elif frame["kind"] == "ChoiceRequest" or (
                frame["kind"] == "StartChatSession" and frame["sessionId"] != "operator"
            ):
                return None if self.unsettled else frame
        return None

    def _gone(self) -> None:
        super()._gone()
        self._told = False


class Dreamer(Guest):
    """A visitor who often says nothing to an editor, and waits for what the flow does about that."""

    async def _silent(self, asked: dict[str, Any]) -> bool:
        if asked["kind"] != "StartChatSession" or self._random.random() < 0.4:
            return False
        await self.until(lambda self: self._open() is not asked or self._closed())
        return True


class Talker(Guest):
    """A visitor who talks with the assistant: its editor stays open after each answer."""

    def _text(self) -> str:
        ends = self._random.choices(("", " and the menu", " and a person"), (8, 1, 1))[0]
        return super()._text() + ends

    def _open(self) -> dict[str, Any] | None:
        """The latest question, or the assistant's editor once it has answered."""
        answered = False
        for frame in reversed(self.transcript):
            match frame["kind"]:
                case "BotText":
                    answered = True
                case "Ack" | "UserText" | "ChoiceResponse" if frame.get("id") not in self.refused:
                    if not answered:
                        return None
                case "ChoiceRequest" | "StartChatSession":
                    busy = self.unsettled or self.state.get("owner") != "bot"
                    return None if busy or frame.get("sessionId") == "operator" else frame
                case "EndChatSession":
                    return None
                case _:
                    pass
        return None


class Clerk:
    """An operator at the HTTP API: takes visitors from the queue, and now and then one from the bot.

    ``resolves`` is how often a conversation is closed and not handed back.
    """

    def __init__(
        self, urls: Sequence[str], name: str, password: str, history: Deeds, chance: random.Random
    ) -> None:
        self.name = name
        self._urls = urls
        self._password = password
        self._history = history
        self._chance = chance
        self._client = httpx.AsyncClient(timeout=12)
        self.resolves = RESOLVES
        self.spared: set[str] = set()  # conversations that are not taken from the bot
        self.claims = 0
        self.lost = 0  # claims that another won
        self._unsure: set[str] = set()  # conversations with a claim on its way

    async def log_in(self) -> None:
        """Log in, however long the service is away."""
        credentials = {"name": self.name, "password": self._password}
        async with asyncio.timeout(PATIENCE):
            while (answer := await self.call("POST", "/api/login", credentials)) is None or answer.is_error:
                assert answer is None or answer.status_code in (429, 503), answer.text
                await asyncio.sleep(0.3)

    async def close(self) -> None:
        await self._client.aclose()

    async def call(
        self, method: str, path: str, body: Any = None, url: str | None = None
    ) -> httpx.Response | None:
        """The answer of one of the replicas, or None if there was none."""
        try:
            base = url or self._chance.choice(self._urls)
            return await self._client.request(method, base + path, json=body)
        except httpx.TransportError:
            return None

    async def work(self, takeovers: float) -> None:
        """Serve visitors until cancelled; whatever is in hand is finished by `finish`.

        ``takeovers`` is how often one is taken from the bot and not from the queue.
        """
        while True:
            view = "live" if self._chance.random() < takeovers else "queue"
            waiting = [
                row["id"]
                for row in await self.rows(view)
                if row["owner"] != "operator" and (view == "queue" or row["id"] not in self.spared)
            ]
            if waiting:
                await self.serve(self._chance.choice(waiting[:20]))
            await asyncio.sleep(self._chance.uniform(0.02, 0.2))

    async def rows(self, view: str, limit: int = 200) -> list[dict[str, Any]]:
        """A list of the desk, as far as it is told; empty if it is not."""
        answer = await self.call("GET", f"/api/conversations?view={view}&limit={limit}")
        if answer is None or answer.is_error:
            return []
        found: list[dict[str, Any]] = answer.json()["conversations"]
        return found

    async def serve(self, conversation: str) -> None:
        """Note something, claim, speak, hand back or resolve."""
        if self._chance.random() < NOTES:
            await self.note(conversation, f"{self.name} notes {self._chance.random()}")
        if await self.claim(conversation):
            for _ in range(self._chance.randrange(3)):
                await self.say(conversation, f"{self.name} says {self._chance.random()}")
            if self._chance.random() < self.resolves:
                await self.resolve(conversation)
            else:
                await self.hand_back(conversation)

    async def claim(self, conversation: str, url: str | None = None) -> bool:
        """Try until it is clear who has the conversation; whether it is this operator."""
        self._unsure.add(conversation)
        while True:
            outcome = await self._deed("claim", conversation, None, "", url)
            if outcome != "unknown":
                self._unsure.discard(conversation)
                self.claims += outcome == "ok"
                self.lost += outcome == "fail"
                return outcome == "ok"
            await asyncio.sleep(0.2)

    async def say(self, conversation: str, text: str) -> None:
        """Say it once, however often it must be sent."""
        await self._write("say", conversation, text)

    async def note(self, conversation: str, text: str) -> None:
        """Note it once for colleagues, however often it must be sent."""
        await self._write("note", conversation, text)

    async def _write(self, action: str, conversation: str, text: str) -> None:
        id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        number = self._history.invoke(self.name, conversation, action, id)
        while True:
            answer = await self.call(
                "POST", f"/api/conversations/{conversation}/{action}", {"text": text, "id": id}
            )
            outcome = _outcome(answer)
            if outcome != "unknown":
                return self._history.end(number, "ok" if outcome == "ok" else "fail")
            await asyncio.sleep(0.2)

    async def hand_back(self, conversation: str) -> None:
        """Try until it is clear that the bot has it."""
        await self._give("handback", conversation)

    async def resolve(self, conversation: str) -> None:
        """Try until it is clear that it is closed."""
        await self._give("resolve", conversation)

    async def _give(self, action: str, conversation: str) -> None:
        while await self._deed(action, conversation, {}, "") == "unknown":
            await asyncio.sleep(0.2)

    async def finish(self) -> None:
        """Hand back whatever this operator still has, and what a claim that was cut off may have got."""
        async with asyncio.timeout(PATIENCE):
            for conversation in [*self._unsure]:
                if await self.claim(conversation):
                    await self.hand_back(conversation)
            while True:
                answer = await self.call("GET", "/api/conversations?view=mine&limit=200")
                if answer is not None and answer.is_success:
                    rows = answer.json()["conversations"]
                    if not rows:
                        return
                    for row in rows:
                        await self.hand_back(row["id"])
                await asyncio.sleep(0.2)

    async def _deed(self, action: str, conversation: str, body: Any, id: str, url: str | None = None) -> str:
        number = self._history.invoke(self.name, conversation, action, id)
        outcome = _outcome(await self.call("POST", f"/api/conversations/{conversation}/{action}", body, url))
        if outcome != "unknown":
            self._history.end(number, "ok" if outcome == "ok" else "fail")
        return outcome


def _outcome(answer: httpx.Response | None) -> str:
    """ok, fail or unknown. Only what says that nothing was done is a failure."""
    if answer is None or answer.status_code in (404, 503):
        return "unknown"  # 404: this replica has not read of the conversation yet
    assert answer.status_code in (200, 409, 507), (answer.status_code, answer.text)
    return "ok" if answer.status_code == 200 else "fail"


async def serve_until_done(
    clerks: Sequence[Clerk], work: Sequence[asyncio.Task[Any]], takeovers: float = 0.1
) -> None:
    """Let the clerks serve while the visitors' tasks run; raises what any of them raised."""
    serving = [asyncio.create_task(clerk.work(takeovers)) for clerk in clerks]
    try:
        waiting = {*work}
        while waiting:
            done, _ = await asyncio.wait([*waiting, *serving], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            waiting -= done
    finally:
        await end([*serving, *work])
    for clerk in clerks:
        await clerk.finish()
