"""What a domain must publish, and how it is written."""

from __future__ import annotations

import pytest

from postroom.identity.records import PublishedKey, Record, Site, provider_rows, records, sts_id, sts_policy, zone_file

SITE = Site(
    hostname="mail.x.test",
    services=(("imap", True, 993), ("submission", True, 465), ("submission", False, 587), ("lmtp", False, 24)),
    tlsa=bytes(range(32)),
    https=True,
    sts_mode="enforce",
)
RSA = "v=DKIM1; k=rsa; p=" + "A" * 392
KEYS = [PublishedKey("s1", "active", RSA), PublishedKey("s0", "retired", "v=DKIM1; k=ed25519; p=BBBB")]


def one(found: list[Record], name: str, kind: str = "") -> Record:
    [record] = [record for record in found if record.name == name and kind in ("", record.kind)]
    return record


def test_everything_a_domain_needs() -> None:
    found = records("x.test", KEYS, SITE)
    assert one(found, "x.test", "mx").zone_value() == "10 mail.x.test."
    assert one(found, "x.test", "spf").zone_value() == '"v=spf1 mx -all"'
    assert one(found, "mail.x.test", "spf").value == "v=spf1 a -all"
    assert one(found, "_dmarc.x.test").value == "v=DMARC1; p=quarantine; rua=mailto:dmarc-reports@x.test"
    assert one(found, "_smtp._tls.x.test").value == "v=TLSRPTv1; rua=mailto:tls-reports@x.test"
    assert one(found, "_submissions._tcp.x.test").zone_value() == "0 1 465 mail.x.test."
    assert one(found, "_submission._tcp.x.test").zone_value() == "10 1 587 mail.x.test."
    assert one(found, "_imaps._tcp.x.test").value == "1 993 mail.x.test."
    assert one(found, "_25._tcp.mail.x.test").value == "3 1 1 " + bytes(range(32)).hex()
    assert one(found, "_mta-sts.x.test").value == f"v=STSv1; id={sts_id(sts_policy(SITE))}"
    assert one(found, "mta-sts.x.test").value == "mail.x.test."
    assert one(found, "autoconfig.x.test").zone_value() == "mail.x.test."
    assert one(found, "s0._domainkey.x.test").need == "may"
    assert all(record.why.endswith(".") for record in found)


def test_what_is_not_there_is_not_published() -> None:
    found = records("x.test", [], Site(hostname="x.test"))
    assert [record.kind for record in found] == ["mx", "spf", "dmarc", "tlsrpt"]


def test_long_keys_are_cut_into_character_strings() -> None:
    text = zone_file("x.test", records("x.test", KEYS, SITE))
    [line] = [line for line in text.splitlines() if line.startswith("s1._domainkey.x.test.")]
    value = line.split("\t", 3)[3]
    pieces = value[1:-1].split('" "')
    assert all(len(piece) <= 255 for piece in pieces)
    assert "".join(pieces) == RSA
    assert text.startswith("; mail for x.test\n$TTL 3600\n")


def test_names_as_providers_ask_for_them() -> None:
    rows = provider_rows("x.test", records("x.test", KEYS, SITE))
    assert ("MX", "@", "10", "mail.x.test.") in rows
    assert ("TXT", "s1._domainkey", "", RSA) in rows
    other = provider_rows("x.test", records("x.test", [], Site(hostname="mail.host.test")))
    assert ("TXT", "mail.host.test.", "", "v=spf1 a -all") in other


@pytest.mark.parametrize("mode", ["enforce", "testing"])
def test_the_policy_id_changes_with_the_policy(mode: str) -> None:
    policy = sts_policy(Site(hostname="mail.x.test", sts_mode=mode))
    assert f"mode: {mode}\r\nmx: mail.x.test\r\n" in policy
    ids = {sts_id(policy), sts_id(policy.replace("mail.", "mx."))}
    assert len(ids) == 2
    assert all(one.isalnum() and len(one) <= 32 for one in ids)
