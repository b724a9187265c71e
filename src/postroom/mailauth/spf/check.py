"""check_host(): is this host allowed to send for this domain (RFC 7208 4; RFC 8616 4 for international mail)?

Purpose: one evaluation with all its limits, and a reason that an administrator understands.
Ownership: an Evaluation belongs to one check. Time is the Dns' business: a slow one says DnsUnavailable.
Trust: the HELO name, the sender and every record are hostile. At most 10 terms ask the DNS, each for at most 11 things;
3 void terms end it; texts are bounded (RFC 7208 4.6.4).
Standards: what RFC 7208 leaves open is decided here: a target that is no domain name does not match (4.8); a term is
void once however many of its questions were (4.6.4 limits "terms"); %{p} is looked up once for a check.
On failure: no exception; problems are the results temperror and permerror.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from postroom.mailauth.names import a_labels, shown, well_formed, within
from postroom.mailauth.spf.client import Client
from postroom.mailauth.spf.macro import BadMacro, MacroString, expand, expand_name, letters_of, parse_macros
from postroom.mailauth.spf.record import ASKING, BadRecord, Directive, Record, Target, choose_record, parse_record
from postroom.mailauth.spf.result import Result, SpfResult
from postroom.mailauth.spf.words import reason_for
from postroom.values.dns import Dns, DnsUnavailable, NoSuchName, RecordType

#: RFC 7208 4.6.4
TERMS_THAT_ASK: Final = 10
VOID_LOOKUPS: Final = 2
MX_HOSTS: Final = 10
PTR_NAMES: Final = 10
#: characters of the domain owner's words; it goes into an SMTP reply (RFC 5321 4.5.3.1.5)
EXPLANATION: Final = 450
#: steps that are noted; a check has no more than about 60 unless somebody means harm
STEPS: Final = 200


@dataclass(slots=True)
class _End(Exception):
    """The check is over: temperror or permerror, for this reason."""

    result: Result
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the record of one domain ended. record None: there was none. directive: what matched, as published."""

    result: Result
    domain: str
    record: Record | None = None
    directive: str = ""
    seen: tuple[str, ...] = ()


