"""From what intake knows of a message to the filter's verdict, and back into the message.

Owns: what the checks before the filter are worth. Trusts: `Evidence` and `Standing`; nothing of the message.
Standards: none; X-Spam-* are the fields that other filters write and mail programs know.
On failure: StoreError of the directory; OSError when the content's file is gone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from postroom.filter.findings import PeerFacts, Proofs, findings
from postroom.filter.judge import Judge, Judgement, Known, Reader
from postroom.filter.scanners import NOTHING, VIRUS
from postroom.filter.scoring import Act, Score, Thresholds, stricter
from postroom.identity.routing import find_row
from postroom.intake.authors import Author
from postroom.intake.model import Envelope, Peer, Returned
from postroom.intake.routing import LOCAL
from postroom.intake.scanning import Scanning, virus_refusal
from postroom.intake.traps import trapped
from postroom.intake.verdict import proves, strictest
from postroom.intake.verify import Evidence
from postroom.message.compose import unstructured
from postroom.policy.strangers import Standing
from postroom.store.api import AccountRow, DirectoryStore
from postroom.values.address import Address
from postroom.values.content import Content
from postroom.values.refusal import Refusal

_LINE: Final = 76
_TOLD: Final = 12  # names of reasons in a header


@dataclass(frozen=True, slots=True)
class Judged:
    """What the filter says. readers: accounts of ours it goes to, by recipient; junk: those among them for whom it is;
    added: fields for the message; told: what the event says; kept: those for whom it goes into quarantine, and why
    (store.api.NewRecipient).
    """

    readers: tuple[str, ...]
    junk: frozenset[str]
    added: bytes
    told: dict[str, object]
    kept: Mapping[str, str] = field(default_factory=dict)


_UNJUDGED: Final = Judged((), frozenset(), b"", {})


class Filtering:
    """Asks the judge for one worker."""

    def __init__(self, judge: Judge | None, directory: DirectoryStore, scanning: Scanning | None = None) -> None:
        """judge: None when there is no score, and only what `scanning` finds counts."""
        self._judge = judge
        self._directory = directory
        self._scanning = scanning

    async def look(
        self,
        content: Content,
        origin: tuple[Peer, Envelope],
        authors: tuple[Author, ...],
        found: tuple[Evidence, str],
        now: float,
    ) -> tuple[Judged, Refusal | None]:
        """found: the evidence, and the warning for the reader, "" for none; now: Unix seconds.

        The refusal is given when nobody wants it. Raises Refusal 451 4.7.1 when it cannot be looked at.
        """
        client, envelope = origin
        returned = envelope.returned or Returned()
        if self._judge is None and self._scanning is None and returned.at_least is Act.ACCEPT:
            return _UNJUDGED, None
        scanned = await self._scanning.look(content, client, envelope) if self._scanning is not None else NOTHING
        evidence, warning = found
        author = authors[0]
        proven = f"{author.local}@{author.domain}".lower() if proves(evidence, author.domain) else ""
        known = Known(
            ip=client.ip,
            now=now,
            author=proven,
            sender="" if envelope.sender is None else str(envelope.sender),
            findings=(
                *findings(proofs(evidence), peer(envelope.standing), warning),
                *scanned.findings,
                *returned.findings,
                *trapped(envelope),
            ),
            at_least=stricter(scanned.at_least, returned.at_least),
            decided=scanned.decided,
        )
        readers = await self._readers(envelope)
        judgement = await self._judged(content, known, list(readers.values()))
        names = tuple(readers)
        fates = dict(zip(names, judgement.fates(), strict=True))
        junk = frozenset(name for name, act in fates.items() if act is Act.JUNK)
        kept = {
            name: why(score, guarded=scanned.at_least is Act.QUARANTINE)
            for (name, act), score in zip(fates.items(), judgement.scores, strict=True)
            if act is Act.QUARANTINE
        }
        score = judgement.told()
        told: dict[str, object] = {"spam": score.points, "because": score.words()} if self._judge is not None else {}
        if kept:
            told["quarantined"] = sorted(kept)
        spam = bool(names) and not any(act is Act.ACCEPT for act in fates.values())
        added = fields(judgement, spam) if self._judge is not None else b""
        judged = Judged(names, junk, scanned.added + added, {**told, **scanned.told}, kept)
        if scanned.at_least is Act.REFUSE:
            return judged, virus_refusal(scanned)
        return judged, _refusal(score) if judgement.refused else None

    async def _judged(self, content: Content, known: Known, readers: list[Reader]) -> Judgement:
        if self._judge is not None:
            return await self._judge.judge(content, known, readers)
        found, many = Score.of(known.findings), len(readers)
        return Judgement(found, (known.at_least,) * many, (found,) * many, bounds=(Thresholds(),) * many)

    async def _readers(self, envelope: Envelope) -> dict[str, Reader]:
        """Who reads it, by the address of each recipient, which may have a detail or be in another name of a domain."""
        found: dict[str, Reader] = {}
        for given in envelope.given:
            for target in given.targets:
                if target.route == LOCAL and target.address not in found:
                    row = await find_row(self._directory, Address.parse(target.address).key)
                    if isinstance(row, AccountRow):
                        found[target.address] = Reader(row.login, row.id, row.contacts)
        return found


def placed(junk: bool, inbox: tuple[str, ...], judged: Judged | None) -> tuple[bool, tuple[str, ...]]:
    """Whether the message is junk, and who gets it in the INBOX all the same; junk, inbox: as decided so far."""
    if judged is None or not judged.junk:
        return junk, inbox
    wanted = [name for name in judged.readers if name not in judged.junk and name not in judged.kept]
    return True, tuple([name for name in wanted if not junk or name in inbox])


def why(score: Score, *, guarded: bool = False) -> str:
    """What the quarantine keeps (store.api.NewRecipient). guarded: not for its reader to release."""
    viruses = [one.text for one in score.reasons if one.name.startswith(VIRUS)]  # they have no points
    told = [*viruses, *([score.words(12)] if any(one.points for one in score.reasons) or not viruses else [])]
    return f"{'!' * guarded}{score.points:.2f} {'; '.join(told)}"


def _refusal(score: Score) -> Refusal:
    return Refusal(
        550,
        "5.7.1",
        f"This message is taken for spam: {_plain(score.words(3))[:300]}."
        " If it is none, ask its recipient in another way",
        reason=f"spam score {score.points:.1f}: {score.words()}",
    )


def _plain(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


def proofs(evidence: Evidence) -> Proofs:
    """What the checks of who sent it have found."""
    worst = strictest(evidence.dmarc)
    return Proofs(
        spf=str(evidence.spf.result),
        spf_says=evidence.spf.reason,
        dkim=tuple([one.result for one in evidence.dkims]),
        dmarc="" if worst is None else str(worst.result),
        dmarc_says="" if worst is None else worst.reason,
    )


def peer(standing: Standing | None) -> PeerFacts:
    """What is known of who handed it in."""
    if standing is None:
        return PeerFacts()
    iprev, helo = standing.iprev, standing.helo
    return PeerFacts(
        iprev="" if iprev is None else iprev.result,
        iprev_says="" if iprev is None else iprev.reason,
        helo_says="" if helo is None or helo.ok else helo.reason,
        listed=tuple([(hit.weight, str(hit)) for hit in standing.listed.hits]),
    )


def fields(judgement: Judgement, junk: bool) -> bytes:
    """X-Spam-Flag, -Score, -Status and -Report of a message."""
    score = judgement.told()
    names = ", ".join(reason.name for reason in score.reasons[:_TOLD] if reason.points) or "none"
    status = f"{'Yes' if junk else 'No'}, score={score.points:.1f} required={judgement.spam:.1f} tests={names}"
    lines = ["X-Spam-Flag: YES"] if junk else []
    lines.append(f"X-Spam-Score: {score.points:.1f}")
    lines += folded("X-Spam-Status", status)
    lines += folded("X-Spam-Report", score.words())
    return "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")


def folded(name: str, value: str) -> list[str]:
    """A field in lines: as it is where it is printable ASCII, else as encoded words (RFC 2047)."""
    if not value.isascii():
        return [unstructured(name, "".join(letter if letter.isprintable() else "?" for letter in value))]
    return textwrap.wrap(_plain(value), _LINE, initial_indent=f"{name}: ", subsequent_indent=" ") or [f"{name}:"]
