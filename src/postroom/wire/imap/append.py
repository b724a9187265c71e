r"""APPEND, MULTIAPPEND, CATENATE and REPLACE: what stands around the octets of the messages.

Purpose: read what comes before each literal, so that the server can refuse before the octets come.
Grammar (RFC 3502 6.3.11 with RFC 4466, RFC 6855, RFC 4469 5 and RFC 8508 5):
    append         = "APPEND" SP mailbox 1*append-message
    replace        = ["UID" SP] "REPLACE" SP seq-number SP mailbox append-message
    append-message = [SP flag-list] [SP date-time] SP append-data
    append-data    = literal / literal8 / "UTF8" SP "(" literal8 ")" / "CATENATE" SP "(" cat-part *(SP cat-part) ")"
    cat-part       = "TEXT" SP literal / "URL" SP astring
Mailbox names and URLs may be literals, too: those are part of the command, not of a message.
Ownership: the framer holds one Appending while the command lasts.
On failure: BadSyntax; Unfinished where a literal that is announced is a string of the command.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from msgspec import Struct

from postroom.wire.imap import names
from postroom.wire.imap.commands import STAR, Append, AppendMessage, Flags
from postroom.wire.imap.dates import parse_date_time
from postroom.wire.imap.errors import BadSyntax, Unfinished
from postroom.wire.imap.scanner import Scanner

#: how the commands begin that carry messages: tag and name
BEGIN: Final = re.compile(
    rb"([!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+) (APPEND|(?:UID )?REPLACE)(?= )",
    re.IGNORECASE,
)
#: an APPEND as nearly all are, up to its literal: a plain name, flags, a date
_USUAL: Final = re.compile(
    rb"([!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+) APPEND"
    rb' (?:([A-Za-z0-9_./-]{1,255})|"([A-Za-z0-9_./ -]{1,255})") (\([^()]{0,255}\) )?'
    rb'(?:"([ \d]?\d-[A-Za-z]{3}-\d{4} \d\d:\d\d:\d\d [+-]\d{4})" )?',
    re.IGNORECASE,
)
_DATE_TIME: Final = re.compile(rb'"([ \d]?\d-[A-Za-z]{3}-\d{4} \d\d:\d\d:\d\d [+-]\d{4})"')
_MOST_NUMBER: Final = 2**32 - 1
_NONE: Final = Flags()


class Announced(Struct, frozen=True):
    """The announcement at the end of a line: `{size}`, `{size+}`, `~{size}`."""

    size: int
    sync: bool
    binary: bool


class Appending(Struct):
    """A command that is being received. urls: those not told yet, with the place of their message."""

    tag: bytes
    name: str  # APPEND, REPLACE or UID REPLACE
    mailbox: str
    replaces: int | None = None  # the number of the message that goes; STAR for the last one
    messages: list[AppendMessage] = []
    urls: list[tuple[int, str]] = []
    inside: bool = False  # the parentheses of CATENATE
    parts: int = 0  # of this CATENATE
    closing: bytes = b""  # what must stand behind the literal

    @property
    def unfinished(self) -> bool:
        """Something must follow the literal."""
        return self.inside or self.closing != b""

    @property
    def message(self) -> AppendMessage:
        """The message announced last."""
        return self.messages[-1]

    def taken(self) -> tuple[tuple[int, str], ...]:
        """The URLs that were not told yet; they count as told."""
        urls = tuple(self.urls)
        self.urls.clear()
        return urls

    def command(self) -> Append:
        """All of it, once it is complete."""
        return Append(self.mailbox, tuple(self.messages), self.replaces, self.taken())


def usual(text: bytes, announced: Announced) -> Appending | None:
    """The same as `start` and `go_on` for an APPEND in its usual form; None for any other, and for wrong ones."""
    found = _USUAL.fullmatch(text)
    if found is None or announced.binary:
        return None
    tag, atom, quoted, flags, date = found.groups()
    mailbox = names.decode(atom or quoted)
    try:
        internaldate = parse_date_time(date) if date else None
        message = AppendMessage(_flags(flags) if flags else _NONE, internaldate, announced.size)
    except BadSyntax:
        return None
    return Appending(tag, "APPEND", mailbox, messages=[message])


@lru_cache(maxsize=256)
def _flags(text: bytes) -> Flags:
    scanner = Scanner(text)
    flags = scanner.flag_list()
    scanner.space()
    scanner.end()
    return flags


def start(scanner: Scanner, tag: bytes, name: str) -> Appending:
    """What stands before the messages; the scanner stands behind the name. Raises Unfinished, BadName."""
    scanner.space()
    replaces = None
    if name != "APPEND":
        replaces = STAR if scanner.accept(b"*") else scanner.nz_number(_MOST_NUMBER)
        scanner.space()
    return Appending(tag, name, scanner.mailbox(), replaces)


def whole(scanner: Scanner, name: str) -> Append:
    """A command without octets of its own: messages made of URLs alone (RFC 4469)."""
    current = start(scanner, b"", name)
    go_on(current, scanner, None)
    if not current.messages:
        raise scanner.fail("message literal")
    return current.command()


def go_on(current: Appending, scanner: Scanner, announced: Announced | None) -> None:
    """Read to the literal that is announced, which is octets of the last message, or to the end of the command.

    Raises Unfinished, and changes nothing, when the literal is a URL.
    """
    before = len(current.messages), len(current.urls), current.inside, current.parts, current.closing
    try:
        _read(current, scanner, announced)
    except Unfinished:
        messages, urls, current.inside, current.parts, current.closing = before
        del current.messages[messages:], current.urls[urls:]
        if announced is None:
            raise BadSyntax("string expected at the end") from None
        raise


def _read(current: Appending, scanner: Scanner, announced: Announced | None) -> None:
    scanner.expect(current.closing)
    current.closing = b""
    while True:
        if current.inside:
            if _part(current, scanner, announced):
                return
        elif (announced is None and scanner.at_end()) or _begin(current, scanner, announced):
            return


def _begin(current: Appending, scanner: Scanner, announced: Announced | None) -> bool:
    """[SP flag-list] [SP date-time] SP, and how the message comes; True at its literal."""
    if current.replaces is not None and current.messages:
        raise scanner.fail("end of the command: one message replaces another")  # RFC 8508 4.7
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
    size, binary = (announced.size, announced.binary) if announced is not None else (0, False)
    if scanner.at_end():
        if announced is None:
            raise scanner.fail("message literal")
        current.messages.append(AppendMessage(flags, internaldate, size, binary))
        return True
    word = scanner.keyword()
    scanner.space()
    scanner.expect(b"(")
    if word == "CATENATE":
        current.messages.append(AppendMessage(flags, internaldate, 0, catenate=True))
        current.inside, current.parts = True, 0
        return False
    if word != "UTF8" or announced is None or not binary:
        raise scanner.fail("message literal")
    scanner.end()
    current.closing = b")"
    current.messages.append(AppendMessage(flags, internaldate, size, binary, utf8=True))
    return True


def _part(current: Appending, scanner: Scanner, announced: Announced | None) -> bool:
    """One cat-part, or the end of CATENATE; True at a literal of the message."""
    if current.parts:
        if scanner.accept(b")"):
            current.inside = False
            return False
        scanner.space()
    current.parts += 1
    word = scanner.keyword()
    if word == "URL":
        scanner.space()
        url = scanner.astring()
        if not url.isascii():
            raise scanner.fail("ASCII in a URL")
        current.urls.append((len(current.messages) - 1, url.decode("ascii")))
        return False
    if word != "TEXT":
        raise scanner.fail("TEXT or URL")
    scanner.space()
    scanner.end()
    if announced is None:
        raise scanner.fail("literal")
    last = current.message
    current.messages[-1] = AppendMessage(last.flags, last.internaldate, announced.size, announced.binary, catenate=True)
    return True
