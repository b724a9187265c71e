"""From what intake knows of a message to the filter's verdict, and back into the message.

Owns: what the checks before the filter are worth. Trusts: `Evidence` and `Standing`; nothing of the message.
Standards: none; X-Spam-* are the fields that other filters write and mail programs know.
On failure: StoreError of the directory; OSError when the content's file is gone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from postroom.filter.judge import Judge, Judgement, Known, Reader
from postroom.filter.scoring import Act, Reason, Score
from postroom.intake.authors import Author
from postroom.intake.model import Envelope, Peer
from postroom.intake.routing import LOCAL
from postroom.intake.verdict import proves, strictest
from postroom.intake.verify import Evidence
from postroom.policy.strangers import Standing
from postroom.store.api import DirectoryStore
from postroom.values.content import Content
from postroom.values.refusal import Refusal

_LINE: Final = 76
_TOLD: Final = 12  # names of reasons in a header


@dataclass(frozen=True, slots=True)
class Judged:
    """What the filter says. readers: accounts of ours it goes to, by log-in; junk: those among them for whom it is;
    added: fields for the message; told: what the event says.
    """

    readers: tuple[str, ...]
    junk: frozenset[str]
    added: bytes
    told: dict[str, object]


class Filtering:
    """Asks the judge for one worker."""

    def __init__(self, judge: Judge, directory: DirectoryStore) -> None:
        self._judge = judge
        self._directory = directory

    async def look(
        self,
        content: Content,
        origin: tuple[Peer, Envelope],
        authors: tuple[Author, ...],
        found: tuple[Evidence, str],
        now: float,
    ) -> tuple[Judged, Refusal | None]:
        """found: the evidence, and the warning for the reader, "" for none; now: Unix seconds.

        The refusal is given when nobody wants it.
        """
        peer, envelope = origin
        evidence, warning = found
        author = authors[0]
        proven = f"{author.local}@{author.domain}".lower() if proves(evidence, author.domain) else ""
        known = Known(
            ip=peer.ip,
            now=now,
            author=proven,
            findings=(*_of_evidence(evidence), *_of_peer(envelope.standing), *_of_warning(warning)),
        )
        readers = await self._readers(envelope)
        judgement = await self._judge.judge(content, known, readers)
        names = tuple([reader.address for reader in readers])
        junk = frozenset(name for name, act in zip(names, judgement.acts, strict=True) if act is not Act.ACCEPT)
        score = judgement.told()
        told: dict[str, object] = {"spam": score.points, "because": score.words()}
        judged = Judged(names, junk, fields(judgement, bool(names) and len(junk) == len(names)), told)
        return judged, _refusal(score) if judgement.refused else None

    async def _readers(self, envelope: Envelope) -> list[Reader]:
        """Each account of ours it goes to, once."""
        found: dict[str, Reader] = {}
        for given in envelope.given:
            for target in given.targets:
                if target.route == LOCAL and target.address not in found:
                    row = await self._directory.account_by_login(target.address)
                    if row is not None:
                        found[target.address] = Reader(target.address, row.id)
        return list(found.values())


def placed(junk: bool, inbox: tuple[str, ...], judged: Judged | None) -> tuple[bool, tuple[str, ...]]:
    """Whether the message is junk, and who gets it in the INBOX all the same; junk, inbox: as decided so far."""
    if judged is None or not judged.junk:
        return junk, inbox
    return True, tuple([name for name in judged.readers if name not in judged.junk and (not junk or name in inbox)])


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


def _of_evidence(evidence: Evidence) -> Iterable[Reason]:
    spf = str(evidence.spf.result)
    points = {"fail": 1.5, "softfail": 0.7, "none": 0.5, "permerror": 0.5, "pass": -0.1}.get(spf, 0.0)
    if points:
        yield Reason(f"SPF_{spf.upper()}", points, f"SPF: {evidence.spf.reason}")
    results = {one.result for one in evidence.dkims}
    if "pass" in results:
        yield Reason("DKIM_PASS", -0.3, "a DKIM signature is good")
    elif results & {"fail", "permerror"}:
        yield Reason("DKIM_FAIL", 0.5, "its DKIM signature is broken")
    worst = strictest(evidence.dmarc)
    if worst is not None:
        points = {"pass": -0.5, "fail": 1.2, "none": 0.2}.get(str(worst.result), 0.0)
        if points:
            yield Reason(f"DMARC_{str(worst.result).upper()}", points, f"DMARC: {worst.reason}")


def _of_peer(standing: Standing | None) -> Iterable[Reason]:
    if standing is None:
        return
    if standing.iprev is not None and standing.iprev.result not in ("pass", "temperror"):
        yield Reason("NO_REVERSE_NAME", 0.8, standing.iprev.reason)
    if standing.helo is not None and not standing.helo.ok:
        yield Reason("ODD_HELO", 0.5, standing.helo.reason)
    for hit in standing.listed.hits:
        yield Reason("LISTED", round(3.0 * hit.weight, 2), str(hit))


def _of_warning(warning: str) -> Iterable[Reason]:
    if warning:
        yield Reason("IMITATION", 2.5, warning.rstrip("."))


def fields(judgement: Judgement, junk: bool) -> bytes:
    """X-Spam-Flag, -Score, -Status and -Report of a message."""
    score = judgement.told()
    names = ",".join(reason.name for reason in score.reasons[:_TOLD] if reason.points) or "none"
    status = f"{'Yes' if junk else 'No'}, score={score.points:.1f} required={judgement.spam:.1f} tests={names}"
    lines = ["X-Spam-Flag: YES"] if junk else []
    lines.append(f"X-Spam-Score: {score.points:.1f}")
    lines += _folded("X-Spam-Status", status.replace(",", ", "))
    lines += _folded("X-Spam-Report", score.words())
    return "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")


def _folded(name: str, value: str) -> list[str]:
    return textwrap.wrap(_plain(value), _LINE, initial_indent=f"{name}: ", subsequent_indent=" ") or [f"{name}:"]
