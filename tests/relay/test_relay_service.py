"""The relay against smart hosts that take, refuse, stall and vanish, at every stage, over real sockets."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from relay_house import MAIL, House, until

from postroom.config import OutgoingTls
from postroom.net.tls import write_self_signed
from postroom.queue.outcome import Kind
from postroom.relay.flight import ENDED, TAKEN, FlightRecorder, recover
from postroom.testing.scripted_peer import ScriptedPeer
from postroom.values.content import Content


@pytest.fixture
async def host() -> AsyncIterator[ScriptedPeer]:
    host = ScriptedPeer()
    await host.start()
    yield host
    await host.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    pair = (folder / "cert.pem", folder / "key.pem")
    write_self_signed(*pair, ["localhost"], 2, datetime.datetime.now(datetime.UTC))
    return pair


async def test_a_message_is_handed_on(host: ScriptedPeer) -> None:
    house = House(host)
    outcome = await house.outcome("b@far.test", ret="HDRS", envid="e+1", notify="SUCCESS")
    assert (outcome.kind, outcome.status, outcome.remote) == (Kind.RELAYED, "2.0.0", "localhost")
    assert outcome.reply == "250 2.0.0 queued"
    assert outcome.reported
    (taken,) = host.messages
    assert taken.data == MAIL
    assert taken.mail == f"<a@here.test> SIZE={len(MAIL)} RET=HDRS ENVID=e+2B1"
    assert taken.rcpts == ["<b@far.test> NOTIFY=SUCCESS"]
    await house.relay.stop()


async def test_a_host_without_extensions(host: ScriptedPeer) -> None:
    host.features = ()
    house = House(host)
    outcome = await house.outcome("b@far.test", "c@far.test", notify="SUCCESS", body="8BITMIME", smtputf8=True)
    assert outcome.kind is Kind.RELAYED
    assert not outcome.reported
    assert host.messages[0].mail == "<a@here.test>"
    assert host.messages[0].rcpts == ["<b@far.test>", "<c@far.test>"]


async def test_the_null_sender(host: ScriptedPeer) -> None:
    await House(host).outcome(sender="")
    assert host.messages[0].mail.startswith("<>")


async def test_a_connection_is_used_again_and_closed_when_idle(host: ScriptedPeer) -> None:
    house = House(host, connections=1)
    for _ in range(5):
        house.take()
    await house.queue.until(5)
    house.take()
    await house.queue.until(6)
    assert len(host.lines) == 1
    assert host.verbs().count("MAIL") == 6
    await asyncio.gather(*house.relay._couriers)
    house.wheel.turn(12)
    await until(lambda: host.open == 0)
    house.take()
    await house.queue.until(7)
    assert len(host.lines) == 2
    assert host.verbs(0)[-1] == "QUIT"


async def test_connections_at_once_are_bounded(host: ScriptedPeer) -> None:
    host.gate = asyncio.Event()
    house = House(host, connections=3)
    for _ in range(10):
        house.take()
    await until(lambda: len(host.messages) >= 3 and all(each.complete for each in host.messages))
    host.gate.set()
    await house.queue.until(10)
    assert host.most == 3


async def test_recipients_answer_for_themselves(host: ScriptedPeer) -> None:
    host.replies = {
        "RCPT b@far.test": "550 5.1.1 no such user",
        "RCPT c@far.test": "451 4.3.2 busy",
        "RCPT e@far.test": "550 not here",
    }
    house = House(host)
    house.take("b@far.test", "c@far.test", "d@far.test", "e@far.test")
    outcomes = await house.queue.until(4)
    assert [(each.kind, each.status, each.reply) for each in outcomes] == [
        (Kind.FAILED, "5.1.1", "550 5.1.1 no such user"),
        (Kind.DEFERRED, "4.3.2", "451 4.3.2 busy"),
        (Kind.RELAYED, "2.0.0", "250 2.0.0 queued"),
        (Kind.FAILED, "5.0.0", "550 not here"),
    ]
    assert host.messages[0].rcpts == ["<d@far.test>"]


@pytest.mark.parametrize("features", [("PIPELINING",), ()])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "end"])
@pytest.mark.parametrize(
    ("said", "kind", "status"),
    [
        ("451 4.3.0 not now", Kind.DEFERRED, "4.3.0"),
        ("550 5.7.1 never", Kind.FAILED, "5.7.1"),
        ("452 full", Kind.DEFERRED, "4.0.0"),
    ],
)
async def test_refusals_at_every_stage(host, features, stage: str, said: str, kind: Kind, status: str) -> None:
    host.features = features
    host.replies = {stage: [said]}
    house = House(host, connections=1)
    outcome = await house.outcome()
    assert (outcome.kind, outcome.status, outcome.reply, outcome.remote) == (kind, status, said, "localhost")
    house.take()
    assert (await house.queue.until(2))[1].kind is Kind.RELAYED
    assert len(host.lines) == 1  # the session goes on after a refusal
    await house.relay.stop()


async def test_a_host_that_goes_on_after_it_has_refused(host: ScriptedPeer) -> None:
    """It accepts recipients of a message it refused: no text, for we go by what it said first, and it might keep it."""
    host.lying = True
    host.replies = {"MAIL": ["550 5.7.1 never"]}
    house = House(host)
    outcome = await house.outcome()
    assert (outcome.kind, outcome.reply) == (Kind.FAILED, "550 5.7.1 never")
    assert (await house.outcome()).kind is Kind.RELAYED
    assert len(host.lines) == 2
    assert [each.complete for each in host.messages] == [False, True]
    await house.relay.stop()


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("greeting", "554 5.3.2 go away"),
        ("greeting", "421 4.3.2 busy"),
        ("EHLO", "421 4.3.2 shutting down"),
        ("AUTH", "535 5.7.8 wrong password"),
        ("AUTH", "454 4.7.0 later"),
    ],
)
async def test_a_session_that_cannot_be_opened_only_delays(host: ScriptedPeer, stage: str, said: str) -> None:
    host.features = ("AUTH PLAIN",)
    host.replies = {stage: said}
    house = House(host, user="me", password="secret", connections=1)
    for _ in range(3):
        house.take()
    outcomes = await house.queue.until(3)
    assert {(each.kind, each.status, each.reply) for each in outcomes} == {(Kind.DEFERRED, f"4{said[5:9]}", said)}
    assert len(host.lines) == 1  # those that wait need not find out one by one
    assert house.events.names() == ["relay.unusable"]


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "end"])
async def test_a_host_that_hangs_up(host: ScriptedPeer, stage: str) -> None:
    host.replies = {stage: None}
    house = House(host)
    outcome = await house.outcome()
    assert (outcome.kind, outcome.status, outcome.remote) == (Kind.DEFERRED, "4.4.2", "")
    assert outcome.reply.startswith(("the server closed the connection", "the connection was lost"))


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "end"])
async def test_a_host_that_ends_the_session(host: ScriptedPeer, stage: str) -> None:
    host.replies = {stage: ["421 4.3.2 shutting down"]}
    house = House(host, connections=1)
    outcome = await house.outcome()
    assert (outcome.kind, outcome.status, outcome.reply) == (Kind.DEFERRED, "4.3.2", "421 4.3.2 shutting down")
    house.take()
    assert (await house.queue.until(2))[1].kind is Kind.RELAYED
    assert len(host.lines) == 2


async def test_the_connection_breaks_in_the_middle_of_the_text(host: ScriptedPeer, tmp_path: Path) -> None:
    host.drop_in_data = 100_000
    host.features = ()
    path = tmp_path / "large"
    path.write_bytes(MAIL + b"0123456789abcdef\r\n" * 300_000)
    house = House(host)
    outcome = await house.outcome(content=Content(size=path.stat().st_size, path=str(path)))
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, "4.4.2")
    assert not host.messages[0].complete


async def test_a_host_that_refuses_in_the_middle_of_the_text(host: ScriptedPeer) -> None:
    host.refuse_in_data = b"552 5.3.4 enough\r\n"
    host.features = ()
    house = House(host)
    outcome = await house.outcome(content=MAIL + b"0123456789abcdef\r\n" * 300_000)
    assert (outcome.kind, outcome.status) in ((Kind.FAILED, "5.3.4"), (Kind.DEFERRED, "4.4.2"))
    await house.relay.stop()


async def test_a_large_message_from_its_file(host: ScriptedPeer, tmp_path: Path) -> None:
    host.features = ("8BITMIME",)
    path = tmp_path / "large"
    body = (b"." + b"line" * 200 + b"\r\n") * 3000
    path.write_bytes(body)
    content = Content(size=len(body), path=str(path)).with_prefix(MAIL)
    assert (await House(host).outcome(content=content)).kind is Kind.RELAYED
    assert host.messages[0].data == MAIL + body


async def test_a_text_that_cannot_be_read_is_never_ended(host: ScriptedPeer, tmp_path: Path) -> None:
    host.features = ("8BITMIME",)
    house = House(host)
    outcome = await house.outcome(content=Content(size=1000, path=str(tmp_path / "gone")))
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, "4.3.0")
    assert house.events.names() == ["relay.fault"]
    await until(lambda: host.open == 0)
    assert not any(each.complete for each in host.messages)


@pytest.mark.parametrize(
    ("stage", "seconds", "text"),
    [
        ("greeting", 300, "the server did not greet in time"),
        ("MAIL", 300, "the server did not answer in time"),
        ("end", 600, "the server did not confirm the message in time"),
    ],
)
async def test_a_host_that_says_nothing(host: ScriptedPeer, stage: str, seconds: int, text: str) -> None:
    host.replies = {stage: b""}
    host.features = ()
    house = House(host)
    house.take()
    await arrived(house, host, stage)
    house.wheel.turn(seconds - 1)
    assert house.queue.outcomes == {}
    house.wheel.turn(3)
    (outcome,) = await house.queue.until(1)
    assert (outcome.kind, outcome.status, outcome.reply) == (Kind.DEFERRED, "4.4.2", text)


async def arrived(house: House, host: ScriptedPeer, stage: str) -> None:
    """Wait until the dialog has come to the stage that stalls."""
    await until(
        {
            "greeting": lambda: bool(host.lines and house.wheel._slots),
            "MAIL": lambda: bool(host.lines) and "MAIL" in host.verbs(),
            "end": lambda: bool(host.messages) and host.messages[0].complete,
        }[stage]
    )


async def test_garbage_instead_of_replies(host: ScriptedPeer) -> None:
    host.replies = {"MAIL": b"\x00\xff what?\r\n"}
    outcome = await House(host).outcome()
    assert (outcome.kind, outcome.reply) == (Kind.DEFERRED, "The server's reply is not SMTP")


async def test_nobody_listens(host: ScriptedPeer) -> None:
    port = host.port
    await host.stop()
    outcome = await House(host).outcome()
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, "4.4.1")
    assert outcome.reply == f"localhost [127.0.0.1] port {port} cannot be reached: Connection refused"
    await host.start()


async def test_a_host_without_an_address(host: ScriptedPeer) -> None:
    outcome = await House(host, host="nowhere.invalid").outcome()
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, "4.4.3")
    assert outcome.reply.startswith("nowhere.invalid cannot be found")


async def test_a_kept_connection_that_went_away_costs_nothing(host: ScriptedPeer) -> None:
    house = House(host, connections=1)
    await house.outcome()
    host.replies = {"RSET": [None], "MAIL": [None]}
    house.take()
    assert (await house.queue.until(2))[1].kind is Kind.RELAYED
    assert len(host.lines) == 2


async def test_a_mailbox_that_is_full_for_good(host: ScriptedPeer) -> None:
    """552 alone is about too many recipients (RFC 5321 4.5.3.1.10), but not when it says something else."""
    host.replies["RCPT"] = "552 5.2.2 over quota"
    outcome = await House(host).outcome("x@far.test")
    assert (outcome.kind, outcome.status) == (Kind.FAILED, "5.2.2")


@pytest.mark.parametrize("said", ["452 4.5.3 too many", "452 too many recipients", "552 too many recipients"])
async def test_more_recipients_than_the_host_takes_at_once(host: ScriptedPeer, said: str) -> None:
    host.replies = {"RCPT": ["250 ok", "250 ok", said, said, "250 ok", said, "250 ok"]}
    house = House(host, connections=1)
    house.take(*[f"r{n}@far.test" for n in range(4)])
    outcomes = await house.queue.until(4)
    assert [each.kind for each in outcomes] == [Kind.RELAYED] * 4
    assert [each.rcpts for each in host.messages] == [
        ["<r0@far.test>", "<r1@far.test>"],
        ["<r2@far.test>"],
        ["<r3@far.test>"],
    ]


async def test_a_host_that_announces_its_limit(host: ScriptedPeer) -> None:
    host.features = ("LIMITS RCPTMAX=2", "PIPELINING")
    house = House(host, connections=1)
    house.take(*[f"r{n}@far.test" for n in range(5)])
    assert {each.kind for each in await house.queue.until(5)} == {Kind.RELAYED}
    assert [len(each.rcpts) for each in host.messages] == [2, 2, 1]


# what a crash would leave


async def test_what_is_open_is_on_record(host: ScriptedPeer, tmp_path: Path) -> None:
    host.gate = asyncio.Event()
    path = tmp_path / "relay-0.flight"
    flights = FlightRecorder(path)
    house = House(host, flights=flights)
    host.replies = {"RCPT b@far.test": "550 5.1.1 unknown"}
    entry = house.take("b@far.test", "c@far.test")
    await until(lambda: bool(host.whole))
    (flight,) = recover(path)
    assert (flight.entry, flight.host, flight.state) == (entry.id, "localhost", ENDED)
    settled = asyncio.Event()
    house.queue.settle = lambda *_: settled.wait()  # the commit takes its time
    host.gate.set()
    await until(lambda: recover(path)[0].state == TAKEN)
    (flight,) = recover(path)
    assert flight.recipients == 0b10
    settled.set()
    await until(lambda: not house.relay.busy)
    assert recover(path) == []
    flights.close()


async def test_an_answer_that_never_came_is_told(host: ScriptedPeer, tmp_path: Path) -> None:
    host.replies = {"end": None}
    flights = FlightRecorder(tmp_path / "x")
    house = House(host, flights=flights)
    assert (await house.outcome()).kind is Kind.DEFERRED
    (told,) = house.events.of("relay.maybe_doubled")
    assert (told["queue_id"], told["recipients"], told["host"]) == ("id00000", ["b@far.test"], "localhost")
    assert recover(tmp_path / "x") == []
    host.replies = {"DATA": None}
    await house.outcome()
    assert len(house.events.of("relay.maybe_doubled")) == 1
    flights.close()


# what the host cannot take


async def test_eight_bit_text_is_converted_for_a_host_that_takes_none(host: ScriptedPeer) -> None:
    host.features = ("PIPELINING", "SIZE 100000")
    house = House(host)
    text = b"Received: x\r\nSubject: hi\r\n\r\nsome words in \xe4\r\n"
    house.take(content=text, body="8BITMIME")
    house.take(content=MAIL, body="8BITMIME")
    house.take(content=text, account="us", smtputf8=True)
    outcomes = await house.queue.until(3)
    assert {each.kind for each in outcomes} == {Kind.RELAYED}
    for taken in host.messages:
        assert taken.data.isascii()
        assert f"SIZE={len(taken.data)}" in taken.mail
        assert "BODY" not in taken.mail
    assert sum(taken.data == MAIL for taken in host.messages) == 1
    assert sum(b"some words in =E4\r\n" in taken.data for taken in host.messages) == 2


async def test_our_own_mail_is_signed_anew_when_it_was_converted(host: ScriptedPeer) -> None:
    async def resign(content: Content, now: float) -> Content:
        return Content.of(b"DKIM-Signature: new\r\n" + content.read())

    host.features = ("PIPELINING",)
    house = House(host, resign=resign)
    text = b"Subject: hi\r\n\r\nsome words in \xe4\r\n"
    for content, account in ((text, "us"), (text, ""), (MAIL, "us")):
        await house.outcome(content=content, body="8BITMIME", account=account)
    assert [taken.data.startswith(b"DKIM-Signature: new\r\n") for taken in host.messages] == [True, False, False]


async def test_signed_eight_bit_text_is_not_converted(host: ScriptedPeer) -> None:
    host.features = ("PIPELINING",)
    house = House(host)
    text = b"DKIM-Signature: v=1\r\nSubject: hi\r\n\r\nsome words in \xe4\r\n"
    refused = await house.outcome(content=text, body="8BITMIME")
    assert (refused.kind, refused.status, refused.remote) == (Kind.FAILED, "5.6.3", "")
    assert refused.reply == (
        "The server does not take 8-bit text (8BITMIME), and the message cannot be converted: it is signed (DKIM)"
    )
    assert (await house.outcome(content=text, body="8BITMIME", account="us")).kind is Kind.RELAYED
    host.features = ("8BITMIME",)
    assert (await House(host).outcome(content=text, body="8BITMIME")).kind is Kind.RELAYED
    assert host.messages[-1].data == text


async def test_long_lines_of_mail_that_is_passed_on(host: ScriptedPeer, tmp_path: Path) -> None:
    long = b"Subject: hi\r\n\r\n" + b"x" * 2000 + b"\xe4\r\n"
    house = House(host)
    await house.outcome(content=long)
    assert all(len(line) <= 998 for line in host.messages[-1].data.split(b"\r\n"))
    await house.outcome(content=b"DKIM-Signature: v=1\r\n" + long)
    assert host.messages[-1].data == b"DKIM-Signature: v=1\r\n" + long
    path = tmp_path / "large"
    path.write_bytes(b"Subject: hi\r\n\r\n" + b"short\r\n" * 40_000 + b"y" * 1500 + b"\r\n")
    await house.outcome(content=Content(size=path.stat().st_size, path=str(path)))
    assert all(len(line) <= 998 for line in host.messages[-1].data.split(b"\r\n"))
    await house.relay.stop()


async def test_eight_bit_text_is_announced_though_the_client_did_not(host: ScriptedPeer) -> None:
    await House(host).outcome(content=MAIL + b"\xe4\r\n")
    assert "BODY=8BITMIME" in host.messages[0].mail


async def test_international_mail_needs_a_host_that_takes_it(host: ScriptedPeer) -> None:
    host.features = ("8BITMIME",)
    house = House(host)
    house.take(content="Subject: ä\r\n\r\nhi\r\n".encode(), body="8BITMIME", smtputf8=True)
    house.take(sender="ä@here.test", smtputf8=True)
    house.take(content="Subject: x\r\n\r\nä\r\n".encode(), body="8BITMIME", smtputf8=True)
    outcomes = await house.queue.until(3)
    assert [(each.kind, each.status) for each in outcomes] == [
        (Kind.FAILED, "5.6.7"),
        (Kind.FAILED, "5.6.7"),
        (Kind.RELAYED, "2.0.0"),
    ]
    assert outcomes[0].reply == "The server does not take international addresses (SMTPUTF8)"
    host.features = ()
    both = await House(host).outcome(content="Subject: ä\r\n\r\nhi\r\n".encode(), body="8BITMIME", smtputf8=True)
    assert both.status == "5.6.7"


async def test_an_international_recipient_fails_alone(host: ScriptedPeer) -> None:
    host.features = ()
    house = House(host)
    house.take("ä@far.test", "b@far.test", smtputf8=True)
    outcomes = await house.queue.until(2)
    assert [(each.kind, each.status) for each in outcomes] == [(Kind.FAILED, "5.6.7"), (Kind.RELAYED, "2.0.0")]
    house = House(host)
    assert (await house.outcome("ö@far.test", smtputf8=True)).status == "5.6.7"


async def test_international_mail_to_a_host_that_takes_it(host: ScriptedPeer) -> None:
    await House(host).outcome("ä@far.test", smtputf8=True)
    assert host.messages[0].mail.endswith(" SMTPUTF8")


async def test_an_alias_with_an_international_member(host: ScriptedPeer) -> None:
    assert (await House(host).outcome("ä@far.test")).kind is Kind.RELAYED
    assert host.messages[0].mail.endswith(" SMTPUTF8")


async def test_a_message_the_host_calls_too_large(host: ScriptedPeer) -> None:
    host.features = ("SIZE 1000",)
    outcome = await House(host).outcome(content=MAIL + b"x" * 1000)
    assert (outcome.kind, outcome.status) == (Kind.FAILED, "5.3.4")


# TLS and login


def server_context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def test_starttls_and_login(host: ScriptedPeer, certificate: tuple[Path, Path]) -> None:
    host.tls = server_context(certificate)
    host.features = ("STARTTLS", "AUTH PLAIN LOGIN", "PIPELINING")
    house = House(host, tls=OutgoingTls.STARTTLS, user="me", password="secret", authorities=str(certificate[0]))
    assert (await house.outcome()).kind is Kind.RELAYED
    assert host.verbs()[:5] == ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL"]
    await house.relay.stop()


async def test_implicit_tls(host: ScriptedPeer, certificate: tuple[Path, Path]) -> None:
    secure = ScriptedPeer(tls=server_context(certificate), implicit=True)
    await secure.start()
    house = House(secure, tls=OutgoingTls.IMPLICIT, authorities=str(certificate[0]))
    assert (await house.outcome()).kind is Kind.RELAYED
    await house.relay.stop()
    await secure.stop()


@pytest.mark.parametrize("mode", [OutgoingTls.STARTTLS, OutgoingTls.IMPLICIT])
async def test_a_certificate_that_is_not_trusted(host, certificate: tuple[Path, Path], mode: OutgoingTls) -> None:
    secure = ScriptedPeer(
        tls=server_context(certificate), implicit=mode is OutgoingTls.IMPLICIT, features=("STARTTLS",)
    )
    await secure.start()
    outcome = await House(secure, tls=mode).outcome()
    assert outcome.kind is Kind.DEFERRED
    assert "certificate verify failed" in outcome.reply
    relaxed = House(secure, tls=mode, verify=False)
    assert (await relaxed.outcome()).kind is Kind.RELAYED
    await relaxed.relay.stop()
    await secure.stop()


async def test_no_mail_leaves_without_the_tls_that_is_configured(host: ScriptedPeer) -> None:
    outcome = await House(host, tls=OutgoingTls.STARTTLS).outcome()
    assert (outcome.kind, outcome.status) == (Kind.DEFERRED, "4.7.4")
    assert host.messages == []


# no route, stop


async def test_without_a_smart_host_mail_waits_and_says_why(host: ScriptedPeer) -> None:
    house = House(host, host="", direct=False)
    house.take("b@far.test", "c@else.test")
    outcomes = await house.queue.until(2)
    assert [(each.kind, each.status) for each in outcomes] == [(Kind.DEFERRED, "4.4.4")] * 2
    assert outcomes[1].reply == (
        "no route to else.test: there is no smart host (relay.host), and delivery by MX is off (relay.direct)"
    )


async def test_stop_finishes_what_is_under_way_and_leaves_the_rest(host: ScriptedPeer) -> None:
    host.gate = asyncio.Event()
    house = House(host, connections=1)
    first, second = house.take(), house.take()
    await until(lambda: bool(host.messages) and host.messages[0].complete)
    stopping = asyncio.create_task(house.relay.stop())
    await asyncio.sleep(0)
    host.gate.set()
    await stopping
    assert list(house.queue.outcomes) == [(first.id, 0)]
    assert house.queue.back == [second.id]
    assert host.verbs()[-1] == "QUIT"


async def test_stop_while_connections_are_idle(host: ScriptedPeer) -> None:
    house = House(host)
    await house.outcome()
    await asyncio.wait_for(house.relay.stop(), 5)
