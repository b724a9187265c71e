"""Rules, links, attachments, traits: what each finds, and what it leaves alone."""

from __future__ import annotations

import base64
import io
import zipfile

import pytest

from postroom.filter import rules
from postroom.filter.attachments import dangers
from postroom.filter.links import deceptions, imitated, organisation
from postroom.filter.rules import BadRules
from postroom.filter.seen import Seen, see
from postroom.filter.traits import traits
from postroom.values.content import Content

HEAD = "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch\r\nDate: x\r\nMessage-ID: <1@x>\r\n"
RULES = rules.load([rules.built_in()])


def html(body: str) -> Seen:
    return see(Content.of(f"{HEAD}Content-Type: text/html; charset=utf-8\r\n\r\n{body}".encode()))


def text(body: str, head: str = HEAD) -> Seen:
    return see(Content.of(f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}".encode()))


def attached(name: str, octets: bytes) -> Seen:
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    head = f'{HEAD}Content-Type: application/octet-stream; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return see(Content.of(head.encode() + encoded))


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


def names(found: object) -> set[str]:
    return {reason.name for reason in found}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('<a href="http://evil.test/">https://www.example.com/login</a>', "LINK_MISMATCH"),
        ('<a href="http://192.0.2.7/x">here</a>', "LINK_ADDRESS"),
        ('<a href="http://3232235777/x">here</a>', "LINK_ADDRESS"),
        ('<a href="https://bank.example@evil.test/">here</a>', "LINK_USERINFO"),
        ('<a href="https://xn--pypal-4ve.com/">here</a>', "LINK_HOMOGRAPH"),
        ('<a href="https://bit.ly/abc">here</a>', "LINK_SHORTENED"),
    ],
)
def test_links_that_deceive(body: str, name: str) -> None:
    assert name in names(deceptions(html(body)))


@pytest.mark.parametrize(
    "body",
    [
        '<a href="https://click.example.com/x">www.example.com</a>',
        '<a href="https://example.org/x">Read more at our site</a>',
        '<a href="https://example.org/">Version 2.5.1</a>',
        '<a href="https://xn--mnchen-3ya.de/">here</a>',
    ],
)
def test_links_that_are_as_they_seem(body: str) -> None:
    assert not names(deceptions(html(body)))


def test_hosts_like_those_we_trust() -> None:
    assert names(imitated(["www.examp1e.org"], ["example.org"])) == {"LINK_LOOKALIKE"}
    assert not names(imitated(["www.example.org", "other.test"], ["example.org"]))
    assert organisation("a.b.example.co.uk") == "example.co.uk"


@pytest.mark.parametrize(
    ("name", "octets", "found"),
    [
        ("invoice.pdf.exe", b"x", "FILE_DOUBLE"),
        ("tool.scr", b"x", "FILE_PROGRAM"),
        ("picture.jpg", b"MZ\x90\x00", "FILE_PROGRAM"),
        ("letter.docm", b"x", "FILE_MACROS"),
        ("letter.docx", zipped("word/document.xml", "word/vbaProject.bin"), "FILE_MACROS"),
        ("all.zip", zipped("a.txt", "b.js"), "FILE_INSIDE"),
        ("all.zip", b"PK\x03\x04" + b"\0" * 60, "FILE_BROKEN"),
    ],
)
def test_attachments_that_can_harm(name: str, octets: bytes, found: str) -> None:
    assert found in names(dangers(attached(name, octets)))


def test_attachments_that_are_harmless() -> None:
    assert not names(dangers(attached("report.pdf", b"%PDF-1.7")))
    assert not names(dangers(attached("all.zip", zipped("a.txt", "b.pdf"))))


def test_an_archive_that_is_locked_says_so() -> None:
    octets = bytearray(zipped("a.txt"))
    at = octets.find(b"PK\x01\x02")
    octets[at + 8] |= 1
    assert "FILE_LOCKED" in names(dangers(attached("all.zip", bytes(octets))))


def test_traits() -> None:
    assert not names(traits(text("How are you? See you at lunch then, dear Bob."), 60.0))
    bare = text("Hello", "From: a@b.test\r\n")
    assert {"NO_DATE", "NO_MESSAGE_ID", "NO_TO", "NO_SUBJECT"} <= names(traits(bare, None))
    assert "DATE_AHEAD" in names(traits(text("x"), -100_000.0))
    assert "FIELD_TWICE" in names(traits(text("x", HEAD + "Subject: again\r\n"), 0.0))
    named = HEAD.replace("Ann <", '"security@bank.example" <')
    assert "NAME_IS_ADDRESS" in names(traits(text("x", named), 0.0))
    assert "REPLY_ELSEWHERE" in names(traits(text("x", HEAD + "Reply-To: x@gmail.com\r\n"), 0.0))


def test_built_in_rules_find_what_they_are_for() -> None:
    assert "EXTORTION" in names(RULES.apply(text("I recorded you by your webcam. Send Bitcoin")))
    assert "SUBJECT_SHOUTS" in names(RULES.apply(text("x", HEAD.replace("Lunch", "GREAT OFFER JUST FOR YOU"))))
    assert "FORM_INSIDE" in names(RULES.apply(html('<form action="http://x.test/">')))
    assert not names(RULES.apply(text("Shall we have lunch on Tuesday? I would bring the contract.")))


def test_own_rules_stand_over_ours() -> None:
    own = '[[rule]]\nname = "EXTORTION"\nwords = ["x"]\npoints = 0\ntext = "off"\n'
    own += '[[rule]]\nname = "LUNCH"\nwhere = "subject"\npattern = "^lunch$"\npoints = 2\ntext = "it is about lunch"\n'
    found = rules.load([rules.built_in(), own])
    assert names(found.apply(text("send bitcoin"))) == {"LUNCH"}


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("[[rule]]\nname = 'A'\ntext = 'x'\n", "either words or a pattern"),
        ("[[rule]]\nname = 'A'\ntext = 'x'\npattern = '('\n", "no regular expression"),
        ("[[rule]]\nname = 'A'\ntext = 'x'\nwords = ['x']\nwhere = 'moon'\n", "no place 'moon'"),
        ("[[rule]]\nname = 'A'\nwords = ['x']\n", "text"),
        ("[[rule]\n", "cannot be read"),
    ],
)
def test_rules_that_cannot_be_used_are_named(file: str, says: str) -> None:
    with pytest.raises(BadRules, match=says):
        rules.load([file])
