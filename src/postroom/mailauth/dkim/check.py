"""One signature against one message: the steps of RFC 6376 6.1.2 and 6.1.3, for DKIM and for ARC.

The order of the steps is the standard's: key, then body, then header. Each outcome says why, and each step taken is
told, for people who ask.
On failure: never; what goes wrong is an outcome.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from postroom.mailauth.body import BodyDigest
from postroom.mailauth.dkim.keyrecord import BadKey, KeyRecord, find_keys, key_name
from postroom.mailauth.dkim.signature import Signature, identity_domain
from postroom.mailauth.header import Canonical, HeaderFields, relaxed_field
from postroom.mailauth.tags import without_signature
from postroom.values.dns import Dns, DnsProblem, DnsUnavailable, NoSuchName


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one signature. result: pass, fail, permerror or temperror (RFC 8601 2.7.1)."""

    result: str
    reason: str
    steps: tuple[str, ...] = ()
    key: KeyRecord | None = None


class KeyRing:
    """The keys that one message needs; each name is asked for once."""

    def __init__(self, dns: Dns) -> None:
        self._dns = dns
        self._known: dict[str, tuple[KeyRecord, ...] | BadKey | DnsProblem] = {}

    async def find(self, name: str) -> tuple[KeyRecord, ...]:
        """The usable keys at a name. Raises BadKey, NoSuchName, DnsUnavailable."""
        if name not in self._known:
            try:
                self._known[name] = await find_keys(self._dns, name)
            except (BadKey, DnsProblem) as fault:
                self._known[name] = fault
        found = self._known[name]
        if isinstance(found, Exception):
            raise found
        return found


def own_field(field: bytes, form: Canonical) -> bytes:
    """A signature's own field as it is signed: b= empty, canonical, without a line end (RFC 6376 3.7)."""
    bare = without_signature(field)
    return bare if form is Canonical.SIMPLE else relaxed_field(bare)


def header_digest(fields: HeaderFields, place: int, signature: Signature) -> bytes:
    """The data hash of RFC 6376 3.7: the fields of h=, then the signature's own field at `place`."""
    form = signature.header_form
    hashed = hashlib.sha256()
    for chosen in fields.selected(signature.fields, leave=place):
        hashed.update(fields.canonical(chosen, form))
    hashed.update(own_field(fields.raw[place], form))
    return hashed.digest()


def unfit(key: KeyRecord, signature: Signature) -> str:
    """Why this key may not be used for this signature; empty when it may."""
    if key.kind != signature.kind:
        return f"the key is of type {key.kind}, and the signature is {signature.algorithm}"
    if not key.allows_sha256:
        return "the key may not be used with SHA-256 (h= of the key)"
    if key.strict and signature.identity and identity_domain(signature.identity) != signature.domain:
        return "the key allows no subdomain in i= (t=s of the key)"
    return ""


def _with_key(key: KeyRecord, signature: Signature, header: bytes, body: BodyDigest) -> tuple[str, str]:
    """Result and reason with one key."""
    why = unfit(key, signature)
    if why:
        return "permerror", why
    if signature.length is not None and signature.length > body.total:
        return "fail", f"the body has {body.total} octets, and {signature.length} were signed (l=): some are lost"
    if body.value != signature.body_hash:
        return "fail", "the body was changed after it was signed"
    if not key.verifies(signature.value, header):
        return "fail", "the header fields it covers were changed after they were signed, or another key was used"
    return "pass", f"signed by {signature.domain}"


async def check(fields: HeaderFields, place: int, signature: Signature, body: BodyDigest, ring: KeyRing) -> Outcome:
    """Try one signature, the field at `place`, with the key that its domain publishes."""
    name = key_name(signature.selector, signature.domain)
    try:
        keys = await ring.find(name)
    except NoSuchName:
        return Outcome("permerror", f"there is no key at {name}", (f"{name} does not exist",))
    except DnsUnavailable as fault:
        return Outcome("temperror", f"the key at {name} could not be asked for", (f"{name}: {fault}",))
    except (BadKey, DnsProblem) as fault:
        return Outcome("permerror", f"{fault}, at {name}", (f"{name}: {fault}",))
    header = header_digest(fields, place, signature)
    first: Outcome | None = None
    for key in keys:
        result, reason = _with_key(key, signature, header, body)
        found = f"{name}: {key.kind} key of {key.bits} bits" + (", in testing (t=y)" if key.testing else "")
        outcome = Outcome(result, reason, (found, reason), key)
        if result == "pass":
            return outcome
        first = first or outcome
    return first or Outcome("permerror", f"there is no key at {name}")
