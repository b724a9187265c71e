"""What follows from who sent a message: it is taken, filed as junk, or refused, and what its reader is warned of.

Owns: the rules, nothing else; pure. Refusing is for what its owner asked to be refused (p=reject) and for our own
domains; all doubt goes to Junk or becomes a warning, so that no wanted mail is lost to a rule.
Standards: RFC 9989 5.3, 5.4 and 7.4 (what a receiver may do, and mailing lists), RFC 8617 (a chain is as good as who
sealed it), RFC 3463 X.7.1.
On failure: never.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from postroom.intake.verify import Evidence
from postroom.mailauth.dmarc import DmarcResult, Policy
from postroom.mailauth.dmarc import Result as Dmarc

if TYPE_CHECKING:
    from postroom.intake.lists import Known

#: RFC 9989 has no list of words; these are for logs and the trace
ACCEPT: Final = "accept"
JUNK: Final = "junk"
REFUSE: Final = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What else is known of a message. own: the hosted domain that From claims, "" for others; below: From claims a
    domain below it, which is not hosted itself; spoof: what that domain wants done with mail that cannot prove it;
    is_list: it came by a mailing list (RFC 2919, RFC 2369); vouched: a sealer we trust says that it passed DMARC when
    it came to him; known: the list, when recipients write to it and its domain is proven.
    """

    own: str = ""
    below: bool = False
    spoof: str = "refuse"
    is_list: bool = False
    vouched: bool = False
    known: Known | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """act: accept, junk or refuse; reason: in plain words, for the reply, the trace and the log; warning: for the
    reader, "" without one; policy: what of DMARC was applied, "" when it was not about DMARC; override: why something
    else was applied than the owner asks for (RFC 9990 3.1.6), "" when nothing else was, or for reasons of ours.
    inbox: recipients who get it in their INBOX although it is junk for the others.
    """

    act: str = ACCEPT
    reason: str = ""
    warning: str = ""
    policy: str = ""
    override: str = ""
    inbox: tuple[str, ...] = ()


def judge(evidence: Evidence, shape: Shape) -> Verdict:
    """The verdict."""
    if shape.own and not shape.below:
        return _own(evidence, shape)
    worst = _worst(evidence.dmarc)
    if worst is None or worst.policy is Policy.NONE:
        return _below(evidence, shape) if shape.own else _unasked(evidence, shape)
    if shape.vouched:
        reason = f"{worst.reason}; but {evidence.arc.sealer}, which is trusted, saw it pass"
        return Verdict(reason=reason, policy="none", override="trusted_forwarder")
    if shape.known is not None:
        return _known_list(shape.known, worst.reason, _unproven(worst.domain))
    if worst.policy is Policy.REJECT and not _by_list(evidence, shape):
        return Verdict(act=REFUSE, reason=worst.reason, policy="reject")
    reason, override = worst.reason, ""
    if worst.policy is Policy.REJECT:
        override = "mailing_list"
        reason += "; it came by a mailing list, which often breaks what proves the author, so it is not refused"
    return Verdict(act=JUNK, reason=reason, warning=_unproven(worst.domain), policy="quarantine", override=override)


def _unproven(domain: str) -> str:
    return f"This message may not come from {domain}: nothing proves it."


def _known_list(known: Known, reason: str, warning: str) -> Verdict:
    """Mail that cannot prove its author, by a list that recipients write to (RFC 9989 7.4)."""
    reason += f"; it came by the mailing list {known.address}, to which recipients here have written"
    if known.sure:
        reason += ", and the author's domain has signed that it goes there"
        warning = ""
    else:
        warning += f" It came by {known.address}, to which people here have written before."
    if known.whole:
        return Verdict(reason=reason, warning=warning, policy="none", override="mailing_list")
    return Verdict(
        act=JUNK, reason=reason, warning=warning, policy="quarantine", override="mailing_list", inbox=known.inbox
    )


def _own(evidence: Evidence, shape: Shape) -> Verdict:
    """Mail from outside in the name of a domain of ours."""
    proof = proves(evidence, shape.own)
    if proof:
        return Verdict(reason=proof)
    if shape.vouched:
        reason = f"{evidence.arc.sealer}, which is trusted, saw it pass"
        return Verdict(reason=reason, override="trusted_forwarder")
    reason = f"the message claims to be from {shape.own}, but neither SPF nor DKIM proves it"
    warning = f"This message claims to be from {shape.own}, but it came from outside and nothing proves it."
    if shape.known is not None:
        return _known_list(shape.known, reason, warning)
    act = {"refuse": REFUSE, "junk": JUNK}.get(shape.spoof, ACCEPT)
    if act == REFUSE and _by_list(evidence, shape):
        reason += "; it came by a mailing list, so it is not refused"
        return Verdict(act=JUNK, reason=reason, warning=warning, override="mailing_list")
    return Verdict(act=act, reason=reason, warning=warning)


