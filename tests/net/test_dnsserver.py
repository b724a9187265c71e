"""The test server, asked by dnspython: so that resolver and server do not share one misunderstanding."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from postroom.testing.dnsserver import DnsServer, running

ZONE = {
    "a.test": {
        "A": ["192.0.2.1"],
        "AAAA": ["2001:db8::1"],
        "MX": [[10, "mx.a.test"], [0, ""]],
        "TXT": ["v=spf1 -all", ["two ", "strings"], "x" * 300],
        "SRV": [[1, 2, 993, "imap.a.test"]],
        "TLSA": [[3, 1, 1, "ab" * 32]],
        "NS": ["ns.a.test"],
        "SOA": [["ns.a.test", "host.a.test", 7, 1, 2, 3, 44]],
        "TTL": 77,
    },
    "w.test": {"CNAME": ["a.test"]},
    "deep.under.test": {"PTR": ["a.test"]},
    "*.wild.test": {"A": ["192.0.2.9"]},
    "x.signed.test": {"A": ["192.0.2.2"]},
    "x.bogus.test": {"A": ["192.0.2.3"]},
    "part.test": {"A": ["192.0.2.4"], "*": "REFUSED"},
}


def ask(server: DnsServer, name: str, kind: str, *, tcp: bool = False, **options: object) -> dns.message.Message:
    query = dns.message.make_query(name, kind, **options)  # type: ignore[arg-type]
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, server.host, 5, server.port)


def texts(message: dns.message.Message) -> list[str]:
    return [record.to_text() for each in message.answer for record in each]


def test_what_it_serves() -> None:
    with running(ZONE, signed=["signed.test"], bogus=["bogus.test"]) as server:
        assert texts(ask(server, "A.test", "A")) == ["192.0.2.1"]
        assert ask(server, "a.test", "A").answer[0].ttl == 77
        assert texts(ask(server, "a.test", "MX")) == ["10 mx.a.test.", "0 ."]
        assert texts(ask(server, "a.test", "SRV")) == ["1 2 993 imap.a.test."]
        assert texts(ask(server, "a.test", "TLSA")) == ["3 1 1 " + "ab" * 32]
        assert texts(ask(server, "a.test", "AAAA", tcp=True)) == ["2001:db8::1"]
        txt = ask(server, "a.test", "TXT", use_edns=0, payload=1232)
        assert texts(txt) == ['"v=spf1 -all"', '"two " "strings"', '"' + "x" * 255 + '" "' + "x" * 45 + '"']
        assert texts(ask(server, "w.test", "A")) == ["a.test.", "192.0.2.1"]
        assert texts(ask(server, "deep.under.test", "PTR")) == ["a.test."]
        assert texts(ask(server, "n1.wild.test", "A")) == ["192.0.2.9"]


def test_what_is_not_there() -> None:
    with running(ZONE) as server:
        for name, kind, code, owner in (
            ("no.a.test", "A", dns.rcode.NXDOMAIN, "a.test."),
            ("x.other", "A", dns.rcode.NXDOMAIN, "other."),
            ("under.test", "A", dns.rcode.NOERROR, "test."),
            ("w.test", "MX", dns.rcode.NOERROR, None),
            ("part.test", "MX", dns.rcode.REFUSED, None),
        ):
            reply = ask(server, name, kind)
            assert reply.rcode() == code, name
            if owner:
                assert reply.authority[0].name.to_text() == owner
                assert reply.authority[0].rdtype == dns.rdatatype.SOA


def test_dnssec_as_a_validating_resolver_tells_it() -> None:
    with running(ZONE, signed=["signed.test"], bogus=["bogus.test"]) as server:
        assert ask(server, "x.signed.test", "A", want_dnssec=True).flags & dns.flags.AD
        assert not ask(server, "x.signed.test", "A", flags=dns.flags.RD).flags & dns.flags.AD
        assert not ask(server, "a.test", "A", want_dnssec=True).flags & dns.flags.AD
        assert ask(server, "x.bogus.test", "A").rcode() == dns.rcode.SERVFAIL


def test_long_answers_are_cut_by_udp() -> None:
    with running({"l.test": {"TXT": [f"{n:0200}" for n in range(20)]}}) as server:
        assert ask(server, "l.test", "TXT").flags & dns.flags.TC
        assert len(texts(ask(server, "l.test", "TXT", tcp=True))) == 20


@pytest.mark.parametrize("what", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "NXDOMAIN"])
def test_faults_by_name(what: str) -> None:
    with running(ZONE) as server:
        server.fault("a.test", "A", what, times=1)
        assert ask(server, "a.test", "A").rcode() == dns.rcode.from_text(what)
        assert ask(server, "a.test", "A").rcode() == dns.rcode.NOERROR
        assert server.count("a.test", "A") == 2
