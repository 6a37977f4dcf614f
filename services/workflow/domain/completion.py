"""The protocol of OpenAI's `chat/completions`, streamed: what is sent, and what the chunks add up to.

Pure: `Answer` takes the data of each server-sent event and gives the text that it adds. The protocol is
that of https://platform.openai.com/docs/api-reference/chat-streaming; where other servers differ, the
comment says who does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from services.workflow.domain.assistant import BadCall, Prompt, Tool, ToolCall, Usage, estimated
from services.workflow.domain.refusals import Trouble, failure


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


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Fragment(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Fragment] | None = None


class _Choice(msgspec.Struct):
    index: int | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Groq(msgspec.Struct):
    """Groq's own part of a chunk. ``error``: why it stopped early."""

    usage: _Usage | None = None
    error: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    x_groq: _Groq | None = None
    error: Any = None
    object: str | None = None


_chunks = msgspec.json.Decoder(_Chunk)

DONE = "[DONE]"


class Answer:
    """One answer while it comes. ``limit`` is the most characters that it may have."""

    def __init__(self, tools: tuple[Tool, ...], limit: int) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._limit = limit
        self._pieces: list[str] = []
        self._length = 0
        self._call: _Fragment | None = None  # the first tool call; others are not asked for
        self._call_name = ""
        self._call_arguments: list[str] = []
        self._usage: Usage | None = None
        self.finish_reason = ""

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

    def take(self, data: str) -> str:
        """The text that an event adds, "" for none. Raises `Trouble`."""
        if data.strip() == DONE:
            # Without a reason before it, the mark itself is one: the provider says that this was all.
            self.finish_reason = self.finish_reason or "stop"
            return ""
        try:
            chunk = _chunks.decode(data)
        except (msgspec.MsgspecError, ValueError) as error:
            raise Trouble("broken", f"not a chunk ({error}): {data}") from error
        if chunk.error is not None or chunk.object == "error":  # the latter: vLLM before 0.10
            raise failure(None, data.encode())
        if chunk.x_groq is not None and chunk.x_groq.error is not None:
            raise Trouble("cut", chunk.x_groq.error)
        self._count(chunk)
        for choice in chunk.choices or ():
            if choice.index in (None, 0):
                return self._choose(choice)
        return ""

    def finished(self, prompt: Prompt, model: str) -> Finished:
        """The whole of it. Raises `Trouble` where it came to nothing that can be used."""
        text = "".join(self._pieces)
        if self.finish_reason == "content_filter":
            raise Trouble("content_filter", "finish_reason")
        if self.finish_reason == "error":  # OpenRouter: the model behind it failed
            raise Trouble("unavailable", "finish_reason")
        tool = None
        if self._call is not None and self._call_name:
            tool = self._checked()
        elif not text:
            raise Trouble("empty", f"finish_reason {self.finish_reason}")
        usage = self._usage or estimated(prompt, text + "".join(self._call_arguments))
        return Finished(text, tool, usage, self.finish_reason, model)

    def _choose(self, choice: _Choice) -> str:
        piece = ""
        if choice.delta is not None and not self.over:
            for fragment in choice.delta.tool_calls or ():
                self._gather(fragment)
            piece = (choice.delta.content or "")[: max(0, self._limit - self._length)]
            if piece:
                self._pieces.append(piece)
                self._length += len(piece)
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        elif self.full:
            self.finish_reason = "length"
        return piece

    def _gather(self, fragment: _Fragment) -> None:
        if self._call is None:
            self._call = fragment
        # Ollama gives every call of an answer the index 0: a new id is another call.
        elif (fragment.index or 0) != (self._call.index or 0) or (
            fragment.id and self._call.id and fragment.id != self._call.id
        ):
            return
        if fragment.function is not None:
            # The name comes whole, and some servers repeat it in each fragment.
            self._call_name = self._call_name or fragment.function.name or ""
            arguments = fragment.function.arguments or ""
            self._call_arguments.append(arguments)
            self._length += len(arguments)

    def _checked(self) -> ToolCall:
        tool = self._tools.get(self._call_name)
        if tool is None:
            raise Trouble("broken", f"a call of a tool that was not offered: {self._call_name!r}")
        try:
            return tool.call("".join(self._call_arguments))
        except BadCall as error:
            raise Trouble("broken", str(error)) from error

    def _count(self, chunk: _Chunk) -> None:
        """Take the usage. Some send it with every chunk, as it grows: the last one holds."""
        usage = chunk.usage or (chunk.x_groq.usage if chunk.x_groq is not None else None)
        if usage is not None and usage.prompt_tokens is not None:
            self._usage = Usage(max(0, usage.prompt_tokens), max(0, usage.completion_tokens or 0))


def request(prompt: Prompt, model: str, limit_field: str) -> dict[str, Any]:
    """The body of the request. ``limit_field`` is what the provider calls the most tokens of an answer."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
        limit_field: prompt.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    if prompt.tools:
        body["tools"] = [tool.schema for tool in prompt.tools]
    return body
