"""Reading an account's file: mailboxes, pages, rendered columns, octets, what vanished.

Functions over a connection, used by the loop's reader and inside the writer's transaction alike. A mailbox is loaded
from its pages; pages that did not change since an image we hold are taken from it, so that views may compare by
identity even when another process wrote.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final

import apsw

from postroom.store.api.account import MailboxInfo, Origin, Rendered, Usage
from postroom.store.api.errors import NotFound, StoreDamaged
from postroom.store.api.marks import SeenMode
from postroom.store.api.pages import Page, Snapshot
from postroom.store.embedded.codec import pack_tail, unpack_flags, unpack_page, unpack_tail, unpack_uids
from postroom.store.embedded.layout import AccountLayout
from postroom.store.embedded.working import LAST, Counters, Image
from postroom.values.content import Content

_INFO: Final = (
    "SELECT id, name, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, special_use, seen FROM mailbox"
)
_MODES: Final = {mode.value: mode for mode in SeenMode}
_U64: Final = 2**64 - 1  # SQLite keeps 64 bits with a sign
_COUNTERS: Final = (
    "SELECT id, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, next_page, history, paged,"
    " keywords, tail FROM mailbox WHERE id = ?"
)
#: bare columns beside max() come from the row that has it (SQLite, "Bare columns in an aggregate query")
_ACCOUNT: Final = (
    "SELECT max(modseq), next_message, octets, messages FROM"
    " (SELECT modseq, next_message, octets, messages FROM account"
    " UNION ALL SELECT account_modseq, next_message, account_octets, account_messages FROM mailbox)"
)
#: names of columns in the API to those in the table
_COLUMNS: Final = {
    "envelope": "envelope", "structure": "structure", "bodystructure": "bodystructure", "parts": "parts",
    "references": "refs",
}  # fmt: skip
_RANGE: Final = {name: f"SELECT {column} FROM message WHERE id BETWEEN ? AND ?" for name, column in _COLUMNS.items()}
_EACH: Final = {
    name: f"SELECT {column} FROM carray(?) AS wanted LEFT JOIN message ON message.id = wanted.value"
    for name, column in _COLUMNS.items()
}


def page_id(mailbox: int, number: int) -> int:
    """Row id of a page's fixed columns; its flags are in the next row."""
    return mailbox << 32 | number << 1


def read_mailboxes(reader: apsw.Connection) -> list[MailboxInfo]:
    """All mailboxes, by name."""
    return [_info(row) for row in reader.execute(f"{_INFO} ORDER BY name")]


def read_mailbox(reader: apsw.Connection, name: str) -> MailboxInfo | None:
    """One mailbox by its exact name."""
    row = reader.execute(f"{_INFO} WHERE name = ?", (name,)).fetchone()
    return _info(row) if row else None


def read_mailbox_by_id(reader: apsw.Connection, mailbox: int) -> MailboxInfo:
    """Raises NotFound."""
    row = reader.execute(f"{_INFO} WHERE id = ?", (mailbox,)).fetchone()
    if row is None:
        raise NotFound(f"no mailbox {mailbox}")
    return _info(row)


def _info(row: Any) -> MailboxInfo:
    number, name, uidvalidity, uidnext, modseq, messages, unseen, deleted, size, special_use, seen = row
    return MailboxInfo(
        id=number,
        name=name,
        uidvalidity=uidvalidity,
        uidnext=uidnext,
        modseq=modseq,
        messages=messages,
        unseen=unseen,
        deleted=deleted,
        size=size,
        special_use=special_use,
        seen=_MODES[seen],
    )


def read_subscriptions(reader: apsw.Connection) -> frozenset[str]:
    """The names the log-in is subscribed to."""
    return frozenset([name for (name,) in _rows(reader, "SELECT name FROM subscription WHERE wanted", ())])


def read_refusals(reader: apsw.Connection) -> frozenset[str]:
    """The names the log-in wants not to be subscribed to."""
    return frozenset([name for (name,) in _rows(reader, "SELECT name FROM subscription WHERE NOT wanted", ())])


