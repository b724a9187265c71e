"""Return addresses of mail that is passed on."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from postroom.identity.srs import LIFE, BadReturn, Srs, is_return_address
from postroom.values.address import Address, BadAddress

NOW = 1_800_000_000.0
DAY = 86400.0
SRS = Srs((b"secret",))


def made(text: str, srs: Srs = SRS) -> str:
    return srs.forward(Address.parse(text), "here.test", NOW).local


def test_there_and_back() -> None:
    address = SRS.forward(Address.parse("Ann.Archer@far.test"), "here.test", NOW)
    assert address.domain == "here.test"
    assert address.local.startswith("SRS0=")
    assert address.local.endswith("=far.test=Ann.Archer")
    assert is_return_address(address.local)
    assert Address.parse(str(address)) == address
    assert str(SRS.reverse(address.local, NOW + 5 * DAY)) == "Ann.Archer@far.test"


@given(local=st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,60}", fullmatch=True), day=st.integers(0, 30_000))
def test_any_sender_comes_back_while_it_is_good(local: str, day: int) -> None:
    assume(not is_return_address(local))
    there = SRS.forward(Address(local, "far.test"), "here.test", day * DAY)
    assert SRS.reverse(there.local, (day + LIFE) * DAY) == Address(local, "far.test")
    with pytest.raises(BadReturn):
        SRS.reverse(there.local, (day + LIFE + 1) * DAY)


def test_quoted_and_international_senders() -> None:
    for text in ('"a b"@far.test', "jörg@far.test", "a=b@far.test", '"a@b"@far.test'):
        there = SRS.forward(Address.parse(text), "here.test", NOW)
        assert str(SRS.reverse(Address.parse(str(there)).local, NOW)) == text


def test_case_may_change_on_the_way() -> None:
    local = made("ann@far.test")
    for changed in (local.lower(), local.upper(), local.replace("SRS0=", "srs0+")):
        assert str(SRS.reverse(changed, NOW)).lower() == "ann@far.test"


def test_a_second_server_points_back_to_the_first() -> None:
    first = Srs((b"first",)).forward(Address.parse("ann@far.test"), "first.test", NOW)
    second = Srs((b"second",)).forward(first, "second.test", NOW)
    third = SRS.forward(second, "here.test", NOW)
    assert third.local.startswith("SRS1=")
    assert third.local.count("first.test") == 1
    assert "second.test" not in third.local
    assert SRS.reverse(third.local, NOW + 500 * DAY) == first  # whose age the first server checks
    assert Srs((b"second",)).reverse(second.local, NOW) == first


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda local: local.replace("far.test", "bank.test"), "was not made here"),
        (lambda local: local.replace("=ann", "=ben"), "was not made here"),
        (lambda local: local[:5] + "AAAAAA" + local[11:], "was not made here"),
        (lambda local: "SRS0=AAAA=far.test", "is not complete"),
        (lambda local: "SRS0=", "is not complete"),
        (lambda local: "SRS1=AAAAAA=far.test==x=y=z", "was not made here"),
        (lambda local: local.rpartition("=")[0] + "=", "is not complete"),
    ],
)
def test_what_was_not_made_here_is_refused(change, words: str) -> None:
    with pytest.raises(BadReturn, match=words):
        SRS.reverse(change(made("ann@far.test")), NOW)


def test_return_addresses_expire() -> None:
    local = made("ann@far.test")
    SRS.reverse(local, NOW + LIFE * DAY)
    for when in (NOW + (LIFE + 1) * DAY, NOW - DAY):
        with pytest.raises(BadReturn, match="has expired: it was good for 21 days"):
            SRS.reverse(local, when)


def test_an_old_secret_is_still_good() -> None:
    newer = Srs((b"new", b"secret"))
    assert str(newer.reverse(made("ann@far.test"), NOW)) == "ann@far.test"
    with pytest.raises(BadReturn):
        SRS.reverse(made("ann@far.test", newer), NOW)


def test_long_addresses_are_taken_back() -> None:
    there = SRS.forward(Address.parse(f"{'x' * 64}@{'a' * 60}.test"), "here.test", NOW)
    assert Address.parse(str(there)) == there
    with pytest.raises(BadAddress):
        Address.parse(f"{'x' * 65}@here.test")
