"""How much text is gathered of one attachment, and what is said when there is enough, or none to be had."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

#: characters of one attachment that are kept
MOST_TEXT: Final = 1_000_000
#: octets of an attachment that is read at all
MOST_OCTETS: Final = 32 * 1024 * 1024


class Unreadable(Exception):
    """The file is not what it should be, or is locked. The text says why."""


class Enough(Exception):
    """As much text as is kept has been gathered."""


@dataclass(slots=True)
class Gathered:
    """Text in pieces."""

    most: int = MOST_TEXT
    pieces: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, text: str) -> None:
        """More text. Raises Enough."""
        self.pieces.append(text[: self.most - self.size])
        self.size += len(text)
        if self.size >= self.most:
            raise Enough

    def text(self) -> str:
        """All of it, white space shortened."""
        lines = ("".join(self.pieces)).splitlines()
        return "\n".join(line for each in lines if (line := " ".join(each.split())))
