"""What is counted, and who may not: the promises of policy.db.

Counts are kept in slots of a sixtieth of their window, and a slot counts until all of it has left the window: so no
moment of any window holds more than its limit, and what is full is free again a sixtieth late at most.
A change that returned is seen by all processes at once. It survives a crash of the process; of power loss, what was
counted in the last second may be forgotten, because counting must not wait for the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Protocol

from msgspec import Struct

#: slots of a window
SLOTS: Final = 60
#: kinds that begin so are held against an account, until it is unfrozen
SIGN: Final = "sign."


def id_of(message_id: str) -> int:
    """What is kept of a Message-ID: 64 bits with a sign."""
    return int.from_bytes(blake2b(message_id.encode("utf-8", "replace"), digest_size=8).digest(), "big", signed=True)


class Per(StrEnum):
    """What a charge counts in a message."""

    MESSAGE = "message"
    RECIPIENT = "recipient"
    NEW = "new"  # a recipient that the account has never written to


class Charge(Struct, frozen=True, kw_only=True):
    """Something to count, and its limit.

    name: an account id or a domain; kind: names the count; limit: the most there may be in `window` seconds, 0 for no
    limit; warn: the share of the limit at which it is told that it is near.
    """

    name: str
    kind: str
    per: Per
    limit: int
    window: int
    warn: float = 0.8


class Demand(Struct, frozen=True, kw_only=True):
    """A message that wants to leave. recipients: Address.key of those outside, each once; account: id, "" for mail
    that nobody has written who logged in.

    message_id: without brackets, "" when unknown; answers to it are known by it (`answered`).
    """

    account: str
    recipients: tuple[str, ...]
    charges: tuple[Charge, ...]
    message_id: str = ""


class Used(Struct, frozen=True, kw_only=True):
    """How much of a charge's limit is used. frees: Unix seconds when `asked` more would fit, 0.0 when they do now.

    asked: how much was wanted; infinity in frees: more than the limit was asked for at once.
    """

    charge: Charge
    used: int
    asked: int = 0
    frees: float = 0.0


class Taken(Struct, frozen=True, kw_only=True):
    """What was counted; `give_back` undoes it. near: limits that came near for the first time in their window."""

    demand: Demand
    at: float
    amounts: tuple[int, ...]
    fresh: tuple[str, ...]
    near: tuple[Used, ...] = ()


class Tally(Struct, frozen=True, kw_only=True):
    """An amount to add to a count without a limit."""

    name: str
    kind: str
    window: int
    amount: int = 1


class Ban(Struct, frozen=True, kw_only=True):
    """Addresses that are turned away. network: as `policy.networks` prints it; until: Unix seconds, inf for good.

    times: how often in a row; by: who did it, "" for the server itself; serial: grows with each change of any ban.
    """

    network: str
    since: float
    until: float
    reason: str
    times: int = 1
    by: str = ""
    serial: int = 0


class Freeze(Struct, frozen=True, kw_only=True):
    """An account that may not send. reasons: in plain words; by: who did it, "" for the server itself."""

    account: str
    since: float
    score: int
    reasons: tuple[str, ...]
    by: str = ""


class Lift(Struct, frozen=True, kw_only=True):
    """Limits of a name (account id or domain) that do not hold for a while."""

    name: str
    since: float
    until: float
    by: str


class Suppression(Struct, frozen=True, kw_only=True):
    """An outside address that nothing is sent to. address: Address.key; until: Unix seconds, inf for good.

    reason: in plain words, such as what its server said; by: who did it, "" for the server itself.
    """

    address: str
    since: float
    until: float
    reason: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything exceptional there is now; few rows. frozen: by account; lifts: by name, some may be over."""

    frozen: Mapping[str, Freeze] = field(default_factory=dict)
    lifts: Mapping[str, Lift] = field(default_factory=dict)


