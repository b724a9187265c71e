"""From a mail transaction to the questions that scanners are asked, and what follows for the peer.

Owns: nothing. Trusts: `filter.scanners`.
Standards: RFC 3463 X.7.1 (delivery not authorized), RFC 5321 4.2.1 (4yz: try again).
On failure: Refusal 451 4.7.1 when a message must be looked at and cannot be; OSError when its file is gone.
"""

from __future__ import annotations

from postroom.filter.scanners import VIRUS, Postponed, Scanned, Scanners
from postroom.filter.scoring import Act
from postroom.intake.model import Envelope, Peer
from postroom.values.content import Content
from postroom.values.refusal import Refusal
from postroom.wire.rspamd import Question


class Scanning:
    """Asks the scanners of one worker. hostname: our own."""

    def __init__(self, scanners: Scanners, hostname: str) -> None:
        self._scanners = scanners
        self._hostname = hostname

    async def look(self, content: Content, peer: Peer, envelope: Envelope) -> Scanned:
        """Mail from outside."""
        try:
            return await self._scanners.scan(content, question(peer, envelope, self._hostname))
        except Postponed as fault:
            raise _postponed(fault) from fault

    async def submitted(self, content: Content) -> Scanned:
        """Mail of our own people: only a virus that is known stops it. Raises Refusal 550 5.7.1 for one."""
        try:
            found = await self._scanners.viruses(content)
        except Postponed as fault:
            raise _postponed(fault) from fault
        if found.at_least is not Act.ACCEPT and any(one.name == VIRUS for one in found.findings):
            raise virus_refusal(found)
        return found


def question(peer: Peer, envelope: Envelope, hostname: str) -> Question:
    """What rspamd is told of who sends it to whom."""
    name = envelope.standing.iprev if envelope.standing is not None else None
    return Question(
        sender="" if envelope.sender is None else str(envelope.sender),
        recipients=[given.address for given in envelope.given],
        ip=peer.ip,
        helo=peer.helo,
        name=name.name if name is not None and name.result == "pass" else "",
        user=peer.account.login if peer.account is not None else "",
        id=envelope.id,
        here=hostname,
    )


def virus_refusal(found: Scanned) -> Refusal:
    """Of a message in which something was found."""
    words = "; ".join(one.text for one in found.findings if one.name.startswith("VIRUS")) or "it must not pass"
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in words)
    return Refusal(550, "5.7.1", f"This message cannot be taken: {plain[:300]}", reason=words)


def _postponed(fault: Postponed) -> Refusal:
    return Refusal(451, "4.7.1", "This message cannot be checked now, try again later", reason=str(fault))
