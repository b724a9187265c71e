"""A large message is scanned in a mapping, which must go as soon as the scan is over."""

from __future__ import annotations

import gc
from pathlib import Path

from postroom.message.index import index
from postroom.values.content import Content


def test_a_mapping_does_not_wait_for_the_collector(tmp_path: Path) -> None:
    path = tmp_path / "large.eml"
    octets = (
        b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
        + b"x" * 300_000
        + b"\r\n--b--\r\n"
    )
    path.write_bytes(octets)
    content = Content(size=len(octets), path=str(path))
    gc.disable()
    try:
        index(content.source())
        assert str(path) not in Path("/proc/self/maps").read_text()
    finally:
        gc.enable()
