"""PLAIN, LOGIN, SASLprep and base64."""

from __future__ import annotations

import pytest

from postroom.wire.sasl import (
    Challenge,
    LoginMechanism,
    Password,
    Plain,
    SaslFault,
    choose_client,
    decode_base64,
    saslprep,
)


def test_plain_in_one_message_or_after_a_challenge() -> None:
    assert Plain().start(b"\0user\0pass") == Password("user", "pass")
    assert Plain().start(None) == Challenge(b"")
    assert Plain().step(b"other\0user\0pass") == Password("user", "pass", authzid="other")


@pytest.mark.parametrize(
    "message", [b"", b"user\0pass", b"\0\0pass", b"\0user\0", b"a\0b\0c\0d", b"\0\xff\0x", b"\0a\x07\0b"]
)
def test_malformed_plain(message: bytes) -> None:
    with pytest.raises(SaslFault):
        Plain().start(message)


def test_login_asks_twice() -> None:
    mechanism = LoginMechanism()
    assert mechanism.start(None) == Challenge(b"Username:")
    assert mechanism.step(b"user") == Challenge(b"Password:")
    assert mechanism.step(b"pass word") == Password("user", "pass word")


def test_login_with_the_name_in_the_command() -> None:
    mechanism = LoginMechanism()
    assert mechanism.start(b"user") == Challenge(b"Password:")
    with pytest.raises(SaslFault):
        mechanism.step(b"")


# RFC 4013 3: the examples
@pytest.mark.parametrize(
    ("text", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b")],
)
def test_saslprep(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "a\u0627", "\ue000", "\ufffd"])
def test_saslprep_prohibits(text: str) -> None:
    with pytest.raises(ValueError):
        saslprep(text)


def test_unassigned_characters_are_for_queries_only() -> None:
    assert saslprep("\u0221") == "\u0221"
    with pytest.raises(ValueError):
        saslprep("\u0221", stored=True)


def test_base64_is_strict() -> None:
    assert decode_base64(b"=") == b""
    assert decode_base64(b"") == b""
    assert decode_base64(b"dXNlcg==") == b"user"
    for text in (b"dXNlcg", b"dXNl cg==", b"dXNlcg==x", b"\xff", b"===="):
        with pytest.raises(SaslFault):
            decode_base64(text)


def test_client_choice() -> None:
    plain = choose_client(["LOGIN", "PLAIN"], "u", "p")
    assert plain is not None and plain.name == "PLAIN" and plain.initial == b"\0u\0p"
    login = choose_client(["LOGIN"], "u", "p")
    assert login is not None and login.initial is None
    assert [login.respond(b"x") for _ in range(3)] == [b"u", b"p", b""]
    assert choose_client(["SCRAM-SHA-1"], "u", "p") is None
