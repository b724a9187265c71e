"""Signatures that a mailing list has broken: whether the header they cover is still what the author's domain signed.

A list that puts words at the end of a text breaks the body's hash, but not the signature over the header: b= covers
the hash that was signed, not the one that is there now. So it still proves who wrote to whom, about what and when.
It proves nothing about the text: `DkimVerifier` says fail all the same, and DMARC hears nothing of this.
Trusts nothing: MAX_SIGNATURES at most, each costs one DNS name and two signature checks at most.
Standards: RFC 6376 3.7 (what b= covers).
On failure: never; a signature that cannot be read or has no key proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from postroom.mailauth.dkim.check import KeyRing, header_digest, unfit
from postroom.mailauth.dkim.keyrecord import BadKey, key_name
from postroom.mailauth.dkim.signature import BadSignature, Signature, check_clock, read_signature
from postroom.mailauth.dkim.verify import MAX_SIGNATURES
from postroom.mailauth.header import HeaderFields
from postroom.mailauth.tags import BadTags, parse_tags
from postroom.values.dns import Dns, DnsProblem

#: what lists put into a subject, after any Re: or before it
_PREFIX: Final = re.compile(rb"(subject[ \t]*:(?:[ \t]*[A-Za-z]{2,3}:)*[ \t]*)\[[^\]\r\n]{1,64}\][ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HeaderProof:
    """A signature of `domain` holds over the header. places: of the fields it covers; signed_at: Unix seconds."""

    domain: str
    places: frozenset[int]
    signed_at: int | None


async def header_proofs(
    fields: HeaderFields, wanted: Callable[[str], bool], dns: Dns, now: int
) -> tuple[HeaderProof, ...]:
    """Signatures by wanted domains (d=) that hold over the header, as it is or without a list's mark in its subject.

    now: Unix seconds. Nothing is believed of a header that programs read differently.
    """
    if fields.fault:
        return ()
    ring = KeyRing(dns)
    found = []
    for place in fields.at(b"dkim-signature")[:MAX_SIGNATURES]:
        try:
            signature = read_signature(parse_tags(fields.value(place)))
            check_clock(signature, now)
        except (BadTags, BadSignature):
            continue
        if wanted(signature.domain) and await _holds(fields, place, signature, ring):
            places = frozenset(fields.selected(signature.fields, leave=place))
            found.append(HeaderProof(signature.domain, places, signature.signed_at))
    return tuple(found)


async def _holds(fields: HeaderFields, place: int, signature: Signature, ring: KeyRing) -> bool:
    try:
        keys = await ring.find(key_name(signature.selector, signature.domain))
    except (BadKey, DnsProblem):
        return False
    usable = [key for key in keys if not unfit(key, signature)]
    for version in (fields, _unmarked(fields)) if usable else ():
        if version is None:
            continue
        digest = header_digest(version, place, signature)
        if any(key.verifies(signature.value, digest) for key in usable):
            return True
    return False


def _unmarked(fields: HeaderFields) -> HeaderFields | None:
    """The header without a list's mark in its subject; None when there is none."""
    places = fields.at(b"subject")
    if len(places) != 1:
        return None
    subject = fields.raw[places[0]]
    without = _PREFIX.sub(rb"\1", subject, count=1)
    if without == subject:
        return None
    raw = list(fields.raw)
    raw[places[0]] = without
    return HeaderFields(b"".join(raw))
