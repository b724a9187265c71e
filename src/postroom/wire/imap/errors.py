"""What can be wrong with a command, each fault with the reply it deserves.

Purpose: the parser raises these; the session turns them into one `Refused` event. Nobody answers twice.
Standards: RFC 9051 7.1.3 (BAD), RFC 5530 3 (CANNOT), RFC 9051 7.1 (BADCHARSET), RFC 7888 5 (TOOBIG).
"""

from __future__ import annotations


class BadSyntax(ValueError):
    """Text that does not follow the grammar, found below the level that knows the tag."""


class Unfinished(BadSyntax):
    """The text ends where a string must be: it may come as a literal."""


class BadName(BadSyntax):
    """A string that is no mailbox name (wrong modified UTF-7, wrong UTF-8, control characters)."""


class UnknownCharset(BadSyntax):
    """A SEARCH charset that we do not know."""


class CharsetForbidsFilter(UnknownCharset):
    """FILTER is UTF-8, and the command says otherwise (RFC 5466 3.1)."""


class BadCommand(Exception):
    """A command that cannot be carried out as it is written.

    tag: b"*" when even the tag is unreadable; text: one line of ASCII for the client; status: b"BAD" or b"NO";
    code: a response code without brackets, or b"".
    """

    status = b"BAD"
    code = b""

    def __init__(self, tag: bytes, text: str) -> None:
        super().__init__(text)
        self.tag = tag
        self.text = text


class BadCharset(BadCommand):
    """RFC 9051 6.4.4: a charset we do not know is answered with NO [BADCHARSET (...)]."""

    status = b"NO"
    code = b"BADCHARSET (US-ASCII UTF-8)"


class BadFilterCharset(BadCharset):
    """RFC 5466 3.1: FILTER in a command of another charset is BAD [BADCHARSET (...)]."""

    status = b"BAD"


class BadMailbox(BadCommand):
    """A mailbox name that can never exist here (RFC 5530 3: CANNOT)."""

    status = b"NO"
    code = b"CANNOT"
