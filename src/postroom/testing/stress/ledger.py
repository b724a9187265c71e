"""What can never change, whichever client hears it: a UID is one message for ever, and it goes only by being removed.

Facts come from APPENDUID, COPYUID and FETCH of any client. A mailbox is (owner, UIDVALIDITY), whatever its name.
On failure: Lie, with both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

#: owner's login, UIDVALIDITY
Box = tuple[str, int]


class Lie(AssertionError):
    """The server has said something that cannot be."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A message. digest: SHA-256 of its octets."""

    size: int
    digest: bytes

    @classmethod
    def of(cls, octets: bytes) -> Fact:
        """The message with these octets."""
        return cls(len(octets), sha256(octets).digest())


@dataclass(slots=True)
class Known:
    """A mailbox, as all clients together know it."""

    facts: dict[int, Fact] = field(default_factory=dict)
    left: dict[int, str] = field(default_factory=dict)  # moved or replaced, and by whom
    doomed: set[int] = field(default_factory=set)  # somebody has set \Deleted, or was cut off while removing it
    present: set[int] = field(default_factory=set)  # UIDs of which is known how they came
    uidnext: int = 1
    highest: int = 0
    writers: dict[int, set[int]] = field(default_factory=dict)  # numbers of clients that ever changed flags
    leaky: bool = False  # others, whom nobody asks, add, read and take away


class Ledger:
    """Of all mailboxes."""

    def __init__(self, leaky: frozenset[str] = frozenset()) -> None:
        """leaky: last names of mailboxes in which others, whom nobody asks, work too."""
        self._leaky = leaky
        self.boxes: dict[Box, Known] = {}
        self.digests: set[bytes] = set()  # of all messages that clients made
        self.maybe: set[bytes] = set()  # of those whose APPEND was cut off
        self.facts = 0

    def box(self, box: Box) -> Known:
        """What is known of a mailbox."""
        return self.boxes.setdefault(box, Known())

    def named(self, box: Box, name: str) -> Known:
        """A mailbox that was found under a name."""
        known = self.box(box)
        known.leaky |= name.rsplit("/", 1)[-1] in self._leaky
        return known

    def fact(self, box: Box, uid: int, fact: Fact) -> None:
        """A message was seen, or made. Raises Lie when its UID was another's."""
        known = self.box(box)
        before = known.facts.setdefault(uid, fact)
        if before != fact:
            raise Lie(f"UID {uid} of {box} was {before} and is {fact}")
        known.uidnext = max(known.uidnext, uid + 1)
        self.facts += 1

    def made(self, box: Box, uid: int, fact: Fact | None) -> None:
        """A command of ours has put it there. Raises Lie when the UID was given before."""
        known = self.box(box)
        if uid in known.present:
            raise Lie(f"UID {uid} of {box} was given twice")
        known.present.add(uid)
        known.uidnext = max(known.uidnext, uid + 1)
        if fact is not None:
            self.fact(box, uid, fact)

    def leaves(self, box: Box, uid: int, how: str) -> None:
        """A command of ours has taken it away. Raises Lie when another one had."""
        known = self.box(box)
        if uid in known.left:
            raise Lie(f"UID {uid} of {box} left by {known.left[uid]}, and once more by {how}")
        known.left[uid] = how

    def numbers(self, box: Box, *, uidnext: int = 0, highest: int = 0) -> None:
        """UIDNEXT or HIGHESTMODSEQ was told."""
        known = self.box(box)
        known.uidnext = max(known.uidnext, uidnext)
        known.highest = max(known.highest, highest)

    def at_the_end(self, box: Box, truth: set[int]) -> None:
        """Nothing may be missing that nobody removed, and nothing be there that was taken away. Raises Lie.

        What came by a command that was cut off may have brought its deletion along: nothing is known of it.
        """
        known = self.box(box)
        lost = known.present - truth - known.left.keys() - known.doomed
        if lost:
            raise Lie(f"{box} has lost UIDs {sorted(lost)}")
        risen = truth & known.left.keys()
        if risen:
            raise Lie(f"{box} still has UIDs {sorted(risen)}, which left by {[known.left[uid] for uid in risen]}")
