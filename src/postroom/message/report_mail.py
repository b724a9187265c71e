"""The form of a mail that carries a report made by a program: a few words, and the report as an attachment.

Owns: the octets. Trusts: its caller for everything but line ends, which are taken out of header values.
Standards: RFC 2045, RFC 2183, RFC 6522 (multipart/report), RFC 3834 5 (Auto-Submitted), RFC 9990 3.5.2, RFC 8460 5.3.
On failure: never.
"""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WIDTH: Final = 76
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMail:
    """What the mail says. from_name: for people; date: as RFC 5322 3.3 has it; boundary: in neither part.

    report_type: of a multipart/report, "" for multipart/mixed; fields: more header fields.
    """

    from_name: str
    from_address: str
    to: tuple[str, ...]
    subject: str
    date: str
    message_id: str
    boundary: str
    words: str
    file: str
    media_type: str
    octets: bytes
    report_type: str = ""
    fields: tuple[tuple[str, str], ...] = ()


def header(mail: ReportMail) -> bytes:
    """The header with its line ends, without the empty line."""
    kind = f"multipart/report;\r\n report-type={mail.report_type}" if mail.report_type else "multipart/mixed"
    name = _BREAKS.sub(" ", mail.from_name).replace("\\", "").replace('"', "")
    lines = [
        f'From: "{name}" <{mail.from_address}>' if name.isascii() else f"From: <{mail.from_address}>",
        _listed("To", mail.to),
        _folded("Subject", mail.subject),
        f"Date: {mail.date}",
        f"Message-ID: <{mail.message_id}>",
        *(_folded(field, value) for field, value in mail.fields),
        "Auto-Submitted: auto-generated",  # RFC 3834 5: nobody's vacation reply is wanted
        "MIME-Version: 1.0",
        f'Content-Type: {kind};\r\n boundary="{mail.boundary}"',
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def body(mail: ReportMail) -> bytes:
    """Everything behind the empty line."""
    words = "\r\n".join(
        line for paragraph in mail.words.splitlines() for line in textwrap.wrap(paragraph, _WIDTH) or [""]
    )
    text = words.encode("ascii", "backslashreplace")
    file = _BREAKS.sub("", mail.file).replace('"', "")
    mark = f"--{mail.boundary}".encode()
    encoded = base64.encodebytes(mail.octets).replace(b"\n", b"\r\n")
    return b"\r\n".join(
        [
            mark,
            b"Content-Type: text/plain; charset=us-ascii",
            b"",
            text,
            mark,
            f'Content-Type: {mail.media_type};\r\n name="{file}"'.encode(),
            f'Content-Disposition: attachment;\r\n filename="{file}"'.encode(),
            b"Content-Transfer-Encoding: base64",
            b"",
            encoded.removesuffix(b"\r\n"),
            mark + b"--",
            b"",
        ]
    )


def _folded(name: str, value: str) -> str:
    """A field, folded between words where it is long (RFC 5322 2.2.3)."""
    words = textwrap.wrap(
        f"{name}: {_BREAKS.sub(' ', value)}",
        _WIDTH,
        subsequent_indent=" ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\r\n".join(words)


def _listed(name: str, addresses: Sequence[str]) -> str:
    return f"{name}: " + ",\r\n ".join(f"<{_BREAKS.sub('', address)}>" for address in addresses)
