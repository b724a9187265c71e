"""mailto: addresses, as a method of notify.

Standards: RFC 6068 2, RFC 5436 2.1 and 2.7.
On failure: BadMailto.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from postroom.values.address import Address, BadAddress

#: recipients of one notification
_MOST: Final = 8
_LONGEST: Final = 8192
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,60}")
_PEOPLE: Final = ("to", "cc")
_OWN: Final = frozenset((*_PEOPLE, "subject", "body"))
#: RFC 5436 2.7: fields that a URI must not set
_UNSAFE: Final = frozenset(
    (
        *("auto-submitted", "received", "from", "date", "message-id", "sender", "return-path", "bcc", "delivered-to"),
        *("content-type", "content-transfer-encoding", "mime-version", "reply-to", "resent-from", "dkim-signature"),
    )
)


class BadMailto(ValueError):
    """Not an address that a notification can go to; the text says why."""


@dataclass(frozen=True, slots=True)
class Mailto:
    """to, cc: addresses; subject, body: None when the URI has none; fields: others, as (name, value)."""

    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str | None
    body: str | None
    fields: tuple[tuple[str, str], ...]


def parse_mailto(uri: str) -> Mailto:
    """Raises BadMailto."""
    scheme, colon, rest = uri.strip().partition(":")
    if scheme.lower() != "mailto" or not colon:
        raise BadMailto(f"{uri[:60]!r} is no method that is known here; mailto: is")
    if len(rest) > _LONGEST or not rest.isascii() or re.search(r"[\x00-\x20\x7f]", rest):
        raise BadMailto("characters that a URI cannot have")
    path, _, query = rest.partition("?")
    given: dict[str, list[str]] = {"to": [path]}
    fields: list[tuple[str, str]] = []
    for name, value in _pairs(query):
        key = name.lower()
        if key in _OWN:
            given.setdefault(key, []).append(value)
        elif key not in _UNSAFE:
            fields.append((name[0].upper() + name[1:], _one_line(value)))
    to, cc = (list(dict.fromkeys(each for text in given.get(key, ()) for each in _addresses(text))) for key in _PEOPLE)
    if not to and not cc:
        raise BadMailto("the URI names no address")
    if len(to) + len(cc) > _MOST:
        raise BadMailto(f"the URI names more than {_MOST} addresses")
    subject = _one_line(given["subject"][-1]) if "subject" in given else None
    body = _decoded(given["body"][-1]) if "body" in given else None
    return Mailto(tuple(to), tuple(cc), subject, body, tuple(fields))


def _pairs(query: str) -> list[tuple[str, str]]:
    """RFC 6068 2  hfields = "?" hfield *( "&" hfield ); names decoded, values not."""
    found: list[tuple[str, str]] = []
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        name = _decoded(name)
        if not equals or not _NAME.fullmatch(name):
            raise BadMailto(f"{pair[:40]!r} in the URI is no name=value")
        found.append((name, value))
    return found


def _addresses(text: str) -> list[str]:
    found: list[str] = []
    for each in text.split(","):
        if each:
            try:
                found.append(str(Address.parse(_decoded(each).strip())))
            except BadAddress:
                raise BadMailto(f"{each[:60]!r} in the URI is no address") from None
    return found


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise BadMailto("a % in the URI that encodes nothing")
    return unquote(text, errors="replace")


def _one_line(text: str) -> str:
    return " ".join(_decoded(text).split())
