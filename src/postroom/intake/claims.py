"""Who else a header names as its sender, beside From: Sender, the Resent fields, and lines that only look like From.

Some programs show "x on behalf of y", or take what they find first. So a name there that its domain's owner would have
refused in From is told to the reader; nothing is refused for it, because From decides (RFC 9989 5.3.1).
Owns: nothing. Trusts: nothing in the message.
Standards: RFC 5322 3.6.2 and 3.6.6.
On failure: StoreError of the directory; a DNS that does not answer warns of nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from postroom.intake.authors import Author
from postroom.intake.verdict import proves, related
from postroom.intake.verify import Evidence
from postroom.mailauth.dmarc import DmarcResult, Policy
from postroom.mailauth.dmarc import Result as Dmarc
from postroom.mailauth.header import HeaderFields
from postroom.message.addresses import parse
from postroom.values.address import BadAddress, parse_domain

#: domains that are looked at
_MOST: Final = 3
_SENDERS: Final = (b"sender", b"resent-from", b"resent-sender")
_FOLDED: Final = re.compile(rb"\n[ \t]+from[ \t]*:[^\r\n]*@", re.IGNORECASE)
_FOLDED_WARNING: Final = "A line of this message's header looks like another From field."

#: what DMARC says of a domain, were it the author's
Ask = Callable[[str], Awaitable[DmarcResult]]


async def claim_warning(
    header: tuple[HeaderFields, bytes],
    people: Sequence[Author],
    evidence: Evidence,
    hosted: Callable[[str], Awaitable[str]],
    ask: Ask,
) -> str:
    """What to tell the reader, "" mostly. header: read, and as octets; hosted: the domain of ours that a domain is,
    or lies below.
    """
    fields, head = header
    for address, domain in _others(fields, people):
        own = await hosted(domain)
        if own == domain:
            if proves(evidence, own):
                continue
        elif _proven(evidence, domain) or not _wants_proof(await ask(domain)):
            continue
        return f"The message says that {address} sent it, but nothing proves that; its author is another."
    if not _FOLDED.search(head):
        return ""
    named = (raw.partition(b":")[0].lower() for raw in fields.raw if _FOLDED.search(raw))
    return _FOLDED_WARNING if any(b"dkim" not in name and not name.startswith(b"arc-") for name in named) else ""


def _others(fields: HeaderFields, people: Sequence[Author]) -> list[tuple[str, str]]:
    """Addresses and domains (A-labels) that are named as senders and have nothing to do with the authors."""
    found: dict[str, str] = {}
    for name in _SENDERS:
        for place in fields.at(name):
            for each in parse(fields.value(place).replace(b"\r\n", b"")):
                domain = _domain(each.host)
                if domain and not any(related(domain, person.domain) for person in people):
                    local = (each.mailbox or b"").decode("utf-8", "replace")
                    found.setdefault(domain, f"{local}@{domain}")
    return [(address, domain) for domain, address in list(found.items())[:_MOST]]


def _domain(host: bytes | None) -> str:
    try:
        domain = parse_domain((host or b"").decode("utf-8"))
    except (BadAddress, UnicodeDecodeError):
        return ""
    return "" if domain.startswith("[") else domain


def _proven(evidence: Evidence, domain: str) -> bool:
    if evidence.spf.result == "pass" and related(evidence.spf.domain, domain):
        return True
    return any(one.result == "pass" and related(one.domain, domain) for one in evidence.dkims)


def _wants_proof(found: DmarcResult) -> bool:
    return found.result is Dmarc.FAIL and found.policy is not Policy.NONE
