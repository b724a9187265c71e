"""Mail addresses and domains, parsed once at the edge (RFC 5321 4.1.2, RFC 6531 3.3).

A value that exists is valid. `Domain` is lower-case A-labels without a trailing dot, or an address literal in
brackets. The local part is kept as the sender wrote it (quotes removed); `Address.key` is what look-ups use.
On failure: BadAddress, with the text that was refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

# RFC 5321 4.1.2  Atom = 1*atext; Dot-string = Atom *("." Atom)
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_UTF8_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\x80-\U0010ffff]"
_UTF8_DOT_STRING = re.compile(rf"{_UTF8_ATEXT}+(?:\.{_UTF8_ATEXT}+)*")
# RFC 5321 4.1.2  Quoted-string = DQUOTE *QcontentSMTP DQUOTE
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\U0010ffff]|\\[\x20-\x7e])*)"')
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LITERAL = re.compile(r"\[(?:\d{1,3}(?:\.\d{1,3}){3}|IPv6:[0-9A-Fa-f:.]{2,45})\]", re.IGNORECASE)
#: octets of a local part that begins so
_LONGEST = {"SRS0": 200, "SRS1": 200, "PRVS": 80}
_UNQUOTE = re.compile(r"\\(.)")
_NEEDS_ESCAPE = re.compile(r'(["\\])')


class BadAddress(ValueError):
    """Text that is no mail address or domain."""


@lru_cache(maxsize=4096)
def parse_domain(text: str) -> str:
    """The domain as DNS sees it: lower-case A-labels, no trailing dot; or an address literal as written.

    RFC 5321 4.1.2 and 4.5.3.1.2 (255 octets), RFC 5890 for U-labels. Raises BadAddress.
    """
    if _LITERAL.fullmatch(text):
        return text.lower()
    name = text.removesuffix(".")
    if not name.isascii():
        name = _to_ascii(name)
    if not name or len(name) > 255 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise BadAddress(text)
    return name.lower()


def _to_ascii(name: str) -> str:
    import idna  # only mail with international domains needs it

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as fault:
        raise BadAddress(name) from fault


def _parse_local(text: str) -> str:
    """The local part without quoting. RFC 5321 4.5.3.1.1: 64 octets at most; more in return addresses (SRS, BATV).

    Those hold a whole address, and whoever gave one out must take it back.
    """
    longest = _LONGEST.get(text[:4].upper(), 64)
    if len(text.encode("utf-8", "surrogatepass")) > longest + 2 * text.startswith('"'):
        raise BadAddress(text)
    if _DOT_STRING.fullmatch(text) or _UTF8_DOT_STRING.fullmatch(text):
        return text
    quoted = _QUOTED.fullmatch(text)
    if not quoted:
        raise BadAddress(text)
    return _UNQUOTE.sub(r"\1", quoted[1])


@dataclass(frozen=True, slots=True)
class Address:
    """One mail address; `local` without quotes, `domain` as A-labels."""

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `local@domain` as it stands between < and >. Raises BadAddress."""
        local, at, domain = text.rpartition("@")
        if not at:
            raise BadAddress(text)
        return cls(_parse_local(local), parse_domain(domain))

    @property
    def key(self) -> str:
        """What directory look-ups compare: case folded (log-ins and hosted local parts ignore case)."""
        return f"{self.local.casefold()}@{self.domain}"

    @property
    def ascii(self) -> bool:
        """True when a peer without SMTPUTF8 can be given this address (RFC 6531 3.2)."""
        return self.local.isascii()

    def __str__(self) -> str:
        """The address as SMTP prints it, quoted where RFC 5321 4.1.2 asks for it."""
        if _UTF8_DOT_STRING.fullmatch(self.local):
            return f"{self.local}@{self.domain}"
        escaped = _NEEDS_ESCAPE.sub(r"\\\1", self.local)
        return f'"{escaped}"@{self.domain}'
