"""Sample mail for the demo: plain, HTML, attachments, other scripts, a thread, a large message.

Composed with the standard library; nothing here is read from outside.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from postroom.values import flags

DAY = 86400
_CUSTOMER = "Zoë Zimmer <zoe@example.net>"
_ZEBRAS = "Hello,\n\nsince Monday every page is a zebra. What can I do?\n\nZoë\n"


@dataclass(frozen=True, slots=True)
class Sample:
    """A message to put into a demo account. user: local part; age: seconds before now."""

    user: str
    mailbox: str
    age: int
    message: EmailMessage
    flags: int = 0


def _mail(subject: str, sender: str, to: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = sender
    message["To"] = to
    message.set_content(text, cte="quoted-printable" if not text.isascii() else None)
    return message


def samples(domain: str) -> list[Sample]:
    """The demo's mail, oldest first; `stamped` gives each its Date and Message-ID."""
    ann, ben = f"Ann Archer <ann@{domain}>", f"Ben Baker <ben@{domain}>"
    carla, support = f"Carla Gómez <carla@{domain}>", f"Support <support@{domain}>"
    return [
        *_letters(ann, ben, carla),
        Sample("ann", "INBOX", 3 * DAY, _newsletter(ann), flags.SEEN),
        Sample("ann", "INBOX", 2 * DAY, _invoice(ann)),
        Sample("ann", "Archive", 40 * DAY, _scan(ann, ben), flags.SEEN | flags.FLAGGED),
        *_thread(ann, ben),
        Sample("support", "INBOX", 6 * 3600, _mail("My printer prints only zebras", _CUSTOMER, support, _ZEBRAS)),
        Sample("carla", "Projects", 8 * DAY, _mail("Plan for the new office", carla, carla, "Two rooms, one dog.\n")),
    ]


def _letters(ann: str, ben: str, carla: str) -> list[Sample]:
    welcome = (
        "Hello,\n\nthis mailbox is served over IMAP, POP3 and SMTP at once. Read it on several devices:\n"
        "what one does, the others see at once. A POP3 client that downloads and deletes need not take\n"
        "the only copy away:\n"
        "`postroom user set ADDRESS --pop3-delete keep`.\n"
    )
    taro, ivan = "田中 太郎 <tanaka@example.jp>", "Иван Петров <ivan@example.ru>"
    layla, joerg = "ليلى <layla@example.com>", "Jörg Müller <joerg@example.ch>"
    mails = [
        ("ann", 9, _mail("Welcome to Postroom", "Postroom <postmaster@postroom.test>", ann, welcome)),
        ("ben", 9, _mail("Welcome to Postroom", "Postroom <postmaster@postroom.test>", ben, welcome)),
        ("carla", 9, _mail("Welcome to Postroom", "Postroom <postmaster@postroom.test>", carla, welcome)),
        (
            "ann",
            7,
            _mail("会議のご案内", taro, ann, "来週の会議は火曜日の十時からです。\n田中\n"),
        ),
        (
            "ben",
            6,
            _mail("Привет из Москвы", ivan, ben, "Договор подписан, оригинал в пути.\n"),
        ),
        ("carla", 5, _mail("اجتماع الغد", layla, carla, "نلتقي غداً في الساعة العاشرة.\n")),
        (
            "ann",
            4,
            _mail("Grüße aus Zürich 🏔", joerg, ann, "Schöne Grüße, bis Montag!\nJörg\n"),
        ),
    ]
    return [Sample(user, "INBOX", age * DAY, mail) for user, age, mail in mails]


def _newsletter(ann: str) -> EmailMessage:
    message = _mail("Five ways to sort less mail", "The Paper <news@lists.example.net>", ann, "Read it in a browser.\n")
    message["List-Id"] = "<news.lists.example.net>"
    message["List-Unsubscribe"] = "<https://lists.example.net/leave>"
    message.add_alternative(
        '<!doctype html><html><body><h1 style="color:#246">Five ways to sort less mail</h1>'
        "<p>One: let <b>rules</b> do it. Two: unsubscribe. Three: …</p></body></html>",
        subtype="html",
    )
    return message


def _invoice(ann: str) -> EmailMessage:
    message = _mail("Invoice 2026-117", "Supplies Ltd <billing@supplies.example>", ann, "Please find it attached.\n")
    message.add_attachment(_pdf("Invoice 2026-117: 1 250.00 EUR"), maintype="application", subtype="pdf",
                           filename="Rechnung für März.pdf")  # fmt: skip
    message.add_attachment("date;item;amount\n2026-03-01;paper;1250.00\n", subtype="csv", filename="items.csv")
    return message


def _scan(ann: str, ben: str) -> EmailMessage:
    message = _mail("Scan of the old contract", ben, ann, "The scan, 300 dpi. Keep it, please.\n")
    noise = random.Random(117).randbytes(600_000)  # noqa: S311 - filling, not a secret
    message.add_attachment(noise, maintype="image", subtype="tiff", filename="contract.tiff")
    return message


def _thread(ann: str, ben: str) -> list[Sample]:
    question = _mail("Key to the archive room", ben, ann, "Ann, where do we keep it?\nBen\n")
    answer = _mail("Re: Key to the archive room", ann, ben, "> Ann, where do we keep it?\n\nTop drawer on the left.\n")
    question["Message-ID"], answer["Message-ID"] = "<key.1@postroom.test>", "<key.2@postroom.test>"
    answer["In-Reply-To"] = answer["References"] = "<key.1@postroom.test>"
    return [
        Sample("ann", "INBOX", DAY, question, flags.SEEN | flags.ANSWERED),
        Sample("ann", "Sent", DAY - 1800, answer, flags.SEEN),
        Sample("ben", "Sent", DAY, question, flags.SEEN),
        Sample("ben", "INBOX", DAY - 1800, answer),
    ]


def stamped(sample: Sample, number: int, now: float) -> bytes:
    """The message's octets with CR LF line ends, Date and Message-ID."""
    message = sample.message
    if "Date" not in message:
        message["Date"] = format_datetime(datetime.fromtimestamp(now - sample.age, UTC))
    if "Message-ID" not in message:
        message["Message-ID"] = f"<sample.{number}@postroom.test>"
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n", max_line_length=None))


def _pdf(text: str) -> bytes:
    """A one-page PDF that says `text`."""
    stream = f"BT /F1 18 Tf 60 760 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%b endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 6\n0000000000 65535 f \n" + table
    return out + head + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(out)
