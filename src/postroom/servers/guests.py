"""Who is connected to one server of this worker: the way in, the count, and the wait until everybody has gone.

Owns: the set of open connections. Trusts: policy for what one address may have; each service for what comes of a stop.
On failure: TurnedAway says in words why a connection must go; each protocol tells it in its own way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from postroom.servers.login import unwelcome
from postroom.servers.ports import Gate, Log
from postroom.store.api import AccountRow, DirectoryStore

STOPPING: Final = "This server is stopping; please come back in a moment"
_CROWDED: Final = "This server has as many connections as it can serve; try again later"

C = TypeVar("C")


class _LoggedIn(Protocol):
    @property
    def account(self) -> AccountRow | None:
        """Whose connection it is; None before the log-in."""
        ...

    @property
    def opened_by(self) -> bytes:
        """The digest of the app password that opened it, b"" for none."""
        ...


L = TypeVar("L", bound=_LoggedIn)


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Why a connection must go. policy: for what its address has done or has already; final: it need not come back."""

    text: str
    policy: bool = False
    final: bool = False


class Guests(Generic[C]):
    """The connections of one server. They are told of nothing: the service does that."""

    __slots__ = ("_empty", "_gate", "_log", "_most", "_open", "_stopping")

    def __init__(self, gate: Gate, log: Log, most: int) -> None:
        """most: connections of this worker at once."""
        self._gate = gate
        self._log = log
        self._most = most
        self._open: set[C] = set()
        self._empty: asyncio.Event | None = None
        self._stopping = False

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[C]:
        """As they are at this moment, whoever comes or goes meanwhile."""
        return iter(list(self._open))

    def __contains__(self, connection: object) -> bool:
        return connection in self._open

    def admit(self, connection: C, service: str, ip: str) -> TurnedAway | None:
        """Count a new connection; why it must go away, or None."""
        if self._stopping:
            return TurnedAway(STOPPING)
        if len(self._open) >= self._most:
            return TurnedAway(_CROWDED)
        admission = self._gate.admit(service, ip)
        if not admission.ok:
            self._log("connection.refused", service=service, ip=ip, reason=admission.text)
            return TurnedAway(admission.text, policy=True, final=admission.final)
        self._open.add(connection)
        self._log("session.opened", service=service, ip=ip)
        return None

    def forget(self, connection: C, service: str, ip: str) -> bool:
        """A connection is gone; was it let in?"""
        if connection not in self._open:
            return False
        self._open.discard(connection)
        self._gate.release(service, ip)
        if self._empty is not None and not self._open:
            self._empty.set()
        return True

    def stop(self) -> None:
        """Nobody comes in any more."""
        self._stopping = True

    async def settled(self) -> None:
        """Wait until everybody has gone; to be called after `stop`."""
        if self._open:
            self._empty = asyncio.Event()
            await self._empty.wait()


async def no_longer_welcome(guests: Iterable[L], directory: DirectoryStore) -> AsyncIterator[tuple[L, str]]:
    """Those who may not stay since the directory changed, and why."""
    for connection in guests:
        account = connection.account
        why = await unwelcome(directory, account.id, connection.opened_by) if account is not None else ""
        if why:
            yield connection, why