def _below(evidence: Evidence, shape: Shape) -> Verdict:
    """Mail in the name of a domain below one of ours, of which DMARC says nothing: somebody else may run it, so the
    least that proves it is enough, and nothing is refused.
    """
    if shape.vouched or proves(evidence, shape.own):
        return Verdict(reason=_good_words(evidence))
    reason = f"the message claims to be from a domain below {shape.own}, but neither SPF nor DKIM proves it"
    warning = f"This message claims to be from a part of {shape.own}, but nothing proves it."
    if shape.known is not None:
        return replace(_known_list(shape.known, reason, warning), policy="", override="")
    act = ACCEPT if shape.spoof == "mark" or _by_list(evidence, shape) else JUNK
    return Verdict(act=act, reason=reason, warning=warning)


def _unasked(evidence: Evidence, shape: Shape) -> Verdict:
    """Mail of which DMARC asks nothing. SPF that says no by itself warns: forwarding breaks it too often for more."""
    spf = evidence.spf
    for one in evidence.dmarc if spf.result == "fail" and not shape.vouched else ():
        signed = any(each.result == "pass" and related(each.domain, one.domain) for each in evidence.dkims)
        if one.record is None and one.result is Dmarc.NONE and related(spf.domain, one.domain) and not signed:
            warning = f"This message may not come from {one.domain}: SPF of {spf.domain} does not allow its server."
            return Verdict(reason=_good_words(evidence), warning=warning)
    return Verdict(reason=_good_words(evidence))


def proves(evidence: Evidence, own: str) -> str:
    """Why the message is truly from this domain of ours, in words; "" when nothing proves it."""
    if evidence.dmarc and all(one.result is Dmarc.PASS for one in evidence.dmarc):
        return evidence.dmarc[0].reason
    for one in evidence.dkims:
        if one.result == "pass" and related(one.domain, own):
            return f"signed by {one.domain}"
    if evidence.spf.result == "pass" and related(evidence.spf.domain, own):
        return f"SPF of {evidence.spf.domain} allows the sender's address"
    allowed = evidence.author_spf
    if allowed is not None and allowed.result == "pass":
        return f"SPF of {allowed.domain} allows the sender's address, though the envelope has another domain"
    return ""


def related(domain: str, own: str) -> bool:
    """The same domain, or one below the other (relaxed alignment within one hosted domain)."""
    return domain == own or domain.endswith("." + own) or own.endswith("." + domain)


def _worst(results: Iterable[DmarcResult]) -> DmarcResult | None:
    """The failure whose owner asks for most (RFC 9989 5.3: several author domains, the strictest counts)."""
    order = {Policy.NONE: 0, Policy.QUARANTINE: 1, Policy.REJECT: 2}
    failed = [one for one in results if one.result is Dmarc.FAIL]
    return max(failed, key=lambda one: order[one.policy], default=None)


def _by_list(evidence: Evidence, shape: Shape) -> bool:
    """It looks like a list's mail, and the list's own domain is proven: the list can be held to account."""
    if not shape.is_list:
        return False
    return evidence.spf.result == "pass" or any(one.result == "pass" for one in evidence.dkims)


def _good_words(evidence: Evidence) -> str:
    if evidence.dmarc:
        return evidence.dmarc[0].reason
    return evidence.spf.reason


def refusal_text(verdict: Verdict, own: str) -> str:
    """The reply's text: what is wrong, and what the sender's administrator can do."""
    if own:
        return (
            f"This is not a message from {own}: {verdict.reason}."
            f" If you send for {own}, ask its administrator to allow you in SPF or to give you a DKIM key"
        )
    return (
        f"The owner of the From domain wants unproven mail refused (DMARC): {verdict.reason}."
        " Sign with DKIM of that domain, or send from a host its SPF allows"
    )


def strictest(results: Sequence[DmarcResult]) -> DmarcResult | None:
    """The result to tell: the worst failure, or the first."""
    return _worst(results) or (results[0] if results else None)
