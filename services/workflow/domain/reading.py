"""How a state is read from the file. What is wrong with it is noted, and left out of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.workflow.domain import forms
from services.workflow.domain.conditions import BadCondition, condition
from services.workflow.domain.flow_file import Member
from services.workflow.domain.forms import MEANING, Fields, is_of
from services.workflow.domain.languages import TAG
from services.workflow.domain.patterns import BadPattern, Match, pattern, words
from services.workflow.domain.problems import Problem, quoted, similar
from services.workflow.domain.state import (
    After,
    Answer,
    Asked,
    Assistant,
    Branch,
    Desk,
    Effect,
    Fallback,
    Nobody,
    Opened,
    Said,
    Service,
    Speech,
    State,
)
from services.workflow.domain.texts import Text, json_template, split, template
from services.workflow.domain.values import INVALID, Kind, Save, iso_day
from shared.contract.facts import BotSaid, Choice, ChoiceAsked, EditorClosed, EditorOpened, HandoffRequested

#: The editor in which the assistant is spoken with, unless the state names another.
ASSISTANT_SESSION: Final = "assistant"
#: The longest time a backend may take (seconds), and how many timers a state may have.
LONGEST_TIMEOUT: Final = 25
MOST_TIMERS: Final = 20

_ADDRESS = re.compile(r"https?://[^\s/?#{}\\@]+(?=[/?#]|$)")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Settings(msgspec.Struct, frozen=True):
    """What ``$settings`` says for the whole flow.

    ``inactivity`` in seconds; None leaves it to the service.
    """

    language: str = ""
    fallback: Fallback | None = None
    invalid: Mapping[Kind, Text] = {}
    inactivity: int | None = None
    line: int = 0


class Notes(msgspec.Struct):
    """What was found while reading."""

    problems: list[Problem]
    warnings: list[Problem]


class Reader:
    """Reads one member of the file.

    ``scope`` and ``file`` are those of the sub-flow it belongs to. ``saved`` says whether any state of
    the flow saves a variable: without one, braces in texts are nothing but braces, as they always were.
    """

    def __init__(
        self,
        member: Member,
        notes: Notes,
        settings: Settings,
        saved: bool,
        scope: str = "",
        file: str = "",
    ) -> None:
        self._member = member
        self._notes = notes
        self._settings = settings
        self._saved = saved
        self.scope = scope
        self._file = file
        self.name = f"{scope}/{member.name}" if scope else member.name

    # --- states -------------------------------------------------------------------------------

    def state(self) -> State:
        """The state."""
        state = State(name=self.name, scope=self.scope, line=self._member.line, file=self._file)
        if not isinstance(self._member.value, dict):
            self._problem("the state must be an object.", 'Write {"sendRequest": {...}, "next": "..."}.')
            return state
        if not self._member.name:
            self._problem('a state has the name "".', "Give it a name.")
        fields = self._object(self._member.value, "the state", forms.STATE)
        deeds = [key for key in forms.DEEDS if key in fields]
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

    def _misplaced(self, state: State, fields: Mapping[str, Any]) -> None:
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
            branch = self._object(item, where, forms.BRANCH)
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

    def _target(self, name: str | None) -> str | None:
        """A state of the same flow, by its full name."""
        return f"{self.scope}/{name}" if self.scope and name is not None else name

    # --- messages -----------------------------------------------------------------------------

    def _message(self, value: dict[str, Any]) -> tuple[Effect | None, Speech | None]:
        kind, fields = self._tagged(value, "sendRequest", forms.MESSAGES)
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
            match self._object(value, f"choice {number}", forms.CHOICE):
                case {"itemId": item, "content": content}:
                    if str(item) in ids:
                        self._warning(f'two choices have the itemId "{item}".', "Give one another itemId.")
                    ids.add(str(item))
                    choices.append((item, self._text(content, f"content of choice {number}")))
        if not values:
            self._warning("there are no choices.", "The conversation will stand still here.")
        return tuple(choices)

    # --- answers ------------------------------------------------------------------------------

    def _response(self, value: dict[str, Any]) -> dict[str, Any]:
        kind, fields = self._tagged(value, "matchResponse", forms.RESPONSES)
        if "content" in fields:
            self._warning('"content" in matchResponse is not compared.', "The ids alone decide; remove it.")
        made: dict[str, Any] = {}
        if "save" in fields:
            made["save"], made["invalid"] = self._save(fields["save"], choice=kind == "ChoiceResponse")
        match kind, fields:
            case "ChoiceResponse", {"groupId": group, "itemId": item}:
                return made | {"answer": Answer(str(group), str(item), self.scope), "item": item}
            case "UserText", {"sessionId": session}:
                return made | {"answer": Answer(str(session), None, self.scope), "match": self._match(fields)}
            case _:
                return {}

    def _match(self, fields: Mapping[str, Any]) -> Match | None:
        if "pattern" in fields and "words" in fields:
            self._problem('"pattern" and "words" cannot be together.', "Make two states of them.")
        if "ignoreCase" in fields and "pattern" not in fields:
            self._problem(
                '"ignoreCase" belongs to a "pattern".', "Words are the same in any case; remove it."
            )
        try:
            if "pattern" in fields:
                match = pattern(fields["pattern"], fields.get("ignoreCase", True))
                for name in match.groups:
                    if not forms.is_name(name):
                        self._problem(
                            f'"pattern" has a group with the name {quoted([name])}.',
                            f"It must be {MEANING['name']}.",
                        )
                return match
            if "words" in fields:
                if not fields["words"]:
                    self._problem('"words" has no word.', 'Write ["person", "human"].')
                return words(fields["words"])
        except BadPattern as error:
            what = "pattern" if "pattern" in fields else "words"
            remedy = "It is in RE2's syntax: github.com/google/re2/wiki/Syntax." if what == "pattern" else ""
            self._problem(f'"{what}" cannot be used: {error}.', remedy)
        return None

    def _save(self, value: str | dict[str, Any], choice: bool) -> tuple[Save | None, Text | None]:
        fields = self._object({"as": value} if isinstance(value, str) else value, "save", forms.SAVE)
        if "as" not in fields:
            return None, None
        kind: Kind = fields.get("kind", "text")
        if choice and fields.keys() - {"as"}:
            self._problem(
                f"{quoted(fields.keys() - {'as'})} in save means nothing here: it is the choice's itemId "
                "that is kept.",
                "Remove it.",
            )
        invalid = (
            self._maybe(fields, "invalid") or self._settings.invalid.get(kind) or template(INVALID[kind])
        )
        least, most = self._limit(fields, "min", kind), self._limit(fields, "max", kind)
        if least is not None and most is not None and least > most:  # type: ignore[operator]
            self._problem('"min" in save is above "max".', "Swap them.")
        return Save(fields["as"], kind, least, most), invalid

    def _limit(self, fields: Mapping[str, Any], key: str, kind: Kind) -> float | str | None:
        limit: float | str | None = fields.get(key)
        if limit is None:
            return None
        if kind == "date":
            if isinstance(limit, str) and _DAY.fullmatch(limit) and iso_day(*map(int, limit.split("-"))):
                return limit
            self._problem(f'"{key}" in save is no day.', 'Write it as "2026-12-31".')
        elif kind in ("email", "phone"):
            self._problem(f'"{key}" in save means nothing for this kind.', "Remove it.")
        elif isinstance(limit, str):
            self._problem(f'"{key}" in save has the wrong type.', "It must be a number.")
        else:
            return limit
        return None

    def fallback(self, value: dict[str, Any]) -> Fallback:
        """What happens to what nothing matches."""
        fields = self._object(value, "fallback", forms.FALLBACK)
        if not fields.keys() & {"say", "next"}:
            self._problem("fallback does nothing.", 'Give it "say", "next", or both.')
        if "times" in fields and "next" not in fields:
            self._problem('"times" in fallback has nowhere to go afterwards.', 'Add a "next".')
        next = self._target(fields.get("next"))
        return Fallback(self._maybe(fields, "say"), fields.get("times", 2), next)

    def _timers(self, value: Any) -> tuple[After, ...]:
        timers = []
        items = value if isinstance(value, list) else [value]
        if not items or len(items) > MOST_TIMERS:
            self._problem(f'"after" has {len(items)} timers.', f"It may have 1 to {MOST_TIMERS}.")
        for number, item in enumerate(items, 1):
            where = f"timer {number} of after" if isinstance(value, list) else "after"
            if not isinstance(item, dict):
                self._problem(f"{where} must be an object.", 'Write {"delay": "10m", "say": "..."}.')
                continue
            fields = self._object(item, where, forms.AFTER)
            if not fields.keys() & {"say", "next"}:
                self._problem(f"{where} does nothing.", 'Give it "say", "next", or both.')
            if (delay := forms.seconds(fields.get("delay", ""))) is not None:
                timers.append(After(delay, self._maybe(fields, "say"), self._target(fields.get("next"))))
        return tuple(timers)

    # --- persons, backends, the assistant -----------------------------------------------------

    def _desk(self, value: dict[str, Any], where: str = "handoff") -> Desk | None:
        fields = self._object(value, where, forms.HANDOFF)
        nobody: Nobody | None = None
        if "nobody" in fields:
            absent = self._object(fields["nobody"], "nobody", forms.NOBODY)
            if not absent:
                self._problem("nobody does nothing.", 'Give it "say", "next", or both.')
            nobody = Nobody(self._maybe(absent, "say"), self._target(absent.get("next")))
        if fields.get("queue") == "":
            self._problem(f'"queue" in {where} is empty.', "Name the people who are asked for.")
        if not fields.get("queue"):
            return None
        return Desk(
            queue=fields["queue"],
            reason=self._maybe(fields, "reason") or template(""),
            waiting=self._maybe(fields, "waiting"),
            nobody=nobody,
            back=self._maybe(fields, "back"),
        )

    def _service(self, value: dict[str, Any]) -> Service:
        fields = self._object(value, "service", forms.SERVICE)
        if ("url" in value) == ("subject" in value):
            self._problem('service needs either "url" or "subject".', "Give it one of them.")
        url = self._plain(fields["url"]) if "url" in fields else None
        if url and not _ADDRESS.match(fields["url"]):
            remedy = 'It begins as "https://shop.example.com/"; the host is fixed, variables come after it.'
            self._problem('"url" in service is no address that can be asked.', remedy)
        for key in {"method", "headers"} & fields.keys() if "subject" in fields else ():
            self._problem(f'"{key}" in service belongs to a "url".', "Remove it.")
        timeout = forms.seconds(fields.get("timeout", "5s")) or LONGEST_TIMEOUT
        if timeout > LONGEST_TIMEOUT:
            self._problem(
                '"timeout" in service is too long.', f'It may be "{LONGEST_TIMEOUT}s": a visitor waits.'
            )
        headers = {}
        for name, text in fields.get("headers", {}).items():
            if not _HEADER.fullmatch(name) or not isinstance(text, str) or not text.isprintable():
                self._problem(f"{quoted([name])} in headers is no header.", 'Write {"X-Shop": "a text"}.')
            else:
                headers[name] = self._plain(text)
        body = json_template(fields["body"], self._saved) if "body" in fields else None
        return Service(
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
        fields = self._object(value, "assistant", forms.ASSISTANT)
        once = fields.get("once", False)
        editor = fields.keys() & {"sessionId", "greeting", "prompt"}
        if once and editor:
            self._problem(f'{quoted(sorted(editor))} in assistant means nothing with "once".', "Remove it.")
        if not once and "next" in state:
            remedy = 'Let it go on with "goTo", or let it speak "once".'
            self._problem('"next" is never reached: the assistant stays.', remedy)
        if "system" not in fields or "onError" not in fields:
            return {}
        assistant = Assistant(
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

    def settings(self) -> Settings:
        """``$settings``. Unknown keys are let pass: files had some of their own before these came."""
        if not isinstance(self._member.value, dict):
            self._warning("$settings is no object.", "It is not used.")
            return Settings()
        known = {field.rstrip("?") for field in forms.SETTINGS}
        for key in self._member.value.keys() - known:
            self._warning(
                f"{quoted([key])} is not used.", similar(key, known, f"Known here: {quoted(sorted(known))}.")
            )
        value = {key: each for key, each in self._member.value.items() if key in known}
        fields = self._object(value, "$settings", forms.SETTINGS)
        self._settings = Settings(language=fields.get("language", ""))
        invalid = self._object(
            fields.get("invalid", {}), "invalid", {f"{kind}?": "words" for kind in forms.KINDS}
        )
        return Settings(
            language=self._settings.language,
            fallback=self.fallback(fields["fallback"]) if "fallback" in fields else None,
            invalid={kind: self._text(text, f"{kind} of invalid") for kind, text in invalid.items()},  # type: ignore[misc]
            inactivity=forms.seconds(fields.get("inactivity", "")),
            line=self._member.line,
        )

    # --- parts --------------------------------------------------------------------------------

    def _maybe(self, fields: Mapping[str, Any], key: str) -> Text | None:
        return self._text(fields[key], key) if key in fields else None

    def _plain(self, text: str) -> Text:
        return Text({"": self._split(text)})

    def _text(self, value: str | dict[str, Any], where: str) -> Text:
        """A text, its own language first."""
        if isinstance(value, str):
            return self._plain(value)
        texts = {tag: text for tag, text in value.items() if self._is_language(tag, text, where)}
        if not value:
            self._problem(f"{where} has no language.", f"It must be {MEANING['words']}.")
        wanted = self._settings.language
        own = next((tag for tag in texts if tag.lower() == wanted.lower()), None)
        if texts and wanted and own is None:
            remedy = "It is the one in $settings, for visitors of any other."
            self._problem(f'{where} lacks the language "{wanted}".', remedy)
        ordered = sorted(texts.items(), key=lambda each: own not in (None, each[0]))
        return Text({tag: self._split(text) for tag, text in ordered} or {"": ("",)})

    def _split(self, text: str) -> tuple[Any, ...]:
        parts = split(text, self._saved)
        if "{{" in "".join(part for part in parts if isinstance(part, str)):
            remedy = 'Variables are written "{{ name }}", after a "save"; anything else stays as it is.'
            self._warning('a text is shown with its "{{".', remedy)
        return parts

    def _is_language(self, tag: str, text: Any, where: str) -> bool:
        if TAG.fullmatch(tag) and isinstance(text, str):
            return True
        self._problem(
            f"{quoted([tag])} in {where} is no text in a language.", f"It must be {MEANING['words']}."
        )
        return False

    def _tagged(
        self, value: dict[str, Any], where: str, kinds: Mapping[str, Fields]
    ) -> tuple[str, dict[str, Any]]:
        """The value's kind and its good fields; ("", {}) if the kind is missing or unknown."""
        kind = value.get("kind")
        if isinstance(kind, str) and kind in kinds:
            return kind, self._object(value, where, {"kind": "text", **kinds[kind]})
        one_of = f"It is one of {quoted(kinds)}."
        if isinstance(kind, str):
            self._problem(f"{where} has the unknown kind {quoted([kind])}.", similar(kind, kinds, one_of))
        else:
            self._problem(f'{where} needs a "kind".', one_of)
        return "", {}

    def _object(self, value: dict[str, Any], where: str, fields: Fields) -> dict[str, Any]:
        """The members of ``value`` that are as they should be; null stands for "left out"."""
        known = {field.rstrip("?"): kind for field, kind in fields.items()}
        for key in value:
            if key not in known:
                remedy = similar(key, known, f"Known here: {quoted(known)}.")
                self._problem(f"{where} has the unknown key {quoted([key])}.", remedy)
        good = {}
        for key, kind in known.items():
            given = value.get(key)
            if given is None:
                if key in fields:
                    self._problem(f'{where} lacks "{key}".', f"It is {MEANING[kind]}.")
            elif is_of(kind, given):
                good[key] = given
            else:
                self._problem(f'"{key}" in {where} has the wrong type.', f"It must be {MEANING[kind]}.")
        return good

    def _problem(self, reason: str, remedy: str) -> None:
        self._notes.problems.append(Problem(self.name, reason, remedy, self._member.line, self._file))

    def _warning(self, reason: str, remedy: str) -> None:
        self._notes.warnings.append(Problem(self.name, reason, remedy, self._member.line, self._file))


def saves_anything(value: Any) -> bool:
    """Whether a flow's JSON keeps anything in variables."""
    ahead = [value]
    while ahead:
        match ahead.pop():
            case dict() as members:
                if "save" in members or "(?P<" in str(members.get("pattern", "")):
                    return True
                ahead += members.values()
            case list() as items:
                ahead += items
            case _:
                pass
    return False


def _handoff_as_written(desk: Desk | None) -> HandoffRequested | None:
    return HandoffRequested(queue=desk.queue, reason=desk.reason.own) if desk else None
