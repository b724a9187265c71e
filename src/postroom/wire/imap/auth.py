"""Who the client is and what it understands: LOGIN, AUTHENTICATE, ENABLE, ID, COMPRESS.

Standards: RFC 9051 6.2.2, 6.2.3, 6.3.1; RFC 4959 (initial response); RFC 5161; RFC 2971; RFC 4978 5.
Trust: nothing here is authenticated; the framer keeps literals small before login.
On failure: BadSyntax.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import Final

from postroom.wire.imap.commands import Authenticate, Compress, Enable, Id, Login
from postroom.wire.imap.errors import BadSyntax
from postroom.wire.imap.scanner import Scanner

_MAX_NAMES: Final = 100
_MAX_FIELDS: Final = 30  # RFC 2971 3.3: not more than 30 pairs


def login(scanner: Scanner) -> Login:
    """RFC 9051 6.2.3: login = "LOGIN" SP userid SP password. RFC 6855 5 keeps it to ASCII; UTF-8 does no harm."""
    scanner.space()
    user = _text(scanner.astring())
    scanner.space()
    return Login(user, _text(scanner.astring()))


def authenticate(scanner: Scanner) -> Authenticate:
    """RFC 9051 6.2.2: "AUTHENTICATE" SP auth-type [SP initial-resp]."""
    scanner.space()
    mechanism = scanner.keyword()
    if scanner.at_end():
        return Authenticate(mechanism, None)
    scanner.space()
    rest = scanner.text[scanner.pos :]
    scanner.pos = len(scanner.text)
    return Authenticate(mechanism, b"" if rest == b"=" else decode_response(rest))


def decode_response(line: bytes) -> bytes:
    """A SASL response in base64 (RFC 9051 9: base64). Raises BadSyntax. "*" (cancel) is the driver's to see first."""
    try:
        return a2b_base64(line, strict_mode=True)
    except Base64Error as fault:
        raise BadSyntax("response is not base64") from fault


def enable(scanner: Scanner) -> Enable:
    """RFC 9051 6.3.1: "ENABLE" 1*(SP capability)."""
    wanted: list[str] = []
    while not scanner.at_end() or not wanted:
        scanner.space()
        wanted.append(scanner.keyword())
        if len(wanted) > _MAX_NAMES:
            raise scanner.fail("fewer names")
    return Enable(tuple(wanted))


def compress(scanner: Scanner) -> Compress:
    """RFC 4978 5: "COMPRESS" SP algorithm."""
    scanner.space()
    return Compress(scanner.keyword())


def identification(scanner: Scanner) -> Id:
    """RFC 2971 3.1: "ID" SP ("(" [string SP nstring *(SP string SP nstring)] ")" / nil)."""
    scanner.space()
    if scanner.text[scanner.pos :].upper() == b"NIL":
        scanner.pos += 3
        return Id(())
    scanner.expect(b"(")
    fields: list[tuple[str, str | None]] = []
    while not scanner.accept(b")"):
        if fields:
            scanner.space()
        if len(fields) >= _MAX_FIELDS:
            raise scanner.fail("fewer fields")
        name = scanner.string().decode("utf-8", "replace")
        scanner.space()
        value = scanner.nstring()
        fields.append((name, None if value is None else value.decode("utf-8", "replace")))
    return Id(tuple(fields))


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise BadSyntax("login is not UTF-8") from fault
