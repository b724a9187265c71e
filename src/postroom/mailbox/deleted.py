"""Mail that was deleted and can still be had: finding it, and where it goes back to.

Owns: what people name deleted messages by (`12.7`: the change that took it away, and the UID it had), which of them
count as deleted (moved ones do not, and those brought back no more), and the plan of bringing them back.
Trusts: the store's departures. Names and texts to look for come from people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from postroom.mailbox import envelope, names
from postroom.message.search import fold
from postroom.store.api import AccountStore, Departure, MailboxInfo, MailboxLife, Placing, Source

#: where people put what they do not want, before it is expunged
_BINS: Final = frozenset({"\\Trash", "\\Junk"})
#: envelopes read at once
_SLICE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedMessage:
    """A message that left for good. mailbox: where it was; alive: that mailbox is still there; time: when it left;
    received: INTERNALDATE; still_in: mailboxes that hold a copy of it; came_from: the mailbox it was in before it came
    to this one, if that is known.
    """

    departure: int
    uid: int
    mailbox: MailboxLife
    alive: bool
    time: float
    message: int
    flags: int
    size: int
    received: int
    sender: str = ""
    subject: str = ""
    message_id: str = ""
    still_in: tuple[str, ...] = ()
    came_from: MailboxLife | None = None

    @property
    def id(self) -> str:
        """What people name it by."""
        return f"{self.departure}.{self.uid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which deleted messages. ids: as `DeletedMessage.id`, or Message-IDs; since, until: when they were deleted, 0 for
    any; mailbox: the name it has or had; sender, subject: texts found in it whatever their case.
    """

    ids: frozenset[str] = frozenset()
    mailbox: str = ""
    since: float = 0.0
    until: float = 0.0
    sender: str = ""
    subject: str = ""


async def find(store: AccountStore, wanted: Wanted, most: int = 0) -> list[DeletedMessage]:
    """The deleted messages that are wanted, the last deleted first; most: at most so many, 0 for all."""
    lives = {life.id: life for life in await store.lives()}
    mailboxes = await store.mailboxes()
    alive = {info.id for info in mailboxes}
    found = _candidates(wanted, [one for one in await store.departures() if not one.moved], lives, alive)
    chosen: list[DeletedMessage] = []
    for start in range(0, len(found), _SLICE):
        part = found[start : start + _SLICE]
        texts = await store.columns([one.message for one in part], "envelope")
        for one, text in zip(part, texts, strict=True):
            read = _read(one, text)
            if text and _fits(read, wanted):
                chosen.append(read)
        if most and len(chosen) >= most:
            break
    chosen = _with_origins(chosen[: most or len(chosen)], await store.departures(), lives)
    return await _with_copies(store, mailboxes, chosen)


def _candidates(
    wanted: Wanted, departures: Sequence[Departure], lives: Mapping[int, MailboxLife], alive: set[int]
) -> list[DeletedMessage]:
    """By all that can be told without looking into the messages, newest first."""
    name = names.normalize(wanted.mailbox) if wanted.mailbox else ""
    numbers = wanted.ids if wanted.ids and not any(one.startswith("<") for one in wanted.ids) else frozenset()
    found: list[DeletedMessage] = []
    for one in reversed(departures):
        life = lives[one.mailbox]
        if one.time < wanted.since or (wanted.until and one.time >= wanted.until):
            continue
        if name and name != life.name and name not in {earlier for _, earlier in life.before}:
            continue
        page = one.page
        for place in range(len(page) - 1, -1, -1):
            uid = page.uids[place]
            if one.back[place] or (numbers and f"{one.modseq}.{uid}" not in numbers):
                continue
            found.append(
                DeletedMessage(
                    departure=one.modseq,
                    uid=uid,
                    mailbox=life,
                    alive=life.id in alive,
                    time=one.time,
                    message=page.messages[place],
                    flags=page.flags[place],
                    size=page.sizes[place],
                    received=page.dates[place],
                )
            )
    return found


def _read(one: DeletedMessage, text: bytes) -> DeletedMessage:
    return replace(
        one,
        sender=envelope.text(text, envelope.FROM) or "",
        subject=envelope.text(text, envelope.SUBJECT) or "",
        message_id=envelope.text(text, envelope.MESSAGE_ID) or "",
    )


def _fits(one: DeletedMessage, wanted: Wanted) -> bool:
    if wanted.ids and one.id not in wanted.ids and one.message_id not in wanted.ids:
        return False
    return fold(wanted.sender) in fold(one.sender) and fold(wanted.subject) in fold(one.subject)


def _with_origins(
    found: Sequence[DeletedMessage], departures: Sequence[Departure], lives: Mapping[int, MailboxLife]
) -> list[DeletedMessage]:
    """Moved there, or copied and expunged where it was: the last other mailbox that it left before."""
    wanted = {one.message for one in found}
    left: dict[int, list[Departure]] = {}
    for departure in departures:
        for message in wanted.intersection(departure.page.messages):
            left.setdefault(message, []).append(departure)
    told = []
    for one in found:
        before = [
            departure.mailbox
            for departure in left.get(one.message, ())
            if departure.modseq < one.departure and departure.mailbox != one.mailbox.id
        ]
        told.append(replace(one, came_from=lives[before[-1]]) if before else one)
    return told


async def _with_copies(
    store: AccountStore, mailboxes: Sequence[MailboxInfo], found: Sequence[DeletedMessage]
) -> list[DeletedMessage]:
    """Many clients copy to Trash before they expunge: then the message is there still."""
    wanted = {one.message for one in found}
    held: dict[int, list[str]] = {}
    for info in mailboxes if wanted else ():
        snapshot = await store.snapshot(info.id)
        for page in snapshot.pages:
            for message in wanted.intersection(page.messages):
                held.setdefault(message, []).append(info.name)
    return [replace(one, still_in=tuple(held[one.message])) if one.message in held else one for one in found]


def back_to(
    found: Sequence[DeletedMessage], mailboxes: Sequence[MailboxInfo], to: str = "", *, origin: bool = False
) -> list[Placing]:
    """Where the messages go: into the mailboxes they were in, which are made again, or all into `to`.

    origin: what was in Trash or Junk goes to where it was before it came there. A message goes into a mailbox once.

    In the order in which they once came into each mailbox. A special use is given again unless another mailbox has it
    now. Raises BadName for `to`.
    """
    target = names.check(to) if to else ""
    by_target: dict[str, list[DeletedMessage]] = {}
    seen: set[tuple[str, int]] = set()
    for one in found:
        name = target or _home(one, origin=origin).name
        if (name, one.message) not in seen:  # once copied to Trash and expunged, and expunged from Trash
            seen.add((name, one.message))
            by_target.setdefault(name, []).append(one)
    taken = {info.special_use for info in mailboxes}
    placings = []
    for name, messages in sorted(by_target.items()):
        messages.sort(key=lambda one: (one.mailbox.id, one.uid))
        use = "" if target else _home(messages[-1], origin=origin).special_use
        placings.append(Placing(target=name, sources=_sources(messages), special_use="" if use in taken else use))
        taken.add(use)
    return placings


def _home(one: DeletedMessage, *, origin: bool) -> MailboxLife:
    """The mailbox it goes back to."""
    if origin and one.came_from is not None and one.mailbox.special_use in _BINS:
        return one.came_from
    return one.mailbox


def _sources(messages: Sequence[DeletedMessage]) -> list[Source]:
    runs = groupby(messages, key=lambda one: one.departure)
    return [Source([one.uid for one in run], departure=departure) for departure, run in runs]
