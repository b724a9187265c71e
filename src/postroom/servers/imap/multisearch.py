"""ESEARCH: one search program for several mailboxes, wherever they are (RFC 7377).

Each mailbox with results gets a response that says which it is; none is selected for it. The selected one is searched
as its client knows it, all others as they are now. Which mailboxes are meant is for sources.py.
Owns: nothing. Standards: RFC 7377 2.1 and 2.4; RFC 5267 4.3 (UPDATE, of the selected mailbox only).
On failure: as SEARCH. A mailbox that goes meanwhile is passed over.
"""

from __future__ import annotations

from typing import Final, cast

from msgspec.structs import replace

from postroom.mailbox import search as mailbox_search
from postroom.mailbox.criteria import Scene
from postroom.mailbox.places import Place
from postroom.mailbox.search import Pace, Reading
from postroom.mailbox.views import VIEW_REALMS
from postroom.servers.imap import amount, updates
from postroom.servers.imap.filters import with_filters
from postroom.servers.imap.pace import Pace as Turns
from postroom.servers.imap.replies import Reply, ok
from postroom.servers.imap.results import Results, extended, save
from postroom.servers.imap.search import find, keep_up_to_date, wants_updates
from postroom.servers.imap.session import Session
from postroom.servers.imap.sources import Sources
from postroom.store.api import NotFound
from postroom.wire.imap import response
from postroom.wire.imap.commands import SAVED, STAR, Command, Key, MultiSearch, SearchKey

_NOTHING: Final = SearchKey(Key.NOT, keys=(SearchKey(Key.ALL),))


async def esearch(session: Session, command: Command) -> Reply:
    """ESEARCH."""
    args = cast(MultiSearch, command.args)
    selected = any(source.kind == "SELECTED" for source in args.sources)
    if selected or wants_updates(args.search):
        session.require(session.selected is not None, "Select a mailbox first")
    return await _filtered(session, command)


async def _run(session: Session, command: Command) -> Reply:
    args = cast(MultiSearch, command.args)
    turns = Turns(session.link)
    places = await Sources(session, turns).places(args.sources)
    sweep = _Sweep(Pace(session.service.clock), sum(place.info.messages for place in places))
    session.progress = sweep
    known: dict[str, Reading] = {}  # by realm
    limited = b""
    for place in places:
        if not (args.search.uses_modseq and isinstance(place.realm, VIEW_REALMS)):  # RFC 7162 3.1.2.2
            limited = await _search(session, command, place, known, sweep) or limited
        sweep.next(place)
        await turns.breathe()
    if wants_updates(args.search) and not any(_is_selected(session, place) for place in places):
        text = "Only results of the selected mailbox are kept up to date"
        session.send(response.no(b"*", text, response.noupdate(command.tag)))
    # RFC 7377 2.4: of several mailboxes nobody could say down to which UID
    return ok("Esearch completed", spare=limited if len(places) == 1 else b"LIMIT" * bool(limited))


_filtered: Final = with_filters(_run)


class _Sweep:
    """How far the whole command has come (session.Doing)."""

    __slots__ = ("_before", "goal", "pace")

    def __init__(self, pace: Pace, goal: int) -> None:
        self.pace: Final = pace
        self.goal: Final = goal
        self._before = 0

    @property
    def done(self) -> int:
        return min(self._before + self.pace.done, self.goal)

    def next(self, place: Place) -> None:
        """This mailbox is done."""
        self._before += place.info.messages
        self.pace.done = self.pace.goal = 0


async def _search(session: Session, command: Command, place: Place, known: dict[str, Reading], sweep: _Sweep) -> bytes:
    """Gives the response code when not all messages were searched."""
    args = cast(MultiSearch, command.args).search
    where = response.searched(place.name, place.info.uidvalidity, session.wire.utf8)
    if _is_selected(session, place):
        return await _search_selected(session, command, where, sweep)
    account = place.account
    try:
        snapshot = await account.snapshot(place.id)
        key, limited = amount.within(session, fitted(args.key, len(snapshot), selected=False), snapshot, ())
        scene = Scene(snapshot=snapshot, saved=(), now=session.service.clock.now())
        reading = known.get(place.realm.prefix)
        if reading is None:
            reading = known[place.realm.prefix] = Reading(account.store, sweep.pace)
        found = await mailbox_search.search(key, scene, account.store, sweep.pace, reading)
    except NotFound:
        return b""
    if found:
        session.send(response.esearch(command.tag, extended(args, Results(found, True), snapshot), where))
    return limited


async def _search_selected(session: Session, command: Command, where: bytes, sweep: _Sweep) -> bytes:
    args = cast(MultiSearch, command.args).search
    if session.news:
        await updates.tell(session, expunge_ok=False)
    view = session.box.view
    fitting = replace(args, key=fitted(args.key, len(view), selected=True))
    found, key, limited = await find(session, command, fitting, sweep.pace)
    results = Results(found, True)
    save(session, args, results)
    if found and args.returns != ("SAVE",):
        session.send(response.esearch(command.tag, extended(args, results, view.snapshot), where))
    if wants_updates(args):
        keep_up_to_date(session, command.tag, replace(fitting, key=key), results, where=where)
    return limited


def fitted(key: SearchKey, count: int, *, selected: bool) -> SearchKey:
    """The program for a mailbox of so many messages: numbers beyond them are no error (RFC 7377 2).

    "$" is of the selected mailbox, and nothing in others.
    """
    if key.set == SAVED:
        return key if selected else _NOTHING
    if key.key is Key.SEQ:
        ranges = [_within(low, high, count) for low, high in key.set]
        inside = tuple([(low, high) for low, high in ranges if low <= high])
        return replace(key, set=inside) if inside else _NOTHING
    if not key.keys:
        return key
    return replace(key, keys=tuple([fitted(inner, count, selected=selected) for inner in key.keys]))


def _within(low: int, high: int, count: int) -> tuple[int, int]:
    low, high = sorted(count if end == STAR else end for end in (low, high))
    return max(low, 1), min(high, count)


def _is_selected(session: Session, place: Place) -> bool:
    return session.selected is not None and session.selected.place.same_mailbox(place)
