r"""APPEND and MULTIAPPEND up to each literal (RFC 9051 6.3.12, RFC 3502, RFC 3516 4.4, RFC 6855 4).

Purpose: read what stands before a message's literal, so that the server can refuse before the octets come.
Grammar (RFC 3502 6.3.11 with RFC 4466 and RFC 6855):
    append         = "APPEND" SP mailbox 1*append-message
    append-message = [SP flag-list] [SP date-time] SP (literal / literal8 / "UTF8" SP "(" literal8 ")")
Ownership: the framer holds one Appending while the command lasts.
On failure: BadSyntax.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from postroom.wire.imap.commands import AppendMessage, Flags
from postroom.wire.imap.dates import parse_date_time
from postroom.wire.imap.scanner import Scanner

#: what stands before the mailbox name; a literal right behind it is that name, a later one is a message
APPEND: Final = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+ APPEND ", re.IGNORECASE)
_DATE_TIME: Final = re.compile(rb'"([ \d]?\d-[A-Za-z]{3}-\d{4} \d\d:\d\d:\d\d [+-]\d{4})"')


class Announced(Struct, frozen=True):
    """The announcement at the end of a line: `{size}`, `{size+}`, `~{size}`."""

    size: int
    sync: bool
    binary: bool


class Appending(Struct):
    """An APPEND that is being received."""

    tag: bytes
    mailbox: str
    messages: list[AppendMessage]

    @property
    def message(self) -> AppendMessage:
        """The message announced last."""
        return self.messages[-1]


def start(scanner: Scanner, announced: Announced) -> Appending:
    """The first message. scanner stands at the tag; its text ends where the announcement begins."""
    tag, _, _ = scanner.text.partition(b" ")
    scanner.pos = len(tag) + len(b" APPEND ")
    mailbox = scanner.mailbox()
    return Appending(tag, mailbox, [read_message(scanner, announced)])


def read_message(scanner: Scanner, announced: Announced) -> AppendMessage:
    """[SP flag-list] [SP date-time] SP, then the literal that is announced."""
    scanner.space()
    flags = Flags()
    if scanner.peek(b"("):
        flags = scanner.flag_list()
        scanner.space()
    internaldate = None
    if scanner.peek(b'"'):
        found = _DATE_TIME.match(scanner.text, scanner.pos)
        if not found:
            raise scanner.fail("date-time")
        internaldate = parse_date_time(found[1])
        scanner.pos = found.end()
        scanner.space()
    utf8 = False
    if not scanner.at_end():
        utf8 = scanner.keyword() == "UTF8"
        if not utf8 or not announced.binary:
            raise scanner.fail("message literal")
        scanner.space()
        scanner.expect(b"(")
    scanner.end()
    return AppendMessage(flags, internaldate, announced.size, announced.binary, utf8)
