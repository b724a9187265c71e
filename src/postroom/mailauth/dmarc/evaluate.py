"""DMARC for one message (RFC 9989 4.10, 5.3): find the policy, look for an aligned proof, say what follows.

Purpose: `evaluate` with the results of SPF and DKIM and the domain in From.
Trust: the domains come from the message and its signatures. A proof is walked for only when it is below the
organisation of From, at most MOST_PROOFS of them count, and each walk asks at most eight times.
Standards: a proof that failed for a passing reason (temperror) leaves the result open only when it would have been
aligned: a stranger's slow DNS must not save a forged From (RFC 9989 5.3.6).
On failure: no exception; what the DNS does not say gives temperror, a record or From that is unusable permerror.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from postroom.mailauth.dmarc.record import Policy, PolicyRecord
from postroom.mailauth.dmarc.result import DmarcResult, Result
from postroom.mailauth.dmarc.walk import TreeWalk, organization_of
from postroom.mailauth.names import a_labels, shown, within
from postroom.values.dns import Dns, DnsUnavailable, NoSuchName, RecordType

#: distinct domains of signatures that are looked at
MOST_PROOFS: Final = 16


class Authenticated(Protocol):
    """The result of SPF or of one DKIM signature: "pass" proves the domain."""

    @property
    def result(self) -> str:
        """A result word of RFC 8601 2.7."""
        ...

    @property
    def domain(self) -> str:
        """What was checked: the domain of MAIL FROM, or d= of a signature."""
        ...


@dataclass(frozen=True, slots=True)
class Identifier:
    """A result without its history, for whoever has only the words."""

    result: str
    domain: str


@dataclass(frozen=True, slots=True)
class _Found:
    """The policy that applies: the record, where it is, and what it asks of this name.

    unsure: why it may be another one ("" when it is certain).
    """

    where: str
    record: PolicyRecord
    requested: Policy
    tag: str
    unsure: str = ""


@dataclass(slots=True)
class _Message:
    """One evaluation."""

    dns: Dns
    domain: str
    walks: TreeWalk
    organization: str = ""
    steps: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if len(self.steps) < 100:
            self.steps.append(shown(text, 600))

    async def record(self) -> tuple[str, PolicyRecord] | None:
        """RFC 9989 4.10.1: of the domain itself, else of its organisation, else of its public suffix."""
        own = await self.walks.record_at(self.domain)
        if own is not None:
            return self.domain, own
        found = await self.walks.walk(self.domain)
        self.organization = organization_of(self.domain, found)
        at_organization = [one for one in found if one[0] == self.organization]
        at_suffix = [one for one in found if one[1].suffix == "y"]
        return next(iter(at_organization or at_suffix), None)

    async def policy(self) -> _Found | None:
        """The record, with what it asks of this name. Raises DnsUnavailable."""
        found = await self.record()
        for name in self.walks.asked:
            self.note(f"asked for {name}")
        if found is None:
            return None
        where, record = found
        self.note(f"_dmarc.{where} publishes: {record.text}")
        for problem in record.problems:
            self.note(f"passed over: {problem}")
        if record.percent != 100:
            self.note(f"pct={record.percent} has no effect since RFC 9989; t=y is what it was used for")
        if where == self.domain:
            return _Found(where, record, record.policy, "p")
        exists, unsure = True, ""
        if record.missing not in {None, record.for_subdomain(exists=True)[0]}:
            try:
                exists = await self._exists()
                self.note(f"{self.domain} {'exists' if exists else 'does not exist (NXDOMAIN)'}")
            except DnsUnavailable as fault:
                unsure = f"the DNS did not say whether {self.domain} exists: {fault}"
                self.note(unsure)
        return _Found(where, record, *record.for_subdomain(exists=exists), unsure)

    async def _exists(self) -> bool:
        """RFC 9989 3.2.13, A.4: NXDOMAIN for any type. Raises DnsUnavailable."""
        try:
            await self.dns.lookup(self.domain, RecordType.A)
        except NoSuchName:
            return False
        return True

    async def aligned(self, proof: str, *, strict: bool) -> bool:
        """RFC 9989 4.4, 4.10.2. Raises DnsUnavailable."""
        if proof == self.domain:
            return True
        if strict or not proof:
            return False
        if not self.organization:
            self.organization = await self.walks.organization(self.domain)
            self.note(f"the organisational domain of {self.domain} is {self.organization}")
        # an organisational domain is the name itself or above it, so nothing else can have this one
        if not within(proof, self.organization):
            return False
        other = await self.walks.organization(proof)
        self.note(f"the organisational domain of {proof} is {other}")
        return other == self.organization

    async def proofs(self, method: str, results: Sequence[Authenticated], *, strict: bool) -> tuple[bool, bool]:
        """Whether one of them proves From; and whether the DNS keeps it open."""
        done: set[tuple[str, str]] = set()
        is_open = False
        for one in results:
            proof = a_labels(one.domain)
            if one.result not in {"pass", "temperror"} or (proof, one.result) in done:
                self.note(f"{method} says {one.result} for {one.domain or '(no domain)'}, which proves nothing")
                continue
            done.add((proof, one.result))
            if len(done) > MOST_PROOFS:
                self.note(f"more than {MOST_PROOFS} domains are signed with; the others are not looked at")
                break
            try:
                aligned = await self.aligned(proof, strict=strict)
            except DnsUnavailable as fault:
                self.note(f"whether {proof} belongs to {self.domain} could not be found out: {fault}")
                is_open = True
                continue
            mode = "identical" if proof == self.domain else "in the same organisation" if aligned else "not aligned"
            self.note(f"{method} says {one.result} for {proof}: {mode}{' (strict)' if strict else ''}")
            if aligned and one.result == "pass":
                return True, False
            is_open = is_open or aligned
        return False, is_open


async def evaluate(
    dns: Dns, from_domain: str, spf: Authenticated | None, dkims: Sequence[Authenticated] = ()
) -> DmarcResult:
    """The result for a message whose only From has this domain.

    spf: the result of `spf.check`, whose domain is that of MAIL FROM (of HELO when the reverse-path is null; RFC 9989
    3.2.4); None when there was no check. dkims: the results of all signatures.
    """
    domain = a_labels(from_domain)
    if not domain:
        given = shown(from_domain, 100)
        return DmarcResult(Result.PERMERROR, Policy.NONE, given, f'"{given}" in From is no domain name')
    work = _Message(dns, domain, TreeWalk(dns))
    try:
        found = await work.policy()
    except DnsUnavailable as fault:
        work.note(f"the DNS did not answer: {fault}")
        reason = f"the DNS did not say whether {domain} has a DMARC policy: {fault}"
        return _result(work, Result.TEMPERROR, None, reason)
    if found is None:
        looked = ", ".join(work.walks.asked)
        return _result(work, Result.NONE, None, f"{domain} has no DMARC policy; looked at {looked}")
    if not found.record.usable:
        return _unusable(work, found)
    by_spf, open_spf = await work.proofs("SPF", [spf] if spf else [], strict=found.record.strict_spf)
    by_dkim, open_dkim = await work.proofs("DKIM", dkims, strict=found.record.strict_dkim)
    if by_spf or by_dkim:
        how = " and ".join(["SPF"] * by_spf + ["a DKIM signature"] * by_dkim)
        return _result(work, Result.PASS, found, f"{domain} is proven by {how}", (by_spf, by_dkim))
    if open_spf or open_dkim:
        reason = f"{domain} may be proven, but the DNS did not answer for {'SPF' if open_spf else 'DKIM'}: try again"
        return _result(work, Result.TEMPERROR, found, reason)
    if found.unsure:
        reason = f"nothing proves {domain}, but {found.unsure}, so its policy is not known"
        return _result(work, Result.TEMPERROR, found, reason)
    return _result(work, Result.FAIL, found, _failure(work, found, spf, dkims))


def _unusable(work: _Message, found: _Found) -> DmarcResult:
    """RFC 9989 4.10.1: a record without a policy and without anybody who wants reports."""
    where = f"_dmarc.{found.where}"
    if found.record.broken:
        return _result(work, Result.PERMERROR, found, f"{where} cannot be used: {'; '.join(found.record.problems)}")
    return _result(work, Result.NONE, found, f"{where} asks for nothing: it has neither p= nor rua=")


def _failure(work: _Message, found: _Found, spf: Authenticated | None, dkims: Sequence[Authenticated]) -> str:
    """Why nothing proves From, and what its owner wants."""
    tried = [("SPF", spf)] if spf else []
    tried += [("DKIM", one) for one in dkims[:3]]
    passed = [f"{method} passed for {one.domain or '(no domain)'}" for method, one in tried if one.result == "pass"]
    failed = [f"{method} said {one.result} for {one.domain or '(no domain)'}" for method, one in tried
              if one.result != "pass"]  # fmt: skip
    if passed:
        strict = found.record.strict_dkim or found.record.strict_spf
        said = f"{' and '.join(passed)}, which is not {'the same' if strict else 'of the same organisation'}"
    else:
        said = " and ".join(failed) or "there was no SPF or DKIM result"
    asks = f"{found.tag}={found.requested} at _dmarc.{found.where}"
    if found.record.testing and found.requested is not Policy.NONE:
        asks += f", lowered to {found.requested.lowered} by t=y"
    return f"nothing proves {work.domain}: {said}; the owner asks for {asks}"


def _result(
    work: _Message, result: Result, found: _Found | None, reason: str, proven: tuple[bool, bool] = (False, False)
) -> DmarcResult:
    policy = requested = Policy.NONE
    if found is not None and result in {Result.PASS, Result.FAIL}:
        requested = found.requested
        policy = requested.lowered if found.record.testing else requested
    return DmarcResult(
        result=result,
        policy=policy,
        domain=work.domain,
        reason=shown(reason, 500),
        policy_domain=found.where if found else "",
        organization=work.organization,
        record=found.record if found else None,
        requested=requested,
        spf_aligned=proven[0],
        dkim_aligned=proven[1],
        steps=tuple(work.steps),
    )
