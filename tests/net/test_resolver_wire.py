"""Messages of the DNS: what we write is read by dnspython, what dnspython writes is read by us; then hostile octets."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.net.resolver_wire import (
    NXDOMAIN,
    TYPES,
    Malformed,
    NoName,
    encode_name,
    matches,
    query,
    question,
    read,
    read_name,
)
from postroom.values.dns import RecordType

LABEL = st.text("abcxyzABC019-_", min_size=1, max_size=63)
NAME = st.lists(LABEL, min_size=1, max_size=3).map(".".join)


def respond(name: str, kind: RecordType, *sets: tuple[str, int, str, list[str]], **options: object) -> bytes:
    """An answer as dnspython writes it, names compressed."""
    asked = dns.message.from_wire(query(77, question(name, kind), authentic=True))
    reply = dns.message.make_response(asked)
    reply.flags |= int(options.get("flags", 0))  # type: ignore[call-overload]
    reply.set_rcode(options.get("rcode", dns.rcode.NOERROR))  # type: ignore[arg-type]
    for owner, ttl, type_, texts in sets:
        section = reply.authority if type_ == "SOA" else reply.answer
        section.append(dns.rrset.from_text(owner + ".", ttl, "IN", type_, *texts))
    return reply.to_wire()


def test_a_question_is_read_by_others() -> None:
    data = query(4711, question("Mail.Example.ORG.", RecordType.MX), authentic=True)
    message = dns.message.from_wire(data)
    assert message.id == 4711
    assert message.flags == dns.flags.RD | dns.flags.AD
    assert message.question[0].to_text() == "mail.example.org. IN MX"
    assert (message.edns, message.payload, message.ednsflags) == (0, 1232, 0)
    assert dns.message.from_wire(query(1, question("a.test", RecordType.A), edns=False)).edns == -1


@pytest.mark.parametrize(
    ("kind", "texts", "records"),
    [
        (RecordType.A, ["192.0.2.1", "192.0.2.2"], ("192.0.2.1", "192.0.2.2")),
        (RecordType.AAAA, ["2001:db8::1"], ("2001:db8::1",)),
        (RecordType.MX, ["10 MX1.a.test.", "0 ."], ((10, "mx1.a.test"), (0, ""))),
        (RecordType.TXT, ['"v=spf1" " -all"', '""', '"x\\"\\200"'], (b"v=spf1 -all", b"", b'x"\xc8')),
        (RecordType.PTR, ["Host.a.test.", "a\\.b\\010.a.test."], ("host.a.test", "a\\.b\\010.a.test")),
        (RecordType.NS, ["ns.a.test."], ("ns.a.test",)),
        (RecordType.SRV, ["1 2 993 imap.a.test."], ((1, 2, 993, "imap.a.test"),)),
        (RecordType.TLSA, ["3 1 0 0bdd"], ((3, 1, 0, b"\x0b\xdd"),)),
        (RecordType.CNAME, ["b.test."], ("b.test",)),
    ],
)
def test_answers_of_every_type(kind: RecordType, texts: list[str], records: tuple[object, ...]) -> None:
    data = respond("a.test", kind, ("A.test", 300, str(kind), texts), flags=dns.flags.AD)
    asked = question("a.test", kind)
    assert matches(data, 77, asked)
    answer = read(data, asked, kind)
    assert sorted(map(str, answer.records)) == sorted(map(str, records))
    assert (answer.code, answer.ttl, answer.authentic, answer.alias) == (0, 300, True, "")


def test_aliases_are_followed_in_any_order_and_their_least_ttl_counts() -> None:
    data = respond(
        "w.test",
        RecordType.A,
        ("c.other", 60, "A", ["192.0.2.9"]),
        ("b.test", 20, "CNAME", ["c.other."]),
        ("w.test", 300, "CNAME", ["B.test."]),
        ("evil.test", 1, "A", ["203.0.113.66"]),
    )
    answer = read(data, question("w.test", RecordType.A), RecordType.A)
    assert (answer.records, answer.ttl) == (("192.0.2.9",), 20)


def test_a_chain_that_is_not_followed_is_told() -> None:
    data = respond("w.test", RecordType.A, ("w.test", 300, "CNAME", ["far.example."]))
    answer = read(data, question("w.test", RecordType.A), RecordType.A)
    assert (answer.records, answer.alias, answer.ttl) == ((), "far.example", 300)


def test_a_chain_without_an_end() -> None:
    data = respond("w.test", RecordType.A, ("w.test", 300, "CNAME", ["v.test."]), ("v.test", 300, "CNAME", ["w.test."]))
    with pytest.raises(Malformed, match="too many CNAMEs"):
        read(data, question("w.test", RecordType.A), RecordType.A)


@pytest.mark.parametrize(("soa_ttl", "minimum", "ttl"), [(900, 60, 60), (30, 60, 30)])
def test_negative_answers_last_as_long_as_their_soa_says(soa_ttl: int, minimum: int, ttl: int) -> None:
    soa = ("test", soa_ttl, "SOA", [f"ns.test. host.test. 1 2 3 4 {minimum}"])
    asked = question("no.test", RecordType.A)
    answer = read(respond("no.test", RecordType.A, soa, rcode=dns.rcode.NXDOMAIN), asked, RecordType.A)
    assert (answer.code, answer.ttl) == (NXDOMAIN, ttl)
    empty = read(respond("no.test", RecordType.A, soa), asked, RecordType.A)
    assert (empty.code, empty.records, empty.ttl) == (0, (), ttl)
    alias = ("no.test", 7, "CNAME", ["x.test."])
    end = read(respond("no.test", RecordType.A, alias, soa), asked, RecordType.A)
    assert (end.alias, end.ttl) == ("", 7)


def test_a_negative_answer_without_soa_is_not_kept() -> None:
    data = respond("no.test", RecordType.A, rcode=dns.rcode.NXDOMAIN)
    assert read(data, question("no.test", RecordType.A), RecordType.A).ttl == 0


def test_a_failure_tells_why() -> None:
    reply = dns.message.make_response(dns.message.from_wire(query(1, question("a.test", RecordType.A))))
    reply.set_rcode(dns.rcode.SERVFAIL)
    reply.use_edns(0, options=[dns.edns.EDEOption(6, "signature of a.test"), dns.edns.EDEOption(22)])
    answer = read(reply.to_wire(), question("a.test", RecordType.A), RecordType.A)
    assert answer.code == 2
    assert answer.detail == "DNSSEC: the signatures are wrong: signature of a.test"


def test_what_is_no_answer_to_the_question() -> None:
    asked = question("a.test", RecordType.A)
    good = respond("A.TEST", RecordType.A, ("a.test", 1, "A", ["192.0.2.1"]))
    assert matches(good, 77, asked)
    assert not matches(good, 78, asked)
    assert not matches(good, 77, question("b.test", RecordType.A))
    assert not matches(good, 77, question("a.test", RecordType.MX))
    assert not matches(query(77, asked), 77, asked), "a question is no answer"
    assert not matches(b"", 77, asked)


@pytest.mark.parametrize(
    "name", ["a..test", ".a.test", "x" * 64 + ".test", "a." * 127 + "test", "b\u00fccher.test", "a\ud800b"]
)
def test_what_cannot_be_a_name(name: str) -> None:
    with pytest.raises(NoName):
        question(name, RecordType.A)


@given(NAME)
@settings(max_examples=60)
def test_names_survive(name: str) -> None:
    wire = encode_name(name)
    assert wire == dns.name.from_text(name + ".").to_wire()
    assert read_name(wire, 0) == (name.lower(), len(wire))


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4))
@settings(max_examples=60)
def test_names_of_any_octets_survive_as_text(labels: list[bytes]) -> None:
    labels = [label.lower() for label in labels]
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    text, end = read_name(wire, 0)
    assert end == len(wire)
    assert text.isascii() and text.isprintable() and " " not in text
    assert encode_name(text) == wire


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"\xc0\x00", "forwards"),
        (b"\x01a\xc0\x00", "forwards"),
        (b"\x40abc\0", "unknown kind"),
        (b"\x3f" + b"a" * 63 + b"\xc0\x00", "forwards"),
        ((b"\x3f" + b"a" * 63) * 4 + b"\0", "more than 255"),
    ],
)
def test_names_that_lie(data: bytes, cause: str) -> None:
    with pytest.raises(Malformed, match=cause):
        read_name(data, 0)


WHOLE = respond(
    "w.test",
    RecordType.MX,
    ("w.test", 300, "CNAME", ["b.test."]),
    ("b.test", 20, "MX", ["10 mx.b.test.", "20 mx.c.test."]),
    ("b.test", 900, "SOA", ["ns.test. host.test. 1 2 3 4 5"]),
)


@given(st.data())
@settings(max_examples=100)
def test_any_octets_are_an_answer_or_malformed(data: st.DataObject) -> None:
    asked = question("w.test", RecordType.MX)
    octets = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        octets[data.draw(st.integers(12 + len(asked), len(octets) - 1))] = data.draw(st.integers(0, 255))
    octets = octets[: data.draw(st.integers(12 + len(asked), len(octets)))]
    octets[3] = data.draw(st.sampled_from([0x80, 0x82, 0x83]))
    assert matches(bytes(octets), 77, asked)
    for kind in TYPES:
        try:
            answer = read(bytes(octets), asked, kind)
        except Malformed:
            continue
        assert 0 <= answer.ttl < 2**31
