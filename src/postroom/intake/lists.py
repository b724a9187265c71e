"""Mailing lists that our own people write to: whose mail reaches their INBOX although the list broke the proof.

A list that adds a footer breaks DKIM, and sends from its own address, so SPF speaks of the list. Anybody can write the
fields of a list; so a list is believed only when its domain is proven, and only towards those who have written to its
address themselves. Whoever they have written to could claim to be a list, though: so what it brings is marked, unless
the author's own domain has signed, over header fields that are still whole, that this message goes to this list.
Owns: the rule (docs/security.md has it in words). Trusts: what `policy` knows of whom our people have written to.
Standards: RFC 2919 (List-Id), RFC 2369 3.4 (List-Post), RFC 9989 7.4.
On failure: StoreError of the directory, Refusal 451 4.3.0 when addresses cannot be looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import unquote

from postroom.identity.model import Hosted
from postroom.intake import routing
from postroom.intake.authors import Author
from postroom.intake.model import Given
from postroom.intake.verdict import Shape, related
from postroom.intake.verify import Evidence
from postroom.mailauth.dkim import HeaderProof, header_proofs
from postroom.mailauth.header import HeaderFields
from postroom.message.addresses import parse
from postroom.values.address import Address, BadAddress
from postroom.values.dns import Dns

#: seconds for which the author's signature shows that a message is on its way to a list
_FRESH: Final = 14 * 86400
#: recipients of one message that are looked at
_MOST: Final = 200
_LIST_ID: Final = re.compile(rb"<([^<>\s@]+\.[^<>\s@]+)>")
_MAILTO: Final = re.compile(rb"<mailto:([^<>?\s]+)(?:\?[^<>]*)?>", re.IGNORECASE)
#: fields that mailing lists write (RFC 2919, RFC 2369)
_LIST_FIELDS: Final = (b"list-post", b"list-unsubscribe", b"precedence")
#: what a signature covers that is to show that a message goes to a list; no subject at all is a whole one
_NAMED: Final = (b"from", b"date", b"message-id", b"subject")


class Written(Protocol):
    """What is known of whom our people have written to."""

    def written(self, account: str, recipient: str) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Known:
    """A list that some of a message's recipients write to. address: for people; inbox: the addresses of those;
    whole: that is all of them; sure: the author's domain has signed that the message goes there.
    """

    address: str
    inbox: tuple[str, ...] = field(default=())
    whole: bool = False
    sure: bool = False


def is_list(fields: HeaderFields) -> bool:
    """It has the shape of a mailing list's mail. Anybody can write that: alone it never makes mail better than junk."""
    places = fields.at(b"list-id")
    if not places or not _LIST_ID.search(fields.value(places[0])):
        return False
    return any(fields.count(name) for name in _LIST_FIELDS)


def list_address(fields: HeaderFields) -> Address | None:
    """Where one writes to the list: what List-Post says, or else what List-Id is made of as a rule; None if unclear."""
    places = fields.at(b"list-post")
    if len(places) > 1:
        return None
    if places:
        found = _MAILTO.findall(fields.value(places[0]).replace(b"\r\n", b""))
        text = unquote(found[0].decode("ascii", "replace")) if len(found) == 1 else ""
    else:
        name, _, domain = _list_id(fields).decode("ascii", "replace").partition(".")
        text = f"{name}@{domain}"
    try:
        return Address.parse(text)
    except BadAddress:
        return None


