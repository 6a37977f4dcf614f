"""Reading a member of a flow file: its objects, its texts, and notes of what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.flow.language.diagnostics import Diagnostic, quoted, similar
from shared.flow.language.flow_file import JsonMember
from shared.flow.language.locales import TAG
from shared.flow.language.schema import MEANING, Fields, is_of
from shared.flow.language.state import Fallback
from shared.flow.language.templates import Text, split
from shared.flow.language.thanks import Thanks
from shared.flow.language.values import Kind


class FlowSettings(msgspec.Struct, frozen=True):
    """What ``$settings`` says for the whole flow.

    ``inactivity`` in seconds; None leaves it to the service. ``handback`` names states to which operators
    may hand a conversation back.
    """

    language: str = ""
    fallback: Fallback | None = None
    invalid: Mapping[Kind, Text] = {}
    ambiguous: Text | None = None
    region: str = ""
    inactivity: int | None = None
    handback: tuple[str, ...] = ()
    thanks: Thanks = Thanks()
    line: int = 0


class Notes(msgspec.Struct):
    """What was found while reading."""

    problems: list[Diagnostic]
    warnings: list[Diagnostic]


class MemberReader:
    """Reads one member of the file.

    ``scope`` and ``file`` are those of the sub-flow it belongs to. ``saved`` says whether any state of
    the flow saves a variable: without one, braces in texts are nothing but braces, as they always were.
    """

    def __init__(
        self,
        member: JsonMember,
        notes: Notes,
        settings: FlowSettings,
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

    def _target(self, name: str | None) -> str | None:
        """A state of the same flow, by its full name."""
        return f"{self.scope}/{name}" if self.scope and name is not None else name

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
        self._notes.problems.append(Diagnostic(self.name, reason, remedy, self._member.line, self._file))

    def _warning(self, reason: str, remedy: str) -> None:
        self._notes.warnings.append(Diagnostic(self.name, reason, remedy, self._member.line, self._file))


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
