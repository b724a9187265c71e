"""What a search found, told in the form that was asked for: SEARCH, SORT and ESEARCH responses, and "$".

Owns: nothing. Results are in the order of the mailbox, or in that which SORT gave them; what "$" stands for is kept
in the order of the mailbox in any case.
Standards: RFC 9051 7.3.4; RFC 4731 3 (ESEARCH); RFC 5182 2.4 (SAVE); RFC 5267 3 (ESORT); RFC 7162 3.1.6, 3.1.9 and
3.1.10 (MODSEQ); RFC 9394 3 (PARTIAL); RFC 6203 4 and 6 (RELEVANCY).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from postroom.mailbox.search import Found
from postroom.servers.imap.session import Session
from postroom.store.api import Snapshot
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Search
from postroom.wire.imap.sequence import ranges_of, runs_of

#: options that ask for no results (RFC 5267 4.2 and 4.3)
_NO_RESULTS: Final = frozenset(("CONTEXT", "UPDATE"))


@dataclass(frozen=True, slots=True)
class Results:
    """found: the messages; order: their places among `found` as SORT ordered them, None: as in the mailbox."""

    found: Found
    by_uid: bool
    order: Sequence[int] | None = None

    def numbers(self) -> Sequence[int]:
        """What is shown of each, in order."""
        return self._ordered(self.found.uids() if self.by_uid else self.found.seqs())

    def uids(self) -> Sequence[int]:
        """UIDs, in order."""
        return self._ordered(self.found.uids())

    def relevancies(self) -> Sequence[int]:
        """How well each fits, in order (RFC 6203 4)."""
        return self._ordered(self.found.relevancies())

    def _ordered(self, numbers: list[int]) -> Sequence[int]:
        return numbers if self.order is None else list(map(numbers.__getitem__, self.order))


def send_extended(session: Session, command: Command, search: Search, results: Results) -> None:
    """The ESEARCH response, and what "$" stands for from now on."""
    save(session, search, results)
    if set(search.returns or ()) == {"SAVE"}:
        return  # RFC 5182 2.4: nothing else was asked for
    session.send(response.esearch(command.tag, extended(search, results, session.box.view.snapshot)))


def save(session: Session, search: Search, results: Results) -> None:
    """What "$" stands for from now on, if the search says so."""
    if "SAVE" in (search.returns or ()):
        uids = results.uids()
        session.box.view.save(sorted(_meant(uids, _wanted(search), _part(search, uids))))


def extended(search: Search, results: Results, snapshot: Snapshot) -> response.Found:
    """What an ESEARCH response tells. snapshot: what was searched."""
    uids = results.uids()
    numbers = uids if results.by_uid else results.numbers()
    wanted, part = _wanted(search), _part(search, uids)
    ranges = ranges_of if results.order is None else runs_of
    relevancies = results.relevancies() if "RELEVANCY" in wanted else None
    return response.Found(
        uid=results.by_uid,
        least=numbers[0] if numbers and "MIN" in wanted else None,
        most=numbers[-1] if numbers and "MAX" in wanted else None,
        count=len(numbers) if "COUNT" in wanted else None,
        all=ranges(numbers) if "ALL" in wanted else (),
        partial=(search.partial, ranges(numbers[part])) if search.partial and part else None,
        modseq=_modseq(snapshot, results, _meant(uids, wanted, part)) if search.uses_modseq and numbers else None,
        relevancy=relevancies[part] if relevancies is not None and part and "ALL" not in wanted else relevancies,
    )


def _wanted(search: Search) -> frozenset[str]:
    return frozenset(search.returns or ("ALL",)) - _NO_RESULTS


def _part(search: Search, uids: Sequence[int]) -> slice | None:
    return slice_of(len(uids), search.partial) if search.partial else None


def slice_of(count: int, partial: tuple[int, int]) -> slice:
    """The results that a range of PARTIAL means, of so many (RFC 9394 3.1)."""
    low, high = sorted(partial)
    if low > 0:
        return slice(low - 1, high)
    return slice(max(count + low, 0), max(count + high + 1, 0))


def _meant(uids: Sequence[int], wanted: frozenset[str], part: slice | None) -> Sequence[int]:
    """Whom the response speaks of: all, or with MIN, MAX and PARTIAL alone what they show.

    RFC 5182 2.4 and RFC 9394 3.2 for "$", RFC 4731 3.2 for MODSEQ.
    """
    if not uids or wanted & {"ALL", "COUNT"} or not (part or wanted & {"MIN", "MAX"}):
        return uids
    shown = set(uids[part] if part else ())
    if "MIN" in wanted:
        shown.add(uids[0])
    if "MAX" in wanted:
        shown.add(uids[-1])
    return list(shown)


def _modseq(snapshot: Snapshot, results: Results, uids: Sequence[int]) -> int:
    """The highest MODSEQ of some of the results."""
    if len(uids) == len(results.found):
        return results.found.modseq()
    modseqs = []
    for uid in uids:
        seq = snapshot.seq(uid)
        if seq is not None:
            page, place = snapshot.locate(seq)
            modseqs.append(page.modseqs[place])
    return max(modseqs, default=results.found.modseq())
