"""DNS messages in octets: one question out, the answer in.

Written here because the general library takes 460 us of CPU for what takes 10: a busy server asks several questions
for each message. Only what a stub resolver needs: no zones, no updates, no signatures.
Trusts: nothing in an answer but what `matches` has compared; names and lengths are bounded, pointers go backwards only.
Standards: RFC 1035 3.1, 4.1 (messages), 5.1 (names as text); RFC 3596 2.2; RFC 6698 2.1; RFC 2782; RFC 6891 6.1;
RFC 6840 5.7 (AD in a question asks for AD in the answer, without the signatures that DO would bring); RFC 8914 2.
On failure: NoName for text that cannot be a name, Malformed for an answer that cannot be read.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from postroom.values.dns import RecordType

#: RFC 1035 3.2.2, RFC 3596 2.1, RFC 2782, RFC 6698 7.1
TYPES: Final = {
    RecordType.A: 1,
    RecordType.NS: 2,
    RecordType.CNAME: 5,
    RecordType.PTR: 12,
    RecordType.MX: 15,
    RecordType.TXT: 16,
    RecordType.AAAA: 28,
    RecordType.SRV: 33,
    RecordType.TLSA: 52,
}
_CNAME, _SOA, _OPT, _IN = 5, 6, 41, 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP = 0, 1, 2, 3, 4
#: RFC 1035 4.1.1, RFC 6895 2.3
CODES: Final = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH"}

_QR, _TC, _RD, _AD = 0x8000, 0x0200, 0x0100, 0x0020
_HEADER: Final = struct.Struct("!6H")
_RECORD: Final = struct.Struct("!HHIH")
_PAIR: Final = struct.Struct("!HH")
_TRIPLE: Final = struct.Struct("!HHH")
_QUESTION_END: Final = struct.Struct("!HH")
#: RFC 6891 6.1.2: root name, OPT, 1232 octets (no fragments on any path), no extended code, version 0, no options
_EDNS: Final = b"\0" + _RECORD.pack(_OPT, 1232, 0, 0)
_ALIASES: Final = 16  # CNAMEs of one answer that are followed
_RECORDS: Final = 2000  # records of one answer that are looked at
_FOREVER: Final = 0x7FFFFFFF  # RFC 2181 8: a TTL has 31 bits

_PLAIN: Final = re.compile(rb"[A-Za-z0-9_*/+=-]{1,63}").fullmatch
_ESCAPE: Final = re.compile(r"\\(\d{3}|.)|([^\\.]+)|(\.)", re.DOTALL)
_ASIDE: Final = re.compile(rb"[^!-~]|[.\\]")


class NoName(ValueError):
    """Text that cannot be a name: an empty or long label, too long as a whole, not ASCII (RFC 1035 2.3.4)."""


class Malformed(ValueError):
    """An answer that is cut off or makes no sense."""


class Answer(Struct, frozen=True):
    """What a server said.

    code: RCODE; records: as values.dns.Lookup has them; ttl: seconds, the least along the way, 0: not to be kept;
    authentic: AD; truncated: TC, ask again by TCP; alias: where a chain of CNAMEs ended that the answer did not
    follow, "" if it did; detail: what the server says about a failure (RFC 8914), for people.
    """

    code: int
    records: tuple[Any, ...] = ()
    ttl: int = 0
    authentic: bool = False
    truncated: bool = False
    alias: str = ""
    detail: str = ""


def question(name: str, kind: RecordType) -> bytes:
    """The question section for a name (RFC 1035 4.1.2), in lower case. Raises NoName."""
    return encode_name(name.lower()) + _QUESTION_END.pack(TYPES[kind], _IN)


def encode_name(name: str) -> bytes:
    """A name as labels; a trailing dot is optional, escapes are those of RFC 1035 5.1. Raises NoName."""
    if not name or name == ".":
        return b"\0"
    try:
        labels = name.removesuffix(".").encode("ascii").split(b".") if "\\" not in name else _unescaped(name)
    except ValueError:
        raise NoName(f"{name!r} is not ASCII") from None
    wire = b"".join([bytes((len(label),)) + label for label in labels if 0 < len(label) < 64])
    if len(wire) != sum(map(len, labels)) + len(labels):
        raise NoName(f"{name!r} has an empty label, or one of more than 63 octets")
    if len(wire) > 254:
        raise NoName(f"{name!r} is longer than 255 octets")
    return wire + b"\0"


def _unescaped(name: str) -> list[bytes]:
    labels, label = [], b""
    for escape, plain, dot in _ESCAPE.findall(name):
        if dot:
            labels.append(label)
            label = b""
        elif plain:
            label += plain.encode("ascii")
        else:
            label += bytes((int(escape),)) if len(escape) == 3 else escape.encode("ascii")
    return [*labels, label] if label else labels


def query(number: int, asked: bytes, *, edns: bool = True, authentic: bool = False) -> bytes:
    """A message that asks; authentic: say in the answer whether DNSSEC vouches for it (RFC 6840 5.7)."""
    head = _HEADER.pack(number, _RD | (_AD if authentic else 0), 1, 0, 0, 1 if edns else 0)
    return head + asked + _EDNS if edns else head + asked


def matches(data: bytes, number: int, asked: bytes) -> bool:
    """True if this is an answer to that question (RFC 5452 4.3). The header alone will do for a failure."""
    if len(data) < 12:
        return False
    found, flags, questions, answers, *_ = _HEADER.unpack_from(data)
    if found != number or not flags & _QR:
        return False
    if not questions:
        return bool(flags & 15) and not answers
    return questions == 1 and data[12 : 12 + len(asked)].lower() == asked


def read(data: bytes, asked: bytes, kind: RecordType) -> Answer:
    """An answer that `matches`. Raises Malformed."""
    _, flags, questions, answers, authorities, others = _HEADER.unpack_from(data)
    code = flags & 15
    if flags & _TC:
        return Answer(code, truncated=True)
    try:
        at = 12 + len(asked) if questions else 12
        if code not in (NOERROR, NXDOMAIN):
            return Answer(code, detail=_detail(data, at, answers + authorities, others))
        reader = _Reader(data, asked, kind)
        at = reader.answers(at, answers)
        ttl, alias = reader.ttl, reader.alias
        records = tuple(reader.records) if code == NOERROR else ()
        if not records:
            negative = _negative_ttl(data, at, authorities)
            if code == NXDOMAIN or negative is not None:
                alias = ""  # the end of the chain was looked at: it has nothing
            if not alias:
                ttl = min(ttl, negative or 0)
        return Answer(code, records, ttl, bool(flags & _AD), False, alias)
    except (IndexError, struct.error, OSError) as fault:
        raise Malformed(f"the answer is cut off: {fault}") from None


class _Reader:
    """The answer section: the records of the asked type at the end of the CNAMEs."""

    __slots__ = ("_asked", "_data", "_number", "_parse", "alias", "records", "ttl")

    def __init__(self, data: bytes, asked: bytes, kind: RecordType) -> None:
        self._data = data
        self._asked = asked
        self._number = TYPES[kind]
        self._parse = _PARSERS[kind]
        self.alias = ""
        self.ttl = _FOREVER
        self.records: list[Any] = []

    def answers(self, at: int, count: int) -> int:
        """Read so many records from there on; where the next section begins."""
        if count > _RECORDS:
            raise Malformed(f"{count} records in one answer")
        data, number, name = self._data, self._number, self._asked[:-4]
        found: list[tuple[str, int, int, int, int]] = []  # owner ("": the asked name), type, TTL, start, end
        for _ in range(count):
            if data[at] == 0xC0 and data[at + 1] == 12:
                owner, at = "", at + 2
            elif data.startswith(name, at):
                owner, at = "", at + len(name)
            else:
                owner, at = read_name(data, at)
            type_, class_, ttl, length = _RECORD.unpack_from(data, at)
            at += 10 + length
            if at > len(data):
                raise Malformed("the answer is cut off")
            if class_ == _IN and type_ in (number, _CNAME):
                found.append((owner, type_, ttl, at - length, at))
        if found:
            self._follow(found)
        return at

    def _follow(self, found: list[tuple[str, int, int, int, int]]) -> None:
        """Go along the CNAMEs from the asked name to the records."""
        data, number = self._data, self._number
        plain = all(name == "" and type_ == number for name, type_, *_ in found)
        asked, owner = "" if plain else read_name(self._asked, 0)[0], ""
        for _ in range(_ALIASES):
            step = ""
            for name, type_, ttl, start, end in found:
                if (name or asked) != (owner or asked):
                    continue
                if type_ == number:
                    self.records.append(self._parse(data, start, end))
                elif not step:
                    step = read_name(data, start)[0]
                else:
                    continue
                self.ttl = min(self.ttl, ttl if ttl <= _FOREVER else 0)
            if self.records or not step:
                break
            owner = step
        else:
            raise Malformed("too many CNAMEs")
        self.alias = "" if self.records else owner


def _negative_ttl(data: bytes, at: int, count: int) -> int | None:
    """RFC 2308 5: the lesser of the SOA's TTL and its last field; None without one, such an answer is not kept."""
    for _ in range(min(count, _RECORDS)):
        at = _skip_name(data, at)
        type_, _, ttl, length = _RECORD.unpack_from(data, at)
        at += 10 + length
        if type_ == _SOA and length >= 22:
            minimum = int.from_bytes(data[at - 4 : at], "big")
            return min(ttl, minimum) if max(ttl, minimum) <= _FOREVER else 0
    return None