@dataclass(slots=True)
class Evaluation:
    """One check: the facts, what is left of the limits, and the notes."""

    dns: Dns
    client: Client
    values: dict[str, str]
    asked: int = 0
    void: int = 0
    steps: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    _validated: list[str] | None = None

    def note(self, text: str) -> None:
        """A step, for whoever wants to know; the networks before it that did not match are one step together."""
        if self.missed:
            self._flush()
        if len(self.steps) < STEPS:
            self.steps.append(shown(text, 600))

    def _flush(self) -> None:
        if self.missed:
            missed, self.missed = self.missed, []
            self.note(f"{self.client.text} is not in {', '.join(missed)}")

    async def host(self, domain: str) -> Verdict:
        """RFC 7208 4.3 to 4.7 for one domain and where it redirects to. Raises _End."""
        record = await self._record(domain)
        while record is not None:
            seen: list[str] = []
            for directive in record.directives:
                asks = directive.mechanism in ASKING
                if await self._matches(directive, domain) if asks else self._holds(directive):
                    self.note(f"{directive.text} matches: {directive.result}")
                    return Verdict(directive.result, domain, record, directive.text, tuple(seen))
                seen.append(directive.text)
            self._flush()
            following = record.redirect and await self._redirect(record.redirect, domain)
            if not following:
                return Verdict(Result.NEUTRAL, domain, record, "", tuple(seen))
            domain, record = following
        return Verdict(Result.NONE, domain)

    async def _record(self, domain: str) -> Record | None:
        """RFC 7208 4.4, 4.5."""
        if not a_labels(domain) or "." not in domain:
            self.note(f"{domain or '(no name)'} is no domain name that SPF can look up")
            return None
        try:
            texts = (await self.dns.lookup(domain, RecordType.TXT)).records
        except NoSuchName:
            self.note(f"{domain} does not exist")
            return None
        except DnsUnavailable as fault:
            raise _End(Result.TEMPERROR, f"the DNS did not say what {domain} publishes ({fault})") from None
        try:
            text = choose_record(texts)
            if text is None:
                self.note(f"{domain} publishes no SPF record")
                return None
            self.note(f"{domain} publishes: {text.decode('ascii', 'replace')}")
            return parse_record(text)
        except BadRecord as fault:
            raise _End(Result.PERMERROR, f"the SPF record of {domain} cannot be used: {fault}") from None

    async def _redirect(self, target: Target, domain: str) -> tuple[str, Record] | None:
        """RFC 7208 6.1: where to go on; None where nothing can be asked for this sender (RFC 8616 4)."""
        self._count(f"redirect={target.text}", domain)
        name = await self._name(target, domain)
        if not name:
            self.note(f"redirect={target.text} is passed over, because the sender's local part is not ASCII (RFC 8616)")
            return None
        self.note(f"redirect={target.text} leads to {name}")
        record = await self._record(name)
        if record is None:
            raise _End(Result.PERMERROR, f"{domain} redirects to {name}, which has no SPF record")
        return name, record

    def _count(self, text: str, domain: str) -> None:
        """RFC 7208 4.6.4, first paragraph."""
        self.asked += 1
        if self.asked > TERMS_THAT_ASK:
            why = f"the record of {domain} asks the DNS more than {TERMS_THAT_ASK} times; the one too many is {text}"
            raise _End(Result.PERMERROR, why)

    def _note_void(self, text: str) -> None:
        """RFC 7208 4.6.4, last paragraph."""
        self.void += 1
        if self.void > VOID_LOOKUPS:
            why = f"more than {VOID_LOOKUPS} terms ask for what the DNS does not have; the last is {text}"
            raise _End(Result.PERMERROR, why)

    async def _name(self, target: Target | None, domain: str) -> str:
        """The <target-name>; "" where RFC 8616 4 says that nothing matches."""
        if target is None:
            return domain
        if "%" not in target.text:
            return expand_name(target.pieces, {})
        if target.personal and not self.values["l"].isascii():
            return ""
        return expand_name(target.pieces, await self._macros(target.letters, domain))

    async def _macros(self, letters: frozenset[str], domain: str) -> dict[str, str]:
        values = {**self.values, "d": domain}
        if "p" in letters:
            values["p"] = await self._own_name(domain)
        return values

    async def _matches(self, directive: Directive, domain: str) -> bool:
        """The mechanisms that ask the DNS. Raises _End."""
        mechanism = directive.mechanism
        self._count(directive.text, domain)
        name = await self._name(directive.target, domain)
        if not name:
            self.note(f"{directive.text}: no match, because the sender's local part is not ASCII (RFC 8616)")
            return False
        if mechanism == "include":
            return await self._include(directive, name)
        if not well_formed(name):
            self.note(f"{directive.text}: no match, because {name} is no domain name")
            return False
        if mechanism == "ptr":
            return await self._ptr(directive, name)
        return await self._addresses(directive, name)

    def _holds(self, directive: Directive) -> bool:
        """all, ip4, ip6: RFC 7208 5.1, 5.6."""
        client = self.client
        if directive.mechanism == "all":
            return True
        if directive.mechanism == "ip4":
            found = client.version == 4 and client.equals(directive.network, directive.prefix4)
        else:
            found = client.version == 6 and client.equals(directive.network, directive.prefix6)
        if not found:
            self.missed.append(directive.text)
        return found

    async def _include(self, directive: Directive, name: str) -> bool:
        """RFC 7208 5.2."""
        inner = await self.host(name)
        if inner.record is None:
            why = f"{directive.text} leads to a name without an SPF record"
            raise _End(Result.PERMERROR, why)
        if inner.result is not Result.PASS:
            self.note(f"{directive.text}: no match, because {name} says {inner.result}")
        return inner.result is Result.PASS

    async def _ask(self, name: str, kind: RecordType, text: str) -> tuple[Any, ...]:
        """What a term asks: nothing when the name does not exist. Raises _End when nobody can tell (RFC 7208 5)."""
        try:
            return (await self.dns.lookup(name, kind)).records
        except NoSuchName:
            return ()
        except DnsUnavailable as fault:
            why = f"the DNS did not answer for {name} ({kind}), which {text} needs: {fault}"
            raise _End(Result.TEMPERROR, why) from None

    async def _addresses(self, directive: Directive, name: str) -> bool:
        """a, mx, exists: RFC 7208 5.3, 5.4, 5.7."""
        text, client = directive.text, self.client
        if directive.mechanism == "exists":
            found = await self._ask(name, RecordType.A, text)
            if not found:
                self.note(f"{text}: no match, {name} has no address (A)")
                self._note_void(text)
            return bool(found)
        prefix = directive.prefix4 if client.version == 4 else directive.prefix6
        hosts = await self._mx_hosts(text, name) if directive.mechanism == "mx" else [name]
        void = True
        listed: list[str] = []
        for host in hosts:
            found = await self._ask(host, client.address_type, text)
            if client.among(found, prefix):
                return True
            void = void and not found
            listed += found
        if hosts is not _NULL_MX:
            self.note(f"{text}: no match, {name} has {', '.join(listed[:8]) or f'no address ({client.address_type})'}")
            if void:
                self._note_void(text)
        return False

    async def _mx_hosts(self, text: str, name: str) -> list[str]:
        records = await self._ask(name, RecordType.MX, text)
        if len(records) > MX_HOSTS:
            raise _End(Result.PERMERROR, f"{text} leads to {len(records)} mail servers; {MX_HOSTS} are allowed")
        hosts = [host for _, host in records if well_formed(host)]
        if records and not hosts:
            self.note(f"{text}: no match, {name} takes no mail (null MX)")
            return _NULL_MX
        return hosts

    async def _ptr(self, directive: Directive, name: str) -> bool:
        """RFC 7208 5.5 with erratum: a validated name matches when it is the target or below it."""
        names = await self._own_names(directive.text)
        lower = name.lower()
        if any(within(one, lower) for one in names):
            return True
        proven = f"only {', '.join(names[:4])}" if names else "none"
        self.note(f"{directive.text}: no match, of the names of {self.client.text} is proven: {proven}")
        return False

    async def _own_names(self, text: str = "") -> list[str]:
        """The client's names that lead back to it; asked once for a check. Errors only make names fewer."""
        if self._validated is not None:
            return self._validated
        self._validated = []
        try:
            names = (await self.dns.lookup(self.client.reverse_name, RecordType.PTR)).records
        except NoSuchName:
            names = ()
        except DnsUnavailable:
            self.note(f"the DNS did not say what {self.client.text} is called")
            return self._validated
        if not names and text:
            self._note_void(text)
        for name in names[:PTR_NAMES]:
            if await self._leads_back(name):
                self._validated.append(name.lower())
        return self._validated

    async def _leads_back(self, name: str) -> bool:
        if not well_formed(name):
            return False
        try:
            addresses = (await self.dns.lookup(name, self.client.address_type)).records
        except (NoSuchName, DnsUnavailable):
            return False
        return self.client.among(addresses, 32 if self.client.version == 4 else 128)

    async def _own_name(self, domain: str) -> str:
        """The macro %{p} (RFC 7208 7.3): the domain itself, else a name below it, else any, else "unknown"."""
        names = await self._own_names()
        lower = domain.lower()
        if lower in names:
            return lower
        return next((one for one in names if within(one, lower)), names[0] if names else "unknown")

    async def explain(self, target: Target, domain: str) -> str:
        """RFC 7208 6.2: the words of exp=; "" when there are none that can be used."""
        name = await self._name(target, domain)
        if not name or not well_formed(name):
            return ""
        try:
            texts = (await self.dns.lookup(name, RecordType.TXT)).records
            if len(texts) != 1:
                return ""
            pieces: MacroString = parse_macros(texts[0].decode("ascii"), explanation=True)
        except (NoSuchName, DnsUnavailable, BadMacro, UnicodeDecodeError):
            return ""
        words = expand(pieces, await self._macros(letters_of(pieces), domain), EXPLANATION)
        return words[:EXPLANATION] if words.isascii() and words.isprintable() else ""


