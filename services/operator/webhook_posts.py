"""Posts one webhook, to an address that was checked just before.

Nothing of one attempt is kept for the next: no cookies, no proxies of the machine, no redirects. What a
receiver answers is its status alone; its body is not read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, Literal, NamedTuple

import httpx

from services.operator.domain.webhook_delivery import is_public
from services.operator.webhook_endpoints import wrong_url
from shared.contract.webhooks import WebhookEndpoint, sign

#: How long one attempt may take (seconds), from the name's look-up to the answer, and a connection of it.
ATTEMPT_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 3.0
#: Names that are looked up at once, in threads of their own: a look-up cannot be cut short, and may take half
#: a minute.
LOOK_UPS: Final = 16


class WebhookOutcome(NamedTuple):
    """How an attempt ended, and why it failed.

    ``gone``: the receiver wants no more (410). ``refused``: webhooks may not go to the address.
    """

    result: Literal["delivered", "gone", "refused", "failed"]
    why: str = ""


class WebhookPoster:
    """With ``private``, addresses inside the own network and plain http are allowed.

    ``tls`` says whose certificates are trusted; None: those of the public authorities.
    """

    def __init__(self, private: bool, tls: ssl.SSLContext | None = None) -> None:
        self._private = private
        self._http = httpx.AsyncClient(
            verify=True if tls is None else tls,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            # A kept connection would be to an address that was checked for an earlier attempt.
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            headers={"User-Agent": "switchboard", "Content-Type": "application/json"},
        )
        self._names = HostNames()

    async def close(self) -> None:
        self._names.close()
        await self._http.aclose()

    async def post(self, endpoint: WebhookEndpoint, id: str, body: bytes) -> WebhookOutcome:
        """One attempt. Raises ValueError where the endpoint's secret is none."""
        if wrong := wrong_url(endpoint.url):
            return WebhookOutcome("refused", wrong)
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                return await self._post(endpoint, id, body)
        except TimeoutError:
            return WebhookOutcome("failed", f"no answer within {ATTEMPT_SECONDS:.0f} s")
        except (OSError, httpx.RequestError) as error:
            return WebhookOutcome("failed", str(error)[:100] or type(error).__name__)
        except (httpx.InvalidURL, UnicodeError):
            return WebhookOutcome("refused", "it is no address")

    async def _post(self, endpoint: WebhookEndpoint, id: str, body: bytes) -> WebhookOutcome:
        url = httpx.URL(endpoint.url)
        if url.scheme != "https" and not self._private:
            return WebhookOutcome("refused", "plain http is for SWITCHBOARD_WEBHOOKS_PRIVATE")
        addresses = await self._names.addresses(url)
        if not self._private and not all(map(is_public, addresses)):
            return WebhookOutcome("refused", "the address is inside a network, not on the internet")
        now = int(time.time())
        headers = {"Host": url.netloc.decode(), **sign(endpoint.secrets(now), id, now, body)}
        for left, address in enumerate(addresses, 1 - len(addresses)):
            # To the very address that was checked: by its name it could be another one a moment later.
            request = self._http.build_request(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers=headers,
                extensions={"sni_hostname": url.raw_host.decode()},
            )
            try:
                response = await self._http.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if left == 0:
                    raise
                continue  # nothing was sent: the next address may be reached
            await response.aclose()
            if response.is_success:
                return WebhookOutcome("delivered")
            why = f"the receiver answered {response.status_code}"
            return WebhookOutcome("gone" if response.status_code == 410 else "failed", why)
        raise OSError("the name has no address")


class HostNames:
    """Looks up names, each once at a time: many attempts at one slow name take one thread."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UPS, "webhook-names")
        self._asked: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def addresses(self, url: httpx.URL) -> list[str]:
        """All addresses of the host, the best first. Raises OSError where there is none."""
        key = url.raw_host.decode(), url.port or (443 if url.scheme == "https" else 80)
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, *key)
            self._asked[key] = asked
            asked.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(asked)

    def _done(self, key: tuple[str, int], done: asyncio.Future[list[str]]) -> None:
        del self._asked[key]
        if not done.cancelled():
            done.exception()  # whoever asked may have gone


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
