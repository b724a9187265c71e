"""What changes the list of mailboxes: create, rename, delete, subscribe. Work for the committer."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from postroom.store.api.account import MailboxInfo
from postroom.store.api.errors import MailboxExists, MailboxHasChildren
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.account_read import read_mailbox, read_mailbox_by_id, read_subscriptions
from postroom.store.embedded.account_sharing import forget, inherit
from postroom.store.embedded.account_write import expunge_chosen

_INSERT = (
    "INSERT INTO mailbox (name, uidvalidity, special_use, uidnext, modseq, messages, unseen, deleted, size,"
    " next_page, history, keywords) VALUES (?, ?, ?, 1, ?, 0, 0, 0, 0, 0, 0, '')"
)
_SUBSCRIBE = """INSERT INTO subscription VALUES (?1, ?2)
ON CONFLICT DO UPDATE SET wanted = excluded.wanted WHERE wanted != excluded.wanted"""
_UNSUBSCRIBE = "DELETE FROM subscription WHERE name = ?"
_END_LIFE = (
    "UPDATE life SET (deleted, name, uidvalidity, special_use, keywords) ="
    " (SELECT ?1, name, uidvalidity, special_use, keywords FROM mailbox WHERE id = ?2) WHERE mailbox = ?2"
)
#: names below `?1`, or `?1` itself; substr, because LIKE would need escapes
_BELOW = "substr(name, 1, length(?1) + 1) = ?1 || '/'"


@dataclass(frozen=True, slots=True)
class Create:
    """Make a mailbox and the parents it lacks."""

    name: str
    special_use: str = ""

    def __call__(self, unit: AccountUnit) -> Callable[[], MailboxInfo]:
        if read_mailbox(unit.connection, self.name) is not None:
            raise MailboxExists(self.name)
        make_parents(unit, self.name)
        insert_mailbox(unit, self.name, self.special_use)
        info = read_mailbox(unit.connection, self.name)
        assert info is not None
        return lambda: info


@dataclass(frozen=True, slots=True)
class Provision:
    """Make those of the mailboxes (name, special use) that are not there: a new account's first ones."""

    mailboxes: tuple[tuple[str, str], ...]

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        for name, special_use in self.mailboxes:
            if read_mailbox(unit.connection, name) is None:
                make_parents(unit, name)
                insert_mailbox(unit, name, special_use)
                unit.connection.execute(_SUBSCRIBE, (name, True))
        return lambda: None


def insert_mailbox(unit: AccountUnit, name: str, special_use: str) -> int:
    """A mailbox that is not there yet; gives its id."""
    unit.list_changed()
    totals = unit.totals
    # RFC 9051 2.3.1.1: never smaller than one given before; time keeps it so even after a restore
    totals.uidvalidity = max(totals.uidvalidity + 1, int(unit.now))
    unit.connection.execute(_INSERT, (name, totals.uidvalidity, special_use, totals.modseq))
    mailbox = unit.connection.last_insert_rowid()
    unit.connection.execute("INSERT INTO life (mailbox, created) VALUES (?, ?)", (mailbox, unit.now))
    inherit(unit, name, mailbox)
    return mailbox


def make_parents(unit: AccountUnit, name: str) -> list[int]:
    """RFC 9051 6.3.4: superior names are created too. Gives the ids of those that were not there."""
    levels, made = name.split("/"), []
    for depth in range(1, len(levels)):
        parent = "/".join(levels[:depth])
        if read_mailbox(unit.connection, parent) is None:
            made.append(insert_mailbox(unit, parent, ""))
    return made


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a mailbox, and all below it, another name. UIDs and UIDVALIDITY stay."""

    mailbox: int
    name: str

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        connection = unit.connection
        old = read_mailbox_by_id(connection, self.mailbox).name
        moved: dict[str, int] = dict(
            connection.execute(f"SELECT name, id FROM mailbox WHERE name = ?1 OR {_BELOW}", (old,)).fetchall()  # type: ignore[arg-type]
        )
        names = {self.name + name[len(old) :]: number for name, number in moved.items()}
        for name in names:
            if name not in moved and read_mailbox(connection, name) is not None:
                raise MailboxExists(name)
        if self.name == old:
            raise MailboxExists(old)
        unit.list_changed()
        connection.executemany(
            "INSERT OR IGNORE INTO former VALUES (?, ?, ?)", [(n, unit.now, name) for name, n in moved.items()]
        )
        connection.executemany("UPDATE mailbox SET name = '/' || id WHERE id = ?", [(n,) for n in names.values()])
        make_parents(unit, self.name)
        for name in names:
            _clear_way(unit, name)
        connection.executemany("UPDATE mailbox SET name = ? WHERE id = ?", list(names.items()))
        _move_subscriptions(unit, old, self.name, moved)
        return lambda: None


def _move_subscriptions(unit: AccountUnit, old: str, new: str, moved: Collection[str]) -> None:
    """The user gave the mailbox another name, so it is subscribed to under that; names without a mailbox stay."""
    wanted = [name for name in read_subscriptions(unit.connection) if name in moved]
    unit.connection.executemany("DELETE FROM subscription WHERE name = ?", [(name,) for name in wanted])
    unit.connection.executemany(_SUBSCRIBE, [(new + name[len(old) :], True) for name in wanted])


def _clear_way(unit: AccountUnit, name: str) -> None:
    """A parent just made may have a name that a moved mailbox takes (a to a/a): the moved one is that parent."""
    made = read_mailbox(unit.connection, name)
    if made is not None:
        forget(unit, made.id)
        unit.connection.execute("DELETE FROM life WHERE mailbox = ?", (made.id,))
        unit.connection.execute("DELETE FROM mailbox WHERE id = ?", (made.id,))


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a mailbox; what was in it is expunged, what it was is remembered, and it stays subscribed if it was."""

    mailbox: int

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        name = read_mailbox_by_id(unit.connection, self.mailbox).name
        if unit.connection.execute(f"SELECT 1 FROM mailbox WHERE {_BELOW}", (name,)).fetchone():
            raise MailboxHasChildren(name)
        box = unit.open(self.mailbox)
        chosen = [(place, b"\1" * len(box.pages[place])) for place in box.places()]
        if chosen:
            expunge_chosen(unit, box, chosen)
        unit.list_changed()
        unit.forget(self.mailbox)
        first = self.mailbox << 32
        unit.connection.execute("DELETE FROM page WHERE id BETWEEN ? AND ?", (first, first | 0xFFFFFFFF))
        unit.connection.execute(_END_LIFE, (unit.now, self.mailbox))
        unit.connection.execute("DELETE FROM mailbox WHERE id = ?", (self.mailbox,))
        forget(unit, self.mailbox)
        unit.connection.execute("DELETE FROM annotation WHERE mailbox = ?", (self.mailbox,))
        return lambda: None


@dataclass(frozen=True, slots=True)
class Specialize:
    """Change the special use of a mailbox."""

    mailbox: int
    special_use: str

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        if read_mailbox_by_id(unit.connection, self.mailbox).special_use != self.special_use:
            unit.list_changed()
            sql = "UPDATE mailbox SET special_use = ? WHERE id = ?"
            unit.connection.execute(sql, (self.special_use, self.mailbox))
        return lambda: None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Add a name to the subscriptions or take it out."""

    name: str
    subscribed: bool
    remember: bool

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        if self.subscribed or self.remember:
            unit.connection.execute(_SUBSCRIBE, (self.name, self.subscribed))
        else:
            unit.connection.execute(_UNSUBSCRIBE, (self.name,))
        if unit.connection.changes():
            unit.list_changed()
        return lambda: None
