"""Rules, links, attachments, traits: what each finds, and what it leaves alone."""

from __future__ import annotations

import base64
import io
import struct
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.filter import rules
from postroom.filter.archives import MOST, listing
from postroom.filter.attachments import dangers
from postroom.filter.borrowed import Brand, Trusted
from postroom.filter.links import deceptions, organisation, phishing
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


def stored(name: str, octets: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(name, octets)
    return file.getvalue()


def tarred(*names: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in names:
            found = tarfile.TarInfo(name)
            found.size = 700
            archive.addfile(found, io.BytesIO(bytes(700)))
    return file.getvalue()


def rar4(name: str, flags: int = 0) -> bytes:
    """The head of the archive, and of one file with 5 octets."""
    head = struct.pack("<HBHH", 0, 0x73, 0, 13) + bytes(6)
    fields = struct.pack("<IIBIIBBHI", 5, 5, 2, 0, 0, 29, 0x30, len(name), 32)
    file = struct.pack("<HBHH", 0, 0x74, flags | 0x8000, 7 + len(fields) + len(name)) + fields + name.encode()
    return b"Rar!\x1a\x07\x00" + head + file + b"x" * 5 + struct.pack("<HBHH", 0, 0x7B, 0, 7)


def rar5(name: str) -> bytes:
    """The main head, and of one file with 5 octets of data."""
    file = bytes((2, 2, 5, 0, 5, 0, 0, 0, len(name))) + name.encode()
    main = bytes((1, 0, 0))
    packed = [bytes(4) + bytes((len(each),)) + each + data for each, data in ((main, b""), (file, b"x" * 5))]
    return b"Rar!\x1a\x07\x01\x00" + b"".join(packed)


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
        ('<a href="https://p\u0430ypal.com/">here</a>', "LINK_HOMOGRAPH"),
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
        '<a href="https://xn--mnchen-3ya.de/">www.münchen.de</a>',
        '<a href="https://MÜNCHEN.de/">www.xn--mnchen-3ya.de</a>',
    ],
)
def test_links_that_are_as_they_seem(body: str) -> None:
    assert not names(deceptions(html(body)))


def test_hosts_are_named_as_lists_know_them() -> None:
    seen = html('<a href="https://p\u0430ypal.com/x">a</a><a href="https://\u0430_\u0430.test/">b</a>')
    assert [link.host for link in seen.links] == ["xn--pypal-4ve.com", "xn--_-7sbb.test"]


def trusted(*hosted: str) -> Trusted:
    return Trusted(hosted or ("example.org",), [Brand("PayPal", ("paypal.com", "paypal.de"))])


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("www.examp1e.org", "LINK_LOOKALIKE"),
        ("xn--pypal-4ve.com", "LINK_LOOKALIKE"),
        ("paypa1.com", "LINK_LOOKALIKE"),
        ("www.paypal.com.evil.test", "LINK_BORROWED"),
        ("example.org.evil.test", "LINK_BORROWED"),
        ("exampe.org", "LINK_NEAR"),
        ("paypal-login.test", "LINK_BRAND"),
    ],
)
def test_hosts_like_those_we_trust(host: str, name: str) -> None:
    assert names(trusted().of_hosts([host])) == {name}
    assert name in names(trusted().reasons(html(f'<a href="https://{host}/x">here</a>')))


@pytest.mark.parametrize("host", ["www.example.org", "paypal.de", "other.test", "mail.example.org", "", "localhost"])
def test_hosts_that_are_what_they_seem(host: str) -> None:
    assert not names(trusted().of_hosts([host]))


def test_organisations() -> None:
    assert organisation("a.b.example.co.uk") == "example.co.uk"


@pytest.mark.parametrize(
    ("author", "found"),
    [
        ("PayPal Service <x@evil.test>", {"NAME_IS_BRAND"}),
        ("P\u0430yP\u0430l <x@evil.test>", {"NAME_IS_BRAND"}),
        ("PayPal <x@paypa1.com>", {"AUTHOR_LOOKALIKE", "NAME_IS_BRAND"}),
        ("PayPal <service@paypal.de>", set()),
        ("Pay Palmer <x@far.test>", set()),
    ],
)
def test_names_of_brands(author: str, found: set[str]) -> None:
    assert names(trusted().reasons(text("Hello", HEAD.replace("Ann <ann@example.org>", author)))) == found


def test_a_threat_with_a_link_that_deceives_is_phishing() -> None:
    threat = "Your account has been suspended"
    seen = html(f'{threat}: <a href="https://www.paypal.com.evil.test/signin">Log in</a>')
    found = [*RULES.apply(seen), *trusted().reasons(seen)]
    assert "PHISHING" in names(phishing(found))
    honest = html(f'{threat}: <a href="https://account.example.org/signin">Log in</a>')
    found = [*RULES.apply(honest), *deceptions(honest), *trusted().reasons(honest)]
    assert names(found) == {"ACCOUNT_THREAT"}
    assert not names(phishing(found))


