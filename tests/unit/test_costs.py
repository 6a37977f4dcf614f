"""What runs over what strangers write takes time in proportion to its length, whatever they write.

Each function of the table `READERS` is given each of the texts of `HOSTILE` at one length and at four times
that: four times the text may cost ten times the time, not sixteen. A new function that reads what strangers
write gets a line in the table.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import count
from time import thread_time
from typing import Any, Final

import pytest
from msgspec.structs import replace

from services.operator.domain.transcript import transcript
from services.proxy.domain import agent_session, packets, sse_events
from services.proxy.domain.addresses import counted, last_hop
from services.proxy.domain.connect_params import flow_name, languages
from services.proxy.domain.flow_ids import flow_ids
from services.proxy.domain.frames import as_html, lines_as_html
from services.proxy.domain.markdown_html import markdown_as_html
from services.proxy.domain.origins import allowed, is_loopback
from services.proxy.domain.plain_text import lines
from services.proxy.domain.rendering import BARE, MODERN
from services.proxy.domain.session import BEGIN, ClientSession
from services.proxy.domain.socketio_chat import Chat, session_id
from services.proxy.domain.tokens import BadToken, Tokens
from services.proxy.domain.turns import Turns
from services.proxy.transports.websocket import _asked, _secret
from services.workflow.domain.agents.emoji import contains_emoji
from services.workflow.domain.assistant import PromptLine, conversation
from shared.contract import cursor as cursors
from shared.contract import entry as codec
from shared.contract.agents import CONFIGURATIONS, MatchConfiguration
from shared.contract.conversation import Conversation, Input
from shared.contract.facts import (
    AssistantSaid,
    BotSaid,
    Choice,
    ChoiceAsked,
    ChoiceMade,
    EditorOpened,
    FlowAdvanced,
    OperatorSaid,
    TextWritten,
)
from shared.contract.html_text import plain
from shared.contract.markdown import plain_markdown
from shared.contract.visible import cleaned, cleaned_json
from shared.flow.decide import Moment, respond
from shared.flow.language import days, numbers
from shared.flow.language.choices import Option, meant
from shared.flow.language.comparison import comparable
from shared.flow.language.emails import email
from shared.flow.language.flow import Flow
from shared.flow.language.phones import phone
from shared.service.neighbours import is_own_page
from tests import examples
from tests.dialogue import asks, flow_of, got, offers, picked, says
from tests.examples import Story
from tests.unit.test_tokens import Settings

#: The two lengths (characters): the longer one is what a visitor may write at once.
SHORT: Final = 4 * 1024
LONG: Final = 4 * SHORT
#: What is too quick to be told apart from the machine's own moods (seconds).
FLOOR: Final = 100e-6
#: How many times as much four times the text may cost. A square would be 16.
MAX_LENGTH: Final = 10
TRIES: Final = 12
#: How often it must have done so to be believed: others may use the machine too.
AGAIN: Final = 4

Reader = Callable[[str], Any]

#: Repeated to the wanted length. A pair is put before what is repeated.
HOSTILE: Final[dict[str, str | tuple[str, str]]] = {
    **{
        unit: unit
        for unit in ("<a ", "<a='", '<a"', "<", "</", "<b>", "<div>", "<div><p>", "<!--", "<![CDATA[")
    },
    **{
        unit: unit
        for unit in ("<a href=https://x>", "<a href='", '<img alt="', "<script>", "<template>", "<?")
    },
    **{unit: unit for unit in ("&", "&amp", "&#9", "&#x", "&#0", ";", "'", '"', "\\", '\\"')},
    **{
        unit: unit
        for unit in ("a", "9", "0", ".", ",", "-", "+", "=", "/", ":", "%", "@", "_", "*", "`", "|")
    },
    **{
        unit: unit
        for unit in ("[", "]", "{", '{"a":', "(", "((", "[]", ">", "> ", "#", "![](", "a.", "a@", "a-")
    },
    **{
        unit: unit
        for unit in ("1,", "1.", "1/", "1 ", "1:", "a=b; ", "a;q=1,", "de-", "de,", "::", "0x", "1e")
    },
    "spaces": " ",
    "lines": "\n",
    "CR": "\r",
    "spaces and lines": " \n",
    "words": "word ",
    "no-break spaces": "\u00a0",
    "combining marks": "e\u0301",
    "marks alone": "\u0301",
    "Devanagari": "नहीं ",
    "Thai": "ไม่ใช่",
    "Chinese": "我要退款",
    "full width": "ＪＡ１，",
    "Turkish": "İ",
    "sharp s": "ß",
    "expands": "\ufdfa",
    "zero width": "\u200b",
    "bidi": "\u202e\u2066",
    "emoji joined": "👩\u200d",
    "emoji modified": "👍🏽",
    "variation": "©\ufe0f",
    "flags": "🇩",
    "keycaps": "1\ufe0f\u20e3",
    "packets": "\x1e42[",
    "controls": "\x00\x1b",
    "an unfinished tag": ("<a ", "b='"),
    "an unfinished comment": ("<!--", "-"),
    "an unfinished script": ("<script>", "</script"),
    "a long number": ("&#", "9"),
    "a long word in an address": ("a@", "b."),
    "a deep list": ("42", "["),
    "a deep object": ("40", '{"a":'),
    "a header": ("de;q=", "0.1;q="),
}


def written(name: str, length: int) -> str:
    given = HOSTILE[name]
    first, unit = given if isinstance(given, tuple) else ("", given)
    return (first + unit * (length // len(unit) + 1))[:length]


# --- the readers --------------------------------------------------------------------------------

FLOW: Final = flow_of(
    pick=offers("lang", "rust", 2),
    rust=picked("lang", "rust", "words"),
    other=picked("lang", 2, "words"),
    words=asks("words"),
    yes=got("words", "mail", words=["yes", "हाँ", "是的"]),
    pattern=got("words", "mail", pattern="(a|b)+(?P<rest>[a-z ]*)c$"),
    mail=asks("mail"),
    mailed=got("mail", "number", save={"as": "mail", "kind": "email"}),
    number=asks("number"),
    numbered=got("number", "phone", save={"as": "number", "kind": "number"}),
    phone=asks("phone"),
    phoned=got("phone", "date", save={"as": "phone", "kind": "phone"}),
    date=asks("date"),
    dated=got("date", "name", save={"as": "date", "kind": "date"}),
    name=asks("name"),
    named=got("name", "bye", save="name"),
    bye=says("Thanks, {name}"),
    settings={"fallback": {"say": "Pardon?"}},
)


def standing(flow: Flow, place: str) -> Conversation:
    """A conversation that waits for an answer at this state, in a language with rules of its own."""
    story = Story()
    story.visitor(replace(examples.CONVERSATION_STARTED, language="tr"))
    story.bot(
        replace(examples.FLOW_STARTED, flow=flow.name, version=flow.version),
        FlowAdvanced(path=(place,)),
        cause=1,
    )
    return story.state


def answered(place: str) -> Reader:
    """The workflow decides about the text at this state."""
    state, moment = standing(FLOW, place), Moment(examples.FIRST_TIME)
    session = "" if place == "pick" else place

    def read(text: str) -> Any:
        return respond(state, Input(3, "3", TextWritten(session=session, text=text)), FLOW, moment)

    return read


def frame(**fields: Any) -> Callable[[str], str]:
    """A frame whose field ``...`` is the text."""
    return lambda text: json.dumps({key: text if value is ... else value for key, value in fields.items()})


def received(make: Callable[[str], str]) -> Reader:
    """A frame comes in."""
    numbers = count()

    def read(text: str) -> Any:
        session = ClientSession("e", True)
        return session.receive(make(text), lambda: str(next(numbers)))

    return read


def rendered(table: Any, make: Callable[[str], Any]) -> Reader:
    def read(text: str) -> Any:
        fact = make(text)
        return table[type(fact)]({}, fact, {})

    return read


def in_chat(text: str) -> Any:
    return Chat("s", "e", BEGIN).receive("user_message", {"message": text}, lambda: "id")


def engaged(text: str) -> Any:
    auth = {"agent": {"name": text, "id": text}, "user": {"id": text, "name": text}, "token": text}
    try:
        return agent_session.engage(auth, agent_session.offers("", CONFIGURATIONS), CONFIGURATIONS)
    except agent_session.EngagementRefused as refused:
        return str(refused)


def greeted(text: str) -> Any:
    auth = {"agent": {"name": "emoji"}, "user": {"id": 1, "name": text, "username": " " + text}}
    return agent_session.engage(auth, agent_session.offers("", CONFIGURATIONS), CONFIGURATIONS)


def configured(text: str) -> Any:
    auth = {
        "agent": {"name": "match", "configuration": {"pattern": text, "words": [text]}},
        "user": {"id": 1},
    }
    try:
        return agent_session.engage(auth, agent_session.offers("", CONFIGURATIONS), CONFIGURATIONS)
    except agent_session.EngagementRefused as refused:
        return str(refused)


@cache
def tokens() -> Tokens:
    return Tokens(Settings(jwt_secret="x" * 32), lambda: 0.0)


def token(text: str) -> Any:
    try:
        return tokens().subject(text)
    except BadToken as error:
        return str(error)


def told(text: str) -> Any:
    """The stream of a REST session's answer."""
    turns = Turns()
    for entry in talk(text):
        turns.add(entry)
    return sse_events.encode(sse_events.tell(turns, sse_events.newest(turns), "s")[0], "e")