class LimitsStore(Protocol):
    """Counters with windows, first-time recipients, bans, freezes and lifts. Times are Unix seconds.

    Reads answer at once from the file or what is known of it. Raises StoreUnavailable everywhere.
    """

    async def take(self, demand: Demand, now: float) -> Taken | Used:
        """Count all charges and remember the recipients, or nothing: then the limit that would be passed.

        Exact among all processes.
        """
        ...

    async def give_back(self, taken: Taken) -> None:
        """The message did not leave after all."""
        ...

    def used(self, charge: Charge, now: float, asked: int = 0) -> Used:
        """How much of the charge's limit is used, and when `asked` more would fit."""
        ...

    def fresh(self, account: str, recipients: Sequence[str]) -> tuple[str, ...]:
        """Those of the recipients that the account has never written to."""
        ...

    def written(self, account: str, recipient: str) -> float | None:
        """When the account first wrote to the recipient; None for never."""
        ...

    def answered(self, account: str, message_ids: Sequence[str]) -> bool:
        """Is one of these a message that the account ("": anybody here) has sent outside in the last 400 days?"""
        ...

    def correspondents(self, account: str, limit: int) -> list[tuple[str, float]]:
        """Recipients and the time of the first message to each, latest first."""
        ...

    def note(self, tallies: Sequence[Tally], now: float) -> None:
        """Count soon; nobody waits."""
        ...

    async def tally(self, tallies: Sequence[Tally], now: float) -> None:
        """The same, and it is counted when this returns."""
        ...

    def sums(self, name: str, windows: Mapping[str, int], now: float) -> dict[str, int]:
        """Counts of a name: by kind, in the window (seconds) given for it."""
        ...

    async def place(self, account: str, network: str, now: float) -> bool:
        """A login came from there; True when none did before."""
        ...

    def places(self, account: str) -> list[tuple[str, float, float]]:
        """(network, first login, last login), by the first."""
        ...

    def generation(self) -> int:
        """A number that changes with bans, freezes and lifts, whoever changed them. Half a us."""
        ...

    def rules(self) -> Rules:
        """Freezes and lifts."""
        ...

    def bans(self, after: int = 0) -> list[Ban]:
        """Bans changed after this serial, by serial; also those that are over."""
        ...

    async def ban(self, ban: Ban, longest: float, forget: float) -> Ban:
        """Ban for until - since seconds, doubled for each ban of the network before, up to `longest` seconds.

        Bans that ended more than `forget` seconds before are not counted. One that holds still is left as it is, and
        given back.
        """
        ...

    async def put_ban(self, ban: Ban) -> Ban:
        """Insert or replace just so. Gives it with its serial."""
        ...

    async def wait(self, key: str, first: float, now: float) -> float:
        """Since when a key waits: `first`, unless it is known already. Forgotten KEEP_WAITING seconds after `now`."""
        ...

    def waits(self, key: str) -> float | None:
        """Since when a key waits; None when it is not known."""
        ...

    def suppressed(self, address: str, now: float) -> Suppression | None:
        """Why nothing is sent to an address (key) now."""
        ...

    def suppressions(self, now: float) -> list[Suppression]:
        """Those in force, by address."""
        ...

    async def suppress(self, suppression: Suppression) -> None:
        """Insert or replace; one that holds for longer already is left as it is, unless somebody (by) asks."""
        ...

    async def unsuppress(self, address: str) -> bool:
        """False when it was not suppressed."""
        ...

    async def freeze(self, freeze: Freeze) -> bool:
        """False when the account is frozen already."""
        ...

    async def unfreeze(self, account: str) -> bool:
        """Let it send again, what was held against it forgotten. False when it was not frozen."""
        ...

    async def lift(self, lift: Lift) -> None:
        """Insert or replace; one whose until is in the past ends it."""
        ...

    async def forget(self, name: str) -> None:
        """The account or domain is gone, and all that is known of it here."""
        ...

    async def sweep(self, now: float) -> None:
        """Drop what no window reaches any more."""
        ...


#: seconds after which nothing of it is needed: counts, ended bans, places of logins
KEEP_COUNTS: Final = 2 * 86400.0
KEEP_BANS: Final = 7 * 86400.0
KEEP_PLACES: Final = 90 * 86400.0
KEEP_WAITING: Final = 35 * 86400.0
#: seconds for which answers to sent messages are known
KEEP_SENT: Final = 400 * 86400.0


def slot_of(now: float, window: int) -> int:
    """Unix second in which the slot of `now` begins."""
    width = window // SLOTS
    return int(now) // width * width


def first_slot(now: float, window: int) -> int:
    """The oldest slot that still counts begins after this second."""
    return int(now) - window - window // SLOTS


def frees(slots: Sequence[tuple[int, int]], charge: Charge, asked: int) -> float:
    """When `asked` more fit. slots: (begin, count) of those in the window, oldest first."""
    over = sum(count for _, count in slots) + asked - charge.limit
    if not charge.limit or over <= 0:
        return 0.0
    if asked > charge.limit:
        return float("inf")
    for begin, count in slots:
        over -= count
        if over <= 0:
            return float(begin + charge.window // SLOTS + charge.window)
    return float("inf")


def amounts(demand: Demand, fresh: int) -> tuple[int, ...]:
    """What each charge counts; fresh: number of first-time recipients."""
    counts = {Per.MESSAGE: 1, Per.RECIPIENT: len(demand.recipients), Per.NEW: fresh}
    return tuple([counts[charge.per] for charge in demand.charges])


def doubled(ban: Ban, before: Ban | None, longest: float, forget: float) -> Ban:
    """The ban as it is to be kept; before: the last one of this network."""
    again = before is not None and ban.since - before.until <= forget
    times = before.times + 1 if before is not None and again else 1
    seconds = min((ban.until - ban.since) * 2.0 ** min(times - 1, 64), longest)
    return Ban(
        network=ban.network, since=ban.since, until=ban.since + seconds, reason=ban.reason, times=times, by=ban.by
    )
