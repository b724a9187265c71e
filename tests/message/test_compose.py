"""New messages, read back by another reader (Python's email package)."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.message.compose import Enclosure, Letter, Person, Unsuitable, compose
from postroom.values.address import Address

ANN = Person(Address.parse("ann@x.test"), "Ann Archer")
DATE = "Sun, 22 Nov 2026 09:00:00 +0000"
words = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=120)


def made(**given: Any) -> bytes:
    usual: dict[str, Any] = {"author": ANN, "date": DATE, "message_id": "1@x.test", "seed": "s", "text": "hello"}
    return b"".join(compose(Letter(**(usual | given))))


def read(octets: bytes) -> EmailMessage:
    assert b"\r" not in octets.replace(b"\r\n", b"")
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_plain_text() -> None:
    octets = made(to=[ANN], subject="Hi")
    message = read(octets)
    assert octets.endswith(b"\r\n\r\nhello\r\n")
    assert (message["From"], message["To"]) == ("Ann Archer <ann@x.test>", "Ann Archer <ann@x.test>")
    assert message["Message-ID"] == "<1@x.test>"
    assert message["Date"].datetime.year == 2026
    assert message["Content-Transfer-Encoding"] == "7bit"


def test_everything_at_once() -> None:
    logo = Enclosure(name="logo.png", media_type="image/png", octets=b"\x89PNG" * 100, cid="logo")
    bill = Enclosure(name="Rechnung März.pdf", media_type="application/pdf", octets=bytes(range(256)))
    message = read(made(text="ü" * 3000, html="<img src='cid:logo'>", enclosures=[logo, bill]))
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    parts = list(message.walk())
    assert parts[2].get_content().strip() == "ü" * 3000
    assert parts[5]["Content-ID"] == "<logo>"
    assert parts[5].get_content() == logo.octets
    assert parts[6].get_filename() == bill.name
    assert parts[6].get_content() == bill.octets
    assert parts[6].get_content_disposition() == "attachment"


def test_a_boundary_is_in_no_part() -> None:
    attached = Enclosure(name="a", media_type="text/csv", octets=b"x")
    message = read(made(text="--=_sm\r\n\r\nnot a part", enclosures=[attached]))
    assert len(list(message.walk())) == 3


@settings(max_examples=100, deadline=None)
@given(words, words, st.text(st.characters(blacklist_categories=("Cs",)), max_size=2000))
def test_what_is_written_is_what_is_read(subject: str, name: str, text: str) -> None:
    author = Person(ANN.address, name)
    message = read(made(author=author, to=[author, ANN], subject=subject, text=text))
    assert str(message["Subject"]).split() == subject.split()
    assert message["To"].addresses[0].addr_spec == "ann@x.test"
    assert len(message["To"].addresses) == 2
    shown = message["To"].addresses[0].display_name  # this reader is careless with spaces between encoded words
    assert "".join(shown.split()) == "".join(name.split())
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    assert (
        message.get_payload(decode=True).decode().replace("\r\n", "\n").removesuffix("\n") == plain.removesuffix("\n")
        or message.get_content().removesuffix("\n") == plain
    )


@pytest.mark.parametrize(
    "given",
    [
        {"subject": "a\r\nBcc: evil@x.test"},
        {"subject": "a\nb"},
        {"subject": "\ud800"},
        {"text": "\ud800"},
        {"author": Person(ANN.address, "A\r\nX: y")},
        {"fields": [("X-A", "a\x00b")]},
        {"enclosures": [Enclosure(name="a\r\nb", media_type="text/csv", octets=b"")]},
        {"enclosures": [Enclosure(name="a", media_type="text/csv; x=y", octets=b"")]},
        {"enclosures": [Enclosure(name="a", media_type="message/rfc822", octets=b"")]},
        {"enclosures": [Enclosure(name="a", media_type="multipart/mixed", octets=b"")]},
        {"enclosures": [Enclosure(name="ä" * 200, media_type="text/csv", octets=b"")]},
        {"html": "x", "enclosures": [Enclosure(name="a", media_type="image/png", octets=b"", cid="a> b")]},
    ],
)
def test_what_would_break_out_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Unsuitable):
        made(**given)