def _detail(data: bytes, at: int, skip: int, count: int) -> str:
    """RFC 8914 2: the reason of a failure, if the server gives one; "" otherwise."""
    for place in range(min(skip + count, _RECORDS)):
        at = _skip_name(data, at)
        type_, _, _, length = _RECORD.unpack_from(data, at)
        at += 10
        if type_ == _OPT and place >= skip:
            return _extended_error(data[at : at + length])
        at += length
    return ""


def _extended_error(options: bytes) -> str:
    at = 0
    while at + 4 <= len(options):
        option, length = _PAIR.unpack_from(options, at)
        value = options[at + 4 : at + 4 + length]
        at += 4 + length
        if option == 15 and len(value) >= 2:
            code = int.from_bytes(value[:2], "big")
            words = _MEANINGS.get(code, f"extended error {code}")
            text = value[2:202].decode("utf-8", "replace").rstrip("\0")
            return f"{words}: {text}" if text.isprintable() and text else words
    return ""


#: RFC 8914 4: those that explain why mail cannot go on
_MEANINGS: Final = {
    3: "stale answer",
    6: "DNSSEC: the signatures are wrong",
    7: "DNSSEC: a signature has expired",
    8: "DNSSEC: a signature is not valid yet",
    9: "DNSSEC: a key is missing",
    10: "DNSSEC: a signature is missing",
    12: "DNSSEC: proof that there is none is missing",
    15: "blocked",
    16: "censored",
    17: "filtered",
    18: "prohibited",
    22: "the domain's servers do not answer",
    23: "the network does not carry the question",
}

