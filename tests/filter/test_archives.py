"""Archives within archives, bombs, locks and macros: what is found, and that no archive costs more than its size."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import time
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.filter.archives import UNPACKED, listing
from postroom.filter.attachments import LARGEST, dangers
from postroom.filter.seen import see
from postroom.values.content import Content


def packed(*members: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, octets in members:
            archive.writestr(name, octets)
    return file.getvalue()


def tarred(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, octets in members:
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            archive.addfile(info, io.BytesIO(octets))
    return file.getvalue()


def names(octets: bytes) -> tuple[str, ...]:
    found = listing(octets[:16], lambda most: octets[:most], LARGEST)
    return found.names if found is not None else ()


def reasons(name: str, octets: bytes) -> set[str]:
    head = f'From: a@b.test\r\nContent-Type: application/octet-stream; name="{name}"\r\n'
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    content = Content.of(f"{head}Content-Transfer-Encoding: base64\r\n\r\n".encode() + encoded)
    return {reason.name for reason in dangers(see(content))}


EVIL = ("run.js", b"x" * 50)


@pytest.mark.parametrize(
    "octets",
    [
        packed(("inner.zip", packed(EVIL))),
        packed(("inner.zip", packed(EVIL, how=zipfile.ZIP_STORED)), how=zipfile.ZIP_STORED),
        packed(("a.zip", packed(("b.zip", packed(EVIL))))),
        packed(("inner.zip", packed(EVIL)), how=zipfile.ZIP_BZIP2),
        packed(("inner.tar.gz", gzip.compress(tarred(EVIL)))),
        gzip.compress(tarred(EVIL)),
        bz2.compress(tarred(EVIL)),
        lzma.compress(tarred(EVIL)),
        b"#!/bin/sh\n" * 0 + packed(("readme.txt", b"x" * 200_000), ("inner.zip", packed(EVIL))),
    ],
    ids=["zip", "stored", "twice", "bzip2", "tgz in zip", "tgz", "tbz", "txz", "behind others"],
)
def test_what_is_inside_an_archive_inside_is_seen(octets: bytes) -> None:
    assert "run.js" in names(octets)
    assert "FILE_INSIDE" in reasons("all.zip", octets)


def test_there_is_an_end_to_looking_deeper() -> None:
    octets = packed(EVIL)
    for _ in range(3):
        octets = packed(("inner.zip", octets))
    assert "run.js" in names(octets)
    assert "run.js" not in names(packed(("inner.zip", octets)))


def test_a_bomb_costs_little_and_is_told_of() -> None:
    zeros = packed(("zeros", bytes(30_000_000)))
    bomb = packed(*((f"{number}.zip", zeros) for number in range(40)))
    claims = bytearray(zeros)
    for at in (zeros.find(b"PK\x01\x02") + 24, zeros.find(b"PK\x03\x04") + 22):
        claims[at : at + 4] = struct.pack("<I", 4_000_000_000)
    began = time.process_time()
    for one in (zeros, bomb, gzip.compress(bytes(50_000_000)), packed(("a.gz", gzip.compress(bytes(50_000_000))))):
        reasons("all.zip", one)
    assert "FILE_BOMB" in reasons("all.zip", bytes(claims))
    assert "FILE_BOMB" in reasons("all.zip", packed(("inner.zip", bytes(claims)), how=zipfile.ZIP_STORED))
    assert "FILE_BOMB" not in reasons("all.zip", packed(("zeros", bytes(1_000_000))))
    assert time.process_time() - began < 5  # unpacked it would be minutes
    assert UNPACKED <= 4 * 1024 * 1024


def test_members_that_lie_upon_each_other_cost_no_more() -> None:
    one = packed(("inner.zip", packed(EVIL, how=zipfile.ZIP_STORED) + bytes(1_000_000)), how=zipfile.ZIP_STORED)
    at = one.find(b"PK\x01\x02", len(one) - 200)
    row, end = one[at : one.find(b"PK\x05\x06", at)], one[one.find(b"PK\x05\x06", at) :]
    count = 20_000
    end = end[:8] + struct.pack("<HHI", count & 0xFFFF, count & 0xFFFF, len(row) * count) + end[16:]
    began = time.process_time()
    assert "run.js" in names(one[:at] + row * count + end)
    assert time.process_time() - began < 5


def test_a_name_inside_that_pretends() -> None:
    assert "FILE_DOUBLE" in reasons("all.zip", packed(("invoice.pdf.exe", b"x")))
    assert "FILE_INSIDE" in reasons("all.zip", packed(("tool.exe. ", b"x")))
    assert reasons("all.zip", packed(("invoice.pdf", b"x"), ("archive.tar.txt", b"y"))) == set()


def ole(*words: str) -> bytes:
    return (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(504)
        + b"".join(word.encode("utf-16-le") + bytes(10) for word in words)
    )


def test_old_documents() -> None:
    assert reasons("letter.doc", ole("Root Entry", "WordDocument", "_VBA_PROJECT")) == {"FILE_MACROS"}
    assert reasons("letter.xls", ole("Root Entry", "Workbook", "_VBA_PROJECT_CUR")) == {"FILE_MACROS"}
    assert reasons("letter.docx", ole("Root Entry", "EncryptedPackage", "EncryptionInfo")) == {"FILE_LOCKED"}
    assert reasons("letter.doc", ole("Root Entry", "WordDocument")) == set()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_archives_say_so_and_break_nothing(data: st.DataObject) -> None:
    whole = data.draw(
        st.sampled_from(
            [
                packed(("a.zip", packed(EVIL)), ("b.txt", b"y")),
                gzip.compress(tarred(EVIL)),
                packed(("b.tar.xz", lzma.compress(tarred(EVIL)))),
            ]
        )
    )
    octets = bytearray(whole[: data.draw(st.integers(8, len(whole)))])
    for _ in range(data.draw(st.integers(0, 6))):
        octets[data.draw(st.integers(6, len(octets) - 1))] = data.draw(st.integers(0, 255))
    assert len(names(bytes(octets))) <= 2_000
