"""What people read in a message: header text, addresses, dates, message ids, and content without its encodings.

Trusts nothing; text that is not encoded as it should be is shown as well as can be.
Standards: RFC 2047 (encoded words), RFC 2231 (parameters), RFC 6532 (8-bit header), RFC 5322 3.4 and 3.6.4.
On failure: never, except decode_transfer (UndecodableContent).
"""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

from postroom.message.addresses import parse
from postroom.message.charsets import Guess, to_text
from postroom.message.dates import ParsedDate, parse_date
from postroom.message.parameters import Parameters, decode_extended, parse_type, parse_value
from postroom.message.transfer import UndecodableContent, decode_base64, decode_pieces, decode_transfer

__all__ = [
    "NamedAddress",
    "ParsedDate",
    "UndecodableContent",
    "decode_parameters",
    "decode_pieces",
    "decode_transfer",
    "decode_words",
    "message_ids",
    "parse_addresses",
    "parse_date",
    "readable",
    "to_text",
]

# RFC 2047 2  encoded-word = "=?" charset "?" encoding "?" encoded-text "?="; RFC 2231 5 adds *language
_WORD = re.compile(rb"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,60})?\?([BbQq])\?([^?\r\n]*)\?=")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_LINE_END = re.compile(rb"[\r\n]+")
_MESSAGE_ID = re.compile(rb"<([^<>]{1,995})>")
_MAX_IDS = 1_000


class NamedAddress(NamedTuple):
    """An address of a header field as people see it. domain "" when there was none; group: the group it is in."""

    name: str
    local: str
    domain: str
    group: str = ""

    @property
    def address(self) -> str:
        """local@domain, or only the local part."""
        return f"{self.local}@{self.domain}" if self.domain else self.local


def decode_words(raw: bytes, guess: Guess | None = None) -> str:
    """The text of an unstructured value or phrase: unfolded, encoded words decoded, 8-bit octets as UTF-8 or guessed.

    RFC 2047 6.2: white space between two encoded words is not shown. Words of one charset are joined before they
    are decoded, because writers cut characters in two. guess: shared by all texts of one message.
    """
    if b"\n" in raw:
        raw = _LINE_END.sub(b" ", _FOLD.sub(b"", raw))
    if b"=?" not in raw:
        if raw.isascii():
            return raw.decode("ascii")
        return to_text(raw, guess=guess)
    guess = guess or Guess()
    out: list[str] = []
    charset = ""
    octets: list[bytes] = []  # of words that follow each other in one charset
    at = 0
    for word in _WORD.finditer(raw):
        between = raw[at : word.start()]
        label = word[1].decode("latin-1").lower()
        if octets and (between.strip() or label != charset):
            out.append(to_text(b"".join(octets), charset, guess))
            octets = []
        if between.strip() or at == 0:
            out.append(to_text(between, guess=guess))
        charset = label
        octets.append(_word_octets(word[2], word[3]))
        at = word.end()
    if octets:
        out.append(to_text(b"".join(octets), charset, guess))
    out.append(to_text(raw[at:], guess=guess))
    return "".join(out)


def readable(raw: bytes) -> tuple[str, bytes]:
    """As decode_words; and when charsets do not fit or are missing, the octets without MIME encoding, else b"".

    RFC 5255 4.6: those are what such values are ordered by.
    """
    if raw.isascii() and b"=?" not in raw:
        return raw.decode("ascii"), b""
    guess = Guess()
    text = decode_words(raw, guess)
    return text, _without_words(raw) if guess.asked or "\ufffd" in text else b""


def _without_words(raw: bytes) -> bytes:
    """Encoded words undone, whatever their charsets."""
    raw = _LINE_END.sub(b" ", _FOLD.sub(b"", raw))
    out, at = [], 0
    for word in _WORD.finditer(raw):
        between = raw[at : word.start()]
        if between.strip() or at == 0:
            out.append(between)
        out.append(_word_octets(word[2], word[3]))
        at = word.end()
    return b"".join([*out, raw[at:]])


def _word_octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"Bb":
        return decode_base64(text)
    return binascii.a2b_qp(text, header=True)  # RFC 2047 4.2: "_" is a space


def decode_parameters(raw: bytes, guess: Guess | None = None) -> dict[str, str]:
    """Parameters of a Content-Type or Content-Disposition value by lower-case name, fully decoded.

    name* wins over name: it is the one that says its charset (RFC 2231 4).
    """
    guess = guess or Guess()
    parsed = parse_type(raw)
    found: Parameters
    if parsed is not None:
        found = parsed[2]
    else:
        word = parse_value(raw)
        found = word[1] if word is not None else []
    plain: dict[str, str] = {}
    extended: dict[str, str] = {}
    for name, value in found:
        key = name.decode("latin-1").lower()
        if key.endswith("*"):
            charset, octets = decode_extended(value)
            extended.setdefault(key[:-1], to_text(octets, charset.decode("latin-1"), guess))
        else:
            plain.setdefault(key, decode_words(value, guess))
    return plain | extended


def parse_addresses(raw: bytes) -> list[NamedAddress]:
    """The addresses of a From, To, … value in order; members of groups carry the group's name."""
    found: list[NamedAddress] = []
    group = ""
    guess = Guess()
    for name, _, mailbox, host in parse(_FOLD.sub(b"", raw)):
        if host is None:
            group = decode_words(mailbox, guess) if mailbox else ""
        else:
            local, domain = (to_text(octets or b"", guess=guess) for octets in (mailbox, host))
            found.append(NamedAddress(decode_words(name or b"", guess), local, domain, group))
    return found


def message_ids(raw: bytes) -> list[bytes]:
    """The message ids of Message-ID, In-Reply-To or References, with their angle brackets (RFC 5322 3.6.4).

    White space that folding put inside an id is dropped. A value without brackets gives the words that have an "@".
    """
    found = [b"<%b>" % b"".join(each.split()) for each in _MESSAGE_ID.findall(raw)[:_MAX_IDS]]
    if not found and b"<" not in raw:
        found = [b"<%b>" % word for word in raw.split()[:_MAX_IDS] if b"@" in word]
    return found
