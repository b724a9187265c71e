"""Addresses that release a message from quarantine."""

from __future__ import annotations

import pytest

from postroom.policy.release_links import BadLink, read_link, token
from postroom.policy.release_mail import check_address, read_address, release_address
from postroom.values.address import Address

SECRET = b"s" * 32
NOW = 1_800_000_000.0
ITEM = "06x3k2m9f1abc-0"


def made(item: str = ITEM, account: str = "acc", until: float = NOW + 60) -> Address:
    address = release_address(SECRET, item, account, until, "here.test")
    assert address is not None
    return address


def test_there_and_back() -> None:
    address = Address.parse(str(made()))
    for text in (str(address), str(address).upper()):
        given = read_address(Address.parse(text))
        assert given is not None
        assert given.item == ITEM
        check_address(SECRET, given, "acc", NOW)
        with pytest.raises(BadLink, match="too old"):
            check_address(SECRET, given, "acc", NOW + 60)
        for secret, account in ((SECRET, "other"), (SECRET, ""), (b"x" * 32, "acc")):
            with pytest.raises(BadLink, match="not made for you"):
                check_address(secret, given, account, NOW)


def test_what_was_changed_is_not_good() -> None:
    text = made().local
    last = "2" if text[-1] == "a" else "a"
    for changed in (text.replace(ITEM, "06x3k2m9f1abd-0"), text.replace("180000", "190000"), text[:-1] + last):
        given = read_address(Address(changed, "here.test"))
        assert given is not None
        with pytest.raises(BadLink):
            check_address(SECRET, given, "acc", NOW)


@pytest.mark.parametrize(
    "local", ["release", "release+x", "ann", "release+a-0.1.short", f"x{made().local}", f"{made().local}x"]
)
def test_other_addresses_are_none(local: str) -> None:
    assert read_address(Address(local, "here.test")) is None


def test_a_link_is_no_address_and_an_address_no_link() -> None:
    given = read_link(token(SECRET, ITEM, "acc", NOW + 60))
    with pytest.raises(BadLink):
        check_address(SECRET, given, "acc", NOW)


def test_longest() -> None:
    assert len(made(until=99_999_999_999).local) <= 64
    assert release_address(SECRET, "a" * 30 + "-0", "acc", NOW, "here.test") is None
