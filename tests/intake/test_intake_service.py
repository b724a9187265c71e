"""Every refusal of intake with its code and text, and what reaches the queue."""

from __future__ import annotations

from dataclasses import replace

import pytest
from intake_house import ALICE, BOB, LMTP, MAIL, OWN, STRANGER, USER, House

from postroom.config import Config, Limits
from postroom.store.api import NewRecipient, StoreError, StoreUnavailable
from postroom.values.content import Content
from postroom.values.refusal import Refusal


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


class Refused:
    """What a refusal said."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        self.want = (code, enhanced, text)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind, fault, _trace) -> bool:
        assert isinstance(fault, Refusal), fault or "it was not refused"
        assert (fault.code, fault.enhanced, fault.public) == self.want
        assert fault.public.isascii()
        return True


# MAIL FROM


async def test_any_sender_from_outside_is_fine(house: House) -> None:
    assert (await house.open(STRANGER, "someone@else.test")).sender is not None
    assert (await house.open(STRANGER, None)).sender is None
    assert (await house.open(LMTP, "a@b.test")).given == []


async def test_a_message_that_announces_too_much_is_refused(house: House) -> None:
    limit = Limits().message_size
    await house.open(STRANGER, size=limit)
    with Refused(552, "5.3.4", f"Message is too big: {limit + 1} octets, {limit} are allowed"):
        await house.open(STRANGER, size=limit + 1)


async def test_utf8_sender_needs_smtputf8(house: House) -> None:
    await house.open(STRANGER, "jörg@far.test", smtputf8=True)
    with Refused(550, "5.6.7", "An address that is not ASCII needs the SMTPUTF8 parameter"):
        await house.open(STRANGER, "jörg@far.test")


async def test_submission_needs_a_login(house: House) -> None:
    with Refused(530, "5.7.0", "Authentication required"):
        await house.open(replace(USER, account=None), "alice@here.test")


@pytest.mark.parametrize("sender", ["alice@here.test", "ALICE@here.test", "team@here.test", None])
async def test_submission_with_an_own_sender(house: House, sender: str | None) -> None:
    await house.open(USER, sender)


async def test_submission_with_a_foreign_sender(house: House) -> None:
    with Refused(553, "5.7.1", "<bob@here.test> does not belong to the login alice@here.test"):
        await house.open(USER, "bob@here.test")


async def test_submission_while_the_directory_is_out(house: House) -> None:
    house.identity.broken = True
    with Refused(451, "4.3.0", "Addresses cannot be looked up now, try again later"):
        await house.open(USER, "team@here.test")


# RCPT TO


async def test_recipients_of_ours(house: House) -> None:
    envelope = await house.open(STRANGER)
    await house.rcpt(STRANGER, envelope, "Alice@here.test", "bob@here.test")
    assert [given.address for given in envelope.given] == ["Alice@here.test", "bob@here.test"]
    assert envelope.given[0].targets == (NewRecipient(address="Alice@here.test", route="local"),)


@pytest.mark.parametrize("peer", [STRANGER, LMTP, USER])
async def test_unknown_recipients_are_refused_at_rcpt(house: House, peer) -> None:
    envelope = await house.open(peer, None)
    with Refused(550, "5.1.1", "<nobody@here.test> is not known here"):
        await house.rcpt(peer, envelope, "nobody@here.test")
    assert envelope.given == []


@pytest.mark.parametrize("peer", [STRANGER, LMTP, replace(STRANGER, ip="127.0.0.1"), replace(STRANGER, ip="::1")])
async def test_no_relaying_also_not_from_this_machine(house: House, peer) -> None:
    envelope = await house.open(peer, "alice@here.test")
    with Refused(550, "5.7.1", "Relaying denied: far.test is not hosted here"):
        await house.rcpt(peer, envelope, "x@far.test")


async def test_a_login_on_port_25_does_not_relay(house: House) -> None:
    peer = replace(STRANGER, account=ALICE)
    envelope = await house.open(peer)
    with Refused(550, "5.7.1", "Relaying denied: far.test is not hosted here"):
        await house.rcpt(peer, envelope, "x@far.test")


async def test_networks_that_may_relay(tmp_path) -> None:
    house = House(tmp_path, relay_networks=("192.0.2.0/28", "2001:db8::/32"))
    for ip in ("192.0.2.7", "2001:db8::1"):
        peer = replace(STRANGER, ip=ip)
        envelope = await house.open(peer)
        await house.rcpt(peer, envelope, "x@far.test")
        assert envelope.given[0].targets[0].route == "remote"
    for peer in (replace(STRANGER, ip="192.0.2.77"), replace(STRANGER, ip="unix"), replace(LMTP, ip="192.0.2.7")):
        with Refused(550, "5.7.1", "Relaying denied: far.test is not hosted here"):
            await house.rcpt(peer, await house.open(peer), "x@far.test")


async def test_users_may_send_anywhere(house: House) -> None:
    envelope = await house.open(USER, "alice@here.test")
    await house.rcpt(USER, envelope, "x@far.test", notify="SUCCESS", orcpt="rfc822;x@far.test")
    assert envelope.given[0].targets == (
        NewRecipient(address="x@far.test", route="remote", orcpt="rfc822;x@far.test", notify="SUCCESS"),
    )


@pytest.mark.parametrize("address", ["", "postmaster@mx.here.test"])
async def test_postmaster_of_this_machine(house: House, address: str) -> None:
    for peer in (STRANGER, LMTP):
        envelope = await house.open(peer, None)
        await house.rcpt(peer, envelope, address)
        assert [(each.address, each.route) for each in envelope.given[0].targets] == [("alice@here.test", "local")]
    with Refused(550, "5.7.1", "Relaying denied: mx.here.test is not hosted here"):
        await house.rcpt(STRANGER, envelope, "root@mx.here.test")


async def test_an_alias_becomes_its_members_and_keeps_the_name_the_sender_knew(house: House) -> None:
    envelope = await house.open(STRANGER)
    await house.rcpt(STRANGER, envelope, "team@here.test", notify="FAILURE")
    assert [(each.address, each.route, each.orcpt, each.notify) for each in envelope.given[0].targets] == [
        ("alice@here.test", "local", "rfc822;team@here.test", "FAILURE"),
        ("bob@here.test", "local", "rfc822;team@here.test", "FAILURE"),
        ("x@far.test", "remote", "rfc822;team@here.test", "FAILURE"),
    ]


async def test_orcpt_of_the_sender_stays(house: House) -> None:
    envelope = await house.open(STRANGER)
    await house.rcpt(STRANGER, envelope, "team@here.test", orcpt="rfc822;list@far.test")
    assert {each.orcpt for each in envelope.given[0].targets} == {"rfc822;list@far.test"}


async def test_detail_stays_in_the_address(house: House) -> None:
    await house.send(STRANGER, MAIL, "alice+Lists@here.test")
    assert house.queue.entries[0].recipients[0].address == "alice+Lists@here.test"


async def test_too_many_recipients(tmp_path) -> None:
    house = House(tmp_path, recipients=2)
    envelope = await house.open(STRANGER)
    await house.rcpt(STRANGER, envelope, "alice@here.test", "bob@here.test")
    with Refused(452, "4.5.3", "Too many recipients, 2 are allowed in one message"):
        await house.rcpt(STRANGER, envelope, "team@here.test")


async def test_utf8_recipient_needs_smtputf8(house: House) -> None:
    await house.rcpt(STRANGER, await house.open(STRANGER, smtputf8=True), "jörg@here.test")
    with Refused(553, "5.6.7", "An address that is not ASCII needs the SMTPUTF8 parameter"):
        await house.rcpt(STRANGER, await house.open(STRANGER), "jörg@here.test")
    with Refused(550, "5.1.1", "<j\\xf6@here.test> is not known here"):
        await house.rcpt(STRANGER, await house.open(STRANGER, smtputf8=True), "jö@here.test")


async def test_full_mailbox(house: House) -> None:
    house.store.octets[BOB.id] = 600
    await house.rcpt(STRANGER, await house.open(STRANGER, size=399), "bob@here.test")
    with Refused(452, "4.2.2", "The mailbox of <bob@here.test> is full"):
        await house.rcpt(STRANGER, await house.open(STRANGER, size=400), "bob@here.test")
    house.store.octets[ALICE.id] = 10**12
    await house.rcpt(STRANGER, await house.open(STRANGER), "alice@here.test")


async def test_full_of_messages(house: House) -> None:
    house.store.most_messages[ALICE.id] = 2
    await house.rcpt(STRANGER, await house.open(STRANGER), "alice@here.test")
    house.store.most_messages[ALICE.id] = 1
    with Refused(452, "4.2.2", "The mailbox of <alice@here.test> is full"):
        await house.rcpt(STRANGER, await house.open(STRANGER), "alice@here.test")


async def test_disabled_account(house: House) -> None:
    with Refused(550, "5.2.1", "The mailbox of <carol@here.test> is disabled"):
        await house.rcpt(STRANGER, await house.open(STRANGER), "carol@here.test")


async def test_broken_mailbox(house: House) -> None:
    house.store.broken.add(BOB.id)
    with Refused(450, "4.2.0", "The mailbox of <bob@here.test> is out of order"):
        await house.rcpt(STRANGER, await house.open(STRANGER), "bob@here.test")


async def test_directory_out_at_rcpt(house: House) -> None:
    house.identity.broken = True
    with Refused(451, "4.3.0", "Addresses cannot be looked up now, try again later"):
        await house.rcpt(STRANGER, await house.open(STRANGER), "alice@here.test")


# content


async def test_what_the_queue_gets(house: House) -> None:
    envelope = await house.open(STRANGER, "x@far.test", body="8BITMIME", ret="HDRS", envid="e1", size=50)
    await house.rcpt(STRANGER, envelope, "alice@here.test")
    accepted = await house.intake.accept(STRANGER, envelope, Content.of(MAIL))
    (entry,) = house.queue.entries
    assert accepted.id == entry.id == "id1"
    assert [(each.address, each.refusal) for each in accepted.results] == [("alice@here.test", None)]
    assert entry.trace == (
        b"Received: from mail.far.test ([192.0.2.7])\r\n\tby mx.here.test with ESMTP id id1\r\n"
        b"\tfor <alice@here.test>;\r\n\tFri, 15 Jan 2027 08:00:00 +0000\r\n"
    )
    assert entry.content.data == MAIL
    assert (entry.sender, entry.body, entry.ret, entry.envid) == ("x@far.test", "8BITMIME", "HDRS", "e1")
    assert (entry.account, entry.peer, entry.received, entry.smtputf8) == ("", "192.0.2.7", 1_800_000_000.0, False)


async def test_the_null_sender_in_the_queue(house: House) -> None:
    await house.send(STRANGER, MAIL, "alice@here.test", sender=None)
    assert house.queue.entries[0].sender == ""


async def test_several_recipients_are_not_named_in_the_trace(house: House) -> None:
    await house.send(STRANGER, MAIL, "alice@here.test", "bob@here.test")
    assert b"for <" not in house.queue.entries[0].trace


async def test_repeated_recipients_get_it_once(house: House) -> None:
    accepted = await house.send(STRANGER, MAIL, "Alice@here.test", "ALICE@here.test", "team@here.test")
    assert [each.address for each in house.queue.entries[0].recipients] == [
        "Alice@here.test",
        "bob@here.test",
        "x@far.test",
    ]
    assert len(accepted.results) == 3


async def test_no_recipients(house: House) -> None:
    with Refused(554, "5.5.1", "No valid recipients"):
        await house.intake.accept(STRANGER, await house.open(STRANGER), Content.of(MAIL))


async def test_content_that_is_too_big(tmp_path) -> None:
    house = House(tmp_path, message_size=1024)
    await house.send(STRANGER, MAIL + b"x" * (1024 - len(MAIL)), "alice@here.test")
    with Refused(552, "5.3.4", "Message is too big: 1024 octets are allowed"):
        await house.send(STRANGER, MAIL + b"x" * (1025 - len(MAIL)), "alice@here.test")


async def test_header_that_is_too_big(tmp_path) -> None:
    house = House(tmp_path, header_size=65536)
    with Refused(552, "5.3.4", "The message header is longer than 65536 octets"):
        await house.send(STRANGER, b"X-Long: yes\r\n" * 6000 + b"\r\nbody", "alice@here.test")


async def test_mail_that_has_passed_too_many_servers(house: House) -> None:
    hop = b"Received: from a by b; date\r\n"
    await house.send(STRANGER, hop * 50 + b"received: x\r\n" * 50 + MAIL, "alice@here.test")
    with Refused(554, "5.4.6", "Mail loop: the message has passed 101 servers, 100 are allowed"):
        await house.send(STRANGER, hop * 101 + MAIL, "alice@here.test")
    quoted = MAIL + hop * 200 + b"Received-SPF: pass\r\n" * 200
    await house.send(STRANGER, b"Received-SPF: pass\r\n" * 200 + quoted, "alice@here.test")


async def test_mail_that_comes_back_to_who_had_it(house: House) -> None:
    looping = b"Delivered-To: ALICE@here.test\r\n" + MAIL
    with Refused(554, "5.4.6", "Mail loop: the message was delivered to this recipient before"):
        await house.send(STRANGER, looping, "alice@here.test", "bob@here.test")
    await house.send(STRANGER, looping, "bob@here.test")
    await house.send(STRANGER, MAIL + looping, "alice@here.test")
    assert len(house.queue.entries) == 2


async def test_users_may_send_again_what_they_had(house: House) -> None:
    await house.send(USER, b"Delivered-To: alice@here.test\r\n" + OWN, "alice@here.test", sender="alice@here.test")


async def test_content_without_a_header_stays_a_body(house: House) -> None:
    await house.send(STRANGER, b"just text\r\n", "alice@here.test")
    assert house.queue.entries[0].trace.endswith(b"+0000\r\n\r\n")
    for content in (b"\r\njust text\r\n", b"", b"From x Mon Jan 1\r\nSubject: y\r\n\r\n", b"Subject:\r\n"):
        await house.send(STRANGER, content, "alice@here.test")
        assert house.queue.entries[-1].trace.endswith(b"+0000\r\n")
        assert not house.queue.entries[-1].trace.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("fault", "code", "enhanced", "text"),
    [
        (StoreUnavailable("full"), 452, "4.3.1", "There is no room for the message now, try again later"),
        (StoreError("odd"), 451, "4.3.0", "The message cannot be kept now, try again later"),
    ],
)
async def test_queue_that_cannot_keep_it(house: House, fault, code, enhanced, text) -> None:
    house.queue.fault = fault
    with Refused(code, enhanced, text):
        await house.send(STRANGER, MAIL, "alice@here.test")


# LMTP


async def test_lmtp_answers_for_each_recipient(house: House) -> None:
    house.store.octets[BOB.id] = 990
    accepted = await house.send(LMTP, MAIL, "alice@here.test", "bob@here.test", "BOB@here.test", "alice@here.test")
    assert [each.refusal and (each.refusal.code, each.refusal.enhanced) for each in accepted.results] == [
        None,
        (452, "4.2.2"),
        (452, "4.2.2"),
        None,
    ]
    assert [each.address for each in house.queue.entries[0].recipients] == ["alice@here.test"]
    assert b"with LMTP id" in house.queue.entries[0].trace


async def test_lmtp_where_no_recipient_can_take_it(house: House) -> None:
    house.store.octets[BOB.id] = 990
    accepted = await house.send(LMTP, MAIL, "bob@here.test")
    assert accepted.id == ""
    assert house.queue.entries == []
    looping = await house.send(LMTP, b"Delivered-To: alice@here.test\r\n" + MAIL, "alice@here.test")
    assert looping.results[0].refusal.enhanced == "5.4.6"


# submission


async def submit(house: House, content: bytes | Content):
    return await house.send(USER, content, "x@far.test", sender="alice@here.test")


async def test_a_whole_message_is_not_touched(house: House) -> None:
    await submit(house, OWN)
    (entry,) = house.queue.entries
    assert entry.content.data == OWN
    assert entry.account == ALICE.id
    assert entry.trace == (
        b"Received: from [192.168.1.5] ([IPv6:2001:db8::5])\r\n\tby mx.here.test with ESMTPSA"
        b" (TLSv1.3 TLS_AES_256_GCM_SHA384) id id1\r\n\tfor <x@far.test>;\r\n\tFri, 15 Jan 2027 08:00:00 +0000\r\n"
    )


async def test_missing_date_and_message_id_are_added(house: House) -> None:
    await submit(house, b"FROM: alice@here.test\r\n\r\nhi\r\n")
    assert house.queue.entries[0].trace.endswith(
        b";\r\n\tFri, 15 Jan 2027 08:00:00 +0000\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n"
        b"Message-ID: <id1@mx.here.test>\r\n"
    )


async def test_blind_copies_stay_blind(house: House) -> None:
    await submit(
        house,
        b"Return-Path: <y@far.test>\r\nBCC: secret@far.test,\r\n\tother@far.test\r\n"
        + OWN[:-6]
        + b"Resent-Bcc: z@far.test\r\nTo: x\r\n\r\nBcc: in the body\r\n",
    )
    assert house.queue.entries[0].content.data == OWN[:-6] + b"To: x\r\n\r\nBcc: in the body\r\n"


@pytest.mark.parametrize("head", [b"", b"Bcc: secret@far.test\r\n"])
async def test_a_large_message_is_changed_in_its_file(house: House, tmp_path, head: bytes) -> None:
    path = tmp_path / "large"
    body = b"\r\n" + b"0123456789\r\n" * 70_000
    path.write_bytes(head + b"From: alice@here.test\r\n" + body)
    await submit(house, Content(size=path.stat().st_size, path=str(path)))
    (entry,) = house.queue.entries
    assert entry.content.read() == (
        b"Date: Fri, 15 Jan 2027 08:00:00 +0000\r\nMessage-ID: <id1@mx.here.test>\r\nFrom: alice@here.test\r\n" + body
    )
    assert entry.content.size == len(entry.content.read())
    assert house.store.spools[0].closed


async def test_a_large_message_that_is_whole_is_not_copied(house: House, tmp_path) -> None:
    path = tmp_path / "large"
    path.write_bytes(OWN + b"x" * 100_000)
    await submit(house, Content(size=path.stat().st_size, path=str(path)))
    assert house.store.spools == []


async def test_no_room_to_write_a_large_message_again(house: House, tmp_path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"Bcc: s@far.test\r\n" + OWN + b"x" * 100_000)
    house.store.disk_full = True
    with Refused(452, "4.3.1", "There is no room for the message now, try again later"):
        await submit(house, Content(size=path.stat().st_size, path=str(path)))
    assert house.store.spools[0].closed


async def test_missing_from(house: House) -> None:
    with Refused(550, "5.6.0", "The message has no From field"):
        await submit(house, b"Subject: x\r\n\r\nFrom: alice@here.test\r\n")


async def test_two_from(house: House) -> None:
    with Refused(550, "5.6.0", "The message has more than one From field"):
        await submit(house, b"From: alice@here.test\r\nfrom : alice@here.test\r\n\r\n")


@pytest.mark.parametrize(
    "value",
    [
        b"bob@here.test",
        b"Alice <bob@here.test>",
        b'"alice@here.test" <bob@here.test>',
        b"alice@here.test <bob@here.test>",
        b"=?utf-8?q?alice=40here.test?= <bob@here.test>",
        b"(alice@here.test) bob@here.test",
        b"\r\n bob@here.test",
    ],
)
async def test_foreign_from(house: House, value: bytes) -> None:
    with Refused(550, "5.7.1", "From: <bob@here.test> does not belong to the login alice@here.test"):
        await submit(house, b"From: " + value + b"\r\n\r\n")


@pytest.mark.parametrize(
    "value",
    [
        b"ALICE@HERE.test",
        b" Alice\r\n\t<alice@here.test>",
        b'"Bob <bob@here.test>" <alice@here.test>',
        b'"A, B" <team@here.test>',
        b"alice@here.test (bob@here.test)",
        "Jörg <alice@here.test>".encode(),
        b"Alice <alice@here.test>, team@here.test",
    ],
)
async def test_own_from(house: House, value: bytes) -> None:
    await submit(house, b"From:" + value + b"\r\n\r\n")


@pytest.mark.parametrize("value", [b"", b"Alice", b"<>", b"alice@", b"alice@here.test" * 2000, b"x" * 100_000])
async def test_from_without_an_address(house: House, value: bytes) -> None:
    with Refused(550, "5.6.0", "The From field holds no mail address that can be read"):
        await submit(house, b"From: " + value + b"\r\n\r\n")


async def test_one_of_several_from_addresses_is_foreign(house: House) -> None:
    with Refused(550, "5.7.1", "From: <bob@here.test> does not belong to the login alice@here.test"):
        await submit(house, b"From: alice@here.test, Bob <bob@here.test>\r\n\r\n")


def test_the_hostname_of_the_machine_may_be_no_domain() -> None:
    assert Config().server.hostname == "localhost"


@pytest.mark.parametrize("name", [b"Sender", b"sender", b"Resent-From", b"Resent-Sender"])
async def test_a_foreign_sender_beside_from(house: House, name: bytes) -> None:
    """Programs show `ben on behalf of alice`, or ben alone."""
    own = b"From: alice@here.test\r\n"
    with Refused(550, "5.7.1", f"{name.decode()}: <bob@here.test> does not belong to the login alice@here.test"):
        await submit(house, own + name + b": Bob <bob@here.test>\r\n\r\n")
    with Refused(550, "5.7.1", f"{name.decode()}: <x@far.test> does not belong to the login alice@here.test"):
        await submit(house, own + name + b": x@far.test\r\n\r\n")
    await submit(house, own + name + b": Alice <alice@here.test>\r\n\r\n")
    await submit(house, b"From: team@here.test\r\n" + name + b": alice@here.test\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"From: alice@here.test <alice@here.test>\r\n",
        b"From: <alice@here.test> alice@here.test\r\n",
        b"From: <@here.test:alice@here.test>\r\n",
    ],
)
async def test_from_that_programs_read_differently(house: House, head: bytes) -> None:
    with Refused(550, "5.6.0", "The From field is one that programs read differently"):
        await submit(house, head + b"\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b" From: bob@here.test\r\nFrom: alice@here.test\r\n",
        b"From\r\n : bob@here.test\r\nFrom: alice@here.test\r\n",
        b"From\xa0: bob@here.test\r\nFrom: alice@here.test\r\n",
        b"From: alice@here.test\r\nF\x00rom: bob@here.test\r\n",
    ],
)
async def test_lines_that_some_take_for_from(house: House, head: bytes) -> None:
    with Refused(550, "5.6.0", "The message has a line that some programs take for another From field"):
        await submit(house, head + b"\r\n")
