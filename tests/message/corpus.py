"""Messages as they are met, written for these tests: what each is about, its octets, and its leaf parts.

Each leaf is (content type, decoded text or octets, file name or "").
"""

from __future__ import annotations

import base64
from typing import NamedTuple


class Sample(NamedTuple):
    octets: bytes
    leaves: tuple[tuple[str, str | bytes, str], ...]
    subject: str
    stdlib: bool = True  # the standard library sees the same parts


def _crlf(text: str, charset: str = "ascii") -> bytes:
    return text.replace("\n", "\r\n").encode(charset)


CORPUS: dict[str, Sample] = {
    "plain without MIME": Sample(
        _crlf("From: a@example.org\nSubject: plain\n\nHello\n"), (("text/plain", "Hello\r\n", ""),), "plain"
    ),
    "quoted-printable latin-1": Sample(
        _crlf(
            "Subject: =?ISO-8859-1?Q?Caf=E9_?=\n =?ISO-8859-1?Q?cr=E8me?=\nMIME-Version: 1.0\n"
            "Content-Type: TEXT/plain; CHARSET=ISO-8859-1\nContent-Transfer-Encoding: Quoted-Printable\n\n"
            "Un caf=E9 cr=E8me, =\ns'il vous pla=EEt\n"
        ),
        (("text/plain", "Un café crème, s'il vous plaît\r\n", ""),),
        "Café crème",
    ),
    "8-bit header and body": Sample(
        _crlf("Subject: Grüße\nContent-Type: text/plain; charset=utf-8\n\nÄpfel\n", "utf-8"),
        (("text/plain", "Äpfel\r\n", ""),),
        "Grüße",
    ),
    "alternative with related picture": Sample(
        _crlf(
            "Subject: picture\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=alt\n\n"
            "not shown\n--alt\nContent-Type: text/plain\n\nlook\n--alt\n"
            'Content-Type: multipart/related; boundary="rel (ated)"; type="text/html"\n\n'
            '--rel (ated)\nContent-Type: text/html; charset="utf-8"\nContent-Transfer-Encoding: base64\n\n'
            + base64.b64encode("<p>ü</p>".encode()).decode()
            + "\n--rel (ated)\nContent-Type: image/png\nContent-ID: <p@x>\nContent-Transfer-Encoding: base64\n"
            'Content-Disposition: inline; filename="p.png"\n\n'
            + base64.b64encode(b"\x89PNG").decode()
            + "\n--rel (ated)--\n\n--alt--\n\nnot shown either\n"
        ),
        (("text/plain", "look", ""), ("text/html", "<p>ü</p>", ""), ("image/png", b"\x89PNG", "p.png")),
        "picture",
    ),
    "forwarded message": Sample(
        _crlf(
            "Subject: Fwd\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee below\n--b\n"
            "Content-Type: message/rfc822\nContent-Disposition: attachment\n\n"
            "From: c@example.org\nSubject: inner\nContent-Type: multipart/mixed; boundary=b2\n\n"
            "--b2\n\ninner text\n--b2\nContent-Type: text/csv\n\n1,2\n--b2--\n--b--\n"
        ),
        (("text/plain", "see below", ""), ("text/plain", "inner text", ""), ("text/csv", "1,2", "")),
        "Fwd",
    ),
    "file names in every spelling": Sample(
        _crlf(
            "Subject: files\nContent-Type: multipart/mixed;\n\tboundary*0=bound;\n\tboundary*1=ary\n\n"
            "--boundary\nContent-Type: application/octet-stream;\n name*0*=utf-8''na%C3%AF; name*1=ve.txt\n"
            "Content-Disposition: attachment; filename*0*=utf-8''na%C3%AF; filename*1=ve.txt\n\n1\n"
            '--boundary\nContent-Type: application/pdf; name="=?utf-8?q?=C3=BC.pdf?="\n\n2\n'
            "--boundary\nContent-Type: application/zip; name=a b.zip\n\n3\n"
            '--boundary\nContent-Type: application/msword; name="q\\"uote.doc"\n\n4\n--boundary--\n'
        ),
        (
            ("application/octet-stream", b"1", "naïve.txt"),
            ("application/pdf", b"2", "ü.pdf"),
            ("application/zip", b"3", "a b.zip"),
            ("application/msword", b"4", 'q"uote.doc'),
        ),
        "files",
    ),
    "bare line feeds": Sample(
        b"Subject: unix\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\none\n--b\n\n"
        b"two\nlines\n--b--\n",
        (("text/plain", "one", ""), ("text/plain", "two\nlines", "")),
        "unix",
    ),
    "cut off in the middle": Sample(
        _crlf(
            "Subject: cut\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\nContent-Type: text/html\n\n<p>"
        ),
        (("text/plain", "one", ""), ("text/html", "<p>", "")),
        "cut",
    ),
    "signed": Sample(
        _crlf(
            "Subject: signed\nContent-Type: multipart/signed; micalg=pgp-sha256;\n"
            ' protocol="application/pgp-signature"; boundary="=-sig"\n\n--=-sig\n'
            "Content-Type: multipart/mixed; boundary==-sig-in\n\n--=-sig-in\n\nbody\n--=-sig-in--\n\n"
            '--=-sig\nContent-Type: application/pgp-signature; name="signature.asc"\n\n-----BEGIN PGP-----\n--=-sig--\n'
        ),
        (("text/plain", "body", ""), ("application/pgp-signature", b"-----BEGIN PGP-----", "signature.asc")),
        "signed",
    ),
    "cyrillic without a label": Sample(
        b"Subject: koi8\r\nContent-Type: text/plain\r\n\r\n" + "Привет, как дела? Это длинное письмо.".encode("koi8-r"),
        (("text/plain", "Привет, как дела? Это длинное письмо.", ""),),
        "koi8",
    ),
    "japanese": Sample(
        b"Subject: =?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=\r\nContent-Type: text/plain; charset=ISO-2022-JP\r\n\r\n"
        + "日本語のメール".encode("iso-2022-jp"),
        (("text/plain", "日本語のメール", ""),),
        "日本",
    ),
    "delivery report": Sample(
        _crlf(
            "Subject: failed\nContent-Type: multipart/report; report-type=delivery-status; boundary=r\n\n"
            "--r\n\nsorry\n--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nAction: failed\n"
            "--r\nContent-Type: text/rfc822-headers\n\nSubject: x\n--r--\n"
        ),
        (
            ("text/plain", "sorry", ""),
            ("message/delivery-status", b"Reporting-MTA: dns; x\r\n\r\nAction: failed", ""),
            ("text/rfc822-headers", "Subject: x", ""),
        ),
        "failed",
        stdlib=False,
    ),
}
