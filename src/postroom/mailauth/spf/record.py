"""SPF records: chosen among the TXT records of a name and read by the grammar (RFC 7208 4.5, 4.6, 5, 6, 12).

Any syntax error anywhere makes the whole record unusable (RFC 7208 4.6), so all of it is read before any of it counts.
Trust: a record is a stranger's text of up to 64 KiB; reading it is linear, and more than LONGEST_RECORD is refused.
Ownership: records are immutable, and the short ones are kept read (the same few hundred are asked for all day).
On failure: BadRecord, with the term and what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from postroom.mailauth.names import shown
from postroom.mailauth.spf.client import QNUM, ipv4_number
from postroom.mailauth.spf.macro import BadMacro, MacroString, letters_of, parse_domain_spec, parse_macros
from postroom.mailauth.spf.result import Result

#: octets; the largest ones seen are lists of 200 networks (about 5 KiB), and RFC 7208 3.4 asks for 450
LONGEST_RECORD: Final = 16384
#: records with more octets or terms are read anew each time, so that strangers cannot fill the memory
_KEPT_OCTETS: Final = 2048
_KEPT_TERMS: Final = 96

_VERSION: Final = b"v=spf1"
_QUALIFIERS: Final = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}
# RFC 7208 4.6.1  name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
_MODIFIER: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)", re.DOTALL)
_DIRECTIVE: Final = re.compile(r"([+\-~?]?)([A-Za-z][A-Za-z0-9_.-]*)(.*)", re.DOTALL)
# RFC 7208 5.6  dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]
_DUAL: Final = re.compile(r"(?::(.*?))?(?:/(\d+))?(?://(\d+))?", re.DOTALL)
_NETWORK: Final = re.compile(r":([0-9A-Fa-f:.]+)(?:/(\d+))?")
#: most terms of most records
_IP4_TERM: Final = re.compile(rf"([+\-~?]?)ip4:{QNUM}\.{QNUM}\.{QNUM}\.{QNUM}(?:/(3[0-2]|[12]\d|\d))?", re.IGNORECASE)
_PREFIX: Final = re.compile(r"0|[1-9]\d{0,2}")

#: RFC 7208 4.6.4: the mechanisms that ask the DNS
ASKING: Final = frozenset({"include", "a", "mx", "ptr", "exists"})


class BadRecord(ValueError):
    """A record that cannot be used: `term` is where, `why` is what is wrong."""

    def __init__(self, term: str, why: str) -> None:
        super().__init__(f'"{shown(term, 80)}": {why}' if term else why)
        self.term = term
        self.why = why


@dataclass(frozen=True, slots=True)
class Target:
    """A domain-spec. personal: it names the sender's local part, which has no place in the DNS when it is not ASCII."""

    text: str
    pieces: MacroString
    letters: frozenset[str]

    @property
    def personal(self) -> bool:
        """RFC 8616 4: %{s} and %{l}."""
        return not self.letters.isdisjoint("sl")


