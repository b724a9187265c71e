"""Whether a message's chain of custody holds.

    verifier = ArcVerifier(header, hashes)   # hashes: the BodyHashes that the DKIM verifier uses too
    … feed the body …
    result = await verifier.result(dns, now)

Trusts nothing: at most 50 sets, each costs two names and two signature checks. A chain that fails is worth as much as
none (RFC 8617 5.2); one that passes proves who handled the message, and whether their word counts is policy.
Standards: RFC 8617 5.2; every failure is permanent, that of the DNS too (5.2.1).
On failure: never.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from postroom.mailauth.arc.chain import ArcSet, BrokenChain, highest_instance, read_chain
from postroom.mailauth.body import BodyHashes
from postroom.mailauth.dkim.check import KeyRing, check, own_field
from postroom.mailauth.dkim.keyrecord import BadKey, key_name
from postroom.mailauth.dkim.signature import BadSignature, check_clock
from postroom.mailauth.header import Canonical, HeaderFields
from postroom.values.dns import Dns, DnsProblem


@dataclass(frozen=True, slots=True)
class ArcLink:
    """One set of a chain: who sealed it and signed the message then, and the results it vouches for.

    results: what ARC-Authentication-Results says after its instance, as octets; parse them with mailauth.authres.
    intact: whether the message still is what was signed then; None when it was not looked at.
    """

    instance: int
    sealer: str
    selector: str
    signer: str
    results: bytes
    intact: bool | None = None


@dataclass(frozen=True, slots=True)
class ArcResult:
    """result: none, pass or fail. chain: the sets from 1 upward, also of a chain that fails when it could be read.

    newest: the highest instance that was seen. oldest_pass: the oldest set whose message is still intact; 0 when all
    are (RFC 8617 5.2 step 5), and meaningless unless it passes. sealed_failure: the newest seal says that the chain
    had failed before, so that it must not be sealed again.
    """

    result: str
    reason: str
    chain: tuple[ArcLink, ...] = ()
    newest: int = 0
    oldest_pass: int = 0
    sealed_failure: bool = False
    steps: tuple[str, ...] = ()

    @property
    def sealer(self) -> str:
        """The domain of the newest seal; "" without one."""
        return self.chain[-1].sealer if self.chain else ""


def seal_digests(fields: HeaderFields, sets: list[ArcSet]) -> list[bytes]:
    """What each seal signs (RFC 8617 5.1.1): all sets up to its own, its own field with b= empty."""
    hashed = hashlib.sha256()
    digests: list[bytes] = []
    for one in sets:
        for place in (one.results_place, one.signature_place):
            hashed.update(fields.canonical(place, Canonical.RELAXED))
        own = hashed.copy()
        own.update(own_field(fields.raw[one.seal_place], Canonical.RELAXED))
        digests.append(own.digest())
        hashed.update(fields.canonical(one.seal_place, Canonical.RELAXED))
    return digests


class ArcVerifier:
    """The chain of one message. Not to be used again for another one."""

    def __init__(self, header: bytes | HeaderFields, hashes: BodyHashes | None = None) -> None:
        """`header`: the block up to the empty line. `hashes`: give one to share the pass over the body."""
        self._fields = header if isinstance(header, HeaderFields) else HeaderFields(header)
        self._hashes = hashes or BodyHashes()
        self._sets: list[ArcSet] = []
        self._broken: BrokenChain | None = None
        self._steps: list[str] = []
        try:
            self._sets = read_chain(self._fields)
            if self._sets and self._fields.fault:
                raise BrokenChain(self._fields.fault)
        except BrokenChain as fault:
            self._broken = fault
        for one in self._sets:
            self._hashes.want(one.signature.body_form, one.signature.length)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The DNS names whose TXT records `result` may ask for, so that a resolver can fetch them ahead."""
        if self._broken:
            return ()
        pairs = [(one.seal.selector, one.seal.domain) for one in self._sets]
        pairs += [(one.signature.selector, one.signature.domain) for one in self._sets]
        return tuple(dict.fromkeys(key_name(*pair) for pair in pairs))

    def body(self, chunk: bytes) -> None:
        """The next octets of the body. Not needed when `hashes` was given and is fed."""
        self._hashes.update(chunk)

    async def result(self, dns: Dns, now: int) -> ArcResult:
        """The status of the chain, after the body. `now`: Unix seconds."""
        if self._broken:
            return self._fail(str(self._broken), highest_instance(self._fields))
        if not self._sets:
            return ArcResult("none", "the message has no ARC sets")
        ring = KeyRing(dns)
        self._steps.clear()
        newest = len(self._sets)
        intact: dict[int, bool] = {}
        for one in reversed(self._sets):
            intact[one.instance] = await self._intact(one, ring, now)
            if not intact[one.instance]:
                break
        if not intact[newest]:
            return self._fail(f"the message is not what set {newest} vouches for: {self._steps[-1]}", newest, intact)
        problem = await self._seals(ring)
        if problem:
            return self._fail(problem, newest, intact)
        oldest = max((instance + 1 for instance, whole in intact.items() if not whole), default=0)
        reason = f"{newest} sets hold; the newest was sealed by {self._sets[-1].seal.domain}"
        return ArcResult("pass", reason, self._links(intact), newest, oldest, steps=tuple(self._steps))

    async def _intact(self, one: ArcSet, ring: KeyRing, now: int) -> bool:
        """RFC 8617 5.2 steps 4 and 5: whether the message is as this set's signature saw it."""
        try:
            check_clock(one.signature, now)
        except BadSignature as fault:
            self._steps.append(f"message signature {one.instance}: {fault}")
            return False
        body = self._hashes.digest(one.signature.body_form, one.signature.length)
        outcome = await check(self._fields, one.signature_place, one.signature, body, ring)
        whole = outcome.result == "pass" and body.hashed == body.total
        reason = outcome.reason if whole or outcome.result != "pass" else "it leaves octets of the body uncovered (l=)"
        self._steps.append(f"message signature {one.instance}: {reason}")
        return whole

    async def _seals(self, ring: KeyRing) -> str:
        """RFC 8617 5.2 step 6: why a seal does not hold; "" when all do."""
        digests = seal_digests(self._fields, self._sets)
        for one, digest in zip(reversed(self._sets), reversed(digests), strict=True):
            problem = await self._seal(one, digest, ring)
            self._steps.append(f"seal {one.instance}: {problem or 'sealed by ' + one.seal.domain}")
            if problem:
                return f"the seal of set {one.instance} does not hold: {problem}"
        return ""

    async def _seal(self, one: ArcSet, digest: bytes, ring: KeyRing) -> str:
        name = key_name(one.seal.selector, one.seal.domain)
        try:
            keys = await ring.find(name)
        except (BadKey, DnsProblem) as fault:
            return f"{fault}, at {name}"
        fitting = [key for key in keys if key.kind == one.seal.kind and key.allows_sha256]
        if any(key.verifies(one.seal.value, digest) for key in fitting):
            return ""
        return "it was changed, or another key was used" if fitting else f"the key at {name} is of another type"

    def _fail(self, reason: str, newest: int, intact: dict[int, bool] | None = None) -> ArcResult:
        return ArcResult(
            "fail",
            reason,
            self._links(intact or {}),
            newest,
            sealed_failure=bool(self._broken and self._broken.sealed_failure),
            steps=(*self._steps, reason),
        )

    def _links(self, intact: dict[int, bool]) -> tuple[ArcLink, ...]:
        return tuple(
            ArcLink(
                one.instance,
                one.seal.domain,
                one.seal.selector,
                one.signature.domain,
                one.results,
                intact.get(one.instance),
            )
            for one in self._sets
        )
