"""Reports from outside: known by the tag of their address, or by the message they name; the others, and floods."""

from __future__ import annotations

import base64

import pytest
from intake_house import BATV, LMTP, MAIL, SRS, STRANGER, USER, House

from postroom.config import Bounces, Flood
from postroom.filter.scoring import Act
from postroom.store.api import Demand, DomainRow
from postroom.values.address import Address
from postroom.values.content import Content
from postroom.values.refusal import Refusal

DAY = 86400.0
SENT = "1.abc@here.test"
REPORT = (
    b"From: Mail Delivery System <MAILER-DAEMON@far.test>\r\nTo: alice@here.test\r\nSubject: Undelivered mail\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\n\r\n'
    b"--x\r\n\r\nIt could not be delivered.\r\n\r\n"
    b"--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns;mx.far.test\r\n\r\n"
    b"--x\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: alice@here.test\r\nMessage-ID: <%b>\r\n\r\n--x--\r\n"
)
ABOUT_OURS = REPORT % SENT.encode()
FORGED = REPORT % b"forged@elsewhere.test"


def house_of(tmp_path, mode: str = "off", since: float = 1.0, **bounces: object) -> House:
    house = House(tmp_path, bounces=Bounces(**bounces))
    house.store.wishes = [DomainRow(name="here.test", created=0.0, batv=mode, batv_since=since)]
    return house


@pytest.fixture
def house(tmp_path) -> House:
    return house_of(tmp_path)


def tag(house: House, address: str = "alice@here.test") -> str:
    return str(BATV.tagged(Address.parse(address), house.clock.time))


async def remember(house: House, account: str = "acc-alice") -> None:
    demand = Demand(account=account, recipients=("x@far.test",), charges=(), message_id=SENT)
    await house.limits.take(demand, house.clock.time)


async def look(house: House, report: bytes, *to: str):
    """What was found out about a report that was taken."""
    envelope = await house.open(STRANGER, None)
    await house.rcpt(STRANGER, envelope, *to)

    await house.intake.accept(STRANGER, envelope, Content.of(report))
    return envelope.returned


# tags


@pytest.mark.parametrize("mode", ["off", "tag", "require"])
@pytest.mark.parametrize("peer", [STRANGER, LMTP])
async def test_a_tag_is_taken_off(tmp_path, mode: str, peer) -> None:
    """Also once a domain has none any more, as long as one is good."""
    house = house_of(tmp_path, mode)
    for address in (tag(house), tag(house).upper().replace("@HERE.TEST", "@here.test")):
        await house.send(peer, FORGED, address, sender=None)
        (recipient,) = house.queue.entries[-1].recipients
        assert recipient.address.lower() == "alice@here.test"
        assert recipient.orcpt == ""
        assert b"prvs" not in house.queue.entries[-1].trace.lower()


async def test_an_alias_and_a_detail_behind_a_tag(house: House) -> None:
    await house.send(STRANGER, FORGED, tag(house, "team@here.test"), sender=None)
    assert [one.address for one in house.queue.entries[-1].recipients] == [
        "alice@here.test", "bob@here.test", "x@far.test",
    ]  # fmt: skip
    assert all("team@here.test" in one.orcpt for one in house.queue.entries[-1].recipients)
    await house.send(STRANGER, FORGED, tag(house, "alice+x@here.test"), sender=None)
    assert house.queue.entries[-1].recipients[0].address == "alice+x@here.test"


async def test_a_tagged_and_the_bare_address_are_one_recipient(house: House) -> None:
    await house.send(STRANGER, MAIL, tag(house), "alice@here.test")
    assert [one.address for one in house.queue.entries[-1].recipients] == ["alice@here.test"]


async def test_a_forged_or_old_tag_is_refused_to_reports(tmp_path) -> None:
    house = house_of(tmp_path, "tag")
    forged = tag(house).replace("alice", "bob")
    for address, words in ((forged, "was not made here"), (tag(house), "has expired")):
        if words == "has expired":
            house.clock.time += 15 * DAY
        with pytest.raises(Refusal, match=words) as refused:
            await house.rcpt(STRANGER, await house.open(STRANGER, None), address)
        assert (refused.value.code, refused.value.enhanced) == (550, "5.7.1")
        await house.send(STRANGER, MAIL, address)  # somebody who writes to a sender of old
        assert len(house.queue.entries[-1].recipients) == 1


