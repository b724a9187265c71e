"""Who hands made mail in: network and what it proves, drawn so that wanted and unwanted mail overlap.

A seventh of wanted mail proves nothing or is broken by forwarders and lists; bought domains and stolen accounts of
spam prove everything; free mail services send both kinds from the same networks.
Pure. Addresses are of networks kept for tests (198.18.0.0/15, 100.64.0.0/10).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from postroom.filter.findings import PeerFacts, Proofs

_ALL: Final = Proofs(spf="pass", dkim=("pass",), dmarc="pass")
#: weight and what is proven
_WANTED: Final = (
    (80, _ALL),
    (7, Proofs(spf="pass", dmarc="none")),
    (5, Proofs(spf="none", dmarc="none")),
    (4, Proofs(spf="softfail", dkim=("pass",), dmarc="pass")),
    (2, Proofs(spf="fail", dkim=("pass",), dmarc="pass")),
    (2, Proofs(spf="pass", dkim=("fail",), dmarc="fail")),
)
_BY_LIST: Final = ((70, _ALL), (30, Proofs(spf="pass", dkim=("fail",), dmarc="fail")))
_UNWANTED: Final = {
    "bot": (
        (35, Proofs(spf="none", dmarc="none")),
        (20, Proofs(spf="softfail", dmarc="none")),
        (15, Proofs(spf="fail", dmarc="fail")),
        (10, Proofs(spf="softfail", dmarc="fail")),
        (20, Proofs(spf="pass", dmarc="none")),
    ),
    "snow": ((85, _ALL), (15, Proofs(spf="pass", dmarc="none"))),
    "stolen": ((93, _ALL), (7, Proofs(spf="pass", dmarc="none"))),
    "free": ((97, _ALL), (3, Proofs(spf="softfail", dkim=("pass",), dmarc="pass"))),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """ip: of the peer; proven: From is; warned: intake would warn of an imitation; known: the reader wrote to it."""

    ip: str
    proofs: Proofs
    peer: PeerFacts
    proven: bool
    warned: bool = False
    known: bool = False


def of_wanted(chance: random.Random, part: str, *, free: bool, by_list: bool, known: bool) -> Facts:
    """For a wanted message. free: from a free mail service."""
    proofs = _drawn(chance, _BY_LIST if by_list else _WANTED)
    proven = proofs.dmarc == "pass"
    odd = chance.random() < 0.03
    peer = PeerFacts(
        iprev="fail" if odd else "pass",
        iprev_says="its name does not lead back to it" if odd else "",
        helo_says="its name is no whole host name" if chance.random() < 0.02 else "",
    )
    return Facts(
        ip=_ip(chance, part, "free" if free else "wanted"), proofs=proofs, peer=peer, proven=proven, known=known
    )


def of_unwanted(chance: random.Random, part: str, net: str, *, warned: bool) -> Facts:
    """For an unwanted message."""
    proofs = _drawn(chance, _UNWANTED[net])
    bot = net == "bot"
    peer = PeerFacts(
        iprev="pass" if chance.random() < (0.4 if bot else 0.95) else "permerror",
        iprev_says="it has no name in the DNS",
        helo_says="its name is no whole host name" if bot and chance.random() < 0.35 else "",
    )
    return Facts(ip=_ip(chance, part, net), proofs=proofs, peer=peer, proven=proofs.dmarc == "pass", warned=warned)


def _drawn(chance: random.Random, rows: tuple[tuple[int, Proofs], ...]) -> Proofs:
    return chance.choices([row[1] for row in rows], [row[0] for row in rows])[0]


def _ip(chance: random.Random, part: str, net: str) -> str:
    """Wanted mail and stolen accounts share networks, and so do the users of free mail services, in both parts."""
    last = chance.randint(1, 254)
    if net == "free":
        return f"198.18.{chance.randint(0, 3)}.{last}"
    if net in ("wanted", "stolen"):
        return f"198.18.{chance.randint(10, 90)}.{last}"
    if net == "snow":
        first = 0 if part == "train" else 20
        return f"198.19.{first + chance.randint(0, 25)}.{last}"  # some are still in use later
    return f"100.{chance.randint(64, 127)}.{chance.randint(0, 255)}.{last}"