# names


def read_name(data: bytes, at: int) -> tuple[str, int]:
    """The name that begins at `at`, lower case without the trailing dot, and where it ends. Raises Malformed."""
    labels: list[bytes] = []
    end = 0  # behind the first pointer
    start = at
    total = 0
    while length := data[at]:
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | data[at + 1]
            if target >= start:
                raise Malformed("a name points forwards")
            end = end or at + 2
            start = at = target
            continue
        if length > 63:
            raise Malformed("a label of an unknown kind")
        label = data[at + 1 : at + 1 + length]
        labels.append(label)
        at += 1 + length
        total += 1 + length
        if total > 254:
            raise Malformed("a name of more than 255 octets")
    text = ".".join([(label if _PLAIN(label) else _escaped(label)).decode("ascii") for label in labels])
    return text.lower(), end or at + 1


def _escaped(label: bytes) -> bytes:
    """RFC 1035 5.1: so that no peer can smuggle a dot or a line break into a name."""
    return _ASIDE.sub(lambda m: b"\\" + m[0] if m[0] in b".\\" else b"\\%03d" % m[0][0], label)


def _skip_name(data: bytes, at: int) -> int:
    while length := data[at]:
        if length >= 0xC0:
            return at + 2
        at += 1 + length
    return at + 1


# records


def _a(data: bytes, start: int, end: int) -> str:
    return socket.inet_ntoa(data[start:end])


def _aaaa(data: bytes, start: int, end: int) -> str:
    try:
        return socket.inet_ntop(socket.AF_INET6, data[start:end])
    except ValueError as fault:
        raise Malformed(str(fault)) from None


def _host(data: bytes, start: int, end: int) -> str:
    return read_name(data, start)[0]


def _mx(data: bytes, start: int, end: int) -> tuple[int, str]:
    return int.from_bytes(data[start : start + 2], "big"), read_name(data, start + 2)[0]


def _srv(data: bytes, start: int, end: int) -> tuple[int, int, int, str]:
    priority, weight, port = _TRIPLE.unpack_from(data, start)
    return priority, weight, port, read_name(data, start + 6)[0]


def _txt(data: bytes, start: int, end: int) -> bytes:
    if start + 1 + data[start] == end:
        return data[start + 1 : end]
    strings = []
    while start < end:
        length = data[start]
        strings.append(data[start + 1 : start + 1 + length])
        start += 1 + length
    if start != end:
        raise Malformed("a TXT record with a string that is cut off")
    return b"".join(strings)


def _tlsa(data: bytes, start: int, end: int) -> tuple[int, int, int, bytes]:
    if end - start < 3:
        raise Malformed("a TLSA record that is cut off")
    return data[start], data[start + 1], data[start + 2], data[start + 3 : end]


_PARSERS: Final[dict[RecordType, Callable[[bytes, int, int], Any]]] = {
    RecordType.A: _a,
    RecordType.AAAA: _aaaa,
    RecordType.MX: _mx,
    RecordType.TXT: _txt,
    RecordType.PTR: _host,
    RecordType.CNAME: _host,
    RecordType.NS: _host,
    RecordType.SRV: _srv,
    RecordType.TLSA: _tlsa,
}
