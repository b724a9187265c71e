"""The client's end: against our own server session, and against scripted servers of every kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.smtp import (
    ClientEvent,
    ClientOptions,
    ClientSession,
    Failed,
    Finished,
    Mail,
    Outgoing,
    OutgoingRecipient,
    Rcpt,
    Ready,
    SendBody,
    StartTls,
)

from .smtp_peer import Peer, submission

GREETING = b"220 mx.example.org ESMTP\r\n"
EHLO = b"250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 DSN\r\n"


def message(*recipients: str, **more: object) -> Outgoing:
    to = tuple(OutgoingRecipient(address) for address in recipients or ("b@example.org",))
    return Outgoing(sender="a@example.net", recipients=to, size=more.pop("size", 10), **more)  # type: ignore[arg-type]


def talk(client: ClientSession, peer: Peer, body: bytes = b"") -> list[ClientEvent]:
    """Carry octets both ways until both are silent."""
    events: list[ClientEvent] = []
    while data := peer.data_to_send():
        client.feed(data)
        while (event := client.next_event()) is not None:
            events.append(event)
            if isinstance(event, StartTls):
                client.secured()
            if isinstance(event, SendBody):
                client.body(body)
                client.end_body()
        peer.feed(client.data_to_send())
    return events


def opened(capabilities: bytes = EHLO, **options: object) -> ClientSession:
    client = ClientSession(ClientOptions(hostname="out.example.net", **options))  # type: ignore[arg-type]
    assert step(client, GREETING) == (b"EHLO out.example.net\r\n", [])
    assert step(client, capabilities) == (b"", [Ready()])
    return client


def step(client: ClientSession, data: bytes) -> tuple[bytes, list[ClientEvent]]:
    client.feed(data)
    events = []
    while (event := client.next_event()) is not None:
        events.append(event)
    return client.data_to_send(), events


def codes(event: ClientEvent | None) -> list[tuple[int, str]]:
    assert isinstance(event, Finished)
    return [(result.reply.code, result.stage) for result in event.results]


def test_two_messages_to_our_own_server() -> None:
    peer, client = Peer(starttls=True), ClientSession(ClientOptions(hostname="out.example.net"))
    events = talk(client, peer)
    assert [type(event) for event in events] == [StartTls, Ready] and client.secure
    for sent, kept in ((b".\r\n..\r\nx", b".\r\n..\r\nx\r\n"), (b"", b"")):
        assert client.send(message("b@example.org", "no@example.org", "later@example.org")) is None
        peer.feed(client.data_to_send())
        events = talk(client, peer, sent)
        assert isinstance(events[0], SendBody)
        assert codes(events[1]) == [(250, "end"), (550, "RCPT"), (451, "RCPT")]
        assert peer.messages.pop() == kept
    client.quit()
    assert client.data_to_send() == b"QUIT\r\n" and client.closed


def test_what_is_sent_is_what_is_read() -> None:
    peer, client = Peer(), ClientSession(ClientOptions(hostname="out.example.net"))
    talk(client, peer)
    recipient = OutgoingRecipient("δ@example.org", notify="NEVER", orcpt="rfc822;a+b@example.org")
    outgoing = Outgoing(
        sender="", recipients=(recipient,), size=5, body="8BITMIME", smtputf8=True, ret="HDRS", envid="a=b c"
    )
    client.send(outgoing)
    peer.feed(client.data_to_send())
    talk(client, peer)
    mail, rcpt = peer.events[:2]
    assert mail == Mail(None, size=5, body="8BITMIME", smtputf8=True, ret="HDRS", envid="a=b c")
    assert isinstance(rcpt, Rcpt)
    assert (str(rcpt.recipient), rcpt.notify, rcpt.orcpt) == ("δ@example.org", "NEVER", "rfc822;a+b@example.org")


@pytest.mark.parametrize("mechanisms", [("PLAIN", "LOGIN"), ("LOGIN",)])
def test_login(mechanisms: tuple[str, ...]) -> None:
    peer = submission(secure=True, mechanisms=mechanisms)
    client = ClientSession(ClientOptions(hostname="x", login="user", password="secret"), secure=True)
    assert talk(client, peer) == [Ready()]
    assert peer.session.authenticated_as == "user"


def test_login_refused() -> None:
    peer = submission(secure=True, mechanisms=("PLAIN",))
    client = ClientSession(ClientOptions(hostname="x", login="user", password="wrong"), secure=True)
    (event,) = talk(client, peer)
    assert isinstance(event, Failed) and event.stage == "AUTH" and event.reply.code == 535 and client.closed


def test_passwords_stay_at_home_without_tls() -> None:
    client = ClientSession(ClientOptions(hostname="x", login="user", password="secret"))
    step(client, GREETING)
    out, (event,) = step(client, b"250-x\r\n250 AUTH PLAIN\r\n")
    assert out == b"" and isinstance(event, Failed) and event.reply.temporary and event.reply.local


def test_unknown_mechanisms_only() -> None:
    client = ClientSession(ClientOptions(hostname="x", login="u", password="p"), secure=True)
    step(client, GREETING)
    _, (event,) = step(client, b"250-x\r\n250 AUTH GSSAPI\r\n")
    assert isinstance(event, Failed) and event.stage == "AUTH"


def test_old_server_without_ehlo_and_pipelining() -> None:
    client = ClientSession(ClientOptions(hostname="x"))
    step(client, GREETING)
    assert step(client, b"502 What?\r\n") == (b"HELO x\r\n", [])
    assert step(client, b"250 hello\r\n") == (b"", [Ready()])
    client.send(message("b@example.org", "c@example.org"))
    assert step(client, b"") == (b"MAIL FROM:<a@example.net>\r\n", [])
    assert step(client, b"250 ok\r\n") == (b"RCPT TO:<b@example.org>\r\n", [])
    assert step(client, b"550 no\r\n") == (b"RCPT TO:<c@example.org>\r\n", [])
    assert step(client, b"250 ok\r\n") == (b"DATA\r\n", [])
    assert step(client, b"354 go\r\n") == (b"", [SendBody()])
    client.body(b"x\r")
    client.body(b"\n.")
    client.end_body()
    assert step(client, b"") == (b"x\r\n..\r\n.\r\n", [])
    _, (event,) = step(client, b"250 done\r\n")
    assert codes(event) == [(550, "RCPT"), (250, "end")]


def test_without_pipelining_nothing_is_said_in_vain() -> None:
    client = opened(b"250 x\r\n")
    client.send(message())
    step(client, b"")
    out, (event,) = step(client, b"450 4.7.1 later\r\n")
    assert out == b"" and codes(event) == [(450, "MAIL")]
    client.send(message())
    assert step(client, b"")[0] == b"RSET\r\n"
    assert step(client, b"250 ok\r\n")[0] == b"MAIL FROM:<a@example.net>\r\n"
    step(client, b"250 ok\r\n")
    out, (event,) = step(client, b"550 5.1.1 no\r\n")
    assert out == b"" and codes(event) == [(550, "RCPT")]


def test_pipelined_with_no_recipient_left() -> None:
    client = opened()
    client.send(message())
    assert step(client, b"")[0] == b"MAIL FROM:<a@example.net> SIZE=10\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
    assert step(client, b"250 ok\r\n550 no\r\n354 go\r\n") == (b".\r\n", [])
    _, (event,) = step(client, b"554 no recipients\r\n")
    assert codes(event) == [(550, "RCPT")]
    client.send(message())
    step(client, b"")
    _, (event,) = step(client, b"250 ok\r\n250 ok\r\n250 ok\r\n451 4.3.0 not now\r\n"[8:])
    assert codes(event) == [(451, "DATA")]


def test_mail_refused_in_a_group() -> None:
    client = opened()
    client.send(message("b@example.org", "c@example.org"))
    _, (event,) = step(client, b"550 5.7.1 no\r\n503 x\r\n503 x\r\n503 x\r\n")
    assert codes(event) == [(550, "MAIL"), (550, "MAIL")]
    assert event.results[0].reply.enhanced == "5.7.1" and str(event.results[0].reply) == "550 5.7.1 no"


@pytest.mark.parametrize(
    ("outgoing", "code"),
    [
        (message(size=1001), 552),
        (message(smtputf8=True), 553),
        (message(body="8BITMIME"), 554),
    ],
)
def test_what_the_server_cannot_take(outgoing: Outgoing, code: int) -> None:
    client = opened(b"250-x\r\n250 SIZE 1000\r\n")
    event = client.send(outgoing)
    assert codes(event) == [(code, "MAIL")] and client.data_to_send() == b"" and not client.closed


def test_recipients_beyond_the_servers_limit() -> None:
    client = opened(b"250-x\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=1\r\n")
    client.send(message("b@example.org", "c@example.org"))
    assert client.data_to_send().count(b"RCPT") == 1
    assert step(client, b"250 ok\r\n250 ok\r\n354 go\r\n")[1] == [SendBody()]
    client.end_body()
    _, (event,) = step(client, b"250 ok\r\n")
    assert codes(event) == [(250, "end"), (452, "RCPT")]


@pytest.mark.parametrize("greeting", [b"554 5.7.1 go away\r\n", b"421 busy\r\n", b"hello\r\n", b"220-a\r\n221 b\r\n"])
def test_bad_greetings(greeting: bytes) -> None:
    client = ClientSession(ClientOptions(hostname="x"))
    _, (event,) = step(client, greeting)
    assert isinstance(event, Failed) and event.stage == "greeting" and client.closed


def test_tls_required() -> None:
    client = ClientSession(ClientOptions(hostname="x", starttls="required"))
    step(client, GREETING)
    _, (event,) = step(client, EHLO)
    assert isinstance(event, Failed) and event.stage == "STARTTLS" and event.reply.temporary
    client = ClientSession(ClientOptions(hostname="x", starttls="required"))
    step(client, GREETING)
    assert step(client, b"250-x\r\n250 STARTTLS\r\n")[0] == b"STARTTLS\r\n"
    _, (event,) = step(client, b"454 not now\r\n")
    assert isinstance(event, Failed) and event.stage == "STARTTLS"


def test_tls_offered_and_failing() -> None:
    client = ClientSession(ClientOptions(hostname="x"))
    step(client, GREETING)
    step(client, b"250-x\r\n250 STARTTLS\r\n")
    assert step(client, b"454 not now\r\n")[1] == [Ready()]


def test_answers_injected_before_tls_are_forgotten() -> None:
    client = ClientSession(ClientOptions(hostname="x"))
    step(client, GREETING)
    step(client, b"250-x\r\n250 STARTTLS\r\n")
    client.feed(b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n")
    assert client.next_event() == StartTls()
    client.secured()
    assert step(client, b"") == (b"EHLO x\r\n", []) and client.capabilities == {}


@pytest.mark.parametrize("answer", [b"250 fine\r\n", b"354 again\r\n", b"x\r\n", b"250 a\n"])
def test_a_false_promise_is_none(answer: bytes) -> None:
    """250 to DATA, or in the middle of the text, must not make us forget the message."""
    for before in (b"250 ok\r\n250 ok\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n"):
        client = opened()
        client.send(message())
        _, events = step(client, before + answer)
        if answer.startswith(b"354") and before.count(b"\n") == 2:
            continue
        result = events[-1]
        assert isinstance(result, Finished) and result.results[0].reply.temporary and client.closed


def test_lost_connections() -> None:
    client = opened()
    client.send(message("b@example.org", "no@example.org"))
    step(client, b"250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n")
    client.end_body()
    assert codes(client.lost("Connection lost")) == [(421, "end"), (550, "RCPT")]
    assert isinstance(ClientSession(ClientOptions(hostname="x")).lost("Timeout"), Failed)


def test_421_in_the_middle() -> None:
    client = opened()
    client.send(message("b@example.org", "c@example.org"))
    _, (event,) = step(client, b"250 ok\r\n250 ok\r\n421 4.3.2 bye\r\n")
    assert codes(event) == [(421, "RCPT"), (421, "RCPT")] or codes(event) == [(421, "DATA"), (421, "DATA")]
    assert client.closed


def test_endless_replies_are_bounded() -> None:
    client = ClientSession(ClientOptions(hostname="x"))
    _, events = step(client, b"220-x\r\n" * 1000)
    assert isinstance(events[0], Failed)
    client = ClientSession(ClientOptions(hostname="x"))
    for _ in range(100):
        client.feed(b"220 " + b"x" * 65536)
        assert client.next_event() is None and len(client._reader.buffer) < 8192


@given(
    st.lists(st.sampled_from([b"250 ok\r\n", b"354 go\r\n", b"550 5.1.1 no\r\n", b"250-a\r\n", b"421 x\r\n", b"z\n"]))
)
def test_no_server_makes_it_raise(replies: list[bytes]) -> None:
    client = opened()
    client.send(message("b@example.org", "c@example.org"))
    for reply in replies:
        client.feed(reply)
        while (event := client.next_event()) is not None:
            if isinstance(event, SendBody):
                client.body(b"x")
                client.end_body()
            elif isinstance(event, Finished) and not client.closed:
                assert len(event.results) == 2
                client.send(message("b@example.org", "c@example.org"))


def test_a_limit_of_domains_in_one_message() -> None:
    client = opened(b"250-x\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=9 MAILMAX=7 RCPTDOMAINMAX=2\r\n")
    assert (client.limit("RCPTMAX"), client.limit("MAILMAX"), client.limit("OTHER")) == (9, 7, 0)
    assert client.send(message("a@one.test", "b@two.test", "c@ONE.test", "d@three.test", "e@one.test")) is None
    assert client.data_to_send().count(b"RCPT TO") == 3


def test_the_name_the_server_gives_itself() -> None:
    assert opened(b"250-MX.Example.org at your service\r\n250 PIPELINING\r\n").server == "mx.example.org"