def talk(text: str) -> list[codec.RecordedEntry]:
    """Everybody says it once."""
    story = Story()
    story.visitor(examples.CONVERSATION_STARTED)
    story.bot(BotSaid(text=text), EditorOpened(session="s", prompt=text), cause=1)
    story.visitor(TextWritten(session="s", text=text))
    story.bot(AssistantSaid(text=text), asked(text), cause=3)
    story.visitor(ChoiceMade(group="g", item="i", text=text))
    story.operator(examples.CONVERSATION_CLAIMED)
    story.operator(OperatorSaid(operator=examples.CONVERSATION_CLAIMED.operator, text=text))
    return story.entries


def asked(text: str) -> ChoiceAsked:
    return ChoiceAsked(group="g", question=text, choices=(Choice(item="i", text=text),))


def greedy(text: str) -> Any:
    return conversation(
        "", [PromptLine("bot", text), PromptLine("visitor", text), PromptLine("assistant", text)], 10**6
    )


OPTIONS: Final = (Option("1", "Yes, please"), Option("2", "¿Dónde está?"), Option("3", "4"))

WORDS: Final = MatchConfiguration(words=("help", "grüße an"), pattern="(a|b)*c|<[^>]*>$|( ?x)+y")

READERS: Final[dict[str, Reader]] = {
    # rendering
    "plain": plain.__wrapped__,
    "plain with addresses": lambda text: plain.__wrapped__(text, True),
    "plain lines": lambda text: lines(BotSaid(text=text)),
    "numbered lines": lambda text: lines(asked(text)),
    "text as HTML": as_html,
    "lines as HTML": lines_as_html,
    "a text, bare": rendered(BARE, lambda text: TextWritten(session="s", text=text)),
    "a choice, bare": rendered(BARE, lambda text: ChoiceMade(group="g", item="i", text=text)),
    "a choice, modern": rendered(MODERN, lambda text: ChoiceMade(group="g", item=text, text=text)),
    "an assistant's text": rendered(BARE, lambda text: AssistantSaid(text=text)),
    "the operator's transcript": lambda text: transcript(talk(text)),
    "the assistant's prompt": greedy,
    "a stream's events": told,
    # frames and packets
    "a frame": received(lambda text: text),
    "a text frame": received(frame(kind="UserText", sessionId="s", content=...)),
    "a session id": received(frame(kind="UserText", sessionId=..., content="x")),
    "a choice frame": received(frame(kind="ChoiceResponse", groupId=..., itemId=..., content=...)),
    "a rating": received(frame(kind="Rate", score=5, comment=...)),
    "a frame's id": received(frame(kind="Rate", score=5, id=...)),
    "a packet": packets.problem,
    "an event": lambda text: packets.problem("42" + text),
    "a namespace": lambda text: packets.problem("42/" + text + ",[]"),
    "a number": lambda text: packets.problem("42" + text + '["x"]'),
    "an auth": lambda text: packets.problem('40{"a":' + json.dumps(text) + "}"),
    "a chat message": in_chat,
    "a chat's session": session_id,
    "an entry": lambda text: codec.decode(1, "c", "visitor", 1, text.encode("utf-8", "replace")),
    "a bot's entry": lambda text: codec.decode(1, "c", "bot", 1, b'{"id":"1","facts":[' + text.encode()),
    "a flow's ids": lambda text: flow_ids(text.encode()),
    # handshakes, headers, cookies, cursors
    "a handshake": engaged,
    "a user's name": greeted,
    "an agent's configuration": configured,
    "a token": token,
    "a cookie": lambda text: _secret(text, "switchboard"),
    "an origin": lambda text: allowed(text, "chat.example", ("https://shop.example", "loopback")),
    "a host": lambda text: allowed("https://shop.example", text, ()),
    "a loopback host": is_loopback,
    "a console's origin": lambda text: is_own_page({b"origin": text.encode(), b"host": b"x"}),
    "an address": lambda text: counted(last_hop(text)),
    "languages": lambda text: languages(text, text),
    "a flow's name": flow_name,
    "a cursor": cursors.decode,
    "a Last-Event-ID": lambda text: sse_events.place_of(text, "e", Turns()),
    # understanding
    "an emoji": contains_emoji,
    "an agent's words": WORDS.found_in,
    **{
        f"an answer at {place}": answered(place)
        for place in ("pick", "words", "mail", "number", "phone", "date")
    },
    "an answer at name": answered("name"),
    **{
        f"a {kind} in {language}": partial(understand, language)
        for kind, understand in (
            ("number", lambda language, text: numbers.readings(text, ("kg", "€"), (language,))),
            ("date", lambda language, text: days.readings(text, (language,))),
            ("phone", lambda language, text: phone(text, "DE", (language,))),
            ("choice", lambda language, text: meant(OPTIONS, text, language)),
            ("comparison", lambda language, text: comparable(text, language)),
        )
        for language in ("en", "de", "th", "ar", "zh")
    },
    "an e-mail": email,
    # one rule for all doors
    "what shows": cleaned,
    "what shows in JSON": lambda text: cleaned_json({text: [text, {"a": text}]}),
    "Markdown as text": plain_markdown,
    "Markdown as HTML": markdown_as_html,
    "a query": lambda text: _asked({"query_string": ("cursor=" + text).encode()}, "cursor"),
    "a query's names": lambda text: _asked({"query_string": ("cursor&" + text).encode()}, "cursor"),
}


