"""What the DNS says beside what it should say: every difference has a cause and a fix."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from postroom.identity.records import PublishedKey, Site, records
from postroom.identity.records_check import Finding, check
from postroom.mailauth.dkim import SigningKey, generate_key
from postroom.mailauth.zone import ZoneData
from postroom.values.dns import Lookup, RecordType

KEY = SigningKey.load("x.test", "s1", generate_key("ed25519"))
SITE = Site(hostname="mail.x.test", services=(("imap", True, 993),), tlsa=bytes(32), https=True, sts_mode="testing")
WANTED = records("x.test", [PublishedKey("s1", "active", KEY.record)], SITE)


def full_zone() -> dict[str, Any]:
    """The zone of somebody who did everything right."""
    zone: dict[str, Any] = {
        "mail.x.test": {"A": ["198.51.100.7"], "AAAA": ["2001:db8::7"]},
        "mta-sts.x.test": {"CNAME": ["mail.x.test"]},
        "autoconfig.x.test": {"CNAME": ["mail.x.test"]},
        "7.100.51.198.in-addr.arpa": {"PTR": ["mail.x.test"]},
        "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": {"PTR": ["mail.x.test"]},
    }
    for record in WANTED:
        kinds = zone.setdefault(record.name, {})
        if record.type == "MX":
            kinds["MX"] = [[record.priority, SITE.hostname]]
        elif record.type == "TXT":
            kinds["TXT"] = [record.value]
        elif record.type == "SRV":
            kinds["SRV"] = []
        elif record.type == "TLSA":
            kinds["TLSA"] = [[3, 1, 1, bytes(32).hex()]]
    return zone


class Zone:
    """ZoneData, with the services that it does not know."""

    def __init__(self, zone: dict[str, Any], secure: bool = True) -> None:
        self.data = ZoneData(zone)
        self.secure = secure

    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        if kind is RecordType.SRV:
            return Lookup(((0, 1, 993, "mail.x.test"),)) if name.startswith("_imaps.") else Lookup(())
        found = await self.data.lookup(name, kind)
        return Lookup(found.records, self.secure)


async def findings(zone: dict[str, Any], secure: bool = True) -> dict[tuple[str, str], Finding]:
    # these networks are for documents and count as private: tell the check that they are not
    found = await check(Zone(zone, secure), "x.test", WANTED, SITE)
    assert all(one.fix for one in found if one.state in ("missing", "different"))
    return {(one.name, one.kind): one for one in found}


@pytest.fixture(autouse=True)
def _documents_are_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.identity.records_check.is_public", lambda _address: True)


async def test_all_is_well() -> None:
    for finding in (await findings(full_zone())).values():
        assert (finding.state, finding.cause) == ("ok", ""), finding


async def test_nothing_is_there() -> None:
    found = await findings({})
    assert {one.state for one in found.values() if one.kind != "srv"} == {"missing"}
    assert "nobody can send mail to it" in found["mail.x.test", "host"].cause
    assert found["x.test", "mx"].fix == "Publish: x.test. MX 10 mail.x.test."


CASES = [
    ("x.test", "mx", "MX", [[0, ""]], "different", "takes no mail at all"),
    ("x.test", "mx", "MX", [[10, "other.test"]], "different", "mail goes to other.test, not to this server"),
    ("x.test", "mx", "MX", [[5, "filter.test"], [10, "mail.x.test"]], "different", "filter.test before"),
    ("x.test", "mx", "MX", [[10, "mail.x.test"], [20, "backup.test"]], "ok", "backup.test takes mail when"),
    ("x.test", "spf", "TXT", ["v=spf1 mx -all", "v=spf1 a -all"], "different", "there are 2 SPF records"),
    ("x.test", "spf", "TXT", ["v=spf1 ip4:192.0.2.1 -all"], "different", "gets the SPF result fail"),
    ("x.test", "spf", "TXT", ["v=spf1 +all"], "different", "everybody may send"),
    ("x.test", "spf", "TXT", ["other words", "v=spf1 mx ~all"], "ok", ""),
    ("x.test", "spf", "TXT", ["other words"], "missing", "begins with v=spf1"),
    ("_dmarc.x.test", "dmarc", "TXT", ["v=DMARC1; p=none; rua=mailto:a@b.test"], "ok", "only watches"),
    ("_dmarc.x.test", "dmarc", "TXT", ["v=DMARC1; p=reject"], "ok", "its reports do not come here"),
    ("_dmarc.x.test", "dmarc", "TXT", ["v=DMARC1; p=maybe"], "different", "p=maybe is unknown"),
    ("_dmarc.x.test", "dmarc", "TXT", ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "different", "2 DMARC records"),
    ("s1._domainkey.x.test", "dkim", "TXT", ["v=DKIM1; p="], "different", "withdrawn"),
    ("s1._domainkey.x.test", "dkim", "TXT", [KEY.record[:-9]], "different", "cut off"),
    ("s1._domainkey.x.test", "dkim", "TXT", [KEY.record, "v=DKIM1; p=AAAA"], "different", "2 records"),
    ("s1._domainkey.x.test", "dkim", "TXT", [KEY.record.replace("; ", ";")], "ok", ""),
    ("s1._domainkey.x.test", "dkim", "TXT", ["t=y; " + KEY.record.partition(" ")[2]], "ok", "this is a test"),
    ("_25._tcp.mail.x.test", "tlsa", "TLSA", [[3, 1, 1, "01" * 32]], "different", "no TLSA record fits"),
    ("_mta-sts.x.test", "mta-sts", "TXT", ["v=STSv1; id=old"], "different", "it says v=STSv1; id=old"),
    ("x.test", "mx", "MX", "TIMEOUT", "unknown", "could not tell"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "type_", "records_", "state", "cause"), CASES)
async def test_differences(name: str, kind: str, type_: str, records_: Any, state: str, cause: str) -> None:
    zone = copy.deepcopy(full_zone())
    zone[name][type_] = records_
    finding = (await findings(zone))[name, kind]
    assert finding.state == state, finding
    assert cause in finding.cause


async def test_the_name_of_the_address() -> None:
    zone = full_zone()
    zone["7.100.51.198.in-addr.arpa"]["PTR"] = ["host7.provider.test"]
    finding = (await findings(zone))["7.100.51.198.in-addr.arpa", "ptr"]
    assert finding.state == "different"
    assert "is called host7.provider.test, not mail.x.test" in finding.cause
    assert finding.fix.endswith("PTR mail.x.test.")


async def test_tlsa_needs_dnssec() -> None:
    finding = (await findings(full_zone(), secure=False))["_25._tcp.mail.x.test", "tlsa"]
    assert finding.state == "ok"
    assert "DNSSEC" in finding.cause


async def test_a_policy_host_that_leads_elsewhere() -> None:
    zone = full_zone()
    zone["mta-sts.x.test"] = {"A": ["203.0.113.1"]}
    found = await check(Zone(zone), "x.test", WANTED, SITE)
    [finding] = [one for one in found if one.name == "mta-sts.x.test"]
    assert finding.state == "different"


async def test_a_private_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    finding = (await findings(full_zone()))["mail.x.test", "host"]
    assert finding.state == "different"
    assert "cannot be reached from the outside" in finding.cause
