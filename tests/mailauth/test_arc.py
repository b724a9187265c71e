"""Chains of custody: every rule of RFC 8617 5.2 with a case of its own, sealing, and junk."""

import base64
import hashlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mailauth.arc import ArcResult, ArcVerifier, seal
from postroom.mailauth.dkim import CannotSign
from postroom.mailauth.header import HeaderFields, relaxed_field, split_message
from postroom.mailauth.zone import ZoneData, finished

from .signing import ED25519_KEY, MESSAGE, NOW, RSA_KEY, by_hand, digest_of, signed, verify, words, zone

AMS = "i={i}; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa1; h=from:to:subject; bh={{bh}}"
AS = "i={i}; a=rsa-sha256; cv={cv}; d=example.org; s=rsa1"
AAR = b"i=%d; example.org; spf=pass smtp.mailfrom=example.com"


def arc(message: bytes, dns=None, now: int = NOW) -> ArcResult:
    header, body = split_message(message)
    verifier = ArcVerifier(header)
    verifier.body(body)
    return finished(verifier.result(dns or zone(), now))


def set_by_hand(message: bytes, number: int, cv: str = "", ams: str = AMS, seal_tags: str = AS, key=RSA_KEY) -> bytes:
    """One more set before the message, sealed over those below it as they stand."""
    below = HeaderFields(split_message(message)[0])
    told = b"ARC-Authentication-Results: " + AAR % number + b"\r\n"
    made = by_hand(message, ams.format(i=number), key, b"ARC-Message-Signature")[: -len(message)]
    own = b"ARC-Seal: " + seal_tags.format(i=number, cv=cv or ("none" if number == 1 else "pass")).encode() + b"; b="
    names = (b"arc-authentication-results", b"arc-message-signature", b"arc-seal")
    sets = list(zip(*(below.at(name) for name in names), strict=True))
    hashed = b"".join(relaxed_field(below.raw[place]) + b"\r\n" for one in reversed(sets) for place in one)
    hashed += relaxed_field(told) + b"\r\n" + relaxed_field(made) + b"\r\n" + relaxed_field(own)
    value = key.sign(hashlib.sha256(hashed).digest())
    return own + base64.b64encode(value) + b"\r\n" + made + told + message


def chain(length: int, message: bytes = MESSAGE) -> bytes:
    for number in range(1, length + 1):
        message = set_by_hand(message, number)
    return message


def without(message: bytes, name: bytes, number: int) -> bytes:
    """The message without one of its ARC fields."""
    header, body = split_message(message)
    fields = HeaderFields(header)
    mark = b" i=%d;" % number
    kept = [raw for raw in fields.raw if not (raw.startswith(name + b":") and mark in raw)]
    assert len(kept) == len(fields.raw) - 1
    return b"".join(kept) + b"\r\n" + body


def test_no_chain():
    assert (arc(MESSAGE).result, arc(b"").result) == ("none", "none")


@pytest.mark.parametrize("length", [1, 2, 5, 50])
def test_chains_that_hold(length):
    result = arc(chain(length))
    assert (result.result, result.newest, result.oldest_pass) == ("pass", length, 0)
    assert [link.instance for link in result.chain] == list(range(1, length + 1))
    assert all(link.intact for link in result.chain)
    assert result.sealer == "example.org"
    assert b"spf=pass" in result.chain[0].results


def test_more_than_fifty_sets():
    result = arc(chain(51))
    assert result.result == "fail"
    assert arc(b"ARC-Seal: i=1\r\n" * 200 + MESSAGE).reason == "there are more than 50 sets"


