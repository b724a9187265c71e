"""What a message file tells `postroom explain`: who sent it, from where, and what proves its From.

Trust: a Received field is as good as the server that wrote it; the topmost one with an address is that of the server
that took the message from outside, so only that one is read.
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.mailauth import spf
from postroom.mailauth.dkim import DkimResult, DkimVerifier
from postroom.mailauth.dmarc import Identifier
from postroom.mailauth.header import network_form, split_message
from postroom.message.decode import parse_addresses
from postroom.message.fields import field_values
from postroom.values.dns import Dns

_ADDRESS = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f:.]{2,45})\]", re.IGNORECASE)
_FROM = re.compile(r"from\s+(\S+)(.*?)(?:\sby\s|\Z)", re.IGNORECASE | re.DOTALL)
_HELO = re.compile(r"helo[= ]([^\s)]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Facts:
    """The SMTP session. sender: "" for the null sender, None when it is not known."""

    ip: str = ""
    helo: str = ""
    sender: str | None = None

    def replaced(self, ip: str, helo: str, sender: str | None) -> Facts:
        """With what the person knows better."""
        known = sender if sender is not None else self.sender
        return replace(self, ip=ip or self.ip, helo=helo or self.helo, sender=known and known.strip("<> "))


@dataclass(frozen=True, slots=True)
class Proofs:
    """What DMARC is asked about."""

    domain: str
    spf: Identifier | None
    dkims: tuple[Identifier, ...]


def read_message(path: str) -> tuple[bytes, bytes]:
    """Header block and body of a file or of standard input, with CRLF line ends."""
    if path == "-":
        octets = sys.stdin.buffer.read()
    else:
        with open(path, "rb") as file:
            octets = file.read()
    return split_message(network_form(octets))


def envelope_of(header: bytes) -> Facts:
    """What Return-Path and the topmost Received field with an address say (RFC 5321 4.4)."""
    paths = field_values(header, b"return-path")
    sender = paths[0].decode("utf-8", "replace").strip("<> ") if paths else None
    for value in field_values(header, b"received"):
        clause = _FROM.match(value.decode("utf-8", "replace"))
        address = clause and _ADDRESS.search(clause[1] + clause[2])
        if clause and address:
            named = _HELO.search(clause[2])
            return Facts(address[1], named[1] if named else clause[1], sender)
    return Facts(sender=sender)


def session_of(header: bytes, options: dict[str, Any]) -> Facts:
    """The session from --ip, --helo and --from, else from the header. Raises UsageError when something is missing."""
    facts = envelope_of(header).replaced(options["ip"], options["helo"], options["sender"])
    if not facts.ip:
        raise click.UsageError("The address of the sending host is not known; give it with --ip.")
    if facts.sender is None or not (facts.sender or facts.helo):
        raise click.UsageError("The sender is not known; give it with --from, and for the null sender --helo too.")
    return facts


def author_domain(header: bytes) -> str:
    """The only domain in the only From (RFC 9989 5.3.1). Raises CommandFailed."""
    fields = field_values(header, b"from")
    if len(fields) != 1:
        raise CommandFailed(Exit.FAILED, f"the message has {len(fields)} From fields; DMARC needs exactly one")
    domains = {each.domain.lower() for each in parse_addresses(fields[0])}
    if len(domains) != 1 or "" in domains:
        raise CommandFailed(Exit.FAILED, "the addresses in From do not have exactly one domain")
    return domains.pop()


async def signatures_of(message: tuple[bytes, bytes], dns: Dns, now: int | None = None) -> tuple[DkimResult, ...]:
    """All DKIM results."""
    verifier = DkimVerifier(message[0])
    verifier.body(message[1])
    return await verifier.results(dns, int(time.time()) if now is None else now)


async def proofs_of(message: tuple[bytes, bytes], facts: Facts | None, dns: Dns) -> Proofs:
    """What From claims, and what SPF and DKIM say; without a session there is no SPF. Raises CommandFailed."""
    domain = author_domain(message[0])
    by_spf = None
    if facts:
        found = await spf.check(dns, facts.ip, facts.helo, facts.sender or "", now=int(time.time()))
        by_spf = Identifier(found.result, found.domain)
    dkims = await signatures_of(message, dns)
    return Proofs(domain, by_spf, tuple(Identifier(one.result, one.domain) for one in dkims))
