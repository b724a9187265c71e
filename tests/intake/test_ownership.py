"""Sending as somebody else, or on behalf of somebody else: who may, what is added, and where copies go."""

from __future__ import annotations

from dataclasses import replace

import pytest
from intake_house import BOB, USER, House

from postroom.identity.model import Permit, Sending
from postroom.store.api import AccountRow, NewEntry
from postroom.values.refusal import Refusal

SUPPORT = AccountRow(id="acc-support", login="support@here.test", created=0, shared=True, sent_copies=True)


@pytest.fixture
def house(tmp_path) -> House:
    made = House(tmp_path)
    made.identity.lent = {
        "support@here.test": Permit(Sending.AS, SUPPORT),
        "bob@here.test": Permit(Sending.ON_BEHALF, BOB),
    }
    return made


async def submit(house: House, header: bytes, sender: str = "alice@here.test") -> NewEntry:
    await house.send(USER, header + b"\r\nHello\r\n", "x@far.test", sender=sender)
    return house.queue.entries[-1]


def routes(entry: NewEntry) -> list[tuple[str, str]]:
    return [(one.route, one.address) for one in entry.recipients]


async def test_sent_as_another_with_a_copy_for_its_sent_mail(house: House) -> None:
    entry = await submit(house, b"From: Support <support@here.test>\r\n", "support@here.test")
    assert routes(entry) == [("remote", "x@far.test"), ("sent", "support@here.test")]
    assert entry.recipients[1].notify == "NEVER"
    assert b"Sender:" not in entry.trace + entry.content.read()
    assert entry.account == "acc-alice"


async def test_no_copy_where_none_is_wanted_and_for_what_is_the_logins_own(house: House) -> None:
    entry = await submit(house, b"From: alice@here.test\r\n", "support@here.test")
    assert routes(entry) == [("remote", "x@far.test")]
    house.identity.lent["support@here.test"] = Permit(Sending.AS, replace(SUPPORT, sent_copies=False))
    assert routes(await submit(house, b"From: support@here.test\r\n")) == [("remote", "x@far.test")]


async def test_one_copy_for_two_addresses_of_one_owner(house: House) -> None:
    house.identity.lent["help@here.test"] = Permit(Sending.AS, SUPPORT)
    entry = await submit(house, b"From: support@here.test, help@here.test\r\nSender: alice@here.test\r\n")
    assert routes(entry)[1:] == [("sent", "support@here.test")]


async def test_the_copy_stands_beside_a_recipient_of_the_same_name(house: House) -> None:
    await house.send(USER, b"From: support@here.test\r\n\r\nx\r\n", "alice@here.test", sender="support@here.test")
    assert routes(house.queue.entries[-1]) == [("local", "alice@here.test"), ("sent", "support@here.test")]


@pytest.mark.parametrize("sender", ["alice@here.test", "bob@here.test"])
async def test_on_behalf_says_who_it_really_was(house: House, sender: str) -> None:
    entry = await submit(house, b"From: bob@here.test\r\n", sender)
    assert b"Sender: alice@here.test\r\n" in entry.trace
    entry = await submit(house, b"From: bob@here.test\r\nSender: Alice <ALICE@here.test>\r\n", sender)
    assert b"Sender" not in entry.trace
    assert routes(entry) == [("remote", "x@far.test")]


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"From: bob@here.test\r\nSender: support@here.test\r\n", "own address"),
        (b"From: bob@here.test\r\nSender: bob@here.test\r\n", "Sender: <bob@here.test> does not belong"),
        (b"From: bob@here.test\r\nSender: x@far.test\r\n", "Sender: <x@far.test> does not belong"),
        (b"From: carol@here.test\r\n", "From: <carol@here.test> does not belong"),
        (b"From: bob@here.test, carol@here.test\r\n", "From: <carol@here.test> does not belong"),
        (b"From: alice@here.test\r\nResent-From: bob@here.test\r\n", "Resent-From: <bob@here.test> does not"),
    ],
)
async def test_what_nobody_may(house: House, header: bytes, text: str) -> None:
    with pytest.raises(Refusal) as caught:
        await submit(house, header)
    assert (caught.value.code, caught.value.enhanced) == (550, "5.7.1")
    assert text in caught.value.public
    assert house.queue.entries == []


async def test_an_envelope_sender_that_is_nobodys(house: House) -> None:
    with pytest.raises(Refusal) as caught:
        await house.open(USER, "carol@here.test")
    assert caught.value.code == 553
