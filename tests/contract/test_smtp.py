"""Giving a mail to a real server, and knowing what became of it."""

from __future__ import annotations

import datetime
import ssl
import time
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.operator import smtp
from services.operator.domain.mails import LINES
from services.operator.smtp import MailServer, MailUnknown, NotMailed
from tests.mail_server import PASSWORD, USER, mail_server

TO, SENDER = "sam@shop.example", "help@shop.example"


def mail() -> EmailMessage:
    message = EmailMessage(policy=LINES)
    message["Subject"] = "Grüße"
    message.set_content("Hello\n.\nthere")
    return message


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of ``localhost``, and signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.fromtimestamp(time.time_ns() // 10**9, datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file


def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


async def test_a_mail_arrives_as_it_was_written() -> None:
    async with mail_server() as mailbox:
        await MailServer("127.0.0.1", mailbox.port, "none").send(SENDER, TO, mail())
        taken = await mailbox.next()
        assert taken["Subject"] == "Grüße"
        assert taken.get_content().splitlines() == ["Hello", ".", "there"]


@pytest.mark.parametrize("at_once", [False, True])
async def test_it_goes_encrypted_and_with_a_login(certificate: Path, at_once: bool) -> None:
    async with mail_server(context(certificate), at_once=at_once, login=True) as mailbox:
        how = "tls" if at_once else "starttls"
        server = MailServer("localhost", mailbox.port, how, USER, PASSWORD, str(certificate))  # type: ignore[arg-type]
        await server.send(SENDER, TO, mail())
        await mailbox.next()
        assert at_once or mailbox.encrypted == [True]
        wrong = MailServer("localhost", mailbox.port, how, USER, "wrong", str(certificate))  # type: ignore[arg-type]
        with pytest.raises(NotMailed, match="535") as error:
            await wrong.send(SENDER, TO, mail())
        assert not error.value.final  # it is for us to put right


async def test_nothing_goes_to_a_server_that_is_not_encrypted_or_not_known(certificate: Path) -> None:
    async with mail_server() as mailbox:
        with pytest.raises(NotMailed):
            await MailServer("localhost", mailbox.port, "starttls").send(SENDER, TO, mail())
        assert mailbox.mails.empty()
    async with mail_server(context(certificate)) as mailbox:
        with pytest.raises(NotMailed):  # the system knows nothing of its authority
            await MailServer("localhost", mailbox.port, "starttls").send(SENDER, TO, mail())
        assert mailbox.mails.empty()


@pytest.mark.parametrize("answer, final", [("550 no such user", True), ("451 come back", False)])
async def test_a_refusal_says_whether_it_is_final(answer: str, final: bool) -> None:
    async with mail_server() as mailbox:
        mailbox.answers.append(answer)
        with pytest.raises(NotMailed, match=answer) as error:
            await MailServer("127.0.0.1", mailbox.port, "none").send(SENDER, TO, mail())
        assert error.value.final == final
        assert mailbox.mails.empty()
    with pytest.raises(NotMailed) as gone:
        await MailServer("127.0.0.1", mailbox.port, "none").send(SENDER, TO, mail())
    assert not gone.value.final


async def test_where_the_server_says_nothing_more_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "ANSWER_SECONDS", 0.5)
    async with mail_server() as mailbox:
        mailbox.silent = True
        with pytest.raises(MailUnknown):
            await MailServer("127.0.0.1", mailbox.port, "none").send(SENDER, TO, mail())
        assert mailbox.mails.qsize() == 1
