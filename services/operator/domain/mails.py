"""The mail to a visitor who has left: what is in it, and when it is due. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from hashlib import blake2b
from html import escape
from typing import Final

import msgspec

from services.operator.domain.decisions import Decision
from services.operator.domain.transcript import TranscriptEntry
from shared.contract.conversation import Conversation
from shared.contract.conversation.mail import MAX_AN_HOUR
from shared.contract.conversation.progress import ADDRESS
from shared.contract.facts import MailBegun, MailEnded
from shared.contract.mail_address import address_of
from shared.contract.presence import VisitorReport

#: Long addresses in headers stay whole: folded at 78 they would be encoded, and no mail program reads that.
LINES: Final = SMTP.clone(max_line_length=998)
HOUR: Final = 3_600_000_000_000
#: A mail whose fate is not known is sent once more, and never again.
MAX_ATTEMPTS: Final = 2
#: Of what was said a mail holds so much (characters); the rest is in the conversation.
MAX_SAID: Final = 20_000
#: Whoever is there reads it there.
_THERE: Final = frozenset({"online", "away", "untold"})


class MailWords(msgspec.Struct, frozen=True):
    """A mail's words in one language."""

    subject: str
    said: str
    link: str
    lasts: str
    reply: str
    stop: str
    ask: str  # how an operator asks for the address


_WORDS: Final = {
    "en": MailWords(
        subject="An answer to your chat",
        said="While you were away, we answered in the chat:",
        link="Go on with the chat",
        lasts="The link holds for {days} days.",
        reply="Please do not answer this e-mail: nobody reads it. Answer in the chat.",
        stop="No more e-mails of this chat",
        ask="To which e-mail address may we write if you leave the chat? Please send just the address.",
    ),
    "de": MailWords(
        subject="Eine Antwort auf Ihren Chat",
        said="Während Sie weg waren, haben wir im Chat geantwortet:",
        link="Im Chat weitermachen",
        lasts="Der Link gilt {days} Tage.",
        reply="Bitte antworten Sie nicht auf diese E-Mail: Niemand liest sie. Antworten Sie im Chat.",
        stop="Keine E-Mails mehr zu diesem Chat",
        ask="An welche E-Mail-Adresse dürfen wir schreiben, wenn Sie den Chat verlassen? "
        "Bitte schicken Sie nur die Adresse.",
    ),
    "fr": MailWords(
        subject="Une réponse à votre discussion",
        said="Pendant votre absence, nous avons répondu dans la discussion :",
        link="Reprendre la discussion",
        lasts="Le lien est valable {days} jours.",
        reply="Merci de ne pas répondre à cet e-mail : personne ne le lit. Répondez dans la discussion.",
        stop="Ne plus recevoir d’e-mails de cette discussion",
        ask="À quelle adresse e-mail pouvons-nous vous écrire si vous quittez la discussion ? "
        "Envoyez seulement l’adresse, s’il vous plaît.",
    ),
    "es": MailWords(
        subject="Una respuesta a su chat",
        said="Mientras no estaba, respondimos en el chat:",
        link="Seguir con el chat",
        lasts="El enlace vale {days} días.",
        reply="Por favor, no responda a este correo: nadie lo lee. Responda en el chat.",
        stop="No recibir más correos de este chat",
        ask="¿A qué dirección de correo podemos escribirle si deja el chat? "
        "Envíe solo la dirección, por favor.",
    ),
}


def words_for(languages: str) -> MailWords:
    """In the first of the visitor's languages (as in Accept-Language) that is here, else in English."""
    for part in languages.split(",")[:20]:
        found = _WORDS.get(part.split(";")[0].strip().lower().replace("_", "-").split("-")[0])
        if found is not None:
            return found
    return _WORDS["en"]


def address_to(state: Conversation) -> str:
    """The visitor's address, if they left one and want mails; else ""."""
    if not state.visit.started or state.engagement is not None or state.mail.stopped:
        return ""
    return address_of(state.progress.variables.get(ADDRESS))


