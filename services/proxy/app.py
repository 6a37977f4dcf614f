"""The proxy: visitors' doors on one side, the log on the other. The only place that builds it."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any

from services.proxy.admission import Admission
from services.proxy.domain.tokens import Tokens
from services.proxy.hub import Hub
from services.proxy.settings import ProxySettings
from services.proxy.transports.agents import AgentGate
from services.proxy.transports.pages import Pages
from services.proxy.transports.rest import PREFIXES, RestDoor
from services.proxy.transports.resume import PREFIX as RESUME
from services.proxy.transports.resume import ResumeDoor
from services.proxy.transports.socketio import PATH as SOCKETIO
from services.proxy.transports.socketio import SocketIoDoor
from services.proxy.transports.websocket import WebSocketDoor
from shared.service.health import Health, Receive, Scope, Send
from shared.service.settings import SettingError


class Proxy:
    def __init__(self, settings: ProxySettings, health: Health) -> None:
        self._hub = Hub(settings, health)
        self._admission = Admission(settings, health)
        self._resume = _resume(self._hub, self._admission, settings)
        self._websocket = WebSocketDoor(self._hub, self._admission, settings, health, self._resume.granted)
        tokens = _tokens(settings)
        self._rest = RestDoor(self._hub, self._admission, tokens, settings, health)
        agents = AgentGate(settings, tokens)
        self._socketio = SocketIoDoor(self._hub, self._admission, agents, settings, health)
        self._pages = Pages()

    async def start(self) -> None:
        await self._hub.start()

    async def stop(self) -> None:
        await self._websocket.drain()
        await self._socketio.drain()
        await self._hub.stop()

    def turned_away(self, host: str) -> int:
        """When this peer may open a WebSocket again (seconds), 0 for at once."""
        return self._admission.turned_away(host)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        # No coroutine of its own: its frame would live as long as the socket.
        if scope["path"].rstrip("/") == SOCKETIO:
            return self._socketio(scope, receive, send)
        if scope["type"] == "websocket":
            return self._websocket(scope, receive, send)
        if scope["path"].startswith(PREFIXES):
            return self._rest(scope, receive, send)
        if scope["path"].startswith(RESUME):
            return self._resume(scope, receive, send)
        return self._pages(scope, send)


def _resume(hub: Hub, admission: Admission, settings: ProxySettings) -> ResumeDoor:
    try:
        return ResumeDoor(hub, admission, settings)
    except ValueError as error:
        raise SettingError(f"SWITCHBOARD_LINK_SECRET: {error}") from error


def _tokens(settings: ProxySettings) -> Tokens:
    try:
        return Tokens(settings, time.time)
    except ValueError as error:
        raise SettingError(str(error)) from error
