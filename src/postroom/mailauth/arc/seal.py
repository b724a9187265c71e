"""Sealing: one more ARC set for a message that is handed on.

The last thing done to a message before it leaves: whatever is changed later breaks the set (RFC 8617 5.1 step 1).
Relaxed/relaxed; the fields covered are those that a DKIM signature of ours covers, and the DKIM signatures that are
there (RFC 8617 4.1.2); never Authentication-Results, ARC or trace fields.
Standards: RFC 8617 4.1, 5.1.
On failure: CannotSign (mailauth.dkim) for a header that no signature fits.
"""

from __future__ import annotations

import hashlib

from postroom.mailauth.arc.chain import MAX_SETS, ArcSet, BrokenChain, read_chain
from postroom.mailauth.arc.verify import ArcResult
from postroom.mailauth.body import BodyDigest
from postroom.mailauth.dkim.keys import SigningKey
from postroom.mailauth.dkim.sign import (
    check_header,
    digest_tag,
    finish_field,
    folded_list,
    hashed_fields,
    signed_fields,
)
from postroom.mailauth.header import Canonical, HeaderFields, relaxed_field

_MAX_SIGNATURES = 10


def _covered(fields: HeaderFields) -> list[str]:
    return signed_fields(fields) + ["DKIM-Signature"] * min(fields.count(b"dkim-signature"), _MAX_SIGNATURES)


def _before(fields: HeaderFields, sets: list[ArcSet]) -> hashlib._Hash:
    """The hash over the sets that are there (RFC 8617 5.1.1); none of them when the chain has failed (5.1.2)."""
    hashed = hashlib.sha256()
    for one in sets:
        for place in (one.results_place, one.signature_place, one.seal_place):
            hashed.update(fields.canonical(place, Canonical.RELAXED))
    return hashed


def seal(
    header: bytes | HeaderFields, body: BodyDigest, arrived: ArcResult, results: bytes, key: SigningKey, now: int
) -> bytes:
    """The three fields of one more set, with line ends, to be put before the header; b"" when none may be added.

    `body`: the digest of the whole body in relaxed form. `arrived`: the chain's result when the message came in.
    `results`: what an Authentication-Results field says, folded or not, without its name: the authserv-id first.
    `now`: Unix seconds. Raises CannotSign.
    """
    instance = arrived.newest + 1
    if arrived.sealed_failure or instance > MAX_SETS:
        return b""
    fields = header if isinstance(header, HeaderFields) else HeaderFields(header)
    check_header(fields)
    try:
        sets = read_chain(fields) if arrived.result == "pass" else []
    except BrokenChain:
        return b""
    told = b"ARC-Authentication-Results: i=%d;\r\n %s\r\n" % (instance, results.strip())
    names = _covered(fields)
    place = f"d={key.domain};\r\n s={key.selector}; t={now};"
    message = finish_field(
        f"ARC-Message-Signature: i={instance}; a={key.algorithm}; c=relaxed/relaxed;\r\n {place}\r\n"
        f" {folded_list('h', names, ':', ';')}\r\n {digest_tag(body)}\r\n b=",
        hashed_fields(fields, names),
        key,
    )
    sealed = _before(fields, sets)
    sealed.update(relaxed_field(told) + b"\r\n" + relaxed_field(message) + b"\r\n")
    status = arrived.result
    own = finish_field(f"ARC-Seal: i={instance}; a={key.algorithm}; cv={status};\r\n {place}\r\n b=", sealed, key)
    return own + message + told
