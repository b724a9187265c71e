"""Feedback reports (ARF): complaints of readers, and failures of authentication, about one message.

Trusts nothing: fields of a stranger's text, kept printable and bounded.
Standards: RFC 5965 2, 3 (fields, and which may stand several times), RFC 6591 3 and RFC 9991 (auth-failure),
RFC 9477 (List-Unsubscribe feedback names its message by CFBL-Feedback-ID).
On failure: BadFeedback with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from postroom.message.decode import decode_words
from postroom.message.fields import header_fields

_LONGEST: Final = 500
_MOST: Final = 20


class BadFeedback(ValueError):
    """Not a feedback report; the text says why."""


class Feedback(Struct, frozen=True, kw_only=True):
    """One report. type: abuse, fraud, virus, not-spam, auth-failure, opt-out, other; "" for what was not told.

    mail_from, rcpt_to: of the message it is about, as told; domains: Reported-Domain; subject, message_id, author: of
    the message, from the copy in the report. failure: of auth-failure (dkim, spf, dmarc, …); result: Delivery-Result.
    """

    type: str
    agent: str = ""
    mail_from: str = ""
    rcpt_to: tuple[str, ...] = ()
    arrival: str = ""
    source_ip: str = ""
    reporting_mta: str = ""
    domains: tuple[str, ...] = ()
    failure: str = ""
    alignment: str = ""
    result: str = ""
    dkim_domain: str = ""
    dkim_selector: str = ""
    incidents: int = 1
    feedback_id: str = ""
    subject: str = ""
    message_id: str = ""
    author: str = ""


def read_feedback(fields: bytes, original: bytes) -> Feedback:
    """fields: the body of message/feedback-report; original: the header of the message it is about, b"" without.

    Raises BadFeedback.
    """
    told = _fields(fields)
    kind = _first(told, "feedback-type").lower()
    if not kind:  # RFC 5965 3.1: required
        raise BadFeedback("it has no Feedback-Type")
    about = _fields(original)
    incidents = _first(told, "incidents")
    return Feedback(
        type=kind,
        agent=_first(told, "user-agent"),
        mail_from=_first(told, "original-mail-from").strip("<>"),
        rcpt_to=tuple(one.strip("<>") for one in told.get("original-rcpt-to", ())),
        arrival=_first(told, "arrival-date") or _first(told, "received-date"),
        source_ip=_first(told, "source-ip").strip("[]"),
        reporting_mta=_first(told, "reporting-mta"),
        domains=tuple(one.lower().removesuffix(".") for one in told.get("reported-domain", ())),
        failure=_first(told, "auth-failure").lower(),
        alignment=_first(told, "identity-alignment").lower(),
        result=_first(told, "delivery-result").lower(),
        dkim_domain=_first(told, "dkim-domain").lower(),
        dkim_selector=_first(told, "dkim-selector"),
        incidents=int(incidents) if incidents.isascii() and incidents.isdigit() and len(incidents) < 10 else 1,
        feedback_id=_first(about, "cfbl-feedback-id"),
        subject=_first(about, "subject"),
        message_id=_first(about, "message-id"),
        author=_first(about, "from"),
    )


def _fields(octets: bytes) -> dict[str, list[str]]:
    """Values by lower-case name, decoded, printable and bounded."""
    found: dict[str, list[str]] = {}
    block = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    for name, value in header_fields(block.lstrip(b"\r\n")):
        known = found.setdefault(name.decode("ascii", "replace").strip().lower(), [])
        if len(known) < _MOST:
            known.append(_shown(decode_words(value)))
    return found


def _first(found: dict[str, list[str]], name: str) -> str:
    return next(iter(found.get(name, ())), "")


def _shown(text: Iterable[str]) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:_LONGEST]
