"""SORT and THREAD, by sequence number and by UID: a search whose results are ordered or grouped.

Standards: RFC 5256 3 and 4; RFC 5957; RFC 5267 3 (ESORT); RFC 7162 3.1.9 (MODSEQ); RFC 5255 4 (I18NLEVEL=1); RFC 6203 6
(RELEVANCY).
On failure: as SEARCH; the store's errors.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Sequence
from typing import Final, cast

from msgspec.structs import replace

from postroom.mailbox import sorting, threads, traits
from postroom.mailbox.orders import LEAST, About, Orders
from postroom.mailbox.search import Found, Pace
from postroom.mailbox.slices import Slices, drive
from postroom.mailbox.trait_keeper import shelf_of
from postroom.mailbox.traits import Shelf
from postroom.servers.imap.replies import Reply, bad, ok
from postroom.servers.imap.results import Results, send_extended
from postroom.servers.imap.search import find, keep_up_to_date, wants_updates
from postroom.servers.imap.session import Session
from postroom.wire.imap.commands import CancelUpdate, Command, Sort, SortBy, Thread, ThreadBy
from postroom.wire.imap.sequence import print_numbers
from postroom.wire.imap.sort import ThreadPrinter, sorted_response, thread_response

#: threads printed at once
_AT_ONCE = 4096


async def sort(session: Session, command: Command) -> Reply:
    """SORT and UID SORT."""
    args = cast(Sort, command.args)
    pace = Pace(session.service.clock)
    found, key, _ = await find(session, command, args.search, pace, limited=False)
    by_uid = command.name == "UID SORT"
    ranked = args.search.uses_fuzzy or args.search.uses_filters
    asked = None if ranked else _asked(session, found, by_uid=by_uid)
    if args.search.returns is None:
        words = asked.known(args.criteria) if asked is not None else None
        if words is None:
            results = Results(found, by_uid, await _order(session, args, found, asked, pace))
            await pace.breathe()
            words = print_numbers(results.numbers())
            if asked is not None:
                asked.keep(args.criteria, words)
        session.send(sorted_response(words, found.modseq() if args.search.uses_modseq else None))
        return ok("Sort completed")
    results = Results(found, by_uid, await _order(session, args, found, asked, pace))
    await pace.breathe()
    send_extended(session, command, args.search, results)
    if wants_updates(args.search):
        keep_up_to_date(session, command.tag, replace(args.search, key=key), results, args.criteria)
    return ok("Sort completed")


class _Asked:
    """What was found, as what is known of it from another time goes by."""

    __slots__ = ("_columns", "_how", "_orders", "about")

    def __init__(self, orders: Orders, about: About, how: tuple[bool, bool], columns: tuple[array[int], ...]) -> None:
        """how, columns: what besides the messages makes the numbers that are shown of them."""
        self._orders = orders
        self.about: Final = about
        self._how = how
        self._columns = columns

    def known(self, question: Hashable) -> bytes | None:
        """The printed answer."""
        found: bytes | None = self._orders.find(self.about, (question, *self._how), *self._columns)
        return found

    def keep(self, question: Hashable, printed: bytes) -> None:
        """It is the answer."""
        self._orders.keep(self.about, (question, *self._how), printed, *self._columns)


def _asked(session: Session, found: Found, *, by_uid: bool) -> _Asked | None:
    """None for few messages, and in mailboxes of the past, whose UIDs promise less."""
    box = session.box
    if not box.modseqs or len(found) < LEAST:
        return None
    snapshot = box.view.snapshot
    about = About((box.account.store.id, box.id, snapshot.uidvalidity), found.uid_column())
    whole = len(found) == len(snapshot)  # then they are numbered from 1
    columns = () if by_uid or whole else (array("I", found.seqs()),)
    return _Asked(session.service.mailboxes.orders, about, (by_uid, whole), columns)


async def _order(session: Session, args: Sort, found: Found, asked: _Asked | None, pace: Pace) -> Sequence[int]:
    """Places of what was found in sorted order."""
    if asked is None:
        return await sorting.order(args.criteria, _rows(args, found), session.box.account.store, pace)
    orders = session.service.mailboxes.orders
    known: array[int] | None = orders.find(asked.about, args.criteria)
    if known is not None:
        return known
    if sorting.can_grow(args.criteria):
        return await _grown(session, args, found, asked.about, pace)
    order = array("I", await sorting.order(args.criteria, _rows(args, found), session.box.account.store, pace))
    orders.keep(asked.about, args.criteria, order)
    return order


async def _grown(session: Session, args: Sort, found: Found, about: About, pace: Pace) -> Sequence[int]:
    """From what was known, if that were nearly the same messages."""
    orders, store, criterion = session.service.mailboxes.orders, session.box.account.store, args.criteria[0]
    last, column = orders.before(about.mailbox, args.criteria), orders.before(about.mailbox, criterion)
    fits = last is not None and column is not None and last[0] == column[0]
    known = sorting.less(sorting.Known(*last, column[1]), about.uids) if last and column and fits else None
    rows = _rows(args, found)
    if known is None:
        numbers = await sorting.numbers(criterion, rows, store, pace)
        known = sorting.Known(about.uids, await sorting.order_of(criterion, numbers, pace), numbers)
    else:
        new = await sorting.numbers(criterion, rows.after(len(known.uids)), store, pace)
        known = sorting.more(known, about.uids, new, reverse=criterion.reverse)
    orders.keep(about, args.criteria, known.order)
    orders.keep(about, criterion, known.numbers)
    return known.order


def _rows(args: Sort, found: Found) -> sorting.Rows:
    wanted = {each.by for each in args.criteria}
    return sorting.Rows(
        found.messages(),
        found.column(lambda page: page.dates) if SortBy.ARRIVAL in wanted else (),
        found.column(lambda page: page.sizes) if SortBy.SIZE in wanted else (),
        found.relevancies() if args.search.uses_fuzzy or args.search.uses_filters else (),
    )


def cancel_update(session: Session, command: Command) -> Reply:
    """CANCELUPDATE (RFC 5267 4.3.5)."""
    if session.box.contexts.cancel(cast(CancelUpdate, command.args).tags):
        return ok("No further updates")
    return bad("No search of that tag is kept up to date")


async def thread(session: Session, command: Command) -> Reply:
    """THREAD and UID THREAD."""
    args = cast(Thread, command.args)
    pace = Pace(session.service.clock)
    found, _, _ = await find(session, command, args.search, pace, limited=False)
    by_uid = command.name == "UID THREAD"
    asked = _asked(session, found, by_uid=by_uid)
    printed = asked.known(args.by) if asked is not None else None
    if printed is None:
        printed = await _printed(session, args.by, found, pace, by_uid=by_uid)
        if asked is not None:
            asked.keep(args.by, printed)
    session.send(thread_response(printed))
    return ok("Thread completed")


async def _printed(session: Session, by: ThreadBy, found: Found, pace: Pace, *, by_uid: bool) -> bytes:
    shelf = await shelf_of(session.box.account.store, found.messages(), pace)
    await pace.breathe()
    forest = await drive(_forest(by, shelf), pace)
    await pace.breathe()
    printer = ThreadPrinter(found.uids() if by_uid else found.seqs(), forest.first, forest.following)
    printed = []
    for begin in range(0, len(forest.roots), _AT_ONCE):
        printed.append(printer.threads(forest.roots[begin : begin + _AT_ONCE]))
        await pace.breathe()
    return b"".join(printed)


def _forest(by: ThreadBy, shelf: Shelf) -> Slices[threads.Forest]:
    sent = shelf.numbers(traits.SENT)
    subject = list(shelf.numbers(traits.SUBJECT_HASH))  # looked at more than once
    yield
    if by is ThreadBy.ORDEREDSUBJECT:
        return (yield from threads.ordered_subject(subject, sent))
    begins, ends, references = shelf.references()
    yield
    own, reply = shelf.numbers(traits.OWN), shelf.numbers(traits.REPLY)
    yield
    letters = threads.Letters(sent, own, subject, reply, begins, ends, references)
    return (yield from threads.references(letters))
