"""The assistant's Markdown for clients that show HTML.

A model's words are a stranger's: HTML in them is shown as text, and what comes out is cleaned like a
flow's HTML. Images become links: a browser would fetch them by itself, and somebody who can make the
model write an address would learn who reads it, and what was said.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from services.proxy.domain import frames
from shared.contract.markdown import flanks, plain_markdown

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

#: Without a sign of Markdown, and without a second line, a text is what it says.
_PLAIN: Final = re.compile(r"[^\s\d+*_`~\[\]<>&\\#|!-][^*_`~\[\]<>&\\#|!\n\r]*")
#: Where a link may lead. A path alone would lead into the page that carries the chat button.
_LINKABLE: Final = re.compile(r"https?://|mailto:|tel:", re.IGNORECASE)
#: With more of them it is no answer that somebody wants to read, and would take long: it is shown as text.
_MAX_SIGNS: Final = 2000
_MAX_BRACKETS: Final = 200


@lru_cache(maxsize=512)
def markdown_as_html(text: str) -> str:
    """Clean HTML; a single paragraph is not wrapped in one."""
    if _PLAIN.fullmatch(text):
        return text
    if text.count("[") > _MAX_BRACKETS or sum(map(text.count, "*_`~<&|#>")) > _MAX_SIGNS:
        return frames.lines_as_html(plain_markdown(text))
    html = _parser().render(text).strip().replace("<br>\n", "<br>")
    if html.startswith("<p>") and html.endswith("</p>") and html.count("<p>") == 1:
        html = html[3:-4]
    return frames.clean(html)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # only who has an assistant needs it
    from markdown_it.rules_inline.state_inline import Delimiter

    def emphasis(state: StateInline, silent: bool) -> bool:
        """In place of the parser's own: see `shared.contract.markdown` for where it differs."""
        mark = state.src[state.pos]
        if silent or mark not in "*_":
            return False
        end = state.pos
        while end < state.posMax and state.src[end] == mark:
            end += 1
        length = end - state.pos
        before = state.src[state.pos - 1 : state.pos] if state.pos else ""
        after = state.src[end] if end < state.posMax else ""
        opens, closes = flanks(mark, length, before, after)
        for _ in range(length):
            token = state.push("text", "", 0)
            token.content = mark
            at = len(state.tokens) - 1
            state.delimiters.append(Delimiter(ord(mark), length, at, -1, opens, closes))
        state.pos = end
        return True

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "xhtmlOut": False})
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # `_links` looks, and keeps the words
    parser.enable(["strikethrough", "table"]).disable(["reference", "code", "html_block", "html_inline"])
    parser.inline.ruler.at("emphasis", emphasis)
    parser.inline.ruler2.before("fragments_join", "unfinished", _unfinished)
    parser.core.ruler.push("links", _links)
    return parser


def _links(state: StateCore) -> None:
    """Images become links, and a link that leads nowhere safe becomes its words."""
    for block in state.tokens:
        shown: list[Token] = []
        linked = False  # in a link that stays; there are none within another
        for token in block.children or ():
            if token.type == "link_open":
                linked = _LINKABLE.match(str(token.attrGet("href") or "")) is not None
            if token.type == "image":
                shown += _image(token, linked)
            elif linked or token.type not in ("link_open", "link_close"):
                shown.append(token)
            if token.type == "link_close":
                linked = False
        if block.children:
            block.children = shown


def _image(image: Token, linked: bool) -> list[Token]:
    from markdown_it.token import Token

    source = str(image.attrGet("src") or "")
    leads = _LINKABLE.match(source) is not None
    text = Token("text", "", 0, content=plain_markdown(image.content) or (source if leads else ""))
    if linked or not leads:
        return [text]
    return [Token("link_open", "a", 1, attrs={"href": source}), text, Token("link_close", "a", -1)]


def _unfinished(state: StateInline) -> None:
    """An answer that was cut may end in the middle of bold text: its signs go."""
    every = [state.delimiters]
    every += [meta["delimiters"] for meta in state.tokens_meta if meta and "delimiters" in meta]
    for delimiters in every:
        for first, second in pairwise(delimiters):
            signs = (state.tokens[first.token], state.tokens[second.token])
            twins = first.marker == second.marker == ord("*") and second.token == first.token + 1
            opens = first.length == second.length == 2 and first.open and not first.close
            if twins and opens and all(sign.type == "text" for sign in signs):
                for sign in signs:
                    sign.content = ""
