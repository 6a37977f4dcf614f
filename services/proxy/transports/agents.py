"""Who may engage an agent, and which: the handshake of remote AI agents."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.proxy.domain import origins
from services.proxy.domain.agent_session import Engaged, EngagementRefused, engage, offers
from services.proxy.domain.tokens import BadToken, Tokens
from services.proxy.settings import ProxySettings
from shared.contract.agents import CONFIGURATIONS
from shared.service.agents import installed
from shared.service.health import Scope
from shared.service.settings import SettingError

#: Whoever sends one of these is no client of this machine, whatever the peer's address says.
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})


class AgentGate:
    """Raises `SettingError` where the file of agents does not hold."""

    def __init__(self, settings: ProxySettings, tokens: Tokens) -> None:
        self._tokens = tokens
        self._secret = settings.secret
        self._open = settings.agents_open
        others = {name: agent.configuration for name, agent in installed().items()}
        self._kinds = {**CONFIGURATIONS, **others}
        text = ""
        try:
            if settings.agents_file:
                text = Path(settings.agents_file).read_text(encoding="utf-8")
            self._offers = offers(text, self._kinds)
        except (OSError, ValueError) as error:
            raise SettingError(f"SWITCHBOARD_AGENTS_FILE ({settings.agents_file}): {error}") from error

    def let_in(self, auth: Mapping[str, Any], scope: Scope) -> tuple[Engaged, str, float | None]:
        """Who engages what, the conversation's name, and until when (seconds since 1970; None: no end).

        Raises `EngagementRefused` with the reason.
        """
        until = None
        if not self._secret:
            raise EngagementRefused("agents are not set up here: the proxy has no SWITCHBOARD_SECRET")
        if not self._tokens.required and not self._open and not _of_this_machine(scope):
            raise EngagementRefused("without tokens, agents are for clients of this machine alone")
        engaged = engage(auth, self._offers, self._kinds)
        if self._tokens.required:
            try:
                subject, until = self._tokens.holder(engaged.token)
            except BadToken as error:
                raise EngagementRefused(
                    f"auth.token: {error}" if engaged.token else "auth.token is missing"
                ) from error
            if subject != engaged.user:
                raise EngagementRefused("auth.token is another user's")
        return engaged, engaged.conversation(self._secret), until


def _of_this_machine(scope: Scope) -> bool:
    if any(name in _FORWARDED for name, _ in scope["headers"]):
        return False
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    # A stranger's page whose name leads here (DNS rebinding) comes from this machine's browser.
    if len(hosts) != 1 or not origins.is_loopback(hosts[0]):
        return False
    try:
        return ipaddress.ip_address(scope["client"][0]).is_loopback
    except (ValueError, TypeError, IndexError):
        return False