#: a name that takes no mail (RFC 7505) is not void
_NULL_MX: Final[list[str]] = []


async def check(dns: Dns, ip: str, helo: str, mail_from: str, receiver: str = "unknown", now: int = 0) -> SpfResult:
    """The MAIL FROM identity (RFC 7208 2.4): `local@domain` without < and >; "" stands for postmaster@helo.

    ip: the host's address as text; raises ValueError when it is none. helo: as the host said it. receiver: our name,
    for %{r}. now: Unix seconds, for %{t}.
    """
    local, _, domain = mail_from.rpartition("@")
    identity = "mailfrom" if mail_from else "helo"
    facts = {"l": _unquoted(local) or "postmaster", "h": helo, "r": receiver or "unknown", "t": str(now)}
    return await _check(dns, Client.of(ip), domain if mail_from else helo, facts, identity)


async def check_helo(dns: Dns, ip: str, helo: str, receiver: str = "unknown", now: int = 0) -> SpfResult:
    """The HELO identity alone (RFC 7208 2.3); arguments as for `check`."""
    facts = {"l": "postmaster", "h": helo, "r": receiver or "unknown", "t": str(now)}
    return await _check(dns, Client.of(ip), helo, facts, "helo")


def _unquoted(local: str) -> str:
    """RFC 5321 4.1.2: "a b" and a\\ b name the same mailbox."""
    if len(local) > 1 and local[0] == local[-1] == '"':
        return local[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return local


async def _check(dns: Dns, client: Client, given: str, facts: dict[str, str], identity: str) -> SpfResult:
    domain = a_labels(given) or given.removesuffix(".").lower()
    values = {**facts, "s": f"{facts['l']}@{domain}", "o": domain, "i": client.dotted, "c": client.text}
    values["v"] = "in-addr" if client.version == 4 else "ip6"
    work = Evaluation(dns, client, values)
    explanation = term = ""
    try:
        verdict = await work.host(domain)
        if verdict.result is Result.FAIL and verdict.record and verdict.record.explanation:
            explanation = await work.explain(verdict.record.explanation, verdict.domain)
        result, term = verdict.result, verdict.directive
        if verdict.record is None:
            why = work.steps[-1]
        else:
            why = reason_for(client.text, domain, verdict.domain, (result, term, verdict.seen))
    except _End as end:
        result, why = end.result, end.why
        work.note(why)
    return SpfResult(
        result=result,
        domain=shown(domain),
        identity=identity,
        reason=shown(why, 500),
        explanation=explanation,
        mechanism=shown(term),
        steps=tuple(work.steps),
        lookups=work.asked,
    )
