"""ESEARCH: the search program, and which mailboxes it is for (RFC 7377).

Standards: RFC 7377 2.2 and 4; RFC 5465 8 (filter-mailboxes).
Trust: hostile; the length of a command bounds how many mailboxes it names.
On failure: BadSyntax, UnknownCharset.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from postroom.wire.imap import notify, search
from postroom.wire.imap.commands import MultiSearch, Source
from postroom.wire.imap.scanner import Scanner

_NAMED: Final = frozenset(("SUBTREE", "SUBTREE-ONE", "MAILBOXES"))
_KINDS: Final = _NAMED | {"SELECTED", "INBOXES", "PERSONAL", "SUBSCRIBED"}
#: RFC 7377 2.2: without source options
SELECTED: Final[tuple[Source, ...]] = (Source("SELECTED"),)


def esearch(scanner: Scanner) -> MultiSearch:
    """[SP "IN" SP "(" sources ")"] and what SEARCH has; without result options everything is told (RFC 7377 2.1)."""
    sources = SELECTED
    if scanner.text[scanner.pos : scanner.pos + 4].upper() == b" IN ":
        scanner.space()
        scanner.keyword()
        scanner.space()
        sources = _sources(scanner)
    wanted = search.search(scanner)
    if wanted.returns is None:
        wanted = replace(wanted, returns=("ALL",))
    if "SAVE" in (wanted.returns or ()) and any(source.kind != "SELECTED" for source in sources):
        raise scanner.fail("SAVE for the selected mailbox alone")
    return MultiSearch(sources, wanted)


def _sources(scanner: Scanner) -> tuple[Source, ...]:
    """ "(" filter-mailboxes *(SP filter-mailboxes) ")"; of the options that may follow there are none yet."""
    scanner.expect(b"(")
    found = [_source(scanner)]
    while not scanner.accept(b")"):
        scanner.space()
        if scanner.peek(b"("):
            raise scanner.fail("known option of where to search")
        found.append(_source(scanner))
    return tuple(dict.fromkeys(found))


def _source(scanner: Scanner) -> Source:
    kind = scanner.keyword()
    if kind not in _KINDS:
        raise scanner.fail("kind of mailboxes")
    if kind not in _NAMED:
        return Source(kind)
    scanner.space()
    return Source(kind, notify.mailboxes(scanner))
