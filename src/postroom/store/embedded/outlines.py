"""What many accounts have and who may see it, without opening each of them: for lists of what others share.

An outline is remembered together with size and time of change of the account's files. Every commit of any process
changes those, so two looks at the file system say whether it still holds. It is not remembered while the files are
younger than a second: within one tick of the clock a second change would look like the first.
Owns: the memory of outlines, bounded. On failure: NotFound, StoreUnavailable.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Final

import apsw

from postroom.store.api.errors import NotFound
from postroom.store.api.store import Outline
from postroom.store.embedded.account_read import read_mailboxes
from postroom.store.embedded.account_sharing import read_acls
from postroom.store.embedded.database import OpenOptions, open_database, unavailable
from postroom.store.embedded.layout import AccountLayout
from postroom.values.clock import Clock

#: accounts, and mailboxes of one, that are remembered
_ACCOUNTS: Final = 2000
_MAILBOXES: Final = 500
#: seconds in which two changes may have one time
_TICK: Final = 1.0

#: of the database and of its WAL: time of change in nanoseconds, and size; zeros for a file that is not there
_Stamp = tuple[int, int, int, int]


class Outlines:
    """One per process."""

    __slots__ = ("_clock", "_known", "_options")

    def __init__(self, options: OpenOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._known: OrderedDict[str, tuple[_Stamp, Outline]] = OrderedDict()

    def of(self, layout: AccountLayout) -> Outline:
        """The account's mailboxes and ACLs as they are now."""
        path = layout.database
        before = _stamp(path)
        known = self._known.get(path)
        if known is not None and known[0] == before:
            self._known.move_to_end(path)
            return known[1]
        try:
            found = self._read(path)
        except apsw.CantOpenError as fault:
            raise NotFound(f"no account at {path}") from fault
        except apsw.Error as fault:
            raise unavailable(fault) from fault
        after = _stamp(path)  # closing may have changed it, and somebody else, too
        if before == after and self._is_settled(after) and len(found.mailboxes) <= _MAILBOXES:
            self._known[path] = (after, found)
            if len(self._known) > _ACCOUNTS:
                self._known.popitem(last=False)
        return found

    def _read(self, path: str) -> Outline:
        reader = open_database(path, self._options, cache_kib=self._options.reader_cache_kib)
        try:
            reader.execute("BEGIN")
            found = Outline(tuple(read_mailboxes(reader)), read_acls(reader))
            reader.execute("COMMIT")
        finally:
            reader.close()
        return found

    def _is_settled(self, stamp: _Stamp) -> bool:
        return max(stamp[0], stamp[2]) / 1e9 < self._clock.now() - _TICK


def _stamp(path: str) -> _Stamp:
    return (*_look(path), *_look(f"{path}-wal"))


def _look(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
