"""What a program may ask to be sent, as JSON or as a finished message, made into an envelope and octets.

Owns: the form of requests and answers; docs/api.md and /api/v1/openapi.json are written from these structs.
Trusts nothing: addresses, names, header fields and base64 come from programs.
Standards: RFC 8259, RFC 3339 (send_at), RFC 5322, RFC 9110.
On failure: Problem 400 or 422, with the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct, field

from postroom.intake.model import MailOptions
from postroom.message import addresses as address_list
from postroom.message.compose import Enclosure, Letter, Person, Unsuitable, compose
from postroom.message.decode import decode_words
from postroom.message.fields import field_values
from postroom.servers.http.problems import Problem
from postroom.values.address import Address, BadAddress, parse_domain

#: header fields a program may set besides X-...: they say what a message is, never who sent it or how it came
FIELDS: Final = frozenset({
    "archived-at", "auto-submitted", "comments", "feedback-id", "importance", "in-reply-to", "keywords",
    "list-archive", "list-help", "list-id", "list-owner", "list-post", "list-subscribe", "list-unsubscribe",
    "list-unsubscribe-post", "organization", "precedence", "priority", "references", "require-recipient-valid-since",
    "sensitivity", "tls-required",
})  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,75}")
_MOST_FIELDS: Final = 50
_MOST_FILES: Final = 100

AddressText = Annotated[
    str,
    Meta(max_length=1000, description='A mail address, or a name with one: "Ann Archer <ann@example.org>".'),
]


class File(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file that goes with the message."""

    name: Annotated[str, Meta(max_length=255, description="The file's name.")]
    content: Annotated[bytes, Meta(description="Its octets in base64.")]
    type: Annotated[str, Meta(max_length=130, description="Its media type.")] = "application/octet-stream"
    cid: Annotated[
        str, Meta(max_length=200, description="A name by which the HTML shows it: <img src='cid:NAME'>.")
    ] = ""