def read_modseq(reader: apsw.Connection, mailbox: int) -> int:
    """The mailbox's HIGHESTMODSEQ. Raises NotFound."""
    row = reader.execute("SELECT modseq FROM mailbox WHERE id = ?", (mailbox,)).fetchone()
    if row is None:
        raise NotFound(f"no mailbox {mailbox}")
    modseq: int = row[0]
    return modseq


def read_counters(reader: apsw.Connection, mailbox: int) -> Counters:
    """The mailbox's row. Raises NotFound."""
    row = reader.execute(_COUNTERS, (mailbox,)).fetchone()
    if row is None:
        raise NotFound(f"no mailbox {mailbox}")
    return Counters(*row)


def read_image(reader: apsw.Connection, mailbox: int, known: Image | None) -> Image:
    """The mailbox as it is now, row and pages of one moment. Raises NotFound."""
    reader.execute("BEGIN")
    try:
        return load_image(reader, read_counters(reader, mailbox), known)
    finally:
        reader.execute("COMMIT")


def load_image(reader: apsw.Connection, row: Counters, known: Image | None) -> Image:
    """Pages of a mailbox, reusing those of `known` that are as they were. Inside a transaction."""
    first, last = page_id(row.id, 0), page_id(row.id + 1, 0) - 1
    old = dict(zip(known.numbers, known.snapshot.pages, strict=True)) if known else {}
    tail = old.pop(LAST, None)
    if known is not None and known.snapshot.modseq >= row.paged:
        pages = old
    elif not old or known is None:
        halves = dict(_rows(reader, "SELECT id, data FROM page WHERE id BETWEEN ? AND ?", (first, last)))
        pages = {key >> 1 & 0x7FFFFFFF: unpack_page(halves[key], halves[key | 1]) for key in halves if not key & 1}
    else:
        pages = _refresh(reader, (first, last), old, known.snapshot.modseq)
    if row.tail:
        pages[LAST] = tail if tail is not None and pack_tail(tail) == row.tail else unpack_tail(row.tail)
    keywords = tuple(row.keywords.split("\n")) if row.keywords else ()
    snapshot = Snapshot(row.id, row.uidvalidity, row.uidnext, row.modseq, tuple(pages.values()), keywords)
    return Image(snapshot, tuple(pages))


def _refresh(reader: apsw.Connection, within: tuple[int, int], old: dict[int, Page], modseq: int) -> dict[int, Page]:
    versions = dict(_rows(reader, "SELECT id, version FROM page WHERE id BETWEEN ? AND ?", within))
    pages: dict[int, Page] = {}
    for key in sorted(versions):
        if key & 1:
            continue
        number = key >> 1 & 0x7FFFFFFF
        page = old.get(number)
        if page is None or versions[key] > modseq:
            page = unpack_page(_half(reader, key), _half(reader, key | 1))
        elif versions[key | 1] > modseq:
            flags, keywords, modseqs = unpack_flags(_half(reader, key | 1), len(page))
            page = Page(page.uids, flags, keywords, modseqs, page.messages, page.sizes, page.dates, page.saved)
        pages[number] = page
    return pages


def _rows(reader: apsw.Connection, sql: str, bindings: tuple[Any, ...]) -> list[Any]:
    return reader.execute(sql, bindings).fetchall()


def _half(reader: apsw.Connection, key: int) -> bytes:
    data: bytes = reader.execute("SELECT data FROM page WHERE id = ?", (key,)).get
    return data


def signed(ids: Sequence[int]) -> array[int]:
    """Message ids as SQLite's carray wants them."""
    return array("q", ids)


def read_columns(reader: apsw.Connection, messages: Sequence[int], column: str) -> list[bytes]:
    """One rendered column in the order asked; b"" for messages that are gone. Raises ValueError for the column."""
    if column not in _COLUMNS:
        raise ValueError(column)
    if not messages:
        return []
    first, last, count = messages[0], messages[-1], len(messages)
    if last - first == count - 1 and array("Q", range(first, last + 1)) == array("Q", messages):
        found = _rows(reader, _RANGE[column], (first, last))
        if len(found) == count:
            return [value for (value,) in found]
    return [value or b"" for (value,) in _rows(reader, _EACH[column], (apsw.carray(signed(messages)),))]