@dataclass(frozen=True, slots=True)
class Directive:
    """One mechanism with its qualifier.

    text: as published. result: what a match means. target: None stands for the current domain.
    prefix4, prefix6: bits that must be equal. network: the number of an ip4: or ip6: address.
    """

    text: str
    result: Result
    mechanism: str
    target: Target | None = None
    prefix4: int = 32
    prefix6: int = 128
    network: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was read. redirect is None where an "all" makes it void (RFC 7208 5.1)."""

    text: str
    directives: tuple[Directive, ...]
    redirect: Target | None = None
    explanation: Target | None = None


def choose_record(texts: Sequence[bytes]) -> bytes | None:
    """The one that begins with v=spf1 (RFC 7208 4.5); None when there is none. Raises BadRecord for several."""
    found = [text for text in texts if text[:6].lower() == _VERSION and text[6:7] in {b"", b" "}]
    if len(found) > 1:
        raise BadRecord("", f"it publishes {len(found)} records that begin with v=spf1; exactly one is allowed")
    return found[0] if found else None


def parse_record(text: bytes) -> Record:
    """Read a record that begins with v=spf1. Raises BadRecord."""
    if len(text) > LONGEST_RECORD:
        raise BadRecord("", f"it is longer than {LONGEST_RECORD} octets")
    few = len(text) <= _KEPT_OCTETS and text.count(b" ") <= _KEPT_TERMS
    return _kept(text) if few else _parse(text)


def _parse(text: bytes) -> Record:
    if not text.isascii():
        raise BadRecord("", "it has characters that are not ASCII")
    plain = text.decode("ascii")
    directives: list[Directive] = []
    modifiers: dict[str, Target] = {}
    for term in plain[len(_VERSION) :].split(" "):
        if not term:
            continue
        usual = _IP4_TERM.fullmatch(term)
        if usual:
            directives.append(_usual(usual))
            continue
        modifier = _MODIFIER.fullmatch(term)
        try:
            if modifier:
                _add_modifier(term, modifier[1].lower(), modifier[2], modifiers)
            else:
                directives.append(_directive(term))
        except BadMacro as fault:
            raise BadRecord(term, str(fault)) from None
    redirect = modifiers.get("redirect")
    if any(one.mechanism == "all" for one in directives):
        redirect = None
    return Record(plain, tuple(directives), redirect, modifiers.get("exp"))


_kept = lru_cache(maxsize=512)(_parse)


def _usual(found: re.Match[str]) -> Directive:
    """ip4: without faults."""
    sign, one, two, three, four, prefix = found.groups()
    network = int(one) << 24 | int(two) << 16 | int(three) << 8 | int(four)
    return Directive(found[0], _QUALIFIERS[sign or "+"], "ip4", None, int(prefix) if prefix else 32, 128, network)


def _target(text: str) -> Target:
    pieces = parse_domain_spec(text)
    return Target(text, pieces, letters_of(pieces))


def _add_modifier(term: str, name: str, value: str, known: dict[str, Target]) -> None:
    """RFC 7208 6: redirect and exp once each; the value of any other must be a macro string."""
    if name not in {"redirect", "exp"}:
        parse_macros(value)
        return
    if name in known:
        raise BadRecord(term, f"{name}= stands twice")
    known[name] = _target(value)


def _directive(term: str) -> Directive:
    found = _DIRECTIVE.fullmatch(term)
    if not found:
        raise BadRecord(term, "it is no mechanism and no modifier")
    result = _QUALIFIERS[found[1] or "+"]
    name, rest = found[2].lower(), found[3]
    if name == "all":
        if rest:
            raise BadRecord(term, '"all" takes nothing after it')
        return Directive(term, result, name)
    if name in {"ip4", "ip6"}:
        return _network(term, result, name, rest)
    if name not in ASKING:
        raise BadRecord(term, _unknown(name))
    return _asking(term, result, name, rest)


def _unknown(name: str) -> str:
    if name in {"redirect", "exp"}:
        return f'a modifier needs "=": {name}=...'
    near = {"ipv4": "ip4", "ip": "ip4", "ipv6": "ip6"}.get(name)
    return f"there is no such mechanism{f'; {near}: is meant' if near else ''}"


def _asking(term: str, result: Result, name: str, rest: str) -> Directive:
    if name in {"a", "mx"}:
        parts = _DUAL.fullmatch(rest)
        if not parts:
            raise BadRecord(term, f'after "{name}" comes ":" with a domain name, "/" with a length, or nothing')
        spec, four, six = parts.groups()
        target = None if spec is None else _target(spec)
        return Directive(term, result, name, target, _prefix(term, four, 32), _prefix(term, six, 128))
    if rest and rest[0] != ":":
        raise BadRecord(term, f'after "{name}" comes ":" with a domain name{" or nothing" * (name == "ptr")}')
    if not rest and name != "ptr":
        raise BadRecord(term, f"{name} needs a domain name")
    return Directive(term, result, name, _target(rest[1:]) if rest else None)


def _prefix(term: str, digits: str | None, most: int) -> int:
    """RFC 7208 5.6: a number without leading zeros."""
    if digits is None:
        return most
    if not _PREFIX.fullmatch(digits) or int(digits) > most:
        raise BadRecord(term, f"/{shown(digits, 20)} is no length from 0 to {most}")
    return int(digits)


def _network(term: str, result: Result, name: str, rest: str) -> Directive:
    found = _NETWORK.fullmatch(rest)
    if not found:
        raise BadRecord(term, f"{name} needs an address: {name}:{'192.0.2.0/24' if name == 'ip4' else '2001:db8::/32'}")
    address = found[1]
    if name == "ip4":
        number = ipv4_number(address)
        if number < 0:
            raise BadRecord(term, "it is no complete IPv4 address")
        return Directive(term, result, name, None, _prefix(term, found[2], 32), 128, number)
    try:
        number = int(IPv6Address(address))
    except AddressValueError:
        raise BadRecord(term, "it is no IPv6 address") from None
    return Directive(term, result, name, prefix6=_prefix(term, found[2], 128), network=number)
