"""`switchboard log asyncapi`: what goes over NATS, as an AsyncAPI 3.0 document for authors of add-ons.

Made of the subjects and the types of messages. The operations are those of an add-on. `x-users` says which of
the NATS users may publish to a channel and subscribe to it; a test asks the real server.
"""

from __future__ import annotations

import argparse
import inspect
from typing import Any, Final, NamedTuple

import msgspec

from services.workflow.domain.releases import Release
from services.workflow.presence import OperatorsPresent
from shared.contract import subjects
from shared.contract.drafts import DraftPiece
from shared.contract.entry import Entry
from shared.contract.facts import MAY_WRITE
from shared.contract.logins import LoginAsked, LoginTold
from shared.contract.presence import VisitorReport, WatchAsked
from shared.contract.suggestions import Suggestion, SuggestionAsked, SuggestionsOffered
from shared.service.version import VERSION

#: Users that read the log and its feed.
_READERS: Final = ("proxy", "workflow", "operator", "analytics", "eraser", "reader")

_DESCRIPTION: Final = """
Everything that happens in Switchboard is a fact on an append-only log in NATS JetStream. An add-on reads the
log, or answers what flows ask of a backend. The operations below are all that it may do: it logs in as the
user `reader` or `backend`, with inboxes below `_INBOX_reader` or `_INBOX_backend`. The other channels are
Switchboard's own. `x-users` says who may publish and subscribe, and NATS refuses everybody else (but for
`admin`, which declares the streams).

Following the log:

- The log is one stream, `CHAT-0`, or several; `streamInfo` says how many. A conversation is in one of them
  for ever. Follow each by itself.
- An entry's position in its stream is its `Nats-Sequence`. Nothing is ever deleted: positions have no gaps.
- The live feed may lose any entry, even the last one. Take an entry only if its position is the next one,
  and read what is missing from the log. Look at the log's end every few seconds, and after each reconnect.
- Ignore an entry whose `id` its author used before in the conversation, and a second entry with the same
  `cause`. Ignore facts that you do not know and those that their author may not write (`x-author`).
- Fields with `x-personal` hold what a person wrote or is, or what a stranger may have put there.
- Facts and optional fields are added, never renamed or removed.
"""

_JSON: Final[dict[str, Any]] = {}  # any JSON

_PARAMETERS: Final = {
    "stream": ("The number of a stream of the log: the shard modulo the number of streams.", "0"),
    "shard": ("0 to 255: FNV-1a (32 bits) of the conversation, modulo 256.", "7"),
    "conversation": (
        "32 hex digits, from which the visitor's secret cannot be found.",
        "8c974cd324caeebe8f00f2f36a8825a9",
    ),
    "timer": ("The timer's id in the conversation.", "after:21:0"),
    "version": ("The hash of the flow's content, as in the fact FlowStarted.", "5f3a"),
    "flow": ("The flow's name.", "tour"),
    "key": ("What of the desk.", subjects.DESK_AVAILABILITY),
    "request": ("The request's, by chance.", "5f3a9c"),
    "service": ("What a flow's `service` names.", "orders"),
}


class Channel(NamedTuple):
    """One kind of subject. ``publish`` and ``subscribe`` are the users that may."""

    address: str | None
    description: str
    messages: tuple[str, ...]
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


