"""The workflow's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from services.workflow.assistant.profiles import Provider, choose
from shared.service.settings import Port, PositiveInt, Sealing, SettingVariable

#: What a header can carry (RFC 9110, 5.5): a key with a space or a line end in it was copied badly.
Key = Annotated[str, Meta(pattern=r"^[!-~]*$")]
Limit = Annotated[float, Meta(ge=0.1)]
Price = Annotated[float, Meta(ge=0)]

DEFAULT_FLOW = str(Path(__file__).parent / "flows" / "default.json")


class WorkflowSettings(Sealing, frozen=True, kw_only=True):
    workflow_port: Annotated[Port, Meta(description="port of the workflow's health and metrics")] = 9995
    flow: Annotated[str, Meta(description="file of the flow that new conversations begin with")] = (
        DEFAULT_FLOW
    )
    flows: Annotated[
        str, Meta(description="folder of further flows (*.json), which visitors may ask for by name")
    ] = ""
    max_deliveries: Annotated[
        PositiveInt, Meta(description="deliveries of one input after which its outcome is a failure")
    ] = 20
    inactivity_seconds: Annotated[
        int, Meta(ge=0, description="a conversation without a word for so long is ended; 0 for never")
    ] = 86400
    thanks_minutes: Annotated[
        int,
        Meta(
            ge=0,
            le=1440,
            description="so long after an operator has closed a conversation mere thanks do not reopen it "
            "(minutes); 0: they do; a flow may say otherwise",
        ),
    ] = 10
    turn_seconds: Annotated[
        PositiveInt, Meta(description="an answer of the assistant without a word for so long has failed")
    ] = 30
    service_hosts: Annotated[
        tuple[str, ...],
        Meta(description="the hosts that flows may ask over HTTP, as host or host:port; empty for any"),
    ] = ()
    assistant_profile: Annotated[
        Literal["auto", "groq", "openai", "ollama", "vllm", "other"],
        Meta(description="the assistant's provider; auto: by the address, or by whose key is set"),
    ] = "auto"
    assistant_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^\s/?#@]+[^\s?#@]*)?$",
            description="an OpenAI-compatible API, as https://host/v1; empty for the provider's own",
        ),
    ] = ""
    assistant_model: Annotated[str, Meta(description="the model; empty for a small one of the provider")] = ""
    assistant_key: Annotated[
        Key, Meta(description="the provider's key; without one, GROQ_API_KEY or OPENAI_API_KEY is taken")
    ] = ""
    groq_api_key: Annotated[
        Key, SettingVariable("GROQ_API_KEY"), Meta(description="a key of Groq, sent to Groq alone")
    ] = ""
    openai_api_key: Annotated[
        Key, SettingVariable("OPENAI_API_KEY"), Meta(description="a key of OpenAI, sent to OpenAI alone")
    ] = ""
    assistant_first_token_seconds: Annotated[
        Limit, Meta(description="time to the assistant's first word, all attempts together, in seconds")
    ] = 20.0
    assistant_token_seconds: Annotated[
        Limit, Meta(description="time from one word to the next, in seconds")
    ] = 10.0
    assistant_answer_seconds: Annotated[Limit, Meta(description="time for a whole answer, in seconds")] = (
        120.0
    )
    assistant_answer_characters: Annotated[
        int, Meta(ge=1, le=65536, description="the longest answer; what is longer is cut there")
    ] = 16384
    assistant_attempts: Annotated[
        int, Meta(ge=1, le=10, description="how often a provider is asked, if no word has come yet")
    ] = 3
    assistant_reasoning: Annotated[
        Literal["auto", "yes", "no"],
        Meta(
            description="whether models omit the mark that begins reasoning: with yes, words wait for its end"
        ),
    ] = "auto"
    assistant_concurrency: Annotated[
        PositiveInt, Meta(description="answers that this replica makes at once; the others wait")
    ] = 50
    assistant_budget_tokens: Annotated[
        PositiveInt, Meta(description="how much of the conversation the assistant is told, about, in tokens")
    ] = 6000
    assistant_max_tokens: Annotated[PositiveInt, Meta(description="the longest answer, in tokens")] = 800
    assistant_price_in: Annotated[
        Price, Meta(description="price of a million tokens that are sent; 0 for unknown")
    ] = 0.0
    assistant_price_out: Annotated[
        Price, Meta(description="price of a million tokens that are answered; 0 for unknown")
    ] = 0.0

    suggestions: Annotated[
        bool, Meta(description="operators may ask the assistant for drafts and summaries of conversations")
    ] = True

    def __post_init__(self) -> None:
        self.provider()  # settings that do not go together are named at start

    def provider(self) -> Provider | None:
        """Who speaks as the assistant; None where nobody is configured, or the key is missing."""
        return choose(
            self.assistant_profile,
            self.assistant_url,
            self.assistant_model,
            self.assistant_key,
            {"GROQ_API_KEY": self.groq_api_key, "OPENAI_API_KEY": self.openai_api_key},
        )