class Order(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message to be sent."""

    from_: AddressText = field(name="from")
    to: tuple[AddressText, ...] = ()
    cc: tuple[AddressText, ...] = ()
    bcc: Annotated[tuple[AddressText, ...], Meta(description="Recipients the others do not see.")] = ()
    reply_to: Annotated[tuple[AddressText, ...], Meta(max_length=10, description="Where answers go.")] = ()
    subject: Annotated[str, Meta(max_length=8192)] = ""
    text: Annotated[str | None, Meta(description="The message as plain text.")] = None
    html: Annotated[str | None, Meta(description="The message as HTML.")] = None
    attachments: Annotated[tuple[File, ...], Meta(max_length=_MOST_FILES)] = ()
    headers: Annotated[
        dict[str, str], Meta(max_length=_MOST_FIELDS, description="Header fields: X-..., References, List-...")
    ] = {}
    send_at: (
        Annotated[datetime, Meta(tz=True, description="Not sent before this moment (RFC 3339), 60 days at most.")]
        | None
    ) = None
    require_tls: Annotated[
        bool, Meta(description="Only over verified TLS all the way, else it comes back (RFC 8689).")
    ] = False


class Refused(Struct, frozen=True, kw_only=True):
    """A recipient the message is not sent to. code, enhanced: as SMTP says it; 4xx may work later."""

    address: str
    code: int
    enhanced: str
    text: str


class Accepted(Struct, frozen=True, kw_only=True):
    """The message is in the queue, for good. id: for asking what became of it; send_at: Unix seconds, when it waits."""

    id: str
    message_id: str
    accepted: tuple[str, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Submission:
    """What intake is to be asked: MAIL, and a RCPT for each recipient."""

    mail: MailOptions
    recipients: tuple[Address, ...]


_order: Final = msgspec.json.Decoder(Order)


def read_order(body: bytes | bytearray) -> Order:
    """Raises Problem 400 or 422."""
    try:
        return _order.decode(body)
    except msgspec.ValidationError as fault:
        text, _, place = str(fault).partition(" - at `$")
        raise Problem(422, "bad_field", text, field=place.rstrip("`").lstrip(".")) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
        raise Problem(400, "bad_json", f"This is no JSON: {fault}"[:300]) from None


def letter(order: Order, date: str, message_id: str, seed: str) -> Letter:
    """The message it asks for. Raises Problem 422."""
    if order.text is None and order.html is None and not order.attachments:
        raise Problem(422, "empty", "The message has neither text nor html nor attachments", field="text")
    return Letter(
        author=person("from", order.from_),
        date=date,
        message_id=message_id,
        seed=seed,
        to=[person("to", one) for one in order.to],
        cc=[person("cc", one) for one in order.cc],
        reply_to=[person("reply_to", one) for one in order.reply_to],
        subject=order.subject,
        fields=list(_fields(order.headers)),
        text=order.text,
        html=order.html,
        enclosures=[
            Enclosure(name=one.name, media_type=one.type, octets=one.content, cid=one.cid) for one in order.attachments
        ],
    )


def composed(made: Letter) -> list[bytes]:
    """Its octets. Raises Problem 422."""
    try:
        return compose(made)
    except Unsuitable as fault:
        raise Problem(422, "bad_field", str(fault), field=fault.field) from None


def _fields(headers: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise Problem(422, "bad_field", f"{name[:80]!r} is no name of a header field", field="headers")
        if not name.lower().startswith("x-") and name.lower() not in FIELDS:
            raise Problem(
                422, "bad_field", f"{name} cannot be set here; X-... and a few others can", field=f"headers.{name}"
            )
        yield name, value


def person(where: str, text: str) -> Person:
    """An address with or without a name. Raises Problem 422."""
    try:
        return Person(Address.parse(text.strip()))
    except (BadAddress, UnicodeError):
        pass
    try:
        found = address_list.parse(text.encode("utf-8"))
        if len(found) != 1 or not found[0].mailbox or not found[0].host:
            raise BadAddress(text)
        local = found[0].mailbox.decode("utf-8")
        if not local.isprintable() or len(local) > 64:
            raise BadAddress(text)
        name = decode_words(found[0].name or b"")
        return Person(Address(local, parse_domain(found[0].host.decode("utf-8"))), name)
    except (BadAddress, UnicodeError):
        raise Problem(422, "bad_address", f"{_shown(text)} is no mail address", field=where) from None


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 100 else f"{text[:100]}...")


def of_order(order: Order, made: Letter, size: int, ascii_only: bool) -> Submission:
    """The envelope: From is its sender, everybody else gets it once. Raises Problem 422."""
    everybody = [*made.to, *made.cc, *(person("bcc", one) for one in order.bcc)]
    recipients = _once([one.address for one in everybody])
    release = order.send_at.timestamp() if order.send_at is not None else 0.0
    mail = _mail(made.author.address, recipients, size, ascii_only)
    known = [*recipients, *(one.address for one in made.reply_to)]
    smtputf8 = mail.smtputf8 or not all(one.ascii for one in known)
    return Submission(
        msgspec.structs.replace(
            mail, hold_until=max(release, 0.0), requiretls=order.require_tls, smtputf8=smtputf8
        ),
        recipients,
    )  # fmt: skip


def _once(found: Sequence[Address]) -> tuple[Address, ...]:
    first: dict[str, Address] = {}
    for one in found:
        first.setdefault(one.key, one)
    recipients = tuple(first.values())
    if not recipients:
        raise Problem(422, "no_recipients", "The message is for nobody: name somebody in to, cc or bcc", field="to")
    return recipients


def _mail(sender: Address | None, recipients: Sequence[Address], size: int, ascii_only: bool) -> MailOptions:
    named = recipients if sender is None else [sender, *recipients]
    return MailOptions(
        sender=sender,
        size=size,
        body="7BIT" if ascii_only else "8BITMIME",
        smtputf8=not all(one.ascii for one in named),
    )


@dataclass(frozen=True, slots=True)
class Envelope:
    """The query of a finished message: from, to (several), send_at, require_tls."""

    sender: str
    to: tuple[str, ...]
    send_at: str = ""
    require_tls: bool = False


def of_message(given: Envelope, head: bytes, size: int, ascii_only: bool) -> Submission:
    """The envelope of a finished message; what the query does not say is read from its header. Raises Problem 422."""
    sender = _one("from", [given.sender] if given.sender else _texts(head, b"from")[:1])
    to = given.to or tuple(text for name in (b"to", b"cc", b"bcc") for text in _texts(head, name))
    recipients = _once([person("to", text).address for text in to])
    mail = _mail(sender, recipients, size, ascii_only)
    return Submission(
        msgspec.structs.replace(
            mail,
            hold_until=_moment(given.send_at),
            requiretls=given.require_tls,
            smtputf8=mail.smtputf8 or not head.isascii(),
        ),
        recipients,
    )


def _one(where: str, texts: Sequence[str]) -> Address:
    if not texts:
        raise Problem(422, "bad_address", "There is no From field, and no from in the query", field=where)
    return person(where, texts[0]).address


def _texts(head: bytes, name: bytes) -> list[str]:
    return [
        f"{one.mailbox.decode('utf-8', 'replace')}@{one.host.decode('utf-8', 'replace')}"
        for value in field_values(head, name)
        for one in address_list.parse(value)
        if one.mailbox and one.host
    ]


def _moment(text: str) -> float:
    if not text:
        return 0.0
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise Problem(422, "bad_field", "send_at is written like 2026-11-22T14:30:00Z", field="send_at") from None
    return max(moment.timestamp(), 0.0)
