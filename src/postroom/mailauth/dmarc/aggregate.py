"""DMARC aggregate reports: what one says, and how it is printed.

Owns: the values; `aggregate_reading` reads what others write. Trusts: the caller for meaning; text is made fit for XML.
Standards: RFC 9990 3.1.1 (tables and their order), 3.5.1 (ids), 3.5.2 (file name and Subject), Appendix A (schema).
On failure: never.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

NAMESPACE: Final = "urn:ietf:params:xml:ns:dmarc-2.0"
#: signatures of one row (RFC 9990 3.1.3)
MOST_SIGNATURES: Final = 100
#: what XML 1.0 cannot hold (2.2)
_UNFIT: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class DkimTold(Struct, frozen=True, array_like=True):
    """One signature's result (RFC 9990 3.1.1.12)."""

    domain: str
    selector: str
    result: str


class SpfTold(Struct, frozen=True, array_like=True):
    """SPF's result (RFC 9990 3.1.1.13)."""

    domain: str
    result: str


class Override(Struct, frozen=True, array_like=True):
    """Why another policy was applied (RFC 9990 3.1.6). type: local_policy, mailing_list, other, policy_test_mode,
    trusted_forwarder; older reports also have forwarded and sampled_out.
    """

    type: str
    comment: str = ""


class Row(Struct, frozen=True, array_like=True):
    """Messages that are alike (RFC 9990 3.1.1.7). disposition: none, pass, quarantine, reject; dkim, spf: whether the
    aligned identifier passed. envelope_from: None when it was not told, "" for the null sender.
    """

    ip: str
    count: int
    disposition: str
    dkim: bool
    spf: bool
    header_from: str
    envelope_from: str | None = None
    reasons: tuple[Override, ...] = ()
    dkims: tuple[DkimTold, ...] = ()
    spfs: tuple[SpfTold, ...] = ()

    @property
    def aligned(self) -> bool:
        """DMARC passed."""
        return self.dkim or self.spf


class Published(Struct, frozen=True, array_like=True):
    """The policy that was found (RFC 9990 3.1.1.5); "" for what was not told. percent: pct of RFC 7489."""

    domain: str
    policy: str = "none"
    subdomains: str = ""
    missing: str = ""
    adkim: str = ""
    aspf: str = ""
    failure_options: str = ""
    testing: str = ""
    discovery: str = ""
    percent: str = ""


class Aggregate(Struct, frozen=True, kw_only=True):
    """A whole report. begin, end: Unix seconds; omitted: rows that could not be read or were too many."""

    org: str
    email: str
    id: str
    begin: int
    end: int
    published: Published
    rows: tuple[Row, ...]
    contact: str = ""
    errors: tuple[str, ...] = ()
    generator: str = ""
    version: str = "1.0"
    omitted: int = 0


def report_id(day: str, domain: str, submitter: str) -> str:
    """RFC 9990 3.5.1, as in its example; day: YYYY-MM-DD."""
    return f"{day}_{domain}@{submitter}"


def file_name(report: Aggregate, submitter: str) -> str:
    """RFC 9990 3.5.2, for a gzip file; the same whenever the report is sent again."""
    return f"{submitter}!{report.published.domain}!{report.begin}!{report.end}.xml.gz"


def subject(report: Aggregate, submitter: str) -> str:
    """RFC 9990 3.5.2."""
    return f"Report Domain: {report.published.domain} Submitter: {submitter} Report-ID: <{report.id}>"


def print_xml(report: Aggregate) -> Iterator[bytes]:
    """The report as XML in UTF-8, piece by piece."""
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<feedback xmlns="{NAMESPACE}">\n'.encode()
    yield _element(0, "version", report.version).encode()
    yield _metadata(report).encode()
    yield _published(report.published).encode()
    for row in report.rows:
        yield _record(row).encode()
    yield b"</feedback>\n"


def _metadata(report: Aggregate) -> str:
    """RFC 9990 3.1.1.3, in its order."""
    times = _element(3, "begin", str(report.begin)) + _element(3, "end", str(report.end))
    inner = (
        _element(2, "org_name", report.org)
        + _element(2, "email", report.email)
        + _optional(2, "extra_contact_info", report.contact)
        + _element(2, "report_id", report.id)
        + _nested(2, "date_range", times)
        + _optional(2, "error", "; ".join(report.errors))
        + _optional(2, "generator", report.generator)
    )
    return _nested(1, "report_metadata", inner)


def _published(found: Published) -> str:
    """RFC 9990 3.1.1.5, in its order."""
    inner = (
        _element(2, "domain", found.domain)
        + _optional(2, "discovery_method", found.discovery)
        + _element(2, "p", found.policy)
        + _optional(2, "sp", found.subdomains)
        + _optional(2, "np", found.missing)
        + _optional(2, "fo", found.failure_options)
        + _optional(2, "adkim", found.adkim)
        + _optional(2, "aspf", found.aspf)
        + _optional(2, "testing", found.testing)
    )
    return _nested(1, "policy_published", inner)


def _record(row: Row) -> str:
    """RFC 9990 3.1.1.7."""
    reasons = "".join(
        _nested(4, "reason", _element(5, "type", one.type) + _optional(5, "comment", one.comment))
        for one in row.reasons
    )
    evaluated = (
        _element(4, "disposition", row.disposition)
        + _element(4, "dkim", "pass" if row.dkim else "fail")
        + _element(4, "spf", "pass" if row.spf else "fail")
        + reasons
    )
    line = (
        _element(3, "source_ip", row.ip)
        + _element(3, "count", str(row.count))
        + _nested(3, "policy_evaluated", evaluated)
    )
    names = _element(3, "header_from", row.header_from)
    if row.envelope_from is not None:
        names += _element(3, "envelope_from", row.envelope_from)
    return _nested(1, "record", _nested(2, "row", line) + _nested(2, "identifiers", names) + _results(row))


def _results(row: Row) -> str:
    """RFC 9990 3.1.1.11."""
    inner = ""
    for one in row.dkims[:MOST_SIGNATURES]:
        told = (
            _element(4, "domain", one.domain)
            + _element(4, "selector", one.selector)
            + _element(4, "result", one.result)
        )
        inner += _nested(3, "dkim", told)
    for spf in row.spfs[:1]:
        told = _element(4, "domain", spf.domain) + _element(4, "scope", "mfrom") + _element(4, "result", spf.result)
        inner += _nested(3, "spf", told)
    return _nested(2, "auth_results", inner)


def _nested(depth: int, name: str, inner: str) -> str:
    pad = "  " * depth
    return f"{pad}<{name}>\n{inner}{pad}</{name}>\n"


def _escaped(text: str) -> str:
    return _UNFIT.sub("?", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _element(depth: int, name: str, text: str) -> str:
    return f"{'  ' * depth}<{name}>{_escaped(text)}</{name}>\n"


def _optional(depth: int, name: str, text: str) -> str:
    return _element(depth, name, text) if text else ""
