"""Ways to make a reader see far.test (which asks for p=reject) although evil.test sends, and can prove evil.test.

The kinds of tricks are those of the public collections (composition attacks on SMTP, SPF, DKIM, DMARC and From, 2020,
and what has been found since): the verifier is to look at one address, the reader at another. Whatever the trick, the
message must be refused, filed as junk, or marked.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from test_outside import BAD, GOOD, KEYS, NOW, Doors, message

from postroom.mailauth.body import BodyHashes
from postroom.mailauth.dkim import BODY_FORM, sign
from postroom.mailauth.header import split_message
from postroom.values.refusal import Refusal

REST = b"To: alice@here.test\r\nSubject: pay at once\r\n\r\nhello\r\n"


async def outcome(folder: Path, octets: bytes, sender: str | None = "x@evil.test", ip: str = BAD) -> str:
    doors = Doors(folder)
    try:
        entry = await doors.take(octets, ip=ip, sender=sender)
    except Refusal as refusal:
        return f"refused: {refusal.public}"
    if entry.junk:
        return "junk"
    return "marked" if "$Suspicious" in entry.keywords else f"taken: {doors.checked}"


HEADS = {
    "two fields": b"From: <x@evil.test>\r\nFrom: <ceo@far.test>\r\n",
    "two fields, other order": b"From: <ceo@far.test>\r\nFrom: <x@evil.test>\r\n",
    "blank before the colon": b"From : <ceo@far.test>\r\nFrom: <x@evil.test>\r\n",
    "tab before the colon": b"From\t: <ceo@far.test>\r\nFrom: <x@evil.test>\r\n",
    "case": b"fRoM: <ceo@far.test>\r\nFrom: <x@evil.test>\r\n",
    "folded before the colon": b"From\r\n : <ceo@far.test>\r\nFrom: <x@evil.test>\r\n",
    "first line indented": b" From: <ceo@far.test>\r\nFrom: <x@evil.test>\r\n",
    "no-break space in the name": b"From\xa0: <ceo@far.test>\r\nFrom: <x@evil.test>\r\n",
    "NUL in the name": b"From\x00: <ceo@far.test>\r\nFrom: <x@evil.test>\r\n",
    "line that is no field": b"From: <ceo@far.test>\r\nno field\r\nFrom: <x@evil.test>\r\n",
    "only Sender": b"Sender: <ceo@far.test>\r\n",
    "only Resent-From": b"Resent-From: <ceo@far.test>\r\n",
    "empty From, a Sender": b"From:\r\nSender: <ceo@far.test>\r\n",
    "list": b"From: <x@evil.test>, <ceo@far.test>\r\n",
    "list, other order": b"From: <ceo@far.test>, <x@evil.test>\r\n",
    "list without brackets": b"From: ceo@far.test,x@evil.test\r\n",
    "semicolon": b"From: ceo@far.test;x@evil.test\r\n",
    "empty elements": b"From: ,,,ceo@far.test,,<x@evil.test>\r\n",
    "group": b"From: Board: ceo@far.test;, x@evil.test\r\n",
    "group only": b"From: Board: ceo@far.test;\r\n",
    "route": b"From: <@evil.test,@any.test:ceo@far.test>\r\n",
    "route, other order": b"From: <@far.test:x@evil.test>\r\n",
    "brackets in brackets": b"From: <<ceo@far.test>x@evil.test>\r\n",
    "two brackets": b"From: <ceo@far.test><x@evil.test>\r\n",
    "text after": b"From: <x@evil.test> ceo@far.test\r\n",
    "text before": b"From: ceo@far.test <x@evil.test>\r\n",
    "quoted name": b'From: "ceo@far.test" <x@evil.test>\r\n',
    "quoted name, brackets": b'From: "<ceo@far.test>" <x@evil.test>\r\n',
    "encoded name": b"From: =?utf-8?b?Y2VvQGZhci50ZXN0?= <x@evil.test>\r\n",
    "encoded brackets": b"From: =?utf-8?q?=3Cceo=40far=2Etest=3E?= <x@evil.test>\r\n",
    "encoded address": b"From: =?utf-8?b?PGNlb0BmYXIudGVzdD4=?=\r\n",
    "encoded local part": b"From: <=?utf-8?b?Y2VvQGZhci50ZXN0?=@evil.test>\r\n",
    "comment": b"From: ceo@far.test(\r\n )<x@evil.test>\r\n",
    "comment in the domain": b"From: <ceo@(x@evil.test)far.test>\r\n",
    "quote that hides": b'From: "x@evil.test>"<ceo@far.test>\r\n',
    "escaped quote": b'From: "\\"ceo@far.test" <x@evil.test>\r\n',
    "open quote": b'From: "ceo@far.test <x@evil.test>\r\n',
    "quoted local part": b'From: <"ceo@far.test"@evil.test>\r\n',
    "NUL cuts": b"From: <ceo@far.test\x00@evil.test>\r\n",
    "NUL after": b"From: <ceo@far.test>\x00<x@evil.test>\r\n",
    "two at": b"From: <ceo@far.test@evil.test>\r\n",
    "blank in the address": b"From: <ceo@far.test x@evil.test>\r\n",
    "long padding": b"From: ceo@far.test" + b" " * 900 + b"<x@evil.test>\r\n",
    "folded": b"From: ceo@far.test\r\n\t<x@evil.test>\r\n",
    "full-width at": "From: ceo＠far.test <x@evil.test>\r\n".encode(),
    "right to left": "From: \u202etset.raf@oec <x@evil.test>\r\n".encode(),
    "backslashes": b"From: ceo\\@far.test, <x@evil.test>\r\n",
    "percent": b"From: <ceo%far.test@evil.test>\r\n",
}
#: no reader is shown far.test as the address: nothing to see but a strange local part
HARMLESS = {"percent"}


@pytest.mark.parametrize("trick", HEADS)
@pytest.mark.parametrize("proof", ["spf", "dkim"])
async def test_from_with_two_readings(tmp_path: Path, trick: str, proof: str) -> None:
    octets = HEADS[trick] + REST
    if proof == "dkim":  # a signature of the attacker's own, from an address SPF says nothing about
        header, body = split_message(b"From: x@evil.test\r\n" + REST)
        hashes = BodyHashes()
        hashes.want(BODY_FORM)
        hashes.update(body)
        octets = sign(header, hashes.digest(BODY_FORM), [KEYS["list.test"]], int(NOW)) + octets
        if trick == "first line indented":
            return  # now it is the end of the signature's field, for everybody
    said = await outcome(tmp_path, octets)
    assert not said.startswith("taken") or trick in HARMLESS, said


@pytest.mark.parametrize(
    "sender",
    [None, "x@evil.test", "x@sub.far.test", "ceo@far.test", "x@far.test.evil.test", '"a@far.test"@evil.test'],
)
async def test_envelopes_that_prove_something_else(tmp_path: Path, sender: str | None) -> None:
    assert (await outcome(tmp_path, message("Ceo <ceo@far.test>"), sender=sender)).startswith("refused")


async def test_a_true_message_replayed_with_another_author(tmp_path: Path) -> None:
    """Signed by far.test; the attacker puts a From of another victim above, and below."""
    header, body = split_message(message("Ceo <ceo@far.test>"))
    hashes = BodyHashes()
    hashes.want(BODY_FORM)
    hashes.update(body)
    true = sign(header, hashes.digest(BODY_FORM), [KEYS["far.test"]], int(NOW)) + header + body
    assert (await outcome(tmp_path, true)).startswith("taken")
    assert (await outcome(tmp_path, b"From: bank@soft.test\r\n" + true)).startswith("refused")
    lower = true.replace(b"\r\nSubject:", b"\r\nFrom: bank@soft.test\r\nSubject:")
    assert (await outcome(tmp_path, lower)).startswith("refused")
    assert (await outcome(tmp_path, true.replace(b"hello", b"hello, pay now"))).startswith("refused")
    subject = true.replace(b"\r\nTo:", b"\r\nSubject: urgent\r\nTo:")
    assert (await outcome(tmp_path, subject)).startswith("refused")


async def test_a_signature_over_less_than_everything(tmp_path: Path) -> None:
    """l= lets anybody append; From not signed lets anybody be the author: neither proves far.test."""
    header, body = split_message(message("Ceo <ceo@far.test>"))
    hashes = BodyHashes()
    hashes.want(BODY_FORM)
    hashes.update(body)
    true = sign(header, hashes.digest(BODY_FORM), [KEYS["far.test"]], int(NOW))
    assert (await outcome(tmp_path, true.replace(b"v=1;", b"v=1; l=0;") + header + body)).startswith("refused")
    no_from = true.replace(b"h=From:From:", b"h=").replace(b"From:", b"", 2)
    assert (await outcome(tmp_path, no_from + header + body)).startswith("refused")


async def test_the_true_sender_is_not_hurt(tmp_path: Path) -> None:
    assert (await outcome(tmp_path, message("Ceo <ceo@far.test>"), sender="ceo@far.test", ip=GOOD)).startswith("taken")
