"""What other programs say of a message: ClamAV of viruses, rspamd of spam; both are asked at once.

Owns: what their answers are worth here. Trusts: `filter.clamav`, `filter.rspamd`.
Standards: RFC 5235 3.3 (what virustest is told), by way of the field X-Virus-Status.
On failure: Postponed when a scanner must look at each message; otherwise mail goes on without it, and the event and the
field say so.
"""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from postroom.config import OnFailure, RspamdMode, VirusAct
from postroom.filter.clamav import Clamav
from postroom.filter.health import Health, ScannerFailed
from postroom.filter.rspamd import Rspamd
from postroom.filter.scoring import Act, Reason
from postroom.values.content import Content
from postroom.wire import clamd
from postroom.wire.clamd import Found
from postroom.wire.rspamd import Answer, Question

T = TypeVar("T")

_MOST: Final = 20.0  # points that rspamd's score can be worth
_SYMBOLS: Final = 5
_LINE: Final = 76
#: the field's word for what clamd found; virustest reads it
WORDS: Final[Mapping[Found, str]] = {
    Found.CLEAN: "clean",
    Found.INFECTED: "infected",
    Found.SUSPICIOUS: "suspicious",
    Found.ENCRYPTED: "encrypted",
    Found.OVERSIZED: "oversized",
    Found.FAILED: "unchecked",
}
_ACTS: Final[Mapping[str, Act]] = {
    "add header": Act.JUNK,
    "rewrite subject": Act.JUNK,
    "quarantine": Act.QUARANTINE,
    "reject": Act.REFUSE,
}


class Postponed(Exception):
    """The message must be looked at and could not be; the text says why."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was said. findings: reasons for the score; at_least: what becomes of the message whatever its score, for
    everybody; decided: what becomes of it where people wish nothing else, None when the score says so; added: fields
    for the message; told: what the event says.
    """

    findings: tuple[Reason, ...] = ()
    at_least: Act = Act.ACCEPT
    decided: Act | None = None
    added: bytes = b""
    told: Mapping[str, object] = field(default_factory=dict)


NOTHING: Final = Scanned()


@dataclass(frozen=True, slots=True, kw_only=True)
class VirusRules:
    """What becomes of what clamd finds."""

    acts: Mapping[Found, VirusAct]
    on_failure: OnFailure = OnFailure.ACCEPT
    hostname: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamRules:
    """What rspamd's answer is worth."""

    mode: RspamdMode = RspamdMode.ADD
    weight: float = 0.8
    on_failure: OnFailure = OnFailure.ACCEPT


