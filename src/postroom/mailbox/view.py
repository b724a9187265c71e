"""What one client with a selected mailbox knows, and how it is told what changed (RFC 9051 5.2, 7.5; RFC 2180 4).

A view holds one snapshot, `told`: the client's numbering, and the flags as the client last heard them. While the
client may not hear of expunges, the messages that went stay in `told` with their old numbers ("ghosts", RFC 2180
4.1.1: they can still be fetched), and all else is told around them. So a sequence number always means the message
the client means.
Comparing costs what changed: pages that two snapshots share are skipped by identity, others compared column by column.
Owns: its numbering, nothing else. Trusts: snapshots of one mailbox, in any order; an older one is ignored.
On failure: BadSequence from `resolve`.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import is_

from postroom.mailbox.difference import Believed, Told, compare
from postroom.mailbox.selection import Rows, Selection, of_uids, resolve
from postroom.store.api import FlagChange, Page, Snapshot, StoreFlagsResult
from postroom.wire.imap.commands import SequenceSet


@dataclass(frozen=True, slots=True)
class Changes:
    """What to tell, in this order: EXPUNGE or VANISHED, FLAGS, EXISTS, FETCH. Rows use the numbers after all that.

    expunged: numbers for EXPUNGE as they must be announced one after the other; vanished: the same messages' UIDs,
    ascending; keywords: all keyword names when there are new ones; exists: the count when messages came, else None;
    arrived: how many came, the last ones; flags: messages whose flags (for a CONDSTORE client: or MODSEQ) the client
    does not know.
    """

    expunged: Sequence[int] = ()
    vanished: Sequence[int] = ()
    keywords: tuple[str, ...] | None = None
    exists: int | None = None
    arrived: int = 0
    flags: Rows = field(default_factory=Rows)

    def __bool__(self) -> bool:
        return bool(self.expunged or self.keywords is not None or self.exists is not None or self.flags)


@dataclass(frozen=True, slots=True)
class Stored:
    """The replies a STORE owes its own client. Others' changes come with the next `changes`.

    rows: FETCH with FLAGS (after .SILENT only where the client would believe something wrong); applied: every message
    the change was applied to, for MODSEQ replies to a CONDSTORE client; keywords: as in Changes.
    """

    rows: Rows
    applied: Selection
    keywords: tuple[str, ...] | None


NOTHING = Changes()


class View:
    """One client's view of a selected mailbox."""

    __slots__ = ("_ghosts", "_told", "_truth", "condstore", "saved")

    def __init__(self, snapshot: Snapshot, *, condstore: bool = False) -> None:
        """The client is about to be told that the mailbox is `snapshot` (SELECT)."""
        self._told = snapshot
        self._truth = snapshot
        self._ghosts: Sequence[int] = ()
        self.condstore = condstore  # RFC 7162 3.1: once True, MODSEQ changes alone are told too
        self.saved: array[int] = array("I")  # UIDs "$" stands for (RFC 5182), ascending

    @property
    def snapshot(self) -> Snapshot:
        """The mailbox as this client knows it: answer its commands from this. Ghosts included."""
        return self._told

    def __len__(self) -> int:
        """How many messages the client counts."""
        return len(self._told)

    @property
    def modseq(self) -> int:
        """Everything up to this MODSEQ has been told: the HIGHESTMODSEQ this client may rely on."""
        return self._told.modseq

    @property
    def ghosts(self) -> Sequence[int]:
        """UIDs of messages that are gone but whose expunge has not been told, ascending."""
        return self._ghosts

    def resolve(self, wanted: SequenceSet, *, uid: bool) -> Selection:
        """The messages a command's set names, in the client's numbering. Raises BadSequence (see selection)."""
        return resolve(self._told, wanted, uid=uid, saved=self.saved)

    def save(self, uids: Sequence[int]) -> None:
        """Let "$" stand for these UIDs (ascending) from now on."""
        self.saved = array("I", uids)

    def changes(self, new: Snapshot, *, expunge_ok: bool) -> Changes:
        """What the client must hear to know `new`; it counts as told when this returns.

        expunge_ok: EXPUNGE may be sent now (RFC 9051 7.5.1: a command is in progress that is not FETCH, STORE or
        SEARCH). If not, expunged messages keep their numbers and are told by a later call.
        """
        new = self._newest(new)
        old = self._told
        if new is old:
            return NOTHING
        if new.modseq == old.modseq and new.keywords == old.keywords:
            self._told = new  # the same state, read again
            return NOTHING
        told = Told(old.uidnext, keep_ghosts=not expunge_ok, by_modseq=self.condstore)
        compare(old.pages, new.pages, told)
        if told.gone and not expunge_ok:
            self._ghosts = told.vanished
            # settled only up to the old MODSEQ: the expunges after it are still to be told
            self._told = _with(old, told.pages, uidnext=new.uidnext, keywords=new.keywords)
        else:
            self._ghosts = ()
            self._told = new
        return Changes(
            expunged=[seq - before for before, seq in enumerate(told.gone)] if expunge_ok else (),
            vanished=told.vanished if expunge_ok else (),
            keywords=new.keywords if new.keywords != old.keywords else None,
            exists=len(self._told) if told.arrived else None,
            arrived=told.arrived,
            flags=told.rows,
        )

    def stored(self, result: StoreFlagsResult, uids: Sequence[int], change: FlagChange, *, silent: bool) -> Stored:
        """Take in this client's own STORE of `uids` (ascending; what was passed to the store) with its result.

        Afterwards the client is taken to know the flags of the messages the change was applied to: from the rows, or
        after .SILENT by its own reckoning (RFC 9051 6.4.6). Changes by others stay to be told.
        """
        new = self._newest(result.snapshot)
        old = self._told
        passed_over = {*result.modified, *result.missing}
        applied = [uid for uid in uids if uid not in passed_over] if passed_over else uids
        believed = Believed(old.uidnext, applied, change, new.keywords)
        compare(old.pages, new.pages, believed)
        if len(believed.pages) == len(new.pages) and all(map(is_, believed.pages, new.pages)):
            self._told = new
        else:
            self._told = _with(old, believed.pages, uidnext=old.uidnext, keywords=new.keywords)
        self._ghosts = believed.vanished
        if believed.vanished:  # also in the same commit, right after this STORE
            gone = set(believed.vanished)
            applied = [uid for uid in applied if uid not in gone]
        selection = of_uids(self._told, applied)
        return Stored(
            rows=believed.rows if silent else selection.rows(),
            applied=selection,
            keywords=new.keywords if new.keywords != old.keywords else None,
        )

    def _newest(self, new: Snapshot) -> Snapshot:
        """The newer of `new` and the newest snapshot seen."""
        if new.modseq < self._truth.modseq:
            return self._truth
        self._truth = new
        return new


def _with(old: Snapshot, pages: Sequence[Page], *, uidnext: int, keywords: tuple[str, ...]) -> Snapshot:
    """A snapshot that only this client sees: `pages`, settled up to the MODSEQ of `old`."""
    return Snapshot(old.mailbox, old.uidvalidity, uidnext, old.modseq, pages, keywords)
