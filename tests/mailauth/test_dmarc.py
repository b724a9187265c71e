"""DMARC: records, the tree walk and alignment, with the examples of RFC 9989 and cases of our own."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mailauth.dmarc import (
    DmarcResult,
    Identifier,
    Policy,
    TreeWalk,
    evaluate,
    mailto,
    parse_policy_record,
    walked_names,
)
from postroom.mailauth.names import a_labels
from postroom.mailauth.zone import ZoneData, finished
from postroom.values.dns import Lookup, RecordType

REJECT = "v=DMARC1; p=reject"


def txt(**records: str) -> dict[str, Any]:
    """A zone of TXT records; "__" in a name is a dot."""
    return {name.replace("__", "."): {"TXT": [text]} for name, text in records.items()}


def policies(records: dict[str, str]) -> dict[str, Any]:
    """A zone with a DMARC record for each domain."""
    return {f"_dmarc.{domain}": {"TXT": [text]} for domain, text in records.items()}


def run(zone: dict[str, Any], author: str, spf: str = "", *dkim: str, words: str = "pass") -> DmarcResult:
    """The result when SPF passed for one domain and signatures for others."""
    by_spf = Identifier(words, spf) if spf else None
    return finished(evaluate(ZoneData(zone), author, by_spf, [Identifier(words, one) for one in dkim]))


# RFC 9989 B.1: the identifiers of each example, and whether they are aligned
@pytest.mark.parametrize(
    ("author", "proof", "relaxed", "strict"),
    [
        ("example.com", "example.com", "pass", "pass"),
        ("example.com", "child.example.com", "pass", "fail"),
        ("child.example.com", "example.net", "fail", "fail"),
        ("child.example.com", "example.com", "pass", "fail"),
        ("news.example.com", "foo.example.com", "pass", "fail"),
        ("news.example.com", "foo.example.net", "fail", "fail"),
        ("News.Example.COM.", "news.example.com", "pass", "pass"),
    ],
)
def test_alignment_of_rfc_9989(author: str, proof: str, relaxed: str, strict: str) -> None:
    soft = policies({"example.com": REJECT, "example.net": REJECT})
    hard = policies({"example.com": REJECT + "; adkim=s; aspf=s", "example.net": REJECT})
    for zone, expected in ((soft, relaxed), (hard, strict)):
        by_spf, by_dkim = run(zone, author, proof), run(zone, author, "", proof)
        assert (by_spf.result, by_dkim.result) == (expected, expected)
        assert (by_spf.spf_aligned, by_spf.dkim_aligned) == (expected == "pass", False)
        assert (by_dkim.spf_aligned, by_dkim.dkim_aligned) == (False, expected == "pass")


def test_the_session_of_rfc_9989_b_3_1() -> None:
    zone = policies({"example.com": "v=DMARC1; p=reject; aspf=r; rua=mailto:dmarc-feedback@example.com"})
    result = run(zone, "example.com", "mail.example.com", "example.com")
    assert (result.result, result.spf_aligned, result.dkim_aligned) == ("pass", True, True)
    assert result.record
    assert result.record.aggregate == ("mailto:dmarc-feedback@example.com",)


class Asked:
    """A Dns that notes what it is asked."""

    def __init__(self, zone: dict[str, Any]) -> None:
        self.zone = ZoneData(zone)
        self.names: list[str] = []

    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        self.names.append(name)
        return await self.zone.lookup(name, kind)


def test_the_walk_of_rfc_9989_4_10() -> None:
    assert walked_names("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    assert walked_names("a.mail.example.com") == ["a.mail.example.com", "mail.example.com", "example.com", "com"]
    assert walked_names("com") == ["com"]
    eight = "1.2.3.4.5.6.7.8"
    assert walked_names(eight)[:2] == [eight, "2.3.4.5.6.7.8"]
    assert len(walked_names(eight)) == 8


def test_the_simple_example_of_rfc_9989_b_4_1() -> None:
    zone = policies({"example.com": REJECT, "signing.example.com": "v=DMARC1; p=none"})
    dns = Asked(zone)
    result = finished(
        evaluate(dns, "example.com", Identifier("fail", "example.com"), [Identifier("pass", "signing.example.com")])
    )
    assert (result.result, result.policy_domain, result.organization) == ("pass", "example.com", "example.com")
    assert dns.names == ["_dmarc.example.com", "_dmarc.com", "_dmarc.signing.example.com"]


def test_the_deep_example_of_rfc_9989_b_4_2() -> None:
    zone = policies({"example.com": "v=DMARC1; p=none; sp=quarantine", "signing.example.com": REJECT})
    author = "a.b.c.d.e.f.g.h.i.j.k.example.com"
    result = run(zone, author, "example.com", "signing.example.com")
    assert (result.result, result.spf_aligned, result.dkim_aligned) == ("pass", True, True)
    assert (result.policy_domain, result.organization) == ("example.com", "example.com")
    failed = run(zone, author, "example.net")
    assert (failed.result, failed.policy) == ("fail", "quarantine")


def test_the_public_suffix_of_rfc_9989_b_4_3() -> None:
    zone = policies({"bank.example": "v=DMARC1; p=reject; psd=y", "giant.bank.example": "v=DMARC1; p=quarantine"})
    author = "giant.bank.example"
    result = run(zone, author, "mail.giant.bank.example", "mail.mega.bank.example")
    assert (result.result, result.spf_aligned, result.dkim_aligned) == ("pass", True, False)
    failed = run(zone, author, "", "mail.mega.bank.example")
    assert (failed.result, failed.policy, failed.policy_domain) == ("fail", "quarantine", author)
    # an organisation without a record gets the policy of its suffix
    other = run(zone, "mega.bank.example", "mail.giant.bank.example")
    assert (other.result, other.policy, other.policy_domain) == ("fail", "reject", "bank.example")
    assert other.organization == "mega.bank.example"


# RFC 9989 4.10.2: the three examples at its end, and each rule by itself
@pytest.mark.parametrize(
    ("records", "domain", "organization"),
    [
        ({"mail.example.com": REJECT, "example.com": REJECT}, "a.mail.example.com", "example.com"),
        ({"mail.example.com": REJECT + "; psd=n", "example.com": REJECT}, "a.mail.example.com", "mail.example.com"),
        ({"com": REJECT + "; psd=y"}, "a.mail.example.com", "example.com"),
        ({}, "a.mail.example.com", "a.mail.example.com"),
        ({"example.com": REJECT + "; psd=y"}, "example.com", "example.com"),
        ({"example.com": REJECT + "; psd=y", "com": REJECT}, "example.com", "example.com"),
        ({"example.com": REJECT + "; psd=u"}, "example.com", "example.com"),
        ({"d.e.f.g.h.i": REJECT + "; psd=y"}, "1.2.a.b.c.d.e.f.g.h.i", "c.d.e.f.g.h.i"),
        # RFC 9989 5.1.8: the walk passes over this record
        ({"b.c.d.e.f.g.z.example": REJECT + "; psd=n"}, "m.a.b.c.d.e.f.g.z.example", "m.a.b.c.d.e.f.g.z.example"),
    ],
)  # fmt: skip
def test_the_organisational_domain(records: dict[str, str], domain: str, organization: str) -> None:
    assert finished(TreeWalk(ZoneData(policies(records))).organization(domain)) == organization


@pytest.mark.parametrize(
    ("record", "zone", "author", "policy"),
    [
        ("p=reject", {}, "example.org", "reject"),
        ("p=REJECT", {}, "example.org", "reject"),
        ("p=reject; sp=none", {}, "example.org", "reject"),
        ("p=reject; sp=none", {}, "sub.example.org", "none"),
        ("p=none; sp=quarantine", {}, "sub.example.org", "quarantine"),
        ("p=none; np=reject", {}, "sub.example.org", "reject"),
        ("p=none; np=reject", {"sub.example.org": {"A": ["192.0.2.1"]}}, "sub.example.org", "none"),
        ("p=none; np=reject", {"sub.example.org": {"TXT": ["hello"]}}, "sub.example.org", "none"),
        ("p=none; sp=quarantine; np=reject", {}, "sub.example.org", "reject"),
        ("p=none; sp=quarantine; np=reject", {"sub.example.org": {"MX": [[1, "a."]]}}, "sub.example.org", "quarantine"),
        ("p=reject; np=none", {}, "example.org", "reject"),
        ("p=reject", {}, "a.b.c.example.org", "reject"),
        ("p=reject; t=y", {}, "example.org", "quarantine"),
        ("p=quarantine; t=y", {}, "example.org", "none"),
        ("p=none; t=y", {}, "example.org", "none"),
        ("p=none; sp=reject; t=Y", {}, "sub.example.org", "quarantine"),
        ("p=reject; t=maybe", {}, "example.org", "reject"),
        ("p=reject; pct=0", {}, "example.org", "reject"),
        ("p=reject; sp=", {}, "example.org", "permerror"),
        ("p=reject; sp=bad; rua=mailto:a@example.org", {}, "example.org", "none"),
        ("p=bad; rua=mailto:a@example.org", {}, "example.org", "none"),
        ("p=bad; rua=nothing", {}, "example.org", "permerror"),
        ("p=bad", {}, "example.org", "permerror"),
        ("rua=mailto:a@example.org", {}, "example.org", "none"),
        ("rua=mailto:a@example.org; sp=reject", {}, "sub.example.org", "reject"),
        ("sp=reject", {}, "sub.example.org", "no policy"),
    ],
)
def test_policies(record: str, zone: dict[str, Any], author: str, policy: str) -> None:
    result = run({**policies({"example.org": f"v=DMARC1; {record}"}), **zone}, author, "example.net")
    if policy == "permerror":
        assert (result.result, result.policy) == ("permerror", "none")
    elif policy == "no policy":
        assert (result.result, result.policy) == ("none", "none")
    else:
        assert (result.result, result.policy) == ("fail", policy), result.steps


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["v=DMARC2; p=reject"],
        ["v=dmarc1; p=reject"],
        [" v=DMARC1; p=reject"],
        ["p=reject; v=DMARC1"],
        ["v=DMARC1 p=reject"],
        [REJECT, REJECT],
        ["v=spf1 -all"],
        ["v=DMARC1; p=reject;" + "x" * 20000],
    ],
)
def test_no_record(texts: list[str]) -> None:
    result = run({"_dmarc.example.org": {"TXT": texts}}, "example.org", "example.org")
    assert (result.result, result.policy, result.record) == ("none", "none", None)


def test_other_text_at_the_name_does_not_matter() -> None:
    zone = {"_dmarc.example.org": {"TXT": ["google-site-verification=1", ["v=DM", "ARC1;p=rej", "ect"]]}}
    assert run(zone, "example.org", "example.net").policy == "reject"


def test_the_tags_of_a_record() -> None:
    record = parse_policy_record(
        b"v = DMARC1 ; p = quarantine;sp=reject; adkim=s;aspf = S; fo=1:d:x; pct=10; ri=3600;psd=n;"
        b" rua=mailto:a@example.org!10m , https://example.org/x ,mailto:nobody, mailto:b%2Bc@example.org;"
        b" ruf=mailto:f@example.net; future=1; p=none; =; 1=2;"
    )
    assert record
    assert (record.policy, record.subdomains, record.missing) == (Policy.QUARANTINE, Policy.REJECT, None)
    assert (record.strict_dkim, record.strict_spf, record.suffix, record.testing) == (True, True, "n", False)
    assert record.failure_options == ("1", "d")
    assert (record.percent, record.interval) == (10, 3600)
    assert record.aggregate == (
        "mailto:a@example.org",
        "https://example.org/x",
        "mailto:b%2Bc@example.org",
    )
    assert [mailto(one) for one in record.aggregate] == ["a@example.org", "", "b+c@example.org"]
    assert record.failure == ("mailto:f@example.net",)
    assert len(record.problems) == 4


def test_problems_of_the_dns() -> None:
    slow = {"_dmarc.example.org": "TIMEOUT"}
    assert run(slow, "example.org", "example.org").result == "temperror"
    assert run(slow, "sub.example.org", "sub.example.org").result == "temperror"
    # what lies above is not asked for when nothing depends on it
    above = {**policies({"example.org": REJECT}), "_dmarc.org": "SERVFAIL"}
    assert run(above, "example.org", "example.org").result == "pass"
    assert run(above, "example.org").result == "fail"
    assert run(above, "example.org", "mail.example.org").result == "temperror"
    # nobody knows whether the name exists: the policy is not known, but a proof is a proof
    unsure = {**policies({"example.org": "v=DMARC1; p=none; np=reject"}), "sub.example.org": "TIMEOUT"}
    assert run(unsure, "sub.example.org", "example.net").result == "temperror"
    assert run(unsure, "sub.example.org", "example.org").result == "pass"


def test_a_temporary_error_counts_only_where_it_could_have_been_a_proof() -> None:
    zone = policies({"example.org": REJECT})
    assert run(zone, "example.org", "mail.example.org", words="temperror").result == "temperror"
    assert run(zone, "example.org", "", "example.org", words="temperror").result == "temperror"
    stranger = run(zone, "example.org", "slow.example.net", "slow.example.net", words="temperror")
    assert (stranger.result, stranger.policy) == ("fail", "reject")
    for word in ("permerror", "fail", "softfail", "neutral", "none", "policy"):
        assert run(zone, "example.org", "example.org", words=word).result == "fail"


def test_international_domains_are_compared_as_a_labels() -> None:
    zone = policies({"xn--bcher-kva.example": REJECT})
    assert run(zone, "bücher.example", "", "XN--BCHER-KVA.example").result == "pass"
    assert run(zone, "mail.BÜCHER.example", "bücher.example").result == "pass"


@pytest.mark.parametrize(
    "author", ["", ".", "a..b", "[192.0.2.1]", "x" * 64 + ".org", "a b.org", "\x00.org", "ü" * 300]
)
def test_from_without_a_domain(author: str) -> None:
    result = run(policies({"example.org": REJECT}), author, "example.org")
    assert (result.result, result.policy) == ("permerror", "none")
    assert result.reason.isprintable()


def test_questions_are_bounded_however_many_signatures() -> None:
    dns = Asked(policies({"example.org": REJECT}))
    signers = [Identifier("pass", f"{'x.' * 60}{number}.example.net") for number in range(500)]
    below = [Identifier("pass", f"{number}.{'y.' * 60}sub.example.org") for number in range(500)]
    hostile = finished(evaluate(dns, "example.org", None, signers + below))
    assert hostile.result == "fail"
    assert len(dns.names) < 8 * 17
    assert len(hostile.steps) <= 100


@pytest.mark.parametrize(
    "text",
    [
        "p=" + " " * 16000 + "x",
        " " * 16000 + "p=reject",
        "p" + " " * 16000 + "x",
        ";" * 16000,
        "rua=" + "," * 16000,
        "rua=" + "mailto:a@b.example," * 800,
        "rua=mailto:" + "%40" * 5000,
        "fo=" + "0:" * 8000,
        ";".join(f"{'a' * (number % 9 + 1)}=x" for number in range(2000)),
        "pct=" + "9" * 16000,
        "rua=mailto:a@b.example!" + "9" * 16000,
    ],
)
def test_monsters_are_bounded(text: str) -> None:
    began = time.process_time()
    record = parse_policy_record(b"v=DMARC1;" + text.encode())
    assert record is not None
    assert time.process_time() - began < 0.2
    assert len(record.problems) <= 10
    assert len(record.aggregate) <= 20


def test_reasons_say_what_an_administrator_needs() -> None:
    zone = policies({"example.org": REJECT + "; t=y"})
    result = run(zone, "example.org", "bounces.example.net")
    assert result.reason == (
        "nothing proves example.org: SPF passed for bounces.example.net, which is not of the same organisation; "
        "the owner asks for p=reject at _dmarc.example.org, lowered to quarantine by t=y"
    )
    assert run({}, "example.org").reason == "example.org has no DMARC policy; looked at _dmarc.example.org, _dmarc.org"


@settings(max_examples=100)
@given(st.binary(max_size=300).map(lambda tail: b"v=DMARC1;" + tail), st.text(max_size=80))
def test_nothing_raises(text: bytes, author: str) -> None:
    record = parse_policy_record(text)
    assert record is not None
    zone = {f"_dmarc.{a_labels(author) or 'a.b'}": {"TXT": [text.decode("latin-1")]}}
    result = run(zone, author, author, author)
    assert result.reason.isascii()
    assert result.reason.isprintable()
    assert all(step.isascii() and step.isprintable() for step in result.steps)


_LABELS = st.lists(st.sampled_from(["a", "b", "mail", "example", "com", "org"]), min_size=1, max_size=10).map(".".join)
_RECORDS = st.dictionaries(
    _LABELS,
    st.sampled_from([REJECT, "v=DMARC1; p=none; psd=y", "v=DMARC1; p=none; psd=n", "v=DMARC1; p=quarantine; sp=none"]),
    max_size=5,
)  # fmt: skip


@settings(max_examples=100)
@given(_RECORDS, _LABELS, _LABELS)
def test_alignment_agrees_with_its_definition(records: dict[str, str], author: str, proof: str) -> None:
    """RFC 9989 3.2.10.1: relaxed alignment is having one organisational domain; the short cuts change nothing."""
    zone = policies(records)
    result = run(zone, author, proof)
    if result.record is None:
        assert result.result == "none"
        return
    walk = TreeWalk(ZoneData(zone))
    same = finished(walk.organization(author)) == finished(walk.organization(proof))
    assert (result.result == "pass") == (same or author == proof)
