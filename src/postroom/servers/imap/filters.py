"""Named searches: FILTER in a search program stands for one that the login keeps on the server (RFC 5466).

They are annotations of the server, /private/filters/values/NAME. A filter takes part in the search as if it stood in
parentheses, so that NOT FILTER and OR FILTER mean what they say also when it has several keys.
On failure: NO [UNDEFINED-FILTER NAME] for one that is not there, cannot be read, or names itself; NO [CANNOT] for a
value that is no search program.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

from msgspec.structs import replace

from postroom.mailbox import metadata
from postroom.mailbox.metadata import Subject, Value
from postroom.servers.imap.replies import Refused, Reply, bad, no
from postroom.servers.imap.session import Session
from postroom.wire.imap.commands import Command, Key, MultiSearch, Search, SearchKey, Sort, Thread
from postroom.wire.imap.errors import BadSyntax
from postroom.wire.imap.filters import is_filter_name, parse_filter
from postroom.wire.imap.session import names_numbers

_PRIVATE: Final = "/private/filters/values/"
_SHARED: Final = "/shared/filters/values/"
#: filters within filters (RFC 5466 3.1 asks for 3), and filters of a command
MOST_LEVELS: Final = 10
MOST_FILTERS: Final = 100

Executor = Callable[[Session, Command], Awaitable[Reply]]


def check(values: Sequence[Value]) -> None:
    """Annotations of the server that are to be filters. Raises Refused."""
    for entry, value in values:
        folded = entry.lower()
        if value is None or not folded.startswith((_PRIVATE, _SHARED)):
            continue
        if not is_filter_name(entry[entry.lower().index("/values/") + len("/values/") :]):
            raise Refused(no("That cannot be the name of a filter (RFC 5466 4)", b"CANNOT"))
        try:
            parse_filter(value)
        except BadSyntax as fault:
            raise Refused(no(f"That is no search program: {fault}", b"CANNOT")) from None


def with_filters(executor: Executor) -> Executor:
    """An executor of commands that search, given its program with every filter replaced by what it holds."""

    async def run(session: Session, command: Command) -> Reply:
        args = search_of(command)
        if not args.uses_filters:
            return await executor(session, command)
        expansion = _Expansion(session)
        try:
            key = await expansion.expand(args.key, ())
        except Refused:
            if args.returns is not None and "SAVE" in args.returns:
                session.box.view.save(())  # RFC 5182 2.1
            raise
        if session.wire.uidonly and names_numbers(key):
            return bad("A filter names message numbers, after ENABLE UIDONLY", b"UIDREQUIRED")  # RFC 9586 3.2
        plain = replace(
            args,
            key=key,
            uses_modseq=args.uses_modseq or expansion.uses_modseq,
            uses_fuzzy=args.uses_fuzzy or expansion.uses_fuzzy,
            uses_filters=False,
        )
        whole = command.args
        new = replace(whole, search=plain) if isinstance(whole, Sort | Thread | MultiSearch) else plain
        return await executor(session, replace(command, args=new))

    return run


def search_of(command: Command) -> Search:
    """The search in a SEARCH, ESEARCH, SORT or THREAD."""
    args = command.args
    return args.search if isinstance(args, Sort | Thread | MultiSearch) else cast(Search, args)


class _Expansion:
    """The filters of one command."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._count = 0
        self.uses_modseq = self.uses_fuzzy = False

    async def expand(self, key: SearchKey, within: tuple[str, ...]) -> SearchKey:
        """The key with its filters replaced. within: filters that it is part of. Raises Refused."""
        if key.key is Key.FILTER:
            return await self._replaced(key.name, within)
        if not key.keys:
            return key
        keys = [await self.expand(inner, within) for inner in key.keys]
        return replace(key, keys=tuple(keys))

    async def _replaced(self, name: str, within: tuple[str, ...]) -> SearchKey:
        self._count += 1
        if self._count > MOST_FILTERS:
            raise Refused(no(f"A search can use {MOST_FILTERS} filters at most", b"LIMIT"))
        if name.lower() in within or len(within) >= MOST_LEVELS:
            raise _undefined(name)
        try:
            held = parse_filter(await self._value(name))
        except BadSyntax:  # it was a good one when it was kept
            raise _undefined(name) from None
        self.uses_modseq |= held.uses_modseq
        self.uses_fuzzy |= held.uses_fuzzy
        return await self.expand(held.key, (*within, name.lower()))

    async def _value(self, name: str) -> bytes:
        """RFC 5466 3.1: the private one, else the shared one. Raises Refused."""
        session = self._session
        wanted = (_PRIVATE + name, _SHARED + name)
        found = await metadata.read(Subject(None, session.me), wanted, 0, session.service.annotations)
        for _, value in found:
            if value is not None:
                return value
        raise _undefined(name)


def _undefined(name: str) -> Refused:
    return Refused(no(f"There is no filter {name}", b"UNDEFINED-FILTER " + name.encode("ascii")))