_tries: Final = count()


def seconds(read: Reader, text: str, enough: float) -> float:
    """The processor's time for the quickest of a few tries; no more of them once one is quick enough.

    Each is of another text: some readers remember the last ones. The time of this thread alone, since
    other tests run beside it.
    """
    best = float("inf")
    for _ in range(TRIES):
        new = f"{text}{next(_tries)}"
        begun = thread_time()
        read(new)
        best = min(best, thread_time() - begun)
        if best <= enough:
            break
    return best


def grows(read: Reader, name: str) -> float:
    """How many times as much four times the text costs."""
    short = max(FLOOR, min(seconds(read, written(name, SHORT), FLOOR) for _ in range(2)))
    return seconds(read, written(name, LONG), MAX_LENGTH * short) / short


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """It runs whenever so much was made, and looks at everything that the tests before left."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("reader", READERS)
def test_four_times_the_text_costs_about_four_times_as_much(reader: str) -> None:
    slow = list(HOSTILE)
    for _ in range(AGAIN):
        ratios = {name: grows(READERS[reader], name) for name in slow}
        slow = [name for name, ratio in ratios.items() if ratio > MAX_LENGTH]
    assert slow == [], {name: round(ratios[name], 1) for name in slow}


def test_what_takes_the_square_of_its_text_is_seen() -> None:
    def square(text: str) -> int:
        return sum(text.count("<", at) for at in range(0, len(text), 16))

    assert grows(square, "<") > MAX_LENGTH
