"""SPF beyond the public suite: the examples of the RFC, limits, international mail, hostile records, reasons."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postroom.mailauth.spf import BadRecord, SpfResult, check, check_helo, parse_record
from postroom.mailauth.spf.client import Client
from postroom.mailauth.spf.macro import BadMacro, expand, expand_name, parse_domain_spec, parse_macros
from postroom.mailauth.zone import ZoneData, finished
from postroom.values.dns import Lookup, RecordType

# RFC 7208 A.1: the zone of its examples
EXAMPLE: dict[str, Any] = {
    "example.com": {
        "MX": [[10, "mail-a.example.com"], [20, "mail-b.example.com"]],
        "A": ["192.0.2.10", "192.0.2.11"],
    },
    "amy.example.com": {"A": ["192.0.2.65"]},
    "bob.example.com": {"A": ["192.0.2.66"]},
    "mail-a.example.com": {"A": ["192.0.2.129"]},
    "mail-b.example.com": {"A": ["192.0.2.130"]},
    "www.example.com": {"CNAME": ["example.com"]},
    "example.org": {"MX": [[10, "mail-c.example.org"]]},
    "mail-c.example.org": {"A": ["192.0.2.140"]},
    "10.2.0.192.in-addr.arpa": {"PTR": ["example.com"]},
    "11.2.0.192.in-addr.arpa": {"PTR": ["example.com"]},
    "65.2.0.192.in-addr.arpa": {"PTR": ["amy.example.com"]},
    "66.2.0.192.in-addr.arpa": {"PTR": ["bob.example.com"]},
    "129.2.0.192.in-addr.arpa": {"PTR": ["mail-a.example.com"]},
    "130.2.0.192.in-addr.arpa": {"PTR": ["mail-b.example.com"]},
    "140.2.0.192.in-addr.arpa": {"PTR": ["mail-c.example.org"]},
    "10.0.0.4.in-addr.arpa": {"PTR": ["bob.example.com"]},
}


def zone(**records: str) -> dict[str, Any]:
    """A zone of SPF records; "__" in a name is a dot."""
    return {name.replace("__", "."): {"TXT": [text]} for name, text in records.items()}


def run(
    records: dict[str, Any], ip: str = "192.0.2.1", sender: str = "ann@example.org", helo: str = "mx.example.net"
) -> SpfResult:
    return finished(check(ZoneData(records), ip, helo, sender, "mx.example.com", 1700000000))


@pytest.mark.parametrize(
    ("record", "allowed", "refused"),
    [
        ("v=spf1 +all", ["192.0.2.129", "2001:db8::1"], []),
        ("v=spf1 a -all", ["192.0.2.10", "192.0.2.11"], ["192.0.2.129"]),
        ("v=spf1 a:example.org -all", [], ["192.0.2.10", "192.0.2.140"]),
        ("v=spf1 mx -all", ["192.0.2.129", "192.0.2.130"], ["192.0.2.10"]),
        ("v=spf1 mx:example.org -all", ["192.0.2.140"], ["192.0.2.129"]),
        ("v=spf1 mx mx:example.org -all", ["192.0.2.129", "192.0.2.130", "192.0.2.140"], ["192.0.2.10"]),
        ("v=spf1 mx/30 mx:example.org/30 -all", ["192.0.2.131", "192.0.2.143"], ["192.0.2.132", "192.0.2.139"]),
        ("v=spf1 ptr -all", ["192.0.2.10", "192.0.2.65"], ["192.0.2.140", "4.0.0.10"]),
        ("v=spf1 ip4:192.0.2.128/28 -all", ["192.0.2.128", "192.0.2.143"], ["192.0.2.127", "192.0.2.65"]),
    ],
)
def test_the_simple_examples_of_appendix_a_1(record: str, allowed: list[str], refused: list[str]) -> None:
    records = {**EXAMPLE, "example.com": {**EXAMPLE["example.com"], "TXT": [record]}}
    for expected, hosts in (("pass", allowed), ("fail", refused)):
        for host in hosts:
            assert run(records, host, "x@example.com").result == expected, host


def test_the_black_list_style_example_of_appendix_a_3() -> None:
    records = {
        **zone(example__com="v=spf1 -all exists:%{d}"),
        "mary.mobile-users._spf.example.com": {"A": ["127.0.0.2"]},
        "15.15.168.192.joel.remote-users._spf.example.com": {"A": ["127.0.0.2"]},
        "example.com": {
            "TXT": ["v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all"],
            "MX": [[1, "mx.example.com"]],
        },
        "mx.example.com": {"A": ["192.0.2.1"]},
        "mobile-users._spf.example.com": {"TXT": ["v=spf1 exists:%{l1r+}.%{d}"]},
        "remote-users._spf.example.com": {"TXT": ["v=spf1 exists:%{ir}.%{l1r+}.%{d}"]},
    }
    assert run(records, "203.0.113.5", "mary+lists@example.com").result == "pass"
    assert run(records, "192.168.15.15", "joel@example.com").result == "pass"
    assert run(records, "192.168.15.16", "joel@example.com").result == "fail"


FACTS = {
    "s": "strong-bad@email.example.com", "l": "strong-bad", "o": "email.example.com", "d": "email.example.com",
    "i": "192.0.2.3", "v": "in-addr", "h": "x", "p": "mx.example.org", "c": "192.0.2.3", "r": "r", "t": "1",
}  # fmt: skip


# RFC 7208 7.4
@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{L1R-}", "strong"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{d0005}%%%_%-", "email.example.com% %20"),
        ("%{d99999999999999999999999}", "email.example.com"),
    ],
)
def test_macros_of_7_4(text: str, expanded: str) -> None:
    assert expand(parse_macros(text), FACTS, 1000) == expanded


def test_macros_of_ipv6() -> None:
    client = Client.of("2001:db8::cb01")
    pieces = parse_macros("%{ir}.%{v}._spf.%{d2}")
    expected = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
    assert expand(pieces, {**FACTS, "i": client.dotted, "v": "ip6"}, 1000).lower() == expected
    assert client.reverse_name == expected.replace("ip6._spf.example.com", "ip6.arpa")
    assert Client.of("::ffff:192.0.2.3") == Client.of("192.0.2.3")
    assert Client.of("192.0.2.3").reverse_name == "3.2.0.192.in-addr.arpa"


@pytest.mark.parametrize("text", ["%", "%{d", "%{}", "%{x}", "%{d0}", "%{d00}", "%(d)", "%{d!}", "a b", "\x7f", "%{c}"])
def test_bad_macros(text: str) -> None:
    with pytest.raises(BadMacro):
        parse_macros(text)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("a.b", True), ("a.b.", True), ("a.1b", True), ("a.b1", True), ("a.1-1", True), ("%{d}", True), ("x%%", True),
        ("%{d}.com", True), ("a/b:c.com", True), ("a..com", True), (".com", True), ("a.x--y", True), ("a.%{d}", True),
        ("", False), ("com", False), ("a.1", False), ("a.-b", False), ("a.b-", False), ("%{d}com", False),
        ("a.b..", False), ("a.b_c", False), ("%{d.}com", False), ("a.com/24", False), ("a.com:25", False),
        ("%%com", False), (".", False),
    ],
)  # fmt: skip
def test_domain_specs(text: str, good: bool) -> None:
    """RFC 7208 7.1 domain-end."""
    if good:
        parse_domain_spec(text)
    else:
        with pytest.raises(BadMacro):
            parse_domain_spec(text)


@pytest.mark.parametrize(
    "term",
    [
        "all", "+all", "-ALL", "?all", "~all", "a", "A/0", "a/32", "a//128", "a/24//64",
        "a:x.org/24", "a:x.org//0", "mx",
        "mx:%{d}/24//64", "ptr", "ptr:x.org", "ip4:1.2.3.4", "ip4:0.0.0.0/0", "ip6:::",
        "ip6:::1/128", "IP6:2001:DB8::/32",
        "exists:%{i}.x.org", "include:x.org", "redirect=x.org", "exp=x.org", "unknown=",
        "un-kn_o.wn=%{d}:/x", "a:x/y.org",
        "ip6:::ffff:1.2.3.4/96", "a:%{l1r/}.x.org/24", "ra=postmaster", "rr=all",
    ],
)  # fmt: skip
def test_terms(term: str) -> None:
    record = parse_record(f"v=spf1 {term}".encode())
    assert replace(parse_record(f"v=spf1  {term}  ".encode()), text=record.text) == record


@pytest.mark.parametrize(
    "term",
    [
        "al", "all.", "all:x.org", "all/8", "--all", "- all-", "*all", "a/", "a/33", "a/024", "a//129", "a//",
        "a/24/64", "a:", "a:/24", "a/x", "a:x", "a:1.2.3.4", "mx:", "mx/33", "ptr/24", "ptr:",
        "ip4", "ip4:", "ip4:1.2.3",
        "ip4:1.2.3.4.5", "ip4:1.2.3.256", "ip4:01.2.3.4", "ip4:1.2.3.4/33", "ip4:1.2.3.4/", "ip4:1.2.3.4//32",
        "ip4:::1", "ip6:1.2.3.4", "ip6:", "ip6:::1/129", "ip6:::1/01", "ip6:::1%eth0", "ip6::::", "ip6:1::2::3",
        "exists", "exists:", "exists/24:x.org", "include", "include:", "include:x.org/24",
        "redirect=", "redirect:x.org",
        "redirect", "redirect=com", "exp=", "exp=x.org exp=x.org", "redirect=x.org REDIRECT=y.org", "unknown=%", "=x",
        "1up=x", "un/known=x", "moo", "a\tmx", "a\nmx", "a\x00", "\x80", "a:x.org\r", "unknown=\x7f", "ip5:1.2.3.4",
        "ipv4:1.2.3.4", "a:%{x}.org",
    ],
)  # fmt: skip
def test_bad_terms(term: str) -> None:
    with pytest.raises(BadRecord) as fault:
        parse_record(f"v=spf1 ip4:1.1.1.1 {term} -all".encode("latin-1"))
    assert str(fault.value).isprintable()


def test_a_fault_anywhere_makes_the_record_useless() -> None:
    result = run(zone(example__org="v=spf1 +all ipv4:192.0.2.1"))
    assert result.result == "permerror"
    assert result.reason == (
        'the SPF record of example.org cannot be used: "ipv4:192.0.2.1": there is no such mechanism; ip4: is meant'
    )


def counted(extra: int) -> dict[str, Any]:
    """A record with so many terms that ask, none void, none a match."""
    names = {f"{number}.example.org": {"A": ["198.51.100.1"]} for number in range(extra)}
    return {**names, **zone(example__org=f"v=spf1 {' '.join(f'a:{name}' for name in names)} ip4:192.0.2.1 -all")}


def test_ten_terms_that_ask() -> None:
    """RFC 7208 4.6.4."""
    assert run(counted(10)).result == "pass"
    assert run(counted(10)).lookups == 10
    assert run(counted(11)).result == "permerror"
    below = {**counted(8), "in.example.org": {"TXT": ["v=spf1 a:0.example.org ?all"]}}
    below["example.org"] = {"TXT": ["v=spf1 include:in.example.org " + below["example.org"]["TXT"][0][7:]]}
    assert run(below).result == "pass"
    assert (
        run({**below, "in.example.org": {"TXT": ["v=spf1 a:0.example.org a:0.example.org ?all"]}}).result == "permerror"
    )


def test_void_terms() -> None:
    """RFC 7208 4.6.4 counts terms: two may find nothing; a name that exists without addresses is nothing too."""
    some = {"here.example.org": {"TXT": ["x"]}}
    assert (
        run({**zone(example__org="v=spf1 a:here.example.org exists:no.example.org ?all"), **some}).result == "neutral"
    )
    assert (
        run({**zone(example__org="v=spf1 a:here.example.org exists:no.example.org mx ?all"), **some}).result
        == "permerror"
    )
    assert run(zone(example__org="v=spf1 ptr a:x.example.org ?all")).result == "neutral"
    assert run(zone(example__org="v=spf1 ptr a:x.example.org mx ?all")).result == "permerror"


def test_mail_servers_without_ipv6_are_one_void_term() -> None:
    hosts = {f"mx{number}.example.org": {"A": ["192.0.2.1"]} for number in range(5)}
    record = {"TXT": ["v=spf1 mx -all"], "MX": [[1, name] for name in hosts]}
    assert run({**hosts, "example.org": record}, "2001:db8::1").result == "fail"
    assert run({**hosts, "example.org": record}).result == "pass"


def test_ten_mail_servers_whatever_their_order() -> None:
    hosts = {f"mx{number}.example.org": {"A": [f"192.0.2.{number}"]} for number in range(11)}
    ten = {"TXT": ["v=spf1 mx -all"], "MX": [[1, name] for name in list(hosts)[:10]]}
    assert run({**hosts, "example.org": ten}, "192.0.2.9").result == "pass"
    eleven = {**ten, "MX": [[1, name] for name in hosts]}
    assert run({**hosts, "example.org": eleven}, "192.0.2.0").result == "permerror"


def test_the_first_ten_names_of_a_host_count() -> None:
    names = [f"n{number}.example.org" for number in range(12)]
    records: dict[str, Any] = {name: {"A": ["203.0.113.1"]} for name in names}
    records |= zone(example__org="v=spf1 ptr -all") | {"1.2.0.192.in-addr.arpa": {"PTR": names}}
    records[names[9]] = {"A": ["192.0.2.1"]}
    assert run(records).result == "pass"
    records[names[9]], records[names[10]] = {"A": ["203.0.113.1"]}, {"A": ["192.0.2.1"]}
    assert run(records).result == "fail"


def test_a_null_mx_is_not_void() -> None:
    """RFC 7505: the name says that it takes no mail."""
    record = {"TXT": ["v=spf1 mx mx mx mx ?all"], "MX": [[0, ""]]}
    assert run({"example.org": record}).result == "neutral"


@pytest.mark.parametrize(
    "term", ["a", "mx", "exists:slow.example.org", "include:slow.example.org", "a:slow.example.org"]
)
def test_no_answer_is_temporary(term: str) -> None:
    records = {"example.org": {"TXT": [f"v=spf1 {term} +all"], "*": "SERVFAIL"}, "slow.example.org": "TIMEOUT"}
    result = run(records)
    assert result.result == "temperror"
    assert "example.org" in result.reason


def test_ptr_forgives_the_dns() -> None:
    """RFC 7208 5.5: a DNS error only makes it not match."""
    assert run({**zone(example__org="v=spf1 ptr ?all"), "1.2.0.192.in-addr.arpa": "TIMEOUT"}).result == "neutral"
    records = {
        **zone(example__org="v=spf1 ptr -all"),
        "1.2.0.192.in-addr.arpa": {"PTR": ["s.example.org", "g.example.org"]},
    }
    assert run({**records, "s.example.org": "TIMEOUT", "g.example.org": {"A": ["192.0.2.1"]}}).result == "pass"


def test_the_domain_itself() -> None:
    assert run({}).result == "none"
    assert run({}).reason == "example.org does not exist"
    assert run({"example.org": {"TXT": ["hello", "v=spf10 -all", "v=spf1-all"]}}).result == "none"
    assert run({"example.org": "TIMEOUT"}).result == "temperror"
    assert run({"example.org": {"TXT": ["v=spf1 -all", "v=spf1 -all"]}}).result == "permerror"
    for sender in (
        "x@localhost",
        "x@[192.0.2.1]",
        "x@a..b.org",
        f"x@{'a' * 64}.org",
        "x@a b.org",
        "x@",
        "x@.org",
        "x@org.",
    ):
        assert run(zone(org="v=spf1 -all"), sender=sender).result == "none", sender


def test_redirect() -> None:
    records = zone(
        example__org="v=spf1 ip4:198.51.100.1 redirect=_spf.example.net", _spf__example__net="v=spf1 ip4:192.0.2.1 -all"
    )
    assert run(records).result == "pass"
    assert run(records).reason.startswith("192.0.2.1 may send for example.org: the record of _spf.example.net")
    assert run(records, "198.51.100.1").result == "pass"
    assert run(records, "203.0.113.1").result == "fail"
    assert run(zone(example__org="v=spf1 redirect=no.example.net")).result == "permerror"
    assert run(zone(example__org="v=spf1 redirect=a..example.net")).result == "permerror"
    assert run(zone(example__org="v=spf1 ?all redirect=no.example.net")).result == "neutral"


def test_the_null_sender_is_the_helo_name() -> None:
    """RFC 7208 2.4."""
    records = zone(mx__example__net="v=spf1 exists:%{l}.%{o} -all exp=e.example.net", e__example__net="%{s} %{h}")
    result = run(records, sender="")
    assert (result.result, result.identity, result.domain) == ("fail", "helo", "mx.example.net")
    assert result.explanation == "postmaster@mx.example.net mx.example.net"
    helo = finished(check_helo(ZoneData(records), "192.0.2.1", "MX.example.net."))
    assert (helo.result, helo.identity, helo.domain) == ("fail", "helo", "mx.example.net")
    assert finished(check_helo(ZoneData({}), "192.0.2.1", "[192.0.2.1]")).result == "none"


def test_international_mail() -> None:
    """RFC 8616 4: U-labels become A-labels; a local part that is not ASCII matches nothing where it is used."""
    records = {
        "xn--bcher-kva.example": {
            "TXT": ["v=spf1 exists:%{l}.x.example include:%{s}.y.example a:%{L}.z.example ip4:192.0.2.1"]
        },
        "ann.x.example": {"A": ["127.0.0.1"]},
    }
    assert run(records, "203.0.113.1", "ann@bücher.example").result == "pass"
    assert run(records, "192.0.2.1", "jürgen@bücher.example").result == "pass"
    assert run(records, "203.0.113.1", "jürgen@bücher.example").result == "neutral"
    assert run(zone(example__org="v=spf1 redirect=%{l}.x.example"), sender="ü@example.org").result == "neutral"
    told = zone(example__org="v=spf1 -all exp=e.example.org", e__example__org="no %{l} here")
    assert run(told, sender="ü@example.org").explanation == ""
    assert run({**told, **zone(e__example__org="no %{L} here")}, sender="ü@example.org").explanation == "no %C3%BC here"


def test_quoted_local_parts() -> None:
    told = zone(example__org="v=spf1 -all exp=e.example.org", e__example__org="%{l}")
    assert run(told, sender='"a \\"b"@example.org').explanation == 'a "b'


def test_explanations_are_printable_and_bounded() -> None:
    bomb = "%{s}" * 4000
    told = zone(example__org="v=spf1 -all exp=e.example.org", e__example__org=bomb)
    result = run(told)
    assert result.result == "fail"
    assert len(result.explanation) == 450
    for text in ("line\r\n250 ok", "tab\t", "bell\x07", "\x80"):
        assert run({**told, **zone(e__example__org=text)}).explanation == ""
    assert run({**told, **zone(e__example__org="%{l}")}, sender="a\r\nb@example.org").explanation == ""
    assert run({**told, **zone(e__example__org="%{c} %{r} %{t}")}).explanation == "192.0.2.1 mx.example.com 1700000000"


class Counting:
    """A Dns that counts what it is asked."""

    def __init__(self, records: dict[str, Any]) -> None:
        self.zone = ZoneData(records)
        self.asked: list[str] = []

    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        self.asked.append(name)
        return await self.zone.lookup(name, kind)


MONSTERS = {
    "includes itself": zone(example__org="v=spf1 include:example.org -all"),
    "redirects to itself": zone(example__org="v=spf1 redirect=example.org"),
    "doubling": zone(
        example__org="v=spf1 include:a.example.org include:a.example.org -all",
        a__example__org="v=spf1 include:b.example.org include:b.example.org -all",
        b__example__org="v=spf1 include:example.org include:a.example.org -all",
    ),
    "many networks": zone(example__org="v=spf1 " + "ip4:198.51.100.1 " * 900 + "-all"),
    "a record of 60 KiB": zone(example__org="v=spf1 " + "ip4:198.51.100.1 " * 3600 + "-all"),
    "macros": zone(example__org="v=spf1 exists:" + "%{s}.%{p}." * 1600 + "org -all"),
    "long digits": zone(example__org="v=spf1 a:%{d" + "9" * 15000 + "}.org -all"),
    "slashes": zone(example__org="v=spf1 a:" + "/1" * 8000 + ".org -all"),
    "labels": zone(example__org="v=spf1 a:" + "a" * 16000 + "- -all"),
    "percents": zone(example__org="v=spf1 x=" + "%%" * 8000 + " -all"),
    "modifiers": zone(example__org="v=spf1 " + "x=y " * 4000 + "-all"),
    "ptr everywhere": {
        **zone(example__org="v=spf1 " + "ptr:%{p}.example.org " * 10 + "-all exp=%{p}.example.org"),
        "1.2.0.192.in-addr.arpa": {"PTR": [f"{number}.example.net" for number in range(1000)]},
    },
    "mx everywhere": {
        "example.org": {
            "TXT": ["v=spf1 mx mx mx mx mx mx mx mx mx mx mx -all"],
            "MX": [[1, f"{number}.example.org"] for number in range(10)],
        },
        **{f"{number}.example.org": {"A": ["198.51.100.1"]} for number in range(10)},
    },
    "addresses": {"example.org": {"TXT": ["v=spf1 a -all"], "A": ["198.51.100.1"] * 5000 + ["nonsense"]}},
}


@pytest.mark.parametrize("name", MONSTERS)
def test_monsters_are_bounded(name: str) -> None:
    dns = Counting(MONSTERS[name])
    began = time.process_time()
    result = finished(check(dns, "192.0.2.1", "mx.example.net", f"{'l' * 64}@example.org"))
    spent = time.process_time() - began
    assert result.result in {"permerror", "fail", "none", "neutral"}
    assert len(dns.asked) <= 1 + 10 * 11 + 11
    assert len(result.steps) <= 200
    assert sum(map(len, result.steps)) < 130_000
    assert len(result.reason) <= 500
    assert spent < 0.5


def test_reasons_name_the_cause() -> None:
    records = {
        "example.org": {
            "TXT": ["v=spf1 mx ip4:192.0.2.0/28 include:_spf.example.net -all"],
            "MX": [[1, "mx.example.org"]],
        },
        "mx.example.org": {"A": ["192.0.2.200"]},
        "_spf.example.net": {"TXT": ["v=spf1 ip4:198.51.100.0/24 ~all"]},
    }
    assert run(records, "203.0.113.9").reason == (
        "203.0.113.9 is not allowed by example.org: its record ends in -all; "
        "looked at: mx, ip4:192.0.2.0/28, include:_spf.example.net"
    )
    assert run(records, "203.0.113.9").steps == (
        "example.org publishes: v=spf1 mx ip4:192.0.2.0/28 include:_spf.example.net -all",
        "mx: no match, example.org has 192.0.2.200",
        "203.0.113.9 is not in ip4:192.0.2.0/28",
        "_spf.example.net publishes: v=spf1 ip4:198.51.100.0/24 ~all",
        "203.0.113.9 is not in ip4:198.51.100.0/24",
        "~all matches: softfail",
        "include:_spf.example.net: no match, because _spf.example.net says softfail",
        "-all matches: fail",
    )
    assert run(records, "198.51.100.7").reason == (
        "198.51.100.7 may send for example.org: its record lists it by include:_spf.example.net"
    )
    assert run(zone(example__org="v=spf1 a:1.2.3.4 -all")).reason == (
        'the SPF record of example.org cannot be used: "a:1.2.3.4": an IP address stands where a domain name belongs; '
        "ip4: is for addresses"
    )


_WORDS = st.sampled_from([
    "a", "mx", "ptr", "all", "ip4:", "ip6:", "include:", "exists:", "redirect=", "exp=", "x=", "%{d}", "%{ir}", "%{p}",
    "example.org", "a.example.org", "192.0.2.1", "::1", "/24", "//64", "/", " ", " ", "-", "~", "?", "%", "{", "\x80",
])  # fmt: skip


@settings(max_examples=100)
@given(st.lists(_WORDS, max_size=20).map("".join), st.text(max_size=30), st.text(max_size=30))
@example("%{d}", "@", "")
def test_nothing_raises(terms: str, sender: str, helo: str) -> None:
    records = {
        "example.org": {"TXT": [f"v=spf1 {terms}"], "A": ["192.0.2.1"], "MX": [[1, "a.example.org"]]},
        "a.example.org": {"TXT": [f"v=spf1 {terms[::-1]}"], "AAAA": ["::1"]},
    }
    for who in ("ann@example.org", sender, f"{sender}@example.org"):
        result = run(records, sender=who, helo=helo)
        for text in (result.reason, result.domain, result.explanation, result.mechanism, *result.steps):
            assert text.isascii()
            assert text.isprintable()


def test_expanded_names_are_clipped_from_the_left() -> None:
    """RFC 7208 7.3."""
    long = ".".join(["abcdefghi"] * 40)
    name = expand_name(parse_macros("%{d}.example.org."), {"d": long})
    assert len(name) <= 253
    assert name == ".".join(["abcdefghi"] * 24 + ["example", "org"])
    assert expand_name(parse_macros("%{d}"), {"d": "x" * 300}) == "x" * 300
