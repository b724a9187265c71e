"""Every SMTP command and error as a conversation."""

from __future__ import annotations

import pytest

from postroom.testing.transcript import play
from postroom.values.refusal import Refusal
from postroom.wire.smtp import COMMANDS, Mail, Profile, Rcpt, Reset

from .smtp_peer import Peer, submission

HELLO = """
    S: 220 mx.example.org ESMTP Postroom
    C: EHLO client.example.net
    S: 250-mx.example.org at your service
    S: ...
    S: 250 HELP
"""


def hello(text: str, peer: Peer | None = None) -> Peer:
    peer = peer or Peer()
    play(peer, HELLO + text)
    return peer


def test_a_message() -> None:
    peer = hello("""
        C: MAIL FROM:<a@example.net> SIZE=100 BODY=8BITMIME
        S: 250 2.1.0 ...
        C: RCPT TO:<b@example.org>
        S: 250 2.1.5 ...
        C: DATA
        S: 354 ...
        C: Subject: x
        C:
        C: ..dot
        C: .
        S: 250 2.0.0 Queued as 1
        C: QUIT
        S: 221 2.0.0 ...
    """)
    assert peer.messages == [b"Subject: x\r\n\r\n.dot\r\n"]
    assert peer.session.closed


def test_everything_pipelined() -> None:
    peer = hello("""
        C: MAIL FROM:<a@example.net>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<no@example.org>
        C: DATA
        C: text
        C: .
        C: MAIL FROM:<>
        C: RCPT TO:<c@example.org>
        C: DATA
        C: .
        C: QUIT
        S: 250 2.1.0 ...
        S: 250 2.1.5 ...
        S: 550 5.1.1 No such user
        S: 354 ...
        S: 250 2.0.0 ...
        S: 250 2.1.0 ...
        S: 250 2.1.5 ...
        S: 354 ...
        S: 250 2.0.0 ...
        S: 221 2.0.0 ...
    """)
    assert peer.messages == [b"text\r\n", b""]


def test_ehlo_lists_what_is_offered() -> None:
    play(
        Peer(size=1000, recipients=7, transactions=9, starttls=True),
        """
        S: 220 mx.example.org ESMTP Postroom
        C: EHLO [127.0.0.1]
        S: 250-mx.example.org at your service
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250-DSN
        S: 250-CHUNKING
        S: 250-LIMITS RCPTMAX=7 MAILMAX=9
        S: 250-STARTTLS
        S: 250 HELP
    """,
    )


def test_helo_and_bad_names() -> None:
    play(
        Peer(),
        """
        S: 220 ...
        C: HELO
        S: 501 5.5.4 ...
        C: EHLO
        S: 501 5.5.4 ...
        C: EHLO two words
        S: 501 5.5.4 ...
        C: MAIL FROM:<a@example.net>
        S: 503 5.5.1 Say EHLO first...
        C: helo under_score
        S: 250 mx.example.org
        C: LHLO x
        S: 500 5.5.1 This is ESMTP: say EHLO
    """,
    )


def test_order() -> None:
    peer = hello("""
        C: RCPT TO:<b@example.org>
        S: 503 5.5.1 Say MAIL first
        C: DATA
        S: 503 5.5.1 Say MAIL first
        C: MAIL FROM:<a@example.net>
        S: 250 ...
        C: MAIL FROM:<a@example.net>
        S: 503 5.5.1 A message is under way...
        C: DATA
        S: 554 5.5.1 No valid recipients...
        C: RCPT TO:<no@example.org>
        S: 550 5.1.1 ...
        C: DATA
        S: 554 5.5.1 No valid recipients...
        C: RSET
        S: 250 2.0.0 ...
        C: RSET
        S: 250 2.0.0 ...
        C: RCPT TO:<b@example.org>
        S: 503 5.5.1 Say MAIL first
        C: MAIL FROM:<a@example.net>
        C: EHLO again
        C: DATA
        S: 250 2.1.0 ...
        S: ...
        S: 503 5.5.1 Say MAIL first
    """)
    assert [type(event) for event in peer.events] == [Mail, Rcpt, Reset, Mail, Reset]


