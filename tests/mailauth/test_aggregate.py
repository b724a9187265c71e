"""DMARC aggregate reports: what we print is read again; what others send is read; hostile ones cost nothing."""

from __future__ import annotations

import contextlib
import gzip
import xml.etree.ElementTree as ET
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mailauth.dmarc import aggregate_reading
from postroom.mailauth.dmarc.aggregate import (
    NAMESPACE,
    Aggregate,
    DkimTold,
    Override,
    Published,
    Row,
    SpfTold,
    file_name,
    print_xml,
    report_id,
    subject,
)
from postroom.mailauth.dmarc.aggregate_reading import BadReport, read_aggregate
from postroom.mailauth.dmarc.destinations import Destinations, destinations
from postroom.mailauth.zone import ZoneData
from postroom.message.archive import BadArchive, unpacked
from postroom.values.dns import DnsUnavailable

ROW = Row(
    ip="192.0.2.123",
    count=123,
    disposition="pass",
    dkim=True,
    spf=False,
    header_from="example.com",
    envelope_from="example.com",
    reasons=(Override("mailing_list", "it was a list"),),
    dkims=(DkimTold("example.com", "abc123", "pass"), DkimTold("list.test", "s", "fail")),
    spfs=(SpfTold("example.com", "fail"),),
)
REPORT = Aggregate(
    org="Sample <Reporter> & Co",
    email="report@reporter.test",
    id=report_id("2026-03-04", "example.com", "reporter.test"),
    begin=1_772_582_400,
    end=1_772_668_799,
    published=Published("example.com", "quarantine", "none", "reject", "r", "s", "1:d", "n", "treewalk"),
    rows=(ROW, Row("2001:db8::1", 1, "none", False, False, "sub.example.com")),
    contact="https://reporter.test/",
    errors=("two records",),
    generator="Postroom",
)

# RFC 9990 Appendix B
SAMPLE = b"""<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">
  <version>1.0</version>
  <report_metadata>
    <org_name>Sample Reporter</org_name>
    <email>report_sender@example-reporter.com</email>
    <extra_contact_info>...</extra_contact_info>
    <report_id>3v98abbp8ya9n3va8yr8oa3ya</report_id>
    <date_range><begin>1302832000</begin><end>1302918399</end></date_range>
    <generator>Example DMARC Aggregate Reporter v1.2</generator>
  </report_metadata>
  <policy_published>
    <domain>example.com</domain><p>quarantine</p><sp>none</sp><np>none</np>
    <testing>n</testing><discovery_method>treewalk</discovery_method>
  </policy_published>
  <record>
    <row>
      <source_ip>192.0.2.123</source_ip><count>123</count>
      <policy_evaluated><disposition>pass</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated>
    </row>
    <identifiers><envelope_from>example.com</envelope_from><header_from>example.com</header_from></identifiers>
    <auth_results>
      <dkim><domain>example.com</domain><result>pass</result><selector>abc123</selector></dkim>
      <spf><domain>example.com</domain><result>fail</result></spf>
    </auth_results>
  </record>
</feedback>
"""

# As large senders wrote it by RFC 7489: no namespace, no version, pct, prefixes, capitals, odd dates, two SPF results.
OLD = b"""\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8" ?>
<feedback>
  <report_metadata>
    <org_name>google.com</org_name>
    <email>noreply-dmarc-support@google.com</email>
    <extra_contact_info>https://support.google.com/a/answer/2466580</extra_contact_info>
    <report_id>13067219475239543200</report_id>
    <date_range><begin> 1511222400 </begin><end>1511308799.0</end></date_range>
  </report_metadata>
  <policy_published>
    <domain>Example.COM.</domain><adkim>r</adkim><aspf>r</aspf><p>NONE</p><sp></sp><pct>100</pct>
  </policy_published>
  <record>
    <row><source_ip>2001:DB8::9</source_ip><count>2</count>
      <policy_evaluated><disposition>None</disposition><dkim>Fail</dkim><spf>Pass</spf>
        <reason><type>sampled_out</type></reason><reason><type>forwarded</type><comment/></reason>
      </policy_evaluated></row>
    <identifiers><header_from>example.com</header_from></identifiers>
    <auth_results>
      <spf><domain>bounce.example.com</domain><result>hardfail</result></spf>
      <spf><domain>helo.example.com</domain><result>pass</result></spf>
    </auth_results>
  </record>
  <record>
    <row><source_ip>nowhere</source_ip><count>2</count></row>
  </record>
</feedback>
\x00"""


def printed(report: Aggregate) -> bytes:
    return b"".join(print_xml(report))


