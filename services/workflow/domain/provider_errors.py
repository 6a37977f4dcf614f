"""Why the assistant gave no answer: reasons of ours for all that providers say and that can break.

Pure. Statuses and codes are those of OpenAI's and Groq's pages on errors; where others differ, the
comment says who does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import msgspec

Reason = Literal[
    "no_key",  # no assistant is configured, or no key for it
    "refused_key",  # the provider does not take the key (or the account does not pay)
    "rate_limited",  # too many requests or tokens, or the quota is used up
    "unavailable",  # it cannot be reached, or says that it cannot serve now
    "timeout_first",  # no word within the time
    "timeout_between",  # words came, and then none for too long
    "timeout_whole",  # the answer as a whole took too long
    "cut",  # the stream ended in the middle of the answer
    "broken",  # what came is not the protocol, or a tool call that makes no sense
    "too_long",  # the conversation does not fit into the model's context
    "content_filter",  # the provider does not answer this
    "bad_request",  # the provider does not take the request: most often the model's name or the address
    "empty",  # an answer without a word or a tool call
]

#: What another try may mend. A stall is not among them: it has used up the time for the first word.
PASSING: Final[frozenset[Reason]] = frozenset({"rate_limited", "unavailable", "cut", "broken", "empty"})


class Trouble(Exception):
    """One try failed. ``detail`` is for the log alone: it may be the provider's own words."""

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        retry_after: float | None = None,
        passing: bool = True,
        status: int | None = None,
    ) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        #: When the provider wants to be asked again, in seconds from now.
        self.retry_after = retry_after
        self.passing = passing and reason in PASSING
        #: The status of the refusal, 0 for one within the stream; None where nothing was refused.
        self.status = status


_BY_STATUS: Final[Mapping[int, Reason]] = {
    401: "refused_key",
    402: "refused_key",  # the account has no credit
    403: "refused_key",
    408: "unavailable",
    409: "unavailable",
    413: "too_long",  # Groq: more tokens than the account's limit for a minute
    425: "unavailable",
    429: "rate_limited",
    498: "rate_limited",  # Groq: its flexible capacity is used up
}

#: Marks of a reason in an error's code, type or message; the first that is found holds.
_MARKS: Final[tuple[tuple[str, Reason], ...]] = (
    ("context_length", "too_long"),  # OpenAI, Groq: context_length_exceeded
    ("context length", "too_long"),  # vLLM: This model's maximum context length is ...
    ("exceed_context_size", "too_long"),  # llama.cpp
    ("content_filter", "content_filter"),  # Azure
    ("content_policy", "content_filter"),
    ("insufficient_quota", "rate_limited"),
    ("rate_limit", "rate_limited"),
    ("invalid_api_key", "refused_key"),
    ("tool_use_failed", "broken"),  # Groq: the model called a tool in a way that makes no sense
    ("overloaded", "unavailable"),
)


def failure(status: int | None, body: bytes, retry_after: float | None = None) -> Trouble:
    """What a refusal means, by its status (None: it came within the stream) and its body."""
    said, code = _error(body)
    shown = body.decode("utf-8", "replace")
    if status is None:
        status = code  # OpenRouter and vLLM put there what would have been the status
    else:
        shown = f"HTTP {status}: {shown}"
    reason: Reason
    if status in (None, 400, 404, 422):
        marked = next((reason for mark, reason in _MARKS if mark in said), None)
        reason = marked or ("unavailable" if status is None else "bad_request")
    else:
        reason = _BY_STATUS.get(status, "unavailable" if status >= 500 else "bad_request")
    # A used-up quota answers as a rate limit does, but no wait within an answer's time mends it.
    passing = "insufficient_quota" not in said
    return Trouble(reason, shown, retry_after, passing, status or 0)


def retry_after(value: str, now: float) -> float | None:
    """Seconds from ``now`` (since 1970) by a Retry-After header, in both its forms (RFC 9110, 10.2.3)."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _error(body: bytes) -> tuple[str, int | None]:
    """Code, type and message of an error, lower case, in any of the forms in use; a code that is a number."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError):
        return body.decode("utf-8", "replace").lower(), None
    error = content.get("error", content) if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return str(error).lower(), None
    said = " ".join(str(error.get(key) or "") for key in ("code", "type", "message"))
    code = error.get("code")
    return said.lower(), code if isinstance(code, int) else None