class Lists:
    """Knows which lists our people write to, for one worker."""

    def __init__(self, written: Written, identity: routing.Identity, dns: Dns) -> None:
        self._written = written
        self._identity = identity
        self._dns = dns

    async def known(
        self, fields: HeaderFields, message: tuple[Sequence[Author], Sequence[Given]], found: tuple[Evidence, Shape],
        now: float,
    ) -> Known | None:  # fmt: skip
        """The list that a message came by, when some of its recipients write to it and its domain is proven.

        message: its authors and recipients; found: what was found out about it; now: Unix seconds.
        """
        (authors, given), (evidence, shape) = message, found
        address = list_address(fields) if shape.is_list and fields.count(b"list-id") == 1 else None
        if address is None or len(authors) != 1 or not proven(evidence, address.domain):
            return None
        [author] = authors
        theirs: frozenset[str] = frozenset()
        if shape.own and not shape.below:
            theirs = frozenset(await self._accounts(Address(author.local, author.domain)))
            if not self._write(theirs, address.key):
                return None
        targets = dict.fromkeys(target.address for one in given for target in one.targets)
        inbox = await self._participants(tuple(targets)[:_MOST], address.key, theirs)
        sure = await self._signed(fields, author, address.key, now)
        if sure and theirs:  # he did write it, and to this list: it reaches all, marked for those who never wrote there
            return Known(address.key, tuple(targets), True, len(inbox) == len(targets))
        return Known(address.key, inbox, len(inbox) == len(targets), sure) if inbox else None

    async def _participants(self, targets: Iterable[str], key: str, theirs: frozenset[str]) -> tuple[str, ...]:
        """Those who have written to the list, and the author himself."""
        found = []
        for target in targets:
            accounts = await self._accounts(_parsed(target))
            if accounts and (theirs.issuperset(accounts) or self._write(accounts, key)):
                found.append(target)
        return tuple(found)

    async def _accounts(self, address: Address | None) -> tuple[str, ...]:
        """The accounts behind an address of ours; none for others."""
        answer = await routing.resolve(self._identity, address) if address is not None else None
        if not isinstance(answer, Hosted):
            return ()
        return tuple(target.account for target in answer.targets if target.account is not None)

    def _write(self, accounts: Iterable[str], key: str) -> bool:
        return any(self._written.written(account, key) is not None for account in accounts)

    async def _signed(self, fields: HeaderFields, author: Author, key: str, now: float) -> bool:
        """The author's domain has signed lately, over fields that are whole, that this goes to the list."""
        proofs = await header_proofs(fields, lambda domain: related(domain, author.domain), self._dns, int(now))
        return any(_says(fields, proof, key, now) for proof in proofs)


def proven(evidence: Evidence, domain: str) -> bool:
    """The message truly comes from this list's domain: by SPF, by DKIM, or as the last to seal a chain that holds."""
    if evidence.spf.result == "pass" and related(evidence.spf.domain, domain):
        return True
    if any(one.result == "pass" and related(one.domain, domain) for one in evidence.dkims):
        return True
    return evidence.arc.result == "pass" and related(evidence.arc.sealer, domain)


def _says(fields: HeaderFields, proof: HeaderProof, key: str, now: float) -> bool:
    if proof.signed_at is None or now - proof.signed_at > _FRESH:
        return False
    for name in _NAMED:
        places = fields.at(name)
        if len(places) != 1 and not (name == b"subject" and not places):
            return False
        if not proof.places.issuperset(places):
            return False
    covered = [place for name in (b"to", b"cc") for place in fields.at(name) if place in proof.places]
    return any(key in _keys(fields.value(place)) for place in covered)


def _keys(value: bytes) -> Iterable[str]:
    for each in parse(value.replace(b"\r\n", b"")):
        found = _parsed(b"%b@%b" % (each.mailbox, each.host)) if each.mailbox and each.host else None
        if found is not None:
            yield found.key


def _parsed(text: str | bytes) -> Address | None:
    try:
        return Address.parse(text.decode("utf-8") if isinstance(text, bytes) else text)
    except (BadAddress, UnicodeDecodeError):
        return None


def _list_id(fields: HeaderFields) -> bytes:
    """What stands between the brackets of the one List-Id; b"" when there is none, or several."""
    places = fields.at(b"list-id")
    found = _LIST_ID.search(fields.value(places[0]).replace(b"\r\n", b"")) if len(places) == 1 else None
    return found[1] if found else b""
