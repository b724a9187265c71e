"""What an SPF check says, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """RFC 7208 2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class SpfResult:
    """The answer for one identity. All texts are printable ASCII and bounded.

    domain: the name whose record was asked for, as A-labels (as given where it is no name).
    identity: "mailfrom", or "helo" (also when the reverse-path is null; RFC 7208 2.4).
    explanation: the words of the domain's owner (exp=) on fail, else "". They come from a stranger: say so when they
    are repeated.
    reason: one sentence of ours. steps: everything that was looked at, in order.
    mechanism: the directive that decided, as published; "" when none did.
    lookups: terms that asked the DNS (RFC 7208 4.6.4 allows 10).
    """

    result: Result
    domain: str
    identity: str
    reason: str
    explanation: str = ""
    mechanism: str = ""
    steps: tuple[str, ...] = ()
    lookups: int = 0
