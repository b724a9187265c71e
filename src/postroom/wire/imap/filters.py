"""What a named search holds: text as it would stand in a SEARCH command, literals included (RFC 5466 3.2).

On failure: BadSyntax.
"""

from __future__ import annotations

import re
from typing import Final

from postroom.wire.imap.commands import Search
from postroom.wire.imap.errors import BadSyntax
from postroom.wire.imap.events import Continue, Line
from postroom.wire.imap.framer import Framer, FramerLimits
from postroom.wire.imap.scanner import ATOM_CHARS, Scanner
from postroom.wire.imap.search import criteria

_NAME: Final = re.compile(rb"[" + ATOM_CHARS.replace(b"/", b"") + rb"]+")
_TAG: Final = b"x "


def is_filter_name(name: str) -> bool:
    """RFC 5466 4: 1*<any ATOM-CHAR except "/">."""
    return name.isascii() and _NAME.fullmatch(name.encode("ascii")) is not None


def parse_filter(value: bytes) -> Search:
    """The search of a filter. Raises BadSyntax."""
    framer = Framer(FramerLimits(line=len(value) + 64, literal=len(value)))
    framer.feed(_TAG + value + b"\r\n")
    event = framer.next_event()
    while isinstance(event, Continue):
        event = framer.next_event()
    if not isinstance(event, Line) or framer.pending:
        raise BadSyntax("not a search program")
    return criteria(Scanner(event.text, event.literals, True, len(_TAG)))
