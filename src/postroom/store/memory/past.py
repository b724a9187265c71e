"""What an account in memory held before: departures, lives, restores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import TypeVar

from postroom.store.api import Departure, MailboxLife, NotFound, Page, Placed, Restored, Source

T = TypeVar("T")

#: uid, flags, keywords, modseq, message, size, date
Row = tuple[int, int, frozenset[str], int, int, int, int, int]


def asked(sources: Sequence[Source], there: Callable[[Source], Mapping[int, T]]) -> list[tuple[int, T]]:
    """Places among the UIDs of all sources, and what is there, for each that is."""
    found: list[T | None] = []
    for source in sources:
        having = there(source)
        found += [having.get(uid) for uid in source.uids]
    return [(place, item) for place, item in enumerate(found) if item is not None]


class Past:
    """One account's."""

    def __init__(self) -> None:
        self.departures: list[Departure] = []
        self.restores: dict[int, Restored] = {}
        self._created: dict[int, float] = {}
        self._dead: dict[int, MailboxLife] = {}
        self._former: dict[int, dict[float, str]] = {}
        self._expunged = 0
        self._ids = count(1)

    @property
    def next_number(self) -> int:
        """Of what is expunged next."""
        return self._expunged + 1

    def born(self, mailbox: int, now: float) -> None:
        """It was made."""
        self._created[mailbox] = now

    def renamed(self, mailbox: int, now: float, name: str) -> None:
        """It had this name until now."""
        self._former.setdefault(mailbox, {}).setdefault(now, name)

    def died(self, life: MailboxLife, now: float) -> None:
        """It was deleted."""
        self._dead[life.id] = replace(life, deleted=now)

    def lives(self, alive: Mapping[int, MailboxLife]) -> list[MailboxLife]:
        """All, oldest first; alive: mailboxes that are there."""
        return [
            replace(life, created=self._created[number], before=tuple(self._former.get(number, {}).items()))
            for number, life in sorted({**self._dead, **alive}.items())
        ]

    def left(self, mailbox: int, now: float, modseq: int, page: Page, *, moved: bool) -> None:
        """These messages left the mailbox."""
        number = self._expunged + 1
        self._expunged += 0 if moved else len(page)
        modseqs = page.modseqs[:0]
        modseqs.extend([modseq] * len(page))
        page = Page(page.uids, page.flags, page.keywords, modseqs, page.messages, page.sizes, page.dates, page.saved)
        self.departures.append(
            Departure(
                modseq=modseq,
                mailbox=mailbox,
                time=now,
                moved=moved,
                number=number,
                page=page,
                back=bytes(len(page)),
            )
        )

    def rows(self, departure: int, lives: Mapping[int, MailboxLife]) -> list[Row]:
        """What left at a MODSEQ."""
        found: list[Row] = []
        for one in self.departures:
            if one.modseq == departure:
                names, page = lives[one.mailbox].keywords, one.page
                for place, uid in enumerate(page.uids):
                    bits = page.keywords[place]
                    keywords = frozenset(name for number, name in enumerate(names) if bits >> number & 1)
                    date, size, message = page.dates[place], page.sizes[place], page.messages[place]
                    row = (uid, page.flags[place], keywords, departure, message, size, date, page.saved[place])
                    found.append(row)
        return found

    def mark(self, sources: Sequence[Source], places: Sequence[int]) -> None:
        """Of the UIDs of all sources, those in these places were brought back."""
        asked = [(source.departure, uid) for source in sources for uid in source.uids]
        back = {asked[place] for place in places}
        for number, one in enumerate(self.departures):
            if not one.moved:
                marks = bytes(
                    old or (one.modseq, uid) in back for old, uid in zip(one.back, one.page.uids, strict=True)
                )
                self.departures[number] = replace(one, back=marks)

    def restored(self, now: float, placed: tuple[Placed, ...]) -> Restored:
        """Something was brought back."""
        if not placed:
            return Restored(0, now, ())
        done = Restored(next(self._ids), now, placed)
        self.restores[done.id] = done
        return done

    def forget(self, restore: int) -> tuple[Placed, ...]:
        """It is being undone. Raises NotFound."""
        if restore not in self.restores:
            raise NotFound(f"no restore {restore}")
        return self.restores.pop(restore).placed

    def messages(self) -> set[int]:
        """Messages that can still be had only through what left."""
        return {message for one in self.departures if not one.moved for message in one.page.messages}

    def sweep(self, before: float) -> None:
        """Forget what is older."""
        self.departures = [one for one in self.departures if one.time >= before]
        held = {one.mailbox for one in self.departures}
        self._dead = {key: life for key, life in self._dead.items() if life.deleted >= before or key in held}
        self.restores = {key: one for key, one in self.restores.items() if one.time >= before}
        for names in self._former.values():
            for until in [until for until in names if until < before]:
                del names[until]
