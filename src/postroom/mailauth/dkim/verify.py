"""All DKIM signatures of a message, verified in one pass over its body.

    verifier = DkimVerifier(header)        # when the header is there; ask the DNS for verifier.key_names already
    verifier.body(chunk)                   # as the chunks pass
    results = await verifier.results(dns, now)

Trusts nothing: at most MAX_SIGNATURES are tried, each costs one DNS name and one signature check at most, and nothing
in a message makes this raise.
Standards: RFC 6376 6, RFC 8301, RFC 8463, RFC 8601 2.7.1 (the words for results), RFC 8616 5.

What a result is worth:
- A signature that holds but leaves octets of the body uncovered (l=) says nothing about what a reader is shown
  (RFC 6376 8.2), and one that covers fewer From fields than there are says nothing about who is shown (RFC 6376 8.15).
  The result of both is "policy" (RFC 8601 2.4), so neither helps DMARC; `verified` is still True, for those who ask
  what RFC 6376 alone says.
- A key in testing (t=y) changes no result; `testing` tells of it.
On failure: never.
"""

from __future__ import annotations

from dataclasses import dataclass

from postroom.mailauth.body import BodyHashes
from postroom.mailauth.dkim.check import KeyRing, Outcome, check
from postroom.mailauth.dkim.keyrecord import key_name
from postroom.mailauth.dkim.signature import BadSignature, Signature, check_clock, name_value, read_signature
from postroom.mailauth.header import HeaderFields
from postroom.mailauth.names import shown
from postroom.mailauth.tags import BadTags, parse_tags
from postroom.values.dns import Dns

#: signatures of one message that are tried, from the top (RFC 6376 6.1 and 8.4)
MAX_SIGNATURES = 10