def due_since(state: Conversation) -> int:
    """Since when there is something to be mailed (nanoseconds since 1970, UTC); 0: there is nothing."""
    return state.mail.since if state.mail.since and address_to(state) else 0


def is_seen(state: Conversation, report: VisitorReport) -> bool:
    """Whether the visitor has seen all of it."""
    return report.seen >= state.mail.last


def is_there(report: VisitorReport) -> bool:
    """Whether the visitor may be reading it right now. Nothing known is not there: pages tell."""
    return report.whereabouts in _THERE


def too_many(state: Conversation, now: int) -> bool:
    """Whether this conversation has had its mails of this hour."""
    times = state.mail.times
    return len(times) >= MAX_AN_HOUR and now - times[0] < HOUR


def begin(state: Conversation, until: int) -> Decision:
    """Say that what was said up to there is about to be mailed. No facts: it is not to be any more."""
    mail = state.mail
    wanted = mail.begun or mail.last
    if not due_since(state) or wanted != until or mail.attempts >= MAX_ATTEMPTS:
        return ()
    return (MailBegun(until=until),)


def end(state: Conversation, ended: MailEnded) -> Decision:
    """Say what became of it. No facts: there is nothing to be said of it any more.

    What went out is told also where the visitor came back meanwhile, but of no conversation that was erased.
    """
    mail = state.mail
    match ended.outcome:
        case "mailed" | "failed":
            holds = bool(mail.times)
        case "unknown":
            holds = mail.begun == ended.until
        case _:
            holds = bool(mail.since) and not mail.begun and mail.last == ended.until
    return (ended,) if holds else ()


class MailLinks(msgspec.Struct, frozen=True):
    """Addresses of the mail's links, and for how many days they hold."""

    resume: str
    stop: str  # the page
    one_click: str  # what a mail program asks by itself (RFC 8058)
    days: int


def compose(
    sender: Address,
    to: str,
    said: Sequence[TranscriptEntry],
    links: MailLinks,
    words: MailWords,
    id: tuple[str, int],
    at: int,
) -> EmailMessage:
    """The mail, ready to be sent. ``id`` is the conversation, and up to which position it goes: the same mail
    again has the same Message-ID, so that mailboxes may drop the second. ``at`` in nanoseconds since 1970.
    """
    message = EmailMessage(policy=LINES)
    message["Date"] = formatdate(at // 1_000_000_000)
    message["From"] = sender
    message["To"] = Address(addr_spec=to)
    message["Subject"] = words.subject
    name = blake2b(f"{id[0]}/{id[1]}".encode(), digest_size=16).hexdigest()
    message["Message-ID"] = f"<{name}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automaton shall answer it
    message["X-Auto-Response-Suppress"] = "All"
    message["List-Unsubscribe"] = f"<{links.one_click}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    lasts = words.lasts.format(days=links.days)
    parts, left = [], MAX_SAID
    for line in said:
        text = line.text[:left]
        left -= len(text)
        if text:
            parts.append((line.name, text if len(text) == len(line.text) else f"{text} …"))
    plain = "\n\n".join(f"{name}:\n{text}" for name, text in parts)
    message.set_content(
        f"{words.said}\n\n{plain}\n\n{words.link}: {links.resume}\n{lasts}\n\n{words.reply}\n\n"
        f"{words.stop}: {links.stop}\n"
    )
    shown = "".join(
        f"<p><strong>{escape(name)}</strong><br>{'<br>'.join(map(escape, text.splitlines()))}</p>"
        for name, text in parts
    )
    message.add_alternative(
        f'<!doctype html><html><body style="font-family: sans-serif"><p>{escape(words.said)}</p>{shown}'
        f'<p><a href="{escape(links.resume)}">{escape(words.link)}</a><br>{escape(lasts)}</p>'
        f"<p>{escape(words.reply)}</p>"
        f'<p><small><a href="{escape(links.stop)}">{escape(words.stop)}</a></small></p></body></html>',
        subtype="html",
    )
    return message