CHANNELS: Final = {
    "live": Channel(
        "live.{stream}.{shard}.{conversation}.{author}",
        "A copy of each entry, published by the server once it is on disk. It may lose entries.",
        ("entry",),
        subscribe=_READERS,
    ),
    "log": Channel(
        f"$JS.API.DIRECT.GET.{subjects.LOG}-{{stream}}",
        "Requests to read the log (JetStream's direct get, ADR-31).",
        ("readRequest",),
        publish=_READERS,
    ),
    "streamInfo": Channel(
        f"$JS.API.STREAM.INFO.{subjects.LOG}-{{stream}}",
        "Asks about a stream of the log.",
        ("infoRequest",),
        publish=_READERS,
    ),
    "infoAnswers": Channel(
        None,
        "The inbox that such a request names as its reply subject.",
        ("info",),
    ),
    "logAnswers": Channel(
        None,
        "The inbox that a request to read the log names as its reply subject: up to `batch` entries, then an "
        "end. It must lie below the user's own inbox prefix.",
        ("entry", "end"),
    ),
    "service": Channel(
        "service.{service}",
        "What a flow asks of a backend, once for each input; again, with the same key, after a crash.",
        ("question",),
        publish=("workflow",),
        subscribe=("backend",),
    ),
    "serviceAnswers": Channel(
        None,
        "The inbox that a question names as its reply subject. It takes one answer, within a minute.",
        ("answer",),
    ),
    "chatVisitor": Channel(
        "chat.{shard}.{conversation}.visitor",
        "Where the proxy appends. Also carries what the stream refuses: follow `live` instead.",
        ("entry",),
        publish=("proxy",),
    ),
    "chatBot": Channel(
        "chat.{shard}.{conversation}.bot",
        "Where the workflow appends, with the conversation's last position as the expectation.",
        ("entry",),
        publish=("workflow",),
    ),
    "chatOperator": Channel(
        "chat.{shard}.{conversation}.operator",
        "Where the operator service appends, with the conversation's last position as the expectation.",
        ("entry",),
        publish=("operator",),
    ),
    "chatEraser": Channel(
        "chat.{shard}.{conversation}.eraser",
        "Where the eraser says that all that was said in the conversation is to be forgotten.",
        ("entry",),
        publish=("eraser",),
    ),
    "deskNotes": Channel(
        "desk.{shard}.{conversation}.desk",
        "Where the operator service appends what operators note about the conversation. It is no part of it: "
        "no expectation of its other authors covers this. Its own is over `*.<shard>.<conversation>.*`.",
        ("entry",),
        publish=("operator",),
    ),
    "visitorTyping": Channel(
        "typing.{shard}.{conversation}.visitor",
        "The visitor is typing right now.",
        ("typing",),
        publish=("proxy",),
        subscribe=("operator",),
    ),
    "operatorTyping": Channel(
        "typing.{shard}.{conversation}.operator",
        "The operator is typing right now.",
        ("typing",),
        publish=("operator",),
        subscribe=("proxy",),
    ),
    "presence": Channel(
        subjects.PRESENCE,
        "How many operators have a console open, who did something just now, and how the queues stand, told "
        "by each replica every few seconds.",
        ("presence",),
        publish=("operator",),
        subscribe=("operator", "workflow"),
    ),
    "watched": Channel(
        "watch.{shard}.{conversation}.operator",
        "An operator's console shows the conversation, told every few seconds while it does.",
        ("watch",),
        publish=("operator",),
        subscribe=("operator", "proxy"),
    ),
    "visitorPresence": Channel(
        "watch.{shard}.{conversation}.visitor",
        "Where the visitor is, told by each replica of the proxy while an operator looks.",
        ("visitor",),
        publish=("proxy",),
        subscribe=("operator",),
    ),
    "suggestions": Channel(
        subjects.SUGGESTIONS,
        "What an operator asks the assistant for. One of the workflow's replicas answers; nothing is stored.",
        ("suggestionAsked",),
        publish=("operator",),
        subscribe=("workflow",),
    ),
    "suggestionsOffered": Channel(
        subjects.SUGGESTIONS_OFFERED,
        "Whether there is an assistant that operators may ask. One of the workflow's replicas answers.",
        ("offered",),
        publish=("operator",),
        subscribe=("workflow",),
    ),
    "suggestionAnswers": Channel(
        subjects.SUGGESTED + ".{request}",
        "What either of these names as its reply subject.",
        ("suggestion", "offered"),
        publish=("workflow",),
        subscribe=("operator",),
    ),
    "logins": Channel(
        subjects.LOGINS,
        "Whose session a browser's cookie is. One of the operator service's replicas answers.",
        ("loginAsked",),
        publish=("analytics",),
        subscribe=("operator",),
    ),
    "loginAnswers": Channel(
        subjects.LOGINS_TOLD + ".{request}",
        "What it names as its reply subject.",
        ("login",),
        publish=("operator",),
        subscribe=("analytics",),
    ),
    "drafts": Channel(
        "draft.{shard}.{conversation}",
        "The assistant's words while they are made. A fact replaces them.",
        ("draft",),
        publish=("workflow",),
        subscribe=("proxy", "operator"),
    ),
    "timerSchedules": Channel(
        "timer.at.{conversation}.{timer}",
        "Schedules of armed timers (ADR-51).",
        ("time",),
        publish=("workflow",),
    ),
    "timersDue": Channel(
        "timer.due.{conversation}.{timer}",
        f"What the schedules fire; `{subjects.TIMERS_DELIVERY}` brings it to one of the workflow's replicas.",
        ("time",),
    ),
    "flows": Channel(
        "flow.{version}",
        "The content of each flow that a conversation began with, for ever.",
        ("flow",),
        publish=("workflow",),
    ),
    "releases": Channel(
        "$KV." + subjects.RELEASES + ".{flow}",
        "Which version of a flow new conversations begin with.",
        ("release",),
        publish=("workflow",),
        subscribe=("workflow",),
    ),
    "deskState": Channel(
        subjects.desk_state("{key}"),
        f"How the operators' desk works: `{subjects.DESK_SETTINGS}`, which only `admin` writes, "
        f"`{subjects.DESK_AVAILABILITY}`, `{subjects.DESK_ASSIGNER}` and `{subjects.DESK_MAILER}`.",
        ("desk",),
        publish=("operator",),
        subscribe=("operator",),
    ),
}

