"""What our own people send to other domains, looked at by the spam filter: a stolen account shows by what it sends.

The rules, links, attachments, lists of domains and everybody's words are asked; nothing of whoever it is for. From one
score on the administrator is told, from another it is kept in quarantine, from a third it is refused; whoever sends it
may have scores of his own, or of his domain's. Where a message can only be told of, it is looked at after it was taken,
so that nobody waits for it, and only as many as are enough to see a burst.
Owns: messages that wait to be looked at; what a crash takes is not looked at. Trusts: the log-in.
On failure: an event; mail never waits for its filter.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from postroom.config import Filter
from postroom.filter.judge import Judge
from postroom.filter.scoring import Score
from postroom.filter.wishes import wishes_of
from postroom.intake.filtering import why
from postroom.intake.routing import LOCAL, QUARANTINE, REMOTE
from postroom.policy.words import Notice, shown
from postroom.store.api import AccountRow, DirectoryStore, NewRecipient, StoreError
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.refusal import Refusal

#: messages that are looked at after they were taken: in a second, and of one account in a minute. Looking costs more
#: than a millisecond, and a burst shows in a part of it too
A_SECOND: Final = 20
A_MINUTE: Final = 30
#: a user is told of held mail once in so many seconds
_TOLD_AGAIN: Final = 3600.0
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Scores from which on; 0 is never."""

    flag: float
    hold: float
    refuse: float

    def verdict(self, points: float) -> str:
        """refuse, hold, flag, or "" for nothing."""
        for name, bound in (("refuse", self.refuse), ("hold", self.hold), ("flag", self.flag)):
            if bound and points >= bound:
                return name
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRooms:
    """What it works with. flagged: told of an account that sends what looks like spam; post: sends our own mail."""

    judge: Judge
    directory: DirectoryStore
    clock: Clock
    event: Callable[..., None]
    flagged: Callable[[AccountRow], None]
    post: Callable[[Notice], None]


class SentFilter:
    """Of one worker and one configuration."""

    def __init__(self, rooms: SentRooms, config: Filter) -> None:
        self._rooms = rooms
        self._given = Bounds(config.flag_sent, config.hold_sent, config.refuse_sent)
        self._waiting: deque[tuple[AccountRow, str, Content, Bounds]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._told: OrderedDict[str, float] = OrderedDict()
        self._second, self._looks = 0, 0
        self._minute, self._of = 0, Counter[str]()

    async def look(
        self, account: AccountRow | None, entry: str, message: tuple[bytes, Content], targets: tuple[NewRecipient, ...]
    ) -> tuple[NewRecipient, ...]:
        """Where a submitted message goes. entry: its queue id; message: fields to put before it. Raises Refusal 550."""
        if account is None or not any(one.route == REMOTE for one in targets):
            return targets
        try:
            bounds = await self._bounds(account)
            if not (bounds.hold or bounds.refuse):
                if bounds.flag:
                    self._later(account, entry, message, bounds)
                return targets
            content = message[1].with_prefix(message[0])
            score = await self._rooms.judge.of_ours(content, self._rooms.clock.now())
        except (StoreError, OSError) as fault:
            self._rooms.event("filter.fault", account=account.id, reason=str(fault))
            return targets
        verdict = self._tell(account, entry, score, bounds)
        if verdict == "refuse":
            raise Refusal(
                550,
                "5.7.1",
                "This message looks like spam and is not sent. If it is none, ask your administrator",
                reason=f"spam score {score.points:.1f}: {score.words()}",
            )
        if verdict != "hold":
            return targets
        self._say_held(account)
        return tuple([_apart(one, why(score)) for one in targets])

    async def _bounds(self, account: AccountRow) -> Bounds:
        """Those of the person, else of the domain, else as configured. Raises StoreError."""
        rows = (await wishes_of(self._rooms.directory, account.login)).rows
        if not rows:
            return self._given
        given = self._given
        return Bounds(
            next((row.flag for row in rows if row.flag >= 0), given.flag),
            next((row.hold for row in rows if row.hold >= 0), given.hold),
            next((row.refuse_sent for row in rows if row.refuse_sent >= 0), given.refuse),
        )

    def _tell(self, account: AccountRow, entry: str, score: Score, bounds: Bounds) -> str:
        verdict = bounds.verdict(score.points)
        if verdict:
            self._rooms.event(
                "mail.flagged",
                queue_id=entry,
                login=account.login,
                spam=score.points,
                because=score.words(),
                verdict=verdict,
            )
            self._rooms.flagged(account)
        return verdict

    def _say_held(self, account: AccountRow) -> None:
        """The sender and the administrator, once in a while."""
        now = self._rooms.clock.monotonic()
        if now - self._told.get(account.id, -1e9) < _TOLD_AGAIN:
            return
        self._told[account.id] = now
        self._told.move_to_end(account.id)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        self._rooms.post(held(account.login))

    # looked at after it was taken

    def _later(self, account: AccountRow, entry: str, message: tuple[bytes, Content], bounds: Bounds) -> None:
        fields, content = message
        if content.path or not self._has_turn(account.id):
            return  # a file belongs to the queue by then; what is that large is no spam run
        self._waiting.append((account, entry, content.with_prefix(fields), bounds))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    def _has_turn(self, account: str) -> bool:
        now = int(self._rooms.clock.monotonic())
        if now != self._second:
            self._second, self._looks = now, 0
        if now // 60 != self._minute:
            self._minute = now // 60
            self._of.clear()
        if self._looks >= A_SECOND or self._of[account] >= A_MINUTE:
            return False
        self._looks += 1
        self._of[account] += 1
        return True

    async def _work(self) -> None:
        while self._waiting:
            account, entry, content, bounds = self._waiting.popleft()
            await asyncio.sleep(0)  # others have their turn between two messages
            try:
                score = await self._rooms.judge.of_ours(content, self._rooms.clock.now())
                self._tell(account, entry, score, bounds)
            except Exception as fault:  # the message has left; what waits behind it must not wait for a fault of ours
                self._rooms.event("filter.fault", account=account.id, reason=str(fault) or repr(fault))

    async def settled(self) -> None:
        """Wait until nothing waits."""
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)


def _apart(recipient: NewRecipient, reason: str) -> NewRecipient:
    if recipient.route not in (LOCAL, REMOTE):
        return recipient
    return structs.replace(recipient, route=QUARANTINE, why=reason)


def held(login: str) -> Notice:
    """What the sender is told, and his administrator."""
    text = (
        f"Mail that {shown(login)} has sent to other domains looks like spam. It is kept in quarantine and does not"
        " leave until the administrator releases it.\n\n"
        "Did you send it? If not, somebody else may be using the account: change its password.\n\n"
        "The administrator sees and releases it with\n\n"
        f"    postroom quarantine list --outgoing --account {shown(login)}\n"
        "    postroom quarantine release ID\n\n"
        "This is told once an hour, however many messages there are.\n"
    )
    return Notice(login, login.rpartition("@")[2], f"Mail from {shown(login)} is held", text)
