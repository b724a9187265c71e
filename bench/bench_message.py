"""Microseconds of CPU that indexing and searching one message cost. Run: python bench/bench_message.py"""

from __future__ import annotations

import base64
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from postroom.message.index import index
from postroom.message.parts import Parts
from postroom.message.search import Needle, body_contains, text_contains

HEADER = (
    b"Return-Path: <alice@example.org>\r\n"
    b"Received: from mail.example.org (mail.example.org [192.0.2.1])\r\n"
    b"\tby mx.example.net (Postroom) with ESMTPS id 0123456789\r\n"
    b"\tfor <bob@example.net>; Sun, 22 Nov 2026 05:02:36 +0000\r\n"
    b"Received: from laptop (unknown [198.51.100.7])\r\n"
    b"\tby mail.example.org (Postfix) with ESMTPSA id ABCDEF\r\n"
    b"\tfor <bob@example.net>; Sun, 22 Nov 2026 05:02:30 +0000\r\n"
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=2026;\r\n"
    b"\th=from:to:subject:date:message-id; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n"
    b"\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\r\n"
    b"Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=alice@example.org\r\n"
    b'From: "Alice Example" <alice@example.org>\r\n'
    b"To: Bob Example <bob@example.net>, carol@example.net\r\n"
    b"Cc: =?utf-8?q?J=C3=BCrgen?= <juergen@example.net>\r\n"
    b"Subject: =?utf-8?q?Minutes_of_the_meeting?=\r\n and what comes next\r\n"
    b"Date: Sun, 22 Nov 2026 05:02:29 +0000\r\n"
    b"Message-ID: <20261122050229.1234@example.org>\r\n"
    b"In-Reply-To: <20261121.77@example.net>\r\n"
    b"References: <20261120.1@example.net> <20261121.77@example.net>\r\n"
    b"X-Mailer: Example Mailer 1.0\r\n"
    b"List-Id: <team.example.net>\r\n"
    b"MIME-Version: 1.0\r\n"
)
TEXT = b"The quick brown fox jumps over the lazy dog and back again to the den.\r\n" * 60
QUOTED = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
BOUNDARY = b"----=_Part_1_234567890.1234567"


def multipart(sub: bytes, parts: list[bytes]) -> bytes:
    delimiter = b"\r\n--" + BOUNDARY
    head = HEADER + b"Content-Type: multipart/" + sub + b';\r\n boundary="' + BOUNDARY + b'"\r\n\r\nThis is MIME.'
    return head + b"".join(delimiter + b"\r\n" + part for part in parts) + delimiter + b"--\r\n"


def attachment(size: int) -> bytes:
    data = base64.encodebytes(random.Random(1).randbytes(size)).replace(b"\n", b"\r\n")
    return multipart(
        b"mixed",
        [
            b"Content-Type: text/plain; charset=utf-8\r\n" + QUOTED + TEXT[:800],
            b'Content-Type: application/pdf; name="report.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
            b'Content-Disposition: attachment; filename="report.pdf"\r\n\r\n' + data,
        ],
    )


PLAIN = HEADER + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + TEXT
MESSAGES = {
    "plain 4 KB": PLAIN[:4096],
    "alternative 4 KB": multipart(
        b"alternative",
        [
            b"Content-Type: text/plain; charset=utf-8\r\n" + QUOTED + TEXT[:1000],
            b"Content-Type: text/html; charset=utf-8\r\n" + QUOTED + b"<html>" + TEXT[:1500],
        ],
    ),
    "60 KB": attachment(42_000),
    "1 MB": attachment(760_000),
}


def microseconds(work: Callable[[], object], seconds: float = 0.1, rounds: int = 9) -> float:
    """The best of several rounds, each about `seconds` long: the least disturbed one."""
    started = time.perf_counter()
    work()
    count = max(1, int(seconds / max(time.perf_counter() - started, 1e-7)))
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(count):
            work()
        best = min(best, (time.process_time() - started) / count)
    return best * 1e6


def main() -> None:
    needle = Needle.of("not in there")
    print(f"{'CPU us a message':<18}{'index':>9}{'find part':>11}{'SEARCH BODY':>13}{'SEARCH TEXT':>13}")
    for name, message in MESSAGES.items():
        packed = index(message).parts
        parts = Parts.unpack(packed)

        def read(start: int, end: int, message: bytes = message) -> bytes:
            return message[start:end]

        figures = (
            microseconds(lambda message=message: index(message)),
            microseconds(lambda packed=packed: Parts.unpack(packed).section((1,))),
            microseconds(lambda read=read, parts=parts: body_contains(read, parts, needle)),
            microseconds(lambda read=read, parts=parts: text_contains(read, parts, needle)),
        )
        print(f"{name:<18}{figures[0]:>9.1f}{figures[1]:>11.1f}{figures[2]:>13.1f}{figures[3]:>13.1f}")


if __name__ == "__main__":
    main()
