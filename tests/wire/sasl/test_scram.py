"""SCRAM against another implementation, the RFC's own example, and liars."""

from __future__ import annotations

import base64

import pytest
from scramp import ScramClient, ScramException, ScramMechanism

from postroom.wire.sasl import (
    Challenge,
    KeysWanted,
    NotProven,
    Proven,
    SaslFault,
    Scram,
    ScramKeys,
    decoy_keys,
    derive_scram_keys,
)

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
KEYS = derive_scram_keys("pencil", SALT, 4096)
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"


def test_the_example_of_rfc_7677() -> None:
    server = Scram(NONCE)
    assert server.start(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == KeysWanted("user")
    assert server.keys(KEYS) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    final = (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert server.step(final) == Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert server.step(b"") == Proven("user")


def test_keys_are_those_of_the_other_implementation() -> None:
    theirs = ScramMechanism("SCRAM-SHA-256").make_auth_info("pencil", iteration_count=4096, salt=SALT)
    assert ScramKeys(theirs[0], theirs[3], theirs[1], theirs[2]) == KEYS


def run(client: ScramClient, server: Scram, keys: ScramKeys = KEYS) -> object:
    wanted = server.start(client.get_client_first().encode())
    assert isinstance(wanted, KeysWanted)
    client.set_server_first(server.keys(keys).data.decode())
    signature = server.step(client.get_client_final().encode())
    assert isinstance(signature, Challenge)
    client.set_server_final(signature.data.decode())
    return server.step(b"")


def test_another_client_logs_in() -> None:
    assert run(ScramClient(["SCRAM-SHA-256"], "a,b=c@example.org", "pencil"), Scram("x" * 18)) == Proven(
        "a,b=c@example.org"
    )


def test_unicode_passwords_are_prepared() -> None:
    keys = derive_scram_keys("p\u00e4\u2168ss\u00ad", SALT, 4096)
    assert keys == derive_scram_keys("p\u00e4IXss", SALT, 4096)
    assert run(ScramClient(["SCRAM-SHA-256"], "u", "p\u00e4\u2168ss\u00ad"), Scram("x" * 18), keys) == Proven("u")


BINDING = b"\x01" * 32


def plus_client(data: bytes) -> ScramClient:
    return ScramClient(["SCRAM-SHA-256-PLUS"], "u", "pencil", channel_binding=("tls-server-end-point", data))


def test_plus_binds_to_the_channel() -> None:
    server = Scram("x" * 18, binding=BINDING, plus=True, offered_plus=True)
    assert run(plus_client(BINDING), server) == Proven("u")


def test_plus_refuses_another_channel() -> None:
    with pytest.raises(NotProven):
        run(plus_client(b"\x02" * 32), Scram("x" * 18, binding=BINDING, plus=True, offered_plus=True))


def test_a_changed_mechanism_list_is_noticed() -> None:
    with pytest.raises(NotProven, match="downgrade"):
        Scram("x" * 18, binding=BINDING, offered_plus=True).start(b"y,,n=u,r=abc")
    assert Scram("x" * 18).start(b"y,,n=u,r=abc") == KeysWanted("u")


def test_a_wrong_password_is_not_proven() -> None:
    with pytest.raises(NotProven):
        run(ScramClient(["SCRAM-SHA-256"], "u", "pencils"), Scram("x" * 18))


def test_decoy_keys_look_real_and_fit_nothing() -> None:
    keys = decoy_keys(b"secret", "nobody", 4096)
    assert keys == decoy_keys(b"secret", "nobody", 4096)
    assert keys.salt != decoy_keys(b"secret", "somebody", 4096).salt
    with pytest.raises(NotProven):
        run(ScramClient(["SCRAM-SHA-256"], "u", "pencil"), Scram("x" * 18), keys)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n,,",
        b"n,,n=u",
        b"n,,r=x,n=u",
        b"n,,m=x,n=u,r=x",
        b"z,,n=u,r=x",
        b"p=tls-server-end-point,,n=u,r=x",
        b"n,b=x,n=u,r=x",
        b"n,,n=a=b,r=x",
        b"n,,n=,r=x",
        b"n,,n=\xff,r=x",
        b"n,,n=u,r=",
        b"n,,n=u,r=\x01",
    ],
)
def test_malformed_first_messages(first: bytes) -> None:
    with pytest.raises(SaslFault):
        Scram("x" * 18).start(first)


@pytest.mark.parametrize("flag", [b"n,,", b"y,,", b"p=tls-unique,,"])
def test_plus_needs_the_right_flag(flag: bytes) -> None:
    with pytest.raises(SaslFault):
        Scram("x" * 18, binding=BINDING, plus=True, offered_plus=True).start(flag + b"n=u,r=x")


@pytest.mark.parametrize(
    ("final", "fault"),
    [
        (b"", SaslFault),
        (b"c=biws,r=abcxxx", SaslFault),
        (b"c=biws,r=abcxxx,p=!!", SaslFault),
        (b"c=biws,r=abcxxx,p=AAAA", SaslFault),
        (b"c=eSws,r=abcxxx,p=" + b"A" * 43 + b"=", NotProven),
        (b"c=biws,r=abcyyy,p=" + b"A" * 43 + b"=", NotProven),
    ],
)
def test_malformed_final_messages(final: bytes, fault: type[Exception]) -> None:
    server = Scram("xxx")
    server.start(b"n,,n=u,r=abc")
    server.keys(KEYS)
    with pytest.raises(fault):
        server.step(final)


def test_nothing_follows_the_end() -> None:
    server = Scram("x" * 18)
    run(ScramClient(["SCRAM-SHA-256"], "u", "pencil"), server)
    with pytest.raises(SaslFault):
        server.step(b"")


def test_the_oracle_refuses_a_false_server() -> None:
    client = ScramClient(["SCRAM-SHA-256"], "u", "pencil")
    server = Scram("x" * 18)
    server.start(client.get_client_first().encode())
    wrong = ScramKeys(KEYS.salt, KEYS.iterations, KEYS.stored_key, b"\0" * 32)
    client.set_server_first(server.keys(wrong).data.decode())
    signature = server.step(client.get_client_final().encode())
    assert isinstance(signature, Challenge)
    with pytest.raises(ScramException):
        client.set_server_final(signature.data.decode())
