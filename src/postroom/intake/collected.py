"""What one message says for the reports of a day: made when it is examined, told with its event, read the next day.

Kept only for author domains whose record asks for reports. Plain lists, because they travel in events files; read back
leniently, for another version may have written them.
Owns: the form. Standards: RFC 9990 3.1.1.7 to 3.1.1.14, 3.1.3 (the order of signatures), 3.1.6 (overrides).
On failure: never; what cannot be read is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec

from postroom.intake.verdict import ACCEPT, JUNK, REFUSE, Verdict
from postroom.intake.verify import Evidence, Sender
from postroom.mailauth.dkim import DkimResult
from postroom.mailauth.dmarc import DmarcResult, Policy, parse_policy_record
from postroom.mailauth.dmarc import Result as Dmarc
from postroom.mailauth.dmarc.aggregate import DkimTold, Override, Published, Row, SpfTold
from postroom.mailauth.names import within

_APPLIED: Final = {ACCEPT: "none", JUNK: "quarantine", REFUSE: "reject"}


@dataclass(frozen=True, slots=True)
class Seen:
    """One message for one author domain: the policy that was found, and what a report says of it (count 1)."""

    published: Published
    row: Row


def collected(sender: Sender, evidence: Evidence, verdict: Verdict) -> list[object]:
    """What of a message goes into reports; empty when nobody asked."""
    asked = [(one, one.record) for one in evidence.dmarc if one.record is not None and one.record.aggregate]
    if not asked:
        return []
    spf = evidence.spf
    envelope = sender.mail_from.rpartition("@")[2].lower()
    return [
        sender.ip,
        envelope,
        [spf.domain, str(spf.result)],
        [[_published(one.policy_domain, record.text), *_judged(one, evidence, verdict)] for one, record in asked],
    ]


@lru_cache(maxsize=256)
def _published(domain: str, text: str) -> list[str]:
    """The tags of a record, by its text: hashing that is quicker than hashing all that was read from it."""
    record = parse_policy_record(text.encode("ascii", "replace"))
    assert record is not None
    return [
        domain,
        str(record.policy),
        str(record.subdomains or ""),
        str(record.missing or ""),
        "s" if record.strict_dkim else "r",
        "s" if record.strict_spf else "r",
        ":".join(record.failure_options),
        "y" if record.testing else "n",
    ]


def _judged(found: DmarcResult, evidence: Evidence, verdict: Verdict) -> list[object]:
    """author domain, disposition, whether DKIM and SPF are aligned, [override type, comment], signatures."""
    override: list[str] = []
    if found.result is Dmarc.PASS:
        disposition = "none" if found.policy is Policy.NONE else "pass"
    else:
        disposition = verdict.policy or _APPLIED[verdict.act]
        if found.result is not Dmarc.FAIL:
            override = ["other", "the DNS gave no certain answer"]
        elif disposition != found.requested:
            override = _override(found, evidence, verdict)
    signatures: Sequence[DkimResult] = evidence.dkims
    if len(signatures) > 1:
        signatures = sorted(signatures, key=lambda one: _order(one, found))
    told = [[one.domain, one.selector, one.result] for one in signatures if one.domain]
    return [found.domain, disposition, found.dkim_aligned, found.spf_aligned, override, told]


def _override(found: DmarcResult, evidence: Evidence, verdict: Verdict) -> list[str]:
    """RFC 9990 3.1.6."""
    if verdict.override == "trusted_forwarder":
        return [verdict.override, f"ARC sealed by {evidence.arc.sealer}"]
    if verdict.override:
        return [verdict.override, ""]
    return ["policy_test_mode" if found.policy is not found.requested else "local_policy", ""]


def _order(one: DkimResult, found: DmarcResult) -> int:
    """RFC 9990 3.1.3."""
    if one.result != "pass":
        return 3
    if one.domain == found.domain:
        return 0
    organization = found.organization or found.policy_domain
    return 1 if within(one.domain, organization) else 2


class _Told(msgspec.Struct, array_like=True, frozen=True):
    published: tuple[str, str, str, str, str, str, str, str]
    author: str
    disposition: str
    dkim: bool
    spf: bool
    override: tuple[str, ...]
    signatures: tuple[tuple[str, str, str], ...]


class _Report(msgspec.Struct, array_like=True, frozen=True):
    ip: str
    envelope: str
    spf: tuple[str, str]
    authors: tuple[_Told, ...]


def by_author(field: Any) -> Sequence[tuple[str, object]]:
    """What `collected` gave, from an event, cut by author domain: (policy domain, the same for one author alone).

    Nothing when it is of another form; the rest of the form is for `seen` to look at.
    """
    try:
        ip, envelope, spf, authors = field
        if len(authors) == 1:
            return ((str(authors[0][0][0]), field),)
        return [(str(one[0][0]), [ip, envelope, spf, [one]]) for one in authors]
    except (TypeError, ValueError, LookupError):
        return ()


def seen(field: object) -> Sequence[Seen]:
    """What `collected` gave, from an event; nothing when it is of another form."""
    try:
        found = msgspec.convert(field, _Report)
    except msgspec.ValidationError:
        return ()
    return [Seen(_told_policy(one), _row(found, one)) for one in found.authors]


def _told_policy(one: _Told) -> Published:
    domain, policy, subdomains, missing, adkim, aspf, options, testing = one.published
    return Published(domain, policy, subdomains, missing, adkim, aspf, options, testing, "treewalk")


def _row(found: _Report, one: _Told) -> Row:
    return Row(
        ip=found.ip,
        count=1,
        disposition=one.disposition,
        dkim=one.dkim,
        spf=one.spf,
        header_from=one.author,
        envelope_from=found.envelope,
        reasons=(Override(*one.override[:2]),) if one.override else (),
        dkims=tuple([DkimTold(*each) for each in one.signatures]),
        spfs=(SpfTold(*found.spf),),
    )
