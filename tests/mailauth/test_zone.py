"""Zone data as a Dns: every form of the JSON, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postroom.mailauth.zone import LONGEST_CHAIN, BadZone, ZoneData, finished
from postroom.values.dns import DnsUnavailable, Lookup, NoSuchName, RecordType

ZONE = {
    "Example.ORG.": {
        "TXT": ["one", ["two ", "parts"], []],
        "A": ["192.0.2.1", "192.0.2.2"],
        "AAAA": "2001:db8::1",
        "MX": [[10, "MX.example.org."], [0, ""]],
        "PTR": ["Host.Example.org."],
    },
    "single.example.org": {"MX": [5, "mx.example.org"], "txt": "lower"},
    "slow.example.org": {"A": ["192.0.2.1"], "*": "TIMEOUT"},
    "broken.example.org": {"MX": "SERVFAIL", "A": ["192.0.2.3"]},
    "dead.example.org": "TIMEOUT",
    "alias.example.org": {"CNAME": ["Example.org."]},
    "alias2.example.org": {"CNAME": "alias.example.org", "TXT": []},
    "dangling.example.org": {"CNAME": ["nowhere.example.org"]},
    "loop.example.org": {"CNAME": ["loop.example.org"]},
    "empty.example.org": {},
    "odd.example.org": {"A": ["192.0.2.4"], "AAAA": None, "SPF": [["v=spf1", " -all"]], "HINFO": [{}], "*": []},
    "_x._tcp.example.org": {"SRV": [[0, 1, 443, "Host.example.org."]], "TLSA": [[3, 1, 1, "00ff"]]},
    "a.below.example.org": {"A": ["192.0.2.9"]},
}


def ask(name: str, kind: RecordType, zone: Any = None) -> tuple[Any, ...]:
    return finished(ZoneData(ZONE if zone is None else zone).lookup(name, kind)).records


@pytest.mark.parametrize(
    ("name", "kind", "records"),
    [
        ("example.org", "TXT", (b"one", b"two parts", b"")),
        ("EXAMPLE.org.", "A", ("192.0.2.1", "192.0.2.2")),
        ("example.org", "AAAA", ("2001:db8::1",)),
        ("example.org", "MX", ((10, "mx.example.org"), (0, ""))),
        ("example.org", "PTR", ("host.example.org",)),
        ("example.org", "CNAME", ()),
        ("example.org", "TLSA", ()),
        ("single.example.org", "MX", ((5, "mx.example.org"),)),
        ("single.example.org", "TXT", (b"lower",)),
        ("slow.example.org", "A", ("192.0.2.1",)),
        ("broken.example.org", "A", ("192.0.2.3",)),
        ("broken.example.org", "TXT", ()),
        ("alias.example.org", "CNAME", ("example.org",)),
        ("alias.example.org", "A", ("192.0.2.1", "192.0.2.2")),
        ("alias2.example.org", "TXT", (b"one", b"two parts", b"")),
        ("empty.example.org", "A", ()),
        ("odd.example.org", "A", ("192.0.2.4",)),
        ("odd.example.org", "AAAA", ()),
        ("odd.example.org", "TXT", ()),
        ("_x._tcp.example.org", "SRV", ((0, 1, 443, "host.example.org"),)),
        ("_x._tcp.example.org", "TLSA", ((3, 1, 1, b"\x00\xff"),)),
    ],
)
def test_records(name: str, kind: str, records: tuple[Any, ...]) -> None:
    assert ask(name, RecordType(kind)) == records


@pytest.mark.parametrize(
    ("name", "kind"),
    [("slow.example.org", "TXT"), ("broken.example.org", "MX"), ("dead.example.org", "A"), ("loop.example.org", "A")],
)
def test_no_answer(name: str, kind: str) -> None:
    with pytest.raises(DnsUnavailable):
        ask(name, RecordType(kind))


@pytest.mark.parametrize("name", ["nowhere.example.org", "dangling.example.org", "below.example.org", "", "."])
def test_no_such_name(name: str) -> None:
    """An absent name does not exist, also when there are names below it: the data says so for each question."""
    with pytest.raises(NoSuchName):
        ask(name, RecordType.A)


def test_chains_end() -> None:
    chain: dict[str, Any] = {f"{number}.example": {"CNAME": [f"{number + 1}.example"]} for number in range(20)}
    chain[f"{LONGEST_CHAIN - 1}.example"] = {"A": ["192.0.2.1"]}
    assert ask("0.example", RecordType.A, chain) == ("192.0.2.1",)
    chain[f"{LONGEST_CHAIN - 1}.example"] = {"CNAME": [f"{LONGEST_CHAIN}.example"]}
    with pytest.raises(DnsUnavailable):
        ask("0.example", RecordType.A, chain)


def test_names_that_differ_in_case_are_one() -> None:
    zone = {"A.example": {"TXT": ["x"]}, "a.EXAMPLE.": {"TXT": ["y"], "A": ["192.0.2.1"]}}
    assert ask("a.example", RecordType.TXT, zone) == (b"x", b"y")
    assert ask("a.example", RecordType.A, zone) == ("192.0.2.1",)


def test_octets_that_are_no_utf_8() -> None:
    assert ask("a.b", RecordType.TXT, {"a.b": {"TXT": ["\x80", "\udcff"]}}) == (b"\xc2\x80", b"\xff")


def test_security_is_what_the_caller_says() -> None:
    assert finished(ZoneData(ZONE, secure=True).lookup("example.org", RecordType.A)) == Lookup(
        ("192.0.2.1", "192.0.2.2"), secure=True
    )


@pytest.mark.parametrize(
    "data",
    [
        [],
        "x",
        {"a": 1},
        {"a": []},
        {"a": {"TXT": 1}},
        {"a": {"TXT": [1]}},
        {"a": {"TXT": [["x", 2]]}},
        {"a": {"TXT": ["\ud800"]}},
        {"a": {"MX": ["mx"]}},
        {"a": {"MX": [["10", "mx"]]}},
        {"a": {"A": [4]}},
        {"a": {"SRV": [["x"]]}},
        {"a": {"TLSA": [[3, 1, 1, "xy"]]}},
        {"a": {"TLSA": ["3 1 1 00"]}},
        {"a": {"PTR": [[1]]}},
        {"a": {"*": ["x"]}},
        {"a": None},
    ],
)
def test_bad_data(data: Any) -> None:
    with pytest.raises(BadZone):
        ZoneData(data)


def test_finished_refuses_what_waits() -> None:
    with pytest.raises(RuntimeError):
        finished(asyncio.sleep(0))


@pytest.mark.parametrize("fault", ["TIMEOUT", "SERVFAIL"])
def test_a_fault_may_stand_in_a_list(fault: str) -> None:
    zone = {"a.example": {"TXT": [fault], "A": ["192.0.2.1"]}}
    with pytest.raises(DnsUnavailable):
        ask("a.example", RecordType.TXT, zone)
    assert ask("a.example", RecordType.A, zone) == ("192.0.2.1",)
