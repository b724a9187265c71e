"""Reading the stored ENVELOPE and BODYSTRUCTURE of a message, which are kept as IMAP prints them (RFC 9051 7.5.2).

Trusts: the text our own index wrote; anything else gives None, never an exception.
"""

from __future__ import annotations

import re

# RFC 9051 9: ( ) NIL number quoted, or the head of a literal
_TOKEN = re.compile(rb' *(?:(\()|(\))|(NIL|\d++)|"((?:[^"\\]|\\.)*+)"|~?\{(\d{1,10})\+?\}\r\n)', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)

#: NIL and numbers are None: nobody asks for numbers
Value = bytes | list["Value"] | None


def value_at(printed: bytes, at: int) -> tuple[Value, int]:
    """The value at an offset and where the next begins; -1 when there is none, or it does not end."""
    lists: list[list[Value]] = []
    while token := _TOKEN.match(printed, at):
        at = token.end()
        value: Value = None
        if token[1]:
            lists.append([])
            continue
        if token[2]:
            if not lists:
                break
            value = lists.pop()
        elif token[4] is not None:
            value = _QUOTED_PAIR.sub(rb"\1", token[4]) if b"\\" in token[4] else token[4]
        elif token[5]:
            value = printed[at : at + int(token[5])]
            at += len(value)
        if not lists:
            return value, at
        lists[-1].append(value)
    return None, -1
