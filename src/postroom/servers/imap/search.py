"""SEARCH and UID SEARCH.

Standards: RFC 9051 6.4.4 and 7.3.4; RFC 3501 7.2.5 (SEARCH response for rev1 clients); RFC 4731; RFC 5182;
RFC 7162 3.1.5 (MODSEQ).
On failure: a search with SAVE that ends in NO empties "$" (RFC 5182 2.1).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import cast

from msgspec.structs import replace

from postroom.mailbox import search as mailbox_search
from postroom.mailbox.criteria import Scene
from postroom.mailbox.search import Found, Pace
from postroom.servers.imap import amount, updates
from postroom.servers.imap.contexts import Context, fixed
from postroom.servers.imap.replies import Reply, ok, reply_for
from postroom.servers.imap.results import Results, send_extended
from postroom.servers.imap.session import Session
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Key, Search, SearchKey, SortBy, SortCriterion


async def search(session: Session, command: Command) -> Reply:
    """SEARCH and UID SEARCH."""
    args = cast(Search, command.args)
    found, key, limited = await find(session, command, args, Pace(session.service.clock))
    results = Results(found, command.name == "UID SEARCH")
    if args.returns is None and not session.wire.rev2:
        modseq = results.found.modseq() if args.uses_modseq else None
        session.send(response.search(results.numbers(), modseq))
    else:
        send_extended(session, command, args, results)
    if wants_updates(args):
        keep_up_to_date(session, command.tag, replace(args, key=key), results)
    return ok("Search completed", spare=limited)


def wants_updates(args: Search) -> bool:
    """RETURN (UPDATE) (RFC 5267 4.3)."""
    return args.returns is not None and "UPDATE" in args.returns


def keep_up_to_date(
    session: Session,
    tag: bytes,
    args: Search,
    results: Results,
    criteria: Sequence[SortCriterion] | None = None,
    where: bytes = b"",
) -> None:
    """Let the search go on, or say that it cannot: there are too many, or it is fuzzy (RFC 5267 4.3.1).

    args: with the program that `find` gave; where: see Context.
    """
    ranked = args.uses_fuzzy or any(each.by is SortBy.RELEVANCY for each in criteria or ())
    context = Context(tag, results.by_uid, args.key, criteria, array("I", results.uids()), where)
    if ranked or not session.box.contexts.add(session, context):
        session.send(response.no(b"*", "The results are not kept up to date", response.noupdate(tag)))


async def find(
    session: Session, command: Command, args: Search, pace: Pace, *, limited: bool = True
) -> tuple[Found, SearchKey, bytes]:
    """Run the search program on the mailbox as the client knows it, with the news that it may have told first.

    pace: of the whole command; limited: by MESSAGELIMIT. Gives the program, too, as it goes on if it is to be kept up
    to date, and the response code when not all messages were searched.
    """
    if session.progress is None:  # a search of several mailboxes tells of all of them
        session.progress = pace
    view = session.box.view
    updating = wants_updates(args)
    if updating:
        session.box.contexts.require_new(command.tag)
    if session.news:
        await updates.tell(session, expunge_ok=False)
    session.note_condstore(command)
    key, code = amount.within(session, args.key, view.snapshot, view.saved) if limited else (args.key, b"")
    if updating:
        key = fixed(key, view.snapshot, view.saved)
    scene = Scene(snapshot=view.snapshot, saved=view.saved, now=session.service.clock.now(), recent=session.recent)
    try:
        return await mailbox_search.search(key, scene, session.box.account.store, pace), key, code
    except Exception as fault:
        reply = reply_for(fault)
        if args.returns is not None and "SAVE" in args.returns and reply is not None and reply.status == b"NO":
            view.save(())
        raise


def names_numbers(key: SearchKey) -> bool:
    """True when the program names message numbers, or may do so in a filter.

    Then even UID SEARCH must not expunge (RFC 9051 7.5.1).
    """
    return key.key in (Key.SEQ, Key.FILTER) or any(names_numbers(inner) for inner in key.keys)
