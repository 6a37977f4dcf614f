"""The protocol of OpenAI's `chat/completions`, streamed: what is sent, and what the chunks add up to.

Pure: `Completion` takes the data of each server-sent event and gives the text that it adds for the visitor.
The protocol is that of https://platform.openai.com/docs/api-reference/chat-streaming; where other servers
differ, the comment says who does. They differ in types as well, so every field is read for what it is.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NamedTuple

import msgspec

from services.workflow.domain.assistant import BadCall, ChatMessage, Prompt, Tool, ToolCall, Usage, estimated
from services.workflow.domain.manners import Manner
from services.workflow.domain.provider_errors import Trouble, failure
from services.workflow.domain.reasoners import is_known_to_reason
from services.workflow.domain.spoken import Spoken
from shared.contract.markdown import plain_markdown
from shared.contract.visible import is_visible


class Finished(NamedTuple):
    """The end of an answer. ``text`` is all pieces together, exactly.

    ``finish_reason`` is the provider's: ``stop``, ``tool_calls``, or ``length`` where the answer was cut
    at the most tokens or characters that it may have. ``model`` is the one that was asked.
    """

    text: str
    tool: ToolCall | None
    usage: Usage
    finish_reason: str
    model: str


DONE = "[DONE]"

#: What some servers write into a text field for "nothing".
_NOTHING: Final = frozenset({"", "null", "none", "nil", "undefined"})
#: Reasons of an end that is none of the answer's: the provider does not say (more of) it (Gemini, Anthropic),
#: or the model behind it failed (OpenRouter, DeepSeek).
_FILTERED: Final = frozenset(
    {
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "image_safety",
        "refusal",
        "sensitive",
    }
)
_FAILED: Final = frozenset({"error", "insufficient_system_resource", "network_error", "abort"})
#: Reasons for which an answer ends before its end.
_NO_ROOM: Final = frozenset({"length", "max_tokens", "model_length"})
#: Parts of a content that are for the visitor; reasoning has types of its own.
_TEXT_PARTS: Final = frozenset({"", "text", "output_text"})
#: Fields of their own for reasoning (DeepSeek, vLLM; OpenRouter, Groq, Ollama; others).
_REASONING_FIELDS: Final = (
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "thinking",
    "thinking_blocks",
)
#: What nobody was ever billed for: a count beyond it is no count.
_MAX_TOKENS: Final = 10**9
_ROOM: Final = 256
#: As much of a text is looked at in one step (characters).
_STEP: Final = 2048


class Completion:
    """One answer while it comes. ``limit`` is the most characters that it may have.

    ``bare``: see `Spoken`. ``new``: the model was never heard to the end. What shows
    nothing is held back until something does.
    """

    def __init__(self, tools: tuple[Tool, ...], limit: int, bare: bool = False, new: bool = False) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._limit = limit
        self._new = new
        self._spoken = Spoken(self._tools, bare)
        self._pieces: list[str] = []
        self._length = 0
        self._unseen = ""  # text that shows nothing so far
        self._freed = ""  # text that was held, and is to be said with the next
        self._half = ""  # the first half of a surrogate pair
        self._raw: list[str] = []  # the content as it came, where that is needed
        self._call: dict[str, Any] | None = None  # the first tool call; others are not asked for
        self._call_names: list[str] = []
        self._call_arguments: list[str] = []
        self._usage: Usage | None = None
        self._refusal = ""
        self.finish_reason = ""
        self.anew = False  # the words given so far were reasoning: they are void. The reader resets this
        self.separate = False  # reasoning came in a field of its own

    @property
    def began(self) -> bool:
        """Whether a word or a part of a tool call came."""
        return bool(self._pieces) or self._call is not None

    @property
    def over(self) -> bool:
        """Whether nothing but the usage is to come."""
        return bool(self.finish_reason)

    @property
    def full(self) -> bool:
        """Whether the answer was cut at the limit: the provider may still be talking."""
        return self._length >= self._limit

    @property
    def opened(self) -> bool:
        """Whether the model marks where its reasoning begins, or the server takes it out."""
        return self.separate or self._spoken.opened

    @property
    def unopened(self) -> bool:
        """Whether reasoning came whose beginning was not marked."""
        return self._spoken.unopened

    @property
    def cut(self) -> bool:
        """Whether it ended because there was no room for more."""
        return self.finish_reason.lower() in _NO_ROOM

    @property
    def doubted(self) -> bool:
        """Whether words are held that may be reasoning without a mark of its beginning."""
        return self._spoken.holds

    def trust(self) -> str:
        """Doubt no longer: the words that were held, for whoever has waited long enough for their end."""
        return self._say(self._spoken.trust())

    def take(self, data: str) -> str:
        """The text that an event adds, "" for none. Raises `Trouble`."""
        if data.strip() == DONE:
            # Without a reason before it, the mark itself is one: the provider says that this was all.
            return self._finish("stop")
        return self._chunk(_decoded(data), data)

    def whole(self, body: str) -> str:
        """The text of an answer that came in one piece instead of a stream. Raises `Trouble`."""
        try:
            chunks = [_decoded(body)]
        except Trouble:  # one chunk in each line
            chunks = [_decoded(line) for line in body.splitlines() if line.strip()]
        if len(chunks) == 1 and isinstance(chunks[0], list):
            chunks = chunks[0]
        for chunk in chunks:
            self._chunk(chunk, body)
        if not self.over:
            if not (self.began or self._unseen or any(_choices(chunk) for chunk in chunks)):
                raise Trouble("broken", f"no answer in it: {body}")
            self._finish("stop")
        self.anew = False  # nobody has read any of it
        return "".join(self._pieces)

    def broken_off(self) -> Trouble:
        """What it is when the stream ends here."""
        if self._half and not self.began:
            return Trouble("broken", "the stream ended in the middle of a character")
        return Trouble("cut", "the stream ended before the answer did")

    def finished(self, prompt: Prompt, model: str) -> Finished:
        """The whole of it. Raises `Trouble` where it came to nothing that can be used."""
        text = "".join(self._pieces)
        reason = self.finish_reason.lower()
        if reason.startswith("content_filter") or reason in _FILTERED:
            raise Trouble("content_filter", f"finish_reason {self.finish_reason}")
        if reason in _FAILED:
            raise Trouble("unavailable", f"finish_reason {self.finish_reason}")
        tool = None
        if self._call is not None and (name := self._called()):
            tool = self._checked(name, _whole_characters("".join(self._call_arguments)))
        elif self._spoken.call is not None:
            tool = self._checked(*self._spoken.call)
        elif self._spoken.refused:
            raise Trouble("broken", self._spoken.refused)
        elif not text and self._refusal:
            raise Trouble("content_filter", self._refusal)
        elif not is_visible(plain_markdown(text)):
            raise Trouble("empty", f"finish_reason {self.finish_reason}")
        usage = self._usage or estimated(prompt, text + "".join(self._call_arguments))
        return Finished(text, tool, usage, self.finish_reason, model)

    # --- inside ---

    def _chunk(self, chunk: Any, data: str) -> str:
        if not isinstance(chunk, dict):
            raise Trouble("broken", f"not a chunk: {data}")
        if chunk.get("error") or chunk.get("object") == "error":  # the latter: vLLM before 0.10
            raise failure(None, data.encode("utf-8", "replace"))
        groq = _object(chunk.get("x_groq"))
        if groq.get("error"):
            raise Trouble("cut", _string(groq["error"]) or str(groq["error"]))
        self._count(_object(chunk.get("usage")) or _object(groq.get("usage")))
        if self._new and is_known_to_reason(_string(chunk.get("model"))):
            self._spoken.hold()
            self._new = False
        for choice in _choices(chunk):
            if not isinstance(choice, dict):
                if choice is None:
                    continue
                raise Trouble("broken", f"not a chunk: {data}")
            if _number(choice.get("index")) in (None, 0):
                return self._choose(choice)
        return ""

    def _choose(self, choice: dict[str, Any]) -> str:
        piece = ""
        if not self.over:
            delta = _object(choice.get("delta"))
            message = _object(choice.get("message"))
            if any(value not in (None, "", []) for key, value in delta.items() if key != "role"):
                piece = self._add(delta, self._content(delta.get("content")))
            elif message:
                piece = self._add(message, self._rest(self._content(message.get("content"))))
            elif "text" in choice:  # the older `completions`
                piece = self._add({}, _string(choice["text"]))
        reason = _string(choice.get("finish_reason")).strip()
        if self.over:
            return piece
        if reason.lower() not in _NOTHING and "unspecified" not in reason.lower():
            piece += self._finish(reason)
        elif self.full:
            self.finish_reason = "length"
        return piece

    def _content(self, content: Any) -> str:
        """The text of a message's content: a string, or a list of parts of which some are reasoning."""
        if isinstance(content, str):
            return content
        if isinstance(content, dict):
            kind = _string(content.get("type"))
            if kind in _TEXT_PARTS and content.get("thought") is not True:
                text = content.get("text")
                return _string(text if not isinstance(text, dict) else text.get("value"))
            self._separates(bool(content.get("thought")) or "think" in kind or "reason" in kind)
            return ""
        if isinstance(content, list):
            return "".join(self._content(part) for part in content if not isinstance(part, list))
        return ""

    def _separates(self, now: bool) -> None:
        """Reasoning comes apart from the text, so no text needs to wait for its end."""
        if now and not self.separate:
            self.separate = True
            self._freed += self._spoken.trust()

    def _rest(self, content: str) -> str:
        """Of a whole message that follows its own pieces, what the pieces did not have."""
        raw = "".join(self._raw)
        self._raw = [raw]
        return content.removeprefix(raw) if raw else content

    def _add(self, message: dict[str, Any], content: str) -> str:
        """What a message or a part of one adds."""
        self._separates(any(message.get(field) for field in _REASONING_FIELDS))
        if _is_thought(message):
            self._separates(True)
            content = ""
        self._refusal += _string(message.get("refusal"))
        calls = message.get("tool_calls")
        for fragment in calls if isinstance(calls, list) else [calls, message.get("function_call")]:
            if isinstance(fragment, dict):
                self._gather(fragment)
        if content:
            self._raw.append(content)
        text = self._characters(content)
        said, self._freed = self._say(self._freed), ""
        for at in range(0, len(text), _STEP):  # a whole answer may be megabytes long, and is cut at the limit
            said += self._say(self._spoken.take(text[at : at + _STEP]))
            if self.full:
                break
        return said

    def _finish(self, reason: str) -> str:
        """Nothing more comes; what was held back is certain now."""
        if self.over:
            return ""
        half, self._half = self._half, ""
        text = self._spoken.take("\ufffd") if half else ""
        said = self._say(text + self._spoken.end(reason.lower() in _NO_ROOM))
        self.finish_reason = reason
        return said

    def _characters(self, text: str) -> str:
        """The text with halves of characters joined; a half alone becomes U+FFFD."""
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return _whole_characters(text)

    def _say(self, text: str) -> str:
        if self._spoken.anew:
            self._spoken.anew = False
            self.anew = self.anew or bool(self._pieces)
            self._pieces.clear()
            self._length = 0
            self._unseen = ""
        if not self._pieces:
            if not is_visible(text):
                room = max(self._limit // 2, self._limit - _ROOM)  # some is left for words
                self._unseen += text[: max(0, room - len(self._unseen))]
                return ""
            text, self._unseen = self._unseen + text, ""
        text = text[: max(0, self._limit - self._length)]
        if text:
            self._pieces.append(text)
            self._length += len(text)
        return text

    def _gather(self, fragment: dict[str, Any]) -> None:
        function = fragment.get("function")
        function = function if isinstance(function, dict) else fragment
        index, id = _number(fragment.get("index")) or 0, _string(fragment.get("id"))
        if self._call is None:
            self._call = {"index": index, "id": id}
        # Ollama gives every call of an answer the index 0: a new id is another call.
        elif index != self._call["index"] or (id and self._call["id"] and id != self._call["id"]):
            return
        if name := _string(function.get("name")).strip():
            self._call_names.append(name)
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # Ollama's own form: not a text that holds JSON, but the JSON
            self._call_arguments = [json.dumps(arguments)]
        elif isinstance(arguments, str):
            self._call_arguments.append(arguments)
            self._length += len(arguments)

    def _called(self) -> str:
        """The call's name: it comes whole, and some servers repeat it in each fragment or cut it."""
        first, whole = "".join(self._call_names[:1]), "".join(self._call_names)
        return whole if first not in self._tools and whole in self._tools else first

    def _checked(self, name: str, arguments: str) -> ToolCall:
        tool = self._tools.get(name) or self._tools.get(name.removeprefix("functions."))
        if tool is None:
            raise Trouble("broken", f"a call of a tool that was not offered: {name!r}")
        try:
            return tool.call(arguments)
        except BadCall as error:
            raise Trouble("broken", str(error)) from error

    def _count(self, usage: dict[str, Any]) -> None:
        """Take the usage. Some send it with every chunk, as it grows: the last one holds."""
        tokens_in = _number(usage.get("prompt_tokens", usage.get("input_tokens")))
        tokens_out = _number(usage.get("completion_tokens", usage.get("output_tokens")))
        if tokens_in is not None:
            self._usage = Usage(max(0, tokens_in), max(0, tokens_out or 0))


#: Stand where a server demands a user's message and there is none.
BEGIN: Final = "(The conversation begins.)"
GO_ON: Final = "(Please go on.)"


def request(prompt: Prompt, model: str, manner: Manner) -> dict[str, Any]:
    """The body of the request."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": message.role, "content": message.content}
            for message in arranged(prompt.messages, manner)
        ],
        "stream": True,
    }
    if manner.limit:
        body[manner.limit] = prompt.max_tokens
    if manner.stream_options:
        body["stream_options"] = {"include_usage": True}
    if prompt.temperature is not None and manner.temperature:
        body["temperature"] = prompt.temperature
    if prompt.tools:
        body["tools"] = [tool.schema for tool in prompt.tools]
    return body


def arranged(messages: tuple[ChatMessage, ...], manner: Manner) -> tuple[ChatMessage, ...]:
    """The messages in the order of roles that a server demands."""
    if not manner.alternate and manner.system:
        return messages
    system = [message.content for message in messages if message.role == "system"]
    others = [message for message in messages if message.role != "system"]
    if not others or others[0].role == "assistant":
        others.insert(0, ChatMessage("user", BEGIN))
    if others[-1].role == "assistant":
        others.append(ChatMessage("user", GO_ON))
    if system and not manner.system:
        others[0] = ChatMessage("user", "\n\n".join([*system, others[0].content]))
    joined: list[ChatMessage] = [ChatMessage("system", text) for text in system] if manner.system else []
    for message in others:
        if joined and joined[-1].role == message.role:
            joined[-1] = ChatMessage(message.role, f"{joined[-1].content}\n\n{message.content}")
        else:
            joined.append(message)
    return tuple(joined)


def _decoded(data: str) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError):
        pass
    try:
        return json.loads(data)  # takes half a surrogate pair, which may be whole with the next chunk
    except (ValueError, RecursionError) as error:
        raise Trouble("broken", f"not a chunk ({error}): {data}") from error


def _choices(chunk: Any) -> list[Any]:
    """The choices in a chunk. Raises `Trouble`."""
    if not isinstance(chunk, dict):
        return []
    choices = chunk.get("choices")
    if choices is None:
        return _one_choice(chunk)
    if isinstance(choices, dict):  # the only one, without its list
        return [choices]
    if not isinstance(choices, list):
        raise Trouble("broken", f"not a chunk: {chunk}")
    return choices


def _one_choice(chunk: dict[str, Any]) -> list[Any]:
    """The answer in a chunk of another protocol, behind a proxy that passes it on as it is."""
    if isinstance(chunk.get("message"), dict):  # Ollama's own
        return [{"delta": chunk["message"], "finish_reason": chunk.get("done_reason")}]
    inner = _object(chunk.get("result")) or chunk
    if isinstance(inner.get("response"), str):  # Cloudflare's own
        return [{"delta": {"content": inner["response"]}}]
    return []


def _is_thought(message: dict[str, Any]) -> bool:
    """Whether the text of a message is reasoning, by a mark beside it."""
    google = _object(_object(message.get("extra_content")).get("google"))  # Gemini
    marked = google.get("thought") is True or message.get("thought") is True
    return marked or message.get("channel") in ("analysis", "commentary")  # gpt-oss


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    """A whole number, however it is written; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) <= _MAX_TOKENS:
        return round(value)
    return None


def _whole_characters(text: str) -> str:
    """Pairs of surrogates as the characters that they are, halves alone as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
