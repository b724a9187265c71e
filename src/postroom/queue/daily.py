"""Reports that this server makes each day for others: what a report is, and who makes them.

A maker gathers what was seen on a past day (UTC) and gives one report for each domain that wants one; app.daily sends
them, once each, whatever is restarted meanwhile.
Owns: nothing; values only. Standards: RFC 9990 3.5 (DMARC), RFC 8460 5 (TLS).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

DAY: Final = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Who reports. domain: the hosted domain whose name and keys the mail has; org: its name for people; contact: an
    address; hostname: of this server.
    """

    domain: str
    org: str
    contact: str
    hostname: str


@dataclass(frozen=True, slots=True)
class ReportDay:
    """A day. begin: its first second, Unix time; name: YYYY-MM-DD."""

    begin: int

    @classmethod
    def of(cls, moment: float) -> ReportDay:
        """The day of a moment."""
        return cls(int(moment // DAY * DAY))

    @classmethod
    def named(cls, name: str) -> ReportDay:
        """The day of a name. Raises ValueError."""
        return cls(int(datetime.strptime(name, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()))

    @property
    def end(self) -> int:
        """Its last second."""
        return self.begin + int(DAY) - 1

    @property
    def name(self) -> str:
        """YYYY-MM-DD."""
        return datetime.fromtimestamp(self.begin, UTC).strftime("%Y-%m-%d")

    def before(self, days: int) -> ReportDay:
        """So many days earlier."""
        return ReportDay(self.begin - days * int(DAY))


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyReport:
    """One report. name: the domain it is about, one of its maker and day; to: mail addresses; post: https URIs, which
    get the attachment's octets (RFC 8460 5.4).

    id: as the report itself says; words: its text part, for people; file, media_type, octets: its attachment;
    report_type: of a multipart/report, "" for multipart/mixed; fields: more header fields. tls: "optional" for a report
    that goes also where TLS fails (RFC 8460 5.3).
    """

    name: str
    to: tuple[str, ...]
    id: str
    subject: str
    words: str
    file: str
    media_type: str
    octets: bytes
    post: tuple[str, ...] = ()
    report_type: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    messages: int = 0
    tls: str = ""


@dataclass(frozen=True, slots=True)
class Unsent:
    """A domain that wants a report and gets none, and why."""

    name: str
    reason: str


class ReportMaker(Protocol):
    """Makes the reports of one kind."""

    @property
    def kind(self) -> str:
        """A word: "dmarc", "tls". The mail is from noreply-KIND at the submitter's domain."""
        ...

    def reports(self, day: ReportDay, submitter: Submitter) -> AsyncIterator[DailyReport | Unsent]:
        """The reports on a day that is over; the same day gives the same reports with the same ids.

        Raises StoreError when what was gathered cannot be read: it is asked again later.
        """
        ...
