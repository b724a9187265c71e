"""Who a message from outside says its authors are: one From field that everybody reads alike, or a refusal.

What programs read differently is how forged mail passes checks: the verifier sees one address, the reader another
(Chen et al., "Composition kills", 2020). So a field with more addresses than can be told apart, with a route, or
beside another From field is refused.
Standards: RFC 5322 3.4, 3.6.2 and 4.4 (routes); RFC 9989 5.3.1 and 11.5.
On failure: Refusal 550 5.6.0, saying what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from postroom.mailauth.header import HeaderFields
from postroom.message.addresses import Mailbox, parse
from postroom.message.decode import decode_words
from postroom.values.address import BadAddress, parse_domain
from postroom.values.refusal import Refusal

#: author domains that are looked at; more are no person's mail
MOST_DOMAINS: Final = 5
_LONGEST: Final = 16 * 1024
_QUOTED: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_COMMENT: Final = re.compile(rb"\([^()]*\)")
_ENCODED: Final = re.compile(rb"=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=")
#: a line whose name a careless reader takes for From: whatever is no letter stands around and between its letters.
#: Folded lines have often `from:` (the tag h= of signatures), but the first line continues nothing.
_SIGNS: Final = rb"[^a-z:\r\n]{0,998}+"
_LIKE_FROM: Final = re.compile(
    rb"[\r\n](?![ \t])" + _SIGNS + _SIGNS.join((b"f", b"r", b"o", b"m")) + rb"(?:[\r\n][ \t]|[^a-z:\r\n]){0,998}+:"
)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Author:
    """One address of From. name: decoded, as a reader sees it; domain: A-labels, lower case."""

    name: str
    local: str
    domain: str


def authors(fields: HeaderFields, head: bytes) -> tuple[Author, ...]:
    """The authors, at least one. fields: of the header `head`. Raises Refusal."""
    places = fields.at(b"from")
    if len(places) == 1 and readings(head) > 1:
        raise _refused("has a line that some programs take for another From field")
    if len(places) != 1:
        raise _refused("has no From field" if not places else f"has {len(places)} From fields")
    value = fields.value(places[0])
    if len(value) > _LONGEST:
        raise _refused("has a From field that is too long")
    unfolded = value.replace(b"\r\n", b"").strip()
    if _CONTROL.search(unfolded):
        raise _refused("has a From field with control characters")
    everything = parse(unfolded)
    found = [each for each in everything if each.mailbox and each.host]
    if not found:
        raise _refused("has a From field without an address")
    if not one_reading(unfolded, everything):
        raise _refused("has a From field that programs read differently")
    people = tuple(_author(each) for each in found)
    if len({person.domain for person in people}) > MOST_DOMAINS:
        raise _refused("has a From field with too many domains")
    return people


def readings(head: bytes) -> int:
    """How many lines of a header a careless reader takes for a From field."""
    return sum(1 for _ in _LIKE_FROM.finditer(b"\n" + head.lower().replace(b"\r\n", b"\n").lstrip(b" \t")))


def one_reading(value: bytes, everything: Sequence[Mailbox]) -> bool:
    """False when programs may find other addresses in a field than we do. value: unfolded; everything: as parsed."""
    found = [each for each in everything if each.mailbox and each.host]
    if any(each.route for each in found) or _at_signs(value) != len(found):
        return False
    words = (each.mailbox for each in everything if each.mailbox and not each.host)
    return not any(b"=?" in word and "@" in decode_words(word) for word in words)


def _author(found: Mailbox) -> Author:
    try:
        local = (found.mailbox or b"").decode("utf-8")
        domain = parse_domain((found.host or b"").decode("utf-8"))
    except (BadAddress, UnicodeDecodeError):
        raise _refused("has a From field with something that is no address") from None
    if "@" in local or _ENCODED.search(found.mailbox or b""):  # RFC 2047 5: no encoded word in an address
        raise _refused("has a From field that programs read differently")
    if not local.isprintable() or domain.startswith("["):
        raise _refused("has a From field with something that is no address of a domain")
    return Author(decode_words(found.name or b""), local, domain)


def _at_signs(value: bytes) -> int:
    """How many @ stand where an address can be: outside quoted strings, comments and encoded words."""
    rest = _ENCODED.sub(b"", _QUOTED.sub(b"", value))
    before = None
    while before != rest:  # comments may be nested
        before, rest = rest, _COMMENT.sub(b"", rest)
    return rest.count(b"@")


def _refused(what: str) -> Refusal:
    return Refusal(550, "5.6.0", f"The message {what}: exactly one, with one readable address, is needed")