async def test_a_tag_that_is_none_of_ours_means_nothing_where_there_are_none(house: House) -> None:
    with pytest.raises(Refusal, match="is not known here"):
        await house.rcpt(STRANGER, await house.open(STRANGER, None), "prvs=0123abcdef=alice@here.test")


async def test_mail_to_a_tag_of_others_leaves_as_it_is(house: House) -> None:
    envelope = await house.open(USER, "alice@here.test")
    await house.rcpt(USER, envelope, "prvs=0123abcdef=x@far.test")
    assert envelope.given[0].targets[0].address == "prvs=0123abcdef=x@far.test"


async def test_mail_of_ours_that_comes_back_in_has_its_own_sender(house: House) -> None:
    await house.send(STRANGER, MAIL, "bob@here.test", sender=tag(house))
    assert house.queue.entries[-1].sender == "alice@here.test"
    theirs = "prvs=0123abcdef=x@far.test"
    await house.send(STRANGER, MAIL, "bob@here.test", sender=theirs)
    assert house.queue.entries[-1].sender == theirs


# what a report is about


async def test_a_report_to_a_tag_or_a_wrapped_sender_is_ours(house: House) -> None:
    wrapped = str(SRS.forward(Address.parse("x@far.test"), "here.test", house.clock.time))
    for address in (tag(house), wrapped):
        found = await look(house, FORGED, address)
        assert [(one.name, one.points) for one in found.findings] == [("REPORT", -4.0)]


@pytest.mark.parametrize(
    "report",
    [
        ABOUT_OURS,
        ABOUT_OURS.replace(b"text/rfc822-headers", b"message/rfc822"),
        b"From: a@far.test\r\nIn-Reply-To:\r\n <%b>\r\n\r\nI am away.\r\n" % SENT.encode(),
        b"From: a@far.test\r\nReferences: <0@x> <%b>\r\n\r\nI am away.\r\n" % SENT.encode(),
        b"From: a@far.test\r\n\r\nHi. This is the qmail-send program.\r\n\r\n> message-id:\r\n>  \r\n"
        b"Message-Id: <%b>\r\n" % SENT.encode(),
        b"From: a@far.test\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(b"sorry\r\n\r\nMessage-ID: <%b>\r\n" % SENT.encode()),
        b"From: a@far.test\r\nContent-Type: message/disposition-notification\r\n\r\nDisposition: displayed\r\n"
        b"Original-Message-ID: <%b>\r\n" % SENT.encode(),
    ],
    ids=["headers", "message", "answer", "references", "quoted", "base64", "read"],
)
async def test_a_report_is_known_by_the_message_it_names(house: House, report: bytes) -> None:
    found = await look(house, report, "alice@here.test")
    assert [one.name for one in found.findings] == ["BACKSCATTER"]
    await remember(house)
    for reader in ("alice@here.test", "bob@here.test", "team@here.test"):  # who sent it need not be who is told
        found = await look(house, report, reader)
        assert [(one.name, one.points) for one in found.findings] == [("REPORT", -4.0)]


async def test_mail_of_a_machine_is_known_too(house: House) -> None:
    await remember(house, account="")
    assert (await look(house, ABOUT_OURS, "alice@here.test")).findings[0].name == "REPORT"


async def test_a_reports_own_message_id_proves_nothing(house: House) -> None:
    await remember(house)
    own = b"Message-ID: <%b>\r\n" % SENT.encode() + FORGED
    assert (await look(house, own, "alice@here.test")).findings[0].name == "BACKSCATTER"


async def test_what_names_nothing_has_half_the_points(house: House) -> None:
    (reason,) = (await look(house, MAIL, "alice@here.test")).findings
    assert (reason.name, reason.points) == ("BACKSCATTER", 1.5)
    (reason,) = (await look(house, FORGED, "alice@here.test")).findings
    assert reason.points == 3.0
    assert "was not sent from here" in reason.text