_DIGITS: Final = {"type": "string", "pattern": "^[0-9]+$"}
_ENTRY_HEADERS: Final = {
    "type": "object",
    "properties": {
        "Nats-Stream": {"type": "string", "description": "The log's stream."},
        "Nats-Sequence": {**_DIGITS, "description": "The entry's position."},
        "Nats-Subject": {
            "type": "string",
            "description": "Where it was appended: `chat.<shard>.<conversation>.<author>`, or "
            "`desk.<shard>.<conversation>.desk` for what operators note.",
        },
        "Nats-Time-Stamp": {"type": "string", "description": "When it was stored (RFC 3339, UTC)."},
        "Nats-Msg-Id": {"type": "string", "description": "`<author>:<conversation>:<id>`"},
    },
    "required": ["Nats-Stream", "Nats-Sequence", "Nats-Subject", "Nats-Time-Stamp"],
}


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    schemas = _schemas()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Switchboard on NATS",
            "version": VERSION,
            "description": _DESCRIPTION.strip(),
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "{host}:4222",
                "protocol": "nats",
                "description": "With `make run` the passwords are in `passwords.json` of the data folder.",
                "variables": {"host": {"default": "127.0.0.1"}},
                "security": [{"$ref": "#/components/securitySchemes/user"}],
            }
        },
        "channels": {name: _channel(channel) for name, channel in CHANNELS.items()},
        "operations": _operations(),
        "components": {
            "securitySchemes": {"user": {"type": "userPassword", "description": "`reader` or `backend`."}},
            "messages": _messages(),
            "schemas": schemas,
        },
    }


def asyncapi(options: argparse.Namespace) -> int:
    """Print the document as JSON."""
    print(msgspec.json.format(msgspec.json.encode(document())).decode())
    return 0


def example(address: str) -> str:
    """A subject of the channel with this address."""
    values = {"author": "visitor", **{name: value for name, (_, value) in _PARAMETERS.items()}}
    return address.format(**values)


def _channel(channel: Channel) -> dict[str, Any]:
    described: dict[str, Any] = {
        "address": channel.address,
        "description": channel.description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in channel.messages},
    }
    parameters: dict[str, Any] = {
        name: {"description": description, "examples": [value]}
        for name, (description, value) in _PARAMETERS.items()
        if f"{{{name}}}" in (channel.address or "")
    }
    if "{author}" in (channel.address or ""):
        parameters["author"] = {"description": "Who appended the entry.", "enum": list(MAY_WRITE)}
    if parameters:
        described["parameters"] = parameters
    if channel.address is not None:
        described["x-users"] = {"publish": list(channel.publish), "subscribe": list(channel.subscribe)}
    return described


def _operations() -> dict[str, Any]:
    def on(channel: str, *messages: str) -> dict[str, Any]:
        return {
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
        }

    return {
        "followLog": {
            "action": "receive",
            "summary": "Hear of each entry as it is stored.",
            "x-user": "reader",
            **on("live", "entry"),
        },
        "countStreams": {
            "action": "send",
            "summary": "Ask CHAT-0 of how many streams the log consists.",
            "x-user": "reader",
            **on("streamInfo", "infoRequest"),
            "reply": on("infoAnswers", "info"),
        },
        "readLog": {
            "action": "send",
            "summary": "Read entries from a position on, in batches.",
            "x-user": "reader",
            **on("log", "readRequest"),
            "reply": on("logAnswers", "entry", "end"),
        },
        "answerFlow": {
            "action": "receive",
            "summary": "Answer what a flow asks of a backend.",
            "x-user": "backend",
            **on("service", "question"),
            "reply": on("serviceAnswers", "answer"),
        },
    }


