"""SORT and THREAD, by sequence number and by UID: a search whose results are ordered or grouped.

Standards: RFC 5256 3 and 4; RFC 5957; RFC 5267 3 (ESORT); RFC 7162 3.1.9 (MODSEQ); RFC 5255 4 (I18NLEVEL=1); RFC 6203 6
(RELEVANCY).
On failure: as SEARCH; the store's errors.
"""

from __future__ import annotations

from typing import cast

from msgspec.structs import replace

from postroom.mailbox import sorting, threads, traits
from postroom.mailbox.search import Pace
from postroom.mailbox.slices import Slices, drive
from postroom.mailbox.trait_keeper import shelf_of
from postroom.mailbox.traits import Shelf
from postroom.servers.imap.replies import Reply, bad, ok
from postroom.servers.imap.results import Results, send_extended
from postroom.servers.imap.search import find, keep_up_to_date, wants_updates
from postroom.servers.imap.session import Session
from postroom.wire.imap.commands import CancelUpdate, Command, Sort, SortBy, Thread, ThreadBy
from postroom.wire.imap.sort import ThreadPrinter, sorted_response, thread_response

#: threads printed at once
_AT_ONCE = 4096


async def sort(session: Session, command: Command) -> Reply:
    """SORT and UID SORT."""
    args = cast(Sort, command.args)
    pace = Pace(session.service.clock)
    found, key, _ = await find(session, command, args.search, pace, limited=False)
    wanted = {each.by for each in args.criteria}
    rows = sorting.Rows(
        found.messages(),
        found.column(lambda page: page.dates) if SortBy.ARRIVAL in wanted else (),
        found.column(lambda page: page.sizes) if SortBy.SIZE in wanted else (),
        found.relevancies() if args.search.uses_fuzzy or args.search.uses_filters else (),
    )
    order = await sorting.order(args.criteria, rows, session.box.account.store, pace)
    results = Results(found, command.name == "UID SORT", order)
    await pace.breathe()
    if args.search.returns is None:
        modseq = found.modseq() if args.search.uses_modseq else None
        session.send(sorted_response(results.numbers(), modseq))
    else:
        send_extended(session, command, args.search, results)
    if wants_updates(args.search):
        keep_up_to_date(session, command.tag, replace(args.search, key=key), results, args.criteria)
    return ok("Sort completed")


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
    shelf = await shelf_of(session.box.account.store, found.messages(), pace)
    await pace.breathe()
    forest = await drive(_forest(args.by, shelf), pace)
    await pace.breathe()
    numbers = found.uids() if command.name == "UID THREAD" else found.seqs()
    printer = ThreadPrinter(numbers, forest.first, forest.following)
    printed = []
    for begin in range(0, len(forest.roots), _AT_ONCE):
        printed.append(printer.threads(forest.roots[begin : begin + _AT_ONCE]))
        await pace.breathe()
    session.send(thread_response(printed))
    return ok("Thread completed")


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
