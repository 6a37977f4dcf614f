"""Plain text out of the HTML that flows may contain: for the desk, the assistant and text-only doors.

A visitor's words come by here too, so it takes time in proportion to their length: one pass over the text,
in which a search that finds nothing ends it. Tree builders do not (html5ever, behind nh3, takes the square
of the nesting), and neither does `html.parser` before Python 3.14. What counts as a tag is what the
tokenizer of browsers takes for one (WHATWG HTML, section 13.2.5).
"""

from __future__ import annotations

import functools
import html as references
import re
from typing import Final

_BREAKS: Final = frozenset({"br", "p", "div", "li", "ul", "ol", "tr", "h1", "h2", "h3", "h4", "h5", "h6"})
#: Between their tags no tag counts but their own end.
_RAW: Final = frozenset({"script", "style"})

_SPACES: Final = re.compile(r"[ \t\n\r\f]*")
_BETWEEN: Final = re.compile(r"[ \t\n\r\f/]*")
_NAME: Final = re.compile(r"[^ \t\n\r\f/>]*")
_ATTRIBUTE: Final = re.compile(r"=?[^ \t\n\r\f/>=]*")
_UNQUOTED: Final = re.compile(r"[^ \t\n\r\f>]*")
_EMPTY_COMMENT: Final = re.compile(r"-?>")
_COMMENT_END: Final = re.compile(r"--!?>")
_RAW_END: Final = {name: re.compile(rf"</{name}(?=[ \t\n\r\f/>])", re.IGNORECASE) for name in _RAW}

#: A number with its leading zeros. `html.unescape` raises for one of thousands of digits.
_NUMBER: Final = re.compile(r"&#0*([0-9]+)")
_MAX_DIGITS: Final = 7
#: In an attribute only what ends with a semicolon is a reference: ``?a=1&copy=2`` is none.
_REFERENCE: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{0,31});")

#: Addresses that mean something outside a browser's page.
_ADDRESS: Final = re.compile(r"(https?://|mailto:|tel:)[^ ]", re.IGNORECASE)
_UNSEEN_IN_ADDRESSES: Final = str.maketrans("", "", "\t\n\r")