def test_refused_senders() -> None:
    hello("""
        C: MAIL FROM:<no@example.net>
        S: 550 5.7.1 Not you
        C: MAIL FROM:<later@example.net>
        S: 451 4.3.0 Come back
        C: MAIL FROM:<a@example.net>
        S: 250 2.1.0 ...
        C: RCPT TO:<later@example.net>
        S: 451 4.3.0 Come back
    """)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("MAIL", "501 5.5.4"),
        ("MAIL FROM", "501 5.5.4"),
        ("MAIL FROM:a@example.net", "501 5.5.4"),
        ("MAIL TO:<a@example.net>", "501 5.5.4"),
        ("MAIL FROM:<a@example.net", "501 5.5.4"),
        ("MAIL FROM:<a@example.net>SIZE=1", "501 5.5.4"),
        ("MAIL FROM:<a>", "501 5.1.7"),
        ("MAIL FROM:<a b@example.net>", "501 5.5.4"),
        ("MAIL FROM:<a@@example.net>", "501 5.1.7"),
        ("MAIL FROM:<a@-.net>", "501 5.1.7"),
        ("MAIL FROM:<ä@example.net>", "553 5.6.7"),
        ("MAIL FROM:<a@example.net> SIZE=x", "501 5.5.4"),
        ("MAIL FROM:<a@example.net> SIZE", "501 5.5.4"),
        ("MAIL FROM:<a@example.net> SIZE=999999999", "552 5.3.4"),
        ("MAIL FROM:<a@example.net> SIZE=1 SIZE=1", "501 5.5.4"),
        ("MAIL FROM:<a@example.net> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<a@example.net> BODY=", "501 5.5.4"),
        ("MAIL FROM:<a@example.net> SMTPUTF8=1", "501 5.5.4"),
        ("MAIL FROM:<a@example.net> RET=SOME", "501 5.5.4"),
        ("MAIL FROM:<a@example.net> ENVID=a+b", "501 5.5.4"),
        ("MAIL FROM:<a@example.net> ENVID=" + 101 * "a", "501 5.5.4"),
        ("MAIL FROM:<a@example.net> AUTH=", "501 5.5.4"),
        ("MAIL FROM:<a@example.net> HOLDFOR=3", "555 5.5.4"),
    ],
)
def test_bad_mail(command: str, answer: str) -> None:
    hello(f"C: {command}\nS: {answer} ...\nC: MAIL FROM:<a@example.net>\nS: 250 2.1.0 ...")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("RCPT", "501 5.5.4"),
        ("RCPT TO:b@example.org", "501 5.5.4"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<b>", "501 5.1.3"),
        ("RCPT TO:<" + 65 * "b" + "@example.org>", "501 5.1.3"),
        ("RCPT TO:<ä@example.org>", "553 5.6.7"),
        ("RCPT TO:<b@example.org> NOTIFY=NEVER,DELAY", "501 5.5.4"),
        ("RCPT TO:<b@example.org> NOTIFY=", "501 5.5.4"),
        ("RCPT TO:<b@example.org> NOTIFY=DELAY,DELAY", "501 5.5.4"),
        ("RCPT TO:<b@example.org> ORCPT=b@example.org", "501 5.5.4"),
        ("RCPT TO:<b@example.org> ORCPT=rfc822;a+b", "501 5.5.4"),
        ("RCPT TO:<b@example.org> SIZE=3", "555 5.5.4"),
    ],
)
def test_bad_rcpt(command: str, answer: str) -> None:
    hello(f"C: MAIL FROM:<>\nS: 250 ...\nC: {command}\nS: {answer} ...\nC: RCPT TO:<b@example.org>\nS: 250 2.1.5 ...")


@pytest.mark.parametrize(
    ("command", "sender"),
    [
        ("MAIL FROM:<>", None),
        ("mail from:<a@example.net>", "a@example.net"),
        ("MAIL FROM: <a@example.net> ", "a@example.net"),
        ("MAIL FROM:<@x.example,@y.example:a@EXAMPLE.net>", "a@example.net"),
        ('MAIL FROM:<"a b"@example.net>', '"a b"@example.net'),
        ('MAIL FROM:<"a>b\\""@example.net> SIZE=1', '"a>b\\""@example.net'),
        ("MAIL FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]"),
        ("MAIL FROM:<ä@exämple.net> SMTPUTF8", "ä@xn--exmple-cua.net"),
    ],
)
def test_senders(command: str, sender: str | None) -> None:
    event = hello(f"C: {command}\nS: 250 2.1.0 ...").events[0]
    assert isinstance(event, Mail)
    assert (str(event.sender) if event.sender else None) == sender


