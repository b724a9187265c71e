"""Groups, and which accounts share anything with whom: the SQL of that part of directory.db.

Functions over a connection: reads for the directory's cache, changes for its committer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import apsw

from postroom.store.api.directory import GroupRow
from postroom.store.api.errors import NotFound

#: rows of a statement
Rows = Callable[..., list[Any]]

_GROUP: Final = "SELECT address, name, created FROM team"
_MEMBERS: Final = "SELECT member FROM team_member WHERE team = ? ORDER BY place"
#: UNION drops what was found before, so a loop ends
_TEAMS_OF: Final = (
    "WITH RECURSIVE found(team) AS (SELECT team FROM team_member WHERE member = ?"
    " UNION SELECT team_member.team FROM team_member JOIN found ON team_member.member = found.team)"
    " SELECT team FROM found"
)


def load_group(rows: Rows, address: str) -> GroupRow | None:
    """One group, or None."""
    found = rows(f"{_GROUP} WHERE address = ?", address)
    return _group(rows, found[0]) if found else None


def load_groups(rows: Rows, domain: str) -> list[GroupRow]:
    """The groups of a domain, or all; by address."""
    return [_group(rows, row) for row in rows(f"{_GROUP} WHERE ?1 IN ('', domain) ORDER BY address", domain)]


def _group(rows: Rows, row: Any) -> GroupRow:
    address, name, created = row
    members = tuple(member for (member,) in rows(_MEMBERS, address))
    return GroupRow(address=address, members=members, created=created, name=name)


def load_groups_of(rows: Rows, member: str) -> frozenset[str]:
    """Groups with this member, also in groups of theirs."""
    return frozenset(team for (team,) in rows(_TEAMS_OF, member))


def load_sharers(rows: Rows, identifier: str) -> tuple[str, ...]:
    """Accounts by an identifier."""
    return tuple(account for (account,) in rows("SELECT account FROM share WHERE identifier = ?", identifier))


def load_shares(rows: Rows, account: str) -> tuple[str, ...]:
    """Identifiers by an account."""
    found = rows("SELECT identifier FROM share WHERE account = ? ORDER BY identifier", account)
    return tuple(identifier for (identifier,) in found)


def load_delegates(rows: Rows, account: str) -> dict[str, str]:
    """Who may send as an account, and how."""
    return dict(rows("SELECT identifier, mode FROM delegate WHERE account = ?", account))


def put_delegate(db: apsw.Connection, account: str, identifier: str, mode: str) -> None:
    """Raises NotFound without the account."""
    if not db.execute("SELECT 1 FROM account WHERE id = ?", (account,)).fetchone():
        raise NotFound(f"no account {account}")
    db.execute("REPLACE INTO delegate VALUES (?, ?, ?)", (account, identifier, mode))


def remove_delegate(db: apsw.Connection, account: str, identifier: str) -> None:
    """Raises NotFound."""
    db.execute("DELETE FROM delegate WHERE account = ? AND identifier = ?", (account, identifier))
    if not db.changes():
        raise NotFound(f"{identifier} does not send for {account}")


def put_group(db: apsw.Connection, row: GroupRow) -> None:
    """Insert or replace, members included."""
    domain = row.address.rpartition("@")[2]
    db.execute("REPLACE INTO team VALUES (?, ?, ?, ?)", (row.address, domain, row.name, row.created))
    db.execute("DELETE FROM team_member WHERE team = ?", (row.address,))
    members = [(member, row.address, place) for place, member in enumerate(row.members)]
    db.executemany("INSERT INTO team_member VALUES (?, ?, ?)", members)


def remove_group(db: apsw.Connection, address: str) -> None:
    """Raises NotFound."""
    db.execute("DELETE FROM team WHERE address = ?", (address,))
    if not db.changes():
        raise NotFound(f"no group {address}")
    db.execute("DELETE FROM team_member WHERE ?1 IN (team, member)", (address,))
    db.execute("DELETE FROM delegate WHERE identifier = 'group:' || ?", (address,))


def put_share(db: apsw.Connection, account: str, identifier: str) -> None:
    """Raises NotFound without the account."""
    if not db.execute("SELECT 1 FROM account WHERE id = ?", (account,)).fetchone():
        raise NotFound(f"no account {account}")
    db.execute("INSERT OR IGNORE INTO share VALUES (?, ?)", (identifier, account))


def remove_share(db: apsw.Connection, account: str, identifier: str) -> None:
    """Take a row out, if it is there."""
    db.execute("DELETE FROM share WHERE identifier = ? AND account = ?", (identifier, account))


def forget_account(db: apsw.Connection, account: str) -> None:
    """The account is being removed: it shares nothing, is in no group, and sends as nobody."""
    db.execute(
        "DELETE FROM delegate WHERE account = ?1 OR identifier = (SELECT login FROM account WHERE id = ?1)", (account,)
    )
    db.execute("DELETE FROM team_member WHERE member = (SELECT login FROM account WHERE id = ?)", (account,))
    db.execute("DELETE FROM share WHERE account = ?", (account,))
