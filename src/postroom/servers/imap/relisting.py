"""The list of mailboxes looked at again, for a client that said NOTIFY: which names it hears of (RFC 5465 5.4 and 5.5).

Owns: nothing; watch.py keeps what was there before. What this client did itself is not told.
Trusts: what is visible in a realm was asked of mailbox.places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.mailbox import names
from postroom.mailbox.places import Realm
from postroom.servers.imap.interests import MAILBOX_NAME, SUBSCRIPTION_CHANGE, outermost
from postroom.servers.imap.list import send_list
from postroom.servers.imap.listing import attributes
from postroom.servers.imap.session import Session
from postroom.store.api import MailboxInfo
from postroom.wire.imap.response import Listed

#: account id, mailbox id
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Tables:
    """What a relisting compares by. events: of a name in a realm, given the subscriptions; before, after: those.

    mine: changes of names that this client made, as in Watch.made.
    """

    events: Callable[[Realm, str, frozenset[str]], frozenset[str]]
    before: frozenset[str]
    after: frozenset[str]
    mine: set[tuple[str, ...]]


class Around:
    """What is visible in one realm: everything a relisting needs of it."""

    __slots__ = ("listed", "realm", "visible")

    def __init__(self, realm: Realm, visible: Sequence[tuple[MailboxInfo, int]]) -> None:
        self.realm: Final = realm
        self.visible: Final = visible
        self.listed: dict[str, names.Listed] | None = None

    def entry(self, name: str) -> names.Listed | None:
        """A name of the login's as LIST shows it; None when it is not there."""
        if self.listed is None:
            self.listed = {each.name: each for each in names.hierarchy([info for info, _ in self.visible])}
        return self.listed.get(name[len(self.realm.prefix) :])


class Told:
    """One relisting: what is told about names, each name once."""

    __slots__ = ("_around", "_moved", "_session", "_tables")

    def __init__(self, session: Session, around: Sequence[Around], tables: Tables) -> None:
        """around: the login's own realm first."""
        self._session = session
        self._around = around
        self._tables = tables
        self._moved = [name for change in tables.mine if change[0] == "renamed" for name in change[1:]]

    def renamed(self, before: dict[Key, str], after: dict[Key, str]) -> None:
        """RFC 5465 5.4: created, deleted and renamed mailboxes."""
        if before == after:
            return
        affected: dict[str, None] = {}
        moved = [(name, after[key]) for key, name in before.items() if key in after and after[key] != name]
        gone = [name for key, name in before.items() if key not in after]
        come = [name for key, name in after.items() if key not in before]
        for kind, found in (("deleted", gone), ("created", come)):
            for name in found:
                if not self._is_mine(kind, name):
                    affected.update(dict.fromkeys((name, *names.parents(name)[-1:])))
        for old, new in outermost(moved):
            events = self._events(old, self._tables.before) | self._events(new, self._tables.after)
            if MAILBOX_NAME in events and ("renamed", old, new) not in self._tables.mine:
                self._list(new, oldname=old)
        for name in affected:
            if MAILBOX_NAME in self._events(name, self._tables.before | self._tables.after):
                self._list(name)

    def subscriptions(self) -> None:
        """RFC 5465 5.5."""
        before, after = self._tables.before, self._tables.after
        for name in sorted(before ^ after, key=names.place):
            mine = self._is_mine("subscribed", name) or any(_within(name, moved) for moved in self._moved)
            if not mine and SUBSCRIPTION_CHANGE in self._events(name, before | after):
                self._list(name)

    def _is_mine(self, kind: str, name: str) -> bool:
        """This client did it, or something that makes the levels above what it made."""
        mine = self._tables.mine
        if (kind, name) in mine:
            return True
        made = [change[-1] for change in mine if change[0] in ("created", "renamed")]
        return kind == "created" and any(_within(other, name) for other in made)

    def _events(self, name: str, subscribed: frozenset[str]) -> frozenset[str]:
        return self._tables.events(self._realm(name).realm, name, subscribed)

    def _realm(self, name: str) -> Around:
        """Where a name belongs; the own account is the first."""
        for each in self._around[1:]:
            if name.startswith(each.realm.prefix):
                return each
        return self._around[0]

    def _list(self, name: str, oldname: str | None = None) -> None:
        entry = self._realm(name).entry(name)
        subscribed = name in self._tables.after
        found: tuple[str, ...] = ("\\NonExistent", "\\Subscribed") if subscribed else ("\\NonExistent",)
        if entry is not None:
            found = attributes(entry, subscribed=subscribed)
        elif any(each.visible and each.realm.prefix == name + names.DELIMITER for each in self._around[1:]):
            found = ("\\Noselect", "\\HasChildren", *found[1:])  # the level above what somebody shares
        send_list(self._session, Listed(mailbox=name, attributes=found, oldname=oldname))


def _within(name: str, above: str) -> bool:
    return name == above or name.startswith(above + names.DELIMITER)