@pytest.mark.parametrize("name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_field_is_missing(name, number):  # step 3.A
    result = arc(without(chain(3), name, number))
    assert (result.result, result.reason) == ("fail", f"set {number} of 3 is not complete")


@pytest.mark.parametrize("name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
def test_a_field_is_doubled(name):  # step 3.B
    message = chain(2)
    field = next(raw for raw in HeaderFields(message).raw if raw.startswith(name))
    for doubled in (field + message, message.replace(b"\r\nFrom:", b"\r\n" + field + b"From:", 1)):
        assert (arc(doubled).result, "two" in arc(doubled).reason) == ("fail", True)


def test_a_gap():
    message = without(without(without(chain(3), b"ARC-Seal", 2), b"ARC-Message-Signature", 2), b"ARC-Auth"
                      b"entication-Results", 2)  # fmt: skip
    assert arc(message).reason == "set 2 of 3 is not complete"


@pytest.mark.parametrize("number", [b"", b"0", b"x", b"-1", b"01", b"51", b"1.0", b"999999999999999999999"])
@pytest.mark.parametrize("name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
def test_bad_instances(name, number):
    message = chain(1)
    changed = re.sub(rb"(%b: i=)1" % name, rb"\g<1>" + number, message)
    assert changed != message
    assert arc(changed).result == "fail"


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        (["pass"], "the seal of set 1 says cv=pass"),
        (["none", "none"], "the seal of set 2 says cv=none"),
        (["pass", "pass"], "the seal of set 1 says cv=pass"),
        (["fail"], "the newest seal, of set 1, says that the chain had failed before"),
        (["none", "fail"], "the newest seal, of set 2, says that the chain had failed before"),
        (["fail", "pass"], "the seal of set 1 says cv=fail"),
        (["other"], "set 1: cv= says neither none nor pass nor fail"),
    ],
)
def test_status_of_each_seal(statuses, reason):  # steps 2 and 3.C
    message = MESSAGE
    for number, status in enumerate(statuses, 1):
        message = set_by_hand(message, number, status)
    result = arc(message)
    assert (result.result, result.reason) == ("fail", reason)
    assert result.sealed_failure == reason.startswith("the newest seal")


def test_the_newest_message_signature_must_hold():  # step 4
    message = chain(3)
    for changed in (message.replace(b"Hi.", b"Ho."), message.replace(b"Dinner", b"Lunch")):
        result = arc(changed)
        assert result.result == "fail"
        assert result.reason.startswith("the message is not what set 3 vouches for")
        assert [link.intact for link in result.chain] == [None, None, False]


def test_oldest_pass():  # step 5
    message = chain(2)
    message = set_by_hand(message.replace(b"Subject:  Dinner", b"Subject: [list] Dinner"), 3)
    result = arc(set_by_hand(message, 4))
    assert (result.result, result.oldest_pass) == ("pass", 3)
    assert [link.intact for link in result.chain] == [None, False, True, True]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_seal_must_hold(number):  # step 6
    message = chain(3)
    mark = re.compile(rb"(ARC-Seal: i=%d;.*?; b=)(.)" % number, re.DOTALL)
    changed = mark.sub(lambda m: m[1] + (b"A" if m[2] != b"A" else b"B"), message)
    result = arc(changed)
    assert result.result == "fail"
    assert "the seal of set" in result.reason


@pytest.mark.parametrize("number", [1, 2])
def test_results_are_sealed(number):
    message = chain(2).replace(AAR % number, (AAR % number).replace(b"pass", b"fail"))
    assert arc(message).reason.startswith("the seal of set 2 does not hold")


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (AS + "; h=from", "h= must not stand in a seal"),
        (AS.replace("a=rsa-sha256; ", ""), "lacks a="),
        (AS.replace("; s=rsa1", ""), "lacks s="),
        (AS.replace("d=example.org; ", ""), "lacks d="),
        (AS.replace("cv={cv}; ", ""), "lacks cv="),
        (AS.replace("sha256", "sha1"), "SHA-1"),
        (AS.replace("sha256", "sha512"), "algorithm"),
        (AS.replace("d=example.org", "d=exa mple"), "d="),
        (AS.replace("s=rsa1", "s=other"), "_domainkey.example.org"),
        (AS.replace("s=rsa1", "s=ed1"), "of another type"),
        (AS + "; t=x", "t="),
        (AS + "; s=rsa1", "twice"),
        (AS + ";", "no tag=value"),
    ],
)
def test_seals_that_say_nothing(tags, reason):
    result = arc(set_by_hand(MESSAGE, 1, seal_tags=tags))
    assert result.result == "fail"
    assert reason in result.reason


LOUD = AS.replace("rsa-sha256", "RSA-SHA256").replace("example.org", "EXAMPLE.ORG").replace("rsa1", "RSA1")


@pytest.mark.parametrize("tags", [AS + "; t=12345", AS + "; zz=unknown", AS.replace("=", " = "), LOUD])
def test_seals_that_hold(tags):
    assert arc(set_by_hand(MESSAGE, 1, seal_tags=tags)).result == "pass"


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (AMS.replace("from", "arc-seal:from"), "must not cover ARC-Seal"),
        (AMS.replace("; bh={{bh}}", ""), "lacks bh="),
        (AMS.replace("s=rsa1; ", ""), "lacks s="),
        (AMS.replace("h=from:to:subject; ", ""), "lacks h="),
        (AMS.replace("sha256", "sha1"), "SHA-1"),
        (AMS.replace("relaxed/relaxed", "other"), "c="),
        (AMS.replace("s=rsa1", "s=nokey"), "there is no key"),
        (AMS.replace("s=rsa1", "s=ed1"), "of type ed25519"),
        (AMS + "; l=3", "uncovered"),
        (AMS + f"; x={NOW - 1000}", "expired"),
        (AMS + f"; t={NOW + 10_000}", "future"),
    ],
)
def test_message_signatures_that_do_not_hold(tags, reason):
    result = arc(set_by_hand(MESSAGE, 1, ams=tags))
    assert result.result == "fail"
    assert reason in result.reason


@pytest.mark.parametrize(
    "tags", [AMS + "; v=7", AMS.replace("relaxed/relaxed", "simple/simple"), AMS + "; zz=x", AMS + "; t=1"]
)
def test_message_signatures_that_hold(tags):  # RFC 8617 4.1.2: v= is ignored
    assert arc(set_by_hand(MESSAGE, 1, ams=tags)).result == "pass"


