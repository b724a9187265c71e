"""Keys, zone data and messages for the tests of signatures."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from postroom.mailauth.body import BodyHashes
from postroom.mailauth.dkim import BODY_FORM, DkimResult, DkimVerifier, SigningKey, sign
from postroom.mailauth.header import Canonical, HeaderFields, network_form, relaxed_field, split_message
from postroom.mailauth.zone import ZoneData, finished

NOW = 1_700_000_000

#: the keys of RFC 8463 A.1: test keys that everybody has
RSA_PEM = """-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
"""
_ED25519_PKCS8 = bytes.fromhex("302e020100300506032b657004220420") + base64.b64decode(
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
)
ED25519_SEED = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
ED25519_PEM = (
    "-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(_ED25519_PKCS8).decode() + "\n-----END PRIVATE KEY-----\n"
)

RSA_KEY = SigningKey.load("example.org", "rsa1", RSA_PEM)
ED25519_KEY = SigningKey.load("example.org", "ed1", ED25519_PEM)
KEYS = (RSA_KEY, ED25519_KEY)

MESSAGE = network_form(
    b"""Received: from a.example by b.example; Fri, 11 Jul 2003 21:01:54 -0700
From: Ann <ann@example.org>
To: Bob <bob@example.net>,
 Carl <carl@example.net>
Subject:  Dinner \t tonight
Date: Fri, 11 Jul 2003 21:00:37 -0700
Message-ID: <1@example.org>
MIME-Version: 1.0
Content-Type: text/plain

Hi.

We lost  the game.\x20\x20
Are you hungry?


"""
)


def zone(*keys: SigningKey, **records: str) -> ZoneData:
    """The zone with these keys' records; `selector=text` replaces a record of example.org."""
    names = {key.record_name: {"TXT": [key.record]} for key in keys or KEYS}
    names |= {f"{selector}._domainkey.example.org": {"TXT": [text]} for selector, text in records.items()}
    return ZoneData(names)


def digest_of(body: bytes, form: Canonical = BODY_FORM, length: int | None = None):
    hashes = BodyHashes()
    hashes.want(form, length)
    hashes.update(body)
    return hashes.digest(form, length)


def signed(message: bytes = MESSAGE, keys=KEYS, **options) -> bytes:
    """The message with a signature of each key before it."""
    header, body = split_message(message)
    return sign(header, digest_of(body), keys, options.pop("now", NOW), **options) + message


def by_hand(message: bytes, tags: str, key: SigningKey = RSA_KEY, name: bytes = b"DKIM-Signature") -> bytes:
    """A signature with any tags: `{bh}` is filled in, b= is added at the end. For what our signer never writes."""
    header, body = split_message(message)
    parsed = dict(tag.strip().split("=", 1) for tag in tags.split(";") if "=" in tag)
    forms = [form if form in {"simple", "relaxed"} else "simple" for form in (parsed.get("c", "") + "/").split("/")]
    length = int(parsed["l"]) if parsed.get("l", "").isdigit() else None
    digest = digest_of(body, Canonical(forms[1]), length)
    field = name + b": " + tags.format(bh=base64.b64encode(digest.value).decode()).encode() + b"; b="
    fields = HeaderFields(header)
    form = Canonical(forms[0])
    data = b"".join(
        fields.canonical(place, form)
        for place in fields.selected(n.strip().encode() for n in parsed.get("h", "").split(":"))
    ) + (relaxed_field(field) if form is Canonical.RELAXED else field)
    if key.kind == "rsa":
        value = key.private.sign(data, PKCS1v15(), SHA256())
    else:
        value = key.private.sign(hashlib.sha256(data).digest())
    return field + base64.b64encode(value) + b"\r\n" + message


def verify(message: bytes, dns=None, now: int = NOW) -> tuple[DkimResult, ...]:
    header, body = split_message(message)
    verifier = DkimVerifier(header)
    verifier.body(body)
    return finished(verifier.results(dns or zone(), now))


def words(message: bytes, dns=None, now: int = NOW) -> list[str]:
    return [result.result for result in verify(message, dns, now)]
