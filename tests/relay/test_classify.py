"""Replies as servers on the internet word them, and what they mean."""

from __future__ import annotations

import time

import pytest

from postroom.relay.classify import WORDS, Cause, classify, is_hard


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "cause"),
    [
        (
            550,
            "5.1.1",
            "The email account that you tried to reach does not exist. Please try double-checking",
            "unknown_user",
        ),
        (550, "5.1.1", "<x@y>: Recipient address rejected: User unknown in virtual mailbox table", "unknown_user"),
        (550, "", "Requested action not taken: mailbox unavailable", "unknown_user"),
        (550, "5.5.0", "No such user here", "unknown_user"),
        (550, "5.4.1", "Recipient address rejected: Access denied.", "unknown_user"),
        (554, "5.7.1", "<x@y>: Relay access denied", "relaying"),
        (450, "4.2.0", "<x@y>: Recipient address rejected: Greylisted, see http://postgrey.example", "greylisted"),
        (451, "4.7.1", "Greylisting in action, please come back in 00:05:00", "greylisted"),
        (554, "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "blocked"),
        (550, "5.7.1", "[192.0.2.1] Messages from this IP were not sent. It is on our blacklist", "blocked"),
        (421, "4.7.0", "[TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints", "policy"),
        (421, "4.7.28", "Our system has detected an unusual rate of unsolicited mail originating from your IP", "spam"),
        (
            550,
            "5.7.26",
            "This mail has been blocked because the sender is unauthenticated. SPF did not pass",
            "unproven",
        ),
        (550, "5.7.1", "Unauthenticated email from here.test is not accepted due to domain's DMARC policy", "unproven"),
        (550, "5.7.25", "The IP address sending this message does not have a PTR record setup", "unproven"),
        (554, "5.7.1", "Message rejected as spam by Content Filtering.", "spam"),
        (552, "5.7.0", "This message was blocked because its content presents a potential security issue.", "content"),
        (552, "5.2.2", "The email account that you tried to reach is over quota.", "full"),
        (452, "4.2.2", "Mailbox full", "full"),
        (550, "5.2.1", "The email account that you tried to reach is disabled.", "disabled"),
        (552, "5.3.4", "Message size exceeds fixed limit", "too_large"),
        (450, "4.2.1", "The user you are trying to contact is receiving mail too quickly: rate limited", "rate"),
        (421, "4.7.0", "Too many connections from your IP", "rate"),
        (451, "4.3.0", "Temporary lookup failure", "busy"),
        (421, "", "Service not available", "busy"),
        (530, "5.7.0", "Must issue a STARTTLS command first", "tls"),
        (554, "5.4.6", "Too many hops", "loop"),
        (500, "5.5.1", "Command unrecognized", "protocol"),
        (554, "", "Transaction failed", "other"),
        (0, "4.4.1", "mx.test does not answer", "unreachable"),
        (0, "4.4.3", "cannot be looked up", "dns"),
        (0, "5.1.10", "takes no mail (null MX)", "no_domain"),
        (0, "4.7.5", "The TLS handshake failed", "tls"),
        (0, "5.6.7", "no SMTPUTF8", "content"),
        (0, "", "", "other"),
    ],
)
def test_causes(code: int, enhanced: str, text: str, cause: str) -> None:
    assert classify(code, enhanced, text, "RCPT") == cause


def test_every_cause_has_its_words() -> None:
    assert set(WORDS) == set(Cause)


def test_only_what_is_said_of_a_recipient_for_good_is_hard() -> None:
    assert is_hard(Cause.UNKNOWN_USER, 550, "RCPT")
    assert not is_hard(Cause.UNKNOWN_USER, 550, "end")
    assert not is_hard(Cause.UNKNOWN_USER, 450, "RCPT")
    assert not is_hard(Cause.SPAM, 550, "RCPT")
    assert not is_hard(Cause.FULL, 552, "RCPT")


def test_a_hostile_reply_costs_no_time() -> None:
    begun = time.process_time()
    for text in ("user " * 100_000, "blocked " * 50_000, "too many " * 50_000 + "x"):
        assert classify(550, "", text, "RCPT") is Cause.UNKNOWN_USER
    assert time.process_time() - begun < 2
