"""CPU of SPF and DMARC alone, over zone data, without a network: microseconds a check, and checks a second.

`python bench/bench_spf.py [ROUNDS]`. The records are of the sizes that are common: a small company's, one with three
includes as large providers want them, one with 200 networks; and DMARC for a message that both SPF and DKIM prove.
"""

from __future__ import annotations

import sys
import time
import timeit
from collections.abc import Callable
from typing import Any

from postroom.mailauth.dmarc import Identifier, evaluate
from postroom.mailauth.spf import check
from postroom.mailauth.zone import ZoneData, finished

_NETWORKS = " ".join(f"ip4:198.51.{number}.0/24" for number in range(200))
ZONE: dict[str, Any] = {
    "small.example": {
        "TXT": ["v=spf1 a mx ip4:203.0.113.0/28 -all"],
        "A": ["192.0.2.1"],
        "MX": [[10, "mx.small.example"]],
    },
    "mx.small.example": {"A": ["192.0.2.2"], "AAAA": ["2001:db8::2"]},
    "usual.example": {
        "TXT": [
            "some-verification=0123456789",
            "v=spf1 ip4:192.0.2.0/26 mx include:_spf.one.example include:_spf.two.example "
            "include:_spf.three.example ~all",
        ],
        "MX": [[10, "mx.small.example"]],
    },
    "_spf.one.example": {"TXT": ["v=spf1 include:_a.one.example include:_b.one.example ~all"]},
    "_a.one.example": {"TXT": ["v=spf1 " + " ".join(f"ip4:198.51.100.{n * 16}/28" for n in range(12)) + " ~all"]},
    "_b.one.example": {"TXT": ["v=spf1 " + " ".join(f"ip6:2001:db8:{n}::/48" for n in range(1, 8)) + " ~all"]},
    "_spf.two.example": {"TXT": ["v=spf1 ip4:203.0.113.0/25 ip4:203.0.113.128/26 -all"]},
    "_spf.three.example": {"TXT": ["v=spf1 ip4:233.252.0.0/24 -all"]},
    "large.example": {"TXT": [f"v=spf1 {_NETWORKS} -all"]},
    "macro.example": {"TXT": ["v=spf1 exists:%{ir}.%{l1r-}._spf.%{d2} -all exp=why.%{d}"]},
    "why.macro.example": {"TXT": ["%{i} is not one of %{d}'s servers; see https://macro.example/?s=%{S}"]},
    "_dmarc.usual.example": {"TXT": ["v=DMARC1; p=reject; rua=mailto:dmarc@usual.example; fo=1"]},
}
DNS = ZoneData(ZONE)
PROOFS = Identifier("pass", "bounces.usual.example"), (Identifier("pass", "mail.usual.example"),)


def spf(ip: str, domain: str) -> Callable[[], str]:
    return lambda: finished(check(DNS, ip, "mx.client.example", f"ann-lists@{domain}", "mx.example.org", 1))


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "SPF, small record, pass at the end": (spf("203.0.113.7", "small.example"), "pass"),
    "SPF, small record, fail": (spf("198.51.100.7", "small.example"), "fail"),
    "SPF, three includes, pass in the last": (spf("233.252.0.9", "usual.example"), "pass"),
    "SPF, three includes, softfail": (spf("192.0.2.200", "usual.example"), "softfail"),
    "SPF, three includes, IPv6 softfail": (spf("2001:db8:ffff::1", "usual.example"), "softfail"),
    "SPF, 200 networks, fail": (spf("192.0.2.200", "large.example"), "fail"),
    "SPF, macros and explanation, fail": (spf("192.0.2.200", "macro.example"), "fail"),
    "SPF, no record": (spf("192.0.2.200", "mx.small.example"), "none"),
    "DMARC, pass by SPF and DKIM": (lambda: finished(evaluate(DNS, "usual.example", *PROOFS)), "pass"),
    "DMARC, no policy": (lambda: finished(evaluate(DNS, "a.small.example", *PROOFS)), "none"),
}


def main(rounds: int) -> None:
    """CPU time; the best of nine for each case."""
    print("| case | us a check | checks a second |\n|---|---|---|")
    for name, (work, expected) in CASES.items():
        found = work().result
        assert found == expected, (name, found)
        best = min(timeit.repeat(work, timer=time.process_time, number=rounds, repeat=9)) / rounds
        print(f"| {name} | {best * 1e6:.1f} | {1 / best:,.0f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
