"""What the DNS has said, kept as long as it may be: answers, names that do not exist, and for a moment failures.

Owns: the entries, bounded by their octets in all; what was not asked for longest goes first.
Trusts: what it is given. Standards: RFC 2308 5 (negative answers), RFC 8767 4 and 5 (stale answers for an hour when
nobody can be asked, tried again after 30 s), RFC 9520 3.2 (failures are remembered, briefly).
On failure: nothing here raises.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from postroom.values.dns import DnsUnavailable, Lookup, NoSuchName, RecordType

Key = tuple[str, RecordType]

_LONGEST: Final = 86400.0  # seconds any answer is believed (RFC 8767 4: a week at the most)
_LONGEST_NEGATIVE: Final = 3600.0  # RFC 2308 5: one to three hours work well
_STALE: Final = 3600.0  # seconds an answer may be used after its time, when there is no other
_FAILED: Final = 5.0  # seconds a failure is remembered
_RECHECK: Final = 30.0  # RFC 8767 5: seconds until a server that failed is asked again for what is stale
_OVERHEAD: Final = 500  # octets of memory of an entry beside its records


class Outcome:
    """What a question came to: a lookup, or a problem to raise. Times are monotonic seconds."""

    __slots__ = ("expires", "lookup", "problem", "size", "stale_until", "text")

    def __init__(
        self, lookup: Lookup | None, problem: type[NoSuchName] | type[DnsUnavailable] | None = None, text: str = ""
    ) -> None:
        self.lookup = lookup
        self.problem = problem
        self.text = text
        self.expires = 0.0
        self.stale_until = 0.0
        self.size = 0

    def result(self) -> Lookup:
        """The records. Raises NoSuchName, DnsUnavailable."""
        if self.lookup is None:
            assert self.problem is not None
            raise self.problem(self.text)
        return self.lookup


class Cache:
    """Outcomes by name and type."""

    __slots__ = ("_entries", "_room", "_used")

    def __init__(self, room: int) -> None:
        """room: octets of all entries together, about."""
        self._entries: OrderedDict[Key, Outcome] = OrderedDict()
        self._room = room
        self._used = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Key) -> Outcome | None:
        """What is there, fresh or not."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def keep(self, key: Key, outcome: Outcome, ttl: float, now: float) -> None:
        """A new answer. A ttl of 0 is not kept (RFC 1035 3.2.1), and nor is what it replaces."""
        if outcome.problem is DnsUnavailable:
            ttl, stale = _FAILED, 0.0
        else:
            positive = outcome.lookup is not None and bool(outcome.lookup.records)
            ttl, stale = min(ttl, _LONGEST if positive else _LONGEST_NEGATIVE), _STALE
        self._drop(key)
        if ttl <= 0:
            return
        outcome.expires = now + ttl
        outcome.stale_until = outcome.expires + stale
        outcome.size = _OVERHEAD + len(key[0]) + _size(outcome)
        self._entries[key] = outcome
        self._used += outcome.size
        while self._used > self._room and self._entries:
            self._used -= self._entries.popitem(last=False)[1].size

    def hold(self, outcome: Outcome, now: float) -> None:
        """No newer answer can be had: this one stands a little longer, until it is too old altogether."""
        outcome.expires = min(now + _RECHECK, outcome.stale_until)

    def _drop(self, key: Key) -> None:
        gone = self._entries.pop(key, None)
        if gone is not None:
            self._used -= gone.size


def _size(outcome: Outcome) -> int:
    if outcome.lookup is None:
        return len(outcome.text)
    return sum(_record_size(record) for record in outcome.lookup.records)


def _record_size(record: Any) -> int:
    if isinstance(record, tuple):
        return 120 + sum(len(each) for each in record if isinstance(each, str | bytes))
    return 60 + len(record)
