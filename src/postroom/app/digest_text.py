"""The words of the digest of a quarantine: plain text and HTML that say the same.

Pure. Trusts nothing: names and subjects are one line of printable characters, cut to a length, and escaped in HTML;
nothing in the mail is loaded from elsewhere.
On failure: never.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import quote

from postroom.intake import trace
from postroom.message.compose import Letter, Person, compose
from postroom.store.api import QuarantineItem
from postroom.values.address import Address

_SHOWN: Final = 100
_LONGEST: Final = 120
_WIDTH: Final = 76


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What is told. items: newest first; links: of items by id, none without a web address; addresses: the same,
    to write to; administrator: whom to ask;
    days: for which mail is kept; zone: seconds east of Greenwich.
    """

    login: str
    items: Sequence[QuarantineItem]
    links: Mapping[str, str]
    addresses: Mapping[str, str]
    administrator: str
    days: float
    zone: int


def message(digest: Digest, entry: str, now: float) -> bytes:
    """The mail, CR LF everywhere. entry: its queue id; now: Unix seconds."""
    to = Address.parse(digest.login)
    count = len(digest.items)
    letter = Letter(
        author=Person(Address("postmaster", to.domain), "Mail server"),
        date=trace.date_time(now),
        message_id=f"{entry}@{to.domain}",
        seed=entry,
        to=(Person(to),),
        subject=f"{_messages(count)} in your quarantine",
        fields=(*_answered_by(digest), ("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")),
        text=plain(digest),
        html=html(digest),
    )
    return b"".join(compose(letter))


def _answered_by(digest: Digest) -> tuple[tuple[str, str], ...]:
    """Of one message an answer says which is meant."""
    address = digest.addresses.get(digest.items[0].id) if len(digest.items) == 1 else None
    return (("Reply-To", address),) if address else ()


def _messages(count: int) -> str:
    return "1 new message" if count == 1 else f"{count} new messages"


def _opening(digest: Digest) -> str:
    count = len(digest.items)
    which = "this message" if count == 1 else "these messages"
    them = "it" if count == 1 else "them"
    return (
        f"The spam filter has kept {which} apart: {'it is' if count == 1 else 'they are'} not in your mailboxes."
        f" Nothing needs to be done: what nobody asks for is gone {digest.days:g} days after it came."
        f" If you miss mail and want {them}:"
    )


def _way(digest: Digest) -> str:
    ways = []
    if digest.links:
        ways.append("follow the link of a message")
    if _answered_by(digest):
        ways.append("answer this mail")
    elif digest.addresses:
        ways.append("write any mail to the address of a message")
    if ways:
        text = f"{' or '.join(ways)}. It comes to your inbox then, and nobody else is told."
        own = " It must be sent from the account that this mail came to." if digest.addresses else ""
        return text[0].upper() + text[1:] + own
    return (
        f"Ask your administrator ({digest.administrator}) to release it, and give the number of the message. "
        "It comes to your inbox then."
    )


def _rest(digest: Digest) -> str:
    more = len(digest.items) - _SHOWN
    return f"And {more} more, older than these; your administrator can list them." if more > 0 else ""


def plain(digest: Digest) -> str:
    """The text."""
    blocks = [_wrapped(_opening(digest)), _wrapped(_way(digest))]
    for item in digest.items[:_SHOWN]:
        lines = [
            f"From:     {_line(item.author or item.sender or 'nobody (a report)')}",
            f"Subject:  {_line(item.subject or 'none')}",
            f"Came:     {_moment(item.received, digest.zone)}",
            f"Because:  {_line(item.why)} (score {item.score:.1f})",
        ]
        link = digest.links.get(item.id)
        address = digest.addresses.get(item.id)
        lines += [f"Release:  {link}"] if link else []
        lines += [f"Write to: {address}"] if address else []
        if not (link or address):
            lines.append(f"Number:   {item.id}{_guard(item)}")
        blocks.append("\n".join(lines))
    blocks.append(_rest(digest))
    return "\n\n".join(block for block in blocks if block) + "\n"


def html(digest: Digest) -> str:
    """The same, as a table."""
    cell = '<td style="padding:4px 8px;border-bottom:1px solid #ccc;vertical-align:top">'
    rows = []
    for item in digest.items[:_SHOWN]:
        link = digest.links.get(item.id)
        address = digest.addresses.get(item.id)
        ways = [f'<a href="{escape(link)}">Release</a>'] if link else []
        if address:
            ways.append(f'<a href="mailto:{quote(address, safe="@")}?subject=Release">Release by mail</a>')
        last = "<br>".join(ways) or escape(f"{item.id}{_guard(item)}")
        told = (
            escape(_line(item.author or item.sender or "nobody (a report)")),
            escape(_line(item.subject or "none")),
            escape(_moment(item.received, digest.zone)),
            escape(f"{_line(item.why)} (score {item.score:.1f})"),
            last,
        )
        rows.append("<tr>" + "".join(f"{cell}{text}</td>" for text in told) + "</tr>\n")
    heads = ("From", "Subject", "Came", "Because", "Release" if digest.links or digest.addresses else "Number")
    head = "".join(f'<th style="padding:4px 8px;text-align:left">{one}</th>' for one in heads)
    rest = _rest(digest)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Quarantine</title></head>\n'
        f'<body style="font-family:sans-serif">\n<p>{escape(_opening(digest))}</p>\n<p>{escape(_way(digest))}</p>\n'
        f'<table style="border-collapse:collapse">\n<tr>{head}</tr>\n{"".join(rows)}</table>\n'
        f"{f'<p>{escape(rest)}</p>' if rest else ''}</body></html>\n"
    )


def _guard(item: QuarantineItem) -> str:
    return " (only your administrator can release it)" if item.guarded else ""


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH))


def _line(text: str) -> str:
    """One line of printable characters; a sender's text must not look like another line of ours."""
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "\u2026"


def _moment(seconds: float, zone: int) -> str:
    return datetime.fromtimestamp(seconds + zone, UTC).strftime("%Y-%m-%d %H:%M")