@pytest.mark.parametrize(
    ("name", "octets", "found"),
    [
        ("invoice.pdf.exe", b"x", "FILE_DOUBLE"),
        ("tool.scr", b"x", "FILE_PROGRAM"),
        ("picture.jpg", b"MZ\x90\x00", "FILE_PROGRAM"),
        ("letter.docm", b"x", "FILE_MACROS"),
        ("letter.docx", zipped("word/document.xml", "word/vbaProject.bin"), "FILE_MACROS"),
        ("all.zip", zipped("a.txt", "b.js"), "FILE_INSIDE"),
        ("all.zip", zipped("a.txt", "b.js")[:-10], "FILE_INSIDE"),
        ("outer.zip", stored("inner.zip", zipped("bill.exe")), "FILE_INSIDE"),
        ("before.zip", b"PK\x03\x04" + bytes(40) + zipped("a.scr"), "FILE_INSIDE"),
        ("bill.gz", b"\x1f\x8b\x08\x08" + bytes(6) + b"bill.exe\0" + bytes(9), "FILE_INSIDE"),
        ("all.tar", tarred("a.txt", "b.vbs"), "FILE_INSIDE"),
        ("bill.r00", rar4("Bill.exe"), "FILE_INSIDE"),
        ("bill.rar", rar4("bill.doc", flags=4), "FILE_LOCKED"),
        ("bill.rar", rar5("bill.lnk"), "FILE_INSIDE"),
        ("bill.rar", b"Rar!\x1a\x07\x01\x00" + bytes(4) + bytes((11, 4, 0)) + bytes(9), "FILE_LOCKED"),
        ("bill.html", b"<html><form action=x><input type=password>", "FILE_PAGE"),
        ("all.zip", b"PK\x03\x04" + b"\0" * 60, "FILE_BROKEN"),
    ],
)
def test_attachments_that_can_harm(name: str, octets: bytes, found: str) -> None:
    assert found in names(dangers(attached(name, octets)))


def test_attachments_that_are_harmless() -> None:
    assert not names(dangers(attached("report.pdf", b"%PDF-1.7")))
    assert not names(dangers(attached("all.zip", zipped("a.txt", "b.pdf"))))


@given(
    st.binary(max_size=400),
    st.sampled_from([b"PK\x03\x04", b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00", b"\x1f\x8b\x08"]),
)
@settings(max_examples=100)
def test_any_octets_are_an_archive(octets: bytes, start: bytes) -> None:
    data = start + octets
    found = listing(data[:16], lambda most: data[:most], 1 << 20)
    assert found is not None
    assert len(found.names) <= MOST


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
    by_list = named.replace("bank.example", "bank.example via a list")
    assert not [one for one in traits(text("x", by_list), 0.0) if one.points > 1]
    assert "REPLY_ELSEWHERE" in names(traits(text("x", HEAD + "Reply-To: x@gmail.com\r\n"), 0.0))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("Buy v1agra, V.I.A.G.R.A and c1al1s now", {"PILLS"}),
        (
            "Buy vi\u200bag\u200bra, fr\u200bee ship\u200bping w\u200bith it",
            {"PILLS", "INVISIBLE"},
        ),
        ("Buy vi\u0430gra, \u0441ialis and l\u0435vitra", {"PILLS", "MIXED_ALPHABETS"}),
        ("\U0001d5e9\U0001d5f6\U0001d5ee\U0001d5f4\U0001d5ff\U0001d5ee", {"PILLS"}),
        ("Привет, IT-отдел! Donau\u00addampf\u00adschiff\u00adfahrt\u00ad", set()),
        ("The H264 encoder of build a1b2c3 and the b2b shop", set()),
    ],
)
def test_disguised_words(body: str, found: set[str]) -> None:
    seen = text(f"Dear Ann, this is what I wanted to tell you. {body}")
    assert names([*RULES.apply(seen), *traits(seen, 0.0)]) == found


def test_built_in_rules_find_what_they_are_for() -> None:
    assert "EXTORTION" in names(RULES.apply(text("I recorded you by your webcam. Send Bitcoin within 48 hours")))
    assert "SUBJECT_SHOUTS" in names(RULES.apply(text("x", HEAD.replace("Lunch", "GREAT OFFER JUST FOR YOU"))))
    assert "FORM_INSIDE" in names(RULES.apply(html('<form action="http://x.test/">')))
    assert not names(RULES.apply(text("Shall we have lunch on Tuesday? I would bring the contract.")))


def test_words_are_whole_words_and_as_many_as_asked() -> None:
    own = '[[rule]]\nname = "TWO"\nwords = ["cialis", "offer", "\u8cfa"]\nleast = 2\ntext = "x"\n'
    found = rules.load([own])
    assert not names(found.apply(text("A specialist offers specials")))
    assert not names(found.apply(text("cialis cialis")))
    assert names(found.apply(text("an offer of cialis"))) == {"TWO"}
    assert names(found.apply(text("offer: \u6211\u8cfa\u9322"))) == {"TWO"}


def test_own_rules_stand_over_ours() -> None:
    own = '[[rule]]\nname = "EXTORTION"\nwords = ["x"]\npoints = 0\ntext = "off"\n'
    own += '[[rule]]\nname = "LUNCH"\nwhere = "subject"\npattern = "^lunch$"\npoints = 2\ntext = "it is about lunch"\n'
    found = rules.load([rules.built_in(), own])
    assert names(found.apply(text("I recorded you by your webcam. Send Bitcoin"))) == {"LUNCH"}


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("[[rule]]\nname = 'A'\ntext = 'x'\n", "either words or a pattern"),
        ("[[rule]]\nname = 'A'\ntext = 'x'\npattern = '('\n", "no regular expression"),
        ("[[rule]]\nname = 'A'\ntext = 'x'\nwords = ['x']\nwhere = 'moon'\n", "no place 'moon'"),
        ("[[rule]]\nname = 'A'\nwords = ['x']\n", "text"),
        ("[[rule]]\nname = 'A'\nwords = ['x']\nleast = 2\ntext = 'x'\n", "least is from 1"),
        ("[[rule]\n", "cannot be read"),
    ],
)
def test_rules_that_cannot_be_used_are_named(file: str, says: str) -> None:
    with pytest.raises(BadRules, match=says):
        rules.load([file])