def _messages() -> dict[str, Any]:
    def ref(name: str) -> dict[str, str]:
        return {"$ref": f"#/components/schemas/{name}"}

    return {
        "entry": {
            "summary": "An entry of the log: facts that hold together.",
            "headers": _ENTRY_HEADERS,
            "payload": ref("Entry"),
        },
        "readRequest": {
            "summary": "From which position on, which subjects, and how many at most.",
            "payload": {
                "type": "object",
                "properties": {
                    "seq": {"type": "integer", "minimum": 1, "description": "The first position wanted."},
                    "next_by_subj": {
                        "type": "string",
                        "description": "A filter: `>`, or `chat.<shard>.<conversation>.*`.",
                    },
                    "batch": {"type": "integer", "minimum": 1, "description": "At most so many entries."},
                },
                "required": ["seq", "next_by_subj", "batch"],
            },
            "examples": [{"payload": {"seq": 1, "next_by_subj": ">", "batch": 250}}],
        },
        "infoRequest": {"summary": "Nothing.", "payload": _JSON},
        "info": {
            "summary": "What JetStream knows of the stream.",
            "payload": {
                "type": "object",
                "properties": {
                    "config": {
                        "type": "object",
                        "properties": {
                            "metadata": {
                                "type": "object",
                                "properties": {
                                    "streams": {
                                        **_DIGITS,
                                        "description": "The number of the log's streams; absent means 1.",
                                    },
                                    "epoch": {
                                        "type": "string",
                                        "description": "Another one is another log: begin anew.",
                                    },
                                },
                            }
                        },
                    }
                },
            },
        },
        "end": {
            "summary": "No entry: the end of a batch (204), or that there is nothing from there on (404).",
            "headers": {
                "type": "object",
                "properties": {
                    "Status": {"type": "string", "enum": ["204", "404"]},
                    "Nats-Num-Pending": {**_DIGITS, "description": "204: so many follow behind the batch."},
                },
                "required": ["Status"],
            },
        },
        "question": {
            "summary": "The `body` of the flow's `service`, or nothing.",
            "headers": {
                "type": "object",
                "properties": {
                    "Idempotency-Key": {
                        "type": "string",
                        "description": "The same for the same question, however often it is asked.",
                    }
                },
                "required": ["Idempotency-Key"],
            },
            "payload": _JSON,
        },
        "answer": {
            "summary": "Any JSON, or a text; at most 128 KiB.",
            "headers": {
                "type": "object",
                "properties": {
                    "Nats-Service-Error-Code": {
                        "type": "string",
                        "description": "Says that it failed; the flow sees `status_<code>` (ADR-32).",
                    }
                },
            },
            "payload": _JSON,
        },
        "typing": {"summary": "The subject says it all.", "payload": _JSON},
        "presence": {"summary": "How many are there.", "payload": ref("OperatorsPresent")},
        "watch": {"summary": "Which console asks.", "payload": ref("WatchAsked")},
        "visitor": {"summary": "What is known of the visitor.", "payload": ref("VisitorReport")},
        "suggestionAsked": {
            "summary": "For what, and of which conversation.",
            "payload": ref("SuggestionAsked"),
        },
        "suggestion": {"summary": "The text, or why there is none.", "payload": ref("Suggestion")},
        "offered": {
            "summary": "Whether there is an assistant; its value means nothing in the question.",
            "payload": ref("SuggestionsOffered"),
        },
        "loginAsked": {"summary": "Where the session is kept.", "payload": ref("LoginAsked")},
        "login": {"summary": "The account, or why it is none.", "payload": ref("LoginTold")},
        "draft": {"summary": "A piece of an answer in the making.", "payload": ref("DraftPiece")},
        "time": {
            "summary": "The time that the timer was armed for (RFC 3339, UTC).",
            "contentType": "text/plain",
            "payload": {"type": "string"},
        },
        "flow": {"summary": "A flow file, as docs/flows.md describes it.", "payload": {"type": "object"}},
        "desk": {"summary": "How the desk works.", "payload": {"type": "object"}},
        "release": {"summary": "A release of a flow.", "payload": ref("Release")},
    }


def _schemas() -> dict[str, Any]:
    """The types of payloads, in the form that AsyncAPI gives JSON Schema."""
    _, components = msgspec.json.schema_components(
        [
            *(Entry, DraftPiece, OperatorsPresent, Release, VisitorReport, WatchAsked),
            *(Suggestion, SuggestionAsked, SuggestionsOffered, LoginAsked, LoginTold),
        ],
        ref_template="#/components/schemas/{name}",
    )
    schemas: dict[str, Any] = {name: _in_asyncapi(schema) for name, schema in components.items()}
    for author, facts in MAY_WRITE.items():
        for fact in facts:
            schemas[fact.__name__]["x-author"] = author
    return schemas


def _in_asyncapi(schema: Any) -> Any:
    if isinstance(schema, list | tuple):
        return [_in_asyncapi(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _in_asyncapi(value) for name, value in schema.items()}
    if isinstance(schema.get("description"), str):
        changed["description"] = inspect.cleandoc(schema["description"])
    if isinstance(schema.get("discriminator"), dict):  # AsyncAPI wants the property's name alone
        changed["discriminator"] = schema["discriminator"]["propertyName"]
    return changed
