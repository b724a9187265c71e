"""dkimpy as a second opinion: what we sign it verifies, what it signs we verify, on generated messages."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .signing import ED25519_KEY, ED25519_SEED, KEYS, NOW, RSA_KEY, RSA_PEM, signed, verify, words
from .test_arc import arc, sealed

dkim = pytest.importorskip("dkim", reason="dkimpy is not installed")

FORMS = [(header, body) for header in (b"simple", b"relaxed") for body in (b"simple", b"relaxed")]

#: no bare CR or LF: dkimpy changes them before it looks
_WORDS = st.lists(
    st.sampled_from([b"a", b"word", b" ", b"  ", b"\t", b"=", b";", b":", b"b=", b"<x@y.z>", b"\xc3\xa9", b".", b"-"]),
    max_size=12,
).map(b"".join)
_VALUES = st.lists(_WORDS, min_size=1, max_size=3).map(lambda parts: b"\r\n ".join(b"x" + part for part in parts))
_FIELDS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"To", b"Subject", b"subject", b"Cc", b"Date", b"X-Other", b"Received", b"List-Id", b"Sender"]
        ),
        st.sampled_from([b":", b": ", b":\t", b":  "]),
        _VALUES,
    ).map(lambda field: b"".join(field) + b"\r\n"),
    max_size=8,
)
_BODIES = st.lists(_WORDS, max_size=8).map(lambda lines: b"".join(line + b"\r\n" for line in lines))
MESSAGES = st.tuples(_FIELDS, _BODIES).map(
    lambda parts: b"From: Ann <ann@example.org>\r\n" + b"".join(parts[0]) + b"\r\n" + parts[1]
)


def answer(name: bytes, timeout: float = 0) -> bytes:
    asked = name.decode().rstrip(".")
    return next(key.record for key in KEYS if key.record_name == asked).encode()


@pytest.fixture(scope="module")
def ed25519():
    pytest.importorskip("nacl", reason="dkimpy needs PyNaCl for Ed25519")


@settings(max_examples=60)
@given(MESSAGES)
def test_it_verifies_what_we_sign(message):
    assert dkim.verify(signed(message, [RSA_KEY], now=NOW), dnsfunc=answer)


@settings(max_examples=60)
@given(MESSAGES)
def test_it_verifies_what_we_sign_with_ed25519(ed25519, message):
    assert dkim.verify(signed(message, [ED25519_KEY]), dnsfunc=answer)
    both = signed(message)
    for index in (0, 1):
        assert dkim.DKIM(both).verify(index, dnsfunc=answer)


@settings(max_examples=80)
@given(MESSAGES, st.sampled_from(FORMS), st.booleans())
def test_we_verify_what_it_signs(message, forms, length):
    made = dkim.sign(message, b"rsa1", b"example.org", RSA_PEM.encode(), canonicalize=forms, length=length)
    now = verify(made, now=2**40)[0].signed_at  # dkimpy takes the clock's time
    assert words(made + message, now=now) == ["pass"]


@settings(max_examples=60)
@given(MESSAGES, st.sampled_from(FORMS))
def test_we_verify_what_it_signs_with_ed25519(ed25519, message, forms):
    made = dkim.sign(
        message,
        b"ed1",
        b"example.org",
        ED25519_SEED.encode(),
        canonicalize=forms,
        signature_algorithm=b"ed25519-sha256",
    )
    now = verify(made, now=2**40)[0].signed_at
    assert words(made + message, now=now) == ["pass"]


@settings(max_examples=60)
@given(MESSAGES, st.sampled_from(FORMS), st.integers(0, 2000), st.sampled_from([b"", b" ", b"x", b"\r\n", b"\t"]))
def test_we_agree_on_changed_messages(message, forms, place, put):
    made = dkim.sign(message, b"rsa1", b"example.org", RSA_PEM.encode(), canonicalize=forms) + message
    header = made.find(b"\r\nFrom:") + 2
    place = header + place % (len(made) - header + 1)
    changed = made[:place] + put + made[place + (place % 2) :]
    if changed.replace(b"\r\n", b"").count(b"\r") or changed.replace(b"\r\n", b"").count(b"\n"):
        return  # dkimpy makes CRLF of them
    if re.search(rb"\r\n[!-~]+[ \t]+:", changed):
        return  # dkimpy does not know white space before the colon (RFC 5322 4.5, RFC 6376 3.4.5)
    if changed.endswith((b" ", b"\t")):
        return  # dkimpy keeps white space at the end of a last line without CRLF
    try:
        theirs = dkim.verify(changed, dnsfunc=answer)
    except (dkim.DKIMException, ValueError):
        theirs = False
    now = verify(made, now=2**40)[0].signed_at
    assert (words(changed, now=now) == ["pass"]) == theirs


@settings(max_examples=30)
@given(MESSAGES, st.integers(1, 3))
def test_it_verifies_what_we_seal(message, length):
    for _ in range(length):
        message = sealed(message)
    status, _, reason = dkim.arc_verify(message, dnsfunc=answer)
    assert (status, reason) == (b"pass", "success")


@settings(max_examples=30)
@given(MESSAGES, st.integers(0, 2), st.sampled_from([b"", b"x"]))
def test_we_verify_what_it_seals(message, before, added):
    pytest.importorskip("authres", reason="dkimpy needs authres for ARC")
    for _ in range(before):
        message = sealed(message)
    told = b"Authentication-Results: example.org; arc=%s; spf=pass\r\n" % (b"pass" if before else b"none")
    made = dkim.arc_sign(told + message, b"rsa1", b"example.org", RSA_PEM.encode(), b"example.org", timestamp=NOW)
    result = arc(b"".join(made) + told + message + added)
    assert result.result == ("fail" if added else "pass")
    assert result.newest == before + 1