def test_what_is_printed_is_read_again() -> None:
    assert read_aggregate(printed(REPORT)) == REPORT


def test_the_elements_stand_in_the_order_of_the_rfc() -> None:  # RFC 9990 3.1.1
    root = ET.fromstring(printed(REPORT))

    def names(path: str) -> list[str]:
        found = root if path == "." else root.find("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")))
        assert found is not None
        return [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in found]

    assert root.tag == f"{{{NAMESPACE}}}feedback"
    assert names(".") == ["version", "report_metadata", "policy_published", "record", "record"]
    assert names("report_metadata") == [
        "org_name",
        "email",
        "extra_contact_info",
        "report_id",
        "date_range",
        "error",
        "generator",
    ]
    assert names("policy_published") == [
        "domain",
        "discovery_method",
        "p",
        "sp",
        "np",
        "fo",
        "adkim",
        "aspf",
        "testing",
    ]
    assert names("record") == ["row", "identifiers", "auth_results"]
    assert names("record/row") == ["source_ip", "count", "policy_evaluated"]
    assert names("record/row/policy_evaluated") == ["disposition", "dkim", "spf", "reason"]
    assert names("record/auth_results") == ["dkim", "dkim", "spf"]
    assert names("record/auth_results/dkim") == ["domain", "selector", "result"]


def test_names_of_file_and_subject() -> None:  # RFC 9990 3.5.1, 3.5.2
    assert REPORT.id == "2026-03-04_example.com@reporter.test"
    assert file_name(REPORT, "mx.test") == "mx.test!example.com!1772582400!1772668799.xml.gz"
    assert subject(REPORT, "mx.test") == f"Report Domain: example.com Submitter: mx.test Report-ID: <{REPORT.id}>"


def test_the_sample_of_the_rfc() -> None:  # RFC 9990 Appendix B
    found = read_aggregate(SAMPLE)
    assert (found.org, found.id, found.begin, found.end) == (
        "Sample Reporter",
        "3v98abbp8ya9n3va8yr8oa3ya",
        1302832000,
        1302918399,
    )
    assert found.published == Published("example.com", "quarantine", "none", "none", testing="n", discovery="treewalk")
    (row,) = found.rows
    assert row == Row(
        "192.0.2.123",
        123,
        "pass",
        True,
        False,
        "example.com",
        "example.com",
        dkims=(DkimTold("example.com", "abc123", "pass"),),
        spfs=(SpfTold("example.com", "fail"),),
    )


def test_reports_by_the_older_rfc() -> None:
    found = read_aggregate(OLD)
    assert found.published == Published("example.com", "none", adkim="r", aspf="r", percent="100")
    assert (found.begin, found.end, found.version, found.omitted) == (1511222400, 1511308799, "", 1)
    (row,) = found.rows
    assert (row.ip, row.count, row.disposition, row.dkim, row.spf) == ("2001:db8::9", 2, "none", False, True)
    assert row.reasons == (Override("sampled_out"), Override("forwarded"))
    assert row.spfs == (SpfTold("bounce.example.com", "fail"), SpfTold("helo.example.com", "pass"))
    assert row.envelope_from is None


@pytest.mark.parametrize(
    "change",
    [
        (b"<feedback ", b"<dmarc:feedback xmlns:dmarc='urn:x' "),
        (b"<version>1.0</version>", b""),
        (b"</record>", b"<ext:arc xmlns:ext='urn:e'><ext:row>1</ext:row></ext:arc></record>"),
        (b"</policy_published>", b"</policy_published><extension><record/></extension>"),
    ],
)
def test_shapes_that_mean_the_same(change: tuple[bytes, bytes]) -> None:
    octets = SAMPLE.replace(*change)
    if b"dmarc:feedback" in octets:
        octets = octets.replace(b"</feedback>", b"</dmarc:feedback>")
    assert read_aggregate(octets).rows == read_aggregate(SAMPLE).rows


