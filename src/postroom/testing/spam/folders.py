"""A corpus of real mail on disk: one message a file.

Either folders train/ham, train/spam, held/ham and held/spam, or the data folder of a package that ships the public
corpus of SpamAssassin (easy-ham-1 and so on), which is split by its own collections: what came later is held out.
Line ends become CRLF, and what the collector's own servers wrote about spam is taken out.
On failure: FileNotFoundError with what was looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from postroom.filter.findings import PeerFacts, Proofs
from postroom.message.decode import parse_addresses
from postroom.message.fields import field_values
from postroom.testing.spam.facts import Facts
from postroom.testing.spam.make import Sample
from postroom.testing.spam.templates import HELD, TRAIN

_TOLD: Final = re.compile(
    rb"^(?:x-spam[^:\r\n]*|x-status|status)[ \t]*:.*\r\n(?:[ \t].*\r\n)*", re.IGNORECASE | re.MULTILINE
)
_NOTHING: Final = Facts(ip="", proofs=Proofs(), peer=PeerFacts(), proven=False)


def read(folder: Path, part: str, spam: bool) -> Iterator[Sample]:
    """The messages of one part and kind."""
    for path in _files(folder, part, spam):
        octets = _clean(path.read_bytes())
        header = octets.partition(b"\r\n\r\n")[0]
        people = parse_addresses(next(iter(field_values(header + b"\r\n", b"from")), b""))
        author = people[0].address.lower() if people else ""
        yield Sample(octets, spam, path.parent.name, author, _NOTHING)


def _files(folder: Path, part: str, spam: bool) -> list[Path]:
    kind = "spam" if spam else "ham"
    if (folder / part / kind).is_dir():
        return sorted(path for path in (folder / part / kind).iterdir() if path.is_file())
    if not (folder / "easy-ham-1").is_dir():
        raise FileNotFoundError(f"{folder} has neither {part}/{kind} nor easy-ham-1")
    early = _messages(folder / ("spam-1" if spam else "easy-ham-1"))
    late = [] if spam else _messages(folder / "easy-ham-2")
    both = _messages(folder / ("spam-2" if spam else "hard-ham-1"))
    half = len(both) // 2
    return {TRAIN: early + both[:half], HELD: late + both[half:]}[part]


def _messages(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix != ".json")


def _clean(octets: bytes) -> bytes:
    if octets.startswith(b"From "):
        octets = octets.partition(b"\n")[2]
    octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    header, gap, body = octets.partition(b"\r\n\r\n")
    return _TOLD.sub(b"", header + b"\r\n")[:-2] + gap + body
