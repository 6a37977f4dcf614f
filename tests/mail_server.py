"""A real mail server for tests, on this machine: it keeps what it takes, and refuses what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

USER, PASSWORD = "shop", "a mail password"


class TakenMails:
    """``answers`` are given to the next recipients, then "250 OK"; ``silent``: no mail is answered;
    ``seconds``: how long an answer takes.
    """

    def __init__(self) -> None:
        self.mails: asyncio.Queue[EmailMessage] = asyncio.Queue()
        self.answers: list[str] = []
        self.silent = False
        self.seconds = 0.0
        self.encrypted: list[bool] = []
        self.port = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.encrypted.append(session.ssl is not None)
        self.mails.put_nowait(mail)
        await asyncio.sleep(self.seconds)
        if self.silent:
            await asyncio.Event().wait()
        return "250 taken"

    async def next(self, seconds: float = 40) -> EmailMessage:
        async with asyncio.timeout(seconds):
            return await self.mails.get()


@contextlib.asynccontextmanager
async def mail_server(
    context: ssl.SSLContext | None = None, *, at_once: bool = False, login: bool = False
) -> AsyncIterator[TakenMails]:
    """``context`` for STARTTLS, or with ``at_once`` for TLS from the first byte."""
    mailbox = TakenMails()

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(
            success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False
        )

    def session() -> SMTP:
        return SMTP(
            mailbox,
            hostname="mail.example",
            tls_context=None if at_once else context,
            authenticator=authenticate if login else None,
            auth_required=login,
            auth_require_tls=context is not None and not at_once,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(
        session, "127.0.0.1", 0, ssl=context if at_once else None
    )
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
