"""System flags of a message as bits of one octet, and their IMAP names.

Bits 0 to 4 are the flags of RFC 9051 2.3.2 in the order clients usually print them; bits 5 and 6 are our own
and never shown over IMAP. The octet is what the store packs, so the numbers never change.
"""

from __future__ import annotations

from typing import Final

SEEN: Final = 1
ANSWERED: Final = 2
FLAGGED: Final = 4
DELETED: Final = 8
DRAFT: Final = 16
POP3_HIDDEN: Final = 32  # taken by a POP3 client that "deletes"; IMAP never shows it
EIGHT_BIT: Final = 64  # a header of the message may hold 8-bit octets; set once, when it is added
RECENT: Final = 128  # a session's own (RFC 3501 2.3.2), never stored: put in where flags are printed

VISIBLE: Final = SEEN | ANSWERED | FLAGGED | DELETED | DRAFT

# RFC 9051 2.3.2: names are case-insensitive; this is how we print them
NAMES: Final[dict[int, bytes]] = {
    ANSWERED: b"\\Answered",
    FLAGGED: b"\\Flagged",
    DELETED: b"\\Deleted",
    SEEN: b"\\Seen",
    DRAFT: b"\\Draft",
}

BITS: Final[dict[bytes, int]] = {name.lower(): bit for bit, name in NAMES.items()}

#: every octet of visible flags, printed: PRINTED[SEEN | FLAGGED] == b"\\Flagged \\Seen"
PRINTED: Final[tuple[bytes, ...]] = tuple(
    b" ".join(name for bit, name in {**NAMES, RECENT: b"\\Recent"}.items() if octet & bit) for octet in range(256)
)
