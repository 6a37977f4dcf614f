"""How a state is read from the file. What is wrong with it is noted, and left out of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shared.contract.facts import (
    ASSISTANT_SESSION,
    BotSaid,
    Choice,
    ChoiceAsked,
    EditorClosed,
    EditorOpened,
    HandoffRequested,
)
from shared.flow.entry_points import MAX_TITLE, is_title
from shared.flow.language import schema
from shared.flow.language.answers import AnswerReader
from shared.flow.language.conditions import BadCondition, condition
from shared.flow.language.diagnostics import quoted, similar
from shared.flow.language.field_reader import FlowSettings
from shared.flow.language.phones import is_region
from shared.flow.language.schema import MEANING
from shared.flow.language.state import (
    Asked,
    AssistantSpec,
    Branch,
    Effect,
    FlowState,
    HandoffSpec,
    Nobody,
    Opened,
    Said,
    ServiceSpec,
    Speech,
)
from shared.flow.language.templates import Text, json_template, template
from shared.flow.language.thanks import MAX_PHRASES, Thanks, phrase_fault

#: The editor in which the assistant is spoken with, unless the state names another.
#: The longest time a backend may take (seconds).
MAX_TIMEOUT: Final = 25

_HANDBACK: Final = 'Write {"menu": "Back to the menu"}: states, and what operators read.'
_THANKS: Final = (
    'Write {"minutes": 10, "words": {"en": ["thanks"]}, "beside": {"en": ["bye"]}, "say": "..."}.'
)
#: As long may mere thanks leave a conversation closed at most (minutes).
MAX_THANKS_MINUTES: Final = 1_440
_ADDRESS = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[^\s/?#{}\\@:\[\]]+)(:(?P<port>[0-9]{1,5}))?(?=[/?#]|$)")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: They say where a request ends, or which one it is: another value would break it.
_OUR_HEADERS = frozenset(["connection", "content-length", "idempotency-key", "transfer-encoding"])


class FlowCompiler(AnswerReader):
    """Reads a state, or the settings."""

    def state(self) -> FlowState:
        """The state."""
        state = FlowState(name=self.name, scope=self.scope, line=self._member.line, file=self._file)
        if not isinstance(self._member.value, dict):
            self._problem("the state must be an object.", 'Write {"sendRequest": {...}, "next": "..."}.')
            return state
        if not self._member.name:
            self._problem('a state has the name "".', "Give it a name.")
        fields = self._object(self._member.value, "the state", schema.STATE)
        deeds = [key for key in schema.DEEDS if key in fields]
        if len(deeds) > 1:
            remedy = f'Split it into several states, joined by "next": one for each of {quoted(deeds)}.'
            self._problem(f"one state cannot hold {quoted(deeds)} together.", remedy)
        next, branches = self._next(fields.get("next"))
        made: dict[str, Any] = {"next": next, "branches": branches}
        for deed in deeds:
            made |= self._deed(deed, fields[deed], fields)
        if "after" in fields:
            made["after"] = self._timers(fields["after"])
        if "fallback" in fields:
            made["fallback"] = self.fallback(fields["fallback"])
        simple = not any(made.get(key) for key in ("speech", "desk", "service", "assistant", "calls"))
        state = msgspec.structs.replace(state, simple=simple, **made)
        self._misplaced(state, fields)
        return state

    def _deed(self, deed: str, value: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
        match deed:
            case "sendRequest":
                effect, speech = self._message(value)
                return {"effect": effect, "speech": speech}
            case "matchResponse":
                return self._response(value)
            case "handoff":
                desk = self._desk(value)
                return {"desk": desk, "effect": _handoff_as_written(desk)}
            case "service":
                return {"service": self._service(value)}
            case "assistant":
                return self._assistant(value, fields)
            case "call":
                return {"calls": f"{value}/"}  # the sub-flow's first state is known when all are read
            case _:
                return {}

    def _misplaced(self, state: FlowState, fields: Mapping[str, Any]) -> None:
        """Keys that mean nothing in a state of this kind."""
        if "after" in fields and not state.waits:
            self._problem(
                '"after" has nothing to wait for.', "Put it on a question, an assistant or a handoff."
            )
        if "fallback" in fields and (not state.asks or state.assistant):
            self._problem('"fallback" has no answer to wait for.', 'Put it on a question without a "next".')
        if fields.get("end") and "next" in fields:
            self._problem('"end" and "next" contradict one another.', "Remove one of them.")

    def _next(self, value: Any) -> tuple[str | None, tuple[Branch, ...]]:
        if not isinstance(value, list):
            return self._target(value), ()
        branches: list[Branch] = []
        last: str | None = None
        for number, item in enumerate(value, 1):
            where = f'branch {number} of "next"'
            if not isinstance(item, dict):
                self._problem(f"{where} must be an object.", 'Write {"when": "...", "next": "..."}.')
                continue
            branch = self._object(item, where, schema.BRANCH)
            if "when" not in branch and "when" not in item and number < len(value):
                self._problem(f'{where} lacks "when".', "Only the last may do without.")
            elif "when" not in branch:
                last = self._target(branch.get("next"))
            elif "next" in branch:
                branches += self._branch(branch["when"], branch["next"], where)
        if not value or (isinstance(value[-1], dict) and "when" in value[-1]):
            remedy = 'Add {"next": "..."}, without "when", for when no condition holds.'
            self._problem('"next" has no last way out.', remedy)
        return last, tuple(branches)

    def _branch(self, when: str, next: str, where: str) -> tuple[Branch, ...]:
        try:
            return (Branch(condition(when), f"{self.scope}/{next}" if self.scope else next),)
        except BadCondition as error:
            reason = f'"when" in {where} is no condition: {error}.'
            self._problem(reason, "Write one as \"amount > 100 && visitor.language == 'de'\".")
            return ()

    # --- messages -----------------------------------------------------------------------------

    def _message(self, value: dict[str, Any]) -> tuple[Effect | None, Speech | None]:
        kind, fields = self._tagged(value, "sendRequest", schema.MESSAGES)
        match kind, fields:
            case "BotText", {"content": content}:
                text = self._text(content, "content")
                return BotSaid(text=text.own), None if text.constant else Said(text)
            case "ChoiceRequest", {"groupId": group, "question": question, "choices": choices}:
                return self._question(group, self._text(question, "question"), self._choices(choices))
            case "StartChatSession", {"sessionId": session}:
                return self._editor(
                    session,
                    self._maybe(fields, "chatPrompt"),
                    self._maybe(fields, "chatText"),
                )
            case "EndChatSession", {"sessionId": session}:
                return EditorClosed(session=session), None
            case _:
                return None, None

    def _question(
        self, group: str | int, question: Text, choices: tuple[tuple[str | int, Text], ...]
    ) -> tuple[Effect, Speech | None]:
        written = tuple(Choice(item=item, text=text.own) for item, text in choices)
        constant = question.constant and all(text.constant for _, text in choices)
        effect = ChoiceAsked(group=group, question=question.own, choices=written)
        return effect, None if constant else Asked(group, question, choices)

    def _editor(
        self, session: str | int, prompt: Text | None, text: Text | None
    ) -> tuple[Effect, Speech | None]:
        effect = EditorOpened(
            session=session, prompt=prompt.own if prompt else None, text=text.own if text else None
        )
        constant = all(each is None or each.constant for each in (prompt, text))
        return effect, None if constant else Opened(session, prompt, text)

    def _choices(self, values: list[Any]) -> tuple[tuple[str | int, Text], ...]:
        choices: list[tuple[str | int, Text]] = []
        ids: set[str] = set()
        for number, value in enumerate(values, 1):
            if not isinstance(value, dict):
                self._problem(
                    f"choice {number} must be an object.", 'Write {"itemId": ..., "content": "..."}.'
                )
                continue
            match self._object(value, f"choice {number}", schema.CHOICE):
                case {"itemId": item, "content": content}:
                    if str(item) in ids:
                        self._warning(f'two choices have the itemId "{item}".', "Give one another itemId.")
                    ids.add(str(item))
                    choices.append((item, self._text(content, f"content of choice {number}")))
        if not values:
            self._warning("there are no choices.", "The conversation will stand still here.")
        return tuple(choices)

    # --- persons, backends, the assistant -----------------------------------------------------

    def _desk(self, value: dict[str, Any], where: str = "handoff") -> HandoffSpec | None:
        fields = self._object(value, where, schema.HANDOFF)
        nobody: Nobody | None = None
        if "nobody" in fields:
            absent = self._object(fields["nobody"], "nobody", schema.NOBODY)
            if not absent:
                self._problem("nobody does nothing.", 'Give it "say", "next", or both.')
            nobody = Nobody(self._maybe(absent, "say"), self._target(absent.get("next")))
        if fields.get("queue") == "":
            self._problem(f'"queue" in {where} is empty.', "Name the people who are asked for.")
        if not fields.get("queue"):
            return None
        return HandoffSpec(
            queue=fields["queue"],
            reason=self._maybe(fields, "reason") or template(""),
            waiting=self._maybe(fields, "waiting"),
            nobody=nobody,
            back=self._maybe(fields, "back"),
        )

    def _service(self, value: dict[str, Any]) -> ServiceSpec:
        fields = self._object(value, "service", schema.SERVICE)
        if ("url" in value) == ("subject" in value):
            self._problem('service needs either "url" or "subject".', "Give it one of them.")
        url = self._plain(fields["url"]) if "url" in fields else None
        if url and not _is_address(fields["url"]):
            remedy = 'It begins as "https://shop.example.com/"; the host is fixed, variables come after it.'
            self._problem('"url" in service is no address that can be asked.', remedy)
        for key in {"method", "headers"} & fields.keys() if "subject" in fields else ():
            self._problem(f'"{key}" in service belongs to a "url".', "Remove it.")
        timeout = schema.seconds(fields.get("timeout", "5s")) or MAX_TIMEOUT
        if timeout > MAX_TIMEOUT:
            self._problem(
                '"timeout" in service is too long.', f'It may be "{MAX_TIMEOUT}s": a visitor waits.'
            )
        headers = {}
        for name, text in fields.get("headers", {}).items():
            if not _HEADER.fullmatch(name) or not isinstance(text, str) or not text.isprintable():
                self._problem(f"{quoted([name])} in headers is no header.", 'Write {"X-Shop": "a text"}.')
            elif name.lower() in _OUR_HEADERS:
                self._problem(f"{quoted([name])} in headers is set by Switchboard itself.", "Remove it.")
            else:
                headers[name] = self._plain(text)
        body = json_template(fields["body"], self._saved) if "body" in fields else None
        return ServiceSpec(
            url=url,
            subject=fields.get("subject", ""),
            method=fields.get("method", "GET" if body is None else "POST"),
            headers=headers,
            body=body,
            timeout=float(timeout),
            save=fields.get("save", ""),
            pick=fields.get("pick", ""),
            on_error=self._target(fields.get("onError")),
        )

    def _assistant(self, value: dict[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
        fields = self._object(value, "assistant", schema.ASSISTANT)
        once = fields.get("once", False)
        editor = fields.keys() & {"sessionId", "greeting", "prompt"}
        if once and editor:
            self._problem(f'{quoted(sorted(editor))} in assistant means nothing with "once".', "Remove it.")
        if not once and "next" in state:
            remedy = 'Let it go on with "goTo", or let it speak "once".'
            self._problem('"next" is never reached: the assistant stays.', remedy)
        if "system" not in fields or "onError" not in fields:
            return {}
        assistant = AssistantSpec(
            system=self._text(fields["system"], "system"),
            on_error=self._target(fields["onError"]) or "",
            model=fields.get("model", ""),
            max_tokens=fields.get("maxTokens", 0),
            temperature=fields.get("temperature"),
            go_to=tuple(self._target(name) or "" for name in fields.get("goTo", ())),
            desk=self._desk(fields["handoff"], "handoff of assistant") if "handoff" in fields else None,
            once=once,
        )
        if once:
            return {"assistant": assistant}
        session = fields.get("sessionId", ASSISTANT_SESSION)
        effect, speech = self._editor(session, self._maybe(fields, "prompt"), self._maybe(fields, "greeting"))
        return {"assistant": assistant, "effect": effect, "speech": speech}

    # --- settings -----------------------------------------------------------------------------

    def settings(self) -> FlowSettings:
        """``$settings``. Unknown keys are let pass: files had some of their own before these came."""
        if not isinstance(self._member.value, dict):
            self._warning("$settings is no object.", "It is not used.")
            return FlowSettings()
        known = {field.rstrip("?") for field in schema.SETTINGS}
        for key in self._member.value.keys() - known:
            self._warning(
                f"{quoted([key])} is not used.", similar(key, known, f"Known here: {quoted(sorted(known))}.")
            )
        value = {key: each for key, each in self._member.value.items() if key in known}
        if "region" in value and not _is_region(value["region"]):
            # Files had keys of their own here before this one came, so it is no error.
            meaning = MEANING["region"].removeprefix("a ")
            reason = f'"region" in $settings is not used: it is no {meaning}.'
            self._warning(reason, "Write one, or remove it.")
            del value["region"]
        handback = self._handback(value.pop("handback", None) or {})
        thanks = value.pop("thanks", None)
        fields = self._object(value, "$settings", schema.SETTINGS)
        self._settings = FlowSettings(language=fields.get("language", ""))
        invalid = self._object(
            fields.get("invalid", {}),
            "invalid",
            {"ambiguous?": "words"} | {f"{kind}?": "words" for kind in schema.KINDS},
        )
        own = self._saved
        said: dict[str, Text] = {}
        for kind, text in invalid.items():
            self._saved = own or kind == "ambiguous"  # its variables are there where the flow saves nothing
            said[kind] = self._text(text, f"{kind} of invalid")
        self._saved = own
        return FlowSettings(
            language=self._settings.language,
            fallback=self.fallback(fields["fallback"]) if "fallback" in fields else None,
            ambiguous=said.pop("ambiguous", None),
            region=fields.get("region", ""),
            invalid=said,  # type: ignore[arg-type]
            inactivity=schema.seconds(fields.get("inactivity", "")),
            handback=handback,
            thanks=self._thanks(thanks),
            line=self._member.line,
        )

    def _thanks(self, value: Any) -> Thanks:
        """What is none is no error, for the reason that a strange region is none."""
        if value is None:
            return Thanks()
        if (wrong := _wrong_thanks(value)) is not None:
            self._warning(f"thanks in $settings is not used: {wrong}.", _THANKS)
            return Thanks()
        minutes, say = value.get("minutes"), value.get("say")
        return Thanks(
            None if minutes is None else minutes * 60,
            {tag: tuple(phrases) for tag, phrases in value.get("words", {}).items()},
            {tag: tuple(phrases) for tag, phrases in value.get("beside", {}).items()},
            None if say is None else self._text(say, "say of thanks"),
        )

    def _handback(self, value: Any) -> tuple[str, ...]:
        """States with a title. What is none is no error, for the reason that a strange region is none."""
        if not isinstance(value, dict):
            self._warning("handback in $settings is not used: it is no object.", _HANDBACK)
            return ()
        for state in (state for state, title in value.items() if not is_title(title)):
            reason = f"{quoted([state])} of handback in $settings is not used: it has no title."
            self._warning(reason, f"A title has 1 to {MAX_TITLE} characters. {_HANDBACK}")
        return tuple(state for state, title in value.items() if is_title(title))


def _wrong_thanks(value: Any) -> str | None:
    """What is wrong with ``thanks``, if anything is."""
    if not isinstance(value, dict):
        return "it is no object"
    if unknown := value.keys() - {"minutes", "words", "beside", "say"}:
        return f"it has the unknown key {quoted([min(unknown)])}"
    minutes = value.get("minutes", 0)
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 0 <= minutes <= MAX_THANKS_MINUTES:
        return f'"minutes" is no whole number from 0 to {MAX_THANKS_MINUTES}'
    say = value.get("say", "")
    if not isinstance(say, str) and not (
        isinstance(say, dict) and say and all(isinstance(text, str) for text in say.values())
    ):
        return f'"say" is not {MEANING["words"]}'
    for key in ("words", "beside"):
        lists = value.get(key, {})
        if not isinstance(lists, dict):
            return f'"{key}" is no object from language to list'
        for tag, phrases in lists.items():
            if not schema.is_of("tag", tag) or not schema.is_of("texts", phrases):
                return f'{quoted([tag])} in "{key}" is no language with a list of texts'
            if len(phrases) > MAX_PHRASES:
                return f'{quoted([tag])} in "{key}" has more than {MAX_PHRASES} phrases'
            for phrase in phrases:
                if fault := phrase_fault(phrase):
                    return f'{quoted([phrase])} in "{key}" can never be found: {fault}'
    return None


def _is_region(value: Any) -> bool:
    return schema.is_of("region", value) and is_region(value)


def _handoff_as_written(desk: HandoffSpec | None) -> HandoffRequested | None:
    return HandoffRequested(queue=desk.queue, reason=desk.reason.own) if desk else None


def _is_address(url: str) -> bool:
    """Whether it names a host that variables do not touch, and a port if any that exists."""
    found = _ADDRESS.match(url)
    return found is not None and 0 < int(found["port"] or 80) <= 65535
