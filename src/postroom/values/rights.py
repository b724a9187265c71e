"""Rights on a mailbox: one bit each, and their letters.

Standards: RFC 4314 2.1 (standard rights) and 2.1.1 (the obsolete "c" and "d").
On failure: ValueError for a letter that is no right.
"""

from __future__ import annotations

from typing import Final

#: in the order of the letters
LOOKUP: Final = 1  # l: LIST shows it
READ: Final = 2  # r: SELECT, STATUS
SEEN: Final = 4  # s: \Seen
WRITE: Final = 8  # w: all flags but \Seen and \Deleted
INSERT: Final = 16  # i: APPEND and COPY into it
POST: Final = 32  # p: send mail to its address; IMAP does not enforce it
CREATE: Final = 64  # k: mailboxes below it
DELETE_MAILBOX: Final = 128  # x
DELETE_MESSAGE: Final = 256  # t: \Deleted
EXPUNGE: Final = 512  # e
ADMINISTER: Final = 1024  # a: its ACL
LETTERS: Final = "lrswipkxtea"
ALL: Final = (1 << len(LETTERS)) - 1
NONE: Final = 0
#: to look, and change nothing
READING: Final = LOOKUP | READ

#: RFC 4314 2.1.1: "c" is "k" and "x", "d" is "t" and "e"
_VIRTUAL: Final = (("c", CREATE | DELETE_MAILBOX), ("d", DELETE_MESSAGE | EXPUNGE))
_BITS: Final = {**{letter: 1 << place for place, letter in enumerate(LETTERS)}, **dict(_VIRTUAL)}


def parse(text: str) -> int:
    """Letters to bits; "c" and "d" stand for their members. Raises ValueError, with the letter."""
    bits = 0
    for letter in text:
        if letter not in _BITS:
            raise ValueError(letter)
        bits |= _BITS[letter]
    return bits


def letters(rights: int) -> str:
    """Bits to letters."""
    return "".join([letter for place, letter in enumerate(LETTERS) if rights >> place & 1])


def told(rights: int) -> str:
    """Bits to letters as a client is told them: with "c" and "d" where a member is there (RFC 4314 2.1.1)."""
    return letters(rights) + "".join([letter for letter, members in _VIRTUAL if rights & members])
