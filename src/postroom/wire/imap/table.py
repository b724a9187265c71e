"""The command table: who may do what, when; and from the same rows the parser's dispatch.

Purpose: permission is data. One loop in the driver checks state and sequence-number rules for every command.
Standards: RFC 9051 3 (states), 6 (commands), 7.5.1 (when EXPUNGE may be sent); extensions as cited by row.
On failure: parse raises BadCommand, BadCharset or BadMailbox, with the command's tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

from postroom.wire.imap import (
    acl,
    append,
    auth,
    fetch,
    listing,
    mailbox,
    metadata,
    multisearch,
    notify,
    quota,
    search,
    select,
    sort,
    store,
)
from postroom.wire.imap.commands import Command
from postroom.wire.imap.errors import (
    BadCharset,
    BadCommand,
    BadFilterCharset,
    BadMailbox,
    BadName,
    BadSyntax,
    CharsetForbidsFilter,
    UnknownCharset,
)
from postroom.wire.imap.events import Line
from postroom.wire.imap.scanner import Scanner


class State(IntEnum):
    """States of a connection (RFC 9051 3); sums of them say where a command is allowed."""

    NOT_AUTHENTICATED = 1
    AUTHENTICATED = 2
    SELECTED = 4
    LOGOUT = 8


_NOT: Final = int(State.NOT_AUTHENTICATED)
_SELECTED: Final = int(State.SELECTED)
_AUTH: Final = State.AUTHENTICATED + _SELECTED
_ANY: Final = _NOT + _AUTH


class Row(Struct, frozen=True, kw_only=True):
    """One command.

    states: sum of the States in which it may come; parse: reads the arguments, from the space after the name to the
    end; expunge_ok: untagged EXPUNGE or VANISHED may be sent while it runs (RFC 9051 7.5.1); numbers: it speaks of
    message numbers (RFC 9586 3.2); repeated: clients send the very same again and again, so it is read once; rfc: where
    it is defined.
    """

    name: str
    states: int
    parse: Callable[[Scanner], object]
    rfc: str
    expunge_ok: bool = True
    numbers: bool = False
    repeated: bool = False


def nothing(_scanner: Scanner) -> None:
    """No arguments."""


_ROWS: Final = (
    Row(name="CAPABILITY", states=_ANY, parse=nothing, rfc="RFC 9051 6.1.1"),
    Row(name="NOOP", states=_ANY, parse=nothing, rfc="RFC 9051 6.1.2"),
    Row(name="LOGOUT", states=_ANY, parse=nothing, rfc="RFC 9051 6.1.3"),
    Row(name="ID", states=_ANY, parse=auth.identification, rfc="RFC 2971 3.1"),
    Row(name="STARTTLS", states=_NOT, parse=nothing, rfc="RFC 9051 6.2.1"),
    Row(name="AUTHENTICATE", states=_NOT, parse=auth.authenticate, rfc="RFC 9051 6.2.2"),
    Row(name="LOGIN", states=_NOT, parse=auth.login, rfc="RFC 9051 6.2.3"),
    Row(name="ENABLE", states=_AUTH, parse=auth.enable, rfc="RFC 9051 6.3.1"),
    Row(name="COMPRESS", states=_AUTH, parse=auth.compress, rfc="RFC 4978 3"),
    Row(name="UNAUTHENTICATE", states=_AUTH, parse=nothing, rfc="RFC 8437 3"),
    Row(name="SELECT", states=_AUTH, repeated=True, parse=select.select, rfc="RFC 9051 6.3.2"),
    Row(name="EXAMINE", states=_AUTH, repeated=True, parse=select.select, rfc="RFC 9051 6.3.3"),
    Row(name="CREATE", states=_AUTH, parse=mailbox.create, rfc="RFC 9051 6.3.4"),
    Row(name="DELETE", states=_AUTH, parse=mailbox.mailbox, rfc="RFC 9051 6.3.5"),
    Row(name="RENAME", states=_AUTH, parse=mailbox.rename, rfc="RFC 9051 6.3.6"),
    Row(name="SUBSCRIBE", states=_AUTH, parse=mailbox.mailbox, rfc="RFC 9051 6.3.7"),
    Row(name="UNSUBSCRIBE", states=_AUTH, parse=mailbox.mailbox, rfc="RFC 9051 6.3.8"),
    Row(name="LIST", states=_AUTH, repeated=True, parse=listing.list_, rfc="RFC 9051 6.3.9"),
    Row(name="LSUB", states=_AUTH, parse=listing.lsub, rfc="RFC 3501 6.3.9"),
    Row(name="NAMESPACE", states=_AUTH, parse=nothing, rfc="RFC 9051 6.3.10"),
    Row(name="STATUS", states=_AUTH, repeated=True, parse=mailbox.status, rfc="RFC 9051 6.3.11"),
    # APPEND and REPLACE: the framer reads them; a line that comes here has no literal of a message
    Row(name="APPEND", states=_AUTH, parse=lambda scanner: append.whole(scanner, "APPEND"), rfc="RFC 9051 6.3.12"),
    Row(name="IDLE", states=_AUTH, parse=nothing, rfc="RFC 9051 6.3.13"),
    Row(name="ESEARCH", states=_AUTH, parse=multisearch.esearch, rfc="RFC 7377 2"),
    Row(name="NOTIFY", states=_AUTH, parse=notify.notify, rfc="RFC 5465 3.1"),
    Row(name="GETQUOTA", states=_AUTH, parse=quota.get_quota, rfc="RFC 9208 4.1.1"),
    Row(name="GETQUOTAROOT", states=_AUTH, parse=mailbox.mailbox, rfc="RFC 9208 4.1.2"),
    Row(name="SETQUOTA", states=_AUTH, parse=quota.set_quota, rfc="RFC 9208 4.1.3"),
    Row(name="GETJMAPACCESS", states=_AUTH, parse=nothing, rfc="RFC 9698 3"),
    Row(name="GETMETADATA", states=_AUTH, parse=metadata.get_metadata, rfc="RFC 5464 4.2"),
    Row(name="SETMETADATA", states=_AUTH, parse=metadata.set_metadata, rfc="RFC 5464 4.3"),
    Row(name="SETACL", states=_AUTH, parse=acl.set_acl, rfc="RFC 4314 3.1"),
    Row(name="DELETEACL", states=_AUTH, parse=acl.identified, rfc="RFC 4314 3.2"),
    Row(name="GETACL", states=_AUTH, parse=mailbox.mailbox, rfc="RFC 4314 3.3"),
    Row(name="LISTRIGHTS", states=_AUTH, parse=acl.identified, rfc="RFC 4314 3.4"),
    Row(name="MYRIGHTS", states=_AUTH, parse=mailbox.mailbox, rfc="RFC 4314 3.5"),
    Row(name="CHECK", states=_SELECTED, parse=nothing, rfc="RFC 3501 6.4.1"),
    Row(name="CLOSE", states=_SELECTED, parse=nothing, rfc="RFC 9051 6.4.1"),
    Row(name="UIDBATCHES", states=_SELECTED, parse=select.uidbatches, rfc="RFC 10022 3.1"),
    Row(name="UNSELECT", states=_SELECTED, parse=nothing, rfc="RFC 9051 6.4.2"),
    Row(name="EXPUNGE", states=_SELECTED, parse=store.expunge, rfc="RFC 9051 6.4.3"),
    Row(name="SEARCH", states=_SELECTED, numbers=True, parse=search.search, rfc="RFC 9051 6.4.4", expunge_ok=False),
    Row(name="CANCELUPDATE", states=_SELECTED, parse=sort.cancel_update, rfc="RFC 5267 4.3.5"),
    Row(name="SORT", states=_SELECTED, numbers=True, parse=sort.sort, rfc="RFC 5256 3", expunge_ok=False),
    Row(name="THREAD", states=_SELECTED, numbers=True, parse=sort.thread, rfc="RFC 5256 3", expunge_ok=False),
    Row(name="FETCH", states=_SELECTED, numbers=True, parse=fetch.fetch, rfc="RFC 9051 6.4.5", expunge_ok=False),
    Row(name="STORE", states=_SELECTED, numbers=True, parse=store.store, rfc="RFC 9051 6.4.6", expunge_ok=False),
    Row(name="COPY", states=_SELECTED, numbers=True, parse=store.copy, rfc="RFC 9051 6.4.7"),
    Row(name="MOVE", states=_SELECTED, numbers=True, parse=store.copy, rfc="RFC 9051 6.4.8"),
    Row(name="UID SEARCH", states=_SELECTED, parse=search.search, rfc="RFC 9051 6.4.9"),
    Row(name="UID SORT", states=_SELECTED, parse=sort.sort, rfc="RFC 5256 3"),
    Row(name="UID THREAD", states=_SELECTED, parse=sort.thread, rfc="RFC 5256 3"),
    Row(name="UID FETCH", states=_SELECTED, parse=fetch.uid_fetch, rfc="RFC 9051 6.4.9"),
    Row(name="UID STORE", states=_SELECTED, parse=store.store, rfc="RFC 9051 6.4.9"),
    Row(name="UID COPY", states=_SELECTED, parse=store.copy, rfc="RFC 9051 6.4.9"),
    Row(name="UID MOVE", states=_SELECTED, parse=store.copy, rfc="RFC 9051 6.4.9"),
    Row(
        name="REPLACE",
        states=_SELECTED,
        numbers=True,
        parse=lambda scanner: append.whole(scanner, "REPLACE"),
        rfc="RFC 8508 3.2",
    ),
    Row(
        name="UID REPLACE",
        states=_SELECTED,
        parse=lambda scanner: append.whole(scanner, "UID REPLACE"),
        rfc="RFC 8508 3.3",
    ),
    Row(name="UID EXPUNGE", states=_SELECTED, parse=store.uid_expunge, rfc="RFC 9051 6.4.9"),
)

COMMANDS: Final = {row.name: row for row in _ROWS}
_BY_WORD: Final = {row.name.encode("ascii"): row for row in _ROWS}

_START: Final = re.compile(
    rb"([!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+) ((?:UID )?[A-Za-z]+)(?= |\Z)",
    re.IGNORECASE,
)
#: octets of arguments that are kept for the next time
_SHORT: Final = 200
_TAG: Final = re.compile(rb"([!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+)(?: |\Z)")


def parse(line: Line, utf8: bool = False, state: int = _ANY) -> Command:
    """The command of a complete line. utf8: mailbox names are UTF-8 (after ENABLE); state: of the connection.

    Raises BadCommand (also as BadCharset, BadMailbox) with the tag, b"*" when there is none.
    """
    text = line.text
    found = _START.match(text)
    if not found:
        raise _no_command(text)
    tag, word = found.groups()
    row = _BY_WORD.get(word) or _BY_WORD.get(word.upper())
    if row is None:
        raise BadCommand(tag, "unknown command")
    if not row.states & state:
        raise BadCommand(tag, f"{row.name}: {wrong_state(row, state)}")
    try:
        args = _arguments(row, line, found.end(), utf8)
    except CharsetForbidsFilter as fault:
        raise BadFilterCharset(tag, str(fault)) from None
    except UnknownCharset as fault:
        raise BadCharset(tag, str(fault)) from None
    except BadName as fault:
        raise BadMailbox(tag, str(fault)) from None
    except BadSyntax as fault:
        raise BadCommand(tag, f"{row.name}: {fault}") from None
    return Command(tag, row.name, args)


def _arguments(row: Row, line: Line, begin: int, utf8: bool) -> object:
    """What stands from the space after the name to the end. Raises BadSyntax."""
    if row.repeated and not line.literals and len(line.text) - begin <= _SHORT:
        args = _known(row.name, line.text[begin:], utf8)
        if args is not None:
            return args
    scanner = Scanner(line.text, line.literals, utf8, begin)
    args = row.parse(scanner)
    if scanner.pos != len(line.text):
        scanner.end()
    return args


@lru_cache(maxsize=1024)
def _known(name: str, rest: bytes, utf8: bool) -> object:
    """Arguments, or None for what is wrong with them: where that is, only the whole line tells."""
    scanner = Scanner(rest, (), utf8)
    try:
        args = COMMANDS[name].parse(scanner)
        scanner.end()
    except BadSyntax:
        return None
    return args


def wrong_state(row: Row, state: int) -> str:
    """Why the command may not come now."""
    if state == State.NOT_AUTHENTICATED:
        return "log in first"
    return "already logged in" if row.states == _NOT else "select a mailbox first"


def describe() -> tuple[tuple[str, str, str], ...]:
    """Rows for the documentation: command, where it is defined, states."""
    return tuple((row.name, row.rfc, _state_names(row.states)) for row in _ROWS)


def _state_names(states: int) -> str:
    if states == _ANY:
        return "any"
    return ", ".join(state.name.lower().replace("_", " ") for state in State if states & state)


def _no_command(text: bytes) -> BadCommand:
    found = _TAG.match(text)
    if not found:
        return BadCommand(b"*", "line does not begin with a tag")
    return BadCommand(found[1], "command expected after the tag")
