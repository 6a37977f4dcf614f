"""Plain text out of the Markdown that assistants write, also while it comes.

Pure. `PlainMarkdown` takes the text in pieces; what it gives together is the same however the text was
cut, so what a text-only door streams is what it shows later. A sign that may yet mean something is held
back until that is decided, for some hundred characters at most: so it takes linear time and little room.

It knows what models write: emphasis, strikethrough, code, links, images, lists, headings, quotes, rules,
tables. In three things it differs from CommonMark, for the reader's sake: `5*3*2` is arithmetic, `**`
works between characters of scripts without spaces, and one that never ends vanishes all the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from itertools import islice
from typing import Final

#: For so many characters a sign waits for its partner, and a link for its end.
_WINDOW: Final = 500
_MAX_LINK: Final = 2500
#: A line of signs alone is no longer than this, or it is text.
_MAX_RULE: Final = 200
#: A line that begins or ends a block of code is no longer than this, or it is text.
_MAX_FENCE: Final = 200
#: For emphasis so many signs are looked at that might end it.
_MAX_ENDS: Final = 20
#: A longer run of one sign is looked at in parts.
_MAX_RUN: Final = 100
_STEP: Final = 1024

_SIGNS_ONLY: Final = re.compile(r"[-:|*_=+#>`~ \t]*")
_QUOTE: Final = re.compile(r"(?:[ \t]{0,3}>[ \t]?){1,100}")
_HEADING: Final = re.compile(r"[ \t]{0,3}#{1,6}(?:[ \t]+|(?=\n)|\Z)")
_RULE: Final = re.compile(r"[ \t]{0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})(?=\n|\Z)")
_UNDERLINE: Final = re.compile(r"[ \t]{0,3}={3,}[ \t]*(?:\n|\Z)")
_TABLE: Final = re.compile(r"[ \t]{0,3}(?=[^\n]*-)(?=[^\n]*\|)[-:| \t]+(?:\n|\Z)")
_BULLET: Final = re.compile(r"([ \t]*)[*+-](?=[ \t\n]|\Z)")
_FENCE: Final = re.compile(r"[ \t]*(`{3,}|~{3,})([^\n]*)(\n?)")

_SIGN: Final = re.compile(r"[`*_~\\\[!<&\n]")
_ENDS: Final = {mark: re.compile(rf"(?<=[^\s\\{mark}])[{mark}]+") for mark in "*_~"}
_TEXT: Final = re.compile(r"!?\[((?:[^\[\]\\\n]|\\.|!?\[[^\[\]\n]{0,200}\]){0,400})\]")
_LINK: Final = re.compile(
    r"\(\s{0,20}(<[^<>\n]{0,2000}>|[^\s()<>]{0,2000}(?:\([^\s()<>]{0,500}\)[^\s()<>]{0,500}){0,4})"
    r"(?:\s{1,20}(?:\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'))?\s{0,20}\)"
)
_AUTOLINK: Final = re.compile(
    r"<((?:https?://|mailto:|tel:)[^\s<>]{1,2000}|[^\s<>@]{1,100}@[^\s<>@]{1,200})>"
)
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel"})
_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
#: Scripts that write no spaces: there a sign stands between two letters as a matter of course.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff]"
)


@lru_cache(maxsize=512)
def plain_markdown(text: str) -> str:
    """What a reader sees of this Markdown, as plain text."""
    plain = PlainMarkdown()
    return plain.take(text) + plain.end()


class PlainMarkdown:
    """One text while it comes."""

    def __init__(self, inside: bool = False) -> None:
        """``inside``: the text stands within a line."""
        self._buffer = ""
        self._half = ""
        self._out: list[str] = []
        self._line = not inside
        self._before = ""  # the character before the buffer
        self._fence = ""
        self._code = False  # in a line of a fenced block
        self._open: dict[str, int] = {}  # emphasis that was opened in this paragraph
        self._final = False

    def take(self, text: str) -> str:
        """What is certain now that ``text`` has come."""
        # In steps: what is taken off the buffer's beginning costs as much as the buffer is long.
        return "".join(self._take(text[at : at + _STEP]) for at in range(0, len(text), _STEP))

    def _take(self, text: str) -> str:
        text = self._half + text
        self._half = "\r" if text.endswith("\r") else ""  # perhaps half of a line's end
        text = text.removesuffix("\r")
        self._buffer += text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
        return self._run()

    def end(self) -> str:
        """What is certain now that nothing more comes."""
        self._final = True
        self._buffer += "\n" if self._half else ""
        return self._run()

    def _run(self) -> str:
        while self._buffer and (self._at_line() if self._line else self._inside()):
            pass
        given = "".join(self._out)
        self._out.clear()
        return given

    def _give(self, count: int, text: str | None = None) -> bool:
        """Take so many characters, and give them, or ``text`` instead of them."""
        if count:
            taken = self._buffer[:count]
            self._buffer = self._buffer[count:]
            self._before = taken[-1]
            self._out.append(taken if text is None else text)
        return True

    # --- lines ---

    def _at_line(self) -> bool:
        buffer = self._buffer
        signs = _SIGNS_ONLY.match(buffer)
        assert signs is not None
        if signs.end() == len(buffer) < _MAX_RULE and not self._final:
            return False
        if buffer[0] == "\n":
            self._open.clear()  # a paragraph ends
            return self._give(1)
        fence = _FENCE.match(buffer)
        if fence is not None and "`" not in fence[2] and fence.end() - len(fence[3]) <= _MAX_FENCE:
            whole = fence[3] or self._final
            if self._fence:
                if fence[1].startswith(self._fence) and not fence[2].strip():
                    if not whole:
                        return False
                    self._fence = ""
                    return self._give(fence.end(), "")
            elif not whole:
                return False
            elif fence[3] or self._final:
                self._fence = fence[1]
                self._open.clear()
                return self._give(fence.end(), "")
        if self._fence:
            self._line = False
            self._code = True
            return True
        return self._block()

    def _block(self) -> bool:
        """A line outside of code; signs at its beginning are whole."""
        buffer = self._buffer
        if (quote := _QUOTE.match(buffer)) is not None:
            return self._give(quote.end(), "")
        if (line := _UNDERLINE.match(buffer) or _TABLE.match(buffer)) is not None:
            return self._give(line.end(), "")
        if (rule := _RULE.match(buffer)) is not None:
            self._line = False
            return self._give(rule.end(), "---")
        if (heading := _HEADING.match(buffer)) is not None:
            self._line = False
            return self._give(heading.end(), "")
        if (bullet := _BULLET.match(buffer)) is not None:
            self._line = False
            return self._give(bullet.end(), f"{bullet[1]}-")
        self._line = False
        return True

    # --- within a line ---

    def _inside(self) -> bool:
        buffer = self._buffer
        if self._code:
            end = buffer.find("\n") + 1
            if end:
                self._code, self._line = False, True
            return self._give(end or len(buffer))
        sign = _SIGN.search(buffer)
        if sign is None:
            return self._give(len(buffer))
        if sign.start():
            return self._give(sign.start())
        match sign[0]:
            case "\n":
                self._line = True
                return self._give(1)
            case "\\":
                return self._escape()
            case "`":
                return self._code_span()
            case "[" | "!":
                return self._link()
            case "<":
                return self._autolink()
            case "&":
                return self._entity()
            case mark:
                return self._emphasis(mark)

    def _escape(self) -> bool:
        after = self._buffer[1:2]
        if not after and not self._final:
            return False
        if after in _PUNCTUATION:
            return self._give(2, after)
        return self._give(1, "" if after == "\n" else None)

    def _window(self, start: int) -> tuple[str, bool]:
        """The paragraph from ``start`` on, as far as it is looked at, and whether that is all of it."""
        text = self._buffer[start : start + _WINDOW]
        end = text.find("\n\n")
        return (text, self._final or len(text) == _WINDOW) if end < 0 else (text[:end], True)

    def _code_span(self) -> bool:
        length = _run_length(self._buffer, "`")
        if length == len(self._buffer) < _MAX_RUN and not self._final:
            return False
        text, whole = self._window(length)
        for end in re.finditer("`+", text):
            if end.end() == len(text) and not whole:
                return False
            if len(end[0]) == length:
                code = text[: end.start()]
                if code.strip() and code[0] == code[-1] == " ":
                    code = code[1:-1]
                return self._give(length + end.end(), code)
        return self._give(length) if whole else False

    def _emphasis(self, mark: str) -> bool:
        length = _run_length(self._buffer, mark)
        if length == len(self._buffer) < _MAX_RUN and not self._final:
            return False
        if length > 3 or (mark == "~" and length != 2):
            return self._give(length)
        before, after = self._before, self._buffer[length : length + 1]
        opens, closes = flanks(mark, length, before, after)
        kinds = {1: ("em",), 2: ("strong",), 3: ("strong", "em")}[length]
        open_now = [kind for kind in kinds if self._open.get(mark + kind)]
        if closes and open_now:
            for kind in open_now:
                self._open[mark + kind] -= 1
            return self._give(length, "")
        if not opens:
            return self._give(length)
        if mark != "*" or length == 1 or _wordlike(before):
            found = self._closing(mark, length)
            if found is None:
                return False
            if not found:
                return self._give(length)
        for kind in kinds:
            self._open[mark + kind] = self._open.get(mark + kind, 0) + 1
        return self._give(length, "")

    def _closing(self, mark: str, length: int) -> bool | None:
        """Whether the paragraph has an end for emphasis that begins here; None for not known yet."""
        text, whole = self._window(length)
        for run in islice(_ENDS[mark].finditer(text), _MAX_ENDS):
            if run.end() == len(text) and not whole:
                return None
            before, after = text[: run.start()][-1:], text[run.end() : run.end() + 1]
            fits = len(run[0]) == length or len(run[0]) == 3 or length == 3
            if fits and flanks(mark, len(run[0]), before, after)[1]:
                return True
        return False if whole else None

    def _link(self) -> bool:
        buffer = self._buffer
        image = buffer[0] == "!"
        if image and len(buffer) == 1 and not self._final:
            return False
        if image and buffer[1:2] != "[":
            return self._give(1)
        text = _TEXT.match(buffer)
        line = buffer.find("\n") >= 0
        if text is None:
            return self._give(1) if line or self._final or len(buffer) > _WINDOW else False
        if text.end() == len(buffer) and not self._final:
            return False
        link = _LINK.match(buffer, text.end())
        if link is None:
            waits = buffer[text.end() : text.end() + 1] == "(" and not line and not self._final
            return False if waits and len(buffer) < _MAX_LINK else self._give(1)
        inner = PlainMarkdown(inside=True)
        words = (inner.take(text[1]) + inner.end()).strip()
        return self._give(link.end(), words if image else _linked(words, link[1]))

    def _autolink(self) -> bool:
        link = _AUTOLINK.match(self._buffer)
        if link is not None:
            return self._give(link.end(), _address(link[1]))
        more = re.match(r"<[^\s<>]{0,200}\Z", self._buffer)
        return False if more is not None and not self._final else self._give(1)

    def _entity(self) -> bool:
        entity = _ENTITY.match(self._buffer)
        if entity is not None:
            return self._give(entity.end(), unescape(entity[0]))
        more = re.match(r"&[#A-Za-z0-9]{0,32}\Z", self._buffer)
        return False if more is not None and not self._final else self._give(1)


def _run_length(text: str, sign: str) -> int:
    text = text[:_MAX_RUN]
    return len(text) - len(text.lstrip(sign))


def _wordlike(sign: str) -> bool:
    """Whether it is a letter or a digit of a script that writes spaces between words."""
    return bool(sign) and sign.isalnum() and not _UNSPACED.match(sign)


def flanks(mark: str, length: int, before: str, after: str) -> tuple[bool, bool]:
    """Whether a run of signs between these characters may open emphasis, and whether it may close it."""
    opens = bool(after) and not after.isspace()
    closes = bool(before) and not before.isspace()
    if mark == "_":
        return opens and not (before.isalnum() or before == "_"), closes and not after.isalnum()
    if opens and closes:
        if length == 1 and _wordlike(before) and _wordlike(after):
            return False, False
        if before.isdigit() and after.isdigit():
            return False, False
    return opens, closes


def _linked(words: str, target: str) -> str:
    """A link in words: its text and its address, once if they are the same."""
    target = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", unescape(target.strip("<>")))
    scheme = _SCHEME.match(target)
    if not target or target.startswith("#") or (scheme is not None and scheme[1].lower() not in _SCHEMES):
        return words
    address = _address(target)
    if not words or words.rstrip("/") in (target.rstrip("/"), address.rstrip("/"), _bare(address)):
        return address
    return f"{words} ({address})"


def _address(target: str) -> str:
    """As a reader needs it: nobody reads mailto."""
    return re.sub(r"^(?:mailto|tel):", "", target, flags=re.IGNORECASE)


def _bare(address: str) -> str:
    return re.sub(r"^https?://(?:www\.)?", "", address).rstrip("/")