@pytest.mark.parametrize("fault", ["TIMEOUT", "SERVFAIL"])
def test_the_dns_fails(fault):  # RFC 8617 5.2.1
    assert arc(chain(1), ZoneData({RSA_KEY.record_name: fault})).result == "fail"
    assert arc(chain(1), ZoneData({})).result == "fail"


def test_broken_headers():
    assert "no field" in arc(b"nothing\r\n" + chain(1)).reason
    assert "CR or LF" in arc(b"A: b\nc\r\n" + chain(1)).reason


def test_the_order_of_fields_does_not_matter():
    header, body = split_message(chain(3))
    fields = sorted(HeaderFields(header).raw, key=lambda raw: (not raw.startswith(b"ARC"), raw))
    assert arc(b"".join(fields) + b"\r\n" + body).result == "pass"


RESULTS = b"example.net; arc=none; dmarc=pass header.from=example.org"


def sealed(message: bytes, key=RSA_KEY, dns=None, **changes) -> bytes:
    header, body = split_message(message)
    return seal(header, digest_of(body), arc(message, dns), RESULTS, key, NOW) + message


@pytest.mark.parametrize("key", [RSA_KEY, ED25519_KEY])
@pytest.mark.parametrize("before", [0, 1, 3, 49])
def test_sealing(key, before):  # RFC 8617 5.1
    arrived = signed(chain(before))
    message = sealed(arrived, key)
    result = arc(message)
    assert (result.result, result.newest, result.oldest_pass) == ("pass", before + 1, 0)
    assert result.chain[-1].results.strip() == RESULTS
    assert result.chain[-1].selector == key.selector
    assert all(len(line) <= 78 for line in message[: -len(arrived)].split(b"\r\n"))
    again = arc(sealed(message, ED25519_KEY)) if before < 49 else result
    assert again.result == "pass"


def test_what_a_seal_covers():
    message = sealed(signed())
    (ams,) = [raw for raw in HeaderFields(message).raw if raw.startswith(b"ARC-Message-Signature")]
    names = re.sub(rb"\s", b"", re.search(rb"h=([^;]*);", ams)[1]).lower().split(b":")
    assert names.count(b"dkim-signature") == 2
    assert not any(name.startswith((b"arc-", b"authentication-results", b"received")) for name in names)
    assert words(message) == ["pass", "pass"]
    assert arc(b"Authentication-Results: x\r\nReceived: y\r\n" + message).result == "pass"
    for changed in (message.replace(b"Hi.", b"Ho."), message.replace(b"dmarc=pass", b"dmarc=fail"),
                    message.replace(b"DKIM-Sig", b"X-DKIM-Sig"), b"Subject: x\r\n" + message):  # fmt: skip
        assert arc(changed).result == "fail"


def test_sealing_a_chain_that_failed():  # RFC 8617 5.1.2
    broken = chain(2).replace(b"Hi.", b"Ho.")
    once = sealed(broken)
    assert b"ARC-Seal: i=3; a=rsa-sha256; cv=fail;" in once
    result = arc(once)
    assert (result.result, result.sealed_failure, result.newest) == ("fail", True, 3)
    assert sealed(once) == once  # RFC 8617 5.1 step 2
    torn = without(chain(2), b"ARC-Seal", 2)
    assert b"ARC-Seal: i=3; a=rsa-sha256; cv=fail;" in sealed(torn)


def test_no_more_than_fifty_are_made():
    full = chain(50)
    assert sealed(full) == full


def test_messages_that_are_not_sealed():
    with pytest.raises(CannotSign):
        sealed(b"From: a@example.org\r\nFrom: b@example.org\r\n\r\n")


FULL = chain(2, signed())


@given(st.integers(0, len(FULL) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_no_octets_make_it_raise(place, put, cut):
    arc(FULL[:place] + put + FULL[place + cut :])


@settings(max_examples=60)
@given(st.lists(st.sampled_from(re.split(rb"(?<=\r\n)(?! )", FULL)), max_size=12))
def test_no_mixture_of_fields_makes_it_raise(lines):
    message = b"".join(lines) + b"\r\n" + MESSAGE
    assert arc(message).result in {"none", "pass", "fail"}
    verify(message)


@pytest.mark.parametrize(
    "fields",
    [
        b"ARC-Seal: i=1; " + b"a" * 3_000_000,
        b"ARC-Seal: i=1\r\n" * 100_000,
        b"".join(b"ARC-Message-Signature: i=%d; h=x\r\n" % number for number in range(100_000)),
        b"ARC-Authentication-Results: " + b"\r\n " * 500_000,
        b"ARC-Authentication-Results: i" + b" " * 1_000_000,
    ],
    ids=range(5),
)
def test_junk_costs_little(fields):
    begun = time.process_time()
    assert arc(fields + b"\r\n" + MESSAGE).result == "fail"
    assert time.process_time() - begun < 2