def read_rendered(reader: apsw.Connection, messages: Sequence[int]) -> list[Rendered]:
    """Everything rendered of messages in the order asked; those that are gone are left out."""
    if not messages:
        return []
    sql = (
        "SELECT id, lower(hex(guid)), size, internaldate, envelope, structure, bodystructure, parts, header"
        " FROM carray(?) AS wanted JOIN message ON message.id = wanted.value"
    )
    return [Rendered(*row) for row in _rows(reader, sql, (apsw.carray(signed(messages)),))]


def read_origins(reader: apsw.Connection, messages: Sequence[int]) -> dict[int, Origin]:
    """Those of these messages that came from another account."""
    if not messages or reader.execute("SELECT 1 FROM origin LIMIT 1").fetchone() is None:
        return {}
    sql = "SELECT message, emailid, thread FROM origin WHERE message IN carray(?)"
    found = _rows(reader, sql, (apsw.carray(signed(messages)),))
    return {message: Origin(emailid, thread & _U64) for message, emailid, thread in found}


def read_originals(reader: apsw.Connection, emailid: str) -> list[int]:
    """Message ids of what came from another account with this EMAILID."""
    return [message for (message,) in _rows(reader, "SELECT message FROM origin WHERE emailid = ?", (emailid,))]


def read_messages(reader: apsw.Connection, after: int, limit: int) -> Sequence[int]:
    """Ids of messages above `after`, ascending, `limit` at most."""
    return [
        number for (number,) in _rows(reader, "SELECT id FROM message WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
    ]


def read_content(reader: apsw.Connection, layout: AccountLayout, message: int) -> Content:
    """The octets of a message. Raises NotFound; StoreDamaged when the body is missing."""
    row = reader.execute(
        "SELECT size, lower(hex(guid)), prefix, (SELECT data FROM body WHERE body.id = message.id), digest"
        " FROM message WHERE id = ?",
        (message,),
    ).fetchone()
    if row is None:
        raise NotFound(f"no message {message}")
    size, guid, prefix, data, digest = row
    if prefix is None:
        if data is None:
            raise StoreDamaged(f"the octets of message {message} are missing")
        return Content.of(data)
    return Content(size=size, path=layout.body(guid), prefix=prefix, digest=digest)


def read_vanished(reader: apsw.Connection, mailbox: int, since: int) -> Sequence[int] | None:
    """UIDs expunged after MODSEQ `since`, ascending; None when it is not known. Raises NotFound."""
    history = reader.execute("SELECT history FROM mailbox WHERE id = ?", (mailbox,)).fetchone()
    if history is None:
        raise NotFound(f"no mailbox {mailbox}")
    if since < history[0]:
        return None
    rows = _rows(reader, "SELECT uids FROM expunged WHERE modseq > ? AND mailbox = ?", (since, mailbox))
    if len(rows) == 1:
        return unpack_uids(rows[0][0])
    uids: set[int] = set()
    for (packed,) in rows:
        uids.update(unpack_uids(packed))
    return array("I", sorted(uids))


def read_usage(reader: apsw.Connection) -> Usage:
    """Octets and messages of all mailboxes."""
    _, _, octets, messages = read_totals(reader)
    return Usage(octets, messages)


def read_totals(reader: apsw.Connection) -> tuple[int, int, int, int]:
    """The account's MODSEQ, next message id, octets and messages."""
    modseq, next_message, octets, messages = _rows(reader, _ACCOUNT, ())[0]
    return modseq, next_message, octets, messages


def read_marks(reader: apsw.Connection) -> dict[int, str]:
    """Mailbox -> its newest deliveries: a line feed, then lines of "queue id recipient<tab>time"."""
    return dict(_rows(reader, "SELECT id, marks FROM mailbox WHERE marks <> ''", ()))
