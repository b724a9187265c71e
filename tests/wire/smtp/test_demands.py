"""What MAIL can ask of the way out: a date (FUTURERELEASE) and TLS (REQUIRETLS)."""

from __future__ import annotations

from postroom.wire.smtp import Mail, Profile, ServerOptions, ServerSession
from postroom.wire.smtp.state import LOGIN


def submitting(**fields) -> ServerSession:
    options = ServerOptions(hostname="mx.test", profile=Profile.SUBMISSION)
    session = ServerSession(options, secure=True, latest="2026-12-24T00:00:00Z", **fields)
    session.feed(b"EHLO me.test\r\n")
    assert session.next_event() is None
    session.has |= LOGIN
    return session


def mail_of(session: ServerSession, parameters: str) -> Mail | str:
    """The event of MAIL with these parameters, or the reply."""
    session.data_to_send()
    session.feed(f"MAIL FROM:<a@here.test> {parameters}\r\n".encode())
    event = session.next_event()
    return event if isinstance(event, Mail) else session.data_to_send().decode().strip()


def test_dates_on_submission() -> None:
    session = submitting()
    assert b"250-FUTURERELEASE 5184000 2026-12-24T00:00:00Z\r\n" in session.data_to_send()
    event = mail_of(session, "HOLDFOR=3600")
    assert isinstance(event, Mail)
    assert (event.hold_for, event.hold_until) == (3600, 0.0)
    event = mail_of(submitting(), "HOLDUNTIL=2026-12-24T18:00:00+01:00")
    assert isinstance(event, Mail)
    assert event.hold_until == 1798131600.0
    for bad in ("HOLDFOR=x", "HOLDFOR=", "HOLDFOR=1234567890", "HOLDUNTIL=tomorrow", "HOLDUNTIL=2026-13-24T18:00:00Z"):
        assert mail_of(submitting(), bad).startswith("501 5.5.4 HOLD"), bad
    both = "HOLDFOR=1 HOLDUNTIL=2026-12-24T18:00:00Z"
    assert mail_of(submitting(), both) == "501 5.5.4 HOLDFOR and HOLDUNTIL cannot both be given"


def test_dates_are_for_submission_only() -> None:
    session = ServerSession(ServerOptions(hostname="mx.test"))
    session.feed(b"EHLO me.test\r\n")
    assert session.next_event() is None
    assert b"FUTURERELEASE" not in session.data_to_send()
    assert mail_of(session, "HOLDFOR=60").startswith("555 5.5.4")


def test_requiretls_needs_tls() -> None:
    session = ServerSession(ServerOptions(hostname="mx.test"), starttls=True)
    session.feed(b"EHLO me.test\r\n")
    assert session.next_event() is None
    assert b"REQUIRETLS" not in session.data_to_send()
    assert mail_of(session, "REQUIRETLS").startswith("530 5.7.10")
    secure = ServerSession(ServerOptions(hostname="mx.test"), secure=True)
    secure.feed(b"EHLO me.test\r\n")
    assert secure.next_event() is None
    assert b"250-REQUIRETLS\r\n" in secure.data_to_send()
    event = mail_of(secure, "REQUIRETLS")
    assert isinstance(event, Mail)
    assert event.requiretls
    assert mail_of(submitting(), "REQUIRETLS=1") == "501 5.5.4 REQUIRETLS takes no value"
