"""Mail that a filter writes in its user's name: vacation answers and notifications.

Owns: the form of such mail. Trusts nothing of the message that caused it; what of it is repeated is cut and encoded.
Standards: RFC 5230 5, RFC 3834 3 (answers), RFC 5436 2.7 (notifications).
On failure: Unsuitable for a text that cannot stand in mail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from postroom.message.compose import Letter, Person, compose, unstructured
from postroom.message.dates import format_date
from postroom.message.decode import message_ids
from postroom.sieve.actions import Notify, Vacation
from postroom.sieve.mail import Header
from postroom.sieve.mailto import Mailto
from postroom.values.address import Address

#: message ids of References, and characters of a subject, that are repeated
_MOST_IDS: Final = 20
_LONGEST_SUBJECT: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Who writes, and when. id: of the new message in the queue; hostname: ours; now: Unix seconds."""

    author: Person
    owner: str
    id: str
    hostname: str
    now: float


def vacation_reply(action: Vacation, header: Header, to: Address, desk: Desk) -> bytes:
    """The answer to the sender. Raises Unsuitable."""
    fields = [("Auto-Submitted", "auto-replied (vacation)"), ("X-Auto-Response-Suppress", "All"), *_thread(header)]
    letter = Letter(
        author=desk.author,
        date=format_date(desk.now),
        message_id=f"{desk.id}@{desk.hostname}",
        seed=desk.id,
        to=(Person(to),),
        subject=_line(action.subject or _answered(header)),
        fields=fields,
        text=None if action.mime else action.reason,
    )
    if not action.mime:
        return b"".join(compose(letter))
    lines = [
        f"Date: {letter.date}",
        unstructured("From", _shown(desk.author)) if desk.author.name.isascii() else f"From: <{desk.author.address}>",
        f"To: <{to}>",
        unstructured("Subject", letter.subject),
        f"Message-ID: <{letter.message_id}>",
        *(unstructured(name, value) for name, value in fields),
        "MIME-Version: 1.0",
    ]
    entity = action.reason.encode("utf-8", "replace")
    if b"\r\n\r\n" not in entity:
        entity += b"\r\n\r\n"
    return "".join(f"{line}\r\n" for line in lines).encode() + entity


def notification(action: Notify, to: Mailto, header: Header, desk: Desk) -> bytes:
    """What somebody is told. Raises Unsuitable."""
    subject = action.message or to.subject or " ".join(header.values("subject")[:1]) or "New mail"
    text = to.body
    if text is None:
        text = "".join(f"{name}: {_line(value)}\n" for name, value in _told(header))
    priority = {"1": (("X-Priority", "1"), ("Importance", "High")), "3": (("X-Priority", "5"), ("Importance", "Low"))}
    return b"".join(
        compose(
            Letter(
                author=desk.author,
                date=format_date(desk.now),
                message_id=f"{desk.id}@{desk.hostname}",
                seed=desk.id,
                to=_people(to.to),
                cc=_people(to.cc),
                subject=_line(subject),
                fields=[
                    ("Auto-Submitted", f'auto-notified; owner-email="{desk.owner}"'),
                    *priority.get(action.importance, ()),
                    *[(name, value) for name, value in to.fields if name.lower() not in ("x-priority", "importance")],
                ],
                text=text,
            )
        )
    )


def _shown(person: Person) -> str:
    return f"{person.name} <{person.address}>" if person.name else f"<{person.address}>"


def _people(addresses: Sequence[str]) -> tuple[Person, ...]:
    return tuple(Person(Address.parse(address)) for address in addresses)


def _told(header: Header) -> list[tuple[str, str]]:
    return [(name, " ".join(values)) for name in ("From", "Subject") if (values := header.values(name.lower())[:1])]


def _answered(header: Header) -> str:
    """RFC 5230 5.3."""
    subject = " ".join(header.values("subject")[:1])
    return f"Auto: {subject}" if subject else "Automated reply"


def _line(text: str) -> str:
    """On one line, without controls."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:_LONGEST_SUBJECT]


def _thread(header: Header) -> list[tuple[str, str]]:
    """RFC 5230 5.8, RFC 5322 3.6.4."""
    about = [each for raw in header.raw("message-id")[:1] for each in message_ids(raw) if each.isascii()][:1]
    if not about:
        return []
    older = [each for raw in header.raw("references")[:1] for each in message_ids(raw) if each.isascii()]
    chain = [*older[-_MOST_IDS:], about[0]]
    return [
        ("In-Reply-To", about[0].decode("ascii")),
        ("References", " ".join(each.decode("ascii") for each in chain)),
    ]
