"""MTA-STS records and policies: what is read, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.relay.sts_policy import LONGEST, BadPolicy, Policy, read_policy, record_id

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        ([b"v=STSv1;id=1"], "1"),
        ([b"v=STSv1 ; id=1 ; more=x:y/z ;"], "1"),
        ([b"v=spf1 -all", b"v=STSv1; id=1"], "1"),
        ([b"v=STSv1; id=1; id=2"], "1"),
        ([], ""),
        ([b"v=spf1 -all"], ""),
        ([b"v=STSv1; id=1", b"v=STSv1; id=1"], ""),
        ([b"v=STSv1"], ""),
        ([b"v=STSv12; id=1"], ""),
        ([b" v=STSv1; id=1"], ""),
        ([b"v=STSv1; id=a-b"], ""),
        ([b"v=STSv1; id=" + b"1" * 33], ""),
        ([b"v=STSv1; id=1; \xff"], ""),
    ],
)
def test_records(records: list[bytes], expected: str) -> None:
    assert record_id(records) == expected


def test_a_policy() -> None:
    expected = Policy("enforce", ("mail.example.com", "*.example.net"), 604800)
    assert read_policy(GOOD) == expected
    assert read_policy(GOOD.replace(b"\r\n", b"\n").rstrip()) == expected
    assert read_policy(GOOD + b"\r\nmode: none\r\nmax_age: 1\r\nfuture.key:  \t any value: x \r\n") == expected
    assert read_policy(GOOD.replace(b"mail.EX", b"mail.ex").replace(b"com", b"COM.")) == expected


def test_a_policy_that_takes_everything_back() -> None:
    assert read_policy(b"version: STSv1\nmode: none\nmax_age: 86400\n") == Policy("none", (), 86400)


def test_nothing_holds_longer_than_a_year() -> None:
    assert read_policy(GOOD.replace(b"604800", b"9999999999")).max_age == LONGEST


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"version: STSv1", b"version: STSv2", "version"),
        (b"version: STSv1\r\n", b"", "version"),
        (b"mode: enforce\r\n", b"", "no mode"),
        (b"enforce", b"Enforce", "mode is"),
        (b"mx: mail.example.com\r\nmx: *.example.net\r\n", b"", "no server"),
        (b"mail.example.com", b"mail example", "no name"),
        (b"*.example.net", b"mail.*.net", "no name"),
        (b"*.example.net", b"*", "no name"),
        (b"*.example.net", b"", "no name"),
        (b"604800", b"", "max_age"),
        (b"604800", b"-1", "max_age"),
        (b"604800", b"12345678901", "max_age"),
        (b"max_age: 604800\r\n", b"", "max_age"),
        (b"mode: enforce\r\n", b"mode: enforce\r\n<html>\r\n", "no field"),
        (b"mx: mail", b"mx : mail", "no field"),
        (b"mail", b"\xff", "no text"),
        (b"mx: mail.example.com\r\n", b"".join(b"mx: m%d.test\r\n" % n for n in range(200)), "more than"),
    ],
)
def test_policies_that_cannot_be_used(old: bytes, new: bytes, words: str) -> None:
    assert old in GOOD
    with pytest.raises(BadPolicy, match=words):
        read_policy(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mail.example.com", True),
        ("a.example.net", True),
        ("example.net", False),
        ("a.b.example.net", False),
        ("mail.example.com.evil.test", False),
    ],
)
def test_servers(host: str, expected: bool) -> None:
    assert read_policy(GOOD).names(host) is expected


@given(
    st.binary(max_size=200)
    | st.builds(lambda at, more: GOOD[:at] + more + GOOD[at:], st.integers(0, 90), st.binary(max_size=4))
)
def test_no_octets_do_harm(octets: bytes) -> None:
    with contextlib.suppress(BadPolicy):
        policy = read_policy(octets)
        assert policy.mode in ("enforce", "testing", "none") and 0 <= policy.max_age <= LONGEST
    record_id([octets])


@pytest.mark.parametrize("filler", [b" ", b"\t", b":", b"a", b"-", b"mx: ", b"\r", b"\n", b"mx: a\n"])
def test_long_texts_cost_little(filler: bytes) -> None:
    octets = (filler * 65536)[:65536]
    with pytest.raises(BadPolicy):
        read_policy(b"mode:" + octets + b"!")
    record_id([b"v=STSv1;" + octets])
