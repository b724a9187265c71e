"""What one session was told of its mailbox: numbers, UIDs, flags, MODSEQs; every response must fit what came before.

A message that only EXISTS has told of has UID 0 until it is asked for. Under UIDONLY there are no numbers: then only
the UIDs that are known, and how many are not.
On failure: Lie.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Final

from postroom.testing.stress.ledger import Box, Fact, Ledger, Lie
from postroom.testing.stress.words import numbers, pairs, split

RECENT: Final = b"\\Recent"
Flags = frozenset[bytes]


class Belief:
    """Of one session with a selected mailbox."""

    def __init__(self, ledger: Ledger, box: Box, *, qresync: bool = False, uidonly: bool = False) -> None:
        self.ledger = ledger
        self.box = box
        self.qresync = qresync
        self.uidonly = uidonly
        self.uids: list[int] = []  # by number; under UIDONLY ascending, and zeros at the end
        self.flags: dict[int, Flags] = {}
        self.modseqs: dict[int, int] = {}
        self.highest = 0

    # --- what the server says

    def hear(self, line: bytes, *, expunge_ok: bool) -> None:
        """An untagged response. Raises Lie."""
        head = line.split(b" ", 3)
        if len(head) < 3:
            return
        kind = head[2] if head[1].isdigit() else head[1]
        if kind == b"EXISTS":
            self._exists(int(head[1]))
        elif kind == b"EXPUNGE":
            self._expunge(int(head[1]), expunge_ok=expunge_ok)
        elif kind == b"VANISHED" and head[2] != b"(EARLIER)":
            self._vanished(list(numbers(head[2])), expunge_ok=expunge_ok)
        elif kind in (b"FETCH", b"UIDFETCH"):
            [items] = split(line[line.index(b"FETCH") + 6 :])
            self._fetched(int(head[1]), pairs(items), by_uid=kind == b"UIDFETCH")
        elif b"[HIGHESTMODSEQ " in line:
            self.told_highest(int(line.split(b"[HIGHESTMODSEQ ")[1].split(b"]")[0]))

    def told_highest(self, modseq: int) -> None:
        """HIGHESTMODSEQ: what is known up to here is all there is."""
        if modseq < self.highest:
            raise Lie(f"HIGHESTMODSEQ was {self.highest} and is {modseq}")
        self.highest = modseq
        self.ledger.numbers(self.box, highest=modseq)

    def _exists(self, count: int) -> None:
        if count < len(self.uids):
            raise Lie(f"EXISTS {count}, and there were {len(self.uids)}: EXISTS takes no messages away")
        self.uids += [0] * (count - len(self.uids))

    def _expunge(self, number: int, *, expunge_ok: bool) -> None:
        if not expunge_ok or self.qresync or self.uidonly:
            raise Lie(f"EXPUNGE {number} must not come now")
        if not 1 <= number <= len(self.uids):
            raise Lie(f"EXPUNGE {number} of {len(self.uids)}")
        self._forget(self.uids.pop(number - 1))

    def _vanished(self, gone: list[int], *, expunge_ok: bool) -> None:
        if not expunge_ok or not (self.qresync or self.uidonly):
            raise Lie(f"VANISHED {gone[:20]} must not come now")
        for uid in gone:
            if uid in self.flags or uid in self.uids:
                self.uids.remove(uid)
                self._forget(uid)
            else:
                del self.uids[self._unknown(uid)]

    def _unknown(self, uid: int) -> int:
        """The place of a message whose UID was not known and is `uid`; any of several that fit."""
        for place, known in enumerate(self.uids):
            if known > uid:
                break
            if known == 0 and all(other == 0 or other > uid for other in self.uids[place + 1 :]):
                return place
        if self.uidonly and 0 in self.uids:
            return self.uids.index(0)
        raise Lie(f"UID {uid} does not fit: {self.uids[-30:]}")

    def _forget(self, uid: int) -> None:
        self.flags.pop(uid, None)
        self.modseqs.pop(uid, None)

    def _fetched(self, number: int, items: dict[bytes, Any], *, by_uid: bool) -> None:
        if by_uid != self.uidonly:
            raise Lie("UIDFETCH is for UIDONLY, and FETCH for the others")
        if self.uidonly:
            uid = number
            if uid not in self.uids:
                del self.uids[self._unknown(uid)]
                self.uids.insert(bisect_left([known for known in self.uids if known], uid), uid)
        else:
            uid = self._at(number, int(items.get(b"UID", 0)))
        if not uid:
            return
        if b"FLAGS" in items:
            self.flags[uid] = frozenset(items[b"FLAGS"]) - {RECENT}
        if b"MODSEQ" in items:
            modseq = int(items[b"MODSEQ"][0])
            if modseq < self.modseqs.get(uid, 0):
                raise Lie(f"MODSEQ of UID {uid} was {self.modseqs[uid]} and is {modseq}")
            self.modseqs[uid] = modseq
        self._content(uid, items)

    def _at(self, number: int, uid: int) -> int:
        """The UID of this number; `uid`: as the response has it."""
        if not 1 <= number <= len(self.uids):
            raise Lie(f"FETCH {number} of {len(self.uids)}")
        known = self.uids[number - 1]
        if not uid:
            return known
        if known not in (0, uid):
            raise Lie(f"number {number} was UID {known} and is {uid}")
        before = next((other for other in reversed(self.uids[: number - 1]) if other), 0)
        after = next((other for other in self.uids[number:] if other), uid + 1)
        if not before < uid < after:
            raise Lie(f"UID {uid} stands between {before} and {after}")
        self.uids[number - 1] = uid
        return uid

    def _content(self, uid: int, items: dict[bytes, Any]) -> None:
        known = self.ledger.box(self.box)
        if b"BODY[]" in items:
            self.ledger.fact(self.box, uid, Fact.of(items[b"BODY[]"] or b""))
        if b"RFC822.SIZE" in items and uid in known.facts and int(items[b"RFC822.SIZE"]) != known.facts[uid].size:
            raise Lie(f"RFC822.SIZE of UID {uid} is {items[b'RFC822.SIZE']!r}, its octets are {known.facts[uid].size}")

    # --- what follows

    @property
    def known(self) -> list[int]:
        """UIDs of messages whose flags are known."""
        return [uid for uid in self.uids if uid in self.flags]

    @property
    def missing(self) -> bool:
        """There are messages of which only EXISTS has told."""
        return any(uid not in self.flags for uid in self.uids)

    def applied(self, uids: list[int], how: str, flags: Flags) -> None:
        """The client's own STORE with .SILENT: it believes that it was done as it said."""
        for uid in uids:
            old = self.flags.get(uid)
            if old is not None:
                self.flags[uid] = flags if how == "" else old | flags if how == "+" else old - flags

    def matching(self, key: str) -> set[int]:
        """Known messages that match one search key."""
        if key == "ALL":
            return set(self.known)
        negated = key.startswith("UN")
        name = key.removeprefix("UN")
        flag = name.split(" ")[1].encode() if name.startswith("KEYWORD ") else b"\\" + name.capitalize().encode()
        return {uid for uid in self.known if (flag in self.flags[uid]) != negated}

    def check_found(self, key: str, found: set[int]) -> None:
        """The result of a SEARCH by UID: exactly the known ones that match, and perhaps some that are not known."""
        known = set(self.known)
        if found & known != self.matching(key):
            raise Lie(f"SEARCH {key}: {sorted(found & known)}, but told was {sorted(self.matching(key))}")
        if len(found - known) > len(self.uids) - len(known):
            raise Lie(f"SEARCH {key}: more messages than there are: {sorted(found - known)}")
