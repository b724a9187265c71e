"""A DNS that does not answer in time: what is said of the message then."""

from __future__ import annotations

import asyncio

from postroom.intake.verify import Sender, Verifier
from postroom.mailauth.body import BodyHashes
from postroom.mailauth.dkim import BODY_FORM, SigningKey, generate_key, sign
from postroom.mailauth.header import HeaderFields
from postroom.values.content import Content
from postroom.values.dns import Lookup, RecordType

NOW = 1_700_000_000
HEADER = b"From: ann@example.org\r\nSubject: x\r\n\r\n"
BODY = b"Hello\r\n"


class Silent:
    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_dns_that_does_not_answer() -> None:
    hashes = BodyHashes()
    hashes.want(BODY_FORM)
    hashes.update(BODY)
    key = SigningKey.load("example.org", "sel", generate_key("ed25519"))
    header = sign(HEADER, hashes.digest(BODY_FORM), [key], NOW) + b"DKIM-Signature: junk\r\n" + HEADER
    sender = Sender("192.0.2.1", "mx.example.org", "ann@example.org")
    verifier = Verifier(Silent(), "mx.example.net", 0.05)
    found = await verifier.look(sender, ["example.org"], HeaderFields(header), (Content.of(BODY), 0), NOW)
    assert found.spf.result == "temperror"
    assert [(one.result, one.domain) for one in found.dkims] == [("temperror", "example.org"), ("permerror", "")]
    assert found.arc.result == "none"
    assert [one.result for one in found.dmarc] == ["temperror"]
