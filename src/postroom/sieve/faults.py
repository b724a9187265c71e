"""What is wrong with a script: where, what, and what to do about it.

Standards: RFC 5228 2.10.6 (errors at compile time and at run time).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: faults of one script that are told; more are counted only
MOST_FAULTS: Final = 50


@dataclass(frozen=True, slots=True)
class Fault:
    """line and column count from 1, columns in characters. advice: what to write instead, "" when there is none."""

    line: int
    column: int
    text: str
    advice: str = ""

    def __str__(self) -> str:
        advice = f" ({self.advice})" if self.advice else ""
        return f"line {self.line}, column {self.column}: {self.text}{advice}"


class BadScript(Exception):
    """A script that cannot be run. faults: all of them in the order of the text, at least one."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = tuple(faults)


class ScriptError(Exception):
    """A script that was running could not go on. line: of the command, 0 when it is of none."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


class OutOfBudget(ScriptError):
    """The script took more steps, or more time, than one run may."""


class Lines:
    """Turns places in a text into lines and columns."""

    __slots__ = ("_starts",)

    def __init__(self, text: str) -> None:
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def line(self, at: int) -> int:
        """The line, from 1, of the character at this place."""
        return bisect_right(self._starts, at)

    def fault(self, at: int, text: str, advice: str = "") -> Fault:
        """A fault at this place."""
        line = bisect_right(self._starts, at)
        return Fault(line, at - self._starts[line - 1] + 1, text, advice)
