"""SELECT and EXAMINE with their parameters, and UIDBATCHES.

Standards: RFC 9051 6.3.2 and 6.3.3, RFC 4466 2.1, RFC 7162 3.1.8 (CONDSTORE) and 3.2.5 (QRESYNC),
RFC 10022 4 (UIDBATCHES).
On failure: BadSyntax.
"""

from __future__ import annotations

from typing import Final

from postroom.wire.imap.commands import SAVED, STAR, Qresync, Select, SequenceSet, UidBatches
from postroom.wire.imap.scanner import Scanner

_MAX_UID: Final = 2**32 - 1


def select(scanner: Scanner) -> Select:
    """SP mailbox [SP "(" select-param *(SP select-param) ")"]."""
    scanner.space()
    mailbox = scanner.mailbox()
    if scanner.at_end():
        return Select(mailbox)
    scanner.space()
    scanner.expect(b"(")
    condstore, qresync = False, None
    while True:
        name = scanner.keyword()
        if name == "CONDSTORE" and not condstore:
            condstore = True
        elif name == "QRESYNC" and qresync is None:
            scanner.space()
            qresync = _qresync(scanner)
        else:
            raise scanner.fail("CONDSTORE or QRESYNC, each once")
        if scanner.accept(b")"):
            return Select(mailbox, condstore, qresync)
        scanner.space()


def uidbatches(scanner: Scanner) -> UidBatches:
    """SP nz-number [SP nz-number ":" nz-number]."""
    scanner.space()
    size = scanner.nz_number(_MAX_UID)
    if scanner.at_end():
        return UidBatches(size)
    scanner.space()
    first = scanner.nz_number(_MAX_UID)
    scanner.expect(b":")
    return UidBatches(size, first, scanner.nz_number(_MAX_UID))


def _qresync(scanner: Scanner) -> Qresync:
    """ "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"."""
    scanner.expect(b"(")
    uidvalidity = scanner.nz_number(_MAX_UID)
    scanner.space()
    modseq = scanner.number()
    known: SequenceSet = ()
    seqs: SequenceSet = ()
    uids: SequenceSet = ()
    if scanner.accept(b" ") and not scanner.peek(b"("):
        known = _known(scanner)
        scanner.accept(b" ")
    if scanner.accept(b"("):
        seqs = _known(scanner)
        scanner.space()
        uids = _known(scanner)
        scanner.expect(b")")
    scanner.expect(b")")
    return Qresync(uidvalidity, modseq, known, seqs, uids)


def _known(scanner: Scanner) -> SequenceSet:
    """RFC 7162 7: a sequence-set in which "*" is not allowed."""
    ranges = scanner.sequence_set()
    if ranges == SAVED or any(STAR in ends for ends in ranges):
        raise scanner.fail("set without '*'")
    return ranges
