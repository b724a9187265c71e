"""Mail passed on outside, and reports that come back to its return address."""

from __future__ import annotations

import pytest
from intake_house import LMTP, MAIL, OWN, SRS, STRANGER, USER, House

from postroom.store.api import Suppression
from postroom.values.address import Address
from postroom.values.refusal import Refusal


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def routes(house: House) -> list[tuple[str, str, str]]:
    return [(each.address, each.route, each.forwarder) for each in house.queue.entries[-1].recipients]


def returning(house: House, sender: str = "x@far.test") -> str:
    return str(SRS.forward(Address.parse(sender), "here.test", house.clock.time))


async def test_mail_from_outside_that_is_passed_on_outside_is_marked(house: House) -> None:
    await house.send(STRANGER, MAIL, "team@here.test")
    assert routes(house) == [
        ("alice@here.test", "local", ""),
        ("bob@here.test", "local", ""),
        ("x@far.test", "remote", "team@here.test"),
    ]


@pytest.mark.parametrize(
    ("peer", "mail", "sender"),
    [(USER, OWN, "alice@here.test"), (STRANGER, MAIL, None), (STRANGER, MAIL, "alice@here.test")],
)
async def test_other_mail_keeps_its_sender(house: House, peer, mail: bytes, sender: str | None) -> None:
    await house.send(peer, mail, "out@here.test", sender=sender)
    assert routes(house) == [("x@far.test", "remote", "")]


@pytest.mark.parametrize("peer", [STRANGER, LMTP])
async def test_a_report_comes_back_to_the_sender(house: House, peer) -> None:
    await house.send(peer, MAIL, returning(house), sender=None)
    assert routes(house) == [("x@far.test", "remote", "")]
    await house.send(peer, MAIL, returning(house).lower(), sender=None)
    assert routes(house) == [("x@far.test", "remote", "")]
    await house.send(peer, MAIL, returning(house, "out@here.test"), sender=None)
    assert routes(house) == [("x@far.test", "remote", "")]


@pytest.mark.parametrize(
    ("change", "sender", "enhanced", "words"),
    [
        (lambda text: text, "spam@far.test", "5.7.1", "This address takes reports about mail only"),
        (lambda text: text.replace("=x@", "=y@"), None, "5.7.1", "This return address was not made here"),
        (lambda text: "SRS0=x@here.test", None, "5.7.1", "This return address is not complete"),
        (lambda text: text.replace("here.test", "else.test"), None, "5.7.1", "Relaying denied"),
    ],
)
async def test_other_return_addresses_are_refused(house: House, change, sender, enhanced: str, words: str) -> None:
    envelope = await house.open(STRANGER, sender)
    with pytest.raises(Refusal, match=words) as refused:
        await house.rcpt(STRANGER, envelope, change(returning(house)))
    assert (refused.value.code, refused.value.enhanced) == (550, enhanced)


async def test_a_return_address_expires(house: House) -> None:
    address = returning(house)
    house.clock.time += 22 * 86400
    with pytest.raises(Refusal, match="has expired"):
        await house.rcpt(STRANGER, await house.open(STRANGER, None), address)


async def test_the_sender_behind_it_may_be_gone(house: House) -> None:
    with pytest.raises(Refusal, match="not known here any more"):
        await house.rcpt(STRANGER, await house.open(STRANGER, None), returning(house, "gone@here.test"))


async def test_addresses_nothing_is_sent_to(house: House) -> None:
    now = house.clock.time
    one = Suppression(address="y@far.test", since=now, until=now + 14 * 86400, reason="550 5.1.1 no such user: \xe4")
    await house.limits.suppress(one)
    envelope = await house.open(USER, "alice@here.test")
    with pytest.raises(Refusal) as refused:
        await house.rcpt(USER, envelope, "Y@far.test")
    assert (refused.value.code, refused.value.enhanced) == (550, "5.1.1")
    assert refused.value.public == (
        "Nothing is sent to <y@far.test> until 2027-01-29; on 2027-01-15 it was refused: "
        "550 5.1.1 no such user: \\xe4. Your postmaster can lift that: postroom suppress rm y@far.test"
    )
    await house.rcpt(USER, envelope, "x@far.test")
    house.clock.time += 15 * 86400
    await house.rcpt(USER, envelope, "y@far.test")
