"""What the checks before the filter are worth: who is proven to have sent it, and what its server is like.

Plain words in, so that intake (which has just checked), `explain spam` (which reads what was written down then) and
measurements all weigh alike.
Pure. On failure: never; a result that is not known counts nothing.
Standards: RFC 8601 2.7 (the words for results).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from postroom.filter.scoring import Reason

_SPF: Final = {"fail": 1.5, "softfail": 0.7, "none": 0.5, "permerror": 0.5, "pass": -0.1}
_DMARC: Final = {"pass": -0.5, "fail": 1.2, "none": 0.2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """Results in the words of RFC 8601, "" for what was not checked; *_says: why, in plain words."""

    spf: str = ""
    spf_says: str = ""
    dkim: tuple[str, ...] = ()
    dmarc: str = ""
    dmarc_says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFacts:
    """iprev: as RFC 8601 2.7.3 has it, "" when not examined; helo_says: what is odd about its name, "" for nothing.

    listed: weight and words of each list in the DNS that has it.
    """

    iprev: str = ""
    iprev_says: str = ""
    helo_says: str = ""
    listed: tuple[tuple[float, str], ...] = ()


def findings(proofs: Proofs, peer: PeerFacts, warning: str = "") -> Iterator[Reason]:
    """warning: what the reader is warned of, "" for nothing."""
    yield from _of_proofs(proofs)
    if peer.iprev not in ("", "pass", "temperror"):
        yield Reason("NO_REVERSE_NAME", 0.8, peer.iprev_says)
    if peer.helo_says:
        yield Reason("ODD_HELO", 0.5, peer.helo_says)
    for weight, says in peer.listed:
        yield Reason("LISTED", round(3.0 * weight, 2), says)
    if warning:
        yield Reason("IMITATION", 2.5, warning.rstrip("."))


def _of_proofs(proofs: Proofs) -> Iterator[Reason]:
    points = _SPF.get(proofs.spf, 0.0)
    if points:
        yield Reason(f"SPF_{proofs.spf.upper()}", points, f"SPF: {proofs.spf_says or proofs.spf}")
    if "pass" in proofs.dkim:
        yield Reason("DKIM_PASS", -0.3, "a DKIM signature is good")
    elif {"fail", "permerror"} & set(proofs.dkim):
        yield Reason("DKIM_FAIL", 0.5, "its DKIM signature is broken")
    points = _DMARC.get(proofs.dmarc, 0.0)
    if points:
        yield Reason(f"DMARC_{proofs.dmarc.upper()}", points, f"DMARC: {proofs.dmarc_says or proofs.dmarc}")
