"""A site of somebody else's: one page on a port of its own, with the script tag."""

from __future__ import annotations

import asyncio

# Only what the button needs: its script and its socket. No styles, no inline scripts, no HTML sinks
# but through the button's own policy.
STRICT = (
    "default-src 'none'; script-src {http}; connect-src {ws}; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types switchboard"
)
#: Whatever can run does run.
NO_POLICY = ""

PAGE = (
    "<!doctype html><title>A shop</title>{head}<h1>A shop</h1>"
    '<script src="{http}{script}" {attributes} defer></script>'
)


class Site:
    """``async with Site(address of the proxy) as site``: the page is at ``site.url``.

    ``attributes`` are the script tag's; ``head`` stands before it; ``script`` is its address at the proxy.
    """

    def __init__(
        self,
        proxy: str,
        policy: str = STRICT,
        attributes: str = "",
        head: str = "",
        script: str = "/widget.js",
    ) -> None:
        addresses = {"http": proxy, "ws": proxy.replace("http", "ws", 1)}
        self._head = f"Content-Type: text/html\r\nContent-Security-Policy: {policy.format(**addresses)}\r\n"
        self._body = PAGE.format(**addresses, attributes=attributes, head=head, script=script)
        self.url = ""

    async def __aenter__(self) -> Site:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if request.startswith((b"GET / ", b"GET /?")):
            answer = f"HTTP/1.1 200 OK\r\n{self._head}Connection: close\r\n\r\n{self._body}"
        else:
            answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        writer.write(answer.encode())
        await writer.drain()
        writer.close()
