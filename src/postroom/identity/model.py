"""What an address or a login turns out to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Where mail goes in the end. account: id of an account here; None: an address outside, or one of ours that
    programs read, for reports.
    """

    address: str
    account: str | None
    reports: bool = False


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


Resolution = NotHosted | Unknown | Hosted
