"""The protocol of ClamAV's daemon: what it is asked, and what it answers.

A command of the z kind ends with NUL, and so does its answer. INSTREAM is followed by chunks, each behind its length in
four octets; an empty one ends them.
Standards: none; clamd(8), COMMANDS.
Pure. On failure: an answer nobody understands is Found.FAILED with its words; AnswerReader is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PING: Final = b"zPING\0"
VERSION: Final = b"zVERSION\0"
INSTREAM: Final = b"zINSTREAM\0"
#: behind the last chunk
END: Final = bytes(4)
#: octets of a chunk
CHUNK: Final = 64 * 1024
#: octets of an answer
LONGEST: Final = 8 * 1024
_TOO_LARGE: Final = "size limit exceeded"
_OVER_LIMIT: Final = "heuristics.limits.exceeded"
_ENCRYPTED: Final = "heuristics.encrypted"
_SUSPICIOUS: Final = ("heuristics.", "pua.")


class Found(StrEnum):
    """What a stream turned out to be."""

    CLEAN = "clean"
    INFECTED = "infected"
    SUSPICIOUS = "suspicious"  # a guess, not a virus that is known
    ENCRYPTED = "encrypted"  # locked with a password: nobody can look inside
    OVERSIZED = "oversized"  # not looked at as a whole
    FAILED = "failed"  # not looked at


@dataclass(frozen=True, slots=True)
class Answer:
    """name: of the virus; for what failed, why, in clamd's words."""

    found: Found
    name: str = ""


def chunk(octets: bytes) -> bytes:
    """A piece of a stream, not empty."""
    return len(octets).to_bytes(4, "big") + octets


class AnswerReader:
    """Puts one answer together."""

    __slots__ = ("_octets",)

    def __init__(self) -> None:
        self._octets = bytearray()

    def feed(self, octets: bytes) -> bytes | None:
        """The answer without its end, None while there is more to come. Too much of it is cut off: LONGEST octets."""
        self._octets += octets
        end = self._octets.find(b"\0")
        if end >= 0:
            return bytes(self._octets[: min(end, LONGEST)])
        return bytes(self._octets[:LONGEST]) if len(self._octets) > LONGEST else None

    def ended(self) -> bytes:
        """The connection is closed: what there is. clamd ends some of its errors with a line feed, or not at all."""
        return bytes(self._octets[:LONGEST])


def read_answer(octets: bytes) -> Answer:
    """Of INSTREAM: "stream: OK", "stream: NAME FOUND", "… ERROR"."""
    text = octets.decode("utf-8", "replace").strip()
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)[:200]
    if text.endswith(" FOUND"):
        name = shown.removesuffix(" FOUND").partition(": ")[2].strip()
        return Answer(_kind(name.lower()), name or "unnamed")
    if text.endswith(": OK"):
        return Answer(Found.CLEAN)
    if _TOO_LARGE in text.lower():
        return Answer(Found.OVERSIZED, "it is larger than clamd takes (StreamMaxLength)")
    return Answer(Found.FAILED, shown.removesuffix(" ERROR").removesuffix(".") or "an empty answer")


def _kind(name: str) -> Found:
    if name.startswith(_OVER_LIMIT):
        return Found.OVERSIZED
    if name.startswith(_ENCRYPTED):
        return Found.ENCRYPTED
    return Found.SUSPICIOUS if name.startswith(_SUSPICIOUS) else Found.INFECTED


def engine(octets: bytes) -> str:
    """What VERSION answers, shortened for a header: "ClamAV 1.0.7/27000/Fri Nov 20 …" is "ClamAV 1.0.7/27000"."""
    text = octets.decode("ascii", "replace").strip()
    short = "/".join(text.split("/")[:2])
    return "".join(letter if " " <= letter <= "~" else "?" for letter in short)[:60]
