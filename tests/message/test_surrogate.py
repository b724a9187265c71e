"""Messages with 8-bit header fields, shown to clients that cannot read them."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.message.index import index
from postroom.message.surrogate import MAX_HEADER, TooMuchHeader, ascii_header, patches
from postroom.values.content import Content, Patched

from .soup import octets


def shown(header: str) -> str:
    return ascii_header(header.replace("\n", "\r\n").encode()).decode("ascii").replace("\r\n", "\n")


def test_ascii_stays_octet_by_octet() -> None:
    odd = b"From  : a@b\nno colon\r\n  folded\r\nX:\r\n\r\n"
    assert ascii_header(odd) == odd
    assert ascii_header(odd[:-2] + b"Subject: \xc3\xaf\n\r\n") == odd[:-2] + b"Subject: =?utf-8?B?w68=?=\n\r\n"


@pytest.mark.parametrize("end", [b"", b" ", b" x", b"\n", b"\n ", b"\r\n\tmore", b"\n \n"])
def test_folded_fields_are_one(end: bytes) -> None:
    """Whatever the header ends with, a line that begins with a space belongs to the field above."""
    found = ascii_header(b"X-Plain: a\n b\nX-Unknown-\xfc: c\n d\n\te" + end)
    assert found == b"X-Plain: a\n b\n"


def test_fields_without_a_form_of_their_own_are_left_out() -> None:
    """RFC 6858 2.4."""
    kept = "Received: from a by b\nDate: today\n\n"
    assert shown("Received: from ü by b\n (comment)\nX-ü: x\nü\nMessage-ID: <ü@b>\n" + kept) == kept


def test_texts_become_encoded_words() -> None:
    text = "Grüße an alle, die 日本語 lesen und sich über lange Betreffzeilen freuen 🎉🎉🎉"
    header = shown(f"Subject: {text}\nTo: a@b\n\n")
    assert all(len(line) <= 76 for line in header.split("\n"))
    assert message_from_bytes(header.encode(), policy=policy.default)["Subject"] == text
    again = shown("Subject: =?utf-8?q?caf=C3=A9?= über\n\n")
    assert message_from_bytes(again.encode(), policy=policy.default)["Subject"] == "café über"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("From: Zoë <zoe@a.test>", [("Zoë", "zoe@a.test")]),
        ('Resent-Sender: "Zoë \\"Z\\"" <"z z"@a.test>', [('Zoë "Z"', '"z z"@a.test')]),
        ("To: zoë@a.test, b@b.test, C <c@c.test>", [("zoë@a.test", "*"), ("", "b@b.test"), ("C", "c@c.test")]),
        ("Cc: Zoë <z@ä.test>", [("Zoë (z@ä.test)", "*")]),
        ("Reply-To: Zoë: a@a.test, Ö <o@a.test>;, b@b.test", [("", "a@a.test"), ("Ö", "o@a.test"), ("", "b@b.test")]),
        ("Bcc: ü", [("ü", "*")]),
    ],
)
def test_addresses(field: str, expected: list[tuple[str, str]]) -> None:
    """RFC 6858 2.1."""
    header = shown(field + "\n\n")
    assert all(len(line) <= 76 for line in header.split("\n"))
    name = field.partition(":")[0]
    found = message_from_bytes(header.encode(), policy=policy.default)[name].addresses
    invalid = "invalid@internationalized-address.invalid"
    assert [(each.display_name, each.addr_spec) for each in found] == [
        (name, invalid if address == "*" else address) for name, address in expected
    ]


def test_encoded_words_bring_no_line_ends() -> None:
    assert shown("From: =?utf-8?q?=0D=0AX:_y?= <a@a.test>, =?utf-8?q?=0D=0AX:?= <ü@b.test>\n\n").count("\nX") == 0


def test_parameters_are_encoded() -> None:
    """RFC 2231 4."""
    header = shown('Content-Type: text/plain; charset=utf-8; name="schöne\n Grüße.txt"; x="a b"\n\n')
    read = message_from_bytes(header.encode(), policy=policy.default)
    assert read.get_content_charset() == "utf-8" and read["Content-Type"].params["x"] == "a b"
    assert read["Content-Type"].params["name"] == "schöne Grüße.txt"
    assert shown("Content-Type: tëxt/plain; charset=x\n\n") == "\n"
    assert shown("Content-Disposition: attachment; ü=x; y=" + "ü" * 200 + "; z=1\n\n") == (
        "Content-Disposition: attachment;\n z=1\n\n"
    )


def test_headers_of_parts_and_of_messages_inside() -> None:
    inner = "Subject: ü\r\nContent-Type: text/plain; name=ü\r\n\r\nbody ü\r\n"
    start = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/global\r\n\r\n"
    data = f"{start}{inner}--b--\r\n".encode()
    found = index(data)
    assert found.eight_bit
    made = Patched(Content.of(data), patches(found.parts, lambda start, end: data[start:end])).read()
    assert made.count(b"\xc3") == 1
    assert b"body \xc3\xbc" in made
    assert not index(made).eight_bit


def test_header_octets_are_limited() -> None:
    data = b"X: " + b"\xff" * MAX_HEADER + b"\r\n\r\n"
    with pytest.raises(TooMuchHeader):
        patches(index(data).parts, lambda start, end: data[start:end])


@given(octets)
@example(b"Content-Type: message/rfc822\n\n" + bytes(30) + b"\x80\n\n\x80\x00")  # only the inner header changes
def test_any_message_gets_ascii_headers(data: bytes) -> None:
    found = index(data)
    content = Content.of(data)
    changes = patches(found.parts, content.read)
    assert found.eight_bit == bool(changes)
    made = Patched(content, changes)
    whole = made.read()
    assert len(whole) == made.size
    assert all(instead.isascii() for _, _, instead in changes)
    grown = sum(len(instead) - (end - start) for start, end, instead in changes if end <= found.header)
    assert whole[: found.header + grown].isascii()


@given(st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.binary(max_size=5))))
def test_patched_content_reads_like_octets(data: bytes, wanted: list[tuple[int, int, bytes]]) -> None:
    changes, at, expected = [], 0, b""
    for start, end, instead in sorted(wanted):
        if at <= start <= end <= len(data):
            changes.append((start, end, instead))
            expected += data[at:start] + instead
            at = end
    expected += data[at:]
    made = Patched(Content.of(data), changes)
    assert (made.size, made.read()) == (len(expected), expected)
    for start in range(0, len(expected) + 2, 3):
        for end in (start, start + 1, start + 7, None):
            assert made.read(start, end) == expected[start:end]
