"""Messages made fit for 7-bit servers: they must say the same afterwards."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.message.downgrade import CannotConvert, convert, has_long_lines, is_signed

TEXT = "Grüße aus Köln\r\nzweite Zeile mit = und Leerzeichen \r\n.\r\n"


def fits(octets: bytes) -> bool:
    return octets.isascii() and all(len(line) <= 998 for line in octets.split(b"\r\n"))


def contents(octets: bytes) -> list[tuple[str, bytes]]:
    """Type and decoded content of each leaf, as Python's email reads them."""
    parsed = email.message_from_bytes(octets, policy=email.policy.compat32)
    return [
        (part.get_content_type(), part.get_payload(decode=True)) for part in parsed.walk() if not part.is_multipart()
    ]


def plain(body: bytes, *fields: bytes) -> bytes:
    return b"".join(field + b"\r\n" for field in (b"From: a@b.test", *fields)) + b"\r\n" + body


def test_text() -> None:
    original = plain(
        TEXT.encode(),
        b"MIME-Version: 1.0",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding:\r\n 8bit",
        b"Subject: x",
    )
    done = convert(original)
    assert fits(done)
    assert contents(done) == [("text/plain", TEXT.encode())]
    assert done.startswith(
        b"From: a@b.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\nSubject: x\r\n\r\n"
    )


def test_text_that_says_nothing_of_itself() -> None:
    done = convert(plain(b"1234567890 caf\xe9"))
    assert done == (
        b"From: a@b.test\r\nContent-Type: text/plain; charset=unknown-8bit\r\nMIME-Version: 1.0\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n1234567890 caf=E9"
    )


def test_text_full_of_other_letters_is_base64() -> None:
    words = ("Привет, мир\r\n" * 20).encode()
    done = convert(plain(words, b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=utf-8"))
    assert b"Content-Transfer-Encoding: base64" in done
    assert contents(done) == [("text/plain", words)]


def mixed() -> EmailMessage:
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("Ünner text\n", cte="8bit")
    outer = EmailMessage()
    outer["From"] = "a@b.test"
    outer.set_content("Größe\n", cte="8bit")
    outer.add_alternative("<p>plain ascii</p>\n", subtype="html")
    outer.add_attachment(inner)
    outer.add_attachment(b"\x00\xff" * 100, maintype="application", subtype="octet-stream")
    return outer


def test_only_what_must_change_does() -> None:
    original = mixed().as_bytes(policy=email.policy.SMTP.clone(cte_type="8bit"))
    original = original.replace(b"From: a@b.test\r\n", b"From: a@b.test\r\nContent-Transfer-Encoding: 8bit\r\n")
    assert not original.isascii()
    done = convert(original)
    assert fits(done)
    assert b"8bit" not in done
    assert contents(done) == contents(original)
    untouched = original[original.index(b"<p>plain") : original.index(b"</p>")]
    assert untouched in done


def test_nothing_to_do_changes_nothing() -> None:
    original = mixed().as_bytes(policy=email.policy.SMTP.clone(cte_type="8bit"))
    assert convert(original, eight_bit=True) == original
    original = original.replace(b"8bit", b"7bit").replace("Ü".encode(), b"U").replace("öß".encode(), b"os")
    assert original.isascii()
    assert convert(original) == original


@pytest.mark.parametrize("size", [997, 998, 999, 5000])
def test_long_lines(size: int) -> None:
    body = b"x" * size + b"\r\nshort\r\n"
    original = plain(body, b"MIME-Version: 1.0", b"Content-Type: text/html")
    assert has_long_lines(original) is (size > 998)
    done = convert(original)
    assert fits(done)
    assert contents(done) == [("text/html", body)]
    assert (done == original) is (size <= 998)


def test_only_long_lines_are_in_the_way() -> None:
    original = (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        b"Content-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa4\r\n--b\r\n\r\n%b\r\n--b--\r\n" % (b"x" * 2000)
    )
    done = convert(original, eight_bit=True)
    assert b"8bit\r\n\r\n\xc3\xa4\r\n" in done
    assert not has_long_lines(done)
    assert [content for _, content in contents(done)] == [b"\xc3\xa4", b"x" * 2000]


def test_long_lines_of_base64_are_wrapped() -> None:
    original = plain(
        b"QUJD" * 1000, b"MIME-Version: 1.0", b"Content-Type: image/png", b"Content-Transfer-Encoding: base64"
    )
    done = convert(original)
    assert fits(done)
    assert contents(done) == [("image/png", b"ABC" * 1000)]


def test_long_header_fields_are_folded() -> None:
    original = b"References: " + b"<abcdefgh@x.test> " * 100 + b"\r\nSubject: x\r\n\r\nhi\r\n"
    done = convert(original)
    assert fits(done)
    assert done.replace(b"\r\n <", b" <") == original.replace(b" \r\n", b" \r\n")
    with pytest.raises(CannotConvert, match="cannot be folded"):
        convert(b"X: " + b"y" * 1000 + b"\r\n\r\n")


def test_signed_parts_are_not_touched() -> None:
    signed = (
        b'Content-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\n\r\n%b\r\n--s\r\n'
        b"Content-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n"
    )
    assert convert(plain(b"", b"x: y")[:-2] + signed % b"plain") == plain(b"", b"x: y")[:-2] + signed % b"plain"
    with pytest.raises(CannotConvert, match="signed"):
        convert(signed % "ä".encode())


def test_header_fields_beyond_ascii_cannot_be_helped() -> None:
    with pytest.raises(CannotConvert, match="header field"):
        convert("Subject: ä\r\n\r\nhi\r\n".encode())


def test_what_lies_about_its_encoding() -> None:
    with pytest.raises(CannotConvert, match="says that it is base64"):
        convert(plain(b"QUJD\xff", b"Content-Transfer-Encoding: base64"))


def test_who_vouches_for_the_octets() -> None:
    assert is_signed(b"Received: x\r\nDKIM-Signature: v=1\r\n\r\n")
    assert not is_signed(b"Subject: x\r\n\r\nDKIM-Signature: v=1\r\n")


@given(body=st.binary(max_size=3000), text=st.booleans(), ends=st.booleans())
def test_any_octets_come_through(body: bytes, text: bool, ends: bool) -> None:
    lines = body.replace(b"\r", b"").replace(b"\0", b"").replace(b"\n", b"\r\n") + (b"\r\n" if ends else b"")
    kind = b"text/plain; charset=utf-8" if text else b"application/octet-stream"
    original = plain(lines, b"MIME-Version: 1.0", b"Content-Type: " + kind, b"Content-Transfer-Encoding: 8bit")
    done = convert(original)
    assert fits(done)
    assert contents(done)[0][1] == lines


@given(
    st.binary(max_size=400),
    st.lists(st.sampled_from([b"--b\r\n", b"--b--\r\n", b"\r\n", b"\xe4", b"x" * 1100]), max_size=12),
)
def test_any_soup_ends_in_ascii_or_a_reason(soup: bytes, pieces: list[bytes]) -> None:
    message = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"".join(pieces) + soup
    try:
        assert convert(message).isascii()
    except CannotConvert as fault:
        assert str(fault)
