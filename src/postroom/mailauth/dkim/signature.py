"""One DKIM-Signature or ARC-Message-Signature as a value: every tag read, checked and converted.

Whatever is odd makes the whole signature void (RFC 6376 6.1.1); unknown tags are allowed and ignored.
Standards: RFC 6376 3.5, RFC 8301 3.1 (SHA-1 is over), RFC 8463 4.1, RFC 8616 5 (U-labels), RFC 8617 4.1.2.
On failure: BadSignature with the reason in plain words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from postroom.mailauth.header import Canonical
from postroom.mailauth.tags import BadTags, base64_value, list_value, number_value, text_value
from postroom.values.address import BadAddress, parse_domain

#: a signature's time may lie so many seconds ahead of our clock (RFC 6376 3.5: t=)
FUTURE_ALLOWANCE = 3600
#: an expired signature is still taken for so many seconds (RFC 6376 3.5: the fudge factor of x=)
EXPIRY_ALLOWANCE = 300

_FIELD_NAME = re.compile(rb"[!-9<-~]+")
_ALGORITHMS = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
_REQUIRED = ("a", "b", "bh", "d", "h", "s")


class BadSignature(ValueError):
    """A signature that says nothing usable; the text says why."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signature claims.

    domain and selector: A-labels, lower case. identity: i= as text. length: octets of the canonical body (l=), None
    for all. fields: lower-case names as h= lists them. times in Unix seconds.
    """

    algorithm: str
    kind: str
    value: bytes
    body_hash: bytes
    domain: str
    selector: str
    fields: tuple[bytes, ...]
    header_form: Canonical
    body_form: Canonical
    identity: str
    length: int | None
    signed_at: int | None
    expires: int | None


def name_value(tag: str, value: bytes) -> str:
    """A domain or selector as the DNS wants it. Raises BadSignature."""
    try:
        text = text_value(value)
        if not text or len(text) > 255 or text[0] == "[" or text[-1] == ".":
            raise BadAddress(text)
        return parse_domain(text)
    except (BadTags, BadAddress) as fault:
        raise BadSignature(f"{tag}= is no domain name") from fault


def algorithm_value(value: bytes) -> tuple[str, str]:
    """The algorithm of a= and the key type it needs. Raises BadSignature."""
    name = value.decode("latin-1").lower()
    if name == "rsa-sha1":
        raise BadSignature("it is made with SHA-1, which proves nothing any more (RFC 8301)")
    if name not in _ALGORITHMS:
        raise BadSignature("it is made with an algorithm nobody here knows (a=)")
    return name, _ALGORITHMS[name]


def octets_value(tag: str, value: bytes) -> bytes:
    """Base64 that is not empty. Raises BadSignature."""
    try:
        octets = base64_value(value)
    except BadTags as fault:
        raise BadSignature(f"{tag}= cannot be read: {fault}") from fault
    if not octets:
        raise BadSignature(f"{tag}= is empty")
    return octets


def number_tag(tags: dict[str, bytes], tag: str, digits: int = 12) -> int | None:
    """A tag that is a number, None when it is not there. Raises BadSignature."""
    if tag not in tags:
        return None
    try:
        return number_value(tags[tag], digits)
    except BadTags as fault:
        raise BadSignature(f"{tag}= cannot be read: {fault}") from fault


def _forms(value: bytes) -> tuple[Canonical, Canonical]:
    header, slash, body = value.decode("latin-1").lower().partition("/")
    try:
        return Canonical(header), Canonical(body) if slash else Canonical.SIMPLE
    except ValueError as fault:
        raise BadSignature("c= names a canonicalisation nobody here knows") from fault


def _fields(value: bytes, arc: bool) -> tuple[bytes, ...]:
    # the public suite of ARC lets names be empty, and the whole list
    names = [name.strip(b" \t") for name in value.lower().split(b":")]
    if not all(_FIELD_NAME.fullmatch(name) or (arc and not name) for name in names):
        raise BadSignature("h= is no list of field names")
    return tuple(filter(None, names))


def within(domain: str, parent: str) -> bool:
    """True when `domain` is `parent` or below it."""
    return domain == parent or domain.endswith("." + parent)


def _identity(tags: dict[str, bytes], domain: str) -> str:
    if "i" not in tags:
        return "@" + domain
    try:
        text = text_value(tags["i"])
    except BadTags as fault:
        raise BadSignature(f"i= cannot be read: {fault}") from fault
    _, at, host = text.rpartition("@")
    if not at or not within(name_value("i", host.encode()), domain):
        raise BadSignature("i= names an address that is not of the domain in d=")
    return text


def identity_domain(identity: str) -> str:
    """The domain of an identity that `read_signature` has let through, as A-labels."""
    return parse_domain(identity.rpartition("@")[2])


def _check_times(signed_at: int | None, expires: int | None) -> None:
    if signed_at is not None and expires is not None and expires <= signed_at:
        raise BadSignature("it expires before it was made (x= and t=)")


def check_clock(signature: Signature, now: int) -> None:
    """Raises BadSignature for a signature that has expired or that comes from the future (RFC 6376 3.5)."""
    if signature.expires is not None and now > signature.expires + EXPIRY_ALLOWANCE:
        raise BadSignature("it has expired (x=)")
    if signature.signed_at is not None and signature.signed_at > now + FUTURE_ALLOWANCE:
        raise BadSignature("it is dated in the future (t=)")


def require(tags: dict[str, bytes], names: tuple[str, ...]) -> None:
    """Raises BadSignature when one of these tags is missing."""
    missing = [f"{tag}=" for tag in names if tag not in tags]
    if missing:
        raise BadSignature(f"it lacks {', '.join(missing)}")


def read_signature(tags: dict[str, bytes], arc: bool = False) -> Signature:
    """The tags of a DKIM-Signature, or with `arc` of an ARC-Message-Signature: i= and v= mean nothing here then.

    Without c= an ARC signature is taken as relaxed, as the public suite of ARC has it; RFC 8617 says nothing of it.
    Raises BadSignature.
    """
    if not arc:
        require(tags, ("v",))
        if tags["v"] != b"1":
            raise BadSignature("it is of a version nobody here knows (v=)")
    require(tags, _REQUIRED)
    algorithm, kind = algorithm_value(tags["a"])
    header_form, body_form = _forms(tags.get("c", b"relaxed/relaxed" if arc else b"simple/simple"))
    domain = name_value("d", tags["d"])
    if "." not in domain:
        raise BadSignature("d= is no domain with at least two labels")
    queries = list_value(tags.get("q", b"dns/txt"))
    if b"dns/txt" not in [query.lower() for query in queries]:
        raise BadSignature("q= names no way to the key that is known here")
    signature = Signature(
        algorithm,
        kind,
        octets_value("b", tags["b"]),
        octets_value("bh", tags["bh"]),
        domain,
        name_value("s", tags["s"]),
        _fields(tags["h"], arc),
        header_form,
        body_form,
        "" if arc else _identity(tags, domain),
        number_tag(tags, "l", 76),
        number_tag(tags, "t"),
        number_tag(tags, "x"),
    )
    _check_times(signature.signed_at, signature.expires)
    if not arc and b"from" not in signature.fields:
        raise BadSignature("it does not cover the From field")
    if len(signature.domain) + len(signature.selector) + 12 > 253:
        raise BadSignature("d= and s= are together too long for a name in the DNS")
    return signature
