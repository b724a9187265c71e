"""LIST and LSUB, plain and extended.

Standards: RFC 9051 6.3.9, RFC 3501 6.3.9 (LSUB), RFC 5258, RFC 5819 (STATUS), RFC 6154 (SPECIAL-USE), RFC 8440,
RFC 9590.
On failure: BadSyntax (RFC 5258 3: unknown options are answered with BAD), BadName.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from postroom.wire.imap import metadata
from postroom.wire.imap.commands import List, MetadataOptions
from postroom.wire.imap.mailbox import status_items
from postroom.wire.imap.scanner import Scanner

_SELECTION: Final = frozenset(("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"))
_RETURN: Final = frozenset(("SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"))
_MAX_PATTERNS: Final = 100


def lsub(scanner: Scanner) -> List:
    """SP mailbox SP list-mailbox (RFC 3501 6.3.9)."""
    scanner.space()
    reference = scanner.list_mailbox()
    scanner.space()
    return List(reference, (scanner.list_mailbox(),))


def list_(scanner: Scanner) -> List:
    """[SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]."""
    scanner.space()
    extended = scanner.peek(b"(")
    chosen: tuple[str, ...] = ()
    if extended:
        chosen = _selection(scanner)
        scanner.space()
    reference = scanner.list_mailbox()
    scanner.space()
    if scanner.peek(b"("):
        patterns, extended = _patterns(scanner), True
    else:
        patterns = (scanner.list_mailbox(),)
    if scanner.at_end():
        return List(reference, patterns, chosen, extended=extended)
    scanner.space()
    if scanner.keyword() != "RETURN":
        raise scanner.fail("RETURN")
    scanner.space()
    returned = _returns(scanner)
    return List(
        reference,
        patterns,
        chosen,
        tuple(returned.options),
        returned.status,
        True,
        returned.metadata,
        returned.metadata_options,
    )


def _selection(scanner: Scanner) -> tuple[str, ...]:
    """list-select-opts, each option once."""
    scanner.expect(b"(")
    chosen: dict[str, None] = {}
    while not scanner.accept(b")"):
        if chosen:
            scanner.space()
        option = scanner.keyword()
        if option not in _SELECTION:
            raise scanner.fail("known selection option")
        chosen[option] = None
    if "RECURSIVEMATCH" in chosen and not chosen.keys() & {"SUBSCRIBED", "SPECIAL-USE"}:
        raise scanner.fail("option for RECURSIVEMATCH to match")  # RFC 5258 3.1
    return tuple(chosen)


def _patterns(scanner: Scanner) -> tuple[str, ...]:
    """patterns = "(" list-mailbox *(SP list-mailbox) ")"."""
    scanner.expect(b"(")
    patterns = [scanner.list_mailbox()]
    while not scanner.accept(b")"):
        scanner.space()
        patterns.append(scanner.list_mailbox())
        if len(patterns) > _MAX_PATTERNS:
            raise scanner.fail("fewer patterns")
    return tuple(patterns)


@dataclass(slots=True)
class _Returned:
    """list-return-opts: the plain options, the items of STATUS, the entries of METADATA."""

    options: dict[str, None] = field(default_factory=dict)
    status: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    metadata_options: MetadataOptions | None = None


def _returns(scanner: Scanner) -> _Returned:
    scanner.expect(b"(")
    found, first = _Returned(), True
    while not scanner.accept(b")"):
        if not first:
            scanner.space()
        first = False
        option = scanner.keyword()
        if option == "STATUS":
            scanner.space()
            found.status = status_items(scanner)
        elif option == "METADATA":
            scanner.space()
            found.metadata, found.metadata_options = metadata.list_option(scanner)
        elif option in _RETURN:
            found.options[option] = None
        else:
            raise scanner.fail("known return option")
    return found