def test_dsn_parameters() -> None:
    peer = hello("""
        C: MAIL FROM:<a@example.net> RET=hdrs ENVID=QQ+2B1 SIZE=12 AUTH=<>
        S: 250 2.1.0 ...
        C: RCPT TO:<b@example.org> NOTIFY=success,DELAY ORCPT=rfc822;b+2Bx@example.org
        S: 250 2.1.5 ...
        C: RCPT TO:<Postmaster> NOTIFY=NEVER
        S: 250 2.1.5 ...
    """)
    mail, rcpt, postmaster = peer.events
    assert isinstance(mail, Mail) and isinstance(rcpt, Rcpt) and isinstance(postmaster, Rcpt)
    assert (mail.ret, mail.envid, mail.size, mail.auth) == ("HDRS", "QQ+1", 12, "<>")
    assert (rcpt.notify, rcpt.orcpt) == ("SUCCESS,DELAY", "rfc822;b+x@example.org")
    assert (str(postmaster.recipient), postmaster.notify) == ("Postmaster@mx.example.org", "NEVER")


def test_utf8_recipients() -> None:
    peer = hello("""
        C: MAIL FROM:<> SMTPUTF8
        C: RCPT TO:<δοκιμή@παράδειγμα.example> ORCPT=utf-8;a\\x{3B4}b
        C: RCPT TO:<b@example.org>
        S: 250 ...
        S: 250 ...
        S: 250 ...
    """)
    rcpt = peer.events[1]
    assert isinstance(rcpt, Rcpt)
    assert rcpt.recipient.local == "δοκιμή" and rcpt.orcpt == "utf-8;aδb"


def test_small_commands() -> None:
    hello("""
        C: NOOP
        S: 250 2.0.0 ...
        C: NOOP hello there
        S: 250 2.0.0 ...
        C: VRFY b@example.org
        S: 252 2.0.0 ...
        C: VRFY
        S: 501 5.5.4 ...
        C: EXPN list
        S: 502 5.5.1 ...
        C: HELP
        S: 214-2.0.0 Commands:
        S: ...
        S: 214-2.0.0 RCPT TO:<address> ...
        S: ...
        S: 214 2.0.0 QUIT
        C: HELP mail
        S: 214 2.0.0 MAIL FROM:<address> ...
        C: HELP me
        S: 504 5.5.4 ...
        C: RSET now
        S: 501 5.5.4 ...
        C: DATA now
        S: 503 5.5.1 ...
        C: ETRN x
        S: 502 5.5.1 ...
        C: FROBNICATE
        S: 500 5.5.1 ...
        C:
        S: 500 5.5.1 ...
        C| NO\\x00OP\\r\\n
        S: 500 5.5.2 ...
        C| NO\\rOP\\r\\n
        S: 500 5.5.2 ...
        C| NOOP \\xff\\r\\n
        S: 500 5.5.2 ...
        C: STARTTLS
        S: 502 5.5.1 ...
        C: AUTH PLAIN AAAA
        S: 502 5.5.1 No AUTH here...
        C: NOOP
        S: 250 2.0.0 ...
    """)


def test_every_command_has_help() -> None:
    for command in COMMANDS:
        assert command.synopsis.startswith(command.name)


def test_bare_lf_lines_are_refused_up_to_the_next_true_end() -> None:
    peer = hello("""
        C| NOOP\\n
        S: 500 5.5.2 ...
        C| MAIL FROM:<a@example.net>\\nRCPT TO:<b@example.org>\\r\\n
        S: 500 5.5.2 ...
        S: 500 5.5.2 ...
        C: NOOP
        S: 250 2.0.0 ...
    """)
    assert peer.events == []


def test_long_lines() -> None:
    hello(f"""
        C: NOOP {2041 * "x"}
        S: 250 2.0.0 ...
        C: NOOP {2042 * "x"}
        S: 500 5.5.6 ...
        C: {100_000 * "x"}
        S: 500 5.5.6 ...
        C: NOOP
        S: 250 2.0.0 ...
    """)


