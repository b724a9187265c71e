"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208 4.1). On failure: BadSyntax."""

from __future__ import annotations

from postroom.wire.imap import names
from postroom.wire.imap.commands import GetQuota, SetQuota
from postroom.wire.imap.scanner import Scanner


def get_quota(scanner: Scanner) -> GetQuota:
    """SP quota-root-name. A root is named like a mailbox."""
    scanner.space()
    return GetQuota(_root(scanner))


def set_quota(scanner: Scanner) -> SetQuota:
    """SP quota-root-name SP "(" [resource-name SP resource-limit *(SP ...)] ")"."""
    scanner.space()
    root = _root(scanner)
    scanner.space()
    scanner.expect(b"(")
    limits: dict[str, int] = {}
    while not scanner.accept(b")"):
        if limits:
            scanner.space()
        resource = scanner.keyword()
        scanner.space()
        limits[resource] = scanner.number()
    return SetQuota(root, tuple(limits.items()))


def _root(scanner: Scanner) -> str:
    return names.decode_pattern(scanner.astring(), scanner.utf8)
