"""What the servers ask of the rooms identity, policy and observe, as they see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from postroom.policy.conduct import Offence, Tally
from postroom.policy.strangers import Standing
from postroom.store.api import AccountRow, TokenRow
from postroom.wire.sasl import ScramKeys

#: writes an event of the log: its name and fields
Log = Callable[..., None]


class Identity(Protocol):
    """Who may log in (identity.service)."""

    async def authenticate(self, login: str, password: str) -> AccountRow:
        """The account. Raises identity.errors.BadCredentials, AccountDisabled; StoreUnavailable."""
        ...

    async def by_token(self, token: str, now: float) -> tuple[AccountRow, TokenRow]:
        """Whose access token it is. Raises BadCredentials, AccountDisabled; StoreUnavailable."""
        ...

    async def by_certificate(self, login: str) -> AccountRow:
        """The account that a verified certificate names. Raises BadCredentials, AccountDisabled; StoreUnavailable."""
        ...

    async def app_password(
        self, login: str, password: str, service: str, ip: str
    ) -> tuple[AccountRow, TokenRow] | None:
        """The account whose app password this is. Raises AppPasswordRefused, AccountDisabled; StoreUnavailable."""
        ...

    async def app_keys(self, login: str, service: str, ip: str) -> tuple[AccountRow, tuple[TokenRow, ...]] | None:
        """The account and its app passwords that may be used here, if there are any."""
        ...

    async def scram(self, login: str) -> tuple[AccountRow, ScramKeys] | None:
        """The account and its SCRAM keys; None when it is not there, disabled, or has none."""
        ...


class Admission(Protocol):
    """A decision, and in words why."""

    @property
    def ok(self) -> bool: ...
    @property
    def text(self) -> str: ...
    @property
    def final(self) -> bool: ...


class Gate(Protocol):
    """How many connections an address may have (policy.connections)."""

    def admit(self, service: str, ip: str) -> Admission: ...
    def release(self, service: str, ip: str) -> None: ...


class Throttle(Protocol):
    """How failed logins slow down and end (policy.logins)."""

    def before(self, ip: str, login: str) -> float | None:
        """Seconds to wait before the next attempt is looked at; None refuses it."""
        ...

    def text(self, ip: str) -> str:
        """Why attempts from this address are refused, and for how long, for the peer."""
        ...

    def failed(self, ip: str, login: str, password: str = "") -> None: ...
    def succeeded(self, ip: str, login: str) -> None: ...


class Rates(Protocol):
    """How many messages an address may send (policy.rates)."""

    def message(self, ip: str) -> Admission: ...
    def octets(self, ip: str, size: int) -> None: ...


class Strangers(Protocol):
    """What other servers are asked to prove (policy.strangers)."""

    async def examine(self, ip: str, helo: str, sender: str) -> Standing:
        """What is to be known of a peer; sender: the domain of MAIL FROM, "" for the null sender."""
        ...


class Conduct(Protocol):
    """What peers did, for what it adds up to (policy.conduct)."""

    def note(self, offence: Offence, ip: str, times: int = 1) -> None: ...
    def session(self, ip: str, tally: Tally) -> None:
        """A connection of a stranger has ended."""
        ...
