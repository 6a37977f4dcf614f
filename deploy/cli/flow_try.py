"""`switchboard flow try`: talk to a flow in the terminal, with no server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nats.aio.client import Client
from prometheus_client import CollectorRegistry

from services.workflow.assistant.client import Anew, AssistantClient, AssistantFailed, StreamPiece
from services.workflow.backends import Backends
from services.workflow.domain import assistant
from services.workflow.domain.authoring.rendered_messages import (
    RenderedQuestion,
    Utterance,
    asking,
    meant,
    utterances,
)
from services.workflow.domain.authoring.simulator import (
    NOT_CONFIGURED,
    SECOND,
    Mark,
    RehearsalError,
    Simulator,
)
from services.workflow.domain.prompt_history import so_far
from services.workflow.flow_files import read_flow
from services.workflow.settings import WorkflowSettings
from shared.contract.facts import (
    ConversationClaimed,
    ConversationHandedBack,
    ConversationReset,
    ConversationResolved,
    Fact,
    OperatorSaid,
    TextWritten,
)
from shared.contract.html_text import plain
from shared.flow.decide import (
    CallService,
    Generate,
    Generated,
    GenerationFailed,
    GoTo,
    HandoffRequest,
)
from shared.flow.language import schema
from shared.flow.language.flow import Flow
from shared.service.settings import environment, load
from shared.timestamps import parse_time

HELP: Final = """\
What you type is what the visitor says; a choice is picked by its number, its id or its words.
  /wait [5m]         let time pass: until the next timer fires, or so long
  /vars              what the flow has saved
  /where             the state it stands at, and the way there
  /back              undo what you did last
  /reset             begin anew, as the visitor
  /operator [text]   take over as an operator, and say something
  /handback [state]  give it back to the bot
  /resolve           close it as done
  /operators N       so many operators are there (0: nobody)
  /quit              or Ctrl-D\