class Scanners:
    """Asks those that are configured, for one worker."""

    def __init__(
        self,
        viruses: tuple[Clamav, VirusRules, Health] | None = None,
        spam: tuple[Rspamd, SpamRules, Health] | None = None,
    ) -> None:
        self._viruses = viruses
        self._spam = spam

    def close(self) -> None:
        """No more messages are to be expected: kept connections are let go."""
        if self._spam is not None:
            self._spam[0].close()

    async def teach(self, content: Content, spam: bool) -> None:
        """A reader says what it is. Raises ScannerFailed, OSError."""
        if self._spam is not None:
            await self._spam[0].teach(content, spam)

    @property
    def learns(self) -> bool:
        """Is there one that wants to be taught."""
        return self._spam is not None and self._spam[0].learns

    async def scan(self, content: Content, question: Question) -> Scanned:
        """Raises Postponed; OSError when the content's file is gone."""
        if self._viruses is None or self._spam is None:
            return await self.viruses(content) if self._spam is None else await self._judged(content, question)
        # whichever must look and cannot decides at once; the other is not waited for
        asked = (
            asyncio.ensure_future(self.viruses(content)),
            asyncio.ensure_future(self._judged(content, question)),
        )
        try:
            one, other = await asyncio.gather(*asked)
        finally:
            for task in asked:
                task.cancel()
        return replace(
            one,
            findings=one.findings + other.findings,
            decided=other.decided,
            told={**one.told, **other.told, **_unheard(one, other)},
        )

    async def viruses(self, content: Content) -> Scanned:
        """ClamAV alone. Raises Postponed; OSError."""
        if self._viruses is None:
            return NOTHING
        clamav, rules, health = self._viruses
        answer, fault = await _asked(lambda: clamav.scan(content), health, rules.on_failure)
        if answer is None:
            return Scanned(added=_field(Found.FAILED, "", rules.hostname), told={"unheard": f"clamav: {fault}"})
        act = Act(rules.acts.get(answer.found, VirusAct.ACCEPT))
        findings = () if answer.found is Found.CLEAN else (_finding(answer),)
        return Scanned(
            findings=findings,
            at_least=act,
            added=_field(answer.found, answer.name, f"{clamav.engine or 'ClamAV'} at {rules.hostname}"),
            told={"virus": f"{WORDS[answer.found]} {answer.name}".strip()},
        )

    async def _judged(self, content: Content, question: Question) -> Scanned:
        assert self._spam is not None
        rspamd, rules, health = self._spam
        answer, fault = await _asked(lambda: rspamd.check(content, question), health, rules.on_failure)
        if answer is None:
            return Scanned(told={"unheard": f"rspamd: {fault}"}) if fault else NOTHING
        if answer.skipped and answer.action == "no action":
            return NOTHING
        told = {"rspamd": f"{answer.score:.1f} of {answer.required:.1f}, {answer.action}"}
        if answer.action == "soft reject" and rules.mode is RspamdMode.DECIDE:
            raise Postponed("rspamd wants it to come again later")
        points = max(-_MOST, min(answer.score * rules.weight, _MOST))
        decided = _ACTS.get(answer.action, Act.ACCEPT) if rules.mode is RspamdMode.DECIDE else None
        return Scanned(findings=(Reason("RSPAMD", round(points, 2), _words(answer)),), decided=decided, told=told)


async def _asked(ask: Callable[[], Awaitable[T]], health: Health, on_failure: OnFailure) -> tuple[T | None, str]:
    """The answer, or why there is none. Raises Postponed, OSError."""
    reason = health.left_out
    if not reason:
        try:
            answer = await ask()
        except ScannerFailed as fault:
            reason = str(fault)
            health.failed(reason)
        else:
            health.well()
            return answer, ""
    if on_failure is OnFailure.DEFER:
        raise Postponed(reason)
    return None, reason


def _unheard(*found: Scanned) -> dict[str, object]:
    """Both reasons, when neither has answered."""
    said = [str(one.told["unheard"]) for one in found if "unheard" in one.told]
    return {"unheard": "; ".join(said)} if said else {}


#: the name of the reason that a virus is
VIRUS: Final = "VIRUS"
_SAYS: Final[Mapping[Found, tuple[str, str]]] = {
    Found.INFECTED: (VIRUS, "it holds the virus {}"),
    Found.SUSPICIOUS: ("VIRUS_MAYBE", "the virus scanner finds it suspicious: {}"),
    Found.ENCRYPTED: ("VIRUS_LOCKED", "the virus scanner cannot look into what is locked with a password: {}"),
    Found.OVERSIZED: ("VIRUS_UNSEEN", "the virus scanner has not looked at all of it: {}"),
}


def _finding(answer: clamd.Answer) -> Reason:
    """Without points: what becomes of it is configured, not added up."""
    name, text = _SAYS[answer.found]
    return Reason(name, 0.0, text.format(answer.name))


def _words(answer: Answer) -> str:
    told = [f"{one.name} ({one.score:+.1f})" for one in answer.symbols[:_SYMBOLS] if one.score]
    because = f": {', '.join(told)}" if told else ""
    return f"rspamd gives it {answer.score:.1f} points of {answer.required:.1f}, {answer.action}{because}"


def _field(found: Found, name: str, who: str) -> bytes:
    """X-Virus-Status: a word that Sieve's virustest knows, the name that was found, and who looked."""
    value = f"{WORDS[found]}{f' ({name})' if name else ''}; {who}"
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in value)
    lines = textwrap.wrap(plain, _LINE, initial_indent="X-Virus-Status: ", subsequent_indent=" ")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
