"""The daily mail to each user that says what is new in his quarantine.

At the time of day that holds for the user (his own wish, his domain's, or the configured one), and only when there is
something new. It is written down with its queue id before it is queued, so that it leaves once a day over restarts and
several workers; what it told of is marked afterwards.
Owns: nothing. Trusts: nothing of what the messages say of themselves: it is text, on one line, escaped in HTML.
Standards: RFC 3834 5 (Auto-Submitted, and no sender, so that nobody's vacation answers), RFC 2046 5.1.4, RFC 8058 is
not offered: it is mail of the user's own system.
On failure: an event, and another try at the next turn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from postroom.app.digest_text import Digest, message
from postroom.app.quarantine import QUARANTINE_LOCK, Releases, make_releases, once, queued
from postroom.app.runfolder import RunFolder
from postroom.app.sieve import local_zone
from postroom.config import Config
from postroom.filter.wishes import wishes_of
from postroom.intake.routing import LOCAL
from postroom.policy.release_links import link, token
from postroom.policy.release_mail import release_address
from postroom.store.api import (
    AccountRow,
    Entry,
    NewEntry,
    NewRecipient,
    QuarantineItem,
    QuarantineQuery,
    SentReport,
    Store,
    StoreError,
)
from postroom.values.clock import Clock
from postroom.values.content import Content

if TYPE_CHECKING:
    from postroom.app.rooms import Core

_DAY: Final = 86400.0
_KIND: Final = "digest"
#: digests that are sent before releases have their turn
AT_ONCE: Final = 100
#: messages that a digest marks as told
_MOST: Final = 10_000


@dataclass(slots=True, kw_only=True)
class DigestRooms:
    """What it works with. accept, new_id: of the queue; sign: our signature; zone: seconds east of Greenwich at a time;
    secret: of this installation.
    """

    store: Store
    accept: Callable[[NewEntry], Awaitable[Entry]]
    new_id: Callable[[], str]
    sign: Callable[[Content, float], Awaitable[bytes]]
    clock: Clock
    zone: Callable[[float], int]
    secret: bytes
    event: Callable[..., None]
    config: Callable[[], Config]
    #: accounts that have had theirs, of one day
    done: tuple[str, set[str]] = field(default=("", set()))


async def send_digests(rooms: DigestRooms) -> bool:
    """To everybody whose time has come, some at a time; True when there are more. Never raises StoreError."""
    now = rooms.clock.now()
    local = datetime.fromtimestamp(now + rooms.zone(now), UTC)
    day, clock = local.strftime("%Y-%m-%d"), local.strftime("%H:%M")
    if rooms.done[0] != day:
        rooms.done = (day, set())
    try:
        waiting = await rooms.store.quarantine.untold()
    except StoreError as fault:
        rooms.event("digest.failed", login="", reason=str(fault))
        return False
    before = len(rooms.done[1])
    for account in waiting.keys() - rooms.done[1]:
        if len(rooms.done[1]) - before >= AT_ONCE:
            return True
        row = None
        try:
            row = await rooms.store.directory.account(account)
            if row is not None and await _due(rooms, row, clock):
                await _send(rooms, row, day)
                rooms.done[1].add(account)
        except (StoreError, OSError) as fault:
            rooms.event("digest.failed", login=row.login if row else account, reason=str(fault))
    return False


async def _due(rooms: DigestRooms, row: AccountRow, clock: str) -> bool:
    """Is it time? Nobody reads the mail of an account that receives none. Raises StoreError."""
    if row.disabled and not row.receives:
        return False
    wishes = await wishes_of(rooms.store.directory, row.login)
    at = next((one.digest for one in wishes.rows if one.digest), rooms.config().quarantine.digest)
    return at != "off" and clock >= at


async def _send(rooms: DigestRooms, row: AccountRow, day: str) -> None:
    """Once a day. Raises StoreError, OSError."""
    now = rooms.clock.now()
    query = QuarantineQuery(account=row.id, outgoing=False, untold=True, newest=True, limit=_MOST)
    items = await rooms.store.quarantine.find(query)
    if not items:
        return
    new = SentReport(kind=_KIND, day=day, name=row.id, entry=rooms.new_id(), at=now)
    place = await rooms.store.reports.reserve(new) or new
    if place.queued:
        return
    if place is new or not await queued(rooms.store, place.entry, now):
        await rooms.accept(await _entry(rooms, row, items, place.entry))
        rooms.event("digest.sent", login=row.login, entry=place.entry, messages=len(items))
    await rooms.store.reports.queued(place)
    await rooms.store.quarantine.tell(tuple([item.id for item in items]))


async def _entry(rooms: DigestRooms, row: AccountRow, items: list[QuarantineItem], entry: str) -> NewEntry:
    now = rooms.clock.now()
    config = rooms.config()
    links, addresses = {}, {}
    domain = row.login.rpartition("@")[2]
    for item in [one for one in items if not one.guarded]:
        until = min(now + config.quarantine.link_days * _DAY, item.until)
        if config.quarantine.url:
            links[item.id] = link(config.quarantine.url, token(rooms.secret, item.id, item.account, until))
        address = release_address(rooms.secret, item.id, item.account, until, domain)
        if config.quarantine.by_mail and address is not None:
            addresses[item.id] = str(address)
    digest = Digest(
        login=row.login,
        items=items,
        links=links,
        addresses=addresses,
        administrator=config.server.postmaster or f"postmaster@{row.login.rpartition('@')[2]}",
        days=config.quarantine.days,
        zone=rooms.zone(now),
    )
    content = Content.of(message(digest, entry, now))
    return NewEntry(
        id=entry,
        sender="",
        recipients=(NewRecipient(address=row.login, route=LOCAL, notify="NEVER"),),
        content=content,
        received=now,
        trace=await rooms.sign(content, now),
        smtputf8=not row.login.isascii(),
        body="7BIT" if content.data.isascii() else "8BITMIME",
        once=once(entry),
    )


def quarantine_work(core: Core, config: Callable[[], Config], folder: RunFolder) -> Releases:
    """A worker's, with the digests. config: gives what is in force."""
    core.quarantine.delivery = core.delivery
    core.quarantine.settings = lambda: config().quarantine
    rooms = DigestRooms(
        store=core.store,
        accept=core.queue.accept,
        new_id=core.queue.new_id,
        sign=core.signer.own,
        clock=core.clock,
        zone=local_zone,
        secret=core.secret,
        event=core.events,
        config=config,
    )
    releases = make_releases(core, folder.lock(QUARANTINE_LOCK), lambda: send_digests(rooms))
    core.mailed.poke = releases.poke
    return releases
