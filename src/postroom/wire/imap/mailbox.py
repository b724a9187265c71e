"""Commands that name one mailbox or two: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS.

Standards: RFC 9051 6.3.4 to 6.3.8 and 6.3.11, RFC 6154 3 (CREATE ... USE), RFC 8438, RFC 7162, RFC 7889, RFC 9208.
On failure: BadSyntax, BadName.
"""

from __future__ import annotations

from typing import Final

from postroom.wire.imap.commands import Create, Mailbox, Rename, Status
from postroom.wire.imap.scanner import Scanner

#: every STATUS item we know (RFC 9051 6.3.11, RFC 3501 6.3.10, RFC 7162 3.1.7, RFC 7889 3.1, RFC 9208 4.1.4,
#: RFC 8474 4.3)
STATUS_ITEMS: Final = frozenset(
    {
        "MESSAGES",
        "RECENT",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "DELETED",
        "SIZE",
        "HIGHESTMODSEQ",
        "APPENDLIMIT",
        "DELETED-STORAGE",
        "MAILBOXID",
    }
)

_MAX_USES: Final = 20


def mailbox(scanner: Scanner) -> Mailbox:
    """SP mailbox."""
    scanner.space()
    return Mailbox(scanner.mailbox())


def create(scanner: Scanner) -> Create:
    r"""SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"] (RFC 6154 3).

    RFC 9051 6.3.4: a hierarchy separator at the end only says that children will follow; the name is without it.
    """
    scanner.space()
    name = scanner.mailbox()
    uses: list[str] = []
    if not scanner.at_end():
        scanner.space()
        scanner.expect(b"(")
        if scanner.keyword() != "USE":
            raise scanner.fail("USE")
        scanner.space()
        scanner.expect(b"(")
        while not scanner.accept(b")"):
            if uses:
                scanner.space()
            if len(uses) > _MAX_USES:
                raise scanner.fail("fewer uses")
            scanner.expect(b"\\")
            uses.append("\\" + scanner.atom().decode("ascii"))
        scanner.expect(b")")
    trailing = len(name) > 1 and name.endswith("/")
    if trailing:
        name = "INBOX" if name.upper() == "INBOX/" else name[:-1]
    return Create(name, tuple(uses), trailing)


def rename(scanner: Scanner) -> Rename:
    """SP mailbox SP mailbox."""
    scanner.space()
    source = scanner.mailbox()
    scanner.space()
    return Rename(source, scanner.mailbox())


def status(scanner: Scanner) -> Status:
    """SP mailbox SP "(" status-att *(SP status-att) ")"."""
    scanner.space()
    name = scanner.mailbox()
    scanner.space()
    return Status(name, status_items(scanner))


def status_items(scanner: Scanner) -> tuple[str, ...]:
    """ "(" status-att *(SP status-att) ")", each item once."""
    scanner.expect(b"(")
    items: dict[str, None] = {}
    while True:
        item = scanner.keyword()
        if item not in STATUS_ITEMS:
            raise scanner.fail("known STATUS item")
        items[item] = None
        if scanner.accept(b")"):
            return tuple(items)
        scanner.space()