def test_an_endless_line_costs_no_memory() -> None:
    peer = hello("")
    for _ in range(100):
        peer.feed(b"x" * 65536)
    assert len(peer.session.reader.buffer) < 4096
    assert peer.session.data_to_send() == b""


def test_too_many_errors() -> None:
    peer = hello(20 * "C: BAD\nS: 500 5.5.1 ...\n" + "C: BAD\nS: 500 ...\nS: 421 4.7.0 Too many errors...\nC: NOOP\n")
    assert peer.session.closed


def test_too_many_unknown_recipients() -> None:
    text = "C: MAIL FROM:<>\nS: 250 ...\n" + 100 * "C: RCPT TO:<no@example.org>\nS: 550 ...\n"
    assert hello(text + "C: RCPT TO:<no@x.org>\nS: 550 ...\nS: 421 4.7.0 ...").session.closed


def test_too_many_idle_commands() -> None:
    assert hello(
        9 * "C: NOOP\nS: 250 ...\n" + "C: NOOP\nS: 421 4.7.0 Too many commands...", Peer(commands=10)
    ).session.closed


def test_a_browser_is_sent_away() -> None:
    peer = Peer()
    play(peer, "S: 220 ...\nC: POST / HTTP/1.1\nC: Host: x\nC: MAIL FROM:<a@b.c>\nS: 421 4.7.0 ...")
    assert peer.session.closed


def test_limits_of_rfc_9422() -> None:
    peer = Peer(recipients=2, transactions=2)
    transaction = "C: MAIL FROM:<>\nS: 250 ...\nC: RSET\nS: 250 ...\n"
    hello(
        """
        C: MAIL FROM:<>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        C: RCPT TO:<d@example.org>
        C: RSET
        S: 250 ...
        S: 250 ...
        S: 250 ...
        S: 452 4.5.3 2 recipients ...
        S: 250 ...
        """
        + transaction
        + "C: MAIL FROM:<>\nS: 421 4.7.0 ...",
        peer,
    )
    assert peer.session.closed


def test_starttls_forgets_everything() -> None:
    peer = hello(
        """
        C: STARTTLS now
        S: 501 5.5.4 ...
        C: STARTTLS
        C: MAIL FROM:<injected@example.net>
        S: 220 2.0.0 ...
        C: MAIL FROM:<a@example.net>
        S: 503 5.5.1 Say EHLO first...
        C: EHLO again
        S: 250-mx.example.org at your service
        S: ...
        S: 250-LIMITS ...
        S: 250-AUTH PLAIN LOGIN
        S: 250-REQUIRETLS
        S: 250 HELP
        C: STARTTLS
        S: 503 5.5.1 TLS is active already
    """,
        Peer(starttls=True),
    )
    assert peer.session.secure and not any(isinstance(event, Mail) for event in peer.events)


def test_submission_wants_a_login() -> None:
    peer = hello(
        """
        C: MAIL FROM:<a@example.net>
        S: 530 5.7.0 Authentication required...
        C: AUTH PLAIN AHVzZXIAc2VjcmV0
        S: 538 5.7.11 ...
        C: STARTTLS
        S: 220 ...
        C: EHLO x
        S: ...
        C: AUTH PLAIN AHVzZXIAd3Jvbmc=
        S: 535 5.7.8 ...
        C: AUTH PLAIN AHVzZXIAc2VjcmV0
        S: 235 2.7.0 ...
        C: AUTH PLAIN AHVzZXIAc2VjcmV0
        S: 503 5.5.1 ...
        C: MAIL FROM:<a@example.net>
        S: 250 2.1.0 ...
    """,
        submission(starttls=True),
    )
    assert peer.session.authenticated_as == "user"


