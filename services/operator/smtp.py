"""Gives one mail to a server, and says what is known of it then."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from email.message import EmailMessage
from typing import Final, Literal

import aiosmtplib
from aiosmtplib import SMTP

Security = Literal["starttls", "tls", "none"]

#: How long a server may take to answer (seconds).
ANSWER_SECONDS: Final = 20.0
#: What is kept of a server's words (characters).
MAX_REASON: Final = 200


class NotMailed(Exception):
    """No server has the mail. ``final``: nor would one take it later. The text says why."""

    def __init__(self, reason: str, *, final: bool) -> None:
        super().__init__(" ".join(reason.split())[:MAX_REASON])
        self.final = final


class MailUnknown(Exception):
    """The server was given the mail, and has not said whether it took it."""


class MailServer:
    """``password`` "" where the server asks for none; ``ca`` is a file, "" for what the system trusts."""

    def __init__(
        self, host: str, port: int, security: Security, user: str = "", password: str = "", ca: str = ""
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._user = user
        self._password = password
        self._context = None if security == "none" else ssl.create_default_context(cafile=ca or None)

    async def send(self, sender: str, to: str, message: EmailMessage) -> None:
        """Raises `NotMailed` and `MailUnknown`."""
        client = SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",  # required, not tried
            tls_context=self._context,
            timeout=ANSWER_SECONDS,
        )
        try:
            await self._hand_over(client, sender, to, message.as_bytes())
        finally:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                async with asyncio.timeout(2):
                    await client.quit()
            client.close()

    async def _hand_over(self, client: SMTP, sender: str, to: str, content: bytes) -> None:
        try:
            await client.connect()
            if self._password:
                await client.login(self._user, self._password)
            await client.mail(sender)
            await client.rcpt(to)
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientRefused) as error:
            raise NotMailed(f"{error.code} {error.message}", final=error.code >= 500) from error
        except aiosmtplib.SMTPResponseException as error:  # a login, say: it is for us to put right
            raise NotMailed(f"{error.code} {error.message}", final=False) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise NotMailed(f"the mail server cannot be used: {error}", final=False) from error
        try:
            await client.data(content)
        except aiosmtplib.SMTPDataError as error:
            raise NotMailed(f"{error.code} {error.message}", final=error.code >= 500) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailUnknown(str(error)) from error