ENTITIES = b"""<!DOCTYPE feedback [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"""


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "no XML"),
        (b"\x00\x00", "no XML"),
        (b"{}", "no XML"),
        (b"<html></html>", "root is <html>"),
        (SAMPLE[:-20], "no XML"),
        (SAMPLE * 2, "no XML"),
        (ENTITIES + SAMPLE, "DOCTYPE"),
        (b'<!DOCTYPE feedback SYSTEM "http://evil.test/x.dtd">' + SAMPLE, "DOCTYPE"),
        (SAMPLE.replace(b"quarantine", b"&quarantine;"), "no XML"),
        (b'<?xml version="1.0" encoding="utf-7"?>' + SAMPLE, "no XML"),
        (b"<feedback>" + b"<a>" * 100_000, "too deep"),
        (SAMPLE.replace(b"1302918399", b"1202918399"), "before it begins"),
        (SAMPLE.replace(b"1302918399", b"soon"), "no number"),
        (SAMPLE.replace(b"1302918399", b"\xd9\xa1\xd9\xa2"), "no number"),
        (SAMPLE.replace(b"<domain>example.com</domain><p>", b"<p>"), "what domain"),
        (SAMPLE.replace(b"3v98abbp8ya9n3va8yr8oa3ya", b""), "no report_id"),
        (SAMPLE.replace(b"<count>123", b"<count>-1"), "no row"),
        (SAMPLE.replace(b"<count>123", b"<count>" + b"9" * 5000), "no row"),
        (SAMPLE.replace(b"192.0.2.123", b"192.0.2.1234"), "no row"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(octets: bytes, reason: str) -> None:
    with pytest.raises(BadReport, match=reason):
        read_aggregate(octets)


def test_rows_have_a_limit_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate_reading, "MOST_ROWS", 3)
    found = read_aggregate(printed(REPORT).replace(b"</feedback>", b"") + _record() * 9 + b"</feedback>")
    assert (len(found.rows), found.omitted) == (3, 8)
    monkeypatch.setattr(aggregate_reading, "LARGEST", 100)
    with pytest.raises(BadReport, match="more than 100 octets"):
        read_aggregate(SAMPLE)


def _record() -> bytes:
    start, end = SAMPLE.index(b"<record>"), SAMPLE.index(b"</feedback>")
    return SAMPLE[start:end]


def test_long_texts_and_many_children_are_cut() -> None:
    octets = SAMPLE.replace(b"Sample Reporter", b"x" * 1_000_000).replace(
        b"</auth_results>", b"<dkim><domain>a.test</domain></dkim>" * 10_000 + b"</auth_results>"
    )
    found = read_aggregate(octets)
    assert len(found.org) <= 2000
    assert len(found.rows[0].dkims) <= 100


words = st.text(max_size=30)
names = st.sampled_from(["example.com", "a.test", "xn--bcher-kva.example"])


@given(
    st.builds(
        Row,
        ip=st.ip_addresses().map(str),
        count=st.integers(1, 10**12),
        disposition=st.sampled_from(["none", "pass", "quarantine", "reject"]),
        dkim=st.booleans(),
        spf=st.booleans(),
        header_from=names,
        envelope_from=st.none() | names | st.just(""),
        reasons=st.lists(st.builds(Override, st.just("other"), st.just("why")), max_size=3).map(tuple),
        dkims=st.lists(st.builds(DkimTold, names, st.just("s1"), st.just("fail")), max_size=3).map(tuple),
        spfs=st.lists(st.builds(SpfTold, names, st.just("pass")), max_size=1).map(tuple),
    ),
    words,
)
@settings(max_examples=60, deadline=None)
def test_any_row_survives_and_any_name_is_fit_for_xml(row: Row, org: str) -> None:
    found = read_aggregate(printed(_with(rows=(row,), org=org)))
    assert found.rows == (row,)
    assert found.id == REPORT.id


def _with(**fields: Any) -> Aggregate:
    given: dict[str, Any] = {name: getattr(REPORT, name) for name in REPORT.__struct_fields__}
    return Aggregate(**(given | fields))


@given(st.integers(0, len(OLD)), st.integers(0, 40), st.binary(max_size=12))
@settings(max_examples=100, deadline=None)
def test_damaged_reports_are_read_or_refused(at: int, gone: int, instead: bytes) -> None:
    try:
        found = read_aggregate(OLD[:at] + instead + OLD[at + gone :])
    except BadReport:
        return
    assert all(row.count > 0 for row in found.rows)


# archives


def zipped(name: bytes, octets: bytes, *, deflate: bool = True, flags: int = 0, crc: int | None = None) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(octets) + packer.flush() if deflate else octets
    sum_ = zlib.crc32(octets) if crc is None else crc
    sizes = b"\0" * 12 if flags & 8 else b"".join(one.to_bytes(4, "little") for one in (sum_, len(packed), len(octets)))
    head = b"PK\3\4\x14\0" + flags.to_bytes(2, "little") + (8 if deflate else 0).to_bytes(2, "little") + b"\0" * 4
    return head + sizes + len(name).to_bytes(2, "little") + b"\0\0" + name + packed


