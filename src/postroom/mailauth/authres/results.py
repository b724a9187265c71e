"""What our checks found, in the words of Authentication-Results.

Standards: RFC 8601 2.7 (methods, results, properties), RFC 6008 4 (header.b), RFC 8617 6 (arc), RFC 9989 9 (dmarc).
On failure: never.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from postroom.mailauth.arc.verify import ArcResult
from postroom.mailauth.authres.print import MethodResult, Property
from postroom.mailauth.dkim.verify import DkimResult
from postroom.mailauth.dmarc import DmarcResult
from postroom.mailauth.spf import SpfResult

#: results printed of one kind of check; a message may have many signatures
MAX_RESULTS = 16


def _properties(pairs: Iterable[tuple[str, str]]) -> tuple[Property, ...]:
    """`header.d` and value; empty values are left out."""
    made = ((*name.split("."), value) for name, value in pairs if value)
    return tuple(Property(*parts) for parts in made)


def dkim_results(found: Sequence[DkimResult]) -> tuple[MethodResult, ...]:
    """One result for each signature, `dkim=none` for a message without any (RFC 8601 2.7.1)."""
    if not found:
        return (MethodResult("dkim", "none"),)
    return tuple(_dkim(one) for one in found[:MAX_RESULTS])


def _dkim(one: DkimResult) -> MethodResult:
    comment = f"{one.key_bits}-bit key" if one.key_bits else ""
    if one.testing:
        comment += ", in testing"
    pairs = [
        ("header.d", one.domain),
        ("header.i", one.identity),
        ("header.s", one.selector),
        ("header.a", one.algorithm),
        ("header.b", one.mark),
    ]
    return MethodResult("dkim", one.result, "" if one.result == "pass" else one.reason, comment, _properties(pairs))


def spf_result(found: SpfResult, mail_from: str, helo: str) -> MethodResult:
    """The result of SPF (RFC 8601 2.7.2). mail_from: the envelope's sender, "" when it is null."""
    checked = ("smtp.mailfrom", mail_from) if found.identity == "mailfrom" and mail_from else ("smtp.helo", helo)
    reason = "" if found.result == "pass" else found.reason
    return MethodResult("spf", str(found.result), reason, "", _properties([checked]))


def dmarc_result(found: DmarcResult) -> MethodResult:
    """The result of DMARC, with the policy as a comment, as RFC 9989 leaves it."""
    comment = f"p={found.policy}" if found.policy_domain else ""
    reason = "" if found.result == "pass" else found.reason
    return MethodResult("dmarc", str(found.result), reason, comment, _properties([("header.from", found.domain)]))


def arc_result(found: ArcResult, remote_ip: str) -> MethodResult:
    """The status of the chain (RFC 8617 6)."""
    oldest = str(found.oldest_pass) if found.result == "pass" else ""
    comment = f"i={found.newest}, sealed by {found.sealer}" if found.sealer else ""
    pairs = [("header.oldest-pass", oldest), ("smtp.remote-ip", remote_ip)]
    return MethodResult(
        "arc", found.result, found.reason if found.result == "fail" else "", comment, _properties(pairs)
    )
