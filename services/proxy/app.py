"""The proxy: visitors' doors on one side, the log on the other. The only place that builds it."""

from __future__ import annotations

from services.proxy.hub import Hub
from services.proxy.settings import ProxySettings
from services.proxy.transports.pages import Pages
from services.proxy.transports.websocket import WebSocketDoor
from shared.runtime.vitals import Receive, Scope, Send, Vitals


class Proxy:
    def __init__(self, settings: ProxySettings, vitals: Vitals) -> None:
        self._hub = Hub(settings, vitals)
        self._websocket = WebSocketDoor(self._hub, settings, vitals)
        self._pages = Pages()

    async def start(self) -> None:
        await self._hub.start()

    async def stop(self) -> None:
        await self._websocket.drain()
        await self._hub.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._pages(scope, send)