@functools.lru_cache(maxsize=256)  # a flow's texts are said again and again
def plain(html: str, addresses: bool = False) -> str:
    """The text that a reader of ``html`` sees, tags stripped, at most one empty line in a row.

    Images become their alternative text. With ``addresses`` a link is followed by where it leads, ``return
    form (https://example.com/returns)``, unless its text says so already. Without them it is its text alone,
    for comparing with what somebody wrote.
    """
    if "<" not in html and "&" not in html:
        return html
    lines = (re.sub(r"[ \t\r\f\v]+", " ", line).strip() for line in _Text(html, addresses).read().split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Text:
    """One pass over ``html``. Each method that moves on does so for good."""

    def __init__(self, html: str, addresses: bool) -> None:
        self._html = html
        self._at = 0
        self._addresses = addresses
        self._parts: list[str] = []
        self._templates = 0  # what is in one is not shown
        self._link = ""  # the address of the link that is open
        self._link_begins = 0  # the first of its parts

    def read(self) -> str:
        html, end = self._html, len(self._html)
        while self._at < end:
            tag = html.find("<", self._at)
            self._say(references.unescape(_NUMBER.sub(_number, html[self._at : tag if tag >= 0 else end])))
            if tag < 0:
                break
            self._at = tag + 1
            self._markup()
        self._end_link()
        return "".join(self._parts)

    def _markup(self) -> None:
        """What begins with the ``<`` before this place; one that begins nothing is text."""
        html, at = self._html, self._at
        sign = html[at : at + 1]
        if sign.isascii() and sign.isalpha():
            self._tag(closes=False)
        elif sign == "/" and html[at + 1 : at + 2].isascii() and html[at + 1 : at + 2].isalpha():
            self._at = at + 1
            self._tag(closes=True)
        elif html.startswith("!--", at):
            found = _EMPTY_COMMENT.match(html, at + 3) or _COMMENT_END.search(html, at + 3)
            self._at = found.end() if found else len(html)
        elif sign in ("!", "?") or (sign == "/" and at + 1 < len(html)):
            self._skip_past(">", at)
        else:
            self._say("<")

    def _tag(self, closes: bool) -> None:
        named = _NAME.match(self._html, self._at)
        assert named is not None  # it also matches nothing
        name = named[0].lower()
        self._at = named.end()
        given = self._attributes({"a": "href", "img": "alt"}.get(name, ""))
        if given is None:  # it never ends: browsers show nothing of it, and nothing follows
            return
        if name in _BREAKS:
            self._say("" if closes and name == "br" else "\n")
        elif name == "template":
            self._templates = max(0, self._templates + (-1 if closes else 1))
        elif name == "a":
            self._end_link()
            if not closes and self._addresses and not self._templates:
                self._link, self._link_begins = _address(given), len(self._parts)
        elif name == "img":
            self._say("" if closes else given)
        elif name in _RAW and not closes:
            found = _RAW_END[name].search(self._html, self._at)
            self._at = found.end() if found else len(self._html)
            self._skip_past(">", self._at)

    def _attributes(self, wanted: str) -> str | None:
        """Past the rest of a tag: the wanted attribute's value, "" for none; None if the tag never ends."""
        html, value = self._html, None
        while True:
            at = _end(_BETWEEN, html, self._at)
            if at >= len(html):
                self._at = at
                return None
            if html[at] == ">":
                self._at = at + 1
                return _unescaped(value or "")
            end = _end(_ATTRIBUTE, html, at)
            name, at = html[at:end], _end(_SPACES, html, end)
            given = ""
            if html.startswith("=", at):
                at = _end(_SPACES, html, at + 1)
                quote = html[at : at + 1]
                if quote in ('"', "'"):
                    end = html.find(quote, at + 1)
                    if end < 0:
                        self._at = len(html)
                        return None
                    given, at = html[at + 1 : end], end + 1
                else:
                    end = _end(_UNQUOTED, html, at)
                    given, at = html[at:end], end
            if wanted and value is None and name.lower() == wanted:  # of two the first counts
                value = given
            self._at = at

    def _skip_past(self, sign: str, at: int) -> None:
        found = self._html.find(sign, at)
        self._at = found + 1 if found >= 0 else len(self._html)

    def _say(self, text: str) -> None:
        if text and not self._templates:
            self._parts.append(text)

    def _end_link(self) -> None:
        """Write the address behind the words of the link, before the line ends that close them."""
        if self._link:
            shown = "".join(self._parts[self._link_begins :])
            words = shown.rstrip()
            if not words:
                self._parts.append(self._link)
            elif not _says(words, self._link):
                self._parts[self._link_begins :] = [words, f" ({self._link})", shown[len(words) :]]
        self._link = ""


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where the characters from ``at`` on end that the pattern, which also matches nothing, is of."""
    found = pattern.match(text, at)
    return found.end() if found else at


def _number(found: re.Match[str]) -> str:
    digits = found[1]
    return f"&#{digits}" if len(digits) <= _MAX_DIGITS else "&#1114112"  # beyond all characters: U+FFFD


def _unescaped(value: str) -> str:
    return _REFERENCE.sub(lambda found: references.unescape(found[0]), value) if "&" in value else value


def _address(href: str) -> str:
    """As a person would write it down; "" for what leads nowhere without the page, or runs a script."""
    address = href.translate(_UNSEEN_IN_ADDRESSES).strip()
    found = _ADDRESS.match(address)
    if found is None:
        return ""
    scheme = found[1].lower()
    if scheme == "mailto:":
        return address[len(scheme) :].partition("?")[0]
    return address[len(scheme) :] if scheme == "tel:" else address.replace(" ", "%20")


def _says(words: str, address: str) -> bool:
    """Whether a link's words are its address."""
    return _bare(words) == _bare(address)


def _bare(address: str) -> str:
    """Without what people leave out: the scheme, the last slash, and what groups a phone number's digits."""
    bare = "".join(address.split()).casefold().removeprefix("https://").removeprefix("http://")
    bare = bare.removeprefix("mailto:").removeprefix("tel:").rstrip("/")
    digits = bare.translate({ord(sign): None for sign in "-()./"})
    return digits if digits.lstrip("+").isdecimal() else bare
