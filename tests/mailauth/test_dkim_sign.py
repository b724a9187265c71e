"""Signing: what is covered, how the fields look, and keys with their records."""

import base64
import re

import pytest

from postroom.mailauth.dkim import BadPrivateKey, CannotSign, SigningKey, character_strings, generate_key, sign
from postroom.mailauth.header import HeaderFields, split_message

from .signing import (
    ED25519_KEY,
    ED25519_PEM,
    KEYS,
    MESSAGE,
    NOW,
    RSA_KEY,
    RSA_PEM,
    digest_of,
    signed,
    verify,
    words,
    zone,
)


def fields_of(message: bytes = MESSAGE, **options) -> bytes:
    return signed(message, **options)[: -len(message)]


def listed(message: bytes = MESSAGE) -> list[str]:
    return list(verify(signed(message))[0].fields)


def test_two_signatures():  # RFC 8463 6
    rsa, ed25519 = verify(signed(now=NOW - 5, expires=NOW + 10), now=NOW)
    assert (rsa.result, rsa.algorithm, rsa.selector) == ("pass", "rsa-sha256", "rsa1")
    assert (ed25519.result, ed25519.algorithm, ed25519.selector) == ("pass", "ed25519-sha256", "ed1")
    assert (rsa.signed_at, rsa.expires, rsa.uncovered, rsa.exposed) == (NOW - 5, NOW + 10, 0, ())
    assert rsa.identity == "@example.org"


def test_how_it_looks():
    text = fields_of(MESSAGE)
    assert text.endswith(b"\r\n")
    assert all(len(line) <= 78 and line.isascii() for line in text.split(b"\r\n"))
    assert len(HeaderFields(text).raw) == 2
    assert text.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org;\r\n s=rsa1; t=")
    assert b"l=" not in re.sub(rb"b=[^;]*$", b"", text)


def test_long_names_stay_below_the_limit_of_a_line():
    domain = ".".join(["a" * 60] * 4)
    key = SigningKey.load(domain, "s" * 60, ED25519_PEM)
    header, body = split_message(MESSAGE)
    assert max(map(len, sign(header, digest_of(body), [key], NOW).split(b"\r\n"))) < 998


@pytest.mark.parametrize("name", ["From", "To", "Cc", "Subject", "Date", "Reply-To", "Message-ID", "Content-Type"])
def test_nobody_adds_a_field_that_a_reader_sees(name):  # RFC 6376 5.4, 8.15
    assert words(name.encode() + b": added\r\n" + signed()) == ["fail", "fail"]
    assert words(signed().replace(b"\r\n\r\n", b"\r\n" + name.encode() + b": added\r\n\r\n", 1)) == ["fail", "fail"]


@pytest.mark.parametrize(
    "name", ["Received", "Return-Path", "Authentication-Results", "X-Spam", "List-Id", "Sender", "DKIM-Signature",
             "ARC-Seal", "Delivered-To", "Resent-From"]
)  # fmt: skip
def test_relays_may_add_their_fields(name):
    field = name.encode() + b": added\r\n"
    assert words(field + signed(), now=NOW)[-2:] == ["pass", "pass"]
    changed = field + MESSAGE
    if name not in {"List-Id", "Sender"}:
        assert words(signed(changed).replace(b": added", b": changed"))[:2] == ["pass", "pass"]
    else:
        assert words(signed(changed).replace(b": added", b": changed"))[:2] == ["fail", "fail"]


def test_what_is_covered():
    names = listed()
    assert names[:2] == ["from", "from"]
    assert names.count("to") == 2
    assert names.count("cc") == 1
    assert names.count("mime-version") == 2
    assert names.count("sender") == 0
    assert listed(b"List-Unsubscribe: <x>\r\nList-Unsubscribe-Post: y\r\n" + MESSAGE)[-2:] == [
        "list-unsubscribe",
        "list-unsubscribe-post",  # RFC 8058 4
    ]
    assert listed(b"Subject: 1\r\nSubject: 2\r\n" + MESSAGE).count("subject") == 4


def test_many_repeated_fields_do_not_grow_the_signature():
    message = b"List-Id: x\r\n" * 5000 + MESSAGE
    assert words(signed(message)) == ["pass", "pass"]
    assert len(fields_of(message)) < 4000


@pytest.mark.parametrize(
    "header",
    [b"To: a@example.org\r\n\r\n", b"From: a@example.org\r\nFrom: b@example.org\r\n\r\n", b"From: a\nX: b\r\n\r\n",
     b"From: a@example.org\r\nnothing\r\n\r\n", b""],
)  # fmt: skip
def test_messages_that_must_not_carry_our_name(header):
    with pytest.raises(CannotSign):
        sign(header, digest_of(b""), KEYS, NOW)


def test_international_messages():
    message = "From: Jürgen <jürgen@example.org>\r\nSubject: Übung  \r\n\r\nGrüße\r\n".encode()
    assert words(signed(message)) == ["pass", "pass"]


@pytest.mark.parametrize(("kind", "bits"), [("rsa", 2048), ("ed25519", 256)])
def test_a_new_key(kind, bits):
    key = SigningKey.load("example.org", "new", generate_key(kind))
    other = SigningKey.load("example.org", "new", generate_key(kind))
    assert key.record != other.record
    (result,) = verify(signed(keys=[key]), zone(key))
    assert (result.result, result.key_bits) == ("pass", bits)
    assert words(signed(keys=[key]), zone(other)) == ["fail"]
    strings = character_strings(key.record)
    assert "".join(strings) == key.record
    assert max(map(len, strings)) <= 255
    assert len(strings) == (2 if kind == "rsa" else 1)


def test_the_record():  # RFC 6376 3.6.1
    assert RSA_KEY.record_name == "rsa1._domainkey.example.org"
    tags = dict(tag.split("=", 1) for tag in ED25519_KEY.record.split("; "))
    assert tags == {
        "v": "DKIM1",
        "k": "ed25519",
        "h": "sha256",
        "p": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",  # RFC 8463 A.2
    }


def test_comparing_with_what_is_published():
    assert RSA_KEY.difference(RSA_KEY.record.encode()) == ""
    assert ED25519_KEY.difference(b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=; t=s") == ""
    assert "another key" in RSA_KEY.difference(ED25519_KEY.record.encode())
    assert "revoked" in RSA_KEY.difference(b"v=DKIM1; p=")
    assert "malformed" in RSA_KEY.difference(RSA_KEY.record[:-3].encode() + b"\x00")
    assert "cannot be read" in RSA_KEY.difference(RSA_KEY.record[:-3].encode())
    assert "SHA-256" in RSA_KEY.difference(RSA_KEY.record.replace("h=sha256", "h=sha1").encode())


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "nothing",
        RSA_PEM.replace("M", "N"),
        "-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(b"x" * 50).decode() + "\n-----END PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_private_key(pem):
    with pytest.raises(BadPrivateKey):
        SigningKey.load("example.org", "s", pem)


@pytest.mark.parametrize(("kind", "bits"), [("rsa", 1024), ("rsa", 10**6), ("dsa", 2048)])
def test_keys_that_are_not_made(kind, bits):
    with pytest.raises(BadPrivateKey):
        generate_key(kind, bits)
