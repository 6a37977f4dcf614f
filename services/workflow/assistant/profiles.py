"""Who speaks: the providers that are known by name, and which of them the settings mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

ProfileName = Literal["groq", "openai", "ollama", "vllm", "other"]


class Profile(NamedTuple):
    """What is particular to a provider. All of them stream the same protocol."""

    url: str = ""  # where it is, if that is known
    model: str = "default"  # a small one that answers quickly; llama.cpp and the like ignore the name
    key: str = ""  # the variable in which people have its key; "" if it needs none
    limit: str = "max_tokens"  # what it calls the most tokens of an answer


#: OpenAI's newer models refuse `max_tokens`, and Groq calls it deprecated; the others know no other name.
PROFILES: Final[dict[ProfileName, Profile]] = {
    "groq": Profile(
        "https://api.groq.com/openai/v1", "openai/gpt-oss-20b", "GROQ_API_KEY", "max_completion_tokens"
    ),
    "openai": Profile("https://api.openai.com/v1", "gpt-4.1-mini", "OPENAI_API_KEY", "max_completion_tokens"),
    "ollama": Profile("http://127.0.0.1:11434/v1", "llama3.2"),
    "vllm": Profile("http://127.0.0.1:8000/v1"),
    "other": Profile(),
}
OLLAMA_PORT = 11434


@dataclass(frozen=True, slots=True)
class Provider:
    """Whom to ask. The key is never shown."""

    profile: ProfileName
    url: str
    model: str
    key: str = field(default="", repr=False)
    key_from: str = ""  # the variable that held the key

    @property
    def endpoint(self) -> str:
        return f"{self.url}/chat/completions"

    @property
    def limit(self) -> str:
        return PROFILES[self.profile].limit

    def __str__(self) -> str:
        key = f"the key of {self.key_from}" if self.key else "no key"
        return f"{self.model} at {self.url} ({self.profile}), with {key}"


def choose(
    profile: Literal["auto"] | ProfileName, url: str, model: str, key: str, keys: dict[str, str]
) -> Provider | None:
    """The provider that the settings mean; None where there is none, or no key for one that needs it.

    ``keys`` are those that people have anyway, by their variables. Such a key is only ever sent to the
    host that it was made for: an address of one's own gets `SWITCHBOARD_ASSISTANT_KEY` or none.
    Raises `ValueError` where it cannot be known whose key it is.
    """
    url = url.rstrip("/").removesuffix("/chat/completions").rstrip("/")
    try:
        port = urlsplit(url).port
    except ValueError as error:
        raise ValueError(f"SWITCHBOARD_ASSISTANT_URL may not be {url!r}: {error}.") from error
    name = _named(url, port, key, keys) if profile == "auto" else profile
    if name is None:
        return None
    known = PROFILES[name]
    if not url and not known.url:
        raise ValueError("SWITCHBOARD_ASSISTANT_URL is not set: the profile 'other' has no address.")
    at_home = not url or _origin(url) == _origin(known.url)
    key_from = "SWITCHBOARD_ASSISTANT_KEY" if key else known.key
    key = key or (keys.get(known.key, "") if at_home else "")
    if not key and known.key and at_home:
        return None
    return Provider(name, url or known.url, model or known.model, key, key_from)


def describe(provider: Provider | None) -> str:
    """Whether there is an assistant, and which: a sentence for the start."""
    if provider is not None:
        return f"assistant {provider}"
    return (
        "no assistant: set GROQ_API_KEY, OPENAI_API_KEY or SWITCHBOARD_ASSISTANT_URL; "
        "until then a flow's assistant takes its onError"
    )


def _named(url: str, port: int | None, key: str, keys: dict[str, str]) -> ProfileName | None:
    """The profile that goes with an address; without one, with the keys that there are."""
    if url:
        for name in ("groq", "openai"):
            if _origin(url) == _origin(PROFILES[name].url):
                return name
        return "ollama" if port == OLLAMA_PORT else "other"
    if key:
        raise ValueError(
            "SWITCHBOARD_ASSISTANT_KEY is set, but not whose key it is: "
            "set SWITCHBOARD_ASSISTANT_PROFILE or SWITCHBOARD_ASSISTANT_URL."
        )
    return next((name for name, known in PROFILES.items() if known.key and keys.get(known.key)), None)


def _origin(url: str) -> tuple[str, str]:
    address = urlsplit(url)
    return address.scheme, address.netloc