async def test_other_mail_and_reports_for_programs_are_not_asked(house: House) -> None:
    envelope = await house.open(STRANGER)
    await house.rcpt(STRANGER, envelope, "alice@here.test")
    assert envelope.returned is None
    assert (await look(house, FORGED, "dmarc-reports@here.test")).findings == ()


# required


async def test_reports_without_a_tag_are_refused_where_tags_are_required(tmp_path) -> None:
    house = house_of(tmp_path, "require", since=1_800_000_000.0 - 13.9 * DAY)
    assert await look(house, FORGED, "alice@here.test")  # what left before had no tag
    house.clock.time += 0.2 * DAY
    for address in ("alice@here.test", "Alice+x@here.test", "team@here.test"):
        envelope = await house.open(STRANGER, None)
        await house.rcpt(STRANGER, envelope, address)  # whoever asks whether an address is there is told
        with pytest.raises(Refusal, match="BATV") as refused:
            await house.intake.accept(STRANGER, envelope, Content.of(FORGED))
        assert (refused.value.code, refused.value.enhanced) == (550, "5.7.1")
    assert await look(house, FORGED, "postmaster@here.test")  # RFC 5321 4.5.1
    assert await look(house, FORGED, tag(house))
    await house.send(LMTP, FORGED, "alice@here.test", sender=None)
    await house.send(STRANGER, MAIL, "alice@here.test")
    await remember(house)
    assert (await look(house, ABOUT_OURS, "alice@here.test")).findings[0].name == "REPORT"  # a read receipt, say


# floods


async def flood(house: House, count: int, *to: str) -> list[Act]:
    return [(await look(house, FORGED, to[number % len(to)])).at_least for number in range(count)]


async def test_too_many_in_an_hour_go_to_junk(tmp_path) -> None:
    house = house_of(tmp_path, hourly=3)
    assert await flood(house, 5, "alice@here.test", "alice+a@here.test") == [Act.ACCEPT] * 3 + [Act.JUNK] * 2
    found = await look(house, FORGED, "alice@here.test")
    assert "one of 6 such reports to alice@here.test within an hour" in found.findings[-1].text
    assert await flood(house, 1, "bob@here.test") == [Act.ACCEPT]  # everybody has a count of his own
    await remember(house)
    assert (await look(house, ABOUT_OURS, "alice@here.test")).at_least is Act.ACCEPT
    assert (await look(house, FORGED, tag(house))).at_least is Act.ACCEPT
    told = [fields for name, fields in house.events.told if name == "bounces.flood"]
    assert [(one["recipient"], one["hourly"]) for one in told] == [("alice+a@here.test", 3)]
    house.clock.time += 3700
    assert await flood(house, 1, "alice@here.test") == [Act.ACCEPT]


@pytest.mark.parametrize(("act", "code", "enhanced"), [(Flood.DEFER, 451, "4.7.1"), (Flood.REFUSE, 550, "5.7.1")])
async def test_or_are_deferred_or_refused(tmp_path, act: Flood, code: int, enhanced: str) -> None:
    house = house_of(tmp_path, hourly=2, flood=act)
    await flood(house, 2, "alice@here.test")
    with pytest.raises(Refusal, match="one of 3 such reports") as refused:
        await look(house, FORGED, "alice@here.test")
    assert (refused.value.code, refused.value.enhanced) == (code, enhanced)
    assert "Too many reports" in refused.value.public


async def test_switched_off(tmp_path) -> None:
    house = house_of(tmp_path, hourly=0, score=0)
    assert await flood(house, 30, "alice@here.test") == [Act.ACCEPT] * 30
    assert (await look(house, FORGED, "alice@here.test")).findings == ()


async def test_a_relaying_network_is_not_asked(tmp_path) -> None:
    house = House(tmp_path, bounces=Bounces(), relay_networks=("192.0.2.0/24",))
    await house.send(STRANGER, FORGED, "alice@here.test", sender=None)
    assert house.limits.sums("acc-alice", {"bounces": 3600}, house.clock.time)["bounces"] == 0