def test_auth_dialogues() -> None:
    hello(
        f"""
        C: AUTH
        S: 501 5.5.4 ...
        C: AUTH CRAM-MD5
        S: 504 5.5.4 ...PLAIN LOGIN
        C: AUTH PLAIN !!
        S: 501 5.5.2 ...
        C: AUTH PLAIN
        S| 334\\x20
        C: *
        S: 501 5.7.0 ...
        C: AUTH PLAIN =
        S: 501 5.5.2 PLAIN is...
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: dXNlcg==
        S: 334 UGFzc3dvcmQ6
        C: not base64
        S: 501 5.5.2 ...
        C: auth login dXNlcg==
        S: 334 UGFzc3dvcmQ6
        C: {12289 * "x"}
        S: 500 5.5.6 ...
        C: AUTH PLAIN
        S| 334\\x20
        C: AHVzZXIA{"eHh4" * 3000}
        S: 535 5.7.8 ...
        C: AUTH LOGIN
        S: 334 ...
        C: dXNlcg==
        C: c2VjcmV0
        S: 334 ...
        S: 235 2.7.0 ...
    """,
        submission(secure=True, mechanisms=("PLAIN", "LOGIN")),
    )


LHLO = """
    S: 220 mx.example.org LMTP Postroom
    C: LHLO client
    S: 250-mx.example.org at your service
    S: ...
    S: 250 LIMITS ...
"""


def test_lmtp_without_recipients() -> None:
    """RFC 2033 4.2: 503, where SMTP says 554."""
    play(
        Peer(Profile.LMTP),
        LHLO
        + """
        C: MAIL FROM:<a@example.net>
        C: RCPT TO:<no@example.org>
        C: DATA
        S: 250 ...
        S: 550 5.1.1 ...
        S: 503 5.5.1 No valid recipients...
        C: BDAT 3 LAST
        C| abc
        S: 503 5.5.1 No valid recipients...
    """,
    )


def test_lmtp_answers_for_each_recipient() -> None:
    peer = Peer(Profile.LMTP)
    play(
        peer,
        LHLO
        + """
        C: EHLO client
        S: 500 5.5.1 This is LMTP: say LHLO
        C: MAIL FROM:<a@example.net>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<no@example.org>
        C: RCPT TO:<c@example.org>
        C: DATA
        C: text
        C: .
        S: 250 ...
        S: 250 ...
        S: 550 ...
        S: 250 ...
        S: 354 ...
        S: 250 2.0.0 Delivered
        S: 452 4.2.2 Mailbox full
        C: MAIL FROM:<a@example.net>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        C: RCPT TO:<d@example.org>
        C: BDAT 3 LAST
        C| abc
        S: 250 ...
        S: 250 ...
        S: 250 ...
        S: 250 ...
        S: 250 2.0.0 Queued as 1
        S: 250 2.0.0 Queued as 1
        S: 250 2.0.0 Queued as 1
        C: MAIL FROM:<a@example.net>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        C: DATA
        C| virus\\nx\\r\\n.\\r\\n
        S: 250 ...
        S: 250 ...
        S: 250 ...
        S: 354 ...
        S: 550 5.5.2 ...
        S: 550 5.5.2 ...
    """,
    )
    assert peer.messages == [b"text\r\n", b"abc"]


def test_turned_away_at_the_door() -> None:
    peer = Peer(greet=False)
    peer.session.turn_away(Refusal(521, "5.3.2", "No mail here"))
    play(peer, "S: 521 5.3.2 No mail here\nC: EHLO x")
    assert peer.session.closed


def test_leaving_between_commands() -> None:
    peer = hello("C: MAIL FROM:<>\nS: 250 ...")
    peer.session.leave()
    assert peer.session.data_to_send().startswith(b"421 4.3.2 ") and peer.session.closed


def test_leaving_waits_for_the_message() -> None:
    peer = hello("C: MAIL FROM:<>\nC: RCPT TO:<b@example.org>\nC: DATA\nS: 250 ...\nS: 250 ...\nS: 354 ...")
    peer.session.leave()
    play(peer, "C: text\nC: .\nC: QUIT\nS: 250 2.0.0 Queued...\nS: 421 4.3.2 ...")
    assert peer.session.closed and peer.messages == [b"text\r\n"]


def test_answers_are_one_line_of_ascii() -> None:
    peer = hello("C: MAIL FROM:<>\nS: 250 ...")
    peer.session.feed(b"RCPT TO:<b@example.org>\r\n")
    assert isinstance(peer.session.next_event(), Rcpt)
    peer.session.refuse(Refusal(550, "5.1.1", "ä\r\n250 ok" + 1000 * "x"))
    answer = peer.session.data_to_send()
    assert answer.startswith(b"550 5.1.1 ?250 ok") and answer.count(b"\n") == 1 and len(answer) <= 512
