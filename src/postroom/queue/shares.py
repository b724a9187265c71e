"""How much of one route may be in memory at once, and whose it is.

The rest of the queue waits in the store. A sender's mail, and mail for one domain, may take as much room as it leaves
free: however much one of them has waiting, there is always room for the others.
Owns: the counts of one route. Standards: none (the rule is that of dynamic thresholds for shared buffers).
On failure: nothing raises.
"""

from __future__ import annotations

from postroom.store.api import Entry

#: what one route holds in memory before further mail stays in the store until there is room
MOST_ENTRIES = 1000
MOST_OCTETS = 32 * 1024 * 1024


class Shares:
    """What of a route is under way. behind: mail stayed in the store because there was no room for it."""

    __slots__ = ("_lanes", "behind", "entries", "octets")

    def __init__(self) -> None:
        self.entries = 0
        self.octets = 0
        self.behind = False
        self._lanes: dict[str, int] = {}

    def has_room(self, entry: Entry) -> bool:
        """True when the entry may come in; its octets need not be known."""
        if self.entries >= MOST_ENTRIES or self.octets >= MOST_OCTETS:
            return False
        most = MOST_ENTRIES - self.entries
        lanes = self._lanes
        return all(lanes.get(lane, 0) < most for lane in _lanes(entry))

    def enter(self, entry: Entry) -> None:
        """It is being worked on."""
        self.entries += 1
        self.octets += held(entry)
        lanes = self._lanes
        for lane in _lanes(entry):
            lanes[lane] = lanes.get(lane, 0) + 1

    def leave(self, entry: Entry) -> bool:
        """It is not any more. True when it is time to look for what stayed in the store."""
        self.entries -= 1
        self.octets -= held(entry)
        lanes = self._lanes
        most = (MOST_ENTRIES - self.entries) // 2
        roomy = self.octets <= MOST_OCTETS // 2
        for lane in _lanes(entry):
            left = lanes[lane] - 1
            roomy = roomy and left <= most
            if left:
                lanes[lane] = left
            else:
                del lanes[lane]
        if not (self.behind and roomy):
            return False
        self.behind = False
        return True


def _lanes(entry: Entry) -> tuple[str, str]:
    """Whose it is (bulk mail apart), and where its first recipient is."""
    owner = entry.account or entry.sender
    return f"{owner} bulk" if entry.bulk else owner, entry.recipients[0].address.rpartition("@")[2]


def held(entry: Entry) -> int:
    """Octets an entry holds in memory while it is worked on; a file costs nothing."""
    return len(entry.content.data) + len(entry.content.prefix)
