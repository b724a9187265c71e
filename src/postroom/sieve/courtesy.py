"""May an answer be sent to this message: only to people, who wrote to the user, by themselves.

Standards: RFC 5230 4.5, 4.6; RFC 3834 2; RFC 5436 2.7; RFC 2919 and RFC 2369 (list fields); RFC 2142.
On failure: never.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from postroom.sieve.mail import Header

_LIST_FIELDS: Final = (
    *("list-id", "list-help", "list-subscribe", "list-unsubscribe", "list-post", "list-owner", "list-archive"),
    *("list-unsubscribe-post", "mailing-list", "x-mailing-list", "x-list"),
)
_TO: Final = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
#: RFC 5230 4.6: who does not read answers
_ROBOTS: Final = re.compile(
    r"(mailer-daemon|listserv|majordomo|listproc|mailman|autoresponder|bounces?|no-?reply|donotreply|do-not-reply"
    r"|daemon|uucp|ftp|www-data|root|owner-.*|.*-request|.*-owner|.*-bounces?|bounces?[+=-].*|.*-noreply|prvs=.*-bounces?)"
)


def by_program(header: Header) -> bool:
    """RFC 3834 5: does it say so itself."""
    return any(value.partition(";")[0].strip().lower() != "no" for value in header.values("auto-submitted"))


def automatic(header: Header) -> str:
    """Why a message was not written by a person; "" when nothing says so."""
    if by_program(header):
        return "it says that a program sent it (Auto-Submitted)"
    for value in header.values("precedence"):
        if value.strip().lower() in ("bulk", "junk", "list"):
            return f"it says that it is {value.strip().lower()} mail (Precedence)"
    for name in _LIST_FIELDS:
        if header.has(name):
            return f"it came through a mailing list ({name})"
    if header.has("x-auto-response-suppress") and not set(
        re.split(r"[ ,]+", ",".join(header.values("x-auto-response-suppress")).lower())
    ).isdisjoint(("oof", "all", "autoreply")):
        return "it asks for no automatic answer (X-Auto-Response-Suppress)"
    if header.has("feedback-id") or header.has("x-autoreply") or header.has("x-autorespond"):
        return "it is automatic mail"
    return ""


def why_silent(header: Header, sender: str, own: Collection[str]) -> str:
    """Why no vacation answer goes to this message; "" when one may.

    sender: of the envelope, "" for <>; own: the user's addresses, in lower case.
    """
    if not sender:
        return "it has no sender, so it is a report"
    local = sender.rpartition("@")[0].lower()
    if _ROBOTS.fullmatch(local):
        return f"nobody reads mail to {sender}"
    if sender.lower() in own:
        return "the user has sent it"
    reason = automatic(header)
    if reason:
        return reason
    written_to = {address.address.lower() for name in _TO for address in header.addresses(name)}
    if written_to.isdisjoint(own):
        return "it is not addressed to the user (To, Cc)"
    return ""
