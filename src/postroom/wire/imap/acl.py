"""SETACL, DELETEACL, LISTRIGHTS; GETACL and MYRIGHTS name a mailbox only.

Standards: RFC 4314 3 and 7 (grammar), 2.1.1 (obsolete rights in what clients send).
On failure: BadSyntax, also for a right that is none (RFC 4314 3.1: never ignored); BadName.
"""

from __future__ import annotations

from postroom.values import rights
from postroom.wire.imap.commands import Identified, SetAcl
from postroom.wire.imap.scanner import Scanner


def set_acl(scanner: Scanner) -> SetAcl:
    """SP mailbox SP identifier SP mod-rights."""
    scanner.space()
    mailbox = scanner.mailbox()
    scanner.space()
    identifier = _identifier(scanner)
    scanner.space()
    text = scanner.astring().decode("ascii", "replace")
    op = text[:1] if text[:1] in ("+", "-") else ""
    try:
        return SetAcl(mailbox, identifier, op, rights.parse(text[len(op) :]))
    except ValueError:
        raise scanner.fail(f"rights, of {rights.LETTERS}") from None


def identified(scanner: Scanner) -> Identified:
    """SP mailbox SP identifier."""
    scanner.space()
    mailbox = scanner.mailbox()
    scanner.space()
    return Identified(mailbox, _identifier(scanner))


def _identifier(scanner: Scanner) -> str:
    """UTF-8 (RFC 4314 2)."""
    try:
        return scanner.astring().decode("utf-8")
    except UnicodeDecodeError:
        raise scanner.fail("identifier in UTF-8") from None
