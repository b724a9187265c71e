"""What an address or a login turns out to be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from postroom.store.api import AccountRow


@dataclass(frozen=True, slots=True)
class Target:
    """Where mail goes in the end. account: id of an account here; None: an address outside, or one of ours that
    programs read: for reports, or a spam trap.
    """

    address: str
    account: str | None
    reports: bool = False
    trap: bool = False


@dataclass(frozen=True, slots=True)
class NotHosted:
    """The domain is none of ours."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The domain is ours, the address is not."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """Ours: where it goes, aliases expanded, each target once; at least one."""

    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """The domain is ours, but takes no mail while it is suspended. domain: the one that is."""

    domain: str


Resolution = NotHosted | Unknown | Closed | Hosted


@dataclass(frozen=True, slots=True)
class Found:
    """An account that mail for an address is kept in. detail: what the address says after the separator (RFC 5233 1),
    as it was written; folders: may the detail name the mailbox: "off", "existing" or "create"; separators: of the
    domain; name: the local part without the detail.
    """

    row: AccountRow
    detail: str = ""
    folders: str = "off"
    separators: str = "+"
    name: str = ""


class Sending(IntEnum):
    """How a log-in may use an address as a sender's. ON_BEHALF: only if Sender says who it really is."""

    NO = 0
    ON_BEHALF = 1
    AS = 2
    OWN = 3


@dataclass(frozen=True, slots=True)
class Permit:
    """owner: the account that lends its address; None for an own one."""

    kind: Sending
    owner: AccountRow | None = None
