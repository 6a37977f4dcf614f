"""Tool calls that a model wrote into its text, in the many forms that models were trained on. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

#: Keys under which the name, the arguments or the whole call is found.
_NAMES: Final = ("name", "tool", "tool_name", "function", "function_name", "recipient_name", "action", "call")
_ARGUMENTS: Final = ("arguments", "parameters", "args", "tool_input", "action_input", "input", "kwargs")
_NESTED: Final = ("tool_calls", "tool_uses", "tool_call", "function_call", "function", "call")
_OTHERS: Final = ("type", "id", "index")
CALL_KEYS: Final = frozenset((*_NAMES, *_ARGUMENTS, *_NESTED, *_OTHERS))

#: Qwen, Llama: <function=NAME><parameter=KEY>VALUE</parameter>; MiniMax: <invoke name="NAME"> ...
_NAMED: Final = re.compile(r"<(?:function\s*=|invoke\s+name\s*=|function\s+name\s*=)\s*[\"']?([\w.:-]+)")
_PARAMETER: Final = re.compile(
    r"<parameter\s*(?:=|\s+name\s*=)\s*[\"']?([\w.-]+)[\"']?(?:\s[^<>]{0,80})?>\n?([^<]*)", re.IGNORECASE
)
#: GLM: NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>
_PAIR: Final = re.compile(r"<arg_key>([^<]*)</arg_key>\s*<arg_value>([^<]*)")
#: Cline and the like: <NAME><KEY>VALUE</KEY></NAME>
_CHILD: Final = re.compile(r"<([A-Za-z_]\w{0,40})>([^<]*)</")
#: NAME(KEY="VALUE")
_KEYWORD: Final = re.compile(r"\b(\w+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)')")
#: From so many places JSON is tried to be read.
_MAX_STARTS: Final = 8

_decoder: Final = json.JSONDecoder()


class Called(NamedTuple):
    """A call of a tool that was offered; its arguments as JSON, not yet checked."""

    name: str
    arguments: str


class NotCalled(ValueError):
    """It is a call, but of no tool that was offered."""


def of_json(text: str, tools: Collection[str]) -> Called | None:
    """The call that this JSON is; None for JSON that is none. Raises `NotCalled`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # A call all the same, if it names a tool: then it is not to be read by a visitor.
        if any(re.search(rf'"\s*:\s*"{re.escape(tool)}"', text) for tool in tools):
            raise NotCalled(f"a call that is no JSON: {text}") from None
        return None
    return _of_value(value, tools)


def called(body: str, tools: Collection[str], name: str = "") -> Called:
    """The call that is written in ``body``; ``name`` is the tool's if it came before. Raises `NotCalled`."""
    body = body.replace("\uff5cDSML\uff5c", "")  # DeepSeek V3.2 puts it before each tag's name
    known = _bare(name) if name else ""
    named = _NAMED.search(body)
    known = known or (_bare(named[1]) if named else "")
    pairs = _PARAMETER.findall(body) or _PAIR.findall(body) or _CHILD.findall(body)
    arguments: Any = {key.strip(): value.strip() for key, value in pairs} or None
    if arguments is None:
        for value in _values(body):
            if not known and (call := _of_value(value, tools)) is not None:
                return call
            if isinstance(value, dict):
                arguments = value
                break
    known = known or next(
        (tool for tool in sorted(tools) if re.search(rf"(?<![\w]){re.escape(tool)}(?![\w])", body)), ""
    )
    if known not in tools:
        raise NotCalled(f"a call of a tool that was not offered: {known or body!r}")
    if arguments is None:
        arguments = {key: first or second for key, first, second in _KEYWORD.findall(body)}
    elif name or named:
        arguments = _inner(arguments)
    return Called(known, _written(arguments))


def _values(body: str) -> list[Any]:
    """The JSON objects and arrays in a text."""
    found = []
    at = 0
    for _ in range(_MAX_STARTS):
        start = re.compile(r"[{\[]").search(body, at)
        if start is None:
            break
        try:
            value, at = _decoder.raw_decode(body, start.start())
            found.append(value)
        except (ValueError, RecursionError):
            at = start.end()
    return found


def _of_value(value: Any, tools: Collection[str], depth: int = 0) -> Called | None:
    if isinstance(value, list):
        calls = (_of_value(each, tools, depth + 1) for each in value[:_MAX_STARTS] if depth < 4)
        return next((call for call in calls if call is not None), None)
    if not isinstance(value, dict):
        return None
    for key in _NESTED:
        inner = value.get(key)
        if isinstance(inner, dict | list) and inner and depth < 4:
            call = _of_value(inner, tools, depth + 1)
            if call is not None:
                return call
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), "")
    given = next((key for key in _ARGUMENTS if value.get(key) is not None), "")
    if _bare(name) in tools:
        rest = {key: each for key, each in value.items() if key not in (*_NAMES, *_OTHERS)}
        return Called(_bare(name), _written(value[given] if given else rest))
    if name and given in ("arguments", "parameters") and CALL_KEYS.issuperset(value):
        raise NotCalled(f"a call of a tool that was not offered: {name!r}")
    if len(value) == 1:
        key, inner = next(iter(value.items()))
        if key in tools and isinstance(inner, dict | str):
            return Called(key, _written(inner))
    return None


def _bare(name: str) -> str:
    """Without what some models put around a name: functions.NAME:0"""
    return re.sub(r":\d+$", "", name.strip().removeprefix("functions."))


def _inner(arguments: Mapping[str, Any]) -> Any:
    """The arguments where they are wrapped as in a whole call."""
    for key in ("arguments", "parameters"):
        if isinstance(arguments.get(key), dict | str):
            return arguments[key]
    return arguments


def _written(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