@pytest.mark.parametrize(
    "octets",
    [
        SAMPLE,
        gzip.compress(SAMPLE, mtime=0),
        gzip.compress(SAMPLE[:100], mtime=0) + gzip.compress(SAMPLE[100:]) + b"\0\0\0",
        zipped(b"a.xml", SAMPLE),
        zipped(b"a.xml", SAMPLE, deflate=False),
        zipped(b"a.xml", SAMPLE, flags=8),
        zipped(b"reports/", b"", deflate=False) + zipped(b"reports/a.xml", SAMPLE),
    ],
)
def test_archives_are_unpacked(octets: bytes) -> None:
    assert unpacked(octets, len(SAMPLE)) == SAMPLE
    with pytest.raises(BadArchive):
        unpacked(octets, len(SAMPLE) - 1)


def test_zip_files_as_the_library_makes_them() -> None:
    import io
    import zipfile

    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr("r.xml", SAMPLE)
        assert unpacked(file.getvalue(), 10_000) == SAMPLE


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (gzip.compress(b"\0" * 5_000_000, mtime=0), "too big"),
        (zipped(b"a.xml", b"\0" * 5_000_000), "too big"),
        (gzip.compress(b"x", mtime=0) * 200, "too many members"),
        (gzip.compress(SAMPLE, mtime=0)[:-9], "too early"),
        (gzip.compress(SAMPLE, mtime=0)[:40] + b"\xff" * 40, "damaged"),
        (zipped(b"a.xml", SAMPLE, crc=1), "checksum"),
        (zipped(b"a.xml", SAMPLE, flags=1), "encrypted"),
        (zipped(b"a.xml", SAMPLE, deflate=False, flags=8), "method"),
        (zipped(b"a.xml", SAMPLE)[:20], "too early"),
        (zipped(b"a/", b"", deflate=False) + b"x" * 100, "no file"),
    ],
)
def test_bombs_and_damage(octets: bytes, reason: str) -> None:
    with pytest.raises(BadArchive, match=reason):
        unpacked(octets, 1_000_000)


@given(
    st.sampled_from([gzip.compress(SAMPLE, mtime=0), zipped(b"a", SAMPLE)]), st.integers(0, 500), st.binary(max_size=6)
)
@settings(max_examples=100, deadline=None)
def test_damaged_archives(octets: bytes, at: int, instead: bytes) -> None:
    with contextlib.suppress(BadArchive):
        assert len(unpacked(octets[:at] + instead + octets[at + len(instead) :], 5000)) <= 5000


# RFC 9990 4


def zone(**more: Any) -> ZoneData:
    records = {
        "blue.example.com._report._dmarc.red.example.net": {"TXT": ["v=DMARC1"]},
        "*._report._dmarc.any.test": {"TXT": ["v=DMARC1; rua=mailto:other@any.test"]},
        "blue.example.com._report._dmarc.any.test": {"TXT": ["v=DMARC1; rua=mailto:other@any.test"]},
        "blue.example.com._report._dmarc.trick.test": {"TXT": ["v=DMARC1; rua=mailto:victim@victim.test"]},
        "blue.example.com._report._dmarc.odd.test": {"TXT": ["hello", "v=spf1 -all"]},
        "blue.example.com._report._dmarc.slow.test": {"TXT": "TIMEOUT"},
        "_dmarc.example.com": {"TXT": ["v=DMARC1; p=none"]},
    }
    return ZoneData(records | more)


@pytest.mark.parametrize(
    ("uris", "wanted"),
    [
        (["mailto:a@blue.example.com"], ["a@blue.example.com"]),
        (["mailto:a@reports.example.com"], ["a@reports.example.com"]),  # the same organisation
        (["mailto:reports@red.example.net"], ["reports@red.example.net"]),
        (["mailto:x@any.test"], ["other@any.test"]),
        (["mailto:x@trick.test"], []),
        (["mailto:x@odd.test"], []),
        (["mailto:victim@victim.test"], []),
        (["https://any.test/", "mailto:a@blue.example.com", "mailto:a@blue.example.com"], ["a@blue.example.com"]),
        (["mailto:x@" + ".".join(["a" * 50] * 5)], []),
        ([f"mailto:a{n}@blue.example.com" for n in range(9)], [f"a{n}@blue.example.com" for n in range(5)]),
    ],
)
async def test_destinations_must_want_it(uris: list[str], wanted: list[str]) -> None:  # RFC 9990 4
    found = await destinations(zone(), "blue.example.com", uris)
    assert list(found.addresses) == wanted
    assert bool(found.refused) == (len(set(uris)) > len(wanted))


async def test_a_dns_that_is_late_is_asked_again() -> None:
    with pytest.raises(DnsUnavailable):
        await destinations(zone(), "blue.example.com", ["mailto:x@slow.test"])
    assert await destinations(zone(), "blue.example.com", []) == Destinations(())