_FIELD = b"dkim-signature"
#: what a reader is shown, or what decides how the body is shown
_SHOWN = (
    b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"mime-version", b"content-type",
    b"content-transfer-encoding", b"list-unsubscribe", b"list-unsubscribe-post",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DkimResult:
    """One signature's result.

    result: pass, fail, policy, neutral, temperror or permerror (RFC 8601 2.7.1). verified: the signature itself holds,
    as in pass and policy. domain, selector: A-labels, "" if unreadable. identity: i= as written. key_bits: 0 when no
    key was found. fields: covered fields in lower case, as h= lists them. exposed: fields a reader sees that stand
    more often in the message than they are covered.
    uncovered: octets of the canonical body that l= leaves out. mark: the first characters of b=, which tell
    signatures apart (RFC 6008 4). signed_at, expires: Unix seconds.
    """

    result: str
    reason: str
    verified: bool = False
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    key_bits: int = 0
    identity: str = ""
    testing: bool = False
    fields: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    uncovered: int = 0
    mark: str = ""
    signed_at: int | None = None
    expires: int | None = None
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Claim:
    """One field: what it says, or why it says nothing."""

    place: int
    tags: dict[str, bytes]
    signature: Signature | None
    problem: str


def _read(fields: HeaderFields, place: int) -> _Claim:
    tags: dict[str, bytes] = {}
    try:
        tags = parse_tags(fields.value(place))
        return _Claim(place, tags, read_signature(tags), "")
    except (BadTags, BadSignature) as fault:
        return _Claim(place, tags, None, str(fault))


def _name_if_any(tags: dict[str, bytes], tag: str) -> str:
    try:
        return name_value(tag, tags[tag])
    except (BadSignature, KeyError):
        return ""


def _mark(tags: dict[str, bytes]) -> str:
    return shown(b"".join(tags.get("b", b"").split())[:12].decode("latin-1"))


def _unread(claim: _Claim, problem: str) -> DkimResult:
    """The result of a signature that cannot be tried."""
    return DkimResult(
        "permerror",
        problem,
        domain=_name_if_any(claim.tags, "d"),
        selector=_name_if_any(claim.tags, "s"),
        algorithm=shown(claim.tags.get("a", b"").decode("latin-1").lower(), 40),
        mark=_mark(claim.tags),
        steps=(problem,),
    )


def exposed_fields(fields: HeaderFields, signature: Signature) -> tuple[str, ...]:
    """Fields a reader sees that stand in the message more often than the signature covers them."""
    counted = ((name, fields.count(name)) for name in _SHOWN)
    return tuple(name.decode() for name, count in counted if count and count > signature.fields.count(name))


class DkimVerifier:
    """The signatures of one message. Not to be used again for another one."""

    def __init__(self, header: bytes | HeaderFields, hashes: BodyHashes | None = None) -> None:
        """`header`: the block up to the empty line. `hashes`: give one to share the pass over the body."""
        self._fields = header if isinstance(header, HeaderFields) else HeaderFields(header)
        self._hashes = hashes or BodyHashes()
        places = self._fields.at(_FIELD)
        self._left_out = max(len(places) - MAX_SIGNATURES, 0)
        self._claims = [_read(self._fields, place) for place in places[:MAX_SIGNATURES]]
        for claim in self._claims:
            if claim.signature:
                self._hashes.want(claim.signature.body_form, claim.signature.length)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The DNS names whose TXT records `results` will ask for, so that a resolver can fetch them ahead."""
        signatures = [claim.signature for claim in self._claims if claim.signature]
        return tuple(dict.fromkeys(key_name(signature.selector, signature.domain) for signature in signatures))

    def body(self, chunk: bytes) -> None:
        """The next octets of the body. Not needed when `hashes` was given and is fed."""
        self._hashes.update(chunk)

    async def results(self, dns: Dns, now: int) -> tuple[DkimResult, ...]:
        """One result for each signature, from the top; empty for a message without any. `now`: Unix seconds.

        Signatures beyond MAX_SIGNATURES get one result together: neutral.
        """
        ring = KeyRing(dns)
        results = [await self._result(claim, ring, now) for claim in self._claims]
        if self._left_out:
            text = f"{self._left_out} further signatures were not tried: {MAX_SIGNATURES} are enough"
            results.append(DkimResult("neutral", text, steps=(text,)))
        return tuple(results)

    async def _result(self, claim: _Claim, ring: KeyRing, now: int) -> DkimResult:
        signature = claim.signature
        if self._fields.fault:
            return _unread(claim, self._fields.fault)
        if signature is None:
            return _unread(claim, claim.problem)
        try:
            check_clock(signature, now)
        except BadSignature as fault:
            return self._tell(claim, signature, Outcome("permerror", str(fault), (str(fault),)))
        body = self._hashes.digest(signature.body_form, signature.length)
        outcome = await check(self._fields, claim.place, signature, body, ring)
        return self._tell(claim, signature, outcome, body.total - body.hashed)

    def _tell(self, claim: _Claim, signature: Signature, outcome: Outcome, uncovered: int = 0) -> DkimResult:
        exposed = exposed_fields(self._fields, signature)
        steps = [f"{signature.algorithm}, {signature.header_form}/{signature.body_form}, d={signature.domain}"]
        steps += outcome.steps
        if exposed:
            steps.append(f"not covered: {', '.join(exposed)}")
        result, reason, verified = outcome.result, outcome.reason, outcome.result == "pass"
        if verified and uncovered:
            result, reason = "policy", f"{reason}, but the last {uncovered} octets of the body are not covered (l=)"
        elif verified and "from" in exposed:
            result, reason = "policy", f"{reason}, but there are From fields that it does not cover"
        if result != outcome.result:
            steps.append(reason)
        return DkimResult(
            result,
            reason,
            verified=verified,
            domain=signature.domain,
            selector=signature.selector,
            algorithm=signature.algorithm,
            key_bits=outcome.key.bits if outcome.key else 0,
            identity=signature.identity,
            testing=bool(outcome.key and outcome.key.testing),
            fields=tuple(b":".join(signature.fields).decode().split(":")),
            exposed=exposed,
            uncovered=uncovered,
            mark=_mark(claim.tags),
            signed_at=signature.signed_at,
            expires=signature.expires,
            steps=tuple(steps),
        )
