"""What DMARC says of a message, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from postroom.mailauth.dmarc.record import Policy, PolicyRecord


class Result(StrEnum):
    """RFC 9989 9.2."""

    NONE = "none"
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """The answer for one message. Texts are printable ASCII and bounded; domains are A-labels.

    policy: what the owner of From wants done with mail that fails, for exactly this name: sp, np and t=y are already
    worked in. It is known on pass too; only `fail` applies it. "none" when there is no policy or it cannot be known.
    requested: the same before t=y lowered it.
    domain: the domain in From. policy_domain: where the record is, "" without one. organization: the organisational
    domain of From, "" where nothing depended on it.
    spf_aligned, dkim_aligned: whether that method alone proves From.
    reason: one sentence. steps: everything that was looked at, in order.
    """

    result: Result
    policy: Policy
    domain: str
    reason: str
    policy_domain: str = ""
    organization: str = ""
    record: PolicyRecord | None = None
    requested: Policy = Policy.NONE
    spf_aligned: bool = False
    dkim_aligned: bool = False
    steps: tuple[str, ...] = ()
