"""SEARCH and UID SEARCH, with ESEARCH and "$".

Standards: RFC 9051 6.4.4 and 7.3.4; RFC 3501 7.2.5 (SEARCH response for rev1 clients); RFC 4731; RFC 5182;
RFC 7162 3.1.5 and 3.1.10 (MODSEQ).
On failure: a SEARCH with SAVE that ends in NO empties "$" (RFC 5182 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from postroom.mailbox import search as mailbox_search
from postroom.mailbox.criteria import Scene
from postroom.mailbox.search import Found
from postroom.servers.imap import updates
from postroom.servers.imap.replies import Reply, ok, reply_for
from postroom.servers.imap.session import Session
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Key, Search, SearchKey
from postroom.wire.imap.sequence import ranges_of


async def search(session: Session, command: Command) -> Reply:
    """SEARCH and UID SEARCH."""
    args = cast(Search, command.args)
    view = session.box.view
    save = args.returns is not None and "SAVE" in args.returns
    if session.news:
        await updates.tell(session, expunge_ok=False)
    session.note_condstore(command)
    scene = Scene(snapshot=view.snapshot, saved=view.saved, now=session.service.clock.now(), recent=session.recent)
    try:
        pace = session.progress = mailbox_search.Pace(session.service.clock)
        found = await mailbox_search.search(args.key, scene, session.box.account.store, pace)
    except Exception as fault:
        reply = reply_for(fault)
        if save and reply is not None and reply.status == b"NO":
            view.save(())
        raise
    by_uid = command.name == "UID SEARCH"
    if args.returns is None and not session.wire.rev2:
        numbers = found.uids() if by_uid else found.seqs()
        session.send(response.search(numbers, found.modseq() if args.uses_modseq else None))
    else:
        _extended(session, command, found, args.returns or ("ALL",), uses_modseq=args.uses_modseq)
    return ok("Search completed")


def _extended(session: Session, command: Command, found: Found, returns: Sequence[str], *, uses_modseq: bool) -> None:
    """The ESEARCH response, and what "$" stands for from now on."""
    by_uid = command.name == "UID SEARCH"
    uids = found.uids()
    numbers = uids if by_uid else found.seqs()
    wanted = frozenset(returns)
    if "SAVE" in wanted:
        session.box.view.save(_saved(uids, wanted))
    if wanted == {"SAVE"}:
        return  # RFC 5182 2.4: nothing else was asked for
    result = response.Found(
        uid=by_uid,
        least=numbers[0] if numbers and "MIN" in wanted else None,
        most=numbers[-1] if numbers and "MAX" in wanted else None,
        count=len(numbers) if "COUNT" in wanted else None,
        all=ranges_of(numbers) if "ALL" in wanted else (),
        modseq=_modseq(session, found, uids, wanted) if uses_modseq and numbers else None,
    )
    session.send(response.esearch(command.tag, result))


def _saved(uids: Sequence[int], wanted: frozenset[str]) -> Sequence[int]:
    """RFC 5182 2.4: MIN and MAX alone save only what they show."""
    if not uids or wanted & {"ALL", "COUNT"} or not wanted & {"MIN", "MAX"}:
        return uids
    shown = ([uids[0]] if "MIN" in wanted else []) + ([uids[-1]] if "MAX" in wanted else [])
    return sorted(set(shown))


def _modseq(session: Session, found: Found, uids: Sequence[int], wanted: frozenset[str]) -> int:
    """RFC 4731 3.2: the highest MODSEQ of what is shown: of the MIN and MAX messages, or of all found."""
    if wanted & {"ALL", "COUNT"}:
        return found.modseq()
    snapshot = session.box.view.snapshot
    modseqs = []
    for uid in _saved(uids, wanted - {"SAVE"}):
        seq = snapshot.seq(uid)
        if seq is not None:
            page, place = snapshot.locate(seq)
            modseqs.append(page.modseqs[place])
    return max(modseqs, default=found.modseq())


def names_numbers(key: SearchKey) -> bool:
    """True when the program names message numbers, or may do so in a filter.

    Then even UID SEARCH must not expunge (RFC 9051 7.5.1).
    """
    return key.key in (Key.SEQ, Key.FILTER) or any(names_numbers(inner) for inner in key.keys)