"""
_OPERATOR = "you"


def talk(options: argparse.Namespace) -> int:
    flow = read_flow(Path(options.file))
    settings = load(WorkflowSettings, environment())
    if options.assistant and settings.provider() is None:
        print("No assistant is configured (docs/assistant.md); you speak for it.")
    with asyncio.Runner() as runner:
        helpers = _Helpers(runner, settings, options.assistant, options.services)
        stage = TryStage(flow, input, print, helpers, options.language)
        try:
            stage.run()
        finally:
            helpers.close()
    return 0


class TryOutside:
    """Whom the flow asks, where they are real. These are not: whoever tries the flow answers."""

    def serve(self, need: CallService) -> tuple[object, str] | None:
        """The answer and the failure of a backend; None where it is not asked for real."""
        return None

    def speak(self, need: Generate, rehearsal: Simulator) -> Generated | GenerationFailed | None:
        """What the assistant says; None where it is not asked for real."""
        return None


class _Helpers(TryOutside):
    def __init__(
        self, runner: asyncio.Runner, settings: WorkflowSettings, assistant: bool, services: bool
    ) -> None:
        self._runner = runner
        self._settings = settings
        self._client = AssistantClient.of(settings) if assistant and settings.provider() else None
        self._backends = Backends(Client(), (), CollectorRegistry()) if services else None

    def close(self) -> None:
        if self._client is not None:
            self._runner.run(self._client.close())
        if self._backends is not None:
            self._runner.run(self._backends.close())

    def serve(self, need: CallService) -> tuple[object, str] | None:
        if self._backends is None or not need.url:
            return None
        answer = self._runner.run(self._backends.ask(need, "try", 0))
        return answer.value, answer.failure

    def speak(self, need: Generate, rehearsal: Simulator) -> Generated | GenerationFailed | None:
        return None if self._client is None else self._runner.run(self._stream(self._client, need, rehearsal))

    async def _stream(
        self, client: AssistantClient, need: Generate, rehearsal: Simulator
    ) -> Generated | GenerationFailed:
        cause = rehearsal.state.inbox.unanswered[0].position
        lines = so_far(rehearsal.entries, cause)
        prompt = assistant.Prompt(
            messages=assistant.conversation(need.system, lines, self._settings.assistant_budget_tokens),
            tools=assistant.tools(need.handoff, need.go_to),
            max_tokens=need.max_tokens or self._settings.assistant_max_tokens,
            temperature=need.temperature,
            model=need.model,
        )
        print("assistant  ", end="", flush=True)
        try:
            async for part in client.stream(prompt):
                if isinstance(part, StreamPiece):
                    print(part.text, end="", flush=True)
                    continue
                if isinstance(part, Anew):
                    print("\n(that was the model's reasoning)\nassistant  ", end="", flush=True)
                    continue
                tool: GoTo | HandoffRequest | None = None
                if part.tool is not None:
                    arguments = part.tool.arguments
                    to = part.tool.name == assistant.GO_TO
                    tool = GoTo(arguments["state"]) if to else HandoffRequest(arguments.get("reason", ""))
                return Generated(text=part.text, tool=tool, model=part.model)
        except AssistantFailed as error:
            return GenerationFailed(reason=error.reason)
        finally:
            print()
        return GenerationFailed(reason="cut")


class TryStage:
    """One conversation with whoever types. ``ask`` reads a line, ``say`` writes one."""

    def __init__(
        self,
        flow: Flow,
        ask: Callable[[str], str],
        say: Callable[[str], None],
        helpers: TryOutside | None = None,
        language: str = "",
    ) -> None:
        self._flow = flow
        self._ask = ask
        self._say = say
        self._helpers = helpers or TryOutside()
        self._language = language
        self._rehearsal = Simulator(flow, now=time.time_ns())
        self._asking = RenderedQuestion()
        self._marks: list[tuple[Mark, RenderedQuestion]] = []

    def run(self) -> None:
        """Until the end of the input."""
        self._say(f"{self._flow.name}, {len(self._flow.states)} states. /help says what else you can do.")
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            self._show(self._rehearsal.begin(self._language))
            self._supply()
            while True:
                self._notes()
                line = self._ask("> ").strip()
                if line in ("/quit", "/q"):
                    return
                if line:
                    self._take(line)

    def _take(self, line: str) -> None:
        command, _, rest = line.partition(" ")
        if command == "/back":
            self._undo()
            return
        if command in ("/help", "/vars", "/where"):
            self._look(command)
            return
        mark = (self._rehearsal.mark(), self._asking)
        try:
            self._do(command, rest.strip(), line)
            self._supply()
        except RehearsalError as error:
            self._say(f"  ({error})")
            return
        if len(self._rehearsal.entries) > mark[0].entries:
            self._marks.append(mark)

    def _do(self, command: str, rest: str, line: str) -> None:
        rehearsal = self._rehearsal
        match command:
            case "/wait":
                self._wait(rest)
            case "/reset":
                self._show(rehearsal.visitor(ConversationReset()))
            case "/operator":
                if rehearsal.state.ownership.owner != "operator":
                    self._show(rehearsal.operator(ConversationClaimed(operator=_OPERATOR)))
                    self._say("  (you have taken over; the bot is silent until /handback)")
                if rest:
                    self._show(rehearsal.operator(OperatorSaid(operator=_OPERATOR, text=rest)))
                    self._say(f"operator   {rest}")
            case "/handback":
                self._owned()
                self._show(rehearsal.operator(ConversationHandedBack(operator=_OPERATOR, state=rest or None)))
            case "/resolve":
                self._owned()
                self._show(rehearsal.operator(ConversationResolved(operator=_OPERATOR)))
                self._say("  (resolved)")
            case "/operators":
                if not rest.isdecimal():
                    raise RehearsalError("how many? /operators 0")
                rehearsal.operators = int(rest)
            case _ if command.startswith("/"):
                raise RehearsalError(f"{command} is no command; /help names them")
            case _:
                fact = meant(rehearsal.state, self._asking, line)
                if fact is None:  # as at a door that knows text only
                    fact = TextWritten(session="", text=line)
                self._show(rehearsal.visitor(fact))
                if rehearsal.state.ownership.owner == "queue":
                    self._say("  (an operator would read this; /operator takes over)")

    def _owned(self) -> None:
        if self._rehearsal.state.ownership.owner != "operator":
            raise RehearsalError("no operator has the conversation; /operator takes it over")

    def _wait(self, rest: str) -> None:
        if rest:
            seconds = schema.seconds(rest)
            if seconds is None:
                raise RehearsalError("how long? /wait 30s, /wait 5m, /wait 2h, /wait 1d")
            self._show(self._rehearsal.wait(seconds))
            return
        due = self._rehearsal.due
        if due is None:
            raise RehearsalError("no timer is armed; /wait 5m lets time pass all the same")
        left = max(0, parse_time(due.at) - self._rehearsal.now)
        self._say(f"  ({_duration(left)} later)")
        self._show(self._rehearsal.wait(-(-left // SECOND)))

    def _supply(self) -> None:
        """Answer for the backends and the assistant until the bot can go on."""
        while (need := self._rehearsal.need) is not None:
            if isinstance(need, CallService):
                self._serve(need)
            else:
                self._speak(need)

    def _serve(self, need: CallService) -> None:
        where = need.url or need.subject
        body = f" {need.body.decode(errors='replace')}" if need.body else ""
        self._say(f'  ("{need.state}" asks {need.method if need.url else "NATS"} {where}{body})')
        real = self._helpers.serve(need)
        if real is not None:
            self._say(f"backend    {real[1] or json.dumps(real[0], ensure_ascii=False)}")
            self._show(self._rehearsal.served(*real))
            return
        line = self._ask("backend answers (JSON, or ! and a failure)> ").strip()
        if line.startswith("!"):
            self._show(self._rehearsal.served(failure=line[1:].strip() or "timeout"))
            return
        try:
            value = json.loads(line) if line else None
        except ValueError:
            value = line
        self._show(self._rehearsal.served(value))

    def _speak(self, need: Generate) -> None:
        real = self._helpers.speak(need, self._rehearsal)
        if real is not None:
            self._show(self._rehearsal.spoke(real), aloud=False)
            return
        ways = ["! and a failure"]
        if need.handoff:
            ways.append("/handoff [reason]")
        if need.go_to:
            ways.append(f"/goto {' or '.join(need.go_to)}")
        line = self._ask(f"assistant says (or {', '.join(ways)})> ").strip()
        command, _, rest = line.partition(" ")
        result: Generated | GenerationFailed = Generated(text=line)
        if line.startswith("!"):
            result = GenerationFailed(reason=line[1:].strip() or NOT_CONFIGURED)
        elif command == "/handoff":
            result = Generated(text="", tool=HandoffRequest(rest.strip()))
        elif command == "/goto":
            result = Generated(text="", tool=GoTo(rest.strip()))
        self._show(self._rehearsal.spoke(result))

    def _undo(self) -> None:
        if not self._marks:
            self._say("  (there is nothing to undo)")
            return
        mark, self._asking = self._marks.pop()
        self._rehearsal.back_to(mark)
        self._say("  (undone)")
        if self._asking.choices:
            self._offer(Utterance("bot", "", self._asking.choices))

    def _look(self, command: str) -> None:
        state = self._rehearsal.state
        if command == "/help":
            self._say(HELP)
        elif command == "/vars":
            for name, value in sorted(state.progress.variables.items()):
                self._say(f"  {name} = {json.dumps(value, ensure_ascii=False)}")
            if not state.progress.variables:
                self._say("  (nothing is saved)")
        else:
            where = "the flow is over" if state.progress.ended else f"at {state.progress.place}"
            called = (
                f", called from {' < '.join(reversed(state.progress.stack))}" if state.progress.stack else ""
            )
            self._say(f"  {where}{called}; {state.ownership.owner} has the conversation")

    def _notes(self) -> None:
        """What cannot be seen otherwise: a coming timer, an end, a condition that says nothing."""
        rehearsal = self._rehearsal
        for remark in rehearsal.remarks:
            self._say(f"  (note: {remark})")
        rehearsal.remarks.clear()
        after = [timer for timer in rehearsal.state.timers.armed if timer.purpose == "after"]
        if after:
            left = min(parse_time(timer.at) for timer in after) - rehearsal.now
            self._say(f"  (a timer fires in {_duration(left)}; /wait skips to it)")
        if rehearsal.state.progress.ended and rehearsal.state.ownership.owner == "bot":
            self._say("  (the flow is over; /reset begins anew)")

    def _show(self, facts: tuple[Fact, ...], aloud: bool = True) -> None:
        self._asking = asking(self._asking, facts)
        for utterance in utterances(facts):
            match utterance.kind:
                case "bot":
                    self._say(f"bot        {_indented(plain(utterance.text))}")
                    self._offer(utterance)
                case "assistant":
                    if aloud:
                        self._say(f"assistant  {_indented(utterance.text)}")
                case "handoff":
                    self._say(f'  (the visitor waits in the queue "{utterance.text}"; /operator takes over)')
                case "withdrawn":
                    self._say("  (the visitor leaves the queue)")
                case "refused" | "failed" | "ended":
                    self._say(f"  ({utterance.kind}: {utterance.text})")

    def _offer(self, utterance: Utterance) -> None:
        for number, choice in enumerate(utterance.choices, start=1):
            self._say(f"           {number}  {_indented(plain(choice.text))}")


def _indented(text: str) -> str:
    return text.replace("\n", "\n           ")


def _duration(nanoseconds: int) -> str:
    seconds = max(0, round(nanoseconds / SECOND))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
