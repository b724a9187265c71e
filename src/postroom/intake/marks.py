"""Fields that intake writes into mail from outside, and those it takes out because they only pretend to be ours.

Standards: RFC 8601 (Authentication-Results, 5: removing), RFC 8617 4.1.1 (results inside a chain).
`X-Postroom-Warning` is ours alone: words for the reader, which webmail and filters may rely on.
On failure: never.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Final

from postroom.intake.verdict import Verdict, strictest
from postroom.intake.verify import Evidence, Sender
from postroom.mailauth.arc import ArcResult
from postroom.mailauth.authres import (
    AuthenticationResults,
    BadResults,
    MethodResult,
    Property,
    arc_result,
    dkim_results,
    dmarc_result,
    parse,
    remove_forged,
    spf_result,
)
from postroom.mailauth.dmarc import DmarcResult
from postroom.policy.peer_names import Iprev

_OURS: Final = re.compile(
    rb"^x-(?:postroom-[!-9;-~]*|spam-(?:flag|score|status|report|level|bar)|virus-status)[ \t]*:.*\n(?:[ \t].*\n)*",
    re.IGNORECASE | re.MULTILINE,
)
_LINE: Final = 76


def results_field(hostname: str, sender: Sender, evidence: Evidence, verdict: Verdict, peer: Iprev | None) -> bytes:
    """Authentication-Results of a message; peer: what was found out about the name of its address, if anything."""
    worst = strictest(evidence.dmarc)
    results = [
        spf_result(evidence.spf, sender.mail_from, sender.helo),
        *dkim_results(evidence.dkims),
        _dmarc(worst, verdict) if worst is not None else MethodResult("dmarc", "none"),
        arc_result(evidence.arc, sender.ip),
        *_iprev(peer, sender.ip),
    ]
    return AuthenticationResults(hostname, tuple(results)).field()


def _dmarc(found: DmarcResult, verdict: Verdict) -> MethodResult:
    """With what was done about it, where that is not what the owner asks for."""
    result = dmarc_result(found)
    if found.result != "fail" or verdict.policy in ("", str(found.policy)):
        return result
    reason = f"{result.reason}; applied: {verdict.policy}"
    return MethodResult(result.method, result.result, reason, result.comment, result.properties)


def _iprev(found: Iprev | None, ip: str) -> tuple[MethodResult, ...]:
    """RFC 8601 2.7.3."""
    if found is None:
        return ()
    reason = "" if found.result == "pass" else found.reason
    return (MethodResult("iprev", found.result, reason, found.name, (Property("policy", "iprev", ip),)),)


def warning_field(warning: str) -> bytes:
    """X-Postroom-Warning, folded; b"" without a warning. Only printable ASCII goes in."""
    if not warning:
        return b""
    text = "".join(letter if " " <= letter <= "~" else "?" for letter in warning)
    lines = textwrap.wrap(text, _LINE, initial_indent="X-Postroom-Warning: ", subsequent_indent=" ")
    return "\r\n".join(lines).encode() + b"\r\n"


def clean_header(head: bytes, hostname: str) -> bytes:
    """The header without fields that claim to be ours; the same object when there are none."""
    cleaned = remove_forged(head, [hostname])
    lower = cleaned.lower()
    if b"x-postroom-" in lower or b"x-spam-" in lower or b"x-virus-" in lower:
        cleaned = _OURS.sub(b"", cleaned)
    return cleaned


def vouches(chain: ArcResult, sealers: Sequence[str]) -> bool:
    """True when the chain holds, a trusted sealer sealed it last, and says that DMARC passed when it came to him."""
    if chain.result != "pass" or not _trusted(chain.sealer, sealers):
        return False
    try:
        told = parse(chain.chain[-1].results)
    except BadResults:
        return False
    return any(one.method == "dmarc" and one.result == "pass" for one in told.results)


def _trusted(domain: str, sealers: Sequence[str]) -> bool:
    return any(domain == sealer or domain.endswith("." + sealer) for sealer in sealers)
