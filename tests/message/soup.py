"""Strategies: octets that look enough like mail to reach every branch of the scanner."""

from __future__ import annotations

from hypothesis import strategies as st

_WORDS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"\r\n ", b"\n\t", b" ", b"\t", b"\0", b"\xff", b"\xc3\xbc",
    b"--b", b"\r\n--b\r\n", b"\n--b\n", b"\r\n--b--\r\n", b"--b--", b"\r\n--c\r\n", b"\r\n--c--", b"--bb",
    b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Sender: ", b"Message-ID: ", b"Content-ID: ", b"Content-MD5: ",
    b"Content-Type: ", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", b"Content-Transfer-Encoding: ",
    b"Content-Type: multipart/digest; boundary=c\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Type: message/global\r\n\r\n", b"Content-Disposition: ", b"Content-Language: ", b"Content-Location: ",
    b"text/plain", b"text/html", b"multipart/mixed", b"image/png", b"; charset=", b"; boundary=b", b"; boundary*0*=",
    b"''", b"%62", b"; name*1=", b'"', b"\\", b"(", b")", b"<", b">", b"@", b",", b";", b":", b"=", b"*", b"'", b"/",
    b"base64", b"quoted-printable", b"attachment", b"en", b"a@b", b"x", b"=?utf-8?q?=C3?=", b"[", b"]", b".",
]  # fmt: skip

soup = st.lists(st.sampled_from(_WORDS) | st.binary(max_size=4), max_size=60).map(b"".join)
octets = st.binary(max_size=300) | soup
