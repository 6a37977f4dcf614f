"""How questions' answers are read from the file: what takes them, keeps them, and what if none comes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from shared.flow.language import schema
from shared.flow.language.days import Day, iso
from shared.flow.language.diagnostics import quoted
from shared.flow.language.field_reader import MemberReader
from shared.flow.language.patterns import BadPattern, TextMatch, pattern, words
from shared.flow.language.phones import is_region
from shared.flow.language.schema import MEANING
from shared.flow.language.state import AfterSilence, ExpectedAnswer, Fallback
from shared.flow.language.values import Kind, Save

#: How many timers a state may have.
MAX_TIMERS: Final = 20

#: Keys of `save` that mean something for some kinds only.
_ONLY_FOR: Final[Mapping[str, tuple[Kind, ...]]] = {
    "unit": ("number",),
    "ambiguous": ("number", "date"),
    "region": ("phone",),
}

#: What is more than digits and the marks of a number.
_UNIT = re.compile(r"[^0-9\s.,'+-]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class AnswerReader(MemberReader):
    """Reads what belongs to answers: `matchResponse`, `fallback`, `after`."""

    def _response(self, value: dict[str, Any]) -> dict[str, Any]:
        kind, fields = self._tagged(value, "matchResponse", schema.RESPONSES)
        if "content" in fields:
            self._warning('"content" in matchResponse is not compared.', "The ids alone decide; remove it.")
        made: dict[str, Any] = {}
        if "save" in fields:
            made |= self._save(fields["save"], choice=kind == "ChoiceResponse")
        match kind, fields:
            case "ChoiceResponse", {"groupId": group, "itemId": item}:
                return made | {"answer": ExpectedAnswer(str(group), str(item), self.scope), "item": item}
            case "UserText", {"sessionId": session}:
                return made | {
                    "answer": ExpectedAnswer(str(session), None, self.scope),
                    "match": self._match(fields),
                }
            case _:
                return {}

    def _match(self, fields: Mapping[str, Any]) -> TextMatch | None:
        if "pattern" in fields and "words" in fields:
            self._problem('"pattern" and "words" cannot be together.', "Make two states of them.")
        if "ignoreCase" in fields and "pattern" not in fields:
            self._problem(
                '"ignoreCase" belongs to a "pattern".', "Words are the same in any case; remove it."
            )
        if "contains" in fields and "words" not in fields:
            self._problem('"contains" belongs to "words".', "A pattern is searched for anyway; remove it.")
        try:
            if "pattern" in fields:
                match = pattern(fields["pattern"], fields.get("ignoreCase", True))
                for name in match.groups:
                    if not schema.is_name(name):
                        self._problem(
                            f'"pattern" has a group with the name {quoted([name])}.',
                            f"It must be {MEANING['name']}.",
                        )
                return match
            if "words" in fields:
                if not fields["words"]:
                    self._problem('"words" has no word.', 'Write ["person", "human"].')
                return words(fields["words"], fields.get("contains"))
        except BadPattern as error:
            what = "pattern" if "pattern" in fields else "words"
            remedy = "It is in RE2's syntax: github.com/google/re2/wiki/Syntax." if what == "pattern" else ""
            self._problem(f'"{what}" cannot be used: {error}.', remedy)
        return None

    def _save(self, value: str | dict[str, Any], choice: bool) -> dict[str, Any]:
        fields = self._object({"as": value} if isinstance(value, str) else value, "save", schema.SAVE)
        if "as" not in fields:
            return {}
        kind: Kind = fields.get("kind", "text")
        if choice and fields.keys() - {"as"}:
            self._problem(
                f"{quoted(fields.keys() - {'as'})} in save means nothing here: it is the choice's itemId "
                "that is kept.",
                "Remove it.",
            )
        for key, kinds in _ONLY_FOR.items():
            if key in fields and kind not in kinds and not choice:
                self._problem(f'"{key}" in save means nothing for this kind.', "Remove it.")
        region = fields.get("region", "")
        if region and not is_region(region):
            remedy = 'It is "GB".' if region == "UK" else f"It must be {MEANING['region']}."
            self._problem(f'"region" in save names no country: "{region}".', remedy)
        unit = fields.get("unit", ())
        units = (unit,) if isinstance(unit, str) else tuple(unit)
        if not all(map(_UNIT.search, units)):
            self._problem('"unit" in save is no unit.', f"It must be {MEANING['units']}.")
        least, most = self._limit(fields, "min", kind), self._limit(fields, "max", kind)
        if least is not None and most is not None and least > most:  # type: ignore[operator]
            self._problem('"min" in save is above "max".', "Swap them.")
        save = Save(
            fields["as"],
            kind,
            least,
            most,
            units=units,
            region=region or self._settings.region,
        )
        return {
            "save": save,
            "invalid": self._maybe(fields, "invalid") or self._settings.invalid.get(kind),
            "ambiguous": self._maybe(fields, "ambiguous") or self._settings.ambiguous,
        }

    def _limit(self, fields: Mapping[str, Any], key: str, kind: Kind) -> float | str | None:
        limit: float | str | None = fields.get(key)
        if limit is None:
            return None
        if kind == "date":
            if isinstance(limit, str) and _DAY.fullmatch(limit) and iso(Day(*map(int, limit.split("-")))):
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
        fields = self._object(value, "fallback", schema.FALLBACK)
        if not fields.keys() & {"say", "next"}:
            self._problem("fallback does nothing.", 'Give it "say", "next", or both.')
        if "times" in fields and "next" not in fields:
            self._problem('"times" in fallback has nowhere to go afterwards.', 'Add a "next".')
        next = self._target(fields.get("next"))
        return Fallback(self._maybe(fields, "say"), fields.get("times", 2), next)

    def _timers(self, value: Any) -> tuple[AfterSilence, ...]:
        timers = []
        items = value if isinstance(value, list) else [value]
        if not items or len(items) > MAX_TIMERS:
            self._problem(f'"after" has {len(items)} timers.', f"It may have 1 to {MAX_TIMERS}.")
        for number, item in enumerate(items, 1):
            where = f"timer {number} of after" if isinstance(value, list) else "after"
            if not isinstance(item, dict):
                self._problem(f"{where} must be an object.", 'Write {"delay": "10m", "say": "..."}.')
                continue
            fields = self._object(item, where, schema.AFTER)
            if not fields.keys() & {"say", "next"}:
                self._problem(f"{where} does nothing.", 'Give it "say", "next", or both.')
            if (delay := schema.seconds(fields.get("delay", ""))) is not None:
                timers.append(
                    AfterSilence(delay, self._maybe(fields, "say"), self._target(fields.get("next")))
                )
        return tuple(timers)
