"""What of a model's text is for the visitor: no reasoning, no tool calls, no control tokens.

Pure. Most providers give reasoning and tool calls in fields of their own. Others leave them in the text,
in the form that the model was trained on, and that form may be cut anywhere by the chunks. `Spoken` takes
the text as it comes and gives away only what is certain to be for the visitor; how the text is cut makes
no difference.

Where a form may also be what somebody wants to read:

- A tag directly between backticks, and a pair of tags inside a fenced block, are text: the visitor asked
  about them.
- An end of reasoning without a beginning means that all words before it were reasoning. Those that were
  given away are void then (`Spoken.anew`).
- Reasoning without an end lasts to the end of the text.
- JSON is a tool call only if it has the form of one. What follows a call is not said: models go on with
  what they imagine the tool to answer.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import Final

from services.workflow.domain.textual_calls import (
    CALL_KEYS,
    Called,
    NotCalled,
    called,
    of_json,
)

#: One family: a model that opens with one of them may close with another.
_THINK: Final = (
    *("think", "thinking", "thought", "thoughts", "seed:think", "mm:think", "antthinking", "ant:thinking"),
)
_REASONING: Final = (
    *("reasoning", "reflection", "analysis", "scratchpad", "rationale", "chain_of_thought", "cot"),
    *("inner_monologue", "internal_monologue", "inner_thoughts", "internal_thoughts", "deliberation"),
    *("thought_process", "thinking_process", "inner_thought", "internal_thought", "self_reflection"),
)
#: Tags around the answer itself: they go, what is between them stays.
_ANSWER: Final = ("answer", "final_answer", "response", "final_response", "solution")
_CALLS: Final = (
    *("tool_call", "tool_calls", "function_call", "function_calls", "toolcall", "tool_code", "tool_use"),
    *("minimax:tool_call", "function", "invoke", "tools"),
)
#: Marks of a text's beginning and end that some servers forget to take out.
_MARKS: Final = ("bos", "eos", "pad", "end_of_turn", "start_of_turn", "end_of_utterance")
#: `<details type="reasoning">` (Open WebUI); another `<details>` is text.
_DETAILS: Final = "details"
_KNOWN: Final = frozenset((*_THINK, *_REASONING, *_ANSWER, *_CALLS, *_MARKS))
_BEGINNINGS: Final = frozenset(
    name[:length] for name in (*_KNOWN, _DETAILS) for length in range(len(name) + 1)
)
#: `<SPECIAL_12>`, `<unused7>`: places in a vocabulary that a model was trained to use after all.
_RESERVED: Final = re.compile(r"(?:special_|unused|reserved_)\d{1,6}")
_RESERVED_BEGINNING: Final = re.compile(r"(?:special_|unused|reserved_)\d{0,6}")
#: The end of the model's turn: what follows is what it imagines others to say.
_TURN_ENDS: Final = frozenset(
    {"im_end", "eot_id", "eom_id", "endoftext", "end_of_text", "end_of_turn", "endofturn", "end_of_sentence"}
)
#: The beginning of a turn, followed by who speaks.
_TURN_BEGINS: Final = frozenset({"im_start", "start_header_id", "start_of_role", "start_of_turn"})
_ROLE: Final = re.compile(r"[ \t]{0,3}(?:assistant|model)(?:[ \t]{0,3}\n|(?=<)|\Z)")

#: A tag, as far as it has come; the last group says that it is whole.
_TAG: Final = re.compile(
    r"<[ \t]{0,3}(/?)[ \t]{0,3}([A-Za-z_][\w:.-]{0,40})?"
    r"((?:[ \t]{0,3}=[^<>\n]{0,80})?(?:\s[^<>]{0,200})?/?)(>?)"
)
#: A control token, `<|im_end|>`; DeepSeek writes it with full-width bars, Gemma leaves one bar out.
_TOKEN: Final = re.compile(r"<[|\uff5c]([^|\uff5c<>\s]{0,60})([|\uff5c]?)(>?)")
_BRACKET: Final = re.compile(r"\[(/?)([A-Za-z_]{0,20})(\]?)")
_BAR_BRACKET: Final = re.compile(r"\[\|([A-Za-z_]{0,20})(\|?)(\]?)")  # EXAONE: [|endofturn|]
_BRACKETS: Final = ("think", "tool_calls", "tool_call", "inst", "args")
_TRIANGLE: Final = re.compile(r"\u25c1(/?)(\w{0,20})(\u25b7?)")  # Kimi
_JSON: Final = re.compile(r"(\[\s{0,40})?(?:(\{)\s{0,40}(?:\"([\w.:-]{0,40})(?:(\")\s{0,10}(:)?)?)?)?")
_JSON_SIGN: Final = re.compile(r'["\\{}\[\]]')
#: What follows a fence in its line names a language: a tag there stands behind a fence within a line.
_FENCE: Final = re.compile(r"(`{3,20}|~{3,20})([^\n`<]{0,60})(\n?)")
_REASON_FENCES: Final = frozenset({"think", "thinking", "thought", "thoughts", "reasoning"})
_CALL_FENCES: Final = frozenset({"tool_call", "tool_calls", "tool_code", "tool", "function_call", "tool_use"})
_SIGN: Final = re.compile(r"[<\[{\u25c1\n]")

#: Reasoning in words, at the very beginning: what opens it, and what ends it.
_PHRASES: Final = (
    ("Here is my thought process:", re.compile("Here(?: is|'s) my response:")),  # IBM Granite 3.2
    ("Here's my thought process:", re.compile("Here(?: is|'s) my response:")),
    ("Thought:", re.compile(r"\n[ \t]{0,3}Final Answer:|\n(?=[ \t]{0,3}Action:)")),  # ReAct
)
#: gpt-oss behind a server that drops the control tokens and leaves the names of the channels.
_BARE_CHANNEL: Final = re.compile(r"(?:analysis|commentary)(?=[^\W\d_]|[\"'*])")
_BARE_FINAL: Final = re.compile(r"assistant\s?final")

_END_TOKEN: Final = re.compile(
    r"<[|\uff5c](?:/|end)[^|\uff5c<>\n]{0,40}(?:think|thought)[^|\uff5c<>\n]{0,20}[|\uff5c]>|"
    r"<\|(?:think|thought)\w{0,10}_end\|>|<\|inner_suffix\|>",
    re.IGNORECASE,
)
_END_BRACKET: Final = re.compile(r"\[/think\]", re.IGNORECASE)
_END_TRIANGLE: Final = re.compile(r"\u25c1/think\u25b7")
_END_GEMMA: Final = re.compile(r"<channel\|>")
#: The end of a message of gpt-oss; the last two begin the next one, and are left to be read.
_END_MESSAGE: Final = re.compile(r"<\|(?:end|return|call)\|>|(?=<\|(?:start|channel)\|>)")
#: No such end is longer (characters).
_MAX_END: Final = 90
#: A header of gpt-oss is no longer, nor does a fence have more lines of white space before its content.
_MAX_HEADER: Final = 400
#: As much of a call is kept (characters), and so many times a text may be looked at as JSON.
_MAX_CALL: Final = 16_384
_MAX_JSON: Final = 8

#: DeepSeek V3.2 writes its calls as tags whose names begin so.
_DSML: Final = "\uff5cDSML\uff5c"
#: So many characters tell who speaks.
_MAX_ROLE: Final = 16

_HOLD: Final = -1
_TEXT: Final = 0


class Spoken:
    """The visitor's part of one answer. ``tools``: names of the tools that were offered.

    ``bare``: this model is known to leave out the beginning of its reasoning, so that nothing can be
    given away before the reasoning's end (or the answer's, where there is none).
    """

    def __init__(self, tools: Collection[str] = (), bare: bool = False) -> None:
        self._tools = frozenset(tools)
        self._buffer = ""
        self._read = self._text
        self._out: list[str] = []
        self._kept: list[str] | None = [] if bare else None
        self._line = True  # at the beginning of a line
        self._first = True  # before anything else
        self._last = ""  # the last character that was text
        self._trim = False
        self._fence = ""
        self._struck = False  # there was a <s>, which its </s> belongs to
        self._pairs = 0  # tags opened inside the fenced block
        self._end: re.Pattern[str] | None = None
        self._again: re.Pattern[str] | None = None  # what begins such reasoning within itself
        self._counted = 0  # of the buffer, so many characters were searched for that
        self._nested = 0
        self._body: list[str] = []
        self._length = 0
        self._name = ""
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._before = ""  # a fence that belongs to the JSON, if it is a call
        self._candidates = 0
        self._over = False
        self._said = False
        self.call: Called | None = None
        self.refused = ""  # a call of a tool that was not offered, or one that makes no sense
        self.anew = False  # all that was given away was reasoning; the reader takes note and resets this
        self.opened = False  # reasoning came with its beginning
        self.unopened = False  # and without

    def take(self, text: str) -> str:
        """What is certain now that ``text`` has come."""
        if self._over:
            return ""
        self._buffer += text
        self._run(final=False)
        return self._given()

    def end(self, broken_off: bool = False) -> str:
        """What is certain now that nothing more comes.

        ``broken_off``: the answer had no room for more. What waited for the end of its reasoning never
        was one then.
        """
        if not self._over:
            self._run(final=True)
            if self._kept is not None and not (broken_off and self.call is None):
                self._out += self._kept
            self._kept = None
            self._over = True
        return self._given()

    @property
    def holds(self) -> bool:
        """Whether words wait for the end of what may be reasoning."""
        return self._kept is not None

    def hold(self) -> None:
        """From now on nothing is given away before the end of what may be reasoning."""
        if self._kept is None and not self._over:
            self._kept = []

    def trust(self) -> str:
        """It is no reasoning: what was held, and from now on all words as they come."""
        kept, self._kept = self._kept or [], None
        return "".join(kept)

    # --- inside: one reader for each kind of place. It takes from the buffer, False if it must wait. ---

    def _run(self, final: bool) -> None:
        while not self._over and self._read(final):
            pass

    def _given(self) -> str:
        given = "".join(self._out)
        self._out.clear()
        return given

    def _say(self, count: int) -> None:
        """The next characters are the visitor's."""
        text, self._buffer = self._buffer[:count], self._buffer[count:]
        if not text:
            return
        self._last = text[-1]
        self._first = self._first and text.isspace()
        if self._trim:
            text = text.lstrip()
            if not text:
                return
            self._trim = False
        self._said = self._said or not text.isspace()
        (self._out if self._kept is None else self._kept).append(text)

    def _drop(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._first = False

    def _forget(self) -> None:
        """All that was said so far was reasoning."""
        self._nested = max(0, self._nested - 1)
        self.unopened = self.unopened or not self.opened
        if self._kept is not None:
            self._kept = [] if self._nested else None
        else:
            self.anew = True
            self._out.clear()
        self._said = False
        self._line = self._trim = True
        self._fence = ""
        self._pairs = 0

    def _text(self, final: bool) -> bool:
        if not self._buffer:
            if final:
                self._over = True
            return False
        if self._line:
            return self._at_line(final)
        sign = _SIGN.search(self._buffer)
        if sign is None:
            self._say(len(self._buffer))
            return True
        if sign.start():
            self._say(sign.start())
            return True
        if sign[0] == "\n":
            self._say(1)
            self._line = True
            return True
        return self._sign(final)

    def _at_line(self, final: bool) -> bool:
        """What can only be at the beginning of a line: fences, calls written as code, words that open."""
        indent = len(self._buffer) - len(self._buffer.lstrip(" \t"))
        rest = self._buffer[indent:]
        if not rest and not final and indent < 40:
            return False
        found = _TEXT
        if indent < 40:
            found = self._fenced(indent, rest, final) or self._worded(rest, final)
            if found == _HOLD:
                return False
        if found == _TEXT:
            self._line = False
            self._say(indent)
        return True

    def _fenced(self, indent: int, rest: str, final: bool) -> int:
        """A fence at the beginning of a line; how much of the buffer was dealt with."""
        if not rest.startswith(("```", "~~~")):
            return _HOLD if not final and rest in ("`", "``", "~", "~~") else _TEXT
        fence = _FENCE.match(rest)
        if fence is None:
            return _TEXT
        whole = fence[3] or fence.end() < len(rest)
        if not whole and not final and len(fence[2]) < 60:
            return _HOLD
        if self._fence:
            if fence[1].startswith(self._fence) and not fence[2].strip():
                self._fence = ""
                self._pairs = 0
                self._line = bool(fence[3])
                self._say(indent + fence.end())
                return 1
            return _TEXT
        if not fence[3] and fence.end() < len(rest):
            return _TEXT  # backticks later in the line: a span of code
        label = fence[2].strip().lower()
        inside = rest[fence.end() :]
        content = inside.lstrip()
        begin = indent + fence.end() + len(inside) - len(content)
        if label in _CALL_FENCES and self._tools:
            self._drop(indent + fence.end())
            self._begin_call(re.compile(re.escape(fence[1][:3])))
            return 1
        if label in _REASON_FENCES and not self._said:
            self._drop(indent + fence.end())
            self._begin_reasoning(re.compile(rf"\n[ \t]{{0,3}}{re.escape(fence[1][:3])}[`~]{{0,17}}"))
            return 1
        if not content and not final and len(inside) < 100:
            return _HOLD
        code = self._code(content)
        if code == _HOLD and not final:
            return _HOLD
        if code > 0:
            self._drop(begin)
            self._begin_call(re.compile(re.escape(fence[1][:3])))
            return 1
        if content.startswith(("{", "[")):
            may = self._may_be_call(content, final)
            if may is None:
                return _HOLD
            if may:
                self._before = self._buffer[:begin]
                self._drop(begin)
                self._begin_json()
                return 1
        elif content.startswith("<"):
            tag = _TAG.match(content)
            if tag and not tag[4] and tag.end() == len(content) and not final and self._begins(tag):
                return _HOLD
            if tag and tag[4] and not tag[1] and (tag[2] or "").lower() in _CALLS:
                self._drop(begin)
                return 1
        self._fence = fence[1]
        self._line = bool(fence[3])
        self._say(indent + fence.end())
        return 1

    def _code(self, content: str) -> int:
        """Whether a block of code begins with a call of a tool: it would be nothing else."""
        hold = False
        for name in self._tools:
            for start in ("", "print(", "functions.", "default_api.", "print(default_api."):
                if content.startswith(f"{start}{name}("):
                    return 1
                hold = hold or f"{start}{name}(".startswith(content)
        return _HOLD if hold else _TEXT

    def _worded(self, rest: str, final: bool) -> int:
        """Calls written as code or in words, and reasoning that begins with words."""
        if self._fence:
            return _TEXT
        hold = False
        for name in self._tools:
            for start in (f"{name}(", f"functions.{name}(", f"Action: {name}"):
                if rest.startswith(start):
                    self._name = name
                    self._begin_call(None)
                    return 1
                hold = hold or start.startswith(rest)
        if self._first:
            for start, end in _PHRASES:
                if rest.startswith(start):
                    self._begin_reasoning(end)
                    return 1
                hold = hold or start.startswith(rest)
            if _BARE_CHANNEL.match(rest):
                self._begin_reasoning(_BARE_FINAL)
                return 1
            hold = hold or "analysis".startswith(rest) or "commentary".startswith(rest)
        return _HOLD if hold and not final else _TEXT

    def _sign(self, final: bool) -> bool:
        """At one of the characters with which something begins that is not for the visitor."""
        buffer = self._buffer
        if buffer[0] == "<":
            found = self._token(buffer, final) if buffer[1:2] in ("|", "\uff5c") else self._tag(buffer, final)
        elif buffer[0] == "\u25c1":
            found = self._triangle(buffer, final)
        else:
            found = self._bracket(buffer, final) if buffer[0] == "[" else _TEXT
            if found == _TEXT:
                found = self._json(buffer, final)
        if found == _HOLD:
            return False
        if found == _TEXT:
            self._say(1)
        return True

    def _literal(self, end: int, closing: bool, final: bool) -> int:
        """Whether what ends at ``end`` is to be read: `_TEXT` for yes, `_HOLD`, or 1 for no."""
        if self._fence:
            if not closing:
                self._pairs += 1
                return _TEXT
            if self._pairs:
                self._pairs -= 1
                return _TEXT
            return 1
        if self._last == "`":
            if end == len(self._buffer) and not final:
                return _HOLD
            if self._buffer[end : end + 1] == "`":
                return _TEXT
        return 1

    def _begins(self, tag: re.Match[str]) -> bool:
        """Whether a tag that has not come whole may become one that means something."""
        name = (tag[2] or "").lower()
        if name in _KNOWN or name == _DETAILS or (tag[2] or "") in self._tools:
            return True
        if tag[3]:
            return False
        tools = any(tool.startswith(tag[2] or "") for tool in self._tools)
        return name in _BEGINNINGS or tools or _reserved_beginning(name)

    def _tag(self, buffer: str, final: bool) -> int:
        tag = _TAG.match(buffer)
        if tag is None:
            return _TEXT
        if not tag[4]:
            name = (tag[2] or "").lower()
            if tag.end() < len(buffer):
                # Gemma closes its channel so: <channel|>
                return self._mark(buffer, final) if buffer[tag.end()] == "|" else _TEXT
            if not final:
                return _HOLD if self._begins(tag) or "channel".startswith(name) or name == "s" else _TEXT
            # The answer ends in the middle of a tag: of one with a meaning nothing is shown.
            if self._begins(tag) and len(name) > 2 and not self._fence:
                self._drop(len(buffer))
                return 1
            return _TEXT
        closing, name, end = bool(tag[1]), (tag[2] or "").lower(), tag.end()
        if name == "s" and not closing:
            self._struck = True
        if name == "s" and closing and not self._struck and not self._fence and not buffer[end:].strip():
            if not final:
                return _HOLD
            self._drop(len(buffer))  # the end of a text, for older models
            return 1
        if name == _DETAILS and not (closing or re.search(r"type\s*=\s*[\"']?reasoning", tag[3])):
            return _TEXT
        if name == _DETAILS and closing:
            return _TEXT
        tool = tag[2] if tag[2] in self._tools else ""
        if not (name in _KNOWN or name == _DETAILS or tool or _RESERVED.fullmatch(name)):
            return _TEXT
        literal = self._literal(end, closing, final)
        if literal != 1:
            if literal == _TEXT:
                self._say(end)
                return 1
            return literal
        self._drop(end)
        if tool and not closing:
            self._name = tool
            self._begin_call(_closing(name))
            self._gather(tag[3].removesuffix("/"))
            if tag[3].endswith("/"):
                self._called()
        elif name == _DETAILS:
            self._begin_reasoning(_closing(name), _opening(name))
        elif name == "end_of_turn":
            self._turn_ends()
        elif name == "start_of_turn":
            self._turn_begins()
        elif name in _CALLS:
            if closing:
                return 1
            named = re.search(r"[=\s]\s*(?:name\s*=\s*)?[\"']?([\w.:-]+)", tag[3]) if tag[3] else None
            self._name = named[1] if named and name in ("function", "invoke") else ""
            self._begin_call(
                re.compile(rf"<[ \t]{{0,3}}/[ \t]{{0,3}}{re.escape(name)}[ \t]{{0,3}}>", re.IGNORECASE)
            )
        elif name in _THINK or name in _REASONING:
            if closing:
                self._forget()
            elif not tag[3].endswith("/"):
                family = _THINK if name in _THINK else (name,)
                self._begin_reasoning(_closing(*family), _opening(*family))
        return 1

    def _mark(self, buffer: str, final: bool) -> int:
        if buffer.startswith("<channel|>"):
            self._drop(len("<channel|>"))
            return 1
        return _HOLD if "<channel|>".startswith(buffer) and not final else _TEXT

    def _token(self, buffer: str, final: bool) -> int:
        token = _TOKEN.match(buffer)
        if buffer[1:].startswith(_DSML) and not self._fence and self._last != "`":
            self._begin_call(None)
            return 1
        if _DSML.startswith(buffer[1:]) and not final:
            return _HOLD
        if token is None or not token[1] or not token[3]:
            if token is not None and token.end() == len(buffer):
                if not final:
                    return _HOLD
                if re.match(r"[a-z_/]{3,}", token[1]):  # cut in the middle
                    self._drop(len(buffer))
                    return 1
            return _TEXT
        closing = token[1].startswith(("/", "end"))
        literal = self._literal(token.end(), closing, final)
        if literal != 1:
            if literal == _TEXT:
                self._say(token.end())
                return 1
            return literal
        name = token[1].strip().lower().replace("\u2581", "_").replace(" ", "_")
        if name in ("start", "channel") and token[2]:
            self._read = self._header
            return 1
        self._drop(token.end())
        if name == "channel":
            self._begin_reasoning(_END_GEMMA)
        elif (name.endswith("_end") and ("think" in name or "thought" in name)) or name == "inner_suffix":
            self._forget()
        elif "think" in name or "thought" in name or name == "inner_prefix":
            if closing:
                self._forget()
            else:
                self._begin_reasoning(_END_TOKEN)
        elif name in _TURN_ENDS:
            self._turn_ends()
        elif name in _TURN_BEGINS:
            self._turn_begins()
        elif name in ("python_tag", "start_action", "function_call", "action_start") or (
            name.startswith("tool") and not name.startswith(("tool_response", "tool_output"))
        ):
            self._begin_call(None)
        return 1

    def _turn_ends(self) -> None:
        """What follows is nothing that this model says to the visitor."""
        if self._said:
            self._read = self._nothing

    def _turn_begins(self) -> None:
        self._read = self._role

    def _nothing(self, final: bool) -> bool:
        self._buffer = ""
        self._over = final
        return False

    def _role(self, final: bool) -> bool:
        """Behind the mark of a turn: who speaks. It is the model, or the model imagines another."""
        if len(self._buffer) < _MAX_ROLE and not final:
            return False
        role = _ROLE.match(self._buffer)
        if role is None and self._said:
            self._read = self._nothing
            return True
        if role is not None:
            self._drop(role.end())
        self._line = True
        self._trim = not self._said
        self._read = self._text
        return True

    def _triangle(self, buffer: str, final: bool) -> int:
        mark = _TRIANGLE.match(buffer)
        if mark is None:
            return _TEXT
        if not mark[3]:
            more = mark.end() == len(buffer) and "thinking".startswith(mark[2].lower())
            if more and final and mark[2]:
                self._drop(len(buffer))
                return 1
            return _HOLD if more and not final else _TEXT
        if mark[2].lower() not in ("think", "thinking"):
            return _TEXT
        self._drop(mark.end())
        if mark[1]:
            self._forget()
        else:
            self._begin_reasoning(_END_TRIANGLE)
        return 1

    def _bracket(self, buffer: str, final: bool) -> int:
        if buffer.startswith("[|"):
            return self._bar_bracket(buffer, final)
        mark = _BRACKET.match(buffer)
        assert mark is not None
        name = mark[2].lower()
        if not mark[3]:
            open_ended = mark.end() == len(buffer) and not final
            if buffer[mark.end() : mark.end() + 1] == "(" and mark[2] in self._tools and not self._fence:
                self._name = mark[2]
                self._begin_call(None)
                return 1
            ends = mark.end() == len(buffer) and final and len(name) > 2 and mark[2].isupper()
            if ends and any(each.startswith(name) for each in _BRACKETS):
                self._drop(len(buffer))  # the answer ends in the middle of it
                return 1
            names = (*_BRACKETS, *(tool for tool in self._tools if not mark[1]))
            return _HOLD if open_ended and any(each.startswith(name) for each in names) else _TEXT
        if name not in _BRACKETS or (name in ("inst", "args") and mark[2] != mark[2].upper()):
            return _TEXT
        if buffer[mark.end() : mark.end() + 1] == "(":
            return _TEXT  # a link of this name
        if name == "think" and mark.end() == len(buffer) and not final:
            return _HOLD  # it may be one
        literal = self._literal(mark.end(), bool(mark[1]), final)
        if literal != 1:
            if literal == _TEXT:
                self._say(mark.end())
                return 1
            return literal
        self._drop(mark.end())
        if name == "think":
            if mark[1]:
                self._forget()
            else:
                self._begin_reasoning(_END_BRACKET)
        elif name in ("tool_calls", "tool_call") and not mark[1]:
            self._begin_call(None)
        return 1

    def _bar_bracket(self, buffer: str, final: bool) -> int:
        mark = _BAR_BRACKET.match(buffer)
        assert mark is not None
        if not mark[3]:
            return _HOLD if mark.end() == len(buffer) and not final else _TEXT
        name = mark[1].lower()
        if name not in ("endofturn", "assistant", "user", "system"):
            return _TEXT
        literal = self._literal(mark.end(), False, final)
        if literal != 1:
            if literal == _TEXT:
                self._say(mark.end())
                return 1
            return literal
        self._drop(mark.end())
        if name != "assistant":
            self._turn_ends()
        return 1

    def _may_be_call(self, text: str, final: bool) -> bool | None:
        """Whether JSON that begins here may be a call; None for not known yet."""
        if self._candidates >= _MAX_JSON:
            return False
        begin = _JSON.match(text)
        assert begin is not None
        key = (begin[3] or "").lower()
        if begin[5]:
            return key in CALL_KEYS or begin[3] in self._tools
        if begin.end() < len(text) or final:
            return False
        return None if not key or any(each.startswith(key) for each in (*CALL_KEYS, *self._tools)) else False

    def _json(self, buffer: str, final: bool) -> int:
        if self._fence:
            return _TEXT
        may = self._may_be_call(buffer, final)
        if may is None:
            return _HOLD
        if may:
            self._before = ""
            self._begin_json()
            return 1
        return _TEXT

    # --- what is not for the visitor ---

    def _begin_reasoning(self, end: re.Pattern[str], again: re.Pattern[str] | None = None) -> None:
        self.opened = True
        self._end = end
        self._again = again
        self._counted = 0
        self._read = self._reasoning

    def _reasoning(self, final: bool) -> bool:
        assert self._end is not None
        end = self._end.search(self._buffer)
        if self._again is not None:
            stop = len(self._buffer) if end is None else end.start()
            begun = self._again.finditer(self._buffer, 0, stop)
            self._nested += sum(each.end() > self._counted for each in begun)
        if end is None:
            # Never shown, wherever it breaks off.
            self._buffer = "" if final else self._buffer[-_MAX_END:]
            self._counted = len(self._buffer)
            self._over = final
            return False
        self._drop(end.end())
        if self._nested:
            self.hold()  # the end of the inner one: what follows may still be reasoning
        elif not self._said:
            self._kept = None  # it marks its reasoning; what follows is the answer
        self._line = True
        self._trim = not self._said
        self._read = self._text
        return True

    def _header(self, final: bool) -> bool:
        """From `<|start|>` or `<|channel|>` to `<|message|>`: who says what follows, and to whom."""
        end = self._buffer.find("<|message|>")
        if end < 0:
            if final or len(self._buffer) > _MAX_HEADER:
                self._begin_reasoning(_END_MESSAGE)
                self._drop(len("<|channel|>"))
                return True
            return False
        header = self._buffer[:end]
        self._drop(end + len("<|message|>"))
        to = re.search(r"to=(?:functions\.)?([\w.:-]+)", header)
        if to is not None:
            self._name = to[1]
            self._begin_call(_END_MESSAGE)
        elif "final" in header:
            if self._said:
                self._forget()
            self._line = True
            self._trim = not self._said
            self._read = self._text
        else:
            self._begin_reasoning(_END_MESSAGE)
        return True

    def _begin_call(self, end: re.Pattern[str] | None) -> None:
        self._end = end
        self._body = []
        self._length = 0
        self._read = self._calling

    def _calling(self, final: bool) -> bool:
        end = self._end.search(self._buffer) if self._end is not None else None
        if end is None:
            keep = 0 if final else _MAX_END
            cut = max(0, len(self._buffer) - keep)
            self._gather(self._buffer[:cut])
            self._buffer = self._buffer[cut:]
            if final:
                self._called()
            return False
        self._gather(self._buffer[: end.start()])
        self._called()
        return False

    def _gather(self, text: str) -> None:
        if self._length < _MAX_CALL:
            self._body.append(text)
        self._length += len(text)

    def _called(self) -> None:
        try:
            self.call = called("".join(self._body)[:_MAX_CALL], self._tools, self._name)
        except NotCalled as error:
            self.refused = str(error)
        self._over = True

    def _begin_json(self) -> None:
        self._candidates += 1
        self._body = []
        self._length = self._depth = 0
        self._quoted = self._escaped = False
        self._read = self._json_value

    def _json_value(self, final: bool) -> bool:
        buffer = self._buffer
        at = 0
        while at < len(buffer):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            sign = _JSON_SIGN.search(buffer, at)
            if sign is None:
                at = len(buffer)
                break
            at = sign.end()
            if sign[0] == "\\":
                self._escaped = self._quoted
            elif sign[0] == '"':
                self._quoted = not self._quoted
            elif not self._quoted:
                self._depth += 1 if sign[0] in "{[" else -1
                if self._depth <= 0:
                    self._body.append(buffer[:at])
                    self._buffer = buffer[at:]
                    return self._value()
        self._body.append(buffer)
        self._length += len(buffer)
        self._buffer = ""
        if final or self._length > _MAX_CALL:
            text = "".join(self._body)
            if any(f'"{name}"' in text for name in self._tools):
                self.refused = f"a call that breaks off: {text}"
                self._over = True
                return False
            self._give_back(text)
            return True
        return False

    def _value(self) -> bool:
        """The JSON is whole: a call, or text after all."""
        text = "".join(self._body)
        try:
            call = of_json(text, self._tools)
        except NotCalled as error:
            self.refused = str(error)
            self._over = True
            return False
        if call is not None:
            self.call = call
            self._over = True
            return False
        self._give_back(text)
        return True

    def _give_back(self, text: str) -> None:
        """It was no call: the first character is text, and what follows may be anything."""
        self._read = self._text
        if self._before:
            fence = _FENCE.match(self._before.lstrip(" \t"))
            self._fence = fence[1] if fence is not None else ""
        head, self._before = self._before + text[0], ""
        self._buffer = head + text[1:] + self._buffer
        self._line = False
        self._say(len(head))


def _reserved_beginning(name: str) -> bool:
    begun = any(each.startswith(name) for each in ("special_", "unused", "reserved_"))
    return begun or _RESERVED_BEGINNING.fullmatch(name) is not None


@cache
def _closing(*names: str) -> re.Pattern[str]:
    any_name = "|".join(map(re.escape, names))
    return re.compile(rf"<[ \t]{{0,3}}/[ \t]{{0,3}}(?:{any_name})[ \t]{{0,3}}>", re.IGNORECASE)


@cache
def _opening(*names: str) -> re.Pattern[str]:
    return re.compile(rf"<[ \t]{{0,3}}(?:{'|'.join(map(re.escape, names))})[ \t]{{0,3}}>", re.IGNORECASE)
