"""Tags on envelope senders."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.identity.batv import LIFE, Batv, bare, fits, is_tagged
from postroom.identity.srs import BadReturn, Srs
from postroom.values.address import Address, BadAddress

NOW = 1_800_000_000.0
DAY = 86400.0
BATV = Batv((b"secret",))
ANN = Address.parse("Ann.Archer@here.test")


def test_there_and_back() -> None:
    address = BATV.tagged(ANN, NOW)
    assert str(address).startswith("prvs=")
    assert len(address.local) == len(ANN.local) + 16
    assert address.local[6:9] == f"{(int(NOW // DAY) + LIFE) % 1000:03}"
    assert Address.parse(str(address)) == address
    assert is_tagged(address.local)
    assert not is_tagged(ANN.local)
    assert BATV.check(address, NOW + 5 * DAY) == ANN
    assert bare(address) == ANN
    assert bare(ANN) == ANN


@given(local=st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,48}", fullmatch=True), day=st.integers(0, 30_000))
@settings(max_examples=100)
def test_any_sender_comes_back_while_it_is_good(local: str, day: int) -> None:
    there = BATV.tagged(Address(local, "here.test"), day * DAY)
    if not fits(local):
        assert there.local == local
        return
    assert BATV.check(there, (day + LIFE) * DAY).local == local
    with pytest.raises(BadReturn, match="has expired"):
        BATV.check(there, (day + LIFE + 1) * DAY)


def test_what_was_changed_is_not_ours() -> None:
    made = str(BATV.tagged(ANN, NOW))
    digits = made[5:9]
    for changed in (
        made.replace("Ann", "Ben"),
        made.replace("here.test", "else.test"),
        made.replace(digits, digits[0] + f"{(int(digits[1:]) + 1) % 1000:03}"),
        made.replace(digits, str((int(digits[0]) + 1) % 10) + digits[1:]),
        str(Batv((b"other",)).tagged(ANN, NOW)),
    ):
        with pytest.raises(BadReturn, match="was not made here"):
            BATV.check(Address.parse(changed), NOW)
    with pytest.raises(BadReturn, match="not complete"):
        BATV.check(Address.parse("prvs=ann@here.test"), NOW)


def test_case_may_change_on_the_way() -> None:
    local = BATV.tagged(ANN, NOW).local
    for changed in (local.lower(), local.upper()):
        assert BATV.check(Address(changed, "here.test"), NOW).key == ANN.key


def test_old_keys_are_known_and_the_first_makes() -> None:
    both = Batv((b"new", b"secret"))
    assert both.check(BATV.tagged(ANN, NOW), NOW) == ANN
    assert both.tagged(ANN, NOW) == Batv((b"new",)).tagged(ANN, NOW)
    with pytest.raises(BadReturn):
        BATV.check(both.tagged(ANN, NOW), NOW)


def test_some_addresses_take_no_tag() -> None:
    wrapped = Srs((b"secret",)).forward(Address.parse("x@far.test"), "here.test", NOW)
    for sender in (Address("a" * 49, "here.test"), wrapped, BATV.tagged(ANN, NOW)):
        assert BATV.tagged(sender, NOW) == sender
    longest = BATV.tagged(Address("a" * 48, "here.test"), NOW)
    assert len(longest.local) == 64
    assert Address.parse(str(longest)) == longest


def test_a_tag_of_others_inside_a_wrapped_sender() -> None:
    """Mail that is passed on: their report finds its way back to their tag."""
    theirs = Batv((b"theirs",)).tagged(Address.parse("bob@far.test"), NOW)
    srs = Srs((b"secret",))
    there = Address.parse(str(srs.forward(theirs, "here.test", NOW)))
    assert srs.reverse(there.local, NOW) == theirs


def test_tagged_addresses_may_be_longer_but_not_endless() -> None:
    assert Address.parse("prvs=" + "a" * 75 + "@far.test")
    with pytest.raises(BadAddress):
        Address.parse("prvs=" + "a" * 76 + "@far.test")
