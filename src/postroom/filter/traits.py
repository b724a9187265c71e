"""Findings about the header: what is missing, twice, or does not fit together.

Pure; trusts nothing. On failure: never.
Standards: RFC 5322 3.6 (which fields there must be, and how often).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from postroom.filter.links import organisation
from postroom.filter.scoring import Reason
from postroom.filter.seen import Seen
from postroom.message.decode import parse_addresses

_ADDRESS: Final = re.compile(r"[^\s<>@\"']{1,64}@([A-Za-z0-9.-]{1,200}\.[A-Za-z]{2,24})")
_FREE: Final = frozenset((
    "gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "aol.com", "gmx.de", "gmx.net", "web.de", "mail.ru",
    "proton.me", "protonmail.com", "icloud.com", "yandex.ru", "yandex.com", "mail.com", "zoho.com",
))  # fmt: skip
_ONCE: Final = ("date", "message-id", "subject", "reply-to", "to", "cc", "sender")
#: how lists and services name those for whom they write
_VIA: Final = re.compile(r"\b(?:via|by way of|per|über|par)\b", re.IGNORECASE)
_DAY: Final = 86400.0


def traits(seen: Seen, age: float | None) -> Iterator[Reason]:
    """age: seconds since the time in Date, None without one."""
    yield from _missing(seen, age)
    yield from _twice(seen)
    yield from _authors(seen)
    yield from _body(seen)


def _missing(seen: Seen, age: float | None) -> Iterator[Reason]:
    if not seen.values("date"):
        yield Reason("NO_DATE", 0.6, "it has no Date field")
    elif age is None:
        yield Reason("BAD_DATE", 0.8, "its Date field cannot be read")
    elif age < -_DAY:
        yield Reason("DATE_AHEAD", 1.5, "its date lies in the future")
    elif age > 14 * _DAY:
        yield Reason("DATE_OLD", 0.5, "its date is more than two weeks ago")
    if not seen.message_id:
        yield Reason("NO_MESSAGE_ID", 0.5, "it has no Message-ID field")
    if not seen.values("to") and not seen.values("cc"):
        yield Reason("NO_TO", 0.1, "it names no recipient")
    if not seen.subject:
        yield Reason("NO_SUBJECT", 0.2, "it has no subject")


def _twice(seen: Seen) -> Iterator[Reason]:
    for name in _ONCE:
        if len(seen.values(name)) > 1:
            yield Reason("FIELD_TWICE", 1.5, f"the field {name} stands there twice")
            return


def _authors(seen: Seen) -> Iterator[Reason]:
    if not seen.authors:
        return
    author = seen.authors[0]
    domain = author.domain.lower()
    for match in _ADDRESS.finditer(author.name[:300]):
        if organisation(match[1].lower()) != organisation(domain):
            by = seen.values("list-id") or _VIA.search(author.name[:300])
            yield Reason(
                "NAME_IS_ADDRESS",
                0.3 if by else 2.5,
                f"the name of the sender shows {match[0]}, but it is from {author.address}",
            )
            break
    replies = [one for value in seen.values("reply-to") for one in parse_addresses(value.encode())]
    if replies and domain:
        other = replies[0].domain.lower()
        if other in _FREE and domain != other and domain not in _FREE and not seen.values("list-id"):
            yield Reason("REPLY_ELSEWHERE", 0.8, f"answers would go to a free address, {replies[0].address}")


def _body(seen: Seen) -> Iterator[Reason]:
    words = len(seen.text.split(None, 20))  # no more than these are asked about
    if seen.html and words < 20 and seen.links and "<img" in seen.html.lower():
        yield Reason("ONLY_PICTURE", 1.2, "it shows a picture instead of text")
    if words < 5 and seen.links:
        yield Reason("ONLY_LINK", 1.0, "it is little more than a link")
    if seen.plain.strewn + seen.subject_plain.strewn >= 4:
        yield Reason("INVISIBLE", 2.0, "invisible characters are strewn into its words")
    if seen.plain.mixed + 3 * seen.subject_plain.mixed >= 3:
        yield Reason("MIXED_ALPHABETS", 2.0, "its words mix alphabets that look alike")
