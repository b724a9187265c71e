"""What a server that sends us mail without a login is asked to prove: its names, and that no list has it.

Owns: nothing; each question is asked once for a transaction, all of them at the same time.
Trusts: nothing of the peer. Trusted networks, networks that may relay, and this machine are not examined.
On failure: nothing raises; what cannot be found out in time speaks neither for nor against the peer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from postroom.config import Check, Config
from postroom.policy.blocklists import NOT_LISTED, OF_PEERS, Blocklists, Event, Listed
from postroom.policy.networks import exempt
from postroom.policy.peer_names import HeloName, Iprev, check_helo, iprev
from postroom.values.clock import Clock
from postroom.values.dns import Dns
from postroom.values.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a peer. iprev and helo: None when not examined. fault: why its mail is refused, or None.

    fault: reply code, enhanced code, text for the peer, reason for the log.
    """

    iprev: Iprev | None = None
    helo: HeloName | None = None
    listed: Listed = NOT_LISTED
    fault: tuple[int, str, str, str] | None = None

    def check(self) -> None:
        """Raises Refusal when the peer's mail is refused."""
        if self.fault is not None:
            code, enhanced, public, reason = self.fault
            raise Refusal(code, enhanced, public, reason=reason)

    @property
    def remarks(self) -> str:
        """What speaks against the peer, or for it, in words; "" when there is nothing."""
        words = []
        if self.iprev is not None and self.iprev.result != "pass":
            words.append(self.iprev.reason)
        if self.helo is not None and not self.helo.ok:
            words.append(self.helo.reason)
        return "; ".join([*words, *map(str, self.listed.hits)])


_FRIEND: Final = Standing()


class Strangers:
    """Examines peers as the configuration says."""

    __slots__ = ("_blocklists", "_dns", "_exempt", "_helo", "_hostname", "_reverse", "_seconds", "_threshold")

    def __init__(self, dns: Dns, config: Config, clock: Clock, event: Event) -> None:
        peers = config.peers
        self._dns = dns
        self._blocklists = Blocklists(dns, [one for one in config.blocklist if one.kind in OF_PEERS], clock, event)
        self._exempt = exempt(config.limits)
        self._hostname = config.server.hostname
        self._reverse = peers.reverse_name
        self._helo = peers.helo_name
        self._seconds = peers.seconds
        self._threshold = peers.blocklist_threshold

    @property
    def active(self) -> bool:
        """False when nothing is to be examined."""
        return self._blocklists.active or self._reverse is not Check.OFF or self._helo is not Check.OFF

    async def examine(self, ip: str, helo: str, sender: str) -> Standing:
        """What is to be known of a peer at this address. sender: the domain of MAIL FROM, "" for the null sender."""
        if self._exempt.contains(ip):
            return _FRIEND
        reverse = asyncio.ensure_future(iprev(self._dns, ip)) if self._reverse is not Check.OFF else None
        try:
            named = None if self._helo is Check.OFF else check_helo(helo, ip, self._hostname)
            until = asyncio.get_running_loop().time() + self._seconds
            listed = await self._blocklists.judge(ip, _domains(sender, helo), self._seconds)
            found = None if reverse is None else await _finish(reverse, ip, until)
        finally:
            if reverse is not None:
                reverse.cancel()
        return Standing(found, named, listed, await self._fault(ip, found, named, listed))

    async def _fault(
        self, ip: str, reverse: Iprev | None, helo: HeloName | None, listed: Listed
    ) -> tuple[int, str, str, str] | None:
        if listed.hits and listed.score >= self._threshold:
            worst = max(listed.hits, key=lambda hit: hit.weight)
            words = await self._blocklists.words(worst)
            says = f", which says: {words}" if words else ""
            reason = f"{listed.reason}; score {listed.score:g} of {self._threshold:g}"
            return 550, "5.7.1", f"Refused: {_ascii(worst.item)} is listed by {worst.zone}{says}", reason
        if reverse is not None and self._reverse is Check.REFUSE and reverse.result != "pass":
            if reverse.result == "temperror":
                return 450, "4.7.25", f"The name of {ip} cannot be looked up now, try again later", reverse.reason
            text = f"Refused: {ip} has no name in the DNS that leads back to it (PTR, and A or AAAA)"
            return 550, "5.7.25", text, reverse.reason
        if helo is not None and self._helo is Check.REFUSE and not helo.ok:
            return 550, "5.7.1", "Refused: the name in HELO must be the server's own whole host name", helo.reason
        return None


async def _finish(task: asyncio.Task[Iprev], ip: str, until: float) -> Iprev:
    """The result, if it comes in time."""
    if not task.done():
        await asyncio.wait([task], timeout=max(until - asyncio.get_running_loop().time(), 0))
    if task.done():
        return task.result()
    return Iprev("temperror", "", f"the DNS took too long to tell the name of {ip}")


def _domains(sender: str, helo: str) -> list[str]:
    """The domains that are looked up in lists of domains, each once."""
    names = [name.lower().removesuffix(".") for name in (sender, helo)]
    return list(dict.fromkeys(name for name in names if "." in name and name[0] != "[" and not _is_number(name)))


def _is_number(name: str) -> bool:
    return name.rpartition(".")[2].isdigit()


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()
